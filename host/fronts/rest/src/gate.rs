//! The gate: which requests are heard, and for whom they are.
//!
//! A request has to call this host by one of its names, since a page elsewhere can make its own name lead here. One that
//! a page sent, as browsers say in `Origin`, is heard from this host's own pages and from those that the operator allows.
//! Without a key or a token it is heard only where the listener is on the loopback interface and no proxy leads to it: then
//! it is for the one user of the machine. A key or a token that does not serve is refused everywhere.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Json;
use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, AUTHORIZATION, HOST, HeaderName,
    HeaderValue, ORIGIN, VARY,
};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use holster_callers::{Callers, TokenError, UnknownCaller};
use holster_core::broker::User;
use holster_core::types::{TenantId, ThreadId};
use holster_core::{Caller, ProfileChoice};
use url::Url;

use crate::problem::Problem;
use crate::resource::{self, Challenge};

/// The conversation that a request belongs to.
const THREAD: HeaderName = HeaderName::from_static("holster-thread");

/// The session of MCP, which is a conversation where nothing else says so.
const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");

/// After so many requests, those users are no longer counted who were quiet.
const FORGETS: u32 = 4096;

/// What the operator decides.
#[derive(Clone)]
pub struct GateSettings {
    /// Where the listener is.
    pub listens_on: SocketAddr,
    /// Under which `https://` address a proxy leads here.
    pub public_url: Option<Url>,
    /// Other sites whose pages may send requests, such as `https://agents.example.com`.
    pub allowed_origins: Vec<String>,
    /// Who may call.
    pub callers: Arc<Callers>,
    /// How many requests each user may send in a second, on average over a few. `None`: as many as they like.
    pub requests_per_second: Option<NonZeroU32>,
}

/// Why there is no gate.
#[derive(Debug, Clone, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum GateError {
    #[error(
        "{0} can be reached from other machines, and no key says who may call; add one with `holster key new`, or an issuer \
         of tokens to `[serve.issuers]`, or listen on 127.0.0.1"
    )]
    NoKeys(SocketAddr),
    #[error(
        "`{0}` is no origin: write the scheme, the host and perhaps the port, such as https://agents.example.com"
    )]
    Origin(String),
}

/// The gate.
pub struct Gate {
    names: Vec<String>,
    origins: Vec<String>,
    /// The origin that clients know, where it is not the name that they call.
    public_origin: Option<String>,
    callers: Arc<Callers>,
    /// Whom tokens for this host are for.
    audiences: Vec<String>,
    /// Whether a request without a key is for the user of this machine.
    is_private: bool,
    limiter: Option<DefaultKeyedRateLimiter<TenantId>>,
    /// How often it was asked, modulo 2^32.
    checks: AtomicU32,
}

impl Gate {
    /// The gate that these settings make.
    pub fn new(settings: GateSettings) -> Result<Self, GateError> {
        let GateSettings {
            listens_on,
            public_url,
            allowed_origins,
            callers,
            requests_per_second,
        } = settings;
        let is_private = listens_on.ip().is_loopback() && public_url.is_none();
        if !is_private && callers.are_none() {
            return Err(GateError::NoKeys(listens_on));
        }
        let mut names = Vec::new();
        if listens_on.ip().is_loopback() {
            let port = listens_on.port();
            names.extend(["127.0.0.1", "[::1]", "localhost"].map(|host| format!("{host}:{port}")));
        } else {
            names.push(listens_on.to_string());
        }
        let audiences = resource::audiences(&resource::origins(public_url.as_ref(), &names));
        let mut origins: Vec<_> = names.iter().map(|name| format!("http://{name}")).collect();
        if let Some(url) = &public_url {
            let origin = url.origin().ascii_serialization();
            names.push(origin.trim_start_matches("https://").to_owned());
            origins.push(origin);
        }
        for origin in allowed_origins {
            origins.push(plain_origin(&origin).ok_or(GateError::Origin(origin))?);
        }
        Ok(Self {
            names,
            origins,
            public_origin: public_url.map(|url| url.origin().ascii_serialization()),
            callers,
            audiences,
            is_private,
            limiter: requests_per_second.map(|most| RateLimiter::keyed(Quota::per_second(most))),
            checks: AtomicU32::new(0),
        })
    }

    /// For whom a request to that path is.
    async fn admit(&self, path: &str, headers: &HeaderMap) -> Result<Caller, Problem> {
        let user = match bearer(headers).map_err(Refusal::NoBearer) {
            Ok(Some(presented)) => {
                let user = self.callers.user(presented, &self.audiences).await;
                user.map_err(Refusal::Unknown)
            }
            Ok(None) if self.is_private => Ok(User {
                tenant: TenantId::local(),
                profile: None,
            }),
            Ok(None) => Err(Refusal::Nobody),
            Err(refusal) => Err(refusal),
        };
        let User { tenant, profile } =
            user.map_err(|refusal| self.refuse(&refusal, path, headers))?;
        self.check_rate(&tenant)?;
        Ok(Caller {
            tenant,
            thread: thread(headers)?,
            profile: profile.map_or(ProfileChoice::Usual, ProfileChoice::Fixed),
        })
    }

    /// Whether a request that was admitted may read what tells of all users.
    pub(crate) fn may_watch(&self, headers: &HeaderMap) -> bool {
        match bearer(headers) {
            Ok(None) => self.is_private,
            Ok(Some(presented)) => self.callers.may_watch(presented),
            Err(_) => false,
        }
    }

    fn check_rate(&self, tenant: &TenantId) -> Result<(), Problem> {
        let Some(limiter) = &self.limiter else {
            return Ok(());
        };
        // Issuers have users without number; now and then, those who are quiet are forgotten.
        if self.checks.fetch_add(1, Ordering::Relaxed) % FORGETS == FORGETS - 1 {
            limiter.retain_recent();
        }
        limiter.check_key(tenant).map_err(|_| {
            let detail = "these are more requests in a second than this host takes of one user; wait a little";
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail)
        })
    }

    fn refuse(&self, refusal: &Refusal, path: &str, headers: &HeaderMap) -> Problem {
        let (status, kind, error) = match refusal {
            Refusal::Nobody | Refusal::NoBearer(_) => {
                (StatusCode::UNAUTHORIZED, "unauthorised", None)
            }
            Refusal::Unknown(UnknownCaller::Token(TokenError::Scopes(_))) => {
                let error = "insufficient_scope";
                (StatusCode::FORBIDDEN, error, Some(error))
            }
            Refusal::Unknown(UnknownCaller::Token(TokenError::NoKeys)) => {
                return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", refusal);
            }
            Refusal::Unknown(_) => {
                let error = "invalid_token";
                (StatusCode::UNAUTHORIZED, "unauthorised", Some(error))
            }
        };
        let challenge = Challenge {
            path,
            error,
            description: error.map(|_| refusal.to_string()),
        };
        let challenge = challenge.header(self.callers.issuers(), &self.origin_of(headers));
        Problem::new(status, kind, refusal).challenging(challenge)
    }

    /// The origin that the client knows this host by.
    fn origin_of(&self, headers: &HeaderMap) -> String {
        let called = || {
            let name = headers.get(HOST).and_then(|name| name.to_str().ok());
            format!("http://{}", name.unwrap_or_default())
        };
        self.public_origin.clone().unwrap_or_else(called)
    }

    /// Whether the request calls this host by one of its names.
    fn is_named(&self, request: &Request) -> bool {
        let mut names = request.headers().get_all(HOST).iter();
        let (Some(name), None) = (names.next(), names.next()) else {
            return false;
        };
        let target = request.uri().authority();
        self.names
            .iter()
            .any(|own| own.as_bytes() == name.as_bytes())
            && target.is_none_or(|target| target.as_str().as_bytes() == name.as_bytes())
    }

    /// The page's site, where a page sent the request; an error if it may not.
    fn origin(&self, headers: &HeaderMap) -> Result<Option<HeaderValue>, Problem> {
        let mut origins = headers.get_all(ORIGIN).iter();
        match (origins.next(), origins.next()) {
            (None, _) => Ok(None),
            (Some(origin), None)
                if self
                    .origins
                    .iter()
                    .any(|own| own.as_bytes() == origin.as_bytes()) =>
            {
                Ok(Some(origin.clone()))
            }
            _ => {
                let detail = "a page of another site sent this request; the operator can allow it with `allowed_origins`";
                Err(Problem::new(
                    StatusCode::FORBIDDEN,
                    "foreign_origin",
                    detail,
                ))
            }
        }
    }
}

/// Lets requests through that call this host by its name, and do not come from a page of a stranger.
pub(crate) async fn guard(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    if !gate.is_named(&request) {
        return other_host().into_response();
    }
    let origin = match gate.origin(request.headers()) {
        Ok(origin) => origin,
        Err(problem) => return problem.into_response(),
    };
    // A browser asks first, without the key, whether it may send the key.
    let mut response = if origin.is_some() && request.method() == Method::OPTIONS {
        StatusCode::NO_CONTENT.into_response()
    } else {
        next.run(request).await
    };
    if let Some(origin) = origin {
        share(response.headers_mut(), origin);
    }
    response
}

/// Lets admitted requests through, with their [`Caller`] among their extensions.
pub(crate) async fn admit(
    State(gate): State<Arc<Gate>>,
    mut request: Request,
    next: Next,
) -> Response {
    match gate.admit(request.uri().path(), request.headers()).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

/// Who issues tokens for what is behind this gate: for everybody to read.
pub(crate) async fn metadata(State(gate): State<Arc<Gate>>, request: Request) -> Response {
    let origin = gate.origin_of(request.headers());
    match resource::metadata(gate.callers.issuers(), &origin, request.uri().path()) {
        Some(metadata) => Json(metadata).into_response(),
        None => {
            Problem::not_found("there is no protected resource of which this would be the metadata")
                .into_response()
        }
    }
}

/// Lets through whatever calls this host by one of its names: to what is the same for everybody.
pub(crate) async fn by_name(
    State(gate): State<Arc<Gate>>,
    request: Request,
    next: Next,
) -> Response {
    if gate.is_named(&request) {
        next.run(request).await
    } else {
        other_host().into_response()
    }
}

fn other_host() -> Problem {
    let detail = "this host is not called that";
    Problem::new(StatusCode::FORBIDDEN, "other_host", detail)
}

/// What the page of an allowed site may read and send.
fn share(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.append(VARY, HeaderValue::from_static("origin"));
    for (name, value) in [
        (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, DELETE"),
        (
            ACCESS_CONTROL_ALLOW_HEADERS,
            "authorization, content-type, holster-thread, last-event-id, mcp-method, mcp-name, mcp-protocol-version, \
             mcp-session-id",
        ),
        (
            ACCESS_CONTROL_EXPOSE_HEADERS,
            "mcp-session-id, www-authenticate",
        ),
        (ACCESS_CONTROL_MAX_AGE, "600"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// Why a request is for nobody.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("say who you are: `Authorization: Bearer` and a key of this host, or a token for it")]
    Nobody,
    #[error("{0}")]
    NoBearer(&'static str),
    #[error("{0}")]
    Unknown(UnknownCaller),
}

fn bearer(headers: &HeaderMap) -> Result<Option<&str>, &'static str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value
            .to_str()
            .ok()
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, key)| Some(key.trim()))
            .ok_or("`Authorization` has to be `Bearer` and a key of this host, or a token for it"),
        _ => Err("`Authorization` is there twice"),
    }
}

fn thread(headers: &HeaderMap) -> Result<ThreadId, Problem> {
    let named = headers.get(THREAD).map(|thread| (thread, ""));
    let session = headers.get(SESSION).map(|session| (session, "session-"));
    let (value, prefix) = match named.or(session) {
        Some((value, prefix)) => (value.to_str().unwrap_or_default(), prefix),
        None => ("http", ""),
    };
    ThreadId::new(format!("{prefix}{value}")).map_err(Problem::invalid)
}

/// An origin as browsers write it.
fn plain_origin(text: &str) -> Option<String> {
    let url: Url = text.parse().ok()?;
    let origin = url.origin();
    let plain = origin.ascii_serialization();
    (origin.is_tuple() && text.trim_end_matches('/') == plain).then_some(plain)
}

#[cfg(test)]
mod tests;
