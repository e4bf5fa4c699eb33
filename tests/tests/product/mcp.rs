//! `holster mcp`, as agents of three versions of the protocol see it.

use std::fs;
use std::time::Duration;

use holster_tests::loopback_api::LoopbackApi;
use holster_tests::{Fixture, McpClient, Protocol, component, with_note};
use identity_provider::Browser;
use serde_json::{Value, json};
use url::Url;

use crate::connecting::{self, address_in};

const VERSIONS: [Protocol; 3] = [
    Protocol::V2025_06_18,
    Protocol::V2025_11_25,
    Protocol::V2026_07_28,
];

pub(crate) fn report() -> Value {
    json!({
        "title": "Tides", "ratio": 0.5, "level": "high", "tags": ["sea", "moon"], "author": { "name": "Ann" },
    })
}

fn shows_addresses() -> Value {
    json!({ "elicitation": { "form": {}, "url": {} } })
}

fn parity() -> Fixture {
    let fixture = Fixture::new("");
    fixture.plug_in(&component("parity-rust"));
    fixture
}

/// A tool that needs an account which nobody has connected.
async fn unconnected() -> (LoopbackApi, Fixture) {
    let api = LoopbackApi::start().await.unwrap();
    let fixture = connecting::fixture(&api, "[profiles.work]\n[profiles.personal]");
    (api, fixture)
}

/// What the person at this machine does at the page: enters a key of a provider.
pub(crate) async fn enter(page: &Url, secret: &str) {
    enter_in(&mut Browser::default(), page, secret).await;
}

/// The same in a browser that was there before.
pub(crate) async fn enter_in(browser: &mut Browser, page: &Url, secret: &str) {
    assert!(browser.get(page).await.unwrap().status().is_success());
    let origin = page.origin().ascii_serialization();
    let form = format!("way=enter:api_key&token={secret}");
    let sent = browser.post(page, &[("origin", &origin)], &form).await;
    let status = sent.unwrap().status();
    assert!(status.is_redirection() || status.is_success(), "{status}");
}

fn text(result: &Value) -> &str {
    result["content"][0]["text"]
        .as_str()
        .unwrap_or_else(|| panic!("{result}"))
}

fn page_in(request: &Value) -> Url {
    assert_eq!(request["mode"], "url", "{request}");
    request["url"].as_str().unwrap().parse().unwrap()
}

#[test]
fn every_version_lists_and_calls() {
    let fixture = parity();
    for version in VERSIONS {
        let mut client = McpClient::start(&fixture, &[], version, json!({}));
        let tools = client.tools();
        let names: Vec<_> = tools.iter().map(|tool| tool["name"].clone()).collect();
        assert_eq!(
            names,
            ["account", "fail", "fetch", "invite", "misuse", "report"]
        );
        let listed = tools.iter().find(|tool| tool["name"] == "report").unwrap();
        assert_eq!(
            listed["annotations"],
            json!({ "readOnlyHint": true, "idempotentHint": true, "openWorldHint": false })
        );
        assert_eq!(listed["inputSchema"]["properties"]["count"]["default"], 10);

        let result = client.call("report", report());
        assert_eq!(result["structuredContent"]["total"], 5.0, "{result}");
        let shown: Value = serde_json::from_str(text(&result)).unwrap();
        assert_eq!(shown, result["structuredContent"]);
        assert!(client.end(), "{version:?}");
    }
}

#[test]
fn schemas_are_listed_as_the_author_wrote_them() {
    let fixture = parity();
    let output = fixture.holster(&["--json", "tools"]);
    let known: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut client = McpClient::start(&fixture, &[], Protocol::V2025_11_25, json!({}));
    for tool in client.tools() {
        let known = known["tools"].as_array().unwrap();
        let known = known.iter().find(|known| known["name"] == tool["name"]);
        let known = known.unwrap();
        assert_eq!(tool["inputSchema"], known["input_schema"]);
        assert_eq!(tool["outputSchema"], known["output_schema"]);
        assert_eq!(tool["description"], known["description"]);
    }
}

#[test]
fn what_the_model_can_mend_is_a_result_and_what_it_cannot_is_an_error() {
    let fixture = parity();
    let mut client = McpClient::start(&fixture, &[], Protocol::V2025_11_25, json!({}));
    for (tool, arguments, part) in [
        ("report", json!({}), "do not fit the input schema"),
        ("fail", json!({ "kind": "failed" }), "as asked"),
        ("fail", json!({ "kind": "rate-limited" }), "wait 7 s"),
        ("misuse", json!({ "kind": "trap" }), "crashed"),
        ("misuse", json!({ "kind": "large" }), "larger than"),
    ] {
        let result = client.call(tool, arguments);
        assert_eq!(result["isError"], true, "{tool}: {result}");
        assert!(text(&result).contains(part), "{result}");
    }
    let error = client.call("reprot", json!({}));
    assert_eq!(error["code"], -32602);
    assert!(
        error["message"].as_str().unwrap().contains("`report`"),
        "{error}"
    );
    let error = client.call("not a name", json!({}));
    assert_eq!(error["code"], -32602, "{error}");
    assert!(client.end());
}

#[test]
fn lines_that_are_no_messages_end_nothing() {
    let fixture = parity();
    let mut client = McpClient::start(&fixture, &[], Protocol::V2025_11_25, json!({}));
    for nonsense in [
        json!([]),
        json!("x"),
        json!({ "jsonrpc": "1.0", "id": 7, "method": "tools/list" }),
        json!({ "jsonrpc": "2.0", "method": "notifications/unknown" }),
    ] {
        client.send(&nonsense);
    }
    let answer = client.request("no/such/method", json!({}));
    assert_eq!(answer["error"]["code"], -32601, "{answer}");
    let result = client.call("report", report());
    assert_eq!(result["structuredContent"]["total"], 5.0);
}

#[test]
fn a_cancelled_call_stops_the_guest() {
    let fixture = Fixture::new("[limits]\ntime_ms = 600000\n[engine]\nconcurrent_calls = 1");
    fixture.plug_in(&component("parity-rust"));
    let mut client = McpClient::start(&fixture, &[], Protocol::V2025_11_25, json!({}));
    client.tools();
    let spin = json!({ "name": "misuse", "arguments": { "kind": "spin" } });
    let spinning = client.begin("tools/call", spin);
    client.notify("notifications/cancelled", &json!({ "requestId": spinning }));
    // There is room for one call at once: this one runs only if the other one has ended.
    let result = client.call("report", report());
    assert_eq!(result["structuredContent"]["total"], 5.0, "{result}");
}

#[test]
fn a_client_is_answered_while_guests_spin() {
    let fixture = Fixture::new("[limits]\ntime_ms = 600000");
    fixture.plug_in(&component("parity-rust"));
    let mut client = McpClient::start(&fixture, &[], Protocol::V2025_11_25, json!({}));
    client.tools();
    let spin = json!({ "name": "misuse", "arguments": { "kind": "spin" } });
    let spinning: Vec<_> = (0..8)
        .map(|_| client.begin("tools/call", spin.clone()))
        .collect();
    for _ in 0..3 {
        assert!(client.request("ping", json!({})).get("result").is_some());
    }
    let result = client.call("report", report());
    assert_eq!(result["structuredContent"]["total"], 5.0, "{result}");
    for id in spinning {
        client.notify("notifications/cancelled", &json!({ "requestId": id }));
    }
    assert!(client.end());
}

#[test]
fn a_component_that_comes_later_is_announced_once_it_can_be_called() {
    for version in VERSIONS {
        let fixture = parity();
        let mut client = McpClient::start(&fixture, &[], version, json!({}));
        assert_eq!(client.tools().len(), 6);
        if version == Protocol::V2026_07_28 {
            let wanted = json!({ "notifications": { "toolsListChanged": true } });
            client.begin("subscriptions/listen", wanted);
            client.await_method("notifications/subscriptions/acknowledged");
        }
        fixture.plug_in(&component("text-statistics"));
        client.await_method("notifications/tools/list_changed");
        let result = client.call("text_statistics", json!({ "text": "a b" }));
        assert_eq!(result["structuredContent"]["words"], 2, "{result}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_shows_no_addresses_reads_where_the_person_has_to_go() {
    let (_api, fixture) = unconnected().await;
    for (version, capabilities, profile) in [
        (Protocol::V2025_06_18, json!({ "elicitation": {} }), "work"),
        (Protocol::V2026_07_28, json!({}), "personal"),
    ] {
        let arguments = ["--profile", profile];
        let mut client = McpClient::start(&fixture, &arguments, version, capabilities);
        let result = client.call("fetch", json!({}));
        assert_eq!(result["isError"], true, "{result}");
        let page = address_in(text(&result)).unwrap();
        assert!(page.path().starts_with("/connect/"), "{page}");
        assert_eq!(page.query(), None);
        let missing = &result["_meta"]["holster/interrupt"][0];
        assert_eq!(
            (&missing["provider"], &missing["profile"], &missing["url"]),
            (&json!("slack"), &json!(profile), &json!(page))
        );

        enter(&page, "work-slack-token").await;
        let result = client.call("fetch", json!({}));
        assert_eq!(result["structuredContent"]["user"], "ann", "{result}");
        assert_eq!(
            result["_meta"]["holster/accounts"],
            json!([{ "provider": "slack", "profile": profile, "account": "ann" }])
        );
        assert!(!result.to_string().contains("work-slack-token"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_shows_addresses_is_asked_while_the_call_waits() {
    let (_api, fixture) = unconnected().await;
    let version = Protocol::V2025_11_25;
    let mut client = McpClient::start(&fixture, &["--profile", "work"], version, shows_addresses());
    let call = json!({ "name": "fetch", "arguments": {}, "_meta": { "progressToken": "p" } });

    // The person says no.
    let waiting = client.begin("tools/call", call.clone());
    let asked = client.await_method("elicitation/create");
    let answer = json!({ "action": "decline" });
    client.send(&json!({ "jsonrpc": "2.0", "id": asked["id"], "result": answer }));
    let answer = client.answer(waiting);
    assert_eq!(answer["result"]["isError"], true, "{answer}");

    // The person connects the account.
    let waiting = client.begin("tools/call", call);
    let asked = client.await_method("elicitation/create");
    let page = page_in(&asked["params"]);
    let answer = json!({ "action": "accept" });
    client.send(&json!({ "jsonrpc": "2.0", "id": asked["id"], "result": answer }));
    let progress = client.await_method("notifications/progress");
    assert_eq!(progress["params"]["progressToken"], "p");
    enter(&page, "work-slack-token").await;
    let done = client.await_method("notifications/elicitation/complete");
    assert_eq!(
        done["params"]["elicitationId"],
        asked["params"]["elicitationId"]
    );
    let answer = client.answer(waiting);
    assert_eq!(
        answer["result"]["structuredContent"]["user"], "ann",
        "{answer}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_on_brings_the_state_that_it_was_given() {
    let (_api, fixture) = unconnected().await;
    let version = Protocol::V2026_07_28;
    let mut client = McpClient::start(&fixture, &["--profile", "work"], version, shows_addresses());
    let asked = client.call("fetch", json!({}));
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    let requests = asked["inputRequests"].as_object().unwrap();
    let (id, request) = requests.iter().next().unwrap();
    assert_eq!(request["method"], "elicitation/create");
    enter(&page_in(&request["params"]), "work-slack-token").await;

    let state = &asked["requestState"];
    let accepted = json!({ id: { "action": "accept" } });
    let result = client.call_with(
        "fetch",
        json!({}),
        json!({ "requestState": state, "inputResponses": accepted }),
    );
    assert_eq!(result["structuredContent"]["user"], "ann", "{result}");

    // The same state once more.
    let error = client.call_with("fetch", json!({}), json!({ "requestState": state }));
    assert_eq!(error["code"], -32602, "{error}");
    assert!(
        error["message"].as_str().unwrap().contains("used"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_declines_is_not_asked_again_by_the_same_call() {
    let (_api, fixture) = unconnected().await;
    let version = Protocol::V2026_07_28;
    let mut client = McpClient::start(&fixture, &["--profile", "work"], version, shows_addresses());
    let asked = client.call("fetch", json!({}));
    let id = asked["inputRequests"].as_object().unwrap().keys().next();
    let declined = json!({ id.unwrap(): { "action": "decline" } });
    let result = client.call_with(
        "fetch",
        json!({}),
        json!({ "requestState": asked["requestState"], "inputResponses": declined }),
    );
    assert_eq!(result["isError"], true, "{result}");
    assert!(text(&result).contains("does not want"), "{result}");
}

/// A request state of a call of `fetch` in the thread `t` by profile `work`.
fn state(client: &mut McpClient) -> Value {
    let mut asked = client.call("fetch", json!({}));
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    asked["requestState"].take()
}

fn resumer(fixture: &Fixture, profile: &str, thread: &str) -> McpClient {
    let arguments = ["--profile", profile, "--thread", thread];
    McpClient::start(
        fixture,
        &arguments,
        Protocol::V2026_07_28,
        shows_addresses(),
    )
}

fn assert_foreign(error: &Value) {
    assert_eq!(error["code"], -32602, "{error}");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("belongs to another"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_state_that_was_altered_is_refused() {
    let (_api, fixture) = unconnected().await;
    let mut client = resumer(&fixture, "work", "t");
    let mut altered = state(&mut client).as_str().unwrap().to_owned();
    let first = if altered.starts_with('A') { "B" } else { "A" };
    altered.replace_range(..1, first);
    for forged in [altered.as_str(), "", "x", "null"] {
        let more = json!({ "requestState": forged });
        assert_foreign(&client.call_with("fetch", json!({}), more));
    }
    let more = json!({ "inputResponses": { "x": { "action": "accept" } } });
    let error = client.call_with("fetch", json!({}), more);
    assert_eq!(error["code"], -32602, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_state_of_another_user_profile_or_conversation_is_refused() {
    let (_api, fixture) = unconnected().await;
    let state = state(&mut resumer(&fixture, "work", "t"));
    for (profile, thread) in [("personal", "t"), ("work", "other")] {
        let mut other = resumer(&fixture, profile, thread);
        let more = json!({ "requestState": state });
        assert_foreign(&other.call_with("fetch", json!({}), more));
    }
    // It was not used up by that; and another process of the same user may go on.
    let more = json!({ "requestState": state });
    let asked = resumer(&fixture, "work", "t").call_with("fetch", json!({}), more);
    assert_eq!(asked["resultType"], "input_required", "{asked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_state_of_other_arguments_or_another_tool_is_refused() {
    let (_api, fixture) = unconnected().await;
    let mut client = resumer(&fixture, "work", "t");
    let state = state(&mut client);
    for (tool, arguments) in [("fetch", json!({ "more": 1 })), ("account", json!({}))] {
        let more = json!({ "requestState": state });
        assert_foreign(&client.call_with(tool, arguments, more));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_state_of_another_version_of_the_component_is_refused() {
    let (_api, fixture) = unconnected().await;
    let mut client = resumer(&fixture, "work", "t");
    let state = state(&mut client);
    let bytes = fs::read(component("parity-rust")).unwrap();
    fixture.plug_in_bytes(&with_note(&bytes, "another version"), "parity-rust.wasm");
    // Its tools are the same, so nothing is announced: asked anew until the new one serves.
    let refused = (0..100).find_map(|_| {
        std::thread::sleep(Duration::from_millis(100));
        let more = json!({ "requestState": state });
        let answer = client.call_with("fetch", json!({}), more);
        answer.get("code").is_some().then_some(answer)
    });
    let refused = refused.expect("it is refused once the new version serves");
    let message = refused["message"].as_str().unwrap();
    assert!(
        message.contains("belongs to another") || message.contains("used"),
        "{refused}"
    );
}

#[test]
fn an_agent_chooses_among_the_users_own_profiles_where_it_may() {
    let fixture = Fixture::new("[profiles.work]\n[profiles.personal]");
    fixture.plug_in(&component("parity-rust"));
    let version = Protocol::V2025_11_25;
    let mut client = McpClient::start(&fixture, &["--agent-chooses-profile"], version, json!({}));
    for tool in client.tools() {
        let choice = &tool["inputSchema"]["properties"]["holster_profile"]["enum"];
        assert_eq!(choice, &json!(["default", "personal", "work"]), "{tool}");
    }
    let mut arguments = report();
    arguments["holster_profile"] = "work".into();
    let result = client.call("report", arguments.clone());
    assert_eq!(result["structuredContent"]["total"], 5.0, "{result}");
    arguments["holster_profile"] = "somebody-elses".into();
    let error = client.call("report", arguments.clone());
    assert_eq!(error["code"], -32602, "{error}");

    let mut client = McpClient::start(&fixture, &["--profile", "work"], version, json!({}));
    assert!(!client.tools()[0].to_string().contains("holster_profile"));
    let refused = client.call("account", json!({ "holster_profile": "personal" }));
    assert!(text(&refused).contains("do not fit"), "{refused}");
}
