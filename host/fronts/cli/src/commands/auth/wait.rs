//! `holster auth wait`: until a person has acted.

use std::sync::Arc;
use std::time::Duration;

use holster_core::Config;
use holster_core::broker::Broker;
use holster_core::types::{ConnectionId, TenantId, ThreadId};
use tokio::time::Instant;

use crate::exit::Exit;
use crate::{Global, pages, print};

/// Wait until connections are made. Exits with 3 if one is not made in time, or is refused.
#[derive(clap::Args)]
pub(super) struct Wait {
    /// The connections. Default: all that wait for a person now.
    connections: Vec<ConnectionId>,
    /// Only those of this conversation.
    #[arg(long, conflicts_with = "connections")]
    thread: Option<ThreadId>,
    /// For so many seconds.
    #[arg(long, default_value_t = 600)]
    timeout: u64,
}

pub(super) async fn run(
    global: &Global,
    config: &Config,
    broker: Arc<Broker>,
    wait: Wait,
) -> Result<(), Exit> {
    let end = Instant::now() + Duration::from_secs(wait.timeout);
    let mut connections = wait.connections;
    if connections.is_empty() {
        let pending = broker
            .pending(&TenantId::local(), wait.thread.as_ref())
            .await
            .map_err(Exit::failed)?;
        connections.extend(pending.into_iter().map(|connection| connection.id));
    }
    let server = pages::here(config, &broker).await?;
    let unconnected = pages::wait_at(server, &broker, &connections, end).await?;
    if global.json {
        print::json(&unconnected)?;
    }
    match unconnected.as_slice() {
        [] if global.json => Ok(()),
        [] => print::line("connected"),
        _ if global.json => Err(Exit::InterruptReported),
        unconnected => Err(pages::in_vain(unconnected)),
    }
}
