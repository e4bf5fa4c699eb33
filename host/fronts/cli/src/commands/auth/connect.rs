//! `holster auth connect`: a person connects an account.

use std::sync::Arc;
use std::time::Duration;

use holster_core::Config;
use holster_core::broker::{Broker, ConnectAddress, Connection, ConnectionState, NewConnection};
use holster_core::types::{ProfileName, ProviderId, ThreadId};
use serde_json::json;
use tokio::time::Instant;

use super::owner;
use crate::exit::Exit;
use crate::{Global, pages, print};

/// Connect an account: prints the address of a page to open, and waits. Exits with 3 if the account is not connected
/// in the end.
#[derive(clap::Args)]
pub(super) struct Connect {
    /// For example `slack`; `holster providers` lists them.
    provider: ProviderId,
    /// Whose account it will be. Default: the configured default profile, or `default`.
    #[arg(long, short)]
    profile: Option<ProfileName>,
    /// A scope to ask for; repeat it for more. What the account may do already is asked for besides.
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// Show a code to enter on another device, where the provider offers that, and open no page here.
    #[arg(long)]
    device: bool,
    /// How long to wait, in seconds.
    #[arg(long, default_value_t = 600)]
    timeout: u64,
}

pub(super) async fn run(
    global: &Global,
    config: &Config,
    broker: Arc<Broker>,
    connect: Connect,
) -> Result<(), Exit> {
    let end = Instant::now() + Duration::from_secs(connect.timeout);
    let new = NewConnection {
        owner: owner(&broker, connect.profile),
        thread: ThreadId::new("cli").expect("`cli` is a thread id"),
        provider: connect.provider,
        scopes: connect.scopes.into_iter().collect(),
    };
    let connection = broker.connect(new).await.map_err(Exit::failed)?;
    let ids = std::slice::from_ref(&connection.id);
    let unconnected = if connect.device {
        show_code(global, &broker, &connection).await?;
        pages::wait(&broker, ids, end).await?
    } else {
        let server = pages::here(config, &broker).await?;
        show_page(global, &broker, server.address(), &connection)?;
        pages::wait_at(server, &broker, ids, end).await?
    };
    if !unconnected.is_empty() {
        return Err(pages::in_vain(&unconnected));
    }
    finish(global, &broker, &connection).await
}

fn show_page(
    global: &Global,
    broker: &Broker,
    address: &ConnectAddress,
    connection: &Connection,
) -> Result<(), Exit> {
    let url = broker.page(address, &connection.provider, &connection.id);
    if global.json {
        return print::json(&json!({ "connection": connection.id, "url": url }));
    }
    print::line(&format!("Open {url}"))
}

async fn show_code(global: &Global, broker: &Broker, connection: &Connection) -> Result<(), Exit> {
    let code = broker
        .device_code(&connection.id)
        .await
        .map_err(Exit::failed)?;
    if global.json {
        return print::json(&json!({
            "connection": connection.id,
            "user_code": code.user_code,
            "verification_url": code.verification_url,
            "expires_at": code.expires_at,
        }));
    }
    print::line(&format!(
        "Open {} on any device, and enter {}",
        print::harmless(&code.verification_url),
        print::harmless(&code.user_code)
    ))
}

async fn finish(global: &Global, broker: &Broker, connection: &Connection) -> Result<(), Exit> {
    let connection = broker
        .connection(&connection.id)
        .await
        .map_err(Exit::failed)?;
    let Some(connection) = connection else {
        return Err(Exit::failed("the connection is gone"));
    };
    if global.json {
        return print::json(&connection);
    }
    let who = match &connection.state {
        ConnectionState::Connected {
            account: Some(account),
        } => format!(" as {}", print::harmless(account)),
        _ => String::new(),
    };
    print::line(&format!(
        "connected `{}` for profile `{}`{who}",
        connection.provider, connection.owner.profile
    ))
}
