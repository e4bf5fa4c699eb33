//! `holster profiles`: the personas of the user.

use holster_core::open_broker;
use holster_core::types::TenantId;
use serde_json::json;

use crate::exit::Exit;
use crate::{Global, print};

/// List the profiles, and how many accounts each has.
#[derive(clap::Args)]
pub(crate) struct Arguments {}

pub(crate) async fn run(global: &Global, _: Arguments) -> Result<(), Exit> {
    let config = global.config()?;
    let broker = open_broker(&config).await.map_err(Exit::usage)?;
    let profiles = broker
        .profiles(&TenantId::local())
        .await
        .map_err(Exit::failed)?;
    let default = broker.default_profile();
    if global.json {
        return print::json(&json!({ "default": default, "profiles": profiles }));
    }
    let rows: Vec<_> = profiles
        .iter()
        .map(|profile| {
            let is_default = if profile.name == default {
                "default"
            } else {
                ""
            };
            vec![
                profile.name.to_string(),
                profile.credentials.to_string(),
                is_default.to_owned(),
            ]
        })
        .collect();
    print::table(&["PROFILE", "ACCOUNTS", ""], &rows)
}
