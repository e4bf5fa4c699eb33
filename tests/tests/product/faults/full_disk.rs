//! Files that may not grow any further, as on a disk that is full: it is said, what was stored stays, and once there is room
//! again everything goes on as if nothing had been.
//!
//! The limit is that of the process (`prlimit --fsize`), so that every user can set it and no other process is in its way. To the
//! system, the memory that components begin with is a file as well: one that is not loaded yet needs [`MEMORY`].

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use holster_tests::loopback_api::LoopbackApi;
use holster_tests::{
    Fixture, HttpServer, component, eventually, report_arguments, said, with_note,
};
use http::StatusCode;
use identity_provider::{Browser, IdentityProvider, Options};
use tokio::time::sleep;

use super::{consented, fetch, fetch_of, oauth_machine, page_of, succeeds};
use crate::serve::{Client, as_nobody};
use crate::{audit, connecting};

/// From nothing at all to less than what is written takes.
const ROOMS: [u64; 6] = [0, 1, 100, 4096, 20_000, 40_000];

/// Room for the memory of a component, and for much less than its code.
const MEMORY: u64 = 100_000;

/// Runs `holster` with room for so many bytes in each file, and with this on its standard input.
fn with_room(fixture: &Fixture, room: u64, arguments: &[&str], input: &str) -> Output {
    let limit = format!("--fsize={room}:");
    let command = fixture.command_by(&["prlimit", &limit], arguments);
    let process = Fixture::start_as(command, input);
    process.wait_with_output().expect("the command ends")
}

/// Leaves a server room for so many bytes in each file; `None`: as much as there is.
fn leave_room(server: &HttpServer, room: Option<u64>) {
    let room = room.map_or_else(|| "unlimited".to_owned(), |room| room.to_string());
    let process = server.process().to_string();
    let limited = Command::new("prlimit")
        .args(["--pid", &process, &format!("--fsize={room}:")])
        .status();
    assert!(limited.expect("`prlimit` is there").success());
}

/// An error that says where there is no room, and what to do.
fn assert_asks_for_room(told: &str, file: &str) {
    assert!(told.contains(file), "`{file}` is not in {told}");
    assert!(told.contains("room"), "{told}");
}

#[test]
fn what_cannot_be_said_changes_no_exit_code() {
    let fixture = Fixture::new("");
    for (arguments, code) in [
        (&["call", "nothing"][..], 1),
        (&["call", "nothing", "{"], 2),
        (&["tools"], 0),
    ] {
        let mut command = fixture.command_by(&["prlimit", "--fsize=0:"], arguments);
        command
            .stdout(Stdio::null())
            .stderr(File::create(fixture.path("said")).unwrap());
        let ended = command.status().expect("`prlimit` is there");
        assert_eq!(ended.code(), Some(code), "{arguments:?}");
    }
}

#[test]
fn a_vault_that_cannot_grow_says_so_and_keeps_what_it_has() {
    for begun in [false, true] {
        let fixture = Fixture::new("");
        let add = |profile: &'static str| ["auth", "add", "slack", "--profile", profile, "--stdin"];
        if begun {
            let added = fixture.holster_with(&add("ann"), "token-of-ann\n");
            assert!(added.status.success(), "{}", said(&added));
        }
        let mut refused = 0;
        for room in ROOMS {
            let added = with_room(&fixture, room, &add("bob"), "token-of-bob\n");
            let told = said(&added);
            if !added.status.success() {
                refused += 1;
                assert_eq!(added.status.code(), Some(1), "{room}: {told}");
                assert_asks_for_room(&told, "data/vault/");
                assert!(!told.contains("token-of-bob"), "{told}");
            }
            succeeds(&fixture, &["vault", "verify"]);
            let listed = succeeds(&fixture, &["auth", "list"]);
            assert_eq!(listed.contains("ann"), begun, "{room}: {listed}");
            assert_eq!(
                listed.contains("bob"),
                added.status.success(),
                "{room}: {listed}"
            );
            if added.status.success() {
                succeeds(
                    &fixture,
                    &["auth", "disconnect", "slack", "--profile", "bob"],
                );
            }
        }
        assert!(refused >= 3, "{refused} had no room");
        let added = fixture.holster_with(&add("bob"), "token-of-bob\n");
        assert!(added.status.success(), "{}", said(&added));
        let listed = succeeds(&fixture, &["auth", "list"]);
        assert!(listed.contains("bob"), "{listed}");
        assert_eq!(listed.contains("ann"), begun, "{listed}");
    }
}

#[test]
fn code_that_cannot_be_cached_runs_all_the_same() {
    let arguments = report_arguments().to_string();
    let call = ["call", "report", &arguments];
    for room in [MEMORY, 5 * MEMORY] {
        let fixture = Fixture::new("");
        fixture.plug_in(&component("parity-rust"));
        let called = with_room(&fixture, room, &call, "");
        let told = said(&called);
        assert!(called.status.success(), "{room}: {told}");
        assert!(told.contains("is not cached"), "{room}: {told}");
        assert_asks_for_room(&told, "code/");
        let left = fixture.files().into_iter().filter(|file| is_code(file));
        assert_eq!(left.collect::<Vec<_>>(), [] as [PathBuf; 0], "{room}");
        succeeds(&fixture, &["cache", "verify"]);

        succeeds(&fixture, &call);
        let cached = succeeds(&fixture, &["cache", "list"]);
        assert!(cached.contains("report"), "{room}: {cached}");
        // What is cached already needs no room.
        let called = with_room(&fixture, MEMORY, &call, "");
        let told = said(&called);
        assert!(called.status.success(), "{told}");
        assert!(!told.contains("is not cached"), "{told}");
    }
}

#[test]
fn a_cache_that_cannot_even_be_begun_stops_no_start() {
    let fixture = Fixture::new("");
    let listed = with_room(&fixture, 0, &["tools"], "");
    let told = said(&listed);
    assert!(listed.status.success(), "{told}");
    assert!(told.contains("the code cache cannot be made"), "{told}");
    assert_asks_for_room(&told, &fixture.path("").to_string_lossy());
    succeeds(&fixture, &["cache", "verify"]);
    fixture.plug_in(&component("parity-rust"));
    succeeds(&fixture, &["tools"]);
    let cached = succeeds(&fixture, &["cache", "list"]);
    assert!(cached.contains("report"), "{cached}");
}

/// Whether a file is a part of an entry, or was to be one.
fn is_code(file: &Path) -> bool {
    file.ends_with("code") || file.ends_with("manifest") || file.to_string_lossy().contains(".tmp-")
}

/// A call that needs no account.
async fn report(client: &Client<'_>) {
    let answer = client.call("report", report_arguments()).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_uses_cannot_be_put_on_record_no_account_is_used_and_all_else_goes_on() {
    let api = LoopbackApi::start().await.unwrap();
    let fixture = audit::connected(&api);
    let mut command = HttpServer::command(&fixture);
    // What it says lies on the same disk.
    command.stderr(File::create(fixture.path("log")).unwrap());
    let server = HttpServer::start_as(command);
    let client = as_nobody(&server);
    assert_eq!(fetch(&server, "work").await.status, StatusCode::OK);
    let log = audit::segment(&fixture);
    api.take_requests();
    let mut reports = 0;
    // The last ones are room for a part of a line.
    let size = fs::metadata(&log).unwrap().len();
    for room in [0, size, size + 1, size + 100] {
        leave_room(&server, Some(room));
        let refused = fetch(&server, "work").await;
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "{room}");
        assert_eq!(refused.body["type"], "no_record", "{}", refused.body);
        assert_asks_for_room(refused.body["detail"].as_str().unwrap(), "data/audit");
        assert_eq!(api.take_requests().len(), 0, "{room}");
        report(&client).await;
        reports += 1;
        succeeds(&fixture, &["audit", "verify"]);
    }
    leave_room(&server, None);
    assert_eq!(fetch(&server, "work").await.status, StatusCode::OK);
    assert!(server.end(Duration::from_secs(10)));
    succeeds(&fixture, &["audit", "verify"]);
    // What could not be written then is there by now.
    let ended = |tool: &str, how: &str| {
        let lines = audit::lines(&fixture, &["--tool", tool]);
        lines.iter().filter(|line| line["ended"] == how).count()
    };
    assert_eq!(ended("report", "finished"), reports);
    assert_eq!(ended("fetch", "finished"), 2);
    assert_eq!(ended("fetch", "failed"), reports);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_that_cannot_be_written_is_none_and_forgets_none() {
    let api = LoopbackApi::start().await.unwrap();
    let fixture = audit::connected(&api);
    let fetch = ["call", "fetch", "--profile", "work"];
    succeeds(&fixture, &fetch);
    let file = fixture.path("data/policy/approved.json");
    let approved = fs::read(&file).unwrap();
    let other = with_note(&fs::read(component("parity-rust")).unwrap(), "another one");
    fixture.plug_in_bytes(&other, "parity-rust.wasm");
    succeeds(&fixture, &["tools"]);

    let approve = ["policy", "approve", "parity-rust", "--yes"];
    for room in [0, 100] {
        let refused = with_room(&fixture, room, &approve, "");
        assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
        assert_asks_for_room(&said(&refused), "approved.json");
        assert_eq!(fs::read(&file).unwrap(), approved);
        let refused = fixture.holster(&fetch);
        assert!(
            said(&refused).contains("policy approve"),
            "{}",
            said(&refused)
        );
    }
    succeeds(&fixture, &approve);
    succeeds(&fixture, &fetch);
}

/// How long an access token lives.
const LIFE: Duration = Duration::from_secs(1);

/// A machine whose account has a token that is over; the provider has been asked for nothing since.
async fn with_a_token_that_is_over(
    options: Options,
) -> (LoopbackApi, IdentityProvider, Fixture, HttpServer) {
    let options = Options {
        access_token: LIFE,
        ..options
    };
    let (api, provider, fixture) = oauth_machine(options).await;
    let server = HttpServer::start(&fixture);
    consented(&server, &provider, "work").await;
    provider.reset().await.unwrap();
    sleep(LIFE).await;
    (api, provider, fixture, server)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_not_renewed_before_there_is_room_for_what_that_brings() {
    let (_api, provider, _fixture, server) = with_a_token_that_is_over(Options::default()).await;
    leave_room(&server, Some(0));
    let refused = fetch(&server, "work").await;
    assert!(refused.status.is_server_error(), "{}", refused.status);
    assert_asks_for_room(refused.body["detail"].as_str().unwrap(), "data/vault/");
    assert_eq!(provider.stats().await.unwrap().refresh, 0);

    leave_room(&server, None);
    let answer = fetch(&server, "work").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let stats = provider.stats().await.unwrap();
    assert_eq!((stats.refresh, stats.errors), (1, Vec::new()));
}

/// How many are on record, which each is once it is stored.
fn renewals(fixture: &Fixture) -> usize {
    let lines = audit::lines(fixture, &["--provider", "slack"]);
    let renewals = lines.iter().filter(|line| line["action"] == "refreshed");
    renewals.count()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_refresh_has_brought_serves_and_is_stored_once_there_is_room() {
    let options = Options {
        token_delay: LIFE / 2,
        ..Options::default()
    };
    let (_api, provider, fixture, server) = with_a_token_that_is_over(options).await;
    let calling = tokio::spawn(fetch_of(&server, "work"));
    // The answer is on its way.
    while provider.stats().await.unwrap().refresh == 0 {
        sleep(LIFE / 100).await;
    }
    // The record of the use comes first, and is a smaller file than the vault is.
    leave_room(&server, Some(16 << 10));
    let answer = calling.await.unwrap().unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "{answer:?}");
    assert_eq!(renewals(&fixture), 0);

    leave_room(&server, None);
    eventually("the renewed token is stored", || renewals(&fixture) == 1).await;
    drop(server);
    let server = HttpServer::start(&fixture);
    let answer = fetch(&server, "work").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(provider.stats().await.unwrap().errors, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_comes_back_while_there_is_no_room_can_come_back_once_more() {
    let (_api, provider, fixture) = oauth_machine(Options::default()).await;
    let server = HttpServer::start(&fixture);
    let waiting = fetch(&server, "work").await;
    let mut browser = Browser::default();
    let back = connecting::log_in(&mut browser, &provider, &page_of(&waiting)).await;
    leave_room(&server, Some(0));
    let failed = browser.get(&back).await.unwrap();
    assert!(failed.status().is_server_error(), "{}", failed.status());
    let page = String::from_utf8_lossy(failed.body()).into_owned();
    assert!(!page.contains(back.query().unwrap()), "{page}");
    let still = fetch(&server, "personal").await;
    assert!(still.status.is_server_error(), "{}", still.body);
    assert_asks_for_room(still.body["detail"].as_str().unwrap(), "data/vault/");
    report(&as_nobody(&server)).await;

    leave_room(&server, None);
    let taken = browser.get(&back).await.unwrap();
    assert_eq!(taken.status(), StatusCode::SEE_OTHER);
    assert_eq!(fetch(&server, "work").await.status, StatusCode::OK);
}
