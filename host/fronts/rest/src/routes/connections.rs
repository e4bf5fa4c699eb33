//! Connections: asked for, looked at, waited for. That one is made, only a person can do, on its page.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use holster_core::Caller;
use holster_core::broker::{Connection, ConnectionState, NewConnection, Owner};
use holster_core::types::{ConnectionId, ProviderId, Scopes, ThreadId, ToolName};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::description::{MAX_SCOPE, MAX_SCOPES, MAX_TOOLS, scopes, tool_names};
use super::tools::problem;
use super::{Asked, At, Body, For, Rest, Waiting, object};
use crate::problem::Problem;

/// Longer than that nobody waits with one request.
const MAX_WAIT: u64 = 60;

/// One attempt of a person to connect an account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ShownConnection {
    /// Its name.
    id: String,
    /// Where the account is.
    provider: String,
    /// Whose it will be.
    profile: String,
    /// All that is asked for.
    scopes: Vec<String>,
    /// `created`, `waiting`, `connected`, `refused` or `expired`.
    state: String,
    /// The account's label, once it is connected and where it is known.
    account: Option<String>,
    /// Why it was refused.
    reason: Option<String>,
    /// The page to open, as long as it leads somewhere.
    url: Option<String>,
    /// Until then; seconds since the Unix epoch.
    expires_at: u64,
}

/// Connections.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Connections {
    /// The latest last.
    connections: Vec<ShownConnection>,
}

impl ShownConnection {
    pub(super) fn of(rest: &Rest, connection: Connection) -> Self {
        let open = !connection.state.is_over();
        let page = rest
            .host
            .broker()
            .page(&rest.pages, &connection.provider, &connection.id);
        let state = match &connection.state {
            ConnectionState::Created => "created",
            ConnectionState::Waiting => "waiting",
            ConnectionState::Connected { .. } => "connected",
            ConnectionState::Refused { .. } => "refused",
            ConnectionState::Expired => "expired",
        };
        let (account, reason) = match connection.state {
            ConnectionState::Connected { account } => (account, None),
            ConnectionState::Refused { reason } => (None, Some(reason)),
            _ => (None, None),
        };
        Self {
            id: connection.id.to_string(),
            provider: connection.provider.to_string(),
            profile: connection.owner.profile.to_string(),
            scopes: connection.scopes.iter().map(ToString::to_string).collect(),
            state: state.to_owned(),
            account,
            reason,
            url: open.then(|| page.into()),
            expires_at: connection.expires_at,
        }
    }
}

/// Which connections.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Which {
    /// Those of this conversation alone.
    #[param(value_type = Option<String>, pattern = "^[!-~]{1,128}$")]
    thread: Option<ThreadId>,
}

/// The connections that are not over.
#[utoipa::path(
    get,
    path = "/v1/connections",
    params(Which),
    responses(
        (status = 200, body = Connections),
        (status = 400, body = Problem),
        (status = 401, body = Problem),
        (status = 500, body = Problem),
    ),
)]
pub(crate) async fn list(
    State(rest): State<Arc<Rest>>,
    Extension(caller): Extension<Caller>,
    Asked(which): Asked<Which>,
) -> Result<Json<Connections>, Problem> {
    let broker = rest.host.broker();
    let pending = broker
        .pending(&caller.tenant, which.thread.as_ref())
        .await?;
    let own = pending
        .into_iter()
        .filter(|connection| caller.may_use(&connection.owner.profile));
    Ok(Json(Connections {
        connections: own
            .map(|connection| ShownConnection::of(&rest, connection))
            .collect(),
    }))
}

/// How long to wait.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Patience {
    /// Seconds, at most 60, until the connection is over. Without it the answer comes at once.
    #[serde(default)]
    #[param(maximum = 60)]
    wait: u64,
}

/// A connection, once it is over or the time is.
#[utoipa::path(
    get,
    path = "/v1/connections/{id}",
    params(("id" = String, Path, description = "The connection."), Patience),
    responses(
        (status = 200, body = ShownConnection),
        (status = 400, body = Problem),
        (status = 401, body = Problem),
        (status = 404, body = Problem),
        (status = 500, body = Problem),
    ),
)]
pub(crate) async fn show(
    State(rest): State<Arc<Rest>>,
    Extension(caller): Extension<Caller>,
    At(id): At<String>,
    Asked(patience): Asked<Patience>,
) -> Result<Json<ShownConnection>, Problem> {
    if patience.wait > MAX_WAIT {
        let detail = format!("`wait` is at most {MAX_WAIT} seconds; ask again after that");
        return Err(Problem::invalid(detail));
    }
    let none = || Problem::not_found("there is no such connection (any more)");
    let id = ConnectionId::new(&id).map_err(|_| none())?;
    let broker = rest.host.broker();
    let found = broker.connection(&id).await?;
    // Whose it is, is known before it is waited for.
    let is_own = |connection: Connection| {
        connection.owner.tenant == caller.tenant && caller.may_use(&connection.owner.profile)
    };
    if !found.is_some_and(is_own) {
        return Err(none());
    }
    let wait = Duration::from_secs(patience.wait);
    let connection = broker.wait(&id, wait).await?.ok_or_else(none)?;
    Ok(Json(ShownConnection::of(&rest, connection)))
}

/// What is to be connected.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConnectionRequest {
    /// Where, as `holster providers list` shows it.
    #[schema(value_type = String, pattern = "^[a-z0-9_-]{1,64}$")]
    provider: ProviderId,
    /// What tools need there. What the account may do already is kept.
    #[serde(default)]
    #[schema(schema_with = scopes)]
    scopes: Vec<String>,
    /// For whom.
    #[serde(default, deserialize_with = "object")]
    r#for: For,
}

/// Begins a connection, or joins the one that waits already.
#[utoipa::path(
    post,
    path = "/v1/connections",
    request_body = ConnectionRequest,
    responses(
        (status = 201, body = ShownConnection),
        (status = 400, body = Problem),
        (status = 401, body = Problem),
        (status = 403, body = Problem),
        (status = 404, body = Problem),
        (status = 409, description = "The configuration has this account.", body = Problem),
        (status = 413, body = Problem),
        (status = 415, body = Problem),
        (status = 422, body = Problem),
        (status = 429, body = Problem),
        (status = 500, body = Problem),
    ),
)]
pub(crate) async fn begin(
    State(rest): State<Arc<Rest>>,
    Extension(caller): Extension<Caller>,
    Body(request): Body<ConnectionRequest>,
) -> Result<Response, Problem> {
    let (profile, thread) = request.r#for.of(&caller)?;
    let is_long = |scope: &String| scope.chars().count() > MAX_SCOPE;
    if request.scopes.len() > MAX_SCOPES || request.scopes.iter().any(is_long) {
        return Err(Problem::invalid(format!(
            "at most {MAX_SCOPES} scopes of at most {MAX_SCOPE} characters each"
        )));
    }
    let broker = rest.host.broker();
    let profile = profile.unwrap_or_else(|| broker.default_profile());
    let connection = broker
        .connect(NewConnection {
            owner: Owner::new(&caller.tenant, profile),
            thread,
            provider: request.provider,
            scopes: request.scopes.into_iter().collect::<Scopes>(),
        })
        .await?;
    let shown = ShownConnection::of(&rest, connection);
    Ok((StatusCode::CREATED, Json(shown)).into_response())
}

/// What will be called.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Preparation {
    /// The tools; none for all.
    #[serde(default)]
    #[schema(schema_with = tool_names)]
    tools: Vec<ToolName>,
    /// For whom.
    #[serde(default, deserialize_with = "object")]
    r#for: For,
}

/// What tools lack, with a connection for each account, so that their calls will not be interrupted.
#[utoipa::path(
    post,
    path = "/v1/prepare",
    request_body = Preparation,
    responses(
        (status = 200, description = "Nothing is missing.", body = Waiting),
        (status = 202, description = "A person has to act first.", body = Waiting),
        (status = 400, body = Problem),
        (status = 401, body = Problem),
        (status = 403, body = Problem),
        (status = 404, body = Problem),
        (status = 413, body = Problem),
        (status = 415, body = Problem),
        (status = 422, body = Problem),
        (status = 429, body = Problem),
        (status = 500, body = Problem),
    ),
)]
pub(crate) async fn prepare(
    State(rest): State<Arc<Rest>>,
    Extension(caller): Extension<Caller>,
    Body(request): Body<Preparation>,
) -> Result<Response, Problem> {
    let (profile, thread) = request.r#for.of(&caller)?;
    if request.tools.len() > MAX_TOOLS {
        return Err(Problem::invalid(format!("at most {MAX_TOOLS} tools")));
    }
    let unmet = rest
        .host
        .prepare(&caller.tenant, &thread, profile.as_ref(), &request.tools)
        .await
        .map_err(|failure| problem(&failure))?;
    let Some(unmet) = unmet else {
        let nothing = Waiting {
            missing: Vec::new(),
            message: String::new(),
        };
        return Ok(Json(nothing).into_response());
    };
    let waiting = Waiting::of(&rest, &unmet);
    Ok((StatusCode::ACCEPTED, Json(waiting)).into_response())
}
