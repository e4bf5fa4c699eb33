//! `holster tools`: what can be called.

mod format;

use holster_core::types::ComponentName;
use holster_core::{CatalogueView, Conflict, Host, Problem, ToolDefinition};
use serde::Serialize;

use self::format::Format;
use crate::commands::open_host;
use crate::exit::Exit;
use crate::{Global, print};

/// List the tools of the plugin directory, and what is wrong with files that are not served.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Print what the API of a model takes as its parameter `tools`, as JSON.
    #[arg(long, value_name = "API")]
    format: Option<Format>,
}

pub(crate) async fn run(global: &Global, arguments: Arguments) -> Result<(), Exit> {
    let host = open_host(global).await?;
    let view = host.settled().await;
    if let Some(format) = arguments.format {
        let tools = view.tools().map(|tool| tool.definition());
        print::json(&format.tools(tools.chain(host.built_in())))?;
        say_what_is_wrong(&view);
        return Ok(());
    }
    if global.json {
        return print::json(&listing(&host, &view));
    }
    let rows: Vec<_> = view
        .tools()
        .map(|tool| {
            let definition = tool.definition();
            let accounts: Vec<_> = definition
                .requirements
                .iter()
                .map(|need| need.provider.as_str())
                .collect();
            vec![
                definition.name.to_string(),
                tool.component().to_string(),
                if accounts.is_empty() {
                    "-".to_owned()
                } else {
                    accounts.join(", ")
                },
                print::summary(&definition.description),
            ]
        })
        .chain(host.built_in().map(|definition| {
            vec![
                definition.name.to_string(),
                "(the host's own)".to_owned(),
                "-".to_owned(),
                print::summary(&definition.description),
            ]
        }))
        .collect();
    print::table(&["TOOL", "COMPONENT", "ACCOUNTS", "DESCRIPTION"], &rows)?;
    if rows.is_empty() {
        let directory = host.config().plugin_directory().map_err(Exit::usage)?;
        print::aside(format_args!(
            "holster: no component in {}; put *.wasm files there",
            directory.display()
        ));
    }
    say_what_is_wrong(&view);
    Ok(())
}

/// Tells the person of files and tools that are not served.
fn say_what_is_wrong(view: &CatalogueView) {
    for problem in view.problems() {
        print::aside(format_args!(
            "holster: {} is not served: {}",
            problem.path.display(),
            problem.reason
        ));
    }
    for conflict in view.conflicts() {
        print::aside(format_args!(
            "holster: `{}` of `{}` is left out: `{}`, whose name comes first, has a tool of that name; rename one",
            conflict.tool, conflict.left_out, conflict.served_by
        ));
    }
}

/// A tool as `--json` shows it: borrowed, since there may be thousands.
#[derive(Serialize)]
struct Listed<'a> {
    #[serde(flatten)]
    definition: &'a ToolDefinition,
    /// Null for the host's own tools.
    component: Option<&'a ComponentName>,
    hash: Option<String>,
}

#[derive(Serialize)]
struct Listing<'a> {
    tools: Vec<Listed<'a>>,
    problems: &'a [Problem],
    conflicts: &'a [Conflict],
}

fn listing<'a>(host: &'a Host, view: &'a CatalogueView) -> Listing<'a> {
    let tools = view
        .tools()
        .map(|tool| Listed {
            definition: tool.definition(),
            component: Some(tool.component()),
            hash: Some(tool.hash().to_string()),
        })
        .chain(host.built_in().map(|definition| Listed {
            definition,
            component: None,
            hash: None,
        }))
        .collect();
    Listing {
        tools,
        problems: view.problems(),
        conflicts: view.conflicts(),
    }
}
