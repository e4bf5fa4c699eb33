//! `holster auth disconnect`: an account is forgotten, here and at its provider.

use holster_core::broker::{Broker, Disconnected};
use holster_core::types::{ProfileName, ProviderId};

use super::{done, owner};
use crate::Global;
use crate::exit::Exit;

/// Forget an account, and tell its provider to.
#[derive(clap::Args)]
pub(super) struct Disconnect {
    /// For example `slack`.
    provider: ProviderId,
    /// Whose account it is. Default: the configured default profile, or `default`.
    #[arg(long, short)]
    profile: Option<ProfileName>,
}

pub(super) async fn run(
    global: &Global,
    broker: &Broker,
    disconnect: Disconnect,
) -> Result<(), Exit> {
    let owner = owner(broker, disconnect.profile);
    let ended = broker
        .disconnect(&owner, &disconnect.provider)
        .await
        .map_err(Exit::failed)?;
    let what = match ended {
        Disconnected::Revoked => "disconnected and revoked",
        Disconnected::RevokedLater => "disconnected (its provider will be told later)",
        Disconnected::NotRevoked => {
            "disconnected (its provider refused to revoke it: see to it there)"
        }
        Disconnected::Forgotten => "disconnected",
    };
    done(global, what, &owner.profile, &disconnect.provider)
}
