//! The loopback API, asked as a client would ask it: what it answers, and that it refuses what it must.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use http::StatusCode;
use loopback_api::{Answer, LoopbackApi, Script};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The whole answer to a GET, head and body, as text. Empty where the connection was closed without one.
async fn get(api: &LoopbackApi, target: &str, token: Option<&str>) -> String {
    let mut connection = TcpStream::connect(api.address()).await.unwrap();
    let authorisation = token
        .map(|token| format!("Authorization: Bearer {token}\r\n"))
        .unwrap_or_default();
    let request =
        format!("GET {target} HTTP/1.1\r\nHost: api\r\nConnection: close\r\n{authorisation}\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    answer
}

fn status(answer: &str) -> u16 {
    answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or_else(|| panic!("no status: {answer}"))
}

fn body(answer: &str) -> Value {
    let body = answer
        .split_once("\r\n\r\n")
        .expect("an answer has a body")
        .1;
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

#[tokio::test]
async fn each_token_sees_the_data_of_its_own_account() {
    let api = LoopbackApi::start().await.unwrap();
    for (target, token, pointer, expected) in [
        ("/auth.test", "work-slack-token", "/user", "ann"),
        ("/auth.test", "personal-slack-token", "/user", "annie"),
        (
            "/api/auth.test",
            "work-slack-token",
            "/team",
            "Harbour Works",
        ),
        (
            "/conversations.history?channel=%23general&limit=1",
            "work-slack-token",
            "/messages/0/user",
            "ben",
        ),
        (
            "/conversations.history?channel=general",
            "personal-slack-token",
            "/messages/0/user",
            "dora",
        ),
        ("/user", "work-github-token", "/login", "ann-harbour"),
        (
            "/repos/harbour/pilot/issues",
            "work-github-token",
            "/0/user/login",
            "ben-harbour",
        ),
        (
            "/repos/harbour/pilot/issues?state=closed",
            "work-github-token",
            "/0/title",
            "The map is upside down",
        ),
        (
            "/calendar/v3/calendars/primary/events?timeMin=2026-12-02T00%3A00%3A00Z",
            "work-google-token",
            "/items/0/summary",
            "Harbour festival",
        ),
        (
            "/calendar/v3/calendars/primary/events",
            "work-google-token",
            "/items/0/summary",
            "Design review",
        ),
        (
            "/calendar/v3/calendars/primary/events",
            "personal-google-token",
            "/items/0/summary",
            "Sunday run",
        ),
    ] {
        let answer = get(&api, target, Some(token)).await;
        assert_eq!(status(&answer), 200, "{target}: {answer}");
        assert_eq!(
            body(&answer).pointer(pointer),
            Some(&json!(expected)),
            "{target} for {token}"
        );
    }
}

#[tokio::test]
async fn a_token_that_its_service_did_not_issue_is_refused_on_every_route() {
    let api = LoopbackApi::start().await.unwrap();
    for target in [
        "/auth.test",
        "/conversations.history?channel=general",
        "/user",
        "/repos/harbour/pilot/issues",
        "/calendar/v3/calendars/primary/events",
    ] {
        for token in [None, Some("sealed"), Some("")] {
            assert_eq!(
                status(&get(&api, target, token).await),
                401,
                "{target} with {token:?}"
            );
        }
    }
    assert_eq!(
        status(&get(&api, "/user", Some("work-slack-token")).await),
        401
    );
}

#[tokio::test]
async fn what_an_account_may_not_see_is_not_there() {
    let api = LoopbackApi::start().await.unwrap();
    let issues = get(
        &api,
        "/repos/harbour/pilot/issues",
        Some("personal-github-token"),
    )
    .await;
    assert_eq!(status(&issues), 404);
    let history = get(
        &api,
        "/conversations.history?channel=operations",
        Some("personal-slack-token"),
    )
    .await;
    assert_eq!(
        body(&history),
        json!({ "ok": false, "error": "channel_not_found" })
    );
}

#[tokio::test]
async fn every_request_is_remembered_until_it_is_taken() {
    let api = LoopbackApi::start().await.unwrap();
    get(&api, "/nowhere?a=b", Some("secret-word")).await;
    let requests = api.take_requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(
        (requests[0].path.as_str(), requests[0].query.as_str()),
        ("/nowhere", "a=b")
    );
    assert_eq!(requests[0].headers["authorization"], "Bearer secret-word");
    assert!(api.take_requests().is_empty());
}

#[tokio::test]
async fn a_scripted_route_misbehaves_as_it_is_told() {
    let api = LoopbackApi::start().await.unwrap();
    let busy = Answer::status(StatusCode::TOO_MANY_REQUESTS).with_header("retry-after", "7");
    api.script("/busy", Script::Answer(busy));
    api.script(
        "/moved",
        Script::Redirect("http://elsewhere.example/".to_owned()),
    );
    api.script("/echo", Script::Echo);
    api.script(
        "/large",
        Script::Body {
            bytes: 200_000,
            pause: Duration::ZERO,
        },
    );
    api.script("/gone", Script::Hangup);
    let pause = Duration::from_millis(50);
    api.script("/slow", Script::Delayed(pause, Box::new(Script::Echo)));

    let busy = get(&api, "/busy", None).await;
    assert_eq!(
        (status(&busy), busy.contains("retry-after: 7")),
        (429, true),
        "{busy}"
    );
    let moved = get(&api, "/moved", None).await;
    assert_eq!(
        (
            status(&moved),
            moved.contains("location: http://elsewhere.example/")
        ),
        (302, true),
        "{moved}"
    );
    let echo = body(&get(&api, "/echo", Some("word")).await);
    assert_eq!(
        (&echo["method"], &echo["headers"]["authorization"]),
        (&json!("GET"), &json!("Bearer word"))
    );
    let large = get(&api, "/large", None).await;
    assert_eq!(large.matches('x').count(), 200_000);
    assert_eq!(get(&api, "/gone", None).await, "");

    let begin = Instant::now();
    assert_eq!(status(&get(&api, "/slow", None).await), 200);
    assert!(begin.elapsed() >= pause);
}
