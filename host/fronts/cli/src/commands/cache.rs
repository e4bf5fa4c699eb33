//! `holster cache`: compiled code.

use holster_core::{CacheEntry, open_runtime};
use serde_json::{Value, json};

use crate::commands::open_host;
use crate::exit::Exit;
use crate::{Global, print};

/// Show, verify, clear and fill the code cache.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Show what is cached, the latest used first.
    List,
    /// Authenticate every entry. Exits with 1 if one is forged, damaged or of another version; it will not be loaded in any case.
    Verify,
    /// Remove everything; components are compiled again when they are needed.
    Clear,
    /// Compile every component of the plugin directory now.
    Warm,
}

pub(crate) async fn run(global: &Global, arguments: Arguments) -> Result<(), Exit> {
    match arguments.command {
        Command::List => list(global),
        Command::Verify => verify(global),
        Command::Clear => clear(global),
        Command::Warm => warm(global).await,
    }
}

fn list(global: &Global) -> Result<(), Exit> {
    let runtime = open_runtime(&global.config()?).map_err(Exit::usage)?;
    let entries = runtime.cache().list().map_err(Exit::failed)?;
    if global.json {
        return print::json(&entries.iter().map(to_json).collect::<Vec<_>>());
    }
    let rows: Vec<_> = entries
        .iter()
        .map(|entry| {
            let tools: Vec<_> = entry.tools.iter().map(AsRef::<str>::as_ref).collect();
            let state = if entry.current {
                "current"
            } else {
                "other engine"
            };
            vec![
                entry.component.short(),
                print::bytes(entry.bytes),
                print::ago(entry.used),
                state.to_owned(),
                tools.join(", "),
            ]
        })
        .collect();
    print::table(&["COMPONENT", "SIZE", "USED", "STATE", "TOOLS"], &rows)
}

fn verify(global: &Global) -> Result<(), Exit> {
    let runtime = open_runtime(&global.config()?).map_err(Exit::usage)?;
    let verdicts = runtime.cache().verify().map_err(Exit::failed)?;
    let bad = verdicts
        .iter()
        .filter(|verdict| verdict.entry.is_err())
        .count();
    if global.json {
        let verdicts: Vec<_> = verdicts
            .iter()
            .map(|verdict| match &verdict.entry {
                Ok(entry) => to_json(entry),
                Err(reason) => json!({ "path": verdict.path, "problem": reason }),
            })
            .collect();
        print::json(&verdicts)?;
    } else {
        for verdict in &verdicts {
            if let Err(reason) = &verdict.entry {
                print::line(&format!("{}: {reason}", verdict.path.display()))?;
            }
        }
        print::line(&format!(
            "{} entries, {bad} of them not to be loaded",
            verdicts.len()
        ))?;
    }
    if bad == 0 {
        Ok(())
    } else {
        Err(Exit::Reported)
    }
}

fn clear(global: &Global) -> Result<(), Exit> {
    let runtime = open_runtime(&global.config()?).map_err(Exit::usage)?;
    let removed = runtime.cache().clear().map_err(Exit::failed)?;
    if global.json {
        print::json(&json!({ "removed": removed }))
    } else {
        print::line(&format!("{removed} entries removed"))
    }
}

async fn warm(global: &Global) -> Result<(), Exit> {
    let host = open_host(global).await?;
    let view = host.settled().await;
    let problems = view.problems();
    if global.json {
        print::json(&json!({ "tools": view.tools().count(), "problems": problems }))?;
    } else {
        for problem in problems {
            print::aside(format_args!(
                "holster: {} is not served: {}",
                problem.path.display(),
                problem.reason
            ));
        }
        print::line(&format!("{} tools ready", view.tools().count()))?;
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Exit::Reported)
    }
}

fn to_json(entry: &CacheEntry) -> Value {
    let used = entry
        .used
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |time| time.as_secs());
    json!({
        "component": entry.component, "tools": entry.tools, "bytes": entry.bytes, "used": used, "current": entry.current,
    })
}
