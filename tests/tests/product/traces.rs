//! Traces of `holster serve`: one span for each step of a call, at a collector; and nothing in them that is private.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use holster_tests::loopback_api::{Answer as Scripted, LoopbackApi, Script};
use holster_tests::{Fixture, HttpServer, McpClient, Protocol, component};
use http::{Method, StatusCode};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Attribute;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde_json::{Value, json};
use url::Url;

use crate::connecting;
use crate::mcp::{enter, report};
use crate::serve::{Client, as_caller, as_nobody, enter_as, key, keys, parity};

/// What a client says of the trace that its request belongs to (W3C Trace Context).
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// Ends after the spans were sent, or were given up.
const PATIENCE: Duration = Duration::from_secs(20);

/// Takes spans.
struct Collector(LoopbackApi);

impl Collector {
    async fn start() -> Self {
        let api = LoopbackApi::start().await.unwrap();
        let taken = Scripted::status(StatusCode::OK);
        api.script("/v1/traces", Script::Answer(taken));
        Self(api)
    }

    fn configuration(&self) -> String {
        format!("telemetry.traces = '{}'\n", self.0.url())
    }

    /// What has come, as it came.
    fn bodies(&self) -> Vec<bytes::Bytes> {
        let requests = self.0.take_requests().into_iter();
        let body = |request: holster_tests::loopback_api::Request| {
            assert_eq!(request.path, "/v1/traces");
            assert_eq!(request.headers["content-type"], "application/x-protobuf");
            request.body
        };
        requests.map(body).collect()
    }

    fn spans(&self) -> Spans {
        Spans::of(&self.bodies())
    }
}

struct Spans(Vec<Span>);

impl Spans {
    fn of(bodies: &[bytes::Bytes]) -> Self {
        let decoded = |body: &bytes::Bytes| {
            let request = ExportTraceServiceRequest::decode(body.clone()).unwrap();
            for of_resource in &request.resource_spans {
                let resource = of_resource.resource.as_ref().unwrap();
                let resource = attributes(&resource.attributes);
                assert_eq!(resource["service.name"], "holster", "{resource:?}");
            }
            let of_resource = request.resource_spans.into_iter();
            let of_scope = of_resource.flat_map(|spans| spans.scope_spans);
            of_scope.flat_map(|spans| spans.spans).collect::<Vec<_>>()
        };
        Self(bodies.iter().flat_map(decoded).collect())
    }

    /// All of that name.
    fn named(&self, name: &str) -> Vec<&Span> {
        self.0.iter().filter(|span| span.name == name).collect()
    }

    /// The only one of that name.
    fn one(&self, name: &str) -> &Span {
        let found = self.named(name);
        assert_eq!(found.len(), 1, "{name}: {:?}", self.names());
        found[0]
    }

    fn names(&self) -> Vec<&str> {
        self.0.iter().map(|span| span.name.as_str()).collect()
    }

    /// What is directly within a span, in the order in which it began.
    fn within(&self, parent: &Span) -> Vec<&str> {
        let children = self.0.iter();
        let mut children: Vec<_> = children
            .filter(|span| span.parent_span_id == parent.span_id)
            .collect();
        children.sort_by_key(|span| span.start_time_unix_nano);
        children.iter().map(|span| span.name.as_str()).collect()
    }
}

fn attributes(attributes: &[KeyValue]) -> BTreeMap<&str, String> {
    let attribute = |attribute: &'_ KeyValue| {
        let value = attribute.value.as_ref().and_then(|any| any.value.as_ref());
        match value.unwrap() {
            Attribute::StringValue(text) => text.clone(),
            Attribute::IntValue(number) => number.to_string(),
            other => format!("{other:?}"),
        }
    };
    attributes
        .iter()
        .map(|of| (of.key.as_str(), attribute(of)))
        .collect()
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
    digits.collect::<Vec<_>>().concat()
}

async fn end(server: HttpServer) {
    let ended = tokio::task::spawn_blocking(move || server.end(PATIENCE));
    assert!(ended.await.unwrap(), "the server ends well, and in time");
}

/// Slack, which nobody has connected yet, at a host that sends traces.
fn traced(api: &LoopbackApi, collector: &Collector, more: &str) -> Fixture {
    let more = format!(
        "connect.address = '127.0.0.1:0'\n{}{more}",
        collector.configuration()
    );
    connecting::fixture(api, &more)
}

/// The page on which a person connects what the tool lacks.
async fn page(client: &Client<'_>, tool: &str) -> Url {
    let waiting = client.call(tool, json!({})).await;
    assert_eq!(waiting.status, StatusCode::ACCEPTED, "{}", waiting.body);
    let page = waiting.body["missing"][0]["url"].as_str().unwrap();
    page.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_step_of_a_call_is_a_span_within_that_of_the_call_in_the_trace_of_the_client() {
    let (api, collector) = (
        LoopbackApi::start().await.unwrap(),
        Collector::start().await,
    );
    let fixture = traced(&api, &collector, "");
    let server = HttpServer::start(&fixture);
    let client = as_nobody(&server);
    enter(&page(&client, "fetch").await, "work-slack-token").await;
    let traceparent = format!("00-{TRACE}-{PARENT}-01");
    let headers = [
        ("content-type", "application/json"),
        ("traceparent", &traceparent),
    ];
    let body = json!({ "for": { "profile": "default" } }).to_string();
    let answer = client
        .send(Method::POST, "v1/tools/fetch/call", &headers, &body)
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    end(server).await;

    let spans = collector.spans();
    let of_trace = |span: &&Span| hexadecimal(&span.trace_id) == TRACE;
    let spans = Spans(spans.0.iter().filter(of_trace).cloned().collect());
    let request = spans.one("POST /v1/tools/{tool}/call");
    assert_eq!(hexadecimal(&request.parent_span_id), PARENT);
    assert_eq!(spans.within(request), ["call"]);
    let call = spans.one("call");
    let steps = ["find", "admit", "resolve", "run", "answer", "record"];
    assert_eq!(spans.within(call), steps);
    let run = spans.one("run");
    assert_eq!(spans.within(run), ["egress"]);
    assert_eq!(spans.0.len(), 9, "{:?}", spans.names());

    let mut told = attributes(&call.attributes);
    let digest = told.remove("holster.component.digest").unwrap();
    assert!(digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let as_texts = |told: &[(&'static str, &str)]| -> BTreeMap<&str, String> {
        let text = |(key, value): &(&'static str, &str)| (*key, (*value).to_owned());
        told.iter().map(text).collect()
    };
    let of_call = [
        ("holster.tool", "fetch"),
        ("holster.component.name", "parity-rust"),
        ("holster.profile", "default"),
        ("holster.outcome", "finished"),
    ];
    assert_eq!(told, as_texts(&of_call));
    let of_egress = [
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("server.address", "127.0.0.1"),
    ];
    let told = attributes(&spans.one("egress").attributes);
    assert_eq!(told, as_texts(&of_egress));
    let of_request = [
        ("http.request.method", "POST"),
        ("http.response.status_code", "200"),
        ("http.route", "/v1/tools/{tool}/call"),
    ];
    assert_eq!(attributes(&request.attributes), as_texts(&of_request));
    for step in steps {
        let step = spans.one(step);
        assert_eq!(attributes(&step.attributes), BTreeMap::new());
        assert!(step.events.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_does_not_come_to_its_end_has_the_steps_that_it_came_to() {
    let (api, collector) = (
        LoopbackApi::start().await.unwrap(),
        Collector::start().await,
    );
    let fixture = traced(&api, &collector, "");
    let server = HttpServer::start(&fixture);
    let client = as_nobody(&server);
    client.call("planted_unknown", json!({})).await;
    client.call("report", json!({})).await;
    client.call("fetch", json!({})).await;
    client.call("misuse", json!({ "kind": "trap" })).await;
    end(server).await;

    let spans = collector.spans();
    let calls = spans.named("call").into_iter();
    let summary = |call: &Span| {
        let told = attributes(&call.attributes);
        let tell = |key: &str| told.get(key).cloned().unwrap_or_default();
        let error = call.status.as_ref().is_some_and(|status| status.code == 2);
        let how = format!(
            "{} {} {} {error}",
            tell("holster.tool"),
            tell("holster.outcome"),
            tell("error.type")
        );
        (how, spans.within(call).join(" "))
    };
    let found: BTreeSet<_> = calls.map(summary).collect();
    let expected = [
        (" refused unknown_tool false", "find record"),
        (
            "report refused invalid_arguments false",
            "find admit record",
        ),
        ("fetch interrupted  false", "find admit resolve record"),
        (
            "misuse failed crashed true",
            "find admit resolve run answer record",
        ),
    ];
    let expected = expected.map(|(how, steps)| (how.to_owned(), steps.to_owned()));
    assert_eq!(found, expected.into());
    let texts = format!("{:?}", spans.0);
    assert!(!texts.contains("planted_unknown"), "{texts}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_by_mcp_is_in_the_trace_of_its_request() {
    let collector = Collector::start().await;
    let (_fixture, server) = parity(&collector.configuration());
    let client = as_nobody(&server);
    let session = client.session().await;
    let call = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call",
        "params": { "name": "report", "arguments": report() } });
    let traceparent = format!("00-{TRACE}-{PARENT}-01");
    let headers = [
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        ("mcp-session-id", &*session),
        ("traceparent", &traceparent),
    ];
    let answer = client
        .send(Method::POST, "mcp", &headers, &call.to_string())
        .await;
    let total = &answer.body["result"]["structuredContent"]["total"];
    assert_eq!(*total, 5.0, "{}", answer.body);
    end(server).await;

    let spans = collector.spans();
    let call = spans.one("call");
    assert_eq!(hexadecimal(&call.trace_id), TRACE);
    let request = spans.named("POST /mcp").into_iter();
    let mut request = request.filter(|request| request.span_id == call.parent_span_id);
    let request = request.next().expect("the call is within its request");
    assert_eq!(hexadecimal(&request.parent_span_id), PARENT);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_at_standard_input_is_in_the_trace_that_its_client_names() {
    let collector = Collector::start().await;
    let fixture = Fixture::new(&collector.configuration());
    fixture.plug_in(&component("parity-rust"));
    let traced = tokio::task::spawn_blocking(move || {
        let mut client = McpClient::start(&fixture, &[], Protocol::V2025_11_25, json!({}));
        let traceparent = format!("00-{TRACE}-{PARENT}-01");
        let of_the_trace = json!({ "name": "report", "arguments": report(), "_meta": { "traceparent": traceparent } });
        let answer = client.request("tools/call", of_the_trace);
        assert_eq!(
            answer["result"]["structuredContent"]["total"], 5.0,
            "{answer}"
        );
        let of_none =
            json!({ "name": "report", "arguments": report(), "_meta": { "traceparent": 7 } });
        let answer = client.request("tools/call", of_none);
        assert_eq!(
            answer["result"]["structuredContent"]["total"], 5.0,
            "{answer}"
        );
        assert!(client.end());
    });
    traced.await.unwrap();

    let spans = collector.spans();
    let request = spans.one("tools/call");
    assert_eq!(hexadecimal(&request.trace_id), TRACE);
    assert_eq!(hexadecimal(&request.parent_span_id), PARENT);
    assert_eq!(spans.within(request), ["call"]);
    assert_eq!(spans.named("call").len(), 2);
}

/// In the arguments and, since the tool says it again, in the answer.
const ARGUMENT: &str = "planted-argument-77c1e0";
/// In the path of a request to the host.
const IN_PATH: &str = "planted-in-a-path-3ad9f2";
/// Whose calls they are, and in which conversation.
const THREAD: &str = "planted-thread-b05c66";

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_private_is_in_a_trace_or_among_the_metrics() {
    let (api, collector) = (
        LoopbackApi::start().await.unwrap(),
        Collector::start().await,
    );
    let digest = holster_core::types::KeyDigest::of("holster_key-of-who-watches");
    let more = format!(
        "serve.metrics = true\n{}[serve.keys.prometheus]\nsha256 = '{digest}'\ntenant = 'watch'\nmetrics = true\n",
        keys()
    );
    let fixture = traced(&api, &collector, &more);
    let mut command = HttpServer::command(&fixture);
    // What is logged is within spans, and goes out with none.
    command
        .env("HOLSTER_LOG", "trace")
        .stderr(std::process::Stdio::null());
    let server = HttpServer::start_as(command);
    let client = as_caller(&server, "ann");
    let page = page(&client, "fetch").await;
    enter_as("ann", &page, "work-slack-token").await;
    let answer = client.call("fetch", json!({})).await;
    assert_eq!(
        answer.body["content"][0]["value"]["user"], "ann",
        "{}",
        answer.body
    );
    let mut arguments = report();
    arguments["title"] = ARGUMENT.into();
    let asked = json!({ "arguments": arguments, "for": { "thread": THREAD } });
    let answer = client.post("v1/tools/report/call", &asked).await;
    assert!(
        answer.body.to_string().contains(ARGUMENT),
        "{}",
        answer.body
    );
    client.call("report", json!({ ARGUMENT: ARGUMENT })).await;
    client.call(IN_PATH, json!({})).await;
    client
        .post(&format!("v1/{IN_PATH}?{IN_PATH}={IN_PATH}"), &json!({}))
        .await;
    let session = client.session().await;
    let call = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call",
        "params": { "name": "report", "arguments": arguments } });
    client.mcp(Some(&session), &call).await;
    let watching = Client {
        server: &server,
        authorization: Some("Bearer holster_key-of-who-watches".to_owned()),
    };
    let numbers = crate::metrics::numbers(&watching).await;
    end(server).await;

    let bodies = collector.bodies();
    let spans = Spans::of(&bodies);
    assert_eq!(spans.named("call").len(), 6, "{:?}", spans.names());
    assert_eq!(spans.named("egress").len(), 1);
    let own_key = key("ann");
    let own_key = own_key.trim_start_matches("Bearer ");
    let names: Vec<_> = numbers.keys().map(String::as_str).collect();
    let names = names.join("\n");
    for private in [
        "work-slack-token",
        own_key,
        "key-of-who-watches",
        ARGUMENT,
        IN_PATH,
        THREAD,
        &session,
        "auth.test",
    ] {
        for body in &bodies {
            let found = body
                .windows(private.len())
                .any(|part| part == private.as_bytes());
            assert!(!found, "{private} is in a span: {:?}", spans.0);
        }
        assert!(!names.contains(private), "{private} is in {names}");
    }
    let texts: BTreeSet<_> = spans
        .0
        .iter()
        .flat_map(|span| {
            attributes(&span.attributes)
                .into_values()
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(
        !texts.contains("ann") && !names.contains("\"ann\""),
        "{texts:?} {names}"
    );
    assert!(spans.0.iter().all(|span| span.events.is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_down_or_hangs_holds_up_neither_calls_nor_the_end() {
    let hanging = LoopbackApi::start().await.unwrap();
    let late = Script::Answer(Scripted::status(StatusCode::OK));
    let late = Script::Delayed(Duration::from_mins(10), Box::new(late));
    hanging.script("/v1/traces", late);
    // Nobody listens there any more.
    let down = LoopbackApi::start().await.unwrap().url();
    for collector in [hanging.url(), down] {
        let (_fixture, server) = parity(&format!("telemetry.traces = '{collector}'\n"));
        let client = as_nobody(&server);
        client.call("report", report()).await;
        let start = Instant::now();
        // As long as it takes until spans are sent, and longer.
        while start.elapsed() < Duration::from_secs(7) {
            let called = Instant::now();
            let answer = client.call("report", report()).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
            let took = called.elapsed();
            assert!(took < Duration::from_secs(2), "{collector}: {took:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        end(server).await;
    }
    assert!(!hanging.take_requests().is_empty(), "it was asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_names_a_collector_where_the_configuration_does_not() {
    let collector = Collector::start().await;
    let fixture = Fixture::new("connect.address = '127.0.0.1:0'\n");
    fixture.plug_in(&holster_tests::component("parity-rust"));
    let mut command = HttpServer::command(&fixture);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.0.url());
    let server = HttpServer::start_as(command);
    let answer = as_nobody(&server).call("report", report()).await;
    assert_ne!(answer.body, Value::Null);
    end(server).await;
    collector.spans().one("call");

    let mut command = HttpServer::command(&fixture);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://planted@collector");
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("OTEL_EXPORTER_OTLP_ENDPOINT"), "{said}");
    assert!(!said.contains("planted"), "{said}");
}
