//! What a tool says and asks while it runs, as clients of three versions of MCP see it.

use std::time::{Duration, Instant};

use holster_tests::{Fixture, McpClient, Protocol, component};
use serde_json::{Value, json};

use crate::mcp::report;

/// Those in which the server asks while a call waits.
const ASKING: [Protocol; 2] = [Protocol::V2025_06_18, Protocol::V2025_11_25];

fn fixture(limits: &str) -> Fixture {
    let fixture = Fixture::new(limits);
    fixture.plug_in(&component("parity-rust"));
    fixture
}

fn shows_forms(version: Protocol) -> Value {
    match version {
        Protocol::V2025_06_18 => json!({ "elicitation": {} }),
        _ => json!({ "elicitation": { "form": {} } }),
    }
}

fn invite(meta: &Value) -> Value {
    json!({ "name": "invite", "arguments": {}, "_meta": meta })
}

fn answer_to(client: &mut McpClient, question: &Value, answer: &Value) {
    client.send(&json!({ "jsonrpc": "2.0", "id": question["id"], "result": answer }));
}

fn ann() -> Value {
    json!({ "action": "accept", "content": { "name": "Ann", "guests": 2, "meal": "fish" } })
}

/// The parameters of the notifications of a kind that have come, and that no longer wait.
fn take(client: &mut McpClient, method: &str) -> Vec<Value> {
    let (taken, kept) = std::mem::take(&mut client.messages)
        .into_iter()
        .partition(|message| message["method"] == method);
    client.messages = kept;
    let taken: Vec<Value> = taken;
    taken
        .into_iter()
        .map(|message| message["params"].clone())
        .collect()
}

fn messages(client: &mut McpClient) -> Vec<Value> {
    let told = take(client, "notifications/message");
    told.iter().map(|told| told["data"].clone()).collect()
}

#[test]
fn progress_is_told_to_who_gave_a_token_before_the_answer() {
    let fixture = fixture("");
    for version in [ASKING[0], ASKING[1], Protocol::V2026_07_28] {
        let mut client = McpClient::start(&fixture, &[], version, json!({}));
        client.request("tools/call", invite(&json!({})));
        assert_eq!(
            take(&mut client, "notifications/progress"),
            [Value::Null; 0]
        );

        client.request("tools/call", invite(&json!({ "progressToken": "p" })));
        assert_eq!(
            take(&mut client, "notifications/progress"),
            [
                json!({ "progressToken": "p", "progress": 1.0, "total": 2.5, "message": "asking" }),
                json!({ "progressToken": "p", "progress": 2.0 }),
            ],
            "{version:?}"
        );
    }
}

#[test]
fn messages_are_told_from_the_level_that_a_session_wants() {
    let fixture = fixture("");
    for version in ASKING {
        let mut client = McpClient::start(&fixture, &[], version, json!({}));
        client.request("tools/call", invite(&json!({})));
        let told = take(&mut client, "notifications/message");
        assert_eq!(
            told[0],
            json!({ "level": "info", "logger": "invite", "data": "it begins: é€😀" })
        );
        assert_eq!(told[1]["data"], "it ends");

        for (level, expected) in [
            ("warning", vec!["it ends"]),
            ("error", vec![]),
            ("debug", vec!["it begins: é€😀", "it ends"]),
        ] {
            let answer = client.request("logging/setLevel", json!({ "level": level }));
            assert_eq!(answer["result"], json!({}), "{answer}");
            client.request("tools/call", invite(&json!({})));
            assert_eq!(messages(&mut client), expected, "{version:?} {level}");
        }
        let answer = client.request("logging/setLevel", json!({ "level": "loud" }));
        assert!(answer.get("error").is_some(), "{answer}");
    }
}

#[test]
fn a_stateless_client_says_in_each_request_which_messages_it_wants() {
    let fixture = fixture("");
    let mut client = McpClient::start(&fixture, &[], Protocol::V2026_07_28, json!({}));
    for (level, expected) in [
        (None, vec![]),
        (Some("warning"), vec!["it ends"]),
        (Some("info"), vec!["it begins: é€😀", "it ends"]),
        (None, vec![]),
    ] {
        let meta = level.map_or(
            json!({}),
            |level| json!({ "io.modelcontextprotocol/logLevel": level }),
        );
        client.request("tools/call", invite(&meta));
        assert_eq!(messages(&mut client), expected, "{level:?}");
    }
}

#[test]
fn a_client_that_shows_no_forms_is_not_asked() {
    let fixture = fixture("");
    for version in [ASKING[0], ASKING[1], Protocol::V2026_07_28] {
        for capabilities in [json!({}), json!({ "elicitation": { "url": {} } })] {
            let mut client = McpClient::start(&fixture, &[], version, capabilities);
            let result = client.call("invite", json!({}));
            assert_eq!(
                result["structuredContent"],
                json!({ "ended": "unsupported" }),
                "{result}"
            );
            assert_eq!(take(&mut client, "elicitation/create"), [Value::Null; 0]);
        }
    }
}

#[test]
fn a_person_is_asked_while_the_call_waits() {
    let fixture = fixture("");
    for version in ASKING {
        let mut client = McpClient::start(&fixture, &[], version, shows_forms(version));
        for (answer, expected) in [
            (
                ann(),
                json!({ "ended": "accept", "who": "Ann with 2 for fish" }),
            ),
            (
                json!({ "action": "decline" }),
                json!({ "ended": "decline" }),
            ),
            (json!({ "action": "cancel" }), json!({ "ended": "cancel" })),
        ] {
            let waiting = client.begin("tools/call", invite(&json!({})));
            let question = client.await_method("elicitation/create");
            let asked = &question["params"];
            assert_eq!(asked["message"], "Who comes to dinner?");
            let schema = &asked["requestedSchema"];
            assert_eq!(schema["required"], json!(["name", "meal"]), "{schema}");
            assert_eq!(
                schema["properties"]["meal"]["enum"],
                json!(["fish", "greens"])
            );
            answer_to(&mut client, &question, &answer);
            let result = client.answer(waiting);
            assert_eq!(result["result"]["structuredContent"], expected, "{result}");
        }
    }
}

#[test]
fn an_answer_that_does_not_fit_the_question_does_not_reach_the_tool() {
    let fixture = fixture("");
    let version = Protocol::V2025_11_25;
    let mut client = McpClient::start(&fixture, &[], version, shows_forms(version));
    for content in [
        json!({}),
        json!({ "name": "Ann", "meal": "venison" }),
        json!({ "name": "Ann", "meal": "fish", "more": 1 }),
        json!({ "name": "x".repeat(100_000), "meal": "fish" }),
    ] {
        let waiting = client.begin("tools/call", invite(&json!({})));
        let question = client.await_method("elicitation/create");
        let answer = json!({ "action": "accept", "content": content });
        answer_to(&mut client, &question, &answer);
        let result = client.answer(waiting);
        let text = result["result"]["content"][0]["text"].as_str().unwrap();
        assert!(text.contains("there is no answer"), "{result}");
    }
}

#[test]
fn the_time_of_a_call_stands_still_while_a_person_thinks() {
    let fixture = fixture("[limits]\ntime_ms = 1000");
    let version = Protocol::V2025_11_25;
    let mut client = McpClient::start(&fixture, &[], version, shows_forms(version));
    let waiting = client.begin("tools/call", invite(&json!({})));
    let question = client.await_method("elicitation/create");
    std::thread::sleep(Duration::from_millis(1500));
    answer_to(&mut client, &question, &ann());
    let result = client.answer(waiting);
    assert_eq!(
        result["result"]["structuredContent"]["ended"], "accept",
        "{result}"
    );
}

#[test]
fn a_call_that_is_cancelled_while_it_asks_ends() {
    let fixture = fixture("[engine]\nconcurrent_calls = 1");
    let version = Protocol::V2025_11_25;
    let mut client = McpClient::start(&fixture, &[], version, shows_forms(version));
    let waiting = client.begin("tools/call", invite(&json!({})));
    client.await_method("elicitation/create");
    client.notify("notifications/cancelled", &json!({ "requestId": waiting }));
    // There is room for one call at once: this one runs only if the other one has ended.
    let result = client.call("report", report());
    assert_eq!(result["structuredContent"]["total"], 5.0, "{result}");
}

#[test]
fn no_more_calls_wait_for_answers_than_leave_room_for_others() {
    let fixture = fixture("[engine]\nconcurrent_calls = 4");
    let version = Protocol::V2025_11_25;
    let mut client = McpClient::start(&fixture, &[], version, shows_forms(version));
    let first = client.begin("tools/call", invite(&json!({})));
    let question = client.await_method("elicitation/create");
    let refused = client.call("invite", json!({}));
    assert_eq!(refused["isError"], true, "{refused}");
    assert!(
        refused.to_string().contains("too many questions"),
        "{refused}"
    );
    answer_to(&mut client, &question, &ann());
    let result = client.answer(first);
    assert_eq!(
        result["result"]["structuredContent"]["ended"], "accept",
        "{result}"
    );
}

/// A stateless client, and what it was asked.
fn asked(fixture: &Fixture, arguments: &[&str]) -> (McpClient, Value) {
    let version = Protocol::V2026_07_28;
    let mut client = McpClient::start(fixture, arguments, version, shows_forms(version));
    let asked = client.call("invite", json!({}));
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    (client, asked)
}

fn go_on(asked: &Value, answer: &Value) -> Value {
    json!({ "requestState": asked["requestState"], "inputResponses": { "answer": answer } })
}

/// The parameters were refused, with these words among others.
fn assert_refused(error: &Value, words: &str) {
    assert_eq!(error["code"], -32602, "{error}");
    assert!(
        error["message"].as_str().unwrap().contains(words),
        "{error}"
    );
}

#[test]
fn a_stateless_client_is_asked_by_the_result_and_goes_on_once() {
    let fixture = fixture("[limits]\ntime_ms = 1000");
    for (answer, expected) in [
        (
            ann(),
            json!({ "ended": "accept", "who": "Ann with 2 for fish" }),
        ),
        (
            json!({ "action": "decline" }),
            json!({ "ended": "decline" }),
        ),
        (json!({ "action": "cancel" }), json!({ "ended": "cancel" })),
    ] {
        let (mut client, asked) = asked(&fixture, &[]);
        let request = &asked["inputRequests"]["answer"];
        assert_eq!(request["method"], "elicitation/create", "{asked}");
        assert_eq!(request["params"]["message"], "Who comes to dinner?");
        assert_eq!(request["params"]["mode"], "form");

        // Longer than the call may run.
        std::thread::sleep(Duration::from_millis(1200));
        let mut more = go_on(&asked, &answer);
        more["_meta"] = json!({ "progressToken": "second" });
        let result = client.call_with("invite", json!({}), more.clone());
        assert_eq!(result["structuredContent"], expected, "{result}");
        // What is said from then on belongs to the second request.
        assert_eq!(
            take(&mut client, "notifications/progress"),
            [json!({ "progressToken": "second", "progress": 2.0 })]
        );

        assert_refused(&client.call_with("invite", json!({}), more), "used");
    }
}

#[test]
fn a_call_that_waits_goes_on_for_nobody_else_and_with_nothing_else() {
    let fixture = fixture("[profiles.work]\n[profiles.personal]");
    let of_ann = ["--profile", "work", "--thread", "t"];
    let (mut client, asked) = asked(&fixture, &of_ann);
    for (tool, arguments) in [("report", report()), ("invite", json!({ "more": 1 }))] {
        assert_refused(
            &client.call_with(tool, arguments, go_on(&asked, &ann())),
            "",
        );
    }
    for other in [
        ["--profile", "personal", "--thread", "t"],
        ["--profile", "work", "--thread", "other"],
    ] {
        let version = Protocol::V2026_07_28;
        let mut other = McpClient::start(&fixture, &other, version, shows_forms(version));
        let refused = other.call_with("invite", json!({}), go_on(&asked, &ann()));
        assert_refused(&refused, "");
    }
    // Without its mark it is the state of an interrupt, which it is not.
    let mut stripped = asked.clone();
    let state = asked["requestState"].as_str().unwrap();
    stripped["requestState"] = state.strip_prefix("asked.").unwrap().into();
    let refused = client.call_with("invite", json!({}), go_on(&stripped, &ann()));
    assert_refused(&refused, "");

    // Nothing of this has used it up.
    let result = client.call_with("invite", json!({}), go_on(&asked, &ann()));
    assert_eq!(result["structuredContent"]["ended"], "accept", "{result}");
}

#[test]
fn a_call_that_waited_in_a_process_that_is_gone_is_over() {
    let fixture = fixture("");
    let arguments = ["--thread", "t"];
    let (client, asked) = asked(&fixture, &arguments);
    assert!(client.end());
    let version = Protocol::V2026_07_28;
    let mut client = McpClient::start(&fixture, &arguments, version, shows_forms(version));
    let refused = client.call_with("invite", json!({}), go_on(&asked, &ann()));
    assert_refused(&refused, "is over");
}

#[test]
fn one_user_keeps_a_few_calls_waiting_and_no_more() {
    let fixture = fixture("");
    let (mut client, first) = asked(&fixture, &[]);
    for _ in 1..8 {
        let asked = client.call("invite", json!({}));
        assert_eq!(asked["resultType"], "input_required", "{asked}");
    }
    let refused = client.call("invite", json!({}));
    assert!(
        refused.to_string().contains("too many questions"),
        "{refused}"
    );
    let result = client.call_with("invite", json!({}), go_on(&first, &ann()));
    assert_eq!(result["structuredContent"]["ended"], "accept", "{result}");
}

#[test]
fn who_floods_its_client_says_little_and_hurts_no_neighbour() {
    let fixture = fixture("[limits]\ntime_ms = 2000");
    fixture.plug_in(&component("hostile-rust"));
    let mut client = McpClient::start(&fixture, &[], Protocol::V2025_11_25, json!({}));
    client.tools();
    let flood = json!({ "name": "flood", "arguments": {}, "_meta": { "progressToken": "p" } });
    let flooding = client.begin("tools/call", flood);
    let start = Instant::now();
    let result = client.call("report", report());
    assert_eq!(result["structuredContent"]["total"], 5.0, "{result}");
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );

    let ended = client.answer(flooding);
    assert!(
        ended.to_string().contains("did not answer within"),
        "{ended}"
    );
    let told = messages(&mut client);
    let bytes: usize = told
        .iter()
        .filter_map(|told| Some(told.as_str()?.len()))
        .sum();
    assert!(
        !told.is_empty() && told.len() <= 1_000 && bytes <= 64 << 10,
        "{} {bytes}",
        told.len()
    );
    let progress = take(&mut client, "notifications/progress");
    assert!((20..=60).contains(&progress.len()), "{}", progress.len());
    assert!(
        progress
            .iter()
            .all(|told| told["message"].as_str().unwrap().len() == 1 << 10)
    );
}
