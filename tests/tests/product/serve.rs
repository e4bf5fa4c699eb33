//! `holster serve`, as programs see it: REST and MCP over HTTP, who may call, and whose things are whose.

use std::time::Duration;

use holster_tests::loopback_api::LoopbackApi;
use holster_tests::{Fixture, HttpServer, component};
use http::{Method, Response, StatusCode};
use identity_provider::Browser;
use serde_json::{Value, json};
use url::Url;

use crate::connecting;
use crate::mcp::{enter_in, report};

const KEYS: [(&str, &str); 3] = [
    ("ann", "holster_key-of-ann-0000000000000000000000000000"),
    ("bob", "holster_key-of-bob-0000000000000000000000000000"),
    ("ann-work", "holster_key-of-ann-work-00000000000000000000"),
];

/// `[serve.keys]` for Ann, for Bob, and for a program that may use Ann's profile `work` alone.
pub(crate) fn keys() -> String {
    let digest = |key: &str| holster_core::types::KeyDigest::of(key).to_string();
    format!(
        "[serve.keys.ann]\nsha256 = '{}'\ntenant = 'ann'\n[serve.keys.bob]\nsha256 = '{}'\ntenant = 'bob'\n\
         [serve.keys.ann-work]\nsha256 = '{}'\ntenant = 'ann'\nprofile = 'work'\n",
        digest(KEYS[0].1),
        digest(KEYS[1].1),
        digest(KEYS[2].1)
    )
}

pub(crate) fn key(name: &str) -> String {
    let (_, key) = KEYS.iter().find(|(known, _)| *known == name).unwrap();
    format!("Bearer {key}")
}

/// What the person does at the page whose key of this host that is: signs in by it, and enters a key of a provider.
pub(crate) async fn enter_as(name: &str, page: &Url, secret: &str) {
    let mut browser = Browser::default();
    sign_in_as(name, &mut browser, page).await;
    enter_in(&mut browser, page, secret).await;
}

/// Signs the person in whose key of this host that is.
pub(crate) async fn sign_in_as(name: &str, browser: &mut Browser, page: &Url) {
    let (_, key) = KEYS.iter().find(|(known, _)| *known == name).unwrap();
    let id = page.path_segments().unwrap().next_back().unwrap();
    let form = format!("connection={id}&key={key}");
    let origin = page.origin().ascii_serialization();
    let sign_in = page.join("/sign-in").unwrap();
    let sent = browser.post(&sign_in, &[("origin", &origin)], &form).await;
    assert_eq!(sent.unwrap().headers()["location"], page.path());
}

pub(crate) struct Client<'a> {
    pub(crate) server: &'a HttpServer,
    pub(crate) authorization: Option<String>,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Value,
}

impl Client<'_> {
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut all = headers.to_vec();
        if let Some(authorization) = &self.authorization {
            all.push(("authorization", authorization));
        }
        let url = self.server.at(path);
        let response = Browser::default().send(method, &url, &all, body).await;
        Answer::of(&response.unwrap())
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        let json = [("content-type", "application/json")];
        self.send(Method::POST, path, &json, &body.to_string())
            .await
    }

    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Answer {
        let body = json!({ "arguments": arguments });
        self.post(&format!("v1/tools/{tool}/call"), &body).await
    }

    /// A message of MCP.
    pub(crate) async fn mcp(&self, session: Option<&str>, message: &Value) -> Answer {
        let mut headers = vec![
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
        ];
        if let Some(session) = session {
            headers.push(("mcp-session-id", session));
        }
        self.send(Method::POST, "mcp", &headers, &message.to_string())
            .await
    }

    /// Begins a session of MCP.
    pub(crate) async fn session(&self) -> String {
        let begin = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "test", "version": "1" },
        }});
        let answer = self.mcp(None, &begin).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        let session = answer.headers["mcp-session-id"]
            .to_str()
            .unwrap()
            .to_owned();
        let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        let answer = self.mcp(Some(&session), &initialized).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED);
        session
    }
}

impl Answer {
    fn of(response: &Response<bytes::Bytes>) -> Self {
        let text = String::from_utf8_lossy(response.body());
        // What streams is read up to the message.
        let mut data = text.lines().filter_map(|line| line.strip_prefix("data: "));
        let message = data.rfind(|data| data.starts_with('{'));
        Self {
            status: response.status(),
            headers: response.headers().clone(),
            body: serde_json::from_str(message.unwrap_or(&text)).unwrap_or_default(),
        }
    }
}

pub(crate) fn as_nobody(server: &HttpServer) -> Client<'_> {
    Client {
        server,
        authorization: None,
    }
}

pub(crate) fn as_caller<'a>(server: &'a HttpServer, name: &str) -> Client<'a> {
    Client {
        server,
        authorization: Some(key(name)),
    }
}

pub(crate) fn parity(configuration: &str) -> (Fixture, HttpServer) {
    let fixture = Fixture::new(&format!("connect.address = '127.0.0.1:0'\n{configuration}"));
    fixture.plug_in(&component("parity-rust"));
    let server = HttpServer::start(&fixture);
    (fixture, server)
}

/// Slack, which nobody has connected yet.
pub(crate) fn unconnected(api: &LoopbackApi) -> (Fixture, HttpServer) {
    let more = format!("connect.address = '127.0.0.1:0'\n{}", keys());
    let fixture = connecting::fixture(api, &more);
    let server = HttpServer::start(&fixture);
    (fixture, server)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_on_this_machine_lists_and_calls_without_a_key() {
    let (_fixture, server) = parity("");
    let client = as_nobody(&server);
    assert_eq!(client.get("health").await.status, StatusCode::OK);
    let tools = client.get("v1/tools").await;
    assert_eq!(tools.body["tools"].as_array().unwrap().len(), 6);
    let answer = client.call("report", report()).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(answer.body["content"][0]["value"]["total"], 5.0);
    assert!(server.end(Duration::from_secs(10)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_has_a_status_a_kind_and_a_remedy() {
    let (_fixture, server) = parity("");
    let client = as_nobody(&server);
    let call = "v1/tools/report/call";
    let json = [("content-type", "application/json")];
    for (answer, status, kind) in [
        (client.call("reprot", json!({})).await, 404, "unknown_tool"),
        (
            client.call("report", json!({})).await,
            422,
            "invalid_arguments",
        ),
        (
            client.call("fail", json!({ "kind": "failed" })).await,
            502,
            "tool_failed",
        ),
        (
            client.call("fail", json!({ "kind": "unavailable" })).await,
            503,
            "unavailable",
        ),
        (
            client.call("misuse", json!({ "kind": "trap" })).await,
            502,
            "crashed",
        ),
        (
            client.send(Method::POST, call, &json, "{").await,
            400,
            "invalid_request",
        ),
        (
            client.send(Method::POST, call, &[], "{}").await,
            415,
            "invalid_request",
        ),
        (
            client.post(call, &json!({ "argument": {} })).await,
            422,
            "invalid_request",
        ),
        (
            client
                .post(call, &json!({ "for": { "profile": "No Profile" } }))
                .await,
            422,
            "invalid_request",
        ),
        (
            client.send(Method::PUT, call, &[], "").await,
            405,
            "method_not_allowed",
        ),
        (client.get("v1/nothing").await, 404, "not_found"),
        (client.get("v1/connections/none").await, 404, "not_found"),
        (
            client.get("v1/connections/none?wait=61").await,
            400,
            "invalid_request",
        ),
        (
            client
                .post("v1/connections", &json!({ "provider": "slakc" }))
                .await,
            404,
            "not_found",
        ),
        (
            client
                .send(Method::DELETE, "v1/accounts/work/slack", &[], "")
                .await,
            404,
            "not_found",
        ),
    ] {
        assert_eq!(answer.status, status, "{kind}: {}", answer.body);
        assert_eq!(answer.body["type"], kind, "{}", answer.body);
        assert_eq!(answer.body["status"], status);
        assert!(!answer.body["detail"].as_str().unwrap().is_empty());
        assert_eq!(answer.headers["content-type"], "application/problem+json");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_waits_for_a_person_names_the_page_and_goes_through_afterwards() {
    let api = LoopbackApi::start().await.unwrap();
    let (_fixture, server) = unconnected(&api);
    let client = as_caller(&server, "ann");
    let waiting = client.call("fetch", json!({})).await;
    assert_eq!(waiting.status, StatusCode::ACCEPTED, "{}", waiting.body);
    let missing = &waiting.body["missing"][0];
    let page = missing["url"].as_str().unwrap();
    assert!(waiting.body["message"].as_str().unwrap().contains(page));
    let id = missing["connection"].as_str().unwrap();
    let shown = client.get(&format!("v1/connections/{id}")).await;
    assert_eq!(shown.body["state"], "created");

    let wait = format!("v1/connections/{id}?wait=30");
    let page = page.parse().unwrap();
    let (waited, ()) = tokio::join!(
        client.get(&wait),
        enter_as("ann", &page, "work-slack-token")
    );
    assert_eq!(waited.body["state"], "connected", "{}", waited.body);
    assert_eq!(waited.body["account"], "ann");
    assert_eq!(waited.body["url"], Value::Null);

    let answer = client.call("fetch", json!({})).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(answer.body["accounts"][0]["account"], "ann");
    let accounts = client.get("v1/accounts").await;
    assert!(!accounts.body.to_string().contains("work-slack-token"));
    assert_eq!(accounts.body["accounts"][0]["provider"], "slack");

    let gone = client
        .send(Method::DELETE, "v1/accounts/default/slack", &[], "")
        .await;
    assert_eq!(gone.body["result"], "forgotten", "{}", gone.body);
    let again = client.call("fetch", json!({})).await;
    assert_eq!(again.status, StatusCode::ACCEPTED);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_prepared_is_not_interrupted() {
    let api = LoopbackApi::start().await.unwrap();
    let (_fixture, server) = unconnected(&api);
    let client = as_caller(&server, "ann");
    let body = json!({ "tools": ["fetch", "account"], "for": { "profile": "work" } });
    let waiting = client.post("v1/prepare", &body).await;
    assert_eq!(waiting.status, StatusCode::ACCEPTED, "{}", waiting.body);
    let missing = waiting.body["missing"].as_array().unwrap();
    assert_eq!(missing.len(), 1, "one connection for both: {missing:?}");
    enter_as(
        "ann",
        &missing[0]["url"].as_str().unwrap().parse().unwrap(),
        "work-slack-token",
    )
    .await;
    let nothing = client.post("v1/prepare", &body).await;
    assert_eq!(
        (nothing.status, &nothing.body["missing"]),
        (StatusCode::OK, &json!([]))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_not_known_opens_nothing() {
    let (_fixture, server) = parity(&keys());
    let paths = [
        "v1/tools",
        "v1/accounts",
        "v1/profiles",
        "v1/connections",
        "v1/calls",
        "v1/events",
        "v1/caller",
        "v1/providers",
        "v1/openapi.json",
        "metrics",
        "mcp",
    ];
    for authorization in [
        "Bearer wrong",
        "Bearer ",
        "Basic YTpi",
        "holster_x",
        "Bearer",
    ] {
        for path in paths {
            let client = Client {
                server: &server,
                authorization: Some(authorization.to_owned()),
            };
            let answer = client.get(path).await;
            assert_eq!(
                answer.status,
                StatusCode::UNAUTHORIZED,
                "{authorization} {path}"
            );
            assert_eq!(answer.headers["www-authenticate"], "Bearer");
        }
    }
    let twice = [("authorization", "Bearer wrong")];
    let answer = as_caller(&server, "ann")
        .send(Method::GET, "v1/tools", &twice, "")
        .await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_user_reaches_anything_of_another() {
    let api = LoopbackApi::start().await.unwrap();
    let (_fixture, server) = unconnected(&api);
    let (ann, bob) = (as_caller(&server, "ann"), as_caller(&server, "bob"));
    reach_nothing_of_each_other(&ann, &bob, async |page| {
        enter_as("ann", page, "work-slack-token").await;
    })
    .await;
    // Without a key it is for the person at the machine, who is neither.
    let nobody = as_nobody(&server).get("v1/accounts").await;
    assert_eq!(nobody.body["accounts"], json!([]));
}

/// Ann connects an account, and Bob tries everything that there is; Ann does so at the page that she is sent to.
pub(crate) async fn reach_nothing_of_each_other(
    ann: &Client<'_>,
    bob: &Client<'_>,
    connect: impl AsyncFn(&Url),
) {
    let waiting = ann.call("fetch", json!({})).await;
    let missing = &waiting.body["missing"][0];
    let id = missing["connection"].as_str().unwrap().to_owned();
    let session = ann.session().await;

    // While Ann's connection waits, and after.
    for connected in [false, true] {
        if connected {
            connect(&missing["url"].as_str().unwrap().parse().unwrap()).await;
            assert_eq!(ann.call("fetch", json!({})).await.status, StatusCode::OK);
        }
        let of_id = bob.get(&format!("v1/connections/{id}?wait=5")).await;
        assert_eq!(of_id.status, StatusCode::NOT_FOUND);
        for path in ["v1/connections", "v1/connections?thread=http"] {
            let listed = bob.get(path).await.body["connections"].to_string();
            assert!(listed.starts_with('[') && !listed.contains(&id), "{listed}");
        }
        assert_eq!(bob.get("v1/accounts").await.body["accounts"], json!([]));
        let calls = bob.get("v1/calls").await.body["calls"].to_string();
        assert!(calls.starts_with('[') && !calls.contains(&id), "{calls}");
        for call in bob.get("v1/calls").await.body["calls"].as_array().unwrap() {
            assert_eq!(call["ended"], "interrupted", "Ann's second call finished");
        }
        let profiles = bob.get("v1/profiles").await;
        assert_eq!(
            profiles.body["profiles"],
            json!([{ "name": "default", "accounts": 0, "default": true }])
        );
        let forgotten = bob
            .send(Method::DELETE, "v1/accounts/default/slack", &[], "")
            .await;
        assert_eq!(forgotten.status, StatusCode::NOT_FOUND);
        let call = bob.call("fetch", json!({})).await;
        assert_eq!(call.status, StatusCode::ACCEPTED);
        assert_ne!(call.body["missing"][0]["connection"], id.as_str());

        let list = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list" });
        assert_eq!(
            bob.mcp(Some(&session), &list).await.status,
            StatusCode::NOT_FOUND
        );
        let stream = [
            ("accept", "text/event-stream"),
            ("mcp-session-id", &*session),
        ];
        let stream = bob.send(Method::GET, "mcp", &stream, "").await;
        assert_eq!(stream.status, StatusCode::NOT_FOUND);
        let end = [("mcp-session-id", &*session)];
        let end = bob.send(Method::DELETE, "mcp", &end, "").await;
        assert_eq!(end.status, StatusCode::NOT_FOUND);
        assert_eq!(ann.mcp(Some(&session), &list).await.status, StatusCode::OK);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_for_one_profile_reaches_no_other() {
    let api = LoopbackApi::start().await.unwrap();
    let (_fixture, server) = unconnected(&api);
    let (ann, work) = (as_caller(&server, "ann"), as_caller(&server, "ann-work"));
    let personal = json!({ "provider": "slack", "for": { "profile": "personal" } });
    let begun = ann.post("v1/connections", &personal).await;
    assert_eq!(begun.status, StatusCode::CREATED, "{}", begun.body);
    enter_as(
        "ann",
        &begun.body["url"].as_str().unwrap().parse().unwrap(),
        "personal-slack-token",
    )
    .await;

    let refused = work.post("v1/connections", &personal).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert_eq!(work.get("v1/accounts").await.body["accounts"], json!([]));
    let refused = work
        .send(Method::DELETE, "v1/accounts/personal/slack", &[], "")
        .await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let call = work.call("fetch", json!({})).await;
    assert_eq!(call.body["missing"][0]["profile"], "work", "{}", call.body);
    let connection = begun.body["id"].as_str().unwrap();
    let shown = work.get(&format!("v1/connections/{connection}")).await;
    assert_eq!(shown.status, StatusCode::NOT_FOUND);
    let listed = work.get("v1/connections").await.body["connections"].clone();
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(listed[0]["profile"], "work");
    let caller = work.get("v1/caller").await.body;
    assert_eq!(caller, json!({ "tenant": "ann", "profile": "work" }));
    ann.call("report", report()).await;
    let calls = work.get("v1/calls").await.body["calls"].clone();
    assert_eq!(calls.as_array().unwrap().len(), 1, "{calls}");
    assert_eq!(calls[0]["profile"], "work");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_site_or_by_another_name_is_not_heard() {
    let (_fixture, server) = parity("serve.allowed_origins = ['https://agents.example.com']");
    let client = as_nobody(&server);
    for (header, value, status) in [
        ("host", "evil.example", 403),
        ("host", "localhost", 403),
        ("origin", "https://evil.example", 403),
        ("origin", "null", 403),
        ("origin", "https://agents.example.com.evil.example", 403),
        ("origin", "https://agents.example.com", 200),
    ] {
        for path in ["v1/tools", "v1/openapi.json"] {
            let answer = client.send(Method::GET, path, &[(header, value)], "").await;
            assert_eq!(answer.status, status, "{header}: {value}");
            let shared = answer.headers.get("access-control-allow-origin");
            assert_eq!(shared.is_some(), header == "origin" && status == 200);
        }
    }
    let asks = [
        ("origin", "https://agents.example.com"),
        ("access-control-request-method", "POST"),
    ];
    let may = client.send(Method::OPTIONS, "mcp", &asks, "").await;
    assert_eq!(may.status, StatusCode::NO_CONTENT);
}

/// Of two users who may ask 5 times in a second, the one who asks more often is refused, and the other is not.
pub(crate) async fn assert_counted_apart(ann: &Client<'_>, bob: &Client<'_>) {
    let mut refused = 0;
    for _ in 0..40 {
        refused += u32::from(ann.get("v1/profiles").await.status == StatusCode::TOO_MANY_REQUESTS);
    }
    assert!(refused > 0);
    assert_eq!(bob.get("v1/profiles").await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_user_has_so_many_requests_in_a_second() {
    let (_fixture, server) = parity(&format!("serve.requests_per_second = 5\n{}", keys()));
    let (ann, bob) = (as_caller(&server, "ann"), as_caller(&server, "bob"));
    assert_counted_apart(&ann, &bob).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mcp_over_http_lists_and_calls_in_a_session_and_without() {
    let (_fixture, server) = parity("");
    let client = as_nobody(&server);
    let session = client.session().await;
    let call = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call",
        "params": { "name": "report", "arguments": report() } });
    let answer = client.mcp(Some(&session), &call).await;
    assert_eq!(
        answer.body["result"]["structuredContent"]["total"], 5.0,
        "{}",
        answer.body
    );

    let answer = without_session(&client, "report", json!({ "arguments": report() })).await;
    assert_eq!(
        answer["result"]["structuredContent"]["total"], 5.0,
        "{answer}"
    );
}

/// A call as the version without sessions has it, by a client that shows forms.
pub(crate) async fn without_session(client: &Client<'_>, tool: &str, mut params: Value) -> Value {
    params["name"] = tool.into();
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": { "elicitation": { "form": {} } },
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
    });
    let call = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params });
    let headers = [
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", tool),
    ];
    let answer = client
        .send(Method::POST, "mcp", &headers, &call.to_string())
        .await;
    answer.body
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_asks_over_http_between_two_requests_and_only_who_was_asked_answers() {
    let (_fixture, server) = parity(&keys());
    let (ann, bob) = (as_caller(&server, "ann"), as_caller(&server, "bob"));
    let asked = without_session(&ann, "invite", json!({ "arguments": {} })).await;
    let asked = &asked["result"];
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    let who =
        json!({ "action": "accept", "content": { "name": "Ann", "guests": 2, "meal": "fish" } });
    let answered = json!({ "arguments": {}, "requestState": asked["requestState"], "inputResponses": { "answer": who } });

    let refused = without_session(&bob, "invite", answered.clone()).await;
    assert_eq!(refused["error"]["code"], -32602, "{refused}");
    let ended = without_session(&ann, "invite", answered.clone()).await;
    let content = &ended["result"]["structuredContent"];
    assert_eq!(content["who"], "Ann with 2 for fish", "{ended}");
    let again = without_session(&ann, "invite", answered).await;
    assert_eq!(again["error"]["code"], -32602, "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_asked_to_end_finishes_what_is_under_way() {
    let fixture = Fixture::new("connect.address = '127.0.0.1:0'\n[limits]\ntime_ms = 1500");
    fixture.plug_in(&component("parity-rust"));
    let server = HttpServer::start(&fixture);
    let url = server.at("v1/tools/misuse/call");
    let spinning = tokio::spawn(async move {
        let json = [("content-type", "application/json")];
        let body = json!({ "arguments": { "kind": "spin" } }).to_string();
        let response = Browser::default()
            .send(Method::POST, &url, &json, &body)
            .await;
        response.unwrap().status()
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let ended = tokio::task::spawn_blocking(move || server.end(Duration::from_secs(20)));
    assert_eq!(spinning.await.unwrap(), StatusCode::GATEWAY_TIMEOUT);
    assert!(ended.await.unwrap());
}

#[test]
fn an_address_that_others_can_reach_needs_keys() {
    let fixture = Fixture::new("");
    let output = fixture.holster(&["serve", "--listen", "0.0.0.0:0"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("holster key new"), "{said}");
    assert!(said.contains("[serve.issuers]"), "{said}");
}

#[test]
fn a_digest_that_is_none_is_named_with_its_line() {
    let fixture = Fixture::new("[serve.keys.agent]\nsha256 = 'abc'\ntenant = 'ann'\n");
    let output = fixture.holster(&["serve"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("holster.toml, line 5: "), "{said}");
    assert!(said.contains("64 hexadecimal digits"), "{said}");
}

#[test]
fn a_new_key_is_printed_once_beside_what_to_write_down() {
    let fixture = Fixture::new("");
    let output = fixture.holster(&[
        "key",
        "new",
        "agent",
        "--tenant",
        "ann",
        "--profile",
        "work",
    ]);
    let (key, said) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    assert!(key.starts_with("holster_"), "{key}");
    let digest = holster_core::types::KeyDigest::of(key.trim()).to_string();
    assert!(said.contains(&format!("sha256 = \"{digest}\"")), "{said}");
    assert!(!said.contains(key.trim()));
}
