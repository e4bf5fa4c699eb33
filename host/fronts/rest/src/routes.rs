//! `/v1`: what programs ask over plain HTTP.
//!
//! A call that waits for a person is answered with 202 and the pages to open; `GET /v1/connections/{id}?wait=` tells when
//! they have, and then the same call is sent again. Everything that is shown or done is the caller's own: a connection of
//! another user is not found.

mod accounts;
mod callers;
mod calls;
mod connections;
mod description;
mod events;
mod providers;
mod tools;

pub use events::Events;

use std::sync::Arc;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Path, Query, State};
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use holster_core::broker::{BrokerError, ConnectAddress, Missing, Unmet};
use holster_core::types::{ProfileName, ThreadId};
use holster_core::{Caller, GoOn, Host, ProfileChoice};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use utoipa::{OpenApi, ToSchema};

use self::description::{Bearer, Errors};
use crate::gate::{Gate, admit, guard, metadata};
use crate::metrics::{self, Metrics};
use crate::page;
use crate::problem::Problem;
use crate::resource::WELL_KNOWN;
use crate::traced::trace;

/// More arguments than any tool takes.
const MAX_BODY: usize = 8 << 20;

/// What the routes answer with.
pub struct Rest {
    /// The host.
    pub host: Arc<Host>,
    /// Where people connect accounts.
    pub pages: ConnectAddress,
    /// Where calls run; better not where these routes are served.
    pub calls: tokio::runtime::Handle,
    /// Who listens to what changes.
    pub events: Events,
    /// How the traces of clients go on.
    pub go_on: GoOn,
}

/// `/v1`, the page at `/`, `/metrics` and `/health`, with whatever else is behind the same gate, and what has a guard of
/// its own.
pub fn router(rest: Rest, gate: Gate, beside: Router, guarded: Router) -> Router {
    let host = Arc::clone(&rest.host);
    let (rest, gate) = (Arc::new(rest), Arc::new(gate));
    let metrics = Metrics::of(&rest.host).map(Arc::new);
    let go_on = rest.go_on;
    let public = Router::new()
        .route(WELL_KNOWN, get(metadata))
        .route(&format!("{WELL_KNOWN}/{{*resource}}"), get(metadata))
        .with_state(Arc::clone(&gate));
    let routes = Router::new()
        .route("/v1/tools", get(tools::list))
        .route("/v1/tools/{tool}/call", post(tools::call))
        .route("/v1/calls", get(calls::list))
        .route("/v1/events", get(events::listen))
        .route("/v1/caller", get(callers::show))
        .route("/v1/providers", get(providers::list))
        .route("/v1/prepare", post(connections::prepare))
        .route(
            "/v1/connections",
            get(connections::list).post(connections::begin),
        )
        .route("/v1/connections/{id}", get(connections::show))
        .route("/v1/profiles", get(accounts::profiles))
        .route("/v1/accounts", get(accounts::list))
        .route(
            "/v1/accounts/{profile}/{provider}",
            delete(accounts::disconnect),
        )
        .route("/v1/openapi.json", get(async || Json(openapi())))
        .fallback(async || {
            Problem::not_found(
                "there is nothing at this address; `/v1/openapi.json` says what there is",
            )
        })
        .method_not_allowed_fallback(async || {
            let detail = "this address takes other methods; `/v1/openapi.json` says which";
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
        })
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(rest)
        .merge(beside)
        .merge(metrics::routes(metrics.clone(), Arc::clone(&gate)))
        .layer(from_fn_with_state(go_on, trace))
        .layer(from_fn_with_state(Arc::clone(&gate), admit))
        // Who issues tokens, a client has to learn without one.
        .merge(public)
        .layer(from_fn_with_state(Arc::clone(&gate), guard))
        .merge(page::routes(gate))
        // Whoever watches over the process has no key.
        .route("/health", get(health).with_state(host))
        .merge(guarded);
    metrics::counted(routes, metrics)
}

/// For whoever starts the process again where it does no good any more.
async fn health(State(host): State<Arc<Host>>) -> Result<&'static str, (StatusCode, String)> {
    match host.ready() {
        Ok(()) => Ok("ok"),
        Err(error) => Err((StatusCode::SERVICE_UNAVAILABLE, error.to_string())),
    }
}

/// The description of `/v1`.
pub fn openapi() -> utoipa::openapi::OpenApi {
    Description::openapi()
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Holster",
        description = "Tools that act for a person with the accounts that they connected. A call that lacks an account \
                       is answered with 202 and the page on which the person connects it.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    paths(
        tools::list,
        tools::call,
        calls::list,
        events::listen,
        callers::show,
        providers::list,
        connections::prepare,
        connections::list,
        connections::begin,
        connections::show,
        accounts::profiles,
        accounts::list,
        accounts::disconnect,
    ),
    modifiers(&Bearer, &Errors),
    security((), ("key" = [])),
)]
struct Description;

/// A body that is a JSON object; a problem if it is none.
struct Body<T>(T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: axum::extract::Request, state: &S) -> Result<Self, Problem> {
        let invalid = |status, detail| Problem::new(status, "invalid_request", detail);
        match Json::<Map<String, Value>>::from_request(request, state).await {
            Ok(Json(object)) => serde_json::from_value(Value::Object(object))
                .map(Self)
                .map_err(|error| {
                    let detail = format!("the body does not fit: {error}");
                    invalid(StatusCode::UNPROCESSABLE_ENTITY, detail)
                }),
            Err(rejection) => Err(invalid(rejection.status(), rejection.body_text())),
        }
    }
}

/// Reads a part that is a JSON object. By itself, a struct is read from an array as well.
fn object<'de, D: Deserializer<'de>, T: DeserializeOwned>(part: D) -> Result<T, D::Error> {
    let object = Map::deserialize(part)?;
    serde_json::from_value(Value::Object(object)).map_err(D::Error::custom)
}

/// The parts of a path; a problem if they are none.
struct At<T>(T);

impl<S: Send + Sync, T> FromRequestParts<S> for At<T>
where
    Path<T>: FromRequestParts<S, Rejection = PathRejection>,
{
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut axum::http::request::Parts,
        state: &S,
    ) -> Result<Self, Problem> {
        let path = Path::<T>::from_request_parts(parts, state).await;
        path.map(|Path(at)| Self(at))
            .map_err(|rejection| Problem::not_found(rejection.body_text()))
    }
}

/// The parameters of a query; a problem if they are none.
struct Asked<T>(T);

impl<S: Send + Sync, T> FromRequestParts<S> for Asked<T>
where
    Query<T>: FromRequestParts<S, Rejection = QueryRejection>,
{
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut axum::http::request::Parts,
        state: &S,
    ) -> Result<Self, Problem> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query
            .map(|Query(asked)| Self(asked))
            .map_err(|rejection| Problem::invalid(rejection.body_text()))
    }
}

/// For whom, within what the gate allows.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
struct For {
    /// Whose accounts serve. Without it: for each provider the chosen profile, or the only one that has an account.
    #[schema(value_type = Option<String>, pattern = "^[a-z0-9_-]{1,64}$")]
    profile: Option<ProfileName>,
    /// The conversation. Without it: what the header `Holster-Thread` says, or else `http`.
    #[schema(value_type = Option<String>, pattern = "^[!-~]{1,128}$")]
    thread: Option<ThreadId>,
}

impl For {
    /// The profile and the conversation of a request.
    fn of(self, caller: &Caller) -> Result<(Option<ProfileName>, ThreadId), Problem> {
        let profile = match (&caller.profile, self.profile) {
            (ProfileChoice::Fixed(fixed), Some(asked)) if asked != *fixed => {
                let detail = format!("this key is for the profile `{fixed}` alone");
                return Err(Problem::new(StatusCode::FORBIDDEN, "other_profile", detail));
            }
            (ProfileChoice::Fixed(fixed), _) => Some(fixed.clone()),
            (ProfileChoice::Usual | ProfileChoice::Agent, asked) => asked,
        };
        let thread = self.thread.unwrap_or_else(|| caller.thread.clone());
        Ok((profile, thread))
    }
}

/// What a person has to do first.
#[derive(Debug, Serialize, ToSchema)]
struct Waiting {
    /// The accounts that are missing, each with the page on which a person connects it.
    missing: Vec<MissingAccount>,
    /// The same in words, to be handed on to the person.
    message: String,
}

/// An account that is missing.
#[derive(Debug, Serialize, ToSchema)]
struct MissingAccount {
    /// Where it is.
    provider: String,
    /// Whose it is.
    profile: String,
    /// All that is needed there.
    scopes: Vec<String>,
    /// Why there is none, and what to do, in words.
    message: String,
    /// The connection that was begun for it, if a person can make one.
    connection: Option<String>,
    /// The page to open.
    url: Option<String>,
}

impl Waiting {
    fn of(rest: &Rest, unmet: &Unmet) -> Self {
        let broker = rest.host.broker();
        let account = |missing: &Missing| MissingAccount {
            provider: missing.provider.to_string(),
            profile: missing.profile.to_string(),
            scopes: missing.scopes.iter().map(ToString::to_string).collect(),
            message: missing.to_string(),
            connection: missing.connection.as_ref().map(ToString::to_string),
            url: broker.page_for(&rest.pages, missing).map(Into::into),
        };
        Self {
            missing: unmet.missing().iter().map(account).collect(),
            message: broker.explain(Some(&rest.pages), unmet),
        }
    }
}

/// A value as it stands in JSON.
fn text(value: impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(text)) => text,
        other => other.map(|value| value.to_string()).unwrap_or_default(),
    }
}

impl From<BrokerError> for Problem {
    fn from(error: BrokerError) -> Self {
        Self::from(&error)
    }
}

impl From<&BrokerError> for Problem {
    fn from(error: &BrokerError) -> Self {
        match error {
            BrokerError::UnknownProvider { .. }
            | BrokerError::UnknownProfile { .. }
            | BrokerError::NoAccount { .. }
            | BrokerError::NotStored { .. } => Self::not_found(error),
            BrokerError::NoWay { .. } | BrokerError::Variable { .. } => Self::invalid(error),
            BrokerError::Configured { .. } => Self::new(StatusCode::CONFLICT, "configured", error),
            _ => Self::internal(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_that_is_checked_in_is_the_one_that_is_served() {
        // Cargo runs tests in the folder of their package.
        let path = "../../docs/openapi.json";
        let served = serde_json::to_string_pretty(&openapi()).unwrap() + "\n";
        if std::env::var_os("HOLSTER_UPDATE").is_some() {
            std::fs::write(path, &served).unwrap();
        }
        let known = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            known == served,
            "run this test with HOLSTER_UPDATE=1 and look at what has changed"
        );
    }
}
