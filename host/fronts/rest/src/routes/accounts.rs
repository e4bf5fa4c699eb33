//! Profiles and their accounts: shown without secrets, and forgotten.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use holster_core::broker::{CredentialSummary, Owner, Source};
use holster_core::types::{ProfileName, ProviderId};
use holster_core::{Caller, ProfileChoice};
use serde::Serialize;
use utoipa::ToSchema;

use super::{At, Rest, text};
use crate::problem::Problem;

/// A profile.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Profile {
    /// Its name.
    name: String,
    /// How many accounts it has.
    accounts: usize,
    /// Whether it is meant where none is named and none has the account.
    default: bool,
}

/// All profiles of the caller.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Profiles {
    /// Sorted by name.
    profiles: Vec<Profile>,
}

/// The caller's profiles.
#[utoipa::path(
    get,
    path = "/v1/profiles",
    responses((status = 200, body = Profiles), (status = 401, body = Problem), (status = 500, body = Problem)),
)]
pub(crate) async fn profiles(
    State(rest): State<Arc<Rest>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Profiles>, Problem> {
    let broker = rest.host.broker();
    let profiles = broker.profiles(&caller.tenant).await?;
    let default = broker.default_profile();
    let own = profiles
        .into_iter()
        .filter(|profile| caller.may_use(&profile.name));
    Ok(Json(Profiles {
        profiles: own
            .map(|profile| Profile {
                name: profile.name.to_string(),
                accounts: profile.credentials,
                default: profile.name == default,
            })
            .collect(),
    }))
}

/// An account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConnectedAccount {
    /// Whose it is.
    profile: String,
    /// Where it is.
    provider: String,
    /// What the credential is, such as `oauth2` or `api_key`.
    kind: String,
    /// The account's label, where it is known.
    account: Option<String>,
    /// What it allows, where somebody said.
    scopes: Option<Vec<String>>,
    /// Seconds since the Unix epoch.
    expires_at: Option<u64>,
    /// Why it cannot be used now, and what to do.
    problem: Option<String>,
    /// Whether it serves calls that name no profile.
    default: bool,
    /// Whether it can be disconnected. If not, it stands in the configuration.
    disconnectable: bool,
}

impl ConnectedAccount {
    fn of(credential: CredentialSummary, default: bool) -> Self {
        Self {
            profile: credential.profile.to_string(),
            provider: credential.provider.to_string(),
            kind: text(credential.kind),
            account: credential.account,
            scopes: credential
                .scopes
                .map(|scopes| scopes.iter().map(ToString::to_string).collect()),
            expires_at: credential.expires_at,
            problem: credential.problem,
            default,
            disconnectable: credential.source == Source::Vault,
        }
    }
}

/// All accounts of the caller.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Accounts {
    /// Sorted by profile and provider.
    accounts: Vec<ConnectedAccount>,
}

/// The caller's accounts, without their secrets.
#[utoipa::path(
    get,
    path = "/v1/accounts",
    responses((status = 200, body = Accounts), (status = 401, body = Problem), (status = 500, body = Problem)),
)]
pub(crate) async fn list(
    State(rest): State<Arc<Rest>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Accounts>, Problem> {
    let profile = match &caller.profile {
        ProfileChoice::Fixed(fixed) => Some(fixed),
        ProfileChoice::Usual | ProfileChoice::Agent => None,
    };
    let broker = rest.host.broker();
    let mut accounts = Vec::new();
    for credential in broker.list(&caller.tenant, profile).await? {
        let serving = broker.serving(&caller.tenant, &credential.provider).await?;
        let default = serving.as_ref() == Ok(&credential.profile);
        accounts.push(ConnectedAccount::of(credential, default));
    }
    Ok(Json(Accounts { accounts }))
}

/// What became of an account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Disconnection {
    /// `revoked`, `revoked_later`, `not_revoked` or `forgotten`: it is forgotten here in any case.
    result: String,
}

/// Forgets an account, and tells its provider to.
#[utoipa::path(
    delete,
    path = "/v1/accounts/{profile}/{provider}",
    params(
        ("profile" = String, Path, description = "Whose."),
        ("provider" = String, Path, description = "Where."),
    ),
    responses(
        (status = 200, body = Disconnection),
        (status = 401, body = Problem),
        (status = 403, body = Problem),
        (status = 404, body = Problem),
        (status = 409, description = "It stands in the configuration.", body = Problem),
        (status = 500, body = Problem),
    ),
)]
pub(crate) async fn disconnect(
    State(rest): State<Arc<Rest>>,
    Extension(caller): Extension<Caller>,
    At((profile, provider)): At<(String, String)>,
) -> Result<Json<Disconnection>, Problem> {
    let profile = ProfileName::new(&profile).map_err(Problem::not_found)?;
    let provider = ProviderId::new(&provider).map_err(Problem::not_found)?;
    if !caller.may_use(&profile) {
        let detail = "this key is for another profile";
        return Err(Problem::new(StatusCode::FORBIDDEN, "other_profile", detail));
    }
    let owner = Owner::new(&caller.tenant, profile);
    let disconnected = rest.host.broker().disconnect(&owner, &provider).await?;
    Ok(Json(Disconnection {
        result: text(disconnected),
    }))
}
