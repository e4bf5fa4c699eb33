//! What is on record of calls and accounts, and whether somebody changed it afterwards.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use holster_tests::loopback_api::LoopbackApi;
use holster_tests::{Fixture, HttpServer, McpClient, Protocol, said};
use serde_json::{Value, json};

use crate::connecting;
use crate::mcp::report;
use crate::serve::as_nobody;

const SECRET: &str = "work-slack-token";

/// An installation with an account.
pub(crate) fn connected(api: &LoopbackApi) -> Fixture {
    let fixture = connecting::fixture(api, "connect.address = '127.0.0.1:0'\n[profiles.home]");
    let added = fixture.holster_with(
        &[
            "auth",
            "add",
            "slack",
            "--profile",
            "work",
            "--account",
            "ann",
            "--stdin",
        ],
        &format!("{SECRET}\n"),
    );
    assert!(added.status.success(), "{}", said(&added));
    fixture
}

pub(crate) fn segment(fixture: &Fixture) -> PathBuf {
    let files = fixture.files().into_iter();
    let mut segments = files.filter(|path| path.ends_with("audit/00000001.jsonl"));
    segments.next().expect("a log")
}

/// A line of the file, with its end.
fn line_of(text: &str, index: usize) -> &str {
    text.split_inclusive('\n').nth(index).unwrap()
}

/// The lines that the command shows.
pub(crate) fn lines(fixture: &Fixture, filter: &[&str]) -> Vec<Value> {
    let arguments = [&["audit", "list", "--json"], filter].concat();
    let shown = fixture.holster(&arguments);
    assert!(shown.status.success(), "{}", said(&shown));
    let text = String::from_utf8(shown.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_and_every_use_of_an_account_is_a_line_without_what_was_said() {
    let api = LoopbackApi::start().await.unwrap();
    let fixture = connected(&api);
    for arguments in [
        &["call", "fetch", "--profile", "work"][..],
        &["call", "fail", "{\"kind\": \"failed\"}"],
        &[
            "call",
            "report",
            "{\"title\": \"planted-argument\", \"count\": \"planted-count\"}",
        ],
        &["call", "reprot"],
        &["call", "fetch", "--profile", "home"],
        &["auth", "disconnect", "slack", "--profile", "work"],
    ] {
        fixture.holster(arguments);
    }
    let lines = lines(&fixture, &[]);
    let what: Vec<_> = lines
        .iter()
        .map(|line| {
            let word = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
            match &*word("event") {
                "call" => format!("{} {}", word("tool"), word("ended")),
                _ => format!("{} {}", word("provider"), word("action")),
            }
        })
        .collect();
    assert_eq!(
        what,
        [
            "slack stored",
            "slack used",
            "fetch finished",
            "fail failed",
            "report failed",
            "reprot failed",
            "fetch interrupted",
            "slack removed",
        ]
    );
    let numbers: Vec<_> = lines.iter().map(|line| line["number"].as_u64()).collect();
    assert_eq!(numbers, (1..=8).map(Some).collect::<Vec<_>>());
    let call = &lines[2];
    assert_eq!(
        call["accounts"],
        json!([{ "provider": "slack", "profile": "work", "account": "ann" }])
    );
    assert_eq!(call["hosts"][0]["origin"], api.url());
    assert_eq!(call["component"]["name"], "parity-rust");
    assert_eq!(call["tenant"], "local");
    let text = fs::read_to_string(segment(&fixture)).unwrap();
    for said in [SECRET, "planted"] {
        assert!(!text.contains(said), "{text}");
    }

    let mut last = lines[7].clone();
    for (filter, found) in [
        (&["--tool", "fetch"][..], 2),
        (&["--provider", "slack"], 4),
        (&["--profile", "home"], 1),
        (&["--tenant", "ann"], 0),
        (&["--since", "1h"], 8),
        (&["--since", "2099-01-01T00:00:00Z"], 0),
        (&["--last", "3"], 3),
    ] {
        let shown = self::lines(&fixture, filter);
        assert_eq!(shown.len(), found, "{filter:?}");
        if filter[0] == "--last" {
            last = shown[2].clone();
        }
    }
    assert_eq!(last, lines[7]);
    let table = said(&fixture.holster(&["audit", "list"]));
    for part in [
        "fetch (parity-rust ",
        "slack as ann (work)",
        "credential",
        "failed: there is no tool `reprot`",
    ] {
        assert!(table.contains(part), "{part} is not in {table}");
    }
    let wrong = fixture.holster(&["audit", "list", "--since", "yesterday"]);
    assert_eq!(wrong.status.code(), Some(2), "{}", said(&wrong));
    assert!(said(&wrong).contains("such as 2h"), "{}", said(&wrong));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_somebody_changed_is_told_from_one_that_nobody_did() {
    let api = LoopbackApi::start().await.unwrap();
    let fixture = connected(&api);
    fixture.holster(&["call", "fetch", "--profile", "work"]);
    let verify = |more: &[&str]| fixture.holster(&[&["audit", "verify"], more].concat());
    let whole = verify(&[]);
    assert!(whole.status.success(), "{}", said(&whole));
    assert!(
        said(&whole).contains("3 lines, each in its place"),
        "{}",
        said(&whole)
    );
    let (_, hash) = said(&whole)
        .split_once("last hash: ")
        .map(|(a, b)| (a.to_owned(), b.trim().to_owned()))
        .unwrap();
    fixture.holster(&["call", "fail", "{\"kind\": \"failed\"}"]);
    let later = verify(&["--contains", &hash]);
    assert!(later.status.success(), "{}", said(&later));

    let text = fs::read_to_string(segment(&fixture)).unwrap();
    for (changed, told) in [
        (
            text.replace("\"account\":\"ann\"", "\"account\":\"bob\""),
            "line 2: ",
        ),
        (text.replacen(line_of(&text, 1), "", 1), "line 2: "),
        (
            text.split_inclusive('\n').take(2).collect(),
            "is not in the log",
        ),
        (
            text.replacen("credential", "nothing", 1),
            "line 1: this is no line",
        ),
    ] {
        assert_ne!(changed, text);
        fs::write(segment(&fixture), changed).unwrap();
        let changed = verify(&["--contains", &hash]);
        assert_eq!(changed.status.code(), Some(1), "{told}: {}", said(&changed));
        assert!(said(&changed).contains(told), "{told}: {}", said(&changed));
    }
    let wrong = verify(&["--contains", "abc"]);
    assert_eq!(wrong.status.code(), Some(2), "{}", said(&wrong));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_tool_gets_an_account_that_cannot_be_put_on_record() {
    let api = LoopbackApi::start().await.unwrap();
    let fixture = connected(&api);
    let folder = segment(&fixture).parent().unwrap().to_owned();
    fs::remove_dir_all(&folder).unwrap();
    fs::write(&folder, "in the way").unwrap();
    let refused = fixture.holster(&["call", "fetch", "--profile", "work"]);
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    let told = said(&refused);
    for part in ["`fetch` was not called", "put on record", "audit"] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    assert!(
        api.take_requests()
            .iter()
            .all(|request| !request.path.contains("fetch"))
    );
    // What needs no account goes on.
    let served = fixture.holster(&["call", "report", &report().to_string()]);
    assert!(served.status.success(), "{}", said(&served));
    fs::remove_file(&folder).unwrap();
    let served = fixture.holster(&["call", "fetch", "--profile", "work"]);
    assert!(served.status.success(), "{}", said(&served));
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_call_at_once_write_one_chain() {
    let api = LoopbackApi::start().await.unwrap();
    let fixture = connected(&api);
    let server = HttpServer::start(&fixture);
    let client = as_nobody(&server);
    let mut agent = McpClient::start(&fixture, &[], Protocol::V2025_11_25, json!({}));
    for _ in 0..20 {
        client.call("report", report()).await;
        agent.call("report", report());
    }
    fixture.holster(&["call", "report", &report().to_string()]);
    assert!(agent.end());
    assert!(server.end(Duration::from_secs(10)));
    assert_eq!(lines(&fixture, &["--tool", "report"]).len(), 41);
    let whole = fixture.holster(&["audit", "verify"]);
    assert!(whole.status.success(), "{}", said(&whole));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_under_load_leaves_a_whole_chain_with_every_use_in_it() {
    let api = LoopbackApi::start().await.unwrap();
    let fixture = connected(&api);
    // Compiled once, so that each round begins at once.
    assert!(
        fixture
            .holster(&["call", "report", &report().to_string()])
            .status
            .success()
    );
    api.take_requests();
    let mut sent = 0;
    for round in 0..8 {
        let server = HttpServer::start(&fixture);
        let client = as_nobody(&server);
        let load = async {
            let calls = (0..8).map(async |_| {
                loop {
                    client.call("fetch", json!({})).await;
                    client.call("report", report()).await;
                }
            });
            futures::future::join_all(calls).await;
        };
        // At another point each time.
        let point = Duration::from_millis(100 + 37 * round);
        let killed = async {
            tokio::time::sleep(point).await;
            Command::new("kill")
                .args(["-KILL", &server.process().to_string()])
                .status()
        };
        tokio::select! {
            () = load => unreachable!("it has no end"),
            killed = killed => assert!(killed.unwrap().success()),
        }
        drop(server);
        let whole = fixture.holster(&["audit", "verify"]);
        assert!(whole.status.success(), "{}", said(&whole));
        sent += api.take_requests().len();
        let used = lines(&fixture, &["--provider", "slack", "--last", "1000000"])
            .iter()
            .filter(|line| line["action"] == "used")
            .count();
        assert!(used >= sent, "{used} uses of {sent} on record");
    }
    assert!(sent > 100, "{sent} requests were sent");
}
