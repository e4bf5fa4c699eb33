//! A provider that answers as a test tells it, remembers what it was sent, and has no page for people: the test goes
//! back to the host with whatever it likes.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use http::header::{CONTENT_TYPE, DATE};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Collected, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use url::Url;

use crate::setting::{Host, file, parameter};

/// It ends when this is dropped.
pub(crate) struct FakeProvider {
    issuer: String,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

struct Shared {
    metadata: Mutex<Value>,
    tokens: Mutex<(StatusCode, Value)>,
    /// What the token endpoint answers instead.
    said: Mutex<Option<Said>>,
    received: Mutex<Vec<(String, String)>>,
    held: watch::Sender<bool>,
}

/// An answer, whatever it means.
#[derive(Clone)]
pub(crate) struct Said {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) how: How,
}

/// How a body is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// At once.
    Whole,
    /// A byte a second.
    Slowly,
    /// A part of it, and then the connection is closed.
    CutOff,
    /// Again and again, without an end.
    Endlessly,
}

impl Said {
    fn response(self) -> Response<Body> {
        let Self {
            status,
            headers,
            body,
            how,
        } = self;
        let half = body.slice(..body.len() / 2);
        let mut response = Response::new(match how {
            How::Whole => whole(body),
            How::Slowly => streamed(stream::iter(body).then(async |byte| {
                tokio::time::sleep(Duration::from_secs(1)).await;
                Ok(Bytes::copy_from_slice(&[byte]))
            })),
            How::CutOff => streamed(stream::iter([Ok(half), Err(io::Error::other("cut off"))])),
            How::Endlessly => streamed(stream::repeat(body).map(Ok)),
        });
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }
}

type Body = UnsyncBoxBody<Bytes, io::Error>;

fn whole(body: Bytes) -> Body {
    Full::new(body)
        .map_err(|never: Infallible| match never {})
        .boxed_unsync()
}

fn streamed(parts: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Body {
    StreamBody::new(parts.map(|part| part.map(Frame::data))).boxed_unsync()
}

impl FakeProvider {
    /// One that grants `access` and `refresh` for an hour, and says who it is.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let metadata = json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "revocation_endpoint": format!("{issuer}/revoke"),
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": true,
        });
        let shared = Arc::new(Shared {
            metadata: Mutex::new(metadata),
            tokens: Mutex::new((StatusCode::OK, tokens())),
            said: Mutex::default(),
            received: Mutex::default(),
            held: watch::Sender::new(false),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, Arc::clone(&shared)));
        Self {
            issuer,
            shared,
            _tasks: tasks,
        }
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// A host that knows this provider as `idp`.
    pub(crate) async fn host(&self) -> Host {
        Host::start(&[("idp", file("idp", &self.issuer, ""))]).await
    }

    /// Says something else about itself.
    pub(crate) fn claims(&self, name: &str, value: &str) {
        self.shared.metadata.lock().unwrap()[name] = value.into();
    }

    /// What the token endpoint answers from now on, besides what it always does; `null` takes a part away.
    pub(crate) fn grants(&self, parts: Value) {
        let Value::Object(parts) = parts else {
            panic!("an answer is an object, not {parts}");
        };
        let (status, answer) = &mut *self.shared.tokens.lock().unwrap();
        if *status != StatusCode::OK {
            (*status, *answer) = (StatusCode::OK, tokens());
        }
        for (name, value) in parts {
            answer[name] = value;
        }
    }

    /// The token endpoint refuses from now on.
    pub(crate) fn refuses(&self, answer: Value) {
        *self.shared.tokens.lock().unwrap() = (StatusCode::BAD_REQUEST, answer);
    }

    /// The token endpoint says this from now on, whatever it means.
    pub(crate) fn says(&self, said: Said) {
        *self.shared.said.lock().unwrap() = Some(said);
    }

    /// It is itself again.
    pub(crate) fn recants(&self) {
        *self.shared.said.lock().unwrap() = None;
    }

    /// The token endpoint keeps its answers back, or gives them again.
    pub(crate) fn hold(&self, held: bool) {
        self.shared.held.send_replace(held);
    }

    /// The forms that came to a path.
    pub(crate) fn received(&self, path: &str) -> Vec<String> {
        let received = self.shared.received.lock().unwrap();
        let there = received.iter().filter(|(to, _)| to == path);
        there.map(|(_, form)| form.clone()).collect()
    }

    /// Where the browser comes back to with a code of this provider, after it left for `left`.
    pub(crate) fn back(&self, host: &Host, left: &Url) -> Url {
        self.back_with(host, left, &[("code", "the-code")])
    }

    /// The same with other parameters besides the state and the issuer.
    pub(crate) fn back_with(&self, host: &Host, left: &Url, rest: &[(&str, &str)]) -> Url {
        let state = parameter(left, "state");
        let mut back = host.at("callback/idp");
        back.query_pairs_mut()
            .append_pair("state", &state)
            .append_pair("iss", &self.issuer)
            .extend_pairs(rest);
        back
    }
}

/// What it grants unless a test says otherwise.
fn tokens() -> Value {
    json!({
        "access_token": "access",
        "refresh_token": "refresh",
        "token_type": "Bearer",
        "expires_in": 3600,
    })
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let answers = service_fn(|request| answer(&shared, request));
            // A client may go away before it has its answer.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), answers)
                .await;
        });
    }
}

async fn answer(shared: &Shared, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let body = body.collect().await.map(Collected::to_bytes);
    let form = String::from_utf8_lossy(&body.unwrap_or_default()).into_owned();
    shared.received.lock().unwrap().push((path.clone(), form));
    if path == "/token"
        && let Some(said) = shared.said.lock().unwrap().clone()
    {
        return Ok(said.response());
    }
    let (status, answer) = match (head.method, &*path) {
        (Method::GET, "/.well-known/oauth-authorization-server") => {
            (StatusCode::OK, shared.metadata.lock().unwrap().clone())
        }
        (Method::GET, "/me") => (StatusCode::OK, json!({ "email": "anna@example.test" })),
        (Method::POST, "/token") => {
            let mut changes = shared.held.subscribe();
            // The sender lives as long as this answer.
            let _ = changes.wait_for(|held| !held).await;
            shared.tokens.lock().unwrap().clone()
        }
        (Method::POST, "/revoke") => (StatusCode::OK, json!({})),
        _ => (StatusCode::NOT_FOUND, json!({})),
    };
    let response = Response::builder()
        .status(status)
        .header(CONTENT_TYPE, "application/json")
        // Its clock is wrong by decades.
        .header(DATE, "Tue, 01 Jan 2002 00:00:00 GMT")
        .body(whole(Bytes::from(answer.to_string())))
        .expect("a valid answer");
    Ok(response)
}
