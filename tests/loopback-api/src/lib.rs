//! An API on the loopback interface that stands in for Slack, GitHub and Google Calendar.
//!
//! [`LoopbackApi::start`] serves the accounts of `accounts.json` on a free port of 127.0.0.1, over plain HTTP/1.1. It
//! remembers every request it got, and a test may add routes that misbehave in a [scripted](Script) way. It refuses
//! every token that it did not issue: a stand-in that left the host in place of a secret shows as HTTP 401.

#![forbid(unsafe_code)]

mod accounts;
mod services;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::accounts::Accounts;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path, without the query, still escaped.
    pub path: String,
    /// What follows the question mark; empty where there is none.
    pub query: String,
    /// All header fields.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

/// What a route that a test adds does with every request, whatever token it carries.
#[derive(Debug, Clone)]
pub enum Script {
    /// Answers with this.
    Answer(Answer),
    /// Answers with HTTP 302 to this address.
    Redirect(String),
    /// Answers with the method and the header fields it got, as a JSON object `{"method": …, "headers": {…}}`.
    Echo,
    /// Answers with what this makes of the token in the header `Authorization`, a few bytes at a time.
    Token {
        /// How the token is written.
        form: fn(&str) -> String,
        /// How many bytes a piece has.
        piece: usize,
    },
    /// Answers with a body of this many bytes `x`, in pieces, without saying its length beforehand.
    Body {
        /// How many bytes.
        bytes: u64,
        /// How long it waits before each piece of 64 KiB.
        pause: Duration,
    },
    /// Waits this long, then goes on with the other.
    Delayed(Duration, Box<Script>),
    /// Closes the connection without an answer.
    Hangup,
}

/// An answer that is whole in memory.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// Header fields, beside those that HTTP itself needs.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// An answer without a body.
    pub fn status(status: StatusCode) -> Self {
        Self {
            status,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    /// An answer with a JSON body.
    pub fn json(status: StatusCode, body: &Value) -> Self {
        let answer = Self::status(status).with_header("content-type", "application/json");
        Self {
            body: body.to_string().into(),
            ..answer
        }
    }

    /// The same answer with one more header field. Panics if that is none.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).expect("a test knows what a header may hold");
        self.headers.insert(HeaderName::from_static(name), value);
        self
    }
}

/// The running API. It stops when this is dropped.
pub struct LoopbackApi {
    address: SocketAddr,
    state: Arc<State>,
    server: JoinHandle<()>,
}

struct State {
    accounts: Accounts,
    scripts: Mutex<BTreeMap<String, Script>>,
    requests: Mutex<Vec<Request>>,
}

impl LoopbackApi {
    /// Serves on a free port of 127.0.0.1, as a task of the current runtime.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            accounts: Accounts::read(),
            scripts: Mutex::default(),
            requests: Mutex::default(),
        });
        let server = tokio::spawn(serve(listener, Arc::clone(&state)));
        Ok(Self {
            address,
            state,
            server,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base URL, such as `http://127.0.0.1:40123`, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Adds a route, or replaces one. `path` is compared whole and goes before the services' own routes.
    pub fn script(&self, path: &str, script: Script) {
        locked(&self.state.scripts).insert(path.to_owned(), script);
    }

    /// Every request since the start, or since they were last taken, in the order of arrival.
    pub fn take_requests(&self) -> Vec<Request> {
        std::mem::take(&mut *locked(&self.state.requests))
    }
}

impl Drop for LoopbackApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    // The tasks of connections end with the set, and so with the server.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        // A connection that fails while it is accepted is the client's affair.
        if let Ok((connection, _)) = listener.accept().await {
            connections.spawn(serve_connection(connection, Arc::clone(&state)));
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn serve_connection(connection: TcpStream, state: Arc<State>) {
    let service = service_fn(|request| respond(&state, request));
    // It fails when the client goes away, or when a script hangs up: both are meant.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(connection), service)
        .await;
}

type Body = BoxBody<Bytes, Infallible>;

async fn respond(state: &State, request: hyper::Request<Incoming>) -> io::Result<Response<Body>> {
    let (head, body) = request.into_parts();
    let request = Request {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body: body.collect().await.map_err(io::Error::other)?.to_bytes(),
    };
    locked(&state.requests).push(request.clone());
    let script = locked(&state.scripts).get(&request.path).cloned();
    match script {
        Some(script) => follow(script, &request).await,
        None => Ok(whole(services::answer(&state.accounts, &request))),
    }
}

async fn follow(mut script: Script, request: &Request) -> io::Result<Response<Body>> {
    loop {
        match script {
            Script::Answer(answer) => return Ok(whole(answer)),
            Script::Redirect(to) => {
                return Ok(whole(
                    Answer::status(StatusCode::FOUND).with_header("location", &to),
                ));
            }
            Script::Echo => return Ok(whole(echo(request))),
            Script::Token { form, piece } => return Ok(Response::new(token(request, form, piece))),
            Script::Body { bytes, pause } => return Ok(Response::new(pieces(bytes, pause))),
            Script::Hangup => return Err(io::ErrorKind::ConnectionAborted.into()),
            Script::Delayed(time, then) => {
                tokio::time::sleep(time).await;
                script = *then;
            }
        }
    }
}

fn echo(request: &Request) -> Answer {
    let fields = request.headers.iter();
    let headers: serde_json::Map<String, Value> = fields
        .map(|(name, value)| {
            (
                name.to_string(),
                String::from_utf8_lossy(value.as_bytes()).into(),
            )
        })
        .collect();
    Answer::json(
        StatusCode::OK,
        &json!({ "method": request.method.as_str(), "headers": headers }),
    )
}

fn token(request: &Request, form: fn(&str) -> String, piece: usize) -> Body {
    let value = request.headers.get("authorization");
    let value = value.and_then(|value| value.to_str().ok());
    let token = value.and_then(|value| value.split_once(' '));
    let text = form(token.map_or("", |(_, token)| token));
    let pieces: Vec<_> = text
        .as_bytes()
        .chunks(piece)
        .map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece))))
        .collect();
    BodyExt::boxed(StreamBody::new(stream::iter(pieces)))
}

fn whole(answer: Answer) -> Response<Body> {
    let mut response = Response::new(Full::new(answer.body).boxed());
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
}

fn pieces(bytes: u64, pause: Duration) -> Body {
    const PIECE: u64 = 64 * 1024;
    let pieces = stream::unfold(bytes, move |left| async move {
        let piece = usize::try_from(left.min(PIECE)).expect("64 KiB fit");
        if piece == 0 {
            return None;
        }
        tokio::time::sleep(pause).await;
        Some((
            Ok(Frame::data(Bytes::from(vec![b'x'; piece]))),
            left - piece as u64,
        ))
    });
    BodyExt::boxed(StreamBody::new(pieces))
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it holds one of these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
