//! What the page at `/` stands on: the calls of late, what changes as it changes, and the page itself, without a browser
//! and in Chromium (`tests/browser/page.mjs`).

use std::collections::VecDeque;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use holster_tests::loopback_api::LoopbackApi;
use holster_tests::{Fixture, HttpServer, chromium, component};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use identity_provider::{IdentityProvider, Options, install_packages};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use url::Position;

use crate::connecting;
use crate::mcp::report;
use crate::serve::{Client, as_caller, as_nobody, enter_as, key, keys, parity, unconnected};

const PATIENCE: Duration = Duration::from_secs(20);

/// A stream of events, as it comes.
struct Events {
    body: Incoming,
    text: String,
    read: VecDeque<(String, Value)>,
}

impl Events {
    /// The status where nobody is let in.
    async fn open(client: &Client<'_>) -> Result<Self, StatusCode> {
        let url = client.server.at("v1/events");
        let address = url.socket_addrs(|| None).unwrap();
        let stream = TcpStream::connect(&*address).await.unwrap();
        let io = TokioIo::new(stream);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        let mut request = Request::get("/v1/events")
            .header(HOST, &url[Position::BeforeHost..Position::AfterPort]);
        if let Some(authorization) = &client.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        let response = sender.send_request(request).await.unwrap();
        if response.status() != StatusCode::OK {
            return Err(response.status());
        }
        assert_eq!(response.headers()[CONTENT_TYPE], "text/event-stream");
        let mut events = Self {
            body: response.into_body(),
            text: String::new(),
            read: VecDeque::new(),
        };
        assert_eq!(events.next().await.unwrap().0, "hello");
        Ok(events)
    }

    /// The next event; `None` where the stream has ended.
    async fn next(&mut self) -> Option<(String, Value)> {
        while self.read.is_empty() {
            let frame = tokio::time::timeout(PATIENCE, self.body.frame());
            let frame = frame.await.expect("something is said in time")?.ok()?;
            let bytes = frame.into_data().unwrap_or_default();
            self.text.push_str(std::str::from_utf8(&bytes).unwrap());
            while let Some(end) = self.text.find("\n\n") {
                let event: String = self.text.drain(..end + 2).collect();
                let field = |name| event.lines().find_map(|line| line.strip_prefix(name));
                if let (Some(name), Some(data)) = (field("event: "), field("data: ")) {
                    let data = serde_json::from_str(data).unwrap();
                    self.read.push_back((name.to_owned(), data));
                }
            }
        }
        self.read.pop_front()
    }

    /// The data of the next event of that name; others are passed over.
    async fn await_event(&mut self, wanted: &str) -> Value {
        loop {
            let (name, data) = self.next().await.expect("the stream has not ended");
            if name == wanted {
                return data;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_calls_of_late_are_listed_the_newest_first_with_how_they_ended() {
    let api = LoopbackApi::start().await.unwrap();
    let (_fixture, server) = unconnected(&api);
    let client = as_caller(&server, "ann");
    let waiting = client.call("fetch", json!({})).await;
    let url = waiting.body["missing"][0]["url"].as_str().unwrap();
    enter_as("ann", &url.parse().unwrap(), "work-slack-token").await;
    client.call("fetch", json!({})).await;
    client.call("fail", json!({ "kind": "failed" })).await;
    client.call("report", json!({ "title": 5 })).await;
    client.call("reprot", json!({})).await;

    let answer = client.get("v1/calls").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let calls = answer.body["calls"].as_array().unwrap();
    let said = |name: &str| -> Vec<&str> {
        let texts = calls.iter().map(|call| call[name].as_str());
        texts.map(Option::unwrap_or_default).collect()
    };
    assert_eq!(said("tool"), ["reprot", "report", "fail", "fetch", "fetch"]);
    assert_eq!(
        said("ended"),
        ["failed", "failed", "failed", "finished", "interrupted"]
    );
    let component = "parity-rust";
    assert_eq!(
        said("component"),
        ["", component, component, component, component]
    );
    let reasons = said("reason");
    for (reason, part) in reasons.iter().zip([
        "did you mean `report`?",
        "do not fit the input schema",
        "",
        "",
        "a person has to connect `slack` for profile `default`",
    ]) {
        assert!(reason.contains(part), "{reasons:?}");
    }
    let numbers: Vec<_> = calls.iter().map(|call| call["number"].as_u64()).collect();
    assert_eq!(numbers, [5, 4, 3, 2, 1].map(Some));
    let fetched = &calls[3];
    assert_eq!(fetched["accounts"][0]["account"], "ann", "{fetched}");
    assert_eq!(fetched["hosts"][0]["origin"], api.url(), "{fetched}");
    assert_eq!(fetched["hosts"][0]["requests"], 1);
    assert_eq!(fetched["thread"], "http");
    assert!(fetched["duration_us"].as_u64().unwrap() > 0);
    assert!(!answer.body.to_string().contains("work-slack-token"));

    let two = client.get("v1/calls?limit=2").await.body;
    assert_eq!(two["calls"], json!(calls[..2]));
    for wrong in ["limit=0", "limit=501", "limit=many", "limit=-1", "last=1"] {
        let answer = client.get(&format!("v1/calls?{wrong}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_not_waited_for_is_recorded_as_cancelled() {
    let (_fixture, server) = parity("");
    let client = as_nobody(&server);
    // Once it is compiled.
    client.get("v1/tools").await;
    let call = client.call("misuse", json!({ "kind": "spin" }));
    assert!(
        tokio::time::timeout(Duration::from_secs(1), call)
            .await
            .is_err()
    );
    let listed = async {
        loop {
            let calls = client.get("v1/calls").await.body;
            if let Some(call) = calls["calls"].get(0) {
                return call.clone();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let call = tokio::time::timeout(PATIENCE, listed).await.unwrap();
    assert_eq!(call["ended"], "cancelled", "{call}");
    assert_eq!(call["component"], "parity-rust");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_listens_is_told_of_calls_connections_accounts_and_tools() {
    let api = LoopbackApi::start().await.unwrap();
    let (fixture, server) = unconnected(&api);
    let client = as_caller(&server, "ann");
    client.get("v1/tools").await;
    let mut events = Events::open(&client).await.unwrap();

    let waiting = client.call("fetch", json!({})).await;
    let missing = &waiting.body["missing"][0];
    let call = events.await_event("call").await;
    assert_eq!(call["ended"], "interrupted", "{call}");
    let begun = events.await_event("connection").await;
    assert_eq!(begun["id"], missing["connection"], "{begun}");
    assert_eq!(
        (&begun["state"], &begun["url"]),
        (&json!("created"), &missing["url"])
    );

    // Some process of the user serves the page, not the one that is listened to.
    let page = missing["url"].as_str().unwrap().parse().unwrap();
    enter_as("ann", &page, "work-slack-token").await;
    let over = events.await_event("connection").await;
    assert_eq!(over["id"], begun["id"]);
    assert_eq!(
        (&over["state"], &over["account"]),
        (&json!("connected"), &json!("ann"))
    );
    events.await_event("accounts").await;

    client
        .send(Method::DELETE, "v1/accounts/default/slack", &[], "")
        .await;
    events.await_event("accounts").await;
    fixture.plug_in(&component("text-statistics"));
    events.await_event("tools").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_listens_is_told_of_a_connection_that_was_over_at_once() {
    let api = LoopbackApi::start().await.unwrap();
    let (_fixture, server) = unconnected(&api);
    let client = as_caller(&server, "ann");
    let mut events = Events::open(&client).await.unwrap();
    // Several, so that most begin and end between two looks.
    for profile in ["a", "b", "c", "d", "e"] {
        let body = json!({ "provider": "slack", "for": { "profile": profile } });
        let begun = client.post("v1/connections", &body).await;
        let page = begun.body["url"].as_str().unwrap().parse().unwrap();
        enter_as("ann", &page, "work-slack-token").await;
        loop {
            let told = events.await_event("connection").await;
            if told["id"] == begun.body["id"] && told["state"] == "connected" {
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_of_what_another_user_does() {
    let api = LoopbackApi::start().await.unwrap();
    let (_fixture, server) = unconnected(&api);
    let (ann, bob) = (as_caller(&server, "ann"), as_caller(&server, "bob"));
    ann.get("v1/tools").await;
    let mut events = Events::open(&bob).await.unwrap();
    let waiting = ann.call("fetch", json!({})).await;
    let page = waiting.body["missing"][0]["url"].as_str().unwrap();
    enter_as("ann", &page.parse().unwrap(), "work-slack-token").await;
    ann.call("fetch", json!({})).await;
    // Longer than it takes to be told.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    bob.call("fail", json!({ "kind": "failed" })).await;
    let (name, data) = events.next().await.unwrap();
    assert_eq!((&*name, &data["tool"]), ("call", &json!("fail")), "{data}");
}

#[tokio::test(flavor = "multi_thread")]
async fn listeners_are_bounded_for_each_user_and_end_with_the_server() {
    let (_fixture, server) = parity(&keys());
    let ann = as_caller(&server, "ann");
    let mut listening = Vec::new();
    for _ in 0..16 {
        listening.push(Events::open(&ann).await.unwrap());
    }
    let refused = Events::open(&ann).await.err();
    assert_eq!(refused, Some(StatusCode::TOO_MANY_REQUESTS));
    assert!(Events::open(&as_caller(&server, "bob")).await.is_ok());
    listening.pop();
    let again = async {
        while Events::open(&ann).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, again).await.unwrap();

    let ended = tokio::task::spawn_blocking(move || server.end(Duration::from_secs(10)));
    assert!(ended.await.unwrap());
    for mut events in listening {
        assert_eq!(events.next().await, None);
    }
}

/// A host at a public address, where everybody needs a key.
fn public() -> (Fixture, HttpServer) {
    parity(&format!(
        "connect.public_url = 'https://holster.example.com/'\n{}",
        keys()
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_needs_no_key_and_holds_nothing_that_would() {
    let (_fixture, server) = public();
    let nobody = as_nobody(&server);
    for (path, kind) in [
        ("", "text/html; charset=utf-8"),
        ("page.js", "text/javascript; charset=utf-8"),
        ("page.css", "text/css; charset=utf-8"),
    ] {
        let answer = nobody.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert_eq!(answer.headers["content-type"], kind);
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        for part in [
            "default-src 'none'",
            "frame-ancestors 'none'",
            "trusted-types 'none'",
        ] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        for (name, value) in [
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
        ] {
            assert_eq!(answer.headers[name], value, "{path}");
        }
        let elsewhere = nobody
            .send(Method::GET, path, &[("host", "evil.example")], "")
            .await;
        assert_eq!(elsewhere.status, StatusCode::FORBIDDEN, "{path}");
        let sent = nobody.send(Method::POST, path, &[], "").await;
        assert_eq!(sent.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
    }
    assert_eq!(
        nobody.get("v1/tools").await.status,
        StatusCode::UNAUTHORIZED
    );
    // The connect pages are at the same address, by the name that browsers know.
    let by_name = [("host", "holster.example.com")];
    for path in ["connect.css", ""] {
        let answer = nobody.send(Method::GET, path, &by_name, "").await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_of_another_site_changes_nothing() {
    let api = LoopbackApi::start().await.unwrap();
    let fixture = connecting::fixture(&api, "connect.address = '127.0.0.1:0'");
    let server = HttpServer::start(&fixture);
    let client = as_nobody(&server);
    let own = server.at("").origin().ascii_serialization();
    let body = json!({ "provider": "slack" }).to_string();
    let forms = [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
    ];
    for origin in ["https://evil.example", "null", "http://127.0.0.1:1"] {
        for kind in forms.into_iter().chain(["application/json"]) {
            let headers = [("origin", origin), ("content-type", kind)];
            let answer = client
                .send(Method::POST, "v1/connections", &headers, &body)
                .await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{origin} {kind}");
        }
        let headers = [("origin", origin)];
        let answer = client
            .send(Method::DELETE, "v1/accounts/default/slack", &headers, "")
            .await;
        assert_eq!(answer.body["type"], "foreign_origin");
        // What a browser asks before it sends anything but a form.
        let answer = client
            .send(Method::OPTIONS, "v1/connections", &headers, "")
            .await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
    }
    // Neither does what has the looks of a form.
    for kind in forms {
        let answer = client
            .send(
                Method::POST,
                "v1/connections",
                &[("content-type", kind)],
                &body,
            )
            .await;
        assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{kind}");
    }
    let pending = client.get("v1/connections").await.body;
    assert_eq!(pending["connections"], json!([]));
    let headers = [("origin", &*own), ("content-type", "application/json")];
    let answer = client
        .send(Method::POST, "v1/connections", &headers, &body)
        .await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_of_the_configuration_is_shown_as_one_that_cannot_be_disconnected() {
    let api = LoopbackApi::start().await.unwrap();
    let configured =
        "[profiles.work.credentials.slack]\ntoken = { file = 'token' }\naccount = 'ann'";
    let fixture = connecting::fixture(
        &api,
        &format!("connect.address = '127.0.0.1:0'\n{configured}"),
    );
    fixture.write_private("token", "work-slack-token");
    let server = HttpServer::start(&fixture);
    let client = as_nobody(&server);
    let accounts = client.get("v1/accounts").await.body["accounts"].clone();
    assert_eq!(accounts[0]["disconnectable"], false, "{accounts}");
    assert_eq!(accounts[0]["default"], true, "{accounts}");
    let refused = client
        .send(Method::DELETE, "v1/accounts/work/slack", &[], "")
        .await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.body);
    assert_eq!(refused.body["type"], "configured");
    let again = json!({ "provider": "slack", "for": { "profile": "work" } });
    let refused = client.post("v1/connections", &again).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.body);
}

/// A script of `tests/browser`, ready to be started.
async fn script(name: &str) -> tokio::process::Command {
    let package = holster_tests::repository().join("tests/browser");
    install_packages(&package).await.unwrap();
    let mut command = tokio::process::Command::new("node");
    command
        .arg(package.join(name))
        .env("CHROMIUM", chromium())
        .kill_on_drop(true);
    command
}

/// The component with a description that is markup: as long as the one that it has, since it is written over it.
fn with_markup(component: &Path) -> Vec<u8> {
    const PLAIN: &[u8] = b"Uses up what a call may use.";
    const MARKUP: &[u8] = b"<img src=x onerror=alert(1)>";
    assert_eq!(PLAIN.len(), MARKUP.len());
    let mut bytes = fs::read(component).unwrap();
    let at = bytes.windows(PLAIN.len()).position(|part| part == PLAIN);
    let at = at.expect("the description of `misuse` in one piece");
    bytes[at..at + MARKUP.len()].copy_from_slice(MARKUP);
    bytes
}

/// Slack, whose accounts are those of this identity provider.
fn with_login(idp: &IdentityProvider, api: &LoopbackApi) -> Fixture {
    let fixture = connecting::fixture(
        api,
        "connect.address = '127.0.0.1:0'\n[providers.slack.client]\nid = 'native'\n[profiles.work]",
    );
    let (issuer, api) = (idp.issuer(), api.url());
    let provider = format!(
        "id = 'slack'\ntitle = 'Slack'\nkinds = ['oauth2']\ndoc_url = 'https://slack.example/'\n\
         hosts = ['{issuer}', '{api}']\n\
         [oauth]\nissuer = '{issuer}'\ndiscover = true\nauthorize_url = '{issuer}/auth'\nclient_auth = 'none'\n\
         rotation = 'rotates'\ndefault_scopes = ['openid', 'offline_access', 'email']\n\
         authorize_params = {{ prompt = 'consent' }}\n\
         [identity]\nurl = '{issuer}/me'\npointer = '/email'\n"
    );
    fs::write(fixture.path("providers/slack.toml"), provider).unwrap();
    fixture.plug_in_bytes(&with_markup(&component("parity-rust")), "parity-rust.wasm");
    fixture.plug_in_bytes(b"not a component", "broken.wasm");
    fixture
}

/// What `page.mjs` saw, with a server that it may have ended and started again.
async fn seen_in_chromium(fixture: &Fixture, other: &str) -> Value {
    let mut server = Some(HttpServer::start(fixture));
    let url = server.as_ref().unwrap().at("");
    let mut browser = script("page.mjs")
        .await
        .env("PAGE_URL", url.as_str())
        .env("OTHER_URL", other)
        .env(
            "SCREENSHOTS",
            Path::new(env!("CARGO_TARGET_TMPDIR")).join("page"),
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut done = browser.stdin.take().unwrap();
    let mut lines = BufReader::new(browser.stdout.take().unwrap()).lines();
    let watched = async {
        let seen = loop {
            let line = lines.next_line().await.unwrap();
            match line.as_deref().expect("the script says what it saw") {
                "end the server" => drop(server.take()),
                "start the server" => {
                    server = Some(HttpServer::start_at(fixture, url.port().unwrap()));
                }
                seen => break serde_json::from_str(seen).unwrap(),
            }
            done.write_all(b"done\n").await.unwrap();
        };
        // It ends Chromium before itself.
        browser.wait().await.unwrap();
        seen
    };
    let seen = tokio::time::timeout(Duration::from_mins(3), watched).await;
    seen.expect("the browser comes to its end")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_connects_sees_calls_and_disconnects_in_chromium() {
    let options = Options {
        access_token: Duration::from_hours(1),
        ..Options::default()
    };
    let idp = IdentityProvider::start(options).await.unwrap();
    let api = LoopbackApi::start().await.unwrap();
    let fixture = with_login(&idp, &api);
    let other = format!("{}/.well-known/openid-configuration", idp.issuer());
    let seen = seen_in_chromium(&fixture, &other).await;

    for (name, parts) in [
        (
            "tools",
            "report; Writes a short report.; parity-rust; reads only; needs Slack",
        ),
        // What a tool says of itself is there, and is nothing but text.
        ("tools", "<img src=x onerror=alert(1)>"),
        ("problems", "broken.wasm"),
        ("connected", "Slack; alice@example.test; default; scopes"),
        (
            "calls",
            "report; finished; fail; failed; fetch; interrupted; parity-rust",
        ),
        ("waiting", "Slack; for profile work; Open"),
        (
            "confirmed",
            "Disconnect Slack?; alice@example.test; Keep it",
        ),
        ("kept", "alice@example.test"),
        (
            "notice",
            "Slack of the profile default is disconnected, and the provider was told",
        ),
        ("answered", "foreign_origin"),
        ("gone", "The server does not answer."),
    ] {
        let text = seen[name].as_str().unwrap();
        for part in parts.split("; ") {
            assert!(text.contains(part), "{name}: {part}: {text}");
        }
    }
    assert_eq!(
        (&seen["markup"], &seen["injected"]),
        (&json!(0), &json!(false))
    );
    let reached = seen["reached"].as_array().unwrap();
    let last = reached.last().unwrap();
    assert_eq!(last, "Connect: Slack for profile default", "{reached:?}");
    // The page that connects does not know where its reader comes from.
    assert_eq!(seen["referrer"], json!(["", true]));
    assert_eq!(seen["asked"], json!([502, 202, 200]));
    assert_eq!(idp.stats().await.unwrap().code, 1);
    assert_eq!(seen["same"], true, "the page was never loaded anew");

    assert_eq!(seen["forged"], "refused");
    let pending = seen["pending"].as_str().unwrap();
    assert!(!pending.contains("forged"), "{pending}");
    assert_eq!(seen["barriers"], json!([]));
    assert_eq!(seen["overflow"], 0);
    // What its own policy stops, a page says in its console: here what the script itself tried to inject.
    let complaints = seen["complaints"].as_array().unwrap();
    let expected = |complaint: &&Value| !complaint.as_str().unwrap().contains("TrustedHTML");
    let unexpected: Vec<_> = complaints.iter().filter(expected).collect();
    assert!(unexpected.is_empty(), "{unexpected:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_needs_a_key_keeps_it_to_its_tab_and_out_of_every_address() {
    let (_fixture, server) = public();
    let authorization = key("ann");
    let secret = authorization.trim_start_matches("Bearer ");

    let browser = script("page-with-key.mjs")
        .await
        .env("PAGE_URL", server.at("").as_str())
        .env("KEY", secret)
        .output();
    let ended = tokio::time::timeout(Duration::from_mins(2), browser).await;
    let output = ended.expect("the browser comes to its end").unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
    for name in ["before", "after"] {
        let text = seen[name].as_str().unwrap();
        assert!(!text.contains("report"), "{name}: {text}");
    }
    assert_eq!(seen["kept"], json!([[secret], [], ""]));
    assert_eq!(seen["button"], "Forget the key");
    assert_eq!(seen["leaked"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_through_mcp_is_seen_as_well() {
    let (_fixture, server) = parity("");
    let client = as_nobody(&server);
    let mut events = Events::open(&client).await.unwrap();
    let session = client.session().await;
    let call = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call",
        "params": { "name": "report", "arguments": report() } });
    client.mcp(Some(&session), &call).await;
    let seen = events.await_event("call").await;
    assert_eq!(
        (&seen["tool"], &seen["ended"]),
        (&json!("report"), &json!("finished"))
    );
    assert!(
        seen["thread"].as_str().unwrap().starts_with("session-"),
        "{seen}"
    );
}
