//! Clients over HTTP, at one endpoint.
//!
//! Who sends a request was found out before it comes here, and stands in its extensions. A session of the older versions
//! belongs to the user who began it: with its id alone, another one reaches nothing.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use ::http::header::{HeaderMap, HeaderName};
use ::http::{Method, Request, Response, StatusCode};
use bytes::Bytes;
use futures::future::BoxFuture;
use holster_core::Caller;
use holster_core::types::TenantId;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use tokio_util::sync::CancellationToken;
use tower_service::Service;

use crate::Server;

const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");

/// More arguments than any tool takes.
const MAX_BODY: usize = 8 << 20;

/// How long a session lives that nobody uses.
const IDLE: Duration = Duration::from_mins(30);

/// With so many sessions at once, no more begin.
const MAX_SESSIONS: usize = 10_000;

type Inner = StreamableHttpService<Server, LocalSessionManager>;
type Answer = Response<BoxBody<Bytes, Infallible>>;

/// The endpoint. `Host` and `Origin` were checked by who passes requests on to it.
#[derive(Clone)]
pub struct McpService {
    inner: Inner,
    sessions: Arc<Sessions>,
    stop: CancellationToken,
}

/// The sessions, and whose they are.
struct Sessions {
    manager: Arc<LocalSessionManager>,
    owners: Mutex<HashMap<String, TenantId>>,
}

impl McpService {
    /// The endpoint of a server whose [`CallerSource`](crate::CallerSource) are those of each request.
    pub fn new(server: Server) -> Self {
        let mut manager = LocalSessionManager::default();
        manager.session_config.keep_alive = Some(IDLE);
        let manager = Arc::new(manager);
        let stop = CancellationToken::new();
        let config = StreamableHttpServerConfig::default()
            .disable_allowed_hosts()
            .with_max_request_body_bytes(MAX_BODY)
            .with_cancellation_token(stop.clone());
        let inner = Inner::new(
            move || Ok(server.for_client()),
            Arc::clone(&manager),
            config,
        );
        let sessions = Sessions {
            manager,
            owners: Mutex::default(),
        };
        Self {
            inner,
            sessions: Arc::new(sessions),
            stop,
        }
    }

    /// Ends all sessions and their streams.
    pub fn stop(&self) {
        self.stop.cancel();
    }
}

impl Sessions {
    fn owners(&self) -> MutexGuard<'_, HashMap<String, TenantId>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the request names no session, or one of its own user.
    fn may_use(&self, headers: &HeaderMap, tenant: &TenantId) -> bool {
        match headers.get(SESSION) {
            None => true,
            Some(session) => session
                .to_str()
                .is_ok_and(|session| self.owners().get(session) == Some(tenant)),
        }
    }

    async fn is_full(&self) -> bool {
        self.manager.sessions.read().await.len() >= MAX_SESSIONS
    }

    /// Takes down whose a new session is; those that have ended by themselves are forgotten by and by.
    async fn begun(&self, session: &str, tenant: TenantId) {
        let living = self.manager.sessions.read().await;
        let mut owners = self.owners();
        if owners.len() > 2 * living.len() + 64 {
            owners.retain(|session, _| living.contains_key(session.as_str()));
        }
        owners.insert(session.to_owned(), tenant);
    }
}

impl<B> Service<Request<B>> for McpService
where
    B: ::http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: std::fmt::Display,
{
    type Response = Answer;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Answer, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut inner, sessions) = (self.inner.clone(), Arc::clone(&self.sessions));
        Box::pin(async move {
            let caller = request.extensions().get::<Caller>();
            let Some(tenant) = caller.map(|caller| caller.tenant.clone()) else {
                return Ok(plain(
                    StatusCode::UNAUTHORIZED,
                    "nobody has admitted this request",
                ));
            };
            if !sessions.may_use(request.headers(), &tenant) {
                return Ok(plain(StatusCode::NOT_FOUND, "there is no such session"));
            }
            let begins =
                request.method() == Method::POST && !request.headers().contains_key(SESSION);
            if begins && sessions.is_full().await {
                return Ok(plain(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "there are too many sessions; try again later",
                ));
            }
            let response = inner.call(request).await?;
            if begins && let Some(session) = response.headers().get(SESSION) {
                sessions
                    .begun(session.to_str().unwrap_or_default(), tenant)
                    .await;
            }
            Ok(response)
        })
    }
}

fn plain(status: StatusCode, text: &'static str) -> Answer {
    let mut response = Response::new(Full::from(text).boxed());
    *response.status_mut() = status;
    response
}
