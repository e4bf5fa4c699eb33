//! The calls of late: what ran for the caller, and how it ended.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use axum::extract::State;
use axum::{Extension, Json};
use holster_core::{CallRecord, Caller, ProfileChoice, VisitedHost};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::tools::ActingAccount;
use super::{Asked, Rest};
use crate::problem::Problem;

/// More than the host remembers.
const MOST: usize = 500;

/// How many there are where nobody says.
const USUAL: usize = 100;

/// A call that has ended, without what it was called with and what it answered.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ShownCall {
    /// Counts the calls of this host since its start; higher is later.
    pub(super) number: u64,
    /// When it arrived; milliseconds since the Unix epoch.
    began_at_ms: u64,
    /// From its arrival to its end; microseconds.
    duration_us: u64,
    /// What was called.
    tool: String,
    /// What ran, or would have; none for a tool of the host itself.
    component: Option<String>,
    /// The first digits of that component's hash.
    hash: Option<String>,
    /// The conversation.
    thread: String,
    /// The profile that it named, or had to have.
    profile: Option<String>,
    /// The accounts that were at its disposal.
    accounts: Vec<ActingAccount>,
    /// Where its requests went.
    hosts: Vec<Visited>,
    /// `finished`, `interrupted`, `failed` or `cancelled`.
    ended: String,
    /// Why there is no answer, where there is none.
    reason: Option<String>,
}

/// The requests of a call to one place.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Visited {
    /// `scheme://host:port`.
    origin: String,
    /// How many were sent.
    requests: u32,
    /// How many did not leave.
    refused: u32,
}

/// Calls.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Calls {
    /// The newest first.
    calls: Vec<ShownCall>,
}

impl ShownCall {
    fn of(record: &CallRecord) -> Self {
        let since = record.began_at.duration_since(UNIX_EPOCH);
        let whole = |number: u128| u64::try_from(number).unwrap_or(u64::MAX);
        let component = record.component.as_ref();
        let host = |host: &VisitedHost| Visited {
            origin: host.origin.clone(),
            requests: host.requests,
            refused: host.refused,
        };
        Self {
            number: record.number,
            began_at_ms: whole(since.unwrap_or_default().as_millis()),
            duration_us: whole(record.duration.as_micros()),
            tool: record.tool.to_string(),
            component: component.map(|component| component.name.to_string()),
            hash: component.map(|component| component.hash.short()),
            thread: record.thread.to_string(),
            profile: record.profile.as_ref().map(ToString::to_string),
            accounts: record.accounts.iter().map(ActingAccount::of).collect(),
            hosts: record.hosts.iter().map(host).collect(),
            ended: record.end.word().to_owned(),
            reason: record.end.reason(),
        }
    }
}

/// The calls that the caller may see and that are later than that number, the newest first, at most so many.
pub(super) fn seen_by(caller: &Caller, rest: &Rest, after: u64, most: usize) -> Vec<ShownCall> {
    let records = rest.host.history().of(&caller.tenant);
    let may_see = |record: &&Arc<CallRecord>| match &caller.profile {
        ProfileChoice::Fixed(fixed) => record.profile.as_ref() == Some(fixed),
        ProfileChoice::Usual | ProfileChoice::Agent => true,
    };
    let later = records.iter().take_while(|record| record.number > after);
    let seen = later.filter(may_see).take(most);
    seen.map(|record| ShownCall::of(record)).collect()
}

/// How many calls.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct HowMany {
    /// At most so many. Without it: 100.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
}

/// The caller's calls of late, as long as the host remembers them: the last 500 of all users since it was started.
#[utoipa::path(
    get,
    path = "/v1/calls",
    params(HowMany),
    responses((status = 200, body = Calls), (status = 400, body = Problem), (status = 401, body = Problem)),
)]
pub(crate) async fn list(
    State(rest): State<Arc<Rest>>,
    Extension(caller): Extension<Caller>,
    Asked(how_many): Asked<HowMany>,
) -> Result<Json<Calls>, Problem> {
    let limit = how_many.limit.unwrap_or(USUAL);
    if !(1..=MOST).contains(&limit) {
        return Err(Problem::invalid(format!("`limit` is 1 to {MOST}")));
    }
    let calls = seen_by(&caller, &rest, 0, limit);
    Ok(Json(Calls { calls }))
}
