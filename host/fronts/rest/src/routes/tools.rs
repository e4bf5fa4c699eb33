//! Tools, and calls of them.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use holster_core::types::{ComponentName, ToolName};
use holster_core::{
    Account, Call, CallError, Caller, CatalogueView, Failure, Finished, Outcome, ToolDefinition,
    ToolError, content_to_json,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{At, Body, For, Rest, Waiting, object};
use crate::problem::Problem;

/// A tool.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Tool {
    /// By which it is called.
    name: String,
    /// The component that it belongs to; none for a tool of the host itself.
    component: Option<String>,
    /// For people.
    title: Option<String>,
    /// For the model that chooses it.
    description: String,
    /// JSON Schema 2020-12 of the arguments.
    #[schema(value_type = Object)]
    input_schema: Value,
    /// JSON Schema 2020-12 of the structured answer, where there is one.
    #[schema(value_type = Option<Object>)]
    output_schema: Option<Value>,
    /// The accounts that it needs.
    requirements: Vec<Requirement>,
    /// Hints: `read_only`, `destructive`, `idempotent`, `open_world`, each where the author said so.
    #[schema(value_type = Object)]
    behaviour: Value,
}

/// An account that a tool needs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Requirement {
    /// Where.
    provider: String,
    /// With which scopes.
    scopes: Vec<String>,
}

/// All tools.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Tools {
    /// Sorted by name.
    tools: Vec<Tool>,
    /// What of the plugin directory is not served.
    problems: Vec<FileProblem>,
}

/// A file of the plugin directory that is not served, or not whole.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FileProblem {
    /// Its name.
    file: String,
    /// Why, and what to do.
    reason: String,
}

impl FileProblem {
    fn all_of(view: &CatalogueView) -> Vec<Self> {
        let refused = view.problems().iter().map(|problem| Self {
            // Where the folder is, is nobody's business who calls from elsewhere.
            file: problem
                .path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            reason: problem.reason.clone(),
        });
        let left_out = view.conflicts().iter().map(|conflict| Self {
            file: format!("{}.wasm", conflict.left_out),
            reason: format!(
                "its tool `{}` is left out, since `{}` has one of that name; rename one of the two",
                conflict.tool, conflict.served_by
            ),
        });
        refused.chain(left_out).collect()
    }
}

impl Tool {
    fn of(definition: &ToolDefinition, component: Option<&ComponentName>) -> Self {
        let requirement = |requirement: &holster_core::types::Requirement| Requirement {
            provider: requirement.provider.to_string(),
            scopes: requirement.scopes.iter().map(ToString::to_string).collect(),
        };
        Self {
            name: definition.name.to_string(),
            component: component.map(ToString::to_string),
            title: definition.title.clone(),
            description: definition.description.clone(),
            input_schema: definition.input_schema.clone(),
            output_schema: definition.output_schema.clone(),
            requirements: definition.requirements.iter().map(requirement).collect(),
            behaviour: serde_json::to_value(definition.behaviour).unwrap_or_default(),
        }
    }
}

/// The tools of this host.
#[utoipa::path(get, path = "/v1/tools", responses((status = 200, body = Tools), (status = 401, body = Problem)))]
pub(crate) async fn list(State(rest): State<Arc<Rest>>) -> Json<Tools> {
    let view = rest.host.settled().await;
    let served = view
        .tools()
        .map(|tool| Tool::of(tool.definition(), Some(tool.component())));
    let own = rest.host.built_in().map(|tool| Tool::of(tool, None));
    let mut tools: Vec<_> = served.chain(own).collect();
    tools.sort_by(|one, other| one.name.cmp(&other.name));
    Json(Tools {
        tools,
        problems: FileProblem::all_of(&view),
    })
}

/// What a tool is called with.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CallRequest {
    /// As the tool's input schema has them.
    #[serde(default)]
    #[schema(value_type = Object)]
    arguments: Map<String, Value>,
    /// For whom.
    #[serde(default, deserialize_with = "object")]
    r#for: For,
}

/// An answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Answer {
    /// The items in their order, each with its `type`: `text`, `structured`, `image`, `audio`, `resource_link`, `resource`.
    #[schema(value_type = Vec<Object>)]
    content: Value,
    /// The accounts that acted.
    accounts: Vec<ActingAccount>,
    /// How long the tool ran.
    duration_ms: u64,
}

/// An account that acted.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ActingAccount {
    /// Where it is.
    provider: String,
    /// Whose it is.
    profile: String,
    /// Its label, where it is known.
    account: Option<String>,
}

impl ActingAccount {
    pub(super) fn of(account: &Account) -> Self {
        Self {
            provider: account.provider.to_string(),
            profile: account.profile.to_string(),
            account: account.account.clone(),
        }
    }
}

impl Answer {
    fn of(finished: &Finished) -> Self {
        Self {
            content: content_to_json(&finished.output),
            accounts: finished.accounts.iter().map(ActingAccount::of).collect(),
            duration_ms: u64::try_from(finished.duration.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// Calls a tool.
#[utoipa::path(
    post,
    path = "/v1/tools/{tool}/call",
    params(("tool" = String, Path, description = "The tool's name.")),
    request_body = CallRequest,
    responses(
        (status = 200, description = "The tool's answer.", body = Answer),
        (status = 202, description = "A person has to act first; then send the same again.", body = Waiting),
        (status = 400, description = "The request makes no sense.", body = Problem),
        (status = 401, description = "Nobody knows who sent this.", body = Problem),
        (status = 403, description = "The key is for another profile, or policy does not allow the call.", body = Problem),
        (status = 404, description = "There is no such tool.", body = Problem),
        (status = 409, description = "More than one account could serve; name a profile.", body = Problem),
        (status = 413, description = "The request is too large.", body = Problem),
        (status = 415, description = "The request is not JSON.", body = Problem),
        (status = 422, description = "The arguments do not fit the tool's schema.", body = Problem),
        (status = 429, description = "These are too many requests.", body = Problem),
        (status = 500, description = "The host failed.", body = Problem),
        (status = 502, description = "The tool failed.", body = Problem),
        (status = 503, description = "A service that the tool needs does not answer.", body = Problem),
        (status = 504, description = "The tool did not answer in time.", body = Problem),
    ),
)]
pub(crate) async fn call(
    State(rest): State<Arc<Rest>>,
    Extension(caller): Extension<Caller>,
    At(tool): At<String>,
    Body(request): Body<CallRequest>,
) -> Result<Response, Problem> {
    let tool = ToolName::new(&tool).map_err(Problem::not_found)?;
    let (profile, thread) = request.r#for.of(&caller)?;
    let call = Call {
        tenant: caller.tenant,
        thread,
        profile,
        tool,
        arguments: request.arguments,
        session: None,
    };
    let outcome = rest.host.call_on(&rest.calls, call).await;
    match outcome.map_err(Problem::internal)? {
        Outcome::Finished(finished) => Ok(Json(Answer::of(&finished)).into_response()),
        Outcome::Interrupted(interrupted) => {
            let waiting = Waiting::of(&rest, &interrupted.unmet);
            Ok((StatusCode::ACCEPTED, Json(waiting)).into_response())
        }
        Outcome::Failed(failure) => Err(problem(&failure)),
    }
}

/// How a failure is told.
pub(super) fn problem(failure: &Failure) -> Problem {
    let status = match failure {
        Failure::Broker(error) => return error.into(),
        Failure::UnknownTool { .. } | Failure::NoConnection { .. } => StatusCode::NOT_FOUND,
        Failure::Ambiguous { .. } => StatusCode::CONFLICT,
        Failure::NotApproved { .. }
        | Failure::ProviderNotAllowed { .. }
        | Failure::ProfileNotAllowed { .. } => StatusCode::FORBIDDEN,
        Failure::InvalidArguments { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        Failure::Policy(_) | Failure::NoRecord { .. } => StatusCode::SERVICE_UNAVAILABLE,
        Failure::Component { .. } | Failure::InvalidOutput { .. } => StatusCode::BAD_GATEWAY,
        Failure::Run { error, .. } => match error {
            CallError::Tool(ToolError::InvalidArguments(_)) => StatusCode::UNPROCESSABLE_ENTITY,
            CallError::Tool(ToolError::RateLimited(_) | ToolError::Unavailable(_)) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            CallError::TimedOut(_) => StatusCode::GATEWAY_TIMEOUT,
            CallError::NoFolder(_) => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_GATEWAY,
        },
    };
    let kind = match failure {
        Failure::NoConnection { .. } => "not_found",
        _ => failure.kind(),
    };
    Problem::new(status, kind, failure)
}
