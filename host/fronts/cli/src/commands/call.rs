//! `holster call`: one call, its answer.

use std::io::Read;

use holster_core::types::{ProfileName, ThreadId, ToolName};
use holster_core::{Call, Failure, Finished, Interrupted, Outcome};
use serde_json::{Map, Value, json};

use crate::commands::open_host;
use crate::exit::Exit;
use crate::{Global, content, print};

/// Call a tool. Exits with 3 where an account has to be connected first.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The tool's name, as `holster tools` shows it.
    tool: ToolName,
    /// A JSON object; `@FILE` reads it from a file, `-` from standard input.
    #[arg(default_value = "{}", value_name = "ARGUMENTS")]
    given: String,
    /// Whose accounts serve the call. Default: the configured default profile.
    #[arg(long, short)]
    profile: Option<ProfileName>,
    /// The conversation that the call belongs to.
    #[arg(long)]
    thread: Option<ThreadId>,
}

pub(crate) async fn run(global: &Global, arguments: Arguments) -> Result<(), Exit> {
    let Arguments {
        tool,
        given,
        profile,
        thread,
    } = arguments;
    let mut call = Call::local(tool, read(&given)?);
    call.profile = profile;
    if let Some(thread) = thread {
        call.thread = thread;
    }
    let outcome = open_host(global).await?.call(call).await;
    if global.json {
        print::json(&to_json(&outcome))?;
    }
    match outcome {
        Outcome::Finished(_) if global.json => Ok(()),
        Outcome::Finished(finished) => content::show(&finished.output),
        Outcome::Interrupted(_) if global.json => Err(Exit::InterruptReported),
        Outcome::Interrupted(interrupted) => Err(Exit::Interrupted(explain(&interrupted))),
        Outcome::Failed(_) if global.json => Err(Exit::Reported),
        Outcome::Failed(failure) => Err(Exit::failed(with_refusals(&failure))),
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

fn explain(interrupted: &Interrupted) -> String {
    format!(
        "`{}` has to wait for you:\n{}",
        interrupted.tool, interrupted.unmet
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

fn to_json(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Finished(finished) => finished_to_json(finished),
        Outcome::Interrupted(interrupted) => json!({
            "outcome": "interrupted",
            "tool": interrupted.tool,
            "profile": interrupted.profile,
            "missing": interrupted.unmet,
        }),
        Outcome::Failed(failure) => json!({ "outcome": "failed", "error": with_refusals(failure) }),
    }
}

fn finished_to_json(finished: &Finished) -> Value {
    let accounts: Vec<_> = finished
        .accounts
        .iter()
        .map(|(provider, account)| json!({ "provider": provider, "account": account }))
        .collect();
    json!({
        "outcome": "finished",
        "content": content::to_json(&finished.output),
        "component": finished.component,
        "hash": finished.hash,
        "profile": finished.profile,
        "accounts": accounts,
        "duration_ms": u64::try_from(finished.duration.as_millis()).unwrap_or(u64::MAX),
    })
}
