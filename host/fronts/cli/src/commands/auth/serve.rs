//! `holster auth serve`: the connect pages alone.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use holster_core::Config;
use holster_core::broker::Broker;
use holster_core::types::TenantId;
use serde_json::json;

use crate::exit::Exit;
use crate::{Global, pages, print, revocations};

/// How often it is looked whether somebody is waited for.
const LOOK: Duration = Duration::from_secs(1);

/// For so long after the last connection is over, its page can still be read.
const AFTER: u32 = 20;

/// Serve the pages on which people connect accounts, until interrupted.
#[derive(clap::Args)]
pub(super) struct Serve {
    /// End when nobody is waited for any more.
    #[arg(long)]
    while_needed: bool,
}

pub(super) async fn run(
    global: &Global,
    config: &Config,
    broker: Arc<Broker>,
    serve: Serve,
) -> Result<(), Exit> {
    let folder = config.data_folder().map_err(Exit::usage)?;
    let mut server = pages::here(config, &broker).await?;
    if global.json {
        print::json(&json!({ "url": server.address().url }))?;
    } else {
        print::line(&format!("connect pages at {}", server.address().url))?;
    }
    let ended = tokio::select! {
        error = server.keep() => Err(Exit::failed(error)),
        ended = idle(&broker, &folder), if serve.while_needed => ended,
        ended = tokio::signal::ctrl_c() => ended.map_err(Exit::failed),
        () = revocations::retry(&broker) => Ok(()),
    };
    server.shutdown().await;
    ended
}

/// Until nobody was waited for during a while, or the data folder is gone.
async fn idle(broker: &Broker, data_folder: &Path) -> Result<(), Exit> {
    let mut quiet = 0;
    while quiet < AFTER && data_folder.is_dir() {
        tokio::time::sleep(LOOK).await;
        let pending = broker
            .pending(&TenantId::local(), None)
            .await
            .map_err(Exit::failed)?;
        quiet = if pending.is_empty() { quiet + 1 } else { 0 };
    }
    Ok(())
}
