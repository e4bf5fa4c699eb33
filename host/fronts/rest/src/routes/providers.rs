//! The services at which accounts can be connected.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Rest, text};
use crate::problem::Problem;

/// A service that issues credentials.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ShownProvider {
    /// By which it is named.
    id: String,
    /// For people.
    title: String,
    /// What it takes, such as `oauth2` or `api_key`.
    kinds: Vec<String>,
    /// Where it says how credentials are had.
    doc_url: String,
}

/// All services.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ShownProviders {
    /// Sorted by title.
    providers: Vec<ShownProvider>,
}

/// The services at which accounts can be connected, as far as this host knows.
#[utoipa::path(
    get,
    path = "/v1/providers",
    responses((status = 200, body = ShownProviders), (status = 401, body = Problem)),
)]
pub(crate) async fn list(State(rest): State<Arc<Rest>>) -> Json<ShownProviders> {
    let known = rest.host.broker().providers().iter();
    let mut providers: Vec<_> = known
        .map(|provider| ShownProvider {
            id: provider.id.to_string(),
            title: provider.title.clone(),
            kinds: provider.kinds.iter().map(text).collect(),
            doc_url: provider.doc_url.to_string(),
        })
        .collect();
    providers.sort_by_cached_key(|provider| provider.title.to_lowercase());
    Json(ShownProviders { providers })
}
