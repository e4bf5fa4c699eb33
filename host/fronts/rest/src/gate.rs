//! The gate: which requests are heard, and for whom they are.
//!
//! A request has to call this host by one of its names, since a page elsewhere can make its own name lead here. One that
//! a page sent, as browsers say in `Origin`, is heard from this host's own pages and from those that the operator allows.
//! Without a key it is heard only where the listener is on the loopback interface and no proxy leads to it: then
//! it is for the one user of the machine. A key that is not known is refused everywhere.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

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
use holster_core::types::{TenantId, ThreadId};
use holster_core::{Caller, ProfileChoice};
use url::Url;

use crate::key::{CallerKey, KeyDigest};
use crate::problem::Problem;

/// The conversation that a request belongs to.
const THREAD: HeaderName = HeaderName::from_static("holster-thread");

/// The session of MCP, which is a conversation where nothing else says so.
const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");

/// What the operator decides.
#[derive(Debug, Clone)]
pub struct GateSettings {
    /// Where the listener is.
    pub listens_on: SocketAddr,
    /// Under which `https://` address a proxy leads here.
    pub public_url: Option<Url>,
    /// Other sites whose pages may send requests, such as `https://agents.example.com`.
    pub allowed_origins: Vec<String>,
    /// Who may call.
    pub keys: Vec<CallerKey>,
    /// How many requests each user may send in a second, on average over a few. `None`: as many as they like.
    pub requests_per_second: Option<NonZeroU32>,
}

/// Why there is no gate.
#[derive(Debug, Clone, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum GateError {
    #[error(
        "{0} can be reached from other machines, and no key says who may call; add one with `holster key new`, or listen \
         on 127.0.0.1"
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
    keys: HashMap<KeyDigest, CallerKey>,
    /// Whether a request without a key is for the user of this machine.
    is_private: bool,
    limiter: Option<DefaultKeyedRateLimiter<TenantId>>,
}

impl Gate {
    /// The gate that these settings make.
    pub fn new(settings: GateSettings) -> Result<Self, GateError> {
        let GateSettings {
            listens_on,
            public_url,
            allowed_origins,
            keys,
            requests_per_second,
        } = settings;
        let is_private = listens_on.ip().is_loopback() && public_url.is_none();
        if !is_private && keys.is_empty() {
            return Err(GateError::NoKeys(listens_on));
        }
        let mut names = Vec::new();
        if listens_on.ip().is_loopback() {
            let port = listens_on.port();
            names.extend(["127.0.0.1", "[::1]", "localhost"].map(|host| format!("{host}:{port}")));
        } else {
            names.push(listens_on.to_string());
        }
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
            keys: keys.into_iter().map(|key| (key.digest, key)).collect(),
            is_private,
            limiter: requests_per_second.map(|most| RateLimiter::keyed(Quota::per_second(most))),
        })
    }

    /// For whom a request is.
    fn admit(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        let (tenant, profile) = match bearer(headers)? {
            Some(key) => match self.keys.get(&KeyDigest::of(key)) {
                Some(key) => (key.tenant.clone(), key.profile.clone()),
                None => return Err(unauthorised("this key is not known here")),
            },
            None if self.is_private => (TenantId::local(), None),
            None => {
                return Err(unauthorised(
                    "say who you are: `Authorization: Bearer` and a key of this host",
                ));
            }
        };
        if let Some(limiter) = &self.limiter
            && limiter.check_key(&tenant).is_err()
        {
            let detail = "these are more requests in a second than this host takes of one user; wait a little";
            return Err(Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                "rate_limited",
                detail,
            ));
        }
        Ok(Caller {
            tenant,
            thread: thread(headers)?,
            profile: profile.map_or(ProfileChoice::Usual, ProfileChoice::Fixed),
        })
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

/// Lets admitted requests through, with their [`Caller`] among their extensions.
pub(crate) async fn guard(
    State(gate): State<Arc<Gate>>,
    mut request: Request,
    next: Next,
) -> Response {
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
        match gate.admit(request.headers()) {
            Ok(caller) => {
                request.extensions_mut().insert(caller);
                next.run(request).await
            }
            Err(problem) => problem.into_response(),
        }
    };
    if let Some(origin) = origin {
        share(response.headers_mut(), origin);
    }
    response
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
        (ACCESS_CONTROL_EXPOSE_HEADERS, "mcp-session-id"),
        (ACCESS_CONTROL_MAX_AGE, "600"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

fn unauthorised(detail: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorised", detail)
}

fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value
            .to_str()
            .ok()
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, key)| Some(key.trim()))
            .ok_or_else(|| {
                unauthorised("`Authorization` has to be `Bearer` and a key of this host")
            }),
        _ => Err(unauthorised("`Authorization` is there twice")),
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
