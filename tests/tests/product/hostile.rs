//! A guest that means harm, or is careless with what a service sends back: what it can do with an account, and what
//! it cannot.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use holster_core::{
    Answer, Answering, CallError, CallProgress, Failure, Host, LogMessage, Outcome, Question,
    Session,
};
use holster_runtime::{HostVisit, Leak, LeakPlace};
use holster_tests::loopback_api::{Answer as ApiAnswer, LoopbackApi, Script};
use holster_tests::{Fixture, call, component, structured};
use http::StatusCode;
use serde_json::json;

/// With characters that encoders treat in different ways.
const SECRET: &str = "planted/secret+of~ann=";

/// The guest's own host: takes whatever comes, and keeps every byte.
struct Sink {
    url: String,
    bytes: Arc<Mutex<Vec<u8>>>,
}

impl Sink {
    /// Serves until the test's program ends.
    fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&bytes);
        std::thread::spawn(move || {
            for mut connection in listener.incoming().flatten() {
                let mut chunk = [0; 16 << 10];
                while let Ok(length @ 1..) = connection.read(&mut chunk) {
                    kept.lock().unwrap().extend_from_slice(&chunk[..length]);
                    // To a request without a body; one with a body may be answered before it has ended.
                    let _ = connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
                }
            }
        });
        Self { url, bytes }
    }

    fn took(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap()).into_owned()
    }
}

/// The hostile component with an account at `api`, which may also reach `sink`.
fn fixture(api: &LoopbackApi, sink: &str) -> Fixture {
    let url = api.url();
    let fixture = Fixture::new(&format!(
        "default_profile = 'work'\n\
         [profiles.work.credentials]\nslack.token = {{ file = 'secret' }}\nserpapi.token = {{ file = 'secret' }}\n\
         [providers]\nslack.hosts = ['{url}']\nserpapi.hosts = ['{url}']\n\
         [components.hostile-rust]\nhosts = ['{sink}']\nconfig = {{ base_url = '{url}', sink_url = '{sink}' }}\n",
    ));
    fixture.write_private("secret", SECRET);
    fixture.plug_in(&component("hostile-rust"));
    fixture
}

async fn ready(fixture: &Fixture) -> Host {
    let host = fixture.host().await;
    host.settled().await;
    host
}

/// How the call failed, and what the guest asked for.
fn failed(outcome: Outcome) -> (CallError, Vec<HostVisit>) {
    match outcome {
        Outcome::Failed(Failure::Run { error, visits, .. }) => (error, visits),
        other => panic!("{other:?}"),
    }
}

type Form = fn(&str) -> String;

/// Passes on, in every way that there is, what an API sends back in this form, `piece` bytes at a time.
async fn assert_withheld(form: Form, piece: usize) {
    let api = LoopbackApi::start().await.unwrap();
    api.script("/echo", Script::Token { form, piece });
    let sink = Sink::start();
    let fixture = fixture(&api, &sink.url);
    let host = ready(&fixture).await;
    for (way, place) in [
        ("text", LeakPlace::Answer),
        ("structured", LeakPlace::Answer),
        ("image", LeakPlace::Answer),
        ("link", LeakPlace::Answer),
        ("error", LeakPlace::Error),
        ("stdout", LeakPlace::StandardOutput),
        ("stderr", LeakPlace::StandardError),
        ("pieces", LeakPlace::StandardOutput),
        ("path", LeakPlace::RequestLine),
        ("query", LeakPlace::RequestLine),
        ("header", LeakPlace::RequestHeader),
        ("body", LeakPlace::RequestBody),
        ("back", LeakPlace::RequestBody),
    ] {
        let outcome = host.call(call("pass_on", json!({ "way": way }))).await;
        let said = format!("{outcome:?}");
        assert!(
            !said.contains(SECRET) && !said.contains(&form(SECRET)),
            "{way}: {said}"
        );
        let (error, visits) = failed(outcome);
        let CallError::LeakedSecret(Leak {
            provider,
            place: found,
        }) = &error
        else {
            panic!("{way}: {error:?}");
        };
        assert_eq!((provider.as_str(), *found), ("slack", place), "{way}");
        assert!(error.to_string().contains(&place.to_string()), "{error}");
        let is_request = format!("{place:?}").starts_with("Request");
        let refused = visits.iter().filter_map(|visit| visit.refused.as_deref());
        let refused: Vec<_> = refused.collect();
        assert_eq!(refused.len(), usize::from(is_request), "{way}: {visits:?}");
    }
    let took = sink.took();
    assert!(!took.contains(&form(SECRET)), "{took}");
    let back = api
        .take_requests()
        .into_iter()
        .find(|request| request.path == "/back");
    assert!(back.is_none(), "{back:?}");
}

fn written(prefix: &str, upper: bool) -> String {
    let mut text = String::new();
    for byte in SECRET.bytes() {
        let written = if upper {
            write!(text, "{prefix}{byte:02X}")
        } else {
            write!(text, "{prefix}{byte:02x}")
        };
        written.unwrap();
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_api_echoes_as_it_is_is_withheld() {
    assert_withheld(str::to_owned, 1000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_api_echoes_percent_encoded_is_withheld() {
    let forms: [Form; 4] = [
        |_| "planted%2Fsecret%2Bof~ann%3D".to_owned(),
        |_| "planted%2fsecret%2bof%7eann%3d".to_owned(),
        |_| written("%", true),
        |_| written("%", false),
    ];
    for form in forms {
        assert_withheld(form, 1000).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_api_echoes_in_base64_at_any_offset_is_withheld() {
    let forms: [Form; 4] = [
        |token| STANDARD.encode(format!("{token}!")),
        |token| STANDARD.encode(format!(":{token}")),
        |token| STANDARD.encode(format!("a:{token}!!")),
        |token| URL_SAFE_NO_PAD.encode(format!("ann:{token}")),
    ];
    for form in forms {
        assert_withheld(form, 1000).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_api_echoes_in_hex_is_withheld() {
    let forms: [Form; 2] = [|_| written("", false), |_| written("", true)];
    for form in forms {
        assert_withheld(form, 1000).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_api_echoes_escaped_in_json_is_withheld() {
    let forms: [Form; 3] = [
        |_| r"planted\/secret+of~ann=".to_owned(),
        |_| written("\\u00", false),
        |_| r"planted/secret\u002Bof~ann=".to_owned(),
    ];
    for form in forms {
        assert_withheld(form, 1000).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_api_echoes_byte_by_byte_is_withheld() {
    assert_withheld(str::to_owned, 1).await;
    assert_withheld(|token| STANDARD.encode(token), 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn structured_content_is_looked_at_once_its_escapes_are_read() {
    let api = LoopbackApi::start().await.unwrap();
    // No writer of JSON escapes one letter alone, but a reader reads it.
    let form: Form = |token| format!("\\u0070{}", &token[1..]);
    api.script("/echo", Script::Token { form, piece: 7 });
    let installed = fixture(&api, "https://evil.example");
    let host = ready(&installed).await;
    let outcome = host
        .call(call("pass_on", json!({ "way": "structured" })))
        .await;
    assert!(matches!(failed(outcome).0, CallError::LeakedSecret(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_the_secret_and_one_that_may_hold_it_pass() {
    let api = LoopbackApi::start().await.unwrap();
    let form: Form = |token| token[1..].to_owned();
    api.script("/echo", Script::Token { form, piece: 1000 });
    let sink = Sink::start();
    let installed = fixture(&api, &sink.url);
    let host = ready(&installed).await;
    for way in ["text", "stdout", "pieces", "body", "header"] {
        let outcome = host.call(call("pass_on", json!({ "way": way }))).await;
        assert!(
            matches!(outcome, Outcome::Finished(_)),
            "{way}: {outcome:?}"
        );
    }
    assert!(sink.took().contains(&SECRET[1..]));

    api.script(
        "/echo",
        Script::Token {
            form: str::to_owned,
            piece: 1000,
        },
    );
    let revealing = fixture(&api, &sink.url);
    let file = revealing.path("holster.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{text}reveal = ['slack']\n")).unwrap();
    let host = ready(&revealing).await;
    let outcome = host.call(call("pass_on", json!({ "way": "text" }))).await;
    assert!(format!("{outcome:?}").contains(SECRET), "{outcome:?}");
}

#[test]
fn what_a_guest_prints_of_a_secret_reaches_no_log() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let api = runtime.block_on(LoopbackApi::start()).unwrap();
    api.script(
        "/echo",
        Script::Token {
            form: str::to_owned,
            piece: 1000,
        },
    );
    let fixture = fixture(&api, "https://evil.example");
    for way in ["stdout", "stderr", "pieces"] {
        let output =
            fixture.holster(&["-vv", "call", "pass_on", &json!({ "way": way }).to_string()]);
        let said =
            [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        let said = said.concat();
        assert!(
            said.contains("the secret of `slack` is in the tool's standard"),
            "{way}: {said}"
        );
        assert!(!said.contains("planted/"), "{way}: {said}");
        // What it printed before is there.
        assert_eq!(said.contains("........"), way == "pieces", "{way}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_to_another_host_takes_no_secret_along() {
    let api = LoopbackApi::start().await.unwrap();
    let sink = Sink::start();
    for (to_sink, host_is_allowed) in [(true, true), (true, false), (false, true)] {
        let reachable = if host_is_allowed {
            sink.url.as_str()
        } else {
            "https://evil.example"
        };
        let next = if to_sink { &sink.url } else { &api.url() };
        api.script("/start", Script::Redirect(format!("{next}/stolen")));
        let installed = fixture(&api, reachable);
        let host = ready(&installed).await;
        api.take_requests();
        let outcome = host.call(call("follow", json!({}))).await;
        let hops = structured(&outcome)["hops"].clone();
        let requests = api.take_requests();
        // The host follows nothing: the guest sees each redirect.
        assert_eq!(hops[0], "302");
        assert_eq!(
            requests[0].headers["authorization"],
            format!("Bearer {SECRET}")
        );
        if to_sink {
            assert!(hops[1].as_str().unwrap().contains("refused"), "{hops}");
            let Outcome::Finished(finished) = &outcome else {
                panic!("{outcome:?}");
            };
            let why = finished.visits[1].refused.as_deref().unwrap();
            let expected = if host_is_allowed {
                "sealed token of `slack`"
            } else {
                "nor named by the policy"
            };
            assert!(why.contains(expected), "{why}");
            assert_eq!(requests.len(), 1);
        } else {
            assert_eq!(hops[1], "404");
            assert_eq!(requests[1].path, "/stolen");
        }
    }
    assert_eq!(sink.took(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_writes_no_host_header_and_no_line_break_into_a_request() {
    let api = LoopbackApi::start().await.unwrap();
    let installed = fixture(&api, "https://evil.example");
    let host = ready(&installed).await;
    let outcome = host.call(call("forge", json!({}))).await;
    assert_eq!(structured(&outcome)["accepted"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guests_own_authorization_and_cookies_are_its_own_text() {
    let api = LoopbackApi::start().await.unwrap();
    let sink = LoopbackApi::start().await.unwrap();
    let installed = fixture(&api, &sink.url());
    let host = ready(&installed).await;
    structured(&host.call(call("plain", json!({}))).await);
    let requests = sink.take_requests();
    assert_eq!(requests[0].headers["authorization"], "Bearer my-own");
    assert_eq!(requests[0].headers["cookie"], "a=b");
    assert_eq!(requests[0].headers["host"], sink.address().to_string());
    assert!(!format!("{requests:?}").contains(SECRET));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_goes_into_the_query_only_where_its_provider_takes_it_there() {
    const SENT: &str = "planted%2Fsecret%2Bof%7Eann%3D";
    let (api, sink) = (
        LoopbackApi::start().await.unwrap(),
        LoopbackApi::start().await.unwrap(),
    );
    api.script("/search", Script::Answer(ApiAnswer::status(StatusCode::OK)));
    let installed = fixture(&api, &sink.url());
    let host = ready(&installed).await;
    for (name, elsewhere, hop, sent) in [
        ("api_key", false, "200", format!("&api_key={SENT}")),
        ("key", false, "200", "&key=holster-sealed-".to_owned()),
        ("api_key", true, "refused", String::new()),
    ] {
        let arguments = json!({ "name": name, "elsewhere": elsewhere });
        let outcome = host.call(call("query", arguments)).await;
        let hops = structured(&outcome)["hops"].clone();
        assert!(hops[0].as_str().unwrap().contains(hop), "{name}: {hops}");
        let queries: Vec<_> = api
            .take_requests()
            .into_iter()
            .map(|got| got.query)
            .collect();
        let expected = usize::from(!elsewhere);
        assert_eq!(queries.len(), expected, "{name}: {queries:?}");
        assert!(
            queries.iter().all(|query| query.contains(&sent)),
            "{queries:?}"
        );
        let said = format!("{outcome:?}");
        assert!(!said.contains(SECRET) && !said.contains(SENT), "{said}");
    }
    assert!(sink.take_requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_sends_as_much_as_its_limits_allow_and_no_more() {
    for (limits, arguments, sent) in [
        ("requests = 3", json!({ "times": 5, "bytes": 0 }), 3),
        (
            "request_bytes = 1000",
            json!({ "times": 5, "bytes": 450 }),
            2,
        ),
    ] {
        let api = LoopbackApi::start().await.unwrap();
        api.script("/ask", Script::Answer(ApiAnswer::status(StatusCode::OK)));
        let installed = fixture(&api, "https://evil.example");
        let file = installed.path("holster.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        let limited = format!("{text}[components.hostile-rust.limits]\n{limits}\n");
        std::fs::write(&file, limited).unwrap();
        let host = ready(&installed).await;
        let outcome = host.call(call("ask", arguments)).await;
        let hops = structured(&outcome)["hops"].clone();
        let hops = hops.as_array().unwrap();
        assert_eq!(hops.len(), sent + 1, "{limits}: {hops:?}");
        assert!(hops[..sent].iter().all(|hop| hop == "200"), "{hops:?}");
        assert_ne!(hops[sent], "200");
    }
}

/// Hears a tool, and keeps all of it.
#[derive(Debug, Default)]
struct Listener(Mutex<String>);

impl Listener {
    fn hear(&self, said: impl std::fmt::Debug) {
        write!(self.0.lock().unwrap(), "{said:?}").unwrap();
    }
}

impl Session for Listener {
    fn log(&self, message: LogMessage) {
        self.hear(message);
    }

    fn progress(&self, progress: CallProgress) {
        self.hear(progress);
    }

    fn ask(&self, question: Question) -> Answering {
        self.hear(question);
        Box::pin(async { Ok(Answer::Decline) })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_api_echoes_is_withheld_from_who_listens() {
    for form in [str::to_owned as Form, |token| STANDARD.encode(token)] {
        let api = LoopbackApi::start().await.unwrap();
        api.script("/echo", Script::Token { form, piece: 1000 });
        let fixture = fixture(&api, "https://sink.example");
        let host = ready(&fixture).await;
        for (mouth, place) in [
            ("log", LeakPlace::LogMessage),
            ("progress", LeakPlace::Progress),
            ("question", LeakPlace::Question),
        ] {
            let listener = Arc::new(Listener::default());
            let mut whisper = call("whisper", json!({ "mouth": mouth }));
            whisper.session = Some(Arc::clone(&listener) as _);
            let (error, _) = failed(host.call(whisper).await);
            assert!(
                matches!(&error, CallError::LeakedSecret(leak) if leak.place == place),
                "{mouth}: {error:?}"
            );
            assert_eq!(*listener.0.lock().unwrap(), "", "{mouth}");
        }
    }
}
