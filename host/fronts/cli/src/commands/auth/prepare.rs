//! `holster auth prepare`: what tools need is connected before they are called.

use std::time::Duration;

use holster_core::types::{ProfileName, TenantId, ThreadId, ToolName};
use serde_json::json;
use tokio::time::Instant;

use crate::commands::open_host;
use crate::exit::Exit;
use crate::{Global, pages, print};

/// Connect in advance what tools need: prints the address of a page for each account that is missing, with the scopes
/// of all tools together. Exits with 0 where nothing is missing, or all was connected in time, else with 3.
#[derive(clap::Args)]
pub(super) struct Prepare {
    /// The tools. Default: all.
    tools: Vec<ToolName>,
    /// Whose accounts will serve. Default: for each provider the profile that has one.
    #[arg(long, short)]
    profile: Option<ProfileName>,
    /// The conversation that the connections belong to.
    #[arg(long, default_value = "cli")]
    thread: ThreadId,
    /// Wait for the person for so many seconds.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "600")]
    wait: Option<u64>,
}

pub(super) async fn run(global: &Global, prepare: Prepare) -> Result<(), Exit> {
    let config = global.config()?;
    let host = open_host(global).await?;
    let unmet = host
        .prepare(
            &TenantId::local(),
            &prepare.thread,
            prepare.profile.as_ref(),
            &prepare.tools,
        )
        .await
        .map_err(Exit::failed)?;
    let Some(unmet) = unmet else {
        return if global.json {
            print::json(&json!({ "missing": [] }))
        } else {
            print::line("nothing is missing")
        };
    };
    let broker = host.broker();
    let connections = unmet.connections();
    let everything = connections.len() == unmet.missing().len();
    let show = |address| {
        if global.json {
            print::json(&json!({ "missing": broker.describe(address, &unmet) }))
        } else {
            print::line(&broker.explain(address, &unmet))
        }
    };
    let Some(seconds) = prepare.wait.filter(|_| !connections.is_empty()) else {
        let address = if connections.is_empty() {
            None
        } else {
            Some(pages::elsewhere(global, &config).await?)
        };
        show(address.as_ref())?;
        return Err(Exit::InterruptReported);
    };
    let server = pages::here(&config, broker).await?;
    show(Some(server.address()))?;
    let end = Instant::now() + Duration::from_secs(seconds);
    let unconnected = pages::wait_at(server, broker, &connections, end).await?;
    if !unconnected.is_empty() {
        return Err(pages::in_vain(&unconnected));
    }
    if everything {
        Ok(())
    } else {
        Err(Exit::InterruptReported)
    }
}
