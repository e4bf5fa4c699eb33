//! `holster providers`: the services that Holster knows.

use holster_core::broker::CredentialKind;
use holster_core::open_broker;
use holster_core::types::ProviderId;

use crate::exit::Exit;
use crate::{Global, print};

/// List the known providers, or show all that is known of one.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Show this one.
    provider: Option<ProviderId>,
}

pub(crate) async fn run(global: &Global, arguments: Arguments) -> Result<(), Exit> {
    let broker = open_broker(&global.config()?).await.map_err(Exit::usage)?;
    let providers = broker.providers();
    if let Some(id) = arguments.provider {
        let provider = providers.get(&id).map_err(Exit::failed)?;
        if global.json {
            return print::json(provider);
        }
        return print::line(&serde_json::to_string_pretty(provider).map_err(Exit::failed)?);
    }
    if global.json {
        return print::json(&providers.iter().collect::<Vec<_>>());
    }
    let rows: Vec<_> = providers
        .iter()
        .map(|provider| {
            let kinds: Vec<_> = provider
                .kinds
                .iter()
                .copied()
                .map(CredentialKind::as_str)
                .collect();
            let hosts: Vec<_> = provider.hosts.iter().map(ToString::to_string).collect();
            vec![
                provider.id.to_string(),
                provider.title.clone(),
                kinds.join(", "),
                hosts.join(", "),
            ]
        })
        .collect();
    print::table(&["PROVIDER", "TITLE", "CREDENTIALS", "HOSTS"], &rows)
}
