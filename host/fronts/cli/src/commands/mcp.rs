//! `holster mcp`: the tools, for one agent at standard input and output.

use std::sync::Arc;

use holster_core::types::{ProfileName, TenantId, ThreadId};
use holster_core::{Caller, Config, ProfileChoice};
use holster_mcp::{CallerSource, ConnectPages, PagesError, Server, serve_stdio};
use tokio::runtime::Handle;

use crate::commands::{apart, open_host};
use crate::exit::Exit;
use crate::{Global, pages, traces};

/// Serve the tools to an agent that speaks the Model Context Protocol at standard input and output. The agent's
/// program starts this command and ends it by closing its standard input.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Whose accounts serve all calls. Default: for each provider the chosen profile, or the only one that has an account.
    #[arg(long, short)]
    profile: Option<ProfileName>,
    /// Let the agent choose the profile of each call, by an argument that every tool then has.
    #[arg(long, conflicts_with = "profile")]
    agent_chooses_profile: bool,
    /// The conversation that the calls belong to. Default: a new one.
    #[arg(long)]
    thread: Option<ThreadId>,
}

pub(crate) async fn run(global: &Global, arguments: Arguments) -> Result<(), Exit> {
    let config = global.config()?;
    let host = Arc::new(open_host(global).await?);
    host.watch().map_err(Exit::failed)?;
    let callers = CallerSource::One(caller(arguments));
    let pages = pages_when_needed(global, config);
    let server = Server::new(
        Arc::clone(&host),
        pages,
        callers,
        Handle::current(),
        traces::go_on,
    );
    let ended = apart(move || serve_stdio(server)).await;
    host.broker().audit_log().written().await;
    ended
}

fn caller(arguments: Arguments) -> Caller {
    let profile = match arguments.profile {
        Some(profile) => ProfileChoice::Fixed(profile),
        None if arguments.agent_chooses_profile => ProfileChoice::Agent,
        None => ProfileChoice::Usual,
    };
    Caller {
        tenant: TenantId::local(),
        thread: arguments.thread.unwrap_or_else(new_thread),
        profile,
    }
}

/// A conversation of its own for each process.
fn new_thread() -> ThreadId {
    let started = std::time::SystemTime::UNIX_EPOCH.elapsed();
    let started = started.map_or(0, |since| since.as_secs());
    ThreadId::new(format!("mcp-{started}-{}", std::process::id())).expect("a valid thread id")
}

/// Pages in the background, as for `holster call`: they outlive an agent that ends while a person is logging in.
fn pages_when_needed(global: &Global, config: Config) -> ConnectPages {
    let (global, config) = (global.clone(), Arc::new(config));
    ConnectPages::when_needed(move || {
        let (global, config) = (global.clone(), Arc::clone(&config));
        Box::pin(async move {
            let address = pages::elsewhere(&global, &config).await;
            address.map_err(|exit| PagesError(exit.text().unwrap_or_default().to_owned()))
        })
    })
}
