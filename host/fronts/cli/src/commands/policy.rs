//! `holster policy`: what components may do, in words, and the approval of one that has changed.

mod rights;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::sync::Arc;

use holster_core::types::{ComponentName, Requirement, ToolName};
use holster_core::{Approved, CatalogueView, Host, ServedTool, Standing};
use serde_json::{Value, json};

use self::rights::{Rights, in_words, with_scopes};
use crate::commands::open_host;
use crate::exit::Exit;
use crate::{Global, print};

/// Show what components may do; approve one that has changed.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Show which components are approved.
    List,
    /// Say in words what a tool can do, and what it cannot.
    Explain {
        /// Which.
        tool: ToolName,
    },
    /// Show what has changed in a component, and let it use what is granted to its name.
    Approve(Approve),
}

#[derive(clap::Args)]
struct Approve {
    /// The name of its file without `.wasm`.
    component: ComponentName,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

pub(crate) async fn run(global: &Global, arguments: Arguments) -> Result<(), Exit> {
    let host = open_host(global).await?;
    let catalogue = host.settled().await;
    match arguments.command {
        Command::List => list(global, &host, &catalogue).await,
        Command::Explain { tool } => explain(global, &host, &catalogue, &tool).await,
        Command::Approve(approve) => self::approve(global, &host, &catalogue, &approve).await,
    }
}

async fn list(global: &Global, host: &Host, catalogue: &CatalogueView) -> Result<(), Exit> {
    let (mut rows, mut listed) = (Vec::new(), Vec::new());
    for (component, tool) in components(catalogue) {
        let standing = host.standing(tool).await.map_err(Exit::failed)?;
        let standing = word(&standing);
        listed.push(json!({ "component": component, "hash": tool.hash(), "standing": standing }));
        rows.push(vec![
            component.to_string(),
            tool.hash().short(),
            standing.to_owned(),
        ]);
    }
    if global.json {
        print::json(&listed)
    } else {
        print::table(&["COMPONENT", "CONTENT", "STANDING"], &rows)
    }
}

fn word(standing: &Standing) -> &'static str {
    match standing {
        Standing::Approved => "approved",
        Standing::Changed(_) => "changed",
        Standing::New => "new",
    }
}

/// Each component, with one of its tools.
fn components(catalogue: &CatalogueView) -> BTreeMap<&ComponentName, &Arc<ServedTool>> {
    catalogue
        .tools()
        .map(|tool| (tool.component(), tool))
        .collect()
}

async fn explain(
    global: &Global,
    host: &Host,
    catalogue: &CatalogueView,
    name: &ToolName,
) -> Result<(), Exit> {
    let tool = catalogue.tool(name).ok_or_else(|| {
        Exit::usage(format!(
            "there is no tool `{name}`; `holster tools` lists those there are"
        ))
    })?;
    let standing = host.standing(tool).await.map_err(Exit::failed)?;
    let rights = Rights::of(host, tool, &standing);
    let entry = host.config().components.of(tool.component());
    let entry = entry.map(|(entry, _)| entry.to_string());
    if global.json {
        return print::json(&json!({
            "tool": name, "component": tool.component(), "hash": tool.hash(), "standing": word(&standing),
            "entry": entry, "can": rights.can, "cannot": rights.cannot,
        }));
    }
    let state = match standing {
        Standing::Approved => "approved",
        Standing::Changed(_) => "changed since it was approved",
        Standing::New => "not approved",
    };
    let decided = entry.map_or_else(String::new, |entry| format!(", by `[{entry}]`"));
    let mut text = format!(
        "`{name}`, of the component `{}` ({}, {state}){decided}\n\nIt can\n",
        tool.component(),
        tool.hash().short()
    );
    for (heading, sentences) in [("", &rights.can), ("\nIt cannot\n", &rights.cannot)] {
        text.push_str(heading);
        for sentence in sentences {
            let _ = writeln!(text, "- {}", print::harmless(sentence));
        }
    }
    print::line(text.trim_end())
}

async fn approve(
    global: &Global,
    host: &Host,
    catalogue: &CatalogueView,
    approve: &Approve,
) -> Result<(), Exit> {
    let component = &approve.component;
    let components = components(catalogue);
    let Some(tool) = components.get(component) else {
        return Err(Exit::usage(format!(
            "there is no component `{component}`; `holster policy list` lists those there are"
        )));
    };
    let standing = host.standing(tool).await.map_err(Exit::failed)?;
    let before = match &standing {
        Standing::Approved => return said(global, tool, "it is approved already", &[]),
        Standing::Changed(before) => Some(before),
        Standing::New => None,
    };
    let now = Approved::of(tool);
    let mut changes = changes(host, before, &now);
    changes.extend(granted(host, component));
    if !approve.yes {
        if !std::io::stdin().is_terminal() {
            return Err(Exit::usage(format!(
                "there is no terminal to ask on; see what has changed, and pass `--yes`\n{}",
                changes.join("\n")
            )));
        }
        ask(component, &changes)?;
    }
    host.approve(tool).map_err(Exit::failed)?;
    said(global, tool, "approved", &changes)
}

fn said(global: &Global, tool: &ServedTool, what: &str, changes: &[String]) -> Result<(), Exit> {
    if global.json {
        let said: Value =
            json!({ "component": tool.component(), "hash": tool.hash(), "changes": changes });
        return print::json(&said);
    }
    for change in changes {
        print::line(&print::harmless(change))?;
    }
    let (component, hash) = (tool.component(), tool.hash().short());
    print::line(&format!("{component} ({hash}): {what}"))
}

fn ask(component: &ComponentName, changes: &[String]) -> Result<(), Exit> {
    let mut terminal = std::io::stderr();
    let question = format!(
        "{}\nMay `{component}` use what is granted to that name? [y/N] ",
        print::harmless(&changes.join("\n"))
    );
    terminal
        .write_all(question.as_bytes())
        .and_then(|()| terminal.flush())
        .map_err(Exit::failed)?;
    let mut answer = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(Exit::failed)?;
    if answer.trim().eq_ignore_ascii_case("y") {
        Ok(())
    } else {
        Err(Exit::failed("it was not approved"))
    }
}

/// What the configuration grants to that name, a line each.
fn granted(host: &Host, component: &ComponentName) -> Vec<String> {
    let Some((_, granted)) = host.config().components.of(component) else {
        return Vec::new();
    };
    let hosts = granted.hosts.iter().map(|rule| format!("host {rule}"));
    let folders = granted.folders.iter().map(|folder| {
        let may = if folder.write { ", to be changed" } else { "" };
        format!("folder {}{may}", in_words(folder))
    });
    let settings = granted.config.keys();
    let settings = settings.map(|name| format!("setting {name}"));
    let variables = granted.environment.iter();
    let variables = variables.map(|provider| format!("variables of {provider}"));
    let secrets = granted.reveal.iter();
    let secrets = secrets.map(|provider| format!("the secret itself of {provider}"));
    let granted = hosts.chain(folders).chain(settings);
    let granted = granted.chain(variables).chain(secrets);
    granted.map(|what| format!("  granted  {what}")).collect()
}

/// What is other than before, a line each: `+` for what is new, `-` for what is gone.
fn changes(host: &Host, before: Option<&Approved>, now: &Approved) -> Vec<String> {
    let nothing = Approved {
        hash: now.hash,
        imports: BTreeSet::new(),
        tools: BTreeMap::new(),
    };
    let is_first = before.is_none();
    let before = before.unwrap_or(&nothing);
    let mut lines = Vec::new();
    if !is_first {
        lines.push(format!(
            "  content  {} → {}",
            before.hash.short(),
            now.hash.short()
        ));
    }
    let mut compare = |what: &str, before: &BTreeSet<String>, now: &BTreeSet<String>| {
        lines.extend(now.difference(before).map(|new| format!("+ {what}  {new}")));
        lines.extend(
            before
                .difference(now)
                .map(|gone| format!("- {what}  {gone}")),
        );
    };
    compare("import ", &before.imports, &now.imports);
    let tools = |approved: &Approved| approved.tools.keys().map(ToString::to_string).collect();
    compare("tool   ", &tools(before), &tools(now));
    let accounts = |approved: &Approved| {
        let of_tool = |(tool, needs): (&ToolName, &Vec<Requirement>)| {
            let tool = tool.clone();
            let line = move |need: &Requirement| format!("{} for {tool}", with_scopes(need));
            needs.iter().map(line).collect::<Vec<_>>()
        };
        approved.tools.iter().flat_map(of_tool).collect()
    };
    compare("account", &accounts(before), &accounts(now));
    let hosts = |approved: &Approved| {
        let needs = approved.tools.values().flatten();
        let providers = needs.filter_map(|need| host.broker().providers().find(&need.provider));
        let hosts = providers.flat_map(|provider| &provider.hosts);
        hosts.map(ToString::to_string).collect()
    };
    compare("host   ", &hosts(before), &hosts(now));
    if lines.len() == usize::from(!is_first) {
        lines.push("  its imports, tools, accounts and hosts are as before".to_owned());
    }
    lines
}
