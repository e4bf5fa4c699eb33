//! `holster auth`: the accounts of the profiles.

mod add;
mod connect;
mod default;
mod disconnect;
mod list;
mod prepare;
mod serve;
mod wait;

use std::sync::Arc;

use holster_core::broker::{Broker, Owner};
use holster_core::open_broker;
use holster_core::types::{ProfileName, ProviderId, TenantId};

use crate::exit::Exit;
use crate::{Global, print};

/// Connect, list and disconnect the accounts of profiles.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Connect(connect::Connect),
    Add(add::Add),
    List(list::List),
    #[command(alias = "remove")]
    Disconnect(disconnect::Disconnect),
    Default(default::Default),
    Prepare(prepare::Prepare),
    Wait(wait::Wait),
    Serve(serve::Serve),
}

pub(crate) async fn run(global: &Global, arguments: Arguments) -> Result<(), Exit> {
    if let Command::Prepare(prepare) = arguments.command {
        return prepare::run(global, prepare).await;
    }
    let config = global.config()?;
    let broker = Arc::new(open_broker(&config).await.map_err(Exit::usage)?);
    match arguments.command {
        Command::Connect(connect) => connect::run(global, &config, broker, connect).await,
        Command::Add(add) => add::run(global, &broker, add).await,
        Command::List(list) => list::run(global, &broker, list).await,
        Command::Disconnect(disconnect) => disconnect::run(global, &broker, disconnect).await,
        Command::Default(default) => default::run(global, &broker, default).await,
        Command::Prepare(_) => unreachable!("it opens a host of its own"),
        Command::Wait(wait) => wait::run(global, &config, broker, wait).await,
        Command::Serve(serve) => serve::run(global, &config, broker, serve).await,
    }
}

fn owner(broker: &Broker, profile: Option<ProfileName>) -> Owner {
    Owner {
        tenant: TenantId::local(),
        profile: profile.unwrap_or_else(|| broker.default_profile()),
    }
}

fn done(
    global: &Global,
    what: &str,
    profile: &ProfileName,
    provider: &ProviderId,
) -> Result<(), Exit> {
    if global.json {
        return print::json(
            &serde_json::json!({ "result": what, "profile": profile, "provider": provider }),
        );
    }
    print::line(&format!("{what} `{provider}` for profile `{profile}`"))
}
