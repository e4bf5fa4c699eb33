//! Bad input: it is refused with a reason and a remedy, nothing is kept of it, and the rest is served all the same.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use holster_core::types::ProfileName;
use holster_core::{Failure, Outcome, inspect};
use holster_tests::{Fixture, call, component, eventually, report, report_arguments, with_note};
use serde_json::{Value, json};

fn parity() -> Vec<u8> {
    fs::read(component("parity-rust")).expect("the component was built")
}

/// `bytes` with `old`, wherever it stands, replaced by the equally long `new`.
fn replaced(bytes: &[u8], old: &str, new: &str) -> Vec<u8> {
    assert_eq!(old.len(), new.len());
    let mut bytes = bytes.to_vec();
    let mut found = false;
    for start in 0..=bytes.len() - old.len() {
        if bytes[start..].starts_with(old.as_bytes()) {
            bytes[start..start + new.len()].copy_from_slice(new.as_bytes());
            found = true;
        }
    }
    assert!(found, "`{old}` is not in the component");
    bytes
}

/// Numbers that look random and are the same in every run (xorshift).
fn numbers() -> impl Iterator<Item = usize> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    std::iter::from_fn(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 16).ok()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_file_is_skipped_with_its_reason_and_the_others_are_served() {
    let whole = parity();
    let noise: Vec<u8> = numbers()
        .map(|number| number.to_le_bytes()[0])
        .take(4096)
        .collect();
    let with_header = [b"\0asm\x0d\0\x01\0", &noise[..]].concat();
    let cases = [
        (
            "cut-within-its-header",
            whole[..7].to_vec(),
            "invalid at byte",
        ),
        ("cut-after-its-header", whole[..8].to_vec(), "only nothing"),
        (
            "cut-in-the-middle",
            whole[..whole.len() / 2].to_vec(),
            "invalid at byte",
        ),
        (
            "cut-by-a-byte",
            whole[..whole.len() - 1].to_vec(),
            "invalid at byte",
        ),
        ("empty", Vec::new(), "the file is empty"),
        ("noise", noise, "not WebAssembly"),
        ("noise-with-a-header", with_header, "invalid at byte"),
        (
            "core-module",
            b"\0asm\x01\0\0\0".to_vec(),
            "a core module, not a component",
        ),
        (
            "another-version",
            replaced(
                &whole,
                "holster:plugin/tool@0.1.0",
                "holster:plugin/tool@0.9.0",
            ),
            "it exports `holster:plugin/tool@0.9.0`; this host serves versions `0.1`",
        ),
        (
            "another-world",
            replaced(
                &whole,
                "holster:plugin/tool@0.1.0",
                "holster:plugin/tolo@0.1.0",
            ),
            "it exports no `holster:plugin/tool` interface",
        ),
        (
            "a-foreign-import",
            replaced(&whole, "wasi:config/store@", "evil:config/store@"),
            "it imports `evil:config/store@0.2.0-rc.1`, which the world",
        ),
    ];
    let fixture = Fixture::new("");
    fixture.plug_in(&component("parity-rust"));
    for (name, bytes, _) in &cases {
        fixture.plug_in_bytes(bytes, &format!("{name}.wasm"));
    }
    symlink("nowhere", fixture.path("plugins/dangling.wasm")).unwrap();
    fixture.plug_in_bytes(&whole, "two words.wasm");

    let host = fixture.host().await;
    let view = host.settled().await;
    let problems = view.problems();
    assert_eq!(problems.len(), cases.len() + 2, "{problems:?}");
    let reasons = cases.iter().map(|(name, _, reason)| (*name, *reason));
    let named = [
        ("dangling", "cannot be read"),
        ("two words", "not a component name: use 1 to 128 characters"),
    ];
    for (name, reason) in reasons.chain(named) {
        let path = fixture.path("plugins").join(format!("{name}.wasm"));
        let problem = problems.iter().find(|problem| problem.path == path);
        let problem = problem.unwrap_or_else(|| panic!("{name} is not reported"));
        assert!(
            problem.reason.contains(reason),
            "{name}: {}",
            problem.reason
        );
    }
    let outcome = host.call(report()).await;
    assert!(matches!(outcome, Outcome::Finished(_)), "{outcome:?}");
    assert_eq!(host.code_cache().list().unwrap().len(), 1);
    assert_eq!(host.code_cache().verify().unwrap().len(), 1);

    let output = fixture.holster(&["tools"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    for (name, _, reason) in &cases {
        let line = said
            .lines()
            .find(|line| line.contains(&format!("{name}.wasm is not served: ")));
        assert!(
            line.is_some_and(|line| line.contains(reason)),
            "{name}: {said}"
        );
    }
}

#[test]
fn a_component_that_is_cut_anywhere_is_refused() {
    let whole = parity();
    assert!(inspect(&whole).is_ok());
    for end in numbers().map(|number| number % whole.len()).take(100) {
        assert!(inspect(&whole[..end]).is_err(), "cut at byte {end}");
    }
}

#[test]
fn a_component_that_is_damaged_anywhere_is_read_without_a_panic() {
    let whole = parity();
    let mut positions = numbers();
    let mut refused = 0;
    for _ in 0..100 {
        let mut damaged = whole.clone();
        for position in positions.by_ref().take(20) {
            damaged[position % whole.len()] = (position >> 20).to_le_bytes()[0];
        }
        refused += u32::from(inspect(&damaged).is_err());
    }
    assert!(refused > 50, "only {refused} of 100 were refused");
}

#[test]
fn a_pipe_in_the_plugin_directory_does_not_hold_up_the_start() {
    let fixture = Fixture::new("");
    let pipe = fixture.path("plugins/pipe.wasm");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let mut tools = fixture
        .command(&["tools"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("`holster` was built with the tests");
    let start = Instant::now();
    while tools.try_wait().unwrap().is_none() {
        if start.elapsed().as_secs() > 20 {
            tools.kill().unwrap();
            panic!("it waits for the pipe");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = tools.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("pipe.wasm is not served: cannot be read: it is not a file"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_tools_with_one_name_the_component_whose_name_comes_first_serves() {
    let fixture = Fixture::new("");
    fixture.plug_in_bytes(&with_note(&parity(), "second"), "b-second.wasm");
    let host = fixture.host().await;
    host.watch().unwrap();
    assert_eq!(host.settled().await.conflicts(), []);

    // It comes later and serves all the same: the order of arrival decides nothing.
    fixture.plug_in_bytes(&parity(), "a-first.wasm");
    eventually("the conflicts are seen", || {
        host.catalogue().conflicts().len() == 6
    })
    .await;
    for conflict in host.catalogue().conflicts() {
        assert_eq!(conflict.served_by.as_str(), "a-first", "{conflict:?}");
        assert_eq!(conflict.left_out.as_str(), "b-second", "{conflict:?}");
    }
    match host.call(report()).await {
        Outcome::Finished(finished) => assert_eq!(finished.component.unwrap().as_str(), "a-first"),
        other => panic!("{other:?}"),
    }
    let output = fixture.holster(&["tools"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("`report` of `b-second` is left out: `a-first`, whose name comes first"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_makes_no_sense_is_refused_with_what_would() {
    let fixture = Fixture::new("[profiles.work]");
    fixture.plug_in(&component("parity-rust"));
    let host = fixture.host().await;
    let with = |name: &str, value: Value| {
        let mut arguments = report_arguments();
        arguments[name] = value;
        call("report", arguments)
    };
    let mut of_nobody = call("fetch", json!({}));
    of_nobody.profile = Some(ProfileName::new("nobody").unwrap());
    let cases = [
        (
            call("report", json!({})),
            "\"title\" is a required property",
        ),
        (with("count", json!(0)), "at `/count`: "),
        (with("count", json!("ten")), "at `/count`: "),
        (with("level", json!("extreme")), "at `/level`: "),
        (with("tags", json!([1])), "at `/tags/0`: "),
        (
            with("author", json!({})),
            "at `/author`: \"name\" is a required property",
        ),
        (with("surplus", json!(1)), "'surplus' was unexpected"),
        (
            call("reports", json!({})),
            "there is no tool `reports`; did you mean `report`?",
        ),
        (
            call("reprot", json!({})),
            "there is no tool `reprot`; did you mean `report`?",
        ),
        (
            call("weather", json!({})),
            "there is no tool `weather`; `holster tools` lists those there are",
        ),
        (of_nobody, "there is no profile `nobody`, but "),
    ];
    for (call, reason) in cases {
        let what = format!("{} {:?}", call.tool, call.arguments);
        match host.call(call).await {
            Outcome::Failed(Failure::Run { .. }) => panic!("{what} reached the guest"),
            Outcome::Failed(failure) => {
                assert!(failure.to_string().contains(reason), "{what}: {failure}");
            }
            other => panic!("{what}: {other:?}"),
        }
    }
}

#[test]
fn a_vault_that_cannot_be_read_is_named_with_what_to_do() {
    let fixture = Fixture::new("");
    let added = fixture.holster_with(&["auth", "add", "slack", "--stdin"], "some-token\n");
    assert!(
        added.status.success(),
        "{}",
        String::from_utf8_lossy(&added.stderr)
    );
    let files = fixture.files();
    let vault = files.iter().find(|file| file.ends_with("credentials.db"));
    let vault = vault.expect("the vault is a file");
    fs::write(
        vault,
        "this is no database, and long enough to be read as one".repeat(100),
    )
    .unwrap();
    let output = fixture.holster(&["auth", "list"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("data/vault/credentials.db"), "{said}");
    assert!(
        said.contains("put it back from a backup, or move it away and add the credentials again"),
        "{said}"
    );
}
