//! `holster policy`: what components may do, in words, and the approval of one that has changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::sync::Arc;

use holster_core::config::ComponentConfig;
use holster_core::types::{ComponentName, HostRule, Requirement, ToolName};
use holster_core::{Approved, CatalogueView, Host, ServedTool, Standing};
use serde_json::{Value, json};

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
    let granted = match standing {
        Standing::Approved => host.config().components.get(tool.component()),
        Standing::Changed(_) | Standing::New => None,
    };
    let rights = Rights::of(
        host,
        tool,
        &standing,
        granted.unwrap_or(&ComponentConfig::default()),
    );
    if global.json {
        return print::json(&json!({
            "tool": name, "component": tool.component(), "hash": tool.hash(), "standing": word(&standing),
            "can": rights.can, "cannot": rights.cannot,
        }));
    }
    let state = match standing {
        Standing::Approved => "approved",
        Standing::Changed(_) => "changed since it was approved",
        Standing::New => "not approved",
    };
    let mut text = format!(
        "`{name}`, of the component `{}` ({}, {state})\n\nIt can\n",
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

/// What a tool can do and cannot do, a sentence each, without capital and full stop.
struct Rights {
    can: Vec<String>,
    cannot: Vec<String>,
}

impl Rights {
    fn of(host: &Host, tool: &ServedTool, standing: &Standing, granted: &ComponentConfig) -> Self {
        let (mut can, mut cannot) = (Vec::new(), Vec::new());
        let mut reached = BTreeSet::new();
        for need in &tool.definition().requirements {
            if *standing != Standing::Approved {
                cannot.push(format!(
                    "be called: it needs an account at {}, and has to be approved first (`holster policy approve {}`)",
                    need.provider,
                    tool.component()
                ));
                continue;
            }
            let revealed = granted.reveal.contains(&need.provider);
            let shown = if revealed {
                "and sees the secret itself"
            } else {
                "and sees a stand-in for the secret, which is worth nothing elsewhere"
            };
            can.push(format!("use an account at {}, {shown}", with_scopes(need)));
            if let Some(provider) = host.broker().providers().find(&need.provider) {
                reached.extend(provider.hosts.iter().map(ToString::to_string));
            }
        }
        if !reached.is_empty() {
            can.push(format!("send that secret to {}", joined(&reached)));
        }
        let is_of_provider = |rule: &&HostRule| reached.contains(&rule.host().to_string());
        let (narrowed, free): (Vec<_>, Vec<_>) = granted.hosts.iter().partition(is_of_provider);
        for rule in narrowed.iter().filter(|rule| rule.is_narrow()) {
            cannot.push(format!(
                "ask of {} anything but {}",
                rule.host(),
                rule.part()
            ));
        }
        let others: BTreeSet<_> = free.iter().map(ToString::to_string).collect();
        if !others.is_empty() {
            can.push(format!(
                "send requests without any secret to {}",
                joined(&others)
            ));
        }
        let environment: Vec<_> = granted
            .environment
            .iter()
            .map(ToString::to_string)
            .collect();
        if !environment.is_empty() {
            can.push(format!(
                "find the variables of {} in its environment",
                environment.join(", ")
            ));
        }
        let settings: Vec<_> = granted.config.keys().map(String::as_str).collect();
        if !settings.is_empty() {
            can.push(format!("read the settings {}", settings.join(", ")));
        }
        let limits = host.config().limits_of(tool.component());
        can.push(format!(
            "take {} s, {} of memory, {} requests and {} of answer in each call",
            limits.time.as_secs_f64(),
            print::bytes(limits.memory_bytes),
            limits.requests,
            print::bytes(limits.output_bytes)
        ));
        let elsewhere = if reached.is_empty() && others.is_empty() {
            "reach any host"
        } else {
            "reach any other host, or an address of a private network that is not among these"
        };
        cannot.push(elsewhere.to_owned());
        if environment.is_empty() {
            cannot.push("see the environment".to_owned());
        }
        cannot.push("read or write files, open sockets, or start programs".to_owned());
        cannot.push("keep anything from one call to the next".to_owned());
        Self { can, cannot }
    }
}

fn joined(texts: &BTreeSet<String>) -> String {
    let texts: Vec<_> = texts.iter().map(String::as_str).collect();
    texts.join(", ")
}

fn with_scopes(need: &Requirement) -> String {
    if need.scopes.is_empty() {
        need.provider.to_string()
    } else {
        format!("{} ({})", need.provider, need.scopes)
    }
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
    let now = host.seen(tool).map_err(Exit::failed)?;
    let changes = changes(before, &now);
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

/// What is other than before, a line each: `+` for what is new, `-` for what is gone.
fn changes(before: Option<&Approved>, now: &Approved) -> Vec<String> {
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
    if lines.len() == usize::from(!is_first) {
        lines.push("  its imports, tools and accounts are as before".to_owned());
    }
    lines
}
