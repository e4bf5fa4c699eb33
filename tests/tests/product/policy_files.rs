//! Folders that a component is given: what it finds there, what it may change, and that nothing leads out.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use holster_core::{Call, CallError, Content, Failure, Host, Outcome};
use holster_runtime::{Leak, LeakPlace};
use holster_tests::loopback_api::{LoopbackApi, Script};
use holster_tests::{Fixture, call, component, said, with_note};
use serde_json::{Value, json};

const REPORT: &str = "The tide table is an hour late.\n";

/// The hostile component with a folder `files`, and something beside it.
fn fixture(folder: &str, more: &str) -> Fixture {
    let fixture = Fixture::new(&format!(
        "[components.hostile-rust]\nfolders = [{{ path = 'files', as = '/files'{folder} }}]\n{more}"
    ));
    for folder in ["files/deep", "beside"] {
        fs::create_dir_all(fixture.path(folder)).unwrap();
    }
    fs::write(fixture.path("files/report"), REPORT).unwrap();
    fs::write(fixture.path("beside/secret"), "out of reach").unwrap();
    fixture.plug_in(&component("hostile-rust"));
    fixture
}

fn deed(what: &str, path: &str, other: &str) -> Call {
    call(
        "files",
        json!({ "deed": what, "path": path, "other": other }),
    )
}

fn text(outcome: Outcome) -> String {
    match outcome {
        Outcome::Finished(finished) => match finished.output.content.as_slice() {
            [Content::Text(text)] => text.clone(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

async fn does(host: &Host, what: &str, path: &str, other: &str) -> String {
    text(host.call(deed(what, path, other)).await)
}

fn failed(outcome: Outcome) -> CallError {
    match outcome {
        Outcome::Failed(Failure::Run { error, .. }) => error,
        other => panic!("{other:?}"),
    }
}

/// All that lies below a folder, with what is in it.
fn everything(folder: &Path) -> Vec<(String, Option<String>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.display().to_string();
        if path.is_dir() {
            all.extend(everything(&path));
            all.push((name, None));
        } else {
            all.push((name, fs::read_to_string(path).ok()));
        }
    }
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_read_and_nothing_in_it_is_changed_unless_the_policy_says_so() {
    let deeds = [
        ("write", "/files/new", "text"),
        ("write", "/files/report", "text"),
        ("append", "/files/report", "text"),
        ("make-folder", "/files/new-folder", ""),
        ("rename", "/files/report", "/files/renamed"),
        ("remove", "/files/renamed", ""),
    ];
    let read_only = fixture("", "");
    let host = read_only.host().await;
    assert_eq!(does(&host, "read", "/files/report", "").await, REPORT);
    assert_eq!(does(&host, "list", "/files", "").await, "deep report");
    let before = everything(&read_only.path("files"));
    for (what, path, other) in deeds {
        let how = does(&host, what, path, other).await;
        assert!(how.starts_with("failed: "), "{what}: {how}");
    }
    assert_eq!(everything(&read_only.path("files")), before);

    let writable = fixture(", write = true", "");
    let host = writable.host().await;
    for (what, path, other) in deeds {
        assert_eq!(does(&host, what, path, other).await, "done", "{what}");
    }
    let files = writable.path("files");
    assert_eq!(fs::read_to_string(files.join("new")).unwrap(), "text");
    assert!(files.join("new-folder").is_dir());
    assert!(!files.join("report").exists() && !files.join("renamed").exists());
    // The next call finds what the last one left.
    assert_eq!(
        does(&host, "list", "/files", "").await,
        "deep new new-folder"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_link_no_path_and_no_pipe_leads_out_of_a_folder() {
    let fixture = fixture(", write = true", "");
    let files = fixture.path("files");
    let beside = fixture.path("beside");
    symlink("../beside/secret", files.join("relative")).unwrap();
    symlink(beside.join("secret"), files.join("absolute")).unwrap();
    symlink(&beside, files.join("folder")).unwrap();
    symlink("report", files.join("within")).unwrap();
    let made = Command::new("mkfifo").arg(files.join("pipe")).status();
    assert!(made.unwrap().success());
    let host = fixture.host().await;
    for path in [
        "/files/relative",
        "/files/absolute",
        "/files/folder/secret",
        "/files/../beside/secret",
        "/files/deep/../../beside/secret",
        "../beside/secret",
        "/beside/secret",
        "/etc/passwd",
        // Nobody writes into it, and nobody waits for that.
        "/files/pipe",
    ] {
        for (what, other) in [("read", ""), ("append", "text"), ("write", "text")] {
            let how = does(&host, what, path, other).await;
            assert!(how.starts_with("failed: "), "{what} {path}: {how}");
        }
    }
    for (what, path, other) in [
        ("list", "/", ""),
        ("list", "/files/folder", ""),
        ("soft-link", "/files/new", "report"),
        ("soft-link", "/files/new", "../beside/secret"),
        ("hard-link", "/files/new", "/files/report"),
        ("rename", "/files/report", "/files/folder/taken"),
        ("remove", "/files/folder/secret", ""),
    ] {
        let how = does(&host, what, path, other).await;
        assert!(how.starts_with("failed: "), "{what} {path} {other}: {how}");
    }
    assert_eq!(does(&host, "read", "/files/within", "").await, REPORT);
    let kept = everything(&beside);
    let secret = beside.join("secret").display().to_string();
    assert_eq!(kept, [(secret, Some("out of reach".to_owned()))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_call_writes_is_limited_and_the_next_call_begins_anew() {
    let fixture = fixture(", write = true", "limits.file_bytes = 10_000");
    let host = fixture.host().await;
    let write = |times: u32| {
        let arguments = json!({
            "deed": "write", "path": "/files/large", "other": "x".repeat(1000), "times": times,
        });
        host.call(call("files", arguments))
    };
    for _ in 0..3 {
        assert_eq!(text(write(5).await), "done");
    }
    let error = failed(write(20).await);
    assert_eq!(error, CallError::TooMuchWritten(10_000));
    assert!(error.to_string().contains("`file_bytes`"), "{error}");
    let written = fs::metadata(fixture.path("files/large")).unwrap().len();
    assert!(written <= 10_000, "{written}");
}

/// What a file gains without being written counts as well: not every system leaves it out.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_becomes_no_longer_than_a_call_may_write() {
    let fixture = fixture(", write = true", "limits.file_bytes = 10_000");
    let host = fixture.host().await;
    for deed in ["lengthen", "write-far-off"] {
        let path = format!("/files/{deed}");
        let to = |length: u64| {
            let arguments = json!({ "deed": deed, "path": path, "other": "x", "length": length });
            host.call(call("files", arguments))
        };
        // The name takes 4096 bytes of it, once.
        assert_eq!(text(to(5_000).await), "done");
        assert_eq!(text(to(9_000).await), "done");
        let longer = failed(to(1 << 40).await);
        assert_eq!(longer, CallError::TooMuchWritten(10_000), "{deed}");
        let length = fs::metadata(fixture.path("files").join(deed))
            .unwrap()
            .len();
        assert!((9_000..=9_001).contains(&length), "{deed}: {length}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_holds_no_more_files_open_than_leave_enough_for_others() {
    let fixture = fixture("", "");
    let host = fixture.host().await;
    for _ in 0..2 {
        let opened: usize = does(&host, "hoard", "/files/report", "")
            .await
            .parse()
            .unwrap();
        assert!((10..64).contains(&opened), "{opened}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_a_service_sends_back_is_not_written_into_a_file() {
    const SECRET: &str = "planted-secret-of-ann-0000";
    let api = LoopbackApi::start().await.unwrap();
    let token = Script::Token {
        form: str::to_owned,
        piece: 7,
    };
    api.script("/echo", token);
    let url = api.url();
    let account = format!(
        "config.base_url = '{url}'\n[profiles.work.credentials]\nslack.token = {{ file = 'secret' }}\n\
         [providers]\nslack.hosts = ['{url}']\n"
    );
    let fixture = fixture(", write = true", &account);
    fixture.write_private("secret", SECRET);
    let host = fixture.host().await;
    for way in ["file", "file-name"] {
        let error = failed(host.call(call("pass_on", json!({ "way": way }))).await);
        let leak = Leak {
            provider: "slack".parse().unwrap(),
            place: LeakPlace::File,
        };
        assert_eq!(error, CallError::LeakedSecret(leak), "{way}");
    }
    let kept = format!("{:?}", everything(&fixture.path("files")));
    assert!(!kept.contains(SECRET), "{kept}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_was_replaced_has_no_folder_until_it_is_approved() {
    let fixture = fixture("", "");
    let read = || {
        let arguments = json!({ "deed": "read", "path": "/files/report" });
        said(&fixture.holster(&["call", "files", &arguments.to_string()]))
    };
    let explained = || said(&fixture.holster(&["policy", "explain", "files"]));
    assert!(read().contains(REPORT.trim()), "{}", read());
    let here = fixture.path("files").canonicalize().unwrap();
    let folder = format!("/files ({} on this machine)", here.display());
    let can = format!("- read what is in {folder}");
    assert!(
        explained().contains(&can),
        "{can} is not in {}",
        explained()
    );
    assert!(
        explained().contains("- read or write other files"),
        "{}",
        explained()
    );
    let bytes = fs::read(component("hostile-rust")).unwrap();
    fixture.plug_in_bytes(&with_note(&bytes, "another one"), "hostile-rust.wasm");
    assert!(read().contains("failed: "), "{}", read());
    assert!(
        explained().contains("- read or write files"),
        "{}",
        explained()
    );
    let approved = said(&fixture.holster(&["policy", "approve", "hostile-rust", "--yes"]));
    let granted = format!("  granted  folder {folder}");
    assert!(
        approved.contains(&granted),
        "{granted} is not in {approved}"
    );
    assert!(read().contains(REPORT.trim()), "{}", read());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_not_there_keeps_its_component_alone_from_being_called() {
    let fixture = fixture("", "");
    fixture.plug_in(&component("text-statistics"));
    fs::remove_dir_all(fixture.path("files")).unwrap();
    let host = fixture.host().await;
    let error = failed(host.call(deed("list", "/files", "")).await);
    assert!(matches!(error, CallError::NoFolder(_)), "{error:?}");
    for part in [
        "`/files`",
        "files on this machine, cannot be opened",
        "make that folder",
    ] {
        assert!(error.to_string().contains(part), "{part} is not in {error}");
    }
    let other = host.call(call("text_statistics", json!({ "text": "Tides" })));
    assert!(matches!(other.await, Outcome::Finished(_)));
    // It is there once it is made: nothing has to be started again.
    fs::create_dir(fixture.path("files")).unwrap();
    assert_eq!(does(&host, "list", "/files", "").await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_holsters_own_is_refused_at_the_start() {
    let place = Fixture::new("");
    for (path, what) in [("data", "the data folder"), (".", "which none may see")] {
        let text = format!(
            "data = 'data'\n[components.x]\nfolders = [{{ path = '{path}', as = '/x' }}]\n"
        );
        fs::write(place.path("holster.toml"), text).unwrap();
        let refused = place.holster(&["policy", "list"]);
        assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
        for part in ["in components.x.folders: ", what, "lies apart"] {
            assert!(
                said(&refused).contains(part),
                "{part} is not in {}",
                said(&refused)
            );
        }
    }
}

/// An interpreter takes long to make, so that instances of it wait for calls: none with the folders of an earlier one.
#[tokio::test(flavor = "multi_thread")]
async fn a_tool_in_python_reads_and_writes_files_as_any_program_does() {
    assert_reads_and_writes_files("files-python").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_in_javascript_reads_and_writes_files_by_its_sdk() {
    assert_reads_and_writes_files("files-js").await;
}

async fn assert_reads_and_writes_files(name: &str) {
    let fixture = Fixture::new(&format!(
        "[components.{name}]\nfolders = [\n{{ path = 'reports', as = '/reports' }},\n\
         {{ path = 'drafts', as = '/drafts', write = true }},\n]\n"
    ));
    for folder in ["reports", "drafts"] {
        fs::create_dir(fixture.path(folder)).unwrap();
    }
    fixture.plug_in(&component(name));
    let host = fixture.host().await;
    let calls = |tool: &str, arguments: Value| host.call(call(tool, arguments));
    for number in 0..5 {
        let report = format!("report {number}");
        fs::write(fixture.path("reports/today"), &report).unwrap();
        let read = calls("read_report", json!({ "path": "/reports/today" }));
        assert_eq!(text(read.await), report);
    }
    let written = json!({ "path": "/drafts/tomorrow", "text": "calm" });
    assert_eq!(text(calls("write_report", written).await), "tomorrow");
    let draft = fs::read_to_string(fixture.path("drafts/tomorrow")).unwrap();
    assert_eq!(draft, "calm");
    for (tool, arguments) in [
        (
            "write_report",
            json!({ "path": "/reports/today", "text": "storm" }),
        ),
        (
            "read_report",
            json!({ "path": "/reports/../drafts/tomorrow/x" }),
        ),
        ("read_report", json!({ "path": "/etc/passwd" })),
    ] {
        let error = failed(calls(tool, arguments).await);
        assert!(matches!(error, CallError::Tool(_)), "{error:?}");
    }
    assert_eq!(
        fs::read_to_string(fixture.path("reports/today")).unwrap(),
        "report 4"
    );
}
