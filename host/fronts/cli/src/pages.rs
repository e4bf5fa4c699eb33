//! The connect pages, for commands that send a person there.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use holster_callers::Callers;
use holster_connect::{ConnectSettings, SharedServer};
use holster_core::Config;
use holster_core::broker::{Broker, ConnectAddress, Connection, ConnectionState};
use holster_core::types::ConnectionId;
use tokio::time::Instant;

use crate::exit::Exit;
use crate::{Global, print};

/// How long a server in the background may take to start.
const START: Duration = Duration::from_secs(10);

/// Serves the pages in this process, or finds them in another one of the same user.
pub(crate) async fn here(config: &Config, broker: &Arc<Broker>) -> Result<SharedServer, Exit> {
    here_for(config, broker, Arc::new(Callers::new(&config.serve))).await
}

/// The same for callers that are known already.
pub(crate) async fn here_for(
    config: &Config,
    broker: &Arc<Broker>,
    callers: Arc<Callers>,
) -> Result<SharedServer, Exit> {
    let folder = config.data_folder().map_err(Exit::usage)?;
    let settings = ConnectSettings {
        listen: config.connect.address,
        public_url: config.connect.public_url.clone(),
        callers,
    };
    SharedServer::ensure(&folder, Arc::clone(broker), settings)
        .await
        .map_err(Exit::failed)
}

/// Where the pages are; they go on being there when this command ends, until nobody waits for a person any more.
pub(crate) async fn elsewhere(global: &Global, config: &Config) -> Result<ConnectAddress, Exit> {
    let folder = config.data_folder().map_err(Exit::usage)?;
    let mut started = false;
    let patience = Instant::now() + START;
    loop {
        let found = holster_connect::find(&folder).await;
        if let Some(address) = found.map_err(Exit::failed)? {
            return Ok(address);
        }
        if !started {
            start(global)?;
            started = true;
        } else if Instant::now() >= patience {
            return Err(Exit::failed(
                "the connect pages did not start; run `holster auth serve` to see why",
            ));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn start(global: &Global) -> Result<(), Exit> {
    let program = std::env::current_exe().map_err(Exit::failed)?;
    let mut command = Command::new(program);
    if let Some(file) = global.config_file() {
        command.arg("--config").arg(file);
    }
    command
        .args(["auth", "serve", "--while-needed"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // Away from the terminal: what ends this command must not end the pages.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.spawn().map_err(Exit::failed)?;
    Ok(())
}

/// Waits until each connection is over, and no longer than `end`; those that are not connected then.
pub(crate) async fn wait(
    broker: &Broker,
    connections: &[ConnectionId],
    end: Instant,
) -> Result<Vec<Connection>, Exit> {
    let mut unconnected = Vec::new();
    for id in connections {
        let left = end.saturating_duration_since(Instant::now());
        let connection = broker.wait(id, left).await.map_err(Exit::failed)?;
        let connection = connection
            .ok_or_else(|| Exit::failed(format!("there is no connection `{id}` (any more)")))?;
        if !matches!(connection.state, ConnectionState::Connected { .. }) {
            unconnected.push(connection);
        }
    }
    Ok(unconnected)
}

/// The same while the pages are served, which end with it.
pub(crate) async fn wait_at(
    mut server: SharedServer,
    broker: &Broker,
    connections: &[ConnectionId],
    end: Instant,
) -> Result<Vec<Connection>, Exit> {
    let unconnected = tokio::select! {
        unconnected = wait(broker, connections, end) => unconnected,
        error = server.keep() => Err(Exit::failed(error)),
    };
    server.shutdown().await;
    unconnected
}

/// The end of a command that waited in vain.
pub(crate) fn in_vain(unconnected: &[Connection]) -> Exit {
    let line = |connection: &Connection| {
        format!(
            "`{}` for profile `{}` is not connected: the connection {}",
            connection.provider,
            connection.owner.profile,
            print::harmless(&connection.state.to_string())
        )
    };
    let lines: Vec<_> = unconnected.iter().map(line).collect();
    Exit::Interrupted(lines.join("\n"))
}
