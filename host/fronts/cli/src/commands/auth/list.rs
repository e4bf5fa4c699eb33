//! `holster auth list`: the accounts, and the connections that wait for a person.

use holster_core::broker::{Broker, CredentialSummary, Source};
use holster_core::types::{ProfileName, TenantId};

use crate::exit::Exit;
use crate::{Global, print};

/// Show which accounts there are. Secrets are never shown.
#[derive(clap::Args)]
pub(super) struct List {
    /// Of this profile only.
    #[arg(long, short)]
    profile: Option<ProfileName>,
}

pub(super) async fn run(global: &Global, broker: &Broker, list: List) -> Result<(), Exit> {
    let credentials = broker
        .list(&TenantId::local(), list.profile.as_ref())
        .await
        .map_err(Exit::failed)?;
    show(global, &credentials)
}

fn show(global: &Global, credentials: &[CredentialSummary]) -> Result<(), Exit> {
    if global.json {
        return print::json(&credentials);
    }
    let rows: Vec<_> = credentials
        .iter()
        .map(|credential| {
            let scopes = credential
                .scopes
                .as_ref()
                .map_or_else(|| "not recorded".to_owned(), ToString::to_string);
            let source = match &credential.source {
                Source::Configured { place } => place.clone(),
                Source::Vault => "vault".to_owned(),
            };
            vec![
                credential.profile.to_string(),
                credential.provider.to_string(),
                credential.kind.to_string(),
                credential.account.clone().unwrap_or_else(|| "-".to_owned()),
                scopes,
                source,
                credential
                    .problem
                    .clone()
                    .unwrap_or_else(|| "ok".to_owned()),
            ]
        })
        .collect();
    print::table(
        &[
            "PROFILE", "PROVIDER", "KIND", "ACCOUNT", "SCOPES", "SOURCE", "STATE",
        ],
        &rows,
    )
}
