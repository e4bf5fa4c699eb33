//! Who is calling, as the gate sees it.

use axum::{Extension, Json};
use holster_core::{Caller, ProfileChoice};
use serde::Serialize;
use utoipa::ToSchema;

use crate::problem::Problem;

/// For whom requests like this one are.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ShownCaller {
    /// The user.
    tenant: String,
    /// The only profile that may be used, where the key is for one.
    profile: Option<String>,
}

/// For whom requests like this one are.
#[utoipa::path(
    get,
    path = "/v1/caller",
    responses((status = 200, body = ShownCaller), (status = 401, body = Problem)),
)]
pub(crate) async fn show(Extension(caller): Extension<Caller>) -> Json<ShownCaller> {
    let profile = match &caller.profile {
        ProfileChoice::Fixed(fixed) => Some(fixed.to_string()),
        ProfileChoice::Usual | ProfileChoice::Agent => None,
    };
    Json(ShownCaller {
        tenant: caller.tenant.to_string(),
        profile,
    })
}
