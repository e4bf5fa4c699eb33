//! Planted secrets, and every command of the program: none may be printed, logged, or kept in the open.
//!
//! The commands are those that `--help` names, so that a new one cannot be forgotten here. Logs are at their fullest.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use holster_tests::loopback_api::LoopbackApi;
use holster_tests::{Fixture, HttpServer, McpClient, Protocol, component};
use serde_json::json;

use crate::connecting;
use crate::mcp::{enter, report};

/// In the vault; what the API accepts, since it has to come to its use.
const STORED: &str = "work-slack-token";
/// Entered at the prompt, and refused by the API.
const ENTERED: &str = "planted-entered-5d0c7f";
/// In a file that the configuration names.
const IN_FILE: &str = "planted-in-a-file-91be24";
/// In a variable that the configuration names.
const IN_VARIABLE: &str = "planted-in-a-variable-c07a3e";
/// The secret of an OAuth client, in a file that the configuration names.
const OF_CLIENT: &str = "planted-of-a-client-2f68bd";
/// What opens the vault's key.
const PASSPHRASE: &str = "planted-passphrase-e4419a";
/// What opens an export.
const EXPORT: &str = "planted-export-passphrase-7b30d5";

const PLANTED: [&str; 7] = [
    STORED,
    ENTERED,
    IN_FILE,
    IN_VARIABLE,
    OF_CLIENT,
    PASSPHRASE,
    EXPORT,
];

/// What each command is run with, and what stands on its standard input. A command may stand here more than once.
const COMMANDS: &[(&str, &[&str], &str)] = &[
    ("tools", &[], ""),
    ("call", &["fetch", "--profile", "work"], ""),
    ("call", &["fetch", "--profile", "file"], ""),
    ("call", &["fetch", "--profile", "variable"], ""),
    ("call", &["account", "--profile", "work"], ""),
    ("call", &["fetch", "--profile", "nobody"], ""),
    ("call", &["fetch", "--profile", "nobody", "--wait", "1"], ""),
    ("call", &["misuse", "{\"kind\": \"trap\"}"], ""),
    ("call", &["fetch", "{\"token\": \"x\"}"], ""),
    ("audit list", &[], ""),
    ("audit list", &["--json"], ""),
    ("audit verify", &[], ""),
    ("policy list", &[], ""),
    ("policy explain", &["fetch"], ""),
    ("policy approve", &["parity-rust", "--yes"], ""),
    ("mcp", &[], ""),
    ("serve", &["--listen", "0.0.0.0:0"], ""),
    ("key new", &["agent"], ""),
    ("check", &["plugins/parity-rust.wasm"], ""),
    ("inspect", &["plugins/parity-rust.wasm"], ""),
    (
        "auth connect",
        &["slack", "--profile", "new", "--wait", "1"],
        "",
    ),
    (
        "auth connect",
        &["github", "--profile", "new", "--wait", "1"],
        "",
    ),
    (
        "auth add",
        &["slack", "--profile", "other", "--stdin"],
        ENTERED,
    ),
    (
        "auth add",
        &["slack", "--profile", "file", "--stdin"],
        ENTERED,
    ),
    ("call", &["fetch", "--profile", "other"], ""),
    ("auth list", &[], ""),
    ("auth default", &["slack", "work"], ""),
    ("auth prepare", &["fetch", "--profile", "nobody"], ""),
    ("auth wait", &["--timeout", "1"], ""),
    ("auth serve", &["--while-needed", "--no-such-option"], ""),
    ("auth disconnect", &["slack", "--profile", "other"], ""),
    ("profiles", &[], ""),
    ("providers list", &[], ""),
    ("providers show", &["slack"], ""),
    ("providers check", &["providers/slack.toml"], ""),
    ("vault verify", &[], ""),
    ("vault rotate-key", &[], ""),
    ("vault export", &["export.age", "--stdin"], EXPORT),
    (
        "vault import",
        &["export.age", "--stdin", "--replace"],
        EXPORT,
    ),
    ("cache list", &[], ""),
    ("cache verify", &[], ""),
    ("cache warm", &[], ""),
    ("cache clear", &[], ""),
    ("schema", &[], ""),
    ("completions", &["bash"], ""),
];

/// The commands that do something, as the program names them itself.
fn commands(fixture: &Fixture, above: &[&str]) -> BTreeSet<String> {
    let output = fixture.holster(&[above, &["--help"]].concat());
    let help = String::from_utf8(output.stdout).unwrap();
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names: Vec<_> = listed
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|name| !name.is_empty() && *name != "help")
        .collect();
    if names.is_empty() {
        return BTreeSet::from([above.join(" ")]);
    }
    let below = |name| commands(fixture, &[above, &[name]].concat());
    names.into_iter().flat_map(below).collect()
}

/// A secret in every spelling in which it could be read at a glance.
fn spellings(secret: &str) -> Vec<Vec<u8>> {
    let hex = secret.bytes().map(|byte| format!("{byte:02x}"));
    // Where it stands in a longer text, base64 comes in three forms; the ends depend on what is beside it.
    let within = (0..3).map(|offset| {
        let text = [&b"xx"[..offset], secret.as_bytes()].concat();
        let encoded = STANDARD_NO_PAD.encode(text);
        encoded[4..encoded.len() - 4].to_owned()
    });
    let all = within.chain([
        secret.to_owned(),
        hex.collect(),
        secret.chars().rev().collect(),
        URL_SAFE_NO_PAD.encode(secret),
    ]);
    all.map(String::into_bytes).collect()
}

fn assert_none(place: &str, bytes: &[u8]) {
    for secret in PLANTED {
        for spelling in spellings(secret) {
            let found = bytes
                .windows(spelling.len())
                .any(|part| part == spelling.as_slice());
            assert!(!found, "a planted secret stands in {place}");
        }
    }
}

fn configuration() -> &'static str {
    "[profiles.work]\n[profiles.nobody]\n\
     [profiles.file.credentials.slack]\ntoken = { file = 'slack-token' }\n\
     [profiles.variable.credentials.slack]\ntoken = { env = 'PLANTED_SLACK' }\n\
     [providers.github.client]\nid = 'client'\nsecret = { file = 'client-secret' }\n"
}

fn planted(fixture: &Fixture, arguments: &[&str]) -> Command {
    let mut command = fixture.command(arguments);
    command
        .env("HOLSTER_LOG", "trace")
        .env("HOLSTER_VAULT_PASSPHRASE", PASSPHRASE)
        .env("PLANTED_SLACK", IN_VARIABLE)
        .env("RUST_BACKTRACE", "full");
    command
}

fn run(fixture: &Fixture, arguments: &[&str], input: &str) -> Output {
    use std::io::Write as _;
    let mut process = planted(fixture, arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that reads no input may have ended already.
    let _ = writeln!(process.stdin.take().unwrap(), "{input}");
    process.wait_with_output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_command_shows_or_keeps_a_secret_in_the_open() {
    let api = LoopbackApi::start().await.unwrap();
    let fixture = connecting::fixture(&api, configuration());
    fixture.write_private("slack-token", IN_FILE);
    fixture.write_private("client-secret", OF_CLIENT);
    let fixture = std::sync::Arc::new(fixture);
    let for_commands = std::sync::Arc::clone(&fixture);
    tokio::task::spawn_blocking(move || run_all(&for_commands))
        .await
        .unwrap();

    for path in fixture.files() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name != "slack-token" && name != "client-secret" {
            assert_none(&name, &fs::read(&path).unwrap());
        }
    }
    // They were used, or else there would be nothing to find.
    let sent: Vec<_> = api
        .take_requests()
        .into_iter()
        .filter_map(|request| {
            Some(
                request
                    .headers
                    .get("authorization")?
                    .to_str()
                    .ok()?
                    .to_owned(),
            )
        })
        .collect();
    for used in [STORED, IN_FILE, IN_VARIABLE, ENTERED] {
        let bearer = format!("Bearer {used}");
        assert!(sent.contains(&bearer), "{used} was never used: {sent:?}");
    }
}

fn run_all(fixture: &Fixture) {
    let covered: BTreeSet<_> = COMMANDS
        .iter()
        .map(|(name, ..)| (*name).to_owned())
        .collect();
    assert_eq!(covered, commands(fixture, &[]), "each command is run here");
    let added = run(
        fixture,
        &["auth", "add", "slack", "--profile", "work", "--stdin"],
        STORED,
    );
    let said = String::from_utf8_lossy(&added.stderr).into_owned();
    assert!(added.status.success(), "{said}");
    for (name, more, input) in COMMANDS {
        for json in [&[][..], &["--json"]] {
            let arguments: Vec<_> = json.iter().copied().chain(name.split(' ')).collect();
            let arguments = [&arguments, *more].concat();
            let output = run(fixture, &arguments, input);
            assert_none(&format!("the output of {arguments:?}"), &output.stdout);
            assert_none(&format!("the log of {arguments:?}"), &output.stderr);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_server_shows_a_secret_that_it_uses() {
    let api = LoopbackApi::start().await.unwrap();
    let more = format!("connect.address = '127.0.0.1:0'\n{}", configuration());
    let fixture = connecting::fixture(&api, &more);
    fixture.write_private("slack-token", IN_FILE);
    fixture.write_private("client-secret", OF_CLIENT);

    let version = Protocol::V2026_07_28;
    let log = fixture.path("mcp.log");
    let command = |arguments: &[&str]| {
        let mut command = planted(&fixture, arguments);
        command.stderr(fs::File::create(&log).unwrap());
        command
    };
    let shows = json!({ "elicitation": { "url": {} } });
    let mut client = McpClient::start_as(command(&["mcp", "--profile", "work"]), version, shows);
    let asked = client.call("fetch", json!({}));
    let request = asked["inputRequests"].as_object().unwrap().values().next();
    let page = request.unwrap()["params"]["url"].as_str().unwrap();
    enter(&page.parse().unwrap(), STORED).await;
    let more = json!({ "requestState": asked["requestState"] });
    let answer = client.call_with("fetch", json!({}), more);
    assert_eq!(answer["structuredContent"]["user"], "ann", "{answer}");
    let all = [
        asked,
        answer,
        client.call("report", report()),
        client.call("account", json!({})),
    ];
    for message in all.iter().chain(&client.messages) {
        assert_none("a message", message.to_string().as_bytes());
    }
    assert!(client.end());
    assert_none("the log of `holster mcp`", &fs::read(&log).unwrap());
}

/// Linux alone says of another process how large its cores may be.
#[cfg(target_os = "linux")]
#[test]
fn a_server_leaves_no_core_behind() {
    let fixture = Fixture::new("connect.address = '127.0.0.1:0'");
    fixture.plug_in(&component("parity-rust"));
    let server = HttpServer::start(&fixture);
    let limits = fs::read_to_string(format!("/proc/{}/limits", server.process())).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    let limits: Vec<_> = core.split_whitespace().skip(4).take(2).collect();
    assert_eq!(
        limits,
        ["0", "0"],
        "soft and hard, so that nobody raises it"
    );

    // As after a crash: everything that was in memory would be in the core.
    let killed = Command::new("kill")
        .args(["-ABRT", &server.process().to_string()])
        .status();
    assert!(killed.unwrap().success());
    let end = Instant::now() + Duration::from_secs(10);
    while fs::metadata(format!("/proc/{}/exe", server.process())).is_ok() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
    }
    let cores: Vec<_> = fixture
        .files()
        .into_iter()
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("core"))
        })
        .collect();
    assert_eq!(cores, Vec::<std::path::PathBuf>::new());
}
