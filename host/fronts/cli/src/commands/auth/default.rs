//! `holster auth default`: which profile serves a provider where a call names none.

use holster_core::broker::Broker;
use holster_core::types::{ProfileName, ProviderId, TenantId};

use super::done;
use crate::exit::Exit;
use crate::{Global, print};

/// Choose the profile that serves a provider where a call names none.
#[derive(clap::Args)]
pub(super) struct Default {
    /// For example `slack`. Without it, the choices are shown.
    #[arg(requires = "choice")]
    provider: Option<ProviderId>,
    /// The profile.
    #[arg(group = "choice")]
    profile: Option<ProfileName>,
    /// Take the choice back.
    #[arg(long, group = "choice")]
    none: bool,
}

pub(super) async fn run(global: &Global, broker: &Broker, default: Default) -> Result<(), Exit> {
    let tenant = TenantId::local();
    let Some(provider) = default.provider else {
        let choices = broker.defaults(&tenant).await.map_err(Exit::failed)?;
        if global.json {
            return print::json(&choices);
        }
        let rows: Vec<_> = choices
            .iter()
            .map(|(provider, profile)| vec![provider.to_string(), profile.to_string()])
            .collect();
        return print::table(&["PROVIDER", "PROFILE"], &rows);
    };
    broker
        .set_default(&tenant, &provider, default.profile.as_ref())
        .await
        .map_err(Exit::failed)?;
    match default.profile {
        Some(profile) => done(global, "chosen", &profile, &provider),
        None if global.json => {
            print::json(&serde_json::json!({ "result": "no choice", "provider": provider }))
        }
        None => print::line(&format!("nothing is chosen for `{provider}` any more")),
    }
}
