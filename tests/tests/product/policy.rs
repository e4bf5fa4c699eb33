//! What a component may do is for the content that it was meant for, and not for what somebody puts in its place.

use std::fs;
use std::time::{Duration, Instant};

use holster_tests::loopback_api::LoopbackApi;
use holster_tests::{Fixture, HttpServer, component, said, with_note};
use http::StatusCode;
use serde_json::{Value, json};

use crate::connecting;
use crate::mcp::report;
use crate::serve::as_nobody;

/// An installation with an account, and a component that may use it.
fn connected(api: &LoopbackApi, more: &str) -> Fixture {
    let fixture = connecting::fixture(api, &format!("connect.address = '127.0.0.1:0'\n{more}"));
    let added = fixture.holster_with(&["auth", "add", "slack", "--stdin"], "work-slack-token\n");
    assert!(added.status.success(), "{}", said(&added));
    fixture
}

/// Another component in the place of the one that is there: it does the same, and nobody knows.
fn replace(fixture: &Fixture) {
    let bytes = fs::read(component("parity-rust")).unwrap();
    fixture.plug_in_bytes(&with_note(&bytes, "another one"), "parity-rust.wasm");
}

fn json_of(fixture: &Fixture, arguments: &[&str]) -> Value {
    let output = fixture.holster(&[&["--json"], arguments].concat());
    assert!(output.status.success(), "{}", said(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_was_replaced_gets_no_account_and_no_setting_until_it_is_approved() {
    let api = LoopbackApi::start().await.unwrap();
    let fixture = connected(&api, "");
    let fetch = || fixture.holster(&["call", "fetch"]);
    assert!(fetch().status.success());
    api.take_requests();
    replace(&fixture);

    let refused = fetch();
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    let told = said(&refused);
    assert!(
        told.contains("`holster policy approve parity-rust`"),
        "{told}"
    );
    assert!(api.take_requests().is_empty(), "nothing was sent");
    let prepared = fixture.holster(&["auth", "prepare", "fetch"]);
    assert!(!prepared.status.success(), "{}", said(&prepared));
    // What needs nothing goes on.
    let served = fixture.holster(&["call", "report", &report().to_string()]);
    assert!(served.status.success(), "{}", said(&served));
    assert_eq!(
        json_of(&fixture, &["policy", "list"])[0]["standing"],
        "changed"
    );
    let explained = json_of(&fixture, &["policy", "explain", "fetch"]);
    assert!(
        explained["cannot"]
            .to_string()
            .contains("has to be approved first"),
        "{explained}"
    );

    // A person decides: an agent or a script that is asked nothing approves nothing.
    let asked = fixture.holster(&["policy", "approve", "parity-rust"]);
    assert_eq!(asked.status.code(), Some(2), "{}", said(&asked));
    assert!(said(&asked).contains("are as before"), "{}", said(&asked));
    assert!(!fetch().status.success());
    let approved = fixture.holster(&["policy", "approve", "parity-rust", "--yes"]);
    assert!(approved.status.success(), "{}", said(&approved));
    assert!(fetch().status.success());
    let line = fixture.holster(&["audit", "list", "--last", "100"]);
    assert!(
        said(&line).contains("approved parity-rust"),
        "{}",
        said(&line)
    );

    // The one that was there before is the changed one now.
    fixture.plug_in(&component("parity-rust"));
    assert!(!fetch().status.success());
    let wrong = fixture.holster(&["policy", "approve", "parity-rusty", "--yes"]);
    assert_eq!(wrong.status.code(), Some(2), "{}", said(&wrong));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_is_replaced_under_a_server_loses_what_it_had_until_it_is_approved() {
    let api = LoopbackApi::start().await.unwrap();
    let fixture = connected(&api, "");
    let server = HttpServer::start(&fixture);
    let client = as_nobody(&server);
    assert_eq!(client.call("fetch", json!({})).await.status, StatusCode::OK);
    replace(&fixture);
    // Until the other one is compiled, the first serves.
    let end = Instant::now() + Duration::from_mins(1);
    let refused = loop {
        let answer = client.call("fetch", json!({})).await;
        if answer.status != StatusCode::OK {
            break answer;
        }
        assert!(Instant::now() < end, "it is not replaced");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.body);
    assert_eq!(refused.body["type"], "not_approved");
    // Another process approves it; the server learns of it by itself.
    let approved = fixture.holster(&["policy", "approve", "parity-rust", "--yes"]);
    assert!(approved.status.success(), "{}", said(&approved));
    assert_eq!(client.call("fetch", json!({})).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_says_when_to_be_asked() {
    let api = LoopbackApi::start().await.unwrap();
    let always = connected(&api, "policy.ask = 'always'");
    assert!(!always.holster(&["call", "fetch"]).status.success());
    assert_eq!(json_of(&always, &["policy", "list"])[0]["standing"], "new");
    let approved = always.holster(&["policy", "approve", "parity-rust", "--yes"]);
    let shown = said(&approved);
    for part in [
        "+ import",
        "+ tool     fetch",
        "+ account  slack",
        " for fetch",
    ] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
    assert!(always.holster(&["call", "fetch"]).status.success());

    let never = connected(&api, "policy.ask = 'never'");
    assert!(never.holster(&["call", "fetch"]).status.success());
    replace(&never);
    assert!(never.holster(&["call", "fetch"]).status.success());

    let wrong = connecting::fixture(&api, "policy.ask = 'sometimes'");
    let refused = wrong.holster(&["policy", "list"]);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert!(said(&refused).contains("`changed`"), "{}", said(&refused));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_tool_can_do_is_said_in_words() {
    let api = LoopbackApi::start().await.unwrap();
    let fixture = connected(&api, "");
    let shown = said(&fixture.holster(&["policy", "explain", "fetch"]));
    for part in [
        "`fetch`, of the component `parity-rust` (",
        "approved)",
        "- use an account at slack",
        "worth nothing elsewhere",
        &format!("- send that secret to {}", api.url()),
        "- read the settings base_url",
        "- take 30 s, 128 MiB of memory, 64 requests",
        "It cannot",
        "- reach any other host",
        "- read or write files",
    ] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
    let plain = said(&fixture.holster(&["policy", "explain", "report"]));
    assert!(plain.contains("- reach any host"), "{plain}");
    let wrong = fixture.holster(&["policy", "explain", "reprot"]);
    assert_eq!(wrong.status.code(), Some(2), "{}", said(&wrong));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_approved_and_was_damaged_lets_nobody_use_an_account() {
    let api = LoopbackApi::start().await.unwrap();
    let fixture = connected(&api, "");
    assert!(fixture.holster(&["call", "fetch"]).status.success());
    let files = fixture.files().into_iter();
    let mut approved = files.filter(|path| path.ends_with("policy/approved.json"));
    fs::write(approved.next().unwrap(), "{\"half").unwrap();
    let refused = fixture.holster(&["call", "fetch"]);
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    assert!(
        said(&refused).contains("what was approved cannot be read"),
        "{}",
        said(&refused)
    );
    let served = fixture.holster(&["call", "report", &report().to_string()]);
    assert!(served.status.success(), "{}", said(&served));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_of_a_provider_is_narrowed_to_the_part_that_the_policy_names() {
    let api = LoopbackApi::start().await.unwrap();
    let of = |methods: &str| {
        let rule = format!("{{ host = '{}', methods = [{methods}] }}", api.url());
        connected(&api, &format!("components.parity-rust.hosts = [{rule}]"))
    };
    let posts = of("'POST'");
    api.take_requests();
    let refused = posts.holster(&["call", "fetch"]);
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    let told = said(&refused);
    assert!(
        told.contains("the policy allows nothing of this host but POST"),
        "{told}"
    );
    assert!(api.take_requests().is_empty(), "nothing was sent");
    let explained = said(&posts.holster(&["policy", "explain", "fetch"]));
    let part = format!("- ask of {} anything but POST", api.url());
    assert!(explained.contains(&part), "{part} is not in {explained}");
    let gets = of("'GET', 'POST'");
    assert!(gets.holster(&["call", "fetch"]).status.success());
    let wrong = "components.parity-rust.hosts = [{ host = 'a.example', methods = ['post'] }]";
    let wrong = connecting::fixture(&api, wrong).holster(&["policy", "list"]);
    assert_eq!(wrong.status.code(), Some(2), "{}", said(&wrong));
    assert!(
        said(&wrong).contains("`post` is not a method"),
        "{}",
        said(&wrong)
    );
}
