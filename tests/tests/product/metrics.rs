//! `/metrics` of `holster serve`: what is counted, who may read it, and what never becomes a label.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, Instant};

use holster_tests::loopback_api::LoopbackApi;
use holster_tests::{Fixture, HttpServer};
use http::{Method, StatusCode};
use identity_provider::{Browser, IdentityProvider, Options};
use serde_json::{Value, json};

use crate::connecting;
use crate::mcp::{enter, report};
use crate::serve::{Client, as_caller, as_nobody, key, keys, parity};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Of a host that others can reach.
const PUBLIC: &str = "holster.example.test";

/// The metrics as a text, in the format that is asked for.
async fn text(client: &Client<'_>, accept: &str) -> (String, String) {
    let mut headers = vec![("accept", accept)];
    if let Some(authorization) = &client.authorization {
        headers.push(("authorization", authorization));
    }
    let url = client.server.at("metrics");
    let response = Browser::default()
        .send(Method::GET, &url, &headers, "")
        .await
        .unwrap();
    let text = String::from_utf8(response.body().to_vec()).unwrap();
    assert_eq!(response.status(), StatusCode::OK, "{text}");
    let kind = response.headers()["content-type"].to_str().unwrap();
    (kind.to_owned(), text)
}

/// The numbers, by name and labels as they are written.
pub(crate) async fn numbers(client: &Client<'_>) -> BTreeMap<String, f64> {
    let (_, text) = text(client, "*/*").await;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let number = |line: &str| {
        let (name, number) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), number.parse().unwrap())
    };
    lines.map(number).collect()
}

/// The values of a label.
fn values(numbers: &BTreeMap<String, f64>, label: &str) -> BTreeSet<String> {
    let start = format!("{label}=\"");
    let value = |name: &String| {
        let (_, rest) = name.split_once(&start)?;
        Some(rest.split('"').next()?.to_owned())
    };
    numbers.keys().filter_map(value).collect()
}

async fn eventually_counted(client: &Client<'_>, name: &str, number: f64) {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let numbers = numbers(client).await;
        if numbers.get(name) == Some(&number) {
            return;
        }
        assert!(Instant::now() < end, "{name} is not {number}: {numbers:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Slack, which nobody has connected yet, at a host that counts.
fn counting(api: &LoopbackApi, more: &str) -> (Fixture, HttpServer) {
    let more = format!("connect.address = '127.0.0.1:0'\nserve.metrics = true\n{more}");
    let fixture = connecting::fixture(api, &more);
    let server = HttpServer::start(&fixture);
    (fixture, server)
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_counted_by_tool_and_by_how_they_ended() {
    let api = LoopbackApi::start().await.unwrap();
    let (_fixture, server) = counting(&api, "[limits]\ntime_ms = 1500\n");
    let client = as_nobody(&server);
    for _ in 0..2 {
        client.call("report", report()).await;
    }
    client.call("report", json!({})).await;
    client.call("reprot", json!({})).await;
    client.call("fail", json!({ "kind": "unavailable" })).await;
    client.call("misuse", json!({ "kind": "trap" })).await;
    client.call("misuse", json!({ "kind": "spin" })).await;
    let waiting = client.call("fetch", json!({})).await;
    let page = waiting.body["missing"][0]["url"].as_str().unwrap();
    enter(&page.parse().unwrap(), "work-slack-token").await;
    let answer = client.call("fetch", json!({})).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let session = client.session().await;
    let call = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call",
        "params": { "name": "report", "arguments": report() } });
    client.mcp(Some(&session), &call).await;

    let numbers = numbers(&client).await;
    let mut calls: Vec<_> = numbers
        .iter()
        .filter(|(name, _)| name.starts_with("holster_calls_total"))
        .map(|(name, number)| format!("{name} {number}"))
        .collect();
    calls.sort();
    assert_eq!(
        calls,
        [
            r#"holster_calls_total{tool="?",outcome="refused",kind="unknown_tool"} 1"#,
            r#"holster_calls_total{tool="fail",outcome="failed",kind="unavailable"} 1"#,
            r#"holster_calls_total{tool="fetch",outcome="finished",kind=""} 1"#,
            r#"holster_calls_total{tool="fetch",outcome="interrupted",kind=""} 1"#,
            r#"holster_calls_total{tool="misuse",outcome="failed",kind="crashed"} 1"#,
            r#"holster_calls_total{tool="misuse",outcome="failed",kind="timed_out"} 1"#,
            r#"holster_calls_total{tool="report",outcome="finished",kind=""} 3"#,
            r#"holster_calls_total{tool="report",outcome="refused",kind="invalid_arguments"} 1"#,
        ]
    );
    for (name, number) in [
        ("holster_calls_in_flight", 0.0),
        (r#"holster_call_duration_seconds_count{tool="report"}"#, 4.0),
        (
            r#"holster_call_duration_seconds_bucket{tool="misuse",le="+Inf"}"#,
            2.0,
        ),
        (r#"holster_step_duration_seconds_count{step="find"}"#, 10.0),
        (r#"holster_step_duration_seconds_count{step="admit"}"#, 9.0),
        (
            r#"holster_step_duration_seconds_count{step="resolve"}"#,
            8.0,
        ),
        (r#"holster_step_duration_seconds_count{step="run"}"#, 7.0),
        (r#"holster_step_duration_seconds_count{step="answer"}"#, 7.0),
        (
            r#"holster_step_duration_seconds_count{step="record"}"#,
            10.0,
        ),
        (r#"holster_egress_requests_total{answer="2xx"}"#, 1.0),
        (r#"holster_connections_begun_total{provider="slack"}"#, 1.0),
        (
            r#"holster_connections_ended_total{provider="slack",state="connected"}"#,
            1.0,
        ),
        (r#"holster_component_loads_total{result="compiled"}"#, 1.0),
        (
            r#"holster_http_requests_total{method="POST",route="/v1/tools/{tool}/call",status="200"}"#,
            3.0,
        ),
        (
            r#"holster_http_requests_total{method="POST",route="/v1/tools/{tool}/call",status="202"}"#,
            1.0,
        ),
        (
            r#"holster_http_requests_total{method="POST",route="/mcp",status="200"}"#,
            2.0,
        ),
    ] {
        assert_eq!(numbers.get(name), Some(&number), "{name}: {numbers:#?}");
    }
    let spun = numbers[r#"holster_call_duration_seconds_sum{tool="misuse"}"#];
    assert!((1.5..30.0).contains(&spun), "{spun}");
    assert!(numbers["process_resident_memory_bytes"] > 1e6);
    assert!(
        numbers
            .keys()
            .any(|name| name.starts_with("holster_build_info{version="))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_runs_is_in_flight_and_one_whose_client_went_away_is_cancelled() {
    let (_fixture, server) = parity("serve.metrics = true\n");
    let url = server.at("v1/tools/misuse/call");
    let spinning = tokio::spawn(async move {
        let json = [("content-type", "application/json")];
        let body = json!({ "arguments": { "kind": "spin" } }).to_string();
        let mut client = Browser::default();
        let sent = client.send(Method::POST, &url, &json, &body);
        tokio::time::timeout(Duration::from_secs(3), sent)
            .await
            .is_err()
    });
    let client = as_nobody(&server);
    eventually_counted(&client, "holster_calls_in_flight", 1.0).await;
    assert!(spinning.await.unwrap());
    let cancelled = r#"holster_calls_total{tool="misuse",outcome="cancelled",kind=""}"#;
    eventually_counted(&client, cancelled, 1.0).await;
    eventually_counted(&client, "holster_calls_in_flight", 0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_clients_make_up_becomes_no_label() {
    let (_fixture, server) = parity("serve.metrics = true\n");
    let client = as_nobody(&server);
    client.call("made_up", json!({})).await;
    client.get("made/up").await;
    client
        .send(Method::from_bytes(b"MADE-UP").unwrap(), "v1/tools", &[], "")
        .await;
    let before = numbers(&client).await;
    for number in 0..100 {
        let made_up = format!("made_up_{number}");
        client.call(&made_up, json!({})).await;
        client.get(&format!("made/up/{number}")).await;
        client.get(&format!("v1/connections/{made_up}")).await;
        let method = Method::from_bytes(format!("MADE-UP-{number}").as_bytes()).unwrap();
        client.send(method, "v1/tools", &[], "").await;
        let asked =
            json!({ "arguments": report(), "for": { "profile": made_up, "thread": made_up } });
        client.post("v1/tools/report/call", &asked).await;
    }
    let after = numbers(&client).await;
    assert_eq!(
        values(&after, "tool"),
        ["?", "report"].map(str::to_owned).into()
    );
    for (calls, number) in [
        (
            r#"holster_calls_total{tool="?",outcome="refused",kind="unknown_tool"}"#,
            101.0,
        ),
        (
            r#"holster_calls_total{tool="report",outcome="refused",kind="unknown_profile"}"#,
            100.0,
        ),
    ] {
        assert_eq!(after.get(calls), Some(&number), "{calls}: {after:#?}");
    }
    let is_new = |name: &&String| !before.contains_key(*name);
    let new: Vec<_> = after
        .keys()
        .filter(is_new)
        .filter(|name| !name.contains("report") && !name.contains("step="))
        .collect();
    assert_eq!(
        new,
        [
            r#"holster_http_requests_total{method="GET",route="/metrics",status="200"}"#,
            r#"holster_http_requests_total{method="GET",route="/v1/connections/{id}",status="404"}"#,
        ]
    );
    assert!(
        !after
            .keys()
            .any(|name| name.to_lowercase().contains("made")),
        "{after:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn both_formats_of_prometheus_are_written() {
    let (_fixture, server) = parity("serve.metrics = true\n");
    let client = as_nobody(&server);
    client.call("report", report()).await;
    let (kind, open) = text(
        &client,
        "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3",
    )
    .await;
    assert_eq!(kind, OPEN_METRICS);
    assert!(open.ends_with("# EOF\n"), "{open}");
    assert!(open.contains("# TYPE holster_calls counter\n"), "{open}");
    let (kind, plain) = text(&client, "text/plain").await;
    assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
    assert!(
        plain.contains("# TYPE holster_calls_total counter\n"),
        "{plain}"
    );
    assert!(!plain.contains("# EOF"), "{plain}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_being_asked_for_there_are_no_metrics() {
    let (_fixture, server) = parity("");
    let answer = as_nobody(&server).get("metrics").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND, "{}", answer.body);
    let detail = answer.body["detail"].as_str().unwrap();
    assert!(detail.contains("`metrics = true` in `[serve]`"), "{detail}");
}

/// `[serve.keys]` of Ann, of Bob, and of who watches over the host.
fn keys_with_a_watching_one() -> String {
    let digest = holster_core::types::KeyDigest::of("holster_key-of-who-watches");
    format!(
        "{}[serve.keys.prometheus]\nsha256 = '{digest}'\ntenant = 'watch'\nmetrics = true\n",
        keys()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_a_user_reads_no_metrics_and_one_that_is_for_them_does() {
    let more = format!("serve.metrics = true\n{}", keys_with_a_watching_one());
    let (_fixture, server) = parity(&more);
    // Who is at the machine runs the host.
    numbers(&as_nobody(&server)).await;
    for name in ["ann", "bob", "ann-work"] {
        let refused = as_caller(&server, name).get("metrics").await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{name}");
        assert_eq!(refused.body["type"], "no_metrics");
        let detail = refused.body["detail"].as_str().unwrap();
        assert!(detail.contains("`metrics = true`"), "{detail}");
    }
    let watching = Client {
        server: &server,
        authorization: Some("Bearer holster_key-of-who-watches".to_owned()),
    };
    numbers(&watching).await;
}

#[test]
fn a_new_key_for_them_is_printed_with_the_line_that_makes_it_one() {
    let fixture = Fixture::new("");
    for (more, is_watching) in [(&[][..], false), (&["--metrics"], true)] {
        let output = fixture.holster(&[&["key", "new", "prometheus"], more].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said.contains("\nmetrics = true\n"), is_watching, "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_others_can_reach_the_host_nobody_reads_metrics_without_a_key_for_them() {
    let more = format!(
        "connect.public_url = 'https://{PUBLIC}/'\nserve.metrics = true\n{}",
        keys_with_a_watching_one()
    );
    let (_fixture, server) = parity(&more);
    let as_whom = [
        (None, StatusCode::UNAUTHORIZED),
        (Some("Bearer wrong".to_owned()), StatusCode::UNAUTHORIZED),
        (Some(key("ann")), StatusCode::FORBIDDEN),
        (
            Some("Bearer holster_key-of-who-watches".to_owned()),
            StatusCode::OK,
        ),
    ];
    for (authorization, status) in as_whom {
        let client = Client {
            server: &server,
            authorization,
        };
        for host in [PUBLIC, server.at("").authority()] {
            let answer = client
                .send(Method::GET, "metrics", &[("host", host)], "")
                .await;
            assert_eq!(answer.status, status, "{:?} {host}", client.authorization);
        }
        let answer = client
            .send(Method::GET, "metrics", &[("host", "evil.example")], "")
            .await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_were_renewed_are_counted() {
    let api = LoopbackApi::start().await.unwrap();
    let provider = IdentityProvider::start(Options::default()).await.unwrap();
    let fixture = connecting::oauth_fixture(&api, provider.issuer(), "");
    let file = fixture.path("holster.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{text}\n[serve]\nmetrics = true\n")).unwrap();
    let server = HttpServer::start(&fixture);
    let client = as_nobody(&server);
    let asked = json!({ "for": { "profile": "work" } });
    let waiting = client.post("v1/tools/fetch/call", &asked).await;
    let page = waiting.body["missing"][0]["url"].as_str().unwrap();
    connecting::consent(&provider, &page.parse().unwrap()).await;
    // The API knows no token of the provider's, and a token that was rejected is renewed.
    let answer = client.post("v1/tools/fetch/call", &asked).await;
    assert_eq!(answer.body["type"], "account_refused", "{}", answer.body);
    let renewed = r#"holster_token_refreshes_total{provider="slack",result="renewed"}"#;
    eventually_counted(&client, renewed, 1.0).await;
    let numbers = numbers(&client).await;
    let refused = r#"holster_calls_total{tool="fetch",outcome="failed",kind="account_refused"}"#;
    assert_eq!(numbers.get(refused), Some(&1.0), "{numbers:#?}");
    let text = Value::from(numbers.keys().cloned().collect::<Vec<_>>()).to_string();
    for private in ["alice", "work", "local"] {
        assert!(!text.contains(private), "{private} is in {text}");
    }
}
