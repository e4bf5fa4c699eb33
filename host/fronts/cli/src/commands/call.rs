//! `holster call`: one call, its answer.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use holster_core::broker::ConnectAddress;
use holster_core::types::{ProfileName, ThreadId, ToolName};
use holster_core::{Call, Config, Failure, Finished, Host, Interrupted, Outcome, content_to_json};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::commands::open_host;
use crate::exit::Exit;
use crate::session::Caller;
use crate::{Global, content, pages, print};

/// Call a tool. Where an account has to be connected first, it prints the address of a page to open and exits with 3;
/// the same call again goes on from there. What the tool says meanwhile goes to standard error; what it asks, it asks at a
/// terminal.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The tool's name, as `holster tools` shows it.
    tool: ToolName,
    /// A JSON object; `@FILE` reads it from a file, `-` from standard input.
    #[arg(default_value = "{}", value_name = "ARGUMENTS")]
    given: String,
    /// Whose accounts serve the call. Default: for each provider the chosen profile, or the only one that has an account.
    #[arg(long, short)]
    profile: Option<ProfileName>,
    /// The conversation that the call belongs to.
    #[arg(long)]
    thread: Option<ThreadId>,
    /// Wait for so many seconds until the person has connected what is missing, and finish the call.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "600")]
    wait: Option<u64>,
}

pub(crate) async fn run(global: &Global, arguments: Arguments) -> Result<(), Exit> {
    let Arguments {
        tool,
        given,
        profile,
        thread,
        wait,
    } = arguments;
    let mut call = Call::local(tool, read(&given)?);
    call.profile = profile;
    if let Some(thread) = thread {
        call.thread = thread;
    }
    let config = global.config()?;
    let host = open_host(global).await?;
    let caller = Arc::new(Caller::new());
    call.session = Some(Arc::clone(&caller) as _);
    let mut outcome = host.call(call.clone()).await;
    if let (Outcome::Interrupted(interrupted), Some(seconds)) = (&outcome, wait)
        && connect(&config, &host, interrupted, seconds).await?
    {
        outcome = host.call(call).await;
    }
    caller.clear();
    let address = match &outcome {
        Outcome::Interrupted(interrupted) if !interrupted.unmet.connections().is_empty() => {
            Some(pages::elsewhere(global, &config).await?)
        }
        _ => None,
    };
    let address = address.as_ref();
    if global.json {
        print::json(&to_json(&host, address, &outcome))?;
    }
    match outcome {
        Outcome::Finished(_) if global.json => Ok(()),
        Outcome::Finished(finished) => content::show(&finished.output),
        Outcome::Interrupted(_) if global.json => Err(Exit::InterruptReported),
        Outcome::Interrupted(interrupted) => {
            Err(Exit::Interrupted(explain(&host, address, &interrupted)))
        }
        Outcome::Failed(_) if global.json => Err(Exit::Reported),
        Outcome::Failed(failure) => Err(Exit::failed(with_refusals(&failure))),
    }
}

/// Sends the person to connect what is missing; `false` where there is nothing that they can connect.
async fn connect(
    config: &Config,
    host: &Host,
    interrupted: &Interrupted,
    seconds: u64,
) -> Result<bool, Exit> {
    let connections = interrupted.unmet.connections();
    if connections.is_empty() {
        return Ok(false);
    }
    let end = Instant::now() + Duration::from_secs(seconds);
    let server = pages::here(config, host.broker()).await?;
    print::aside(explain(host, Some(server.address()), interrupted));
    let unconnected = pages::wait_at(server, host.broker(), &connections, end).await?;
    match unconnected.as_slice() {
        [] => Ok(true),
        unconnected => Err(pages::in_vain(unconnected)),
    }
}

fn read(arguments: &str) -> Result<Map<String, Value>, Exit> {
    let text = if arguments == "-" {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .map_err(Exit::failed)?;
        text
    } else if let Some(file) = arguments.strip_prefix('@') {
        std::fs::read_to_string(file)
            .map_err(|error| Exit::usage(format!("cannot read {file}: {error}")))?
    } else {
        arguments.to_owned()
    };
    serde_json::from_str(&text).map_err(|error| {
        Exit::usage(format!(
            "the arguments are not a JSON object: {error}; write {{\"name\": value}}"
        ))
    })
}

fn explain(host: &Host, address: Option<&ConnectAddress>, interrupted: &Interrupted) -> String {
    format!(
        "`{}` has to wait for you:\n{}",
        interrupted.tool,
        host.broker().explain(address, &interrupted.unmet)
    )
}

/// A tool often only says that a request failed; the host knows that it was refused, and why.
fn with_refusals(failure: &Failure) -> String {
    let mut text = print::harmless(&failure.to_string());
    if let Failure::Run { visits, .. } = failure {
        for visit in visits {
            if let Some(reason) = &visit.refused {
                let (method, origin) = (&visit.method, print::harmless(&visit.origin));
                text = format!("{text}\n  refused: {method} {origin}: {reason}");
            }
        }
    }
    text
}

fn to_json(host: &Host, address: Option<&ConnectAddress>, outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Finished(finished) => finished_to_json(finished),
        Outcome::Interrupted(interrupted) => json!({
            "outcome": "interrupted",
            "tool": interrupted.tool,
            "missing": host.broker().describe(address, &interrupted.unmet),
        }),
        Outcome::Failed(failure) => json!({ "outcome": "failed", "error": with_refusals(failure) }),
    }
}

fn finished_to_json(finished: &Finished) -> Value {
    json!({
        "outcome": "finished",
        "content": content_to_json(&finished.output),
        "component": finished.component,
        "hash": finished.hash,
        "accounts": finished.accounts,
        "duration_ms": u64::try_from(finished.duration.as_millis()).unwrap_or(u64::MAX),
    })
}
