//! `holster providers`: the services that Holster knows.

use std::path::PathBuf;

use holster_core::broker::{CredentialKind, Providers};
use holster_core::open_broker;
use holster_core::types::ProviderId;
use serde_json::json;

use crate::exit::Exit;
use crate::{Global, print};

/// List the known providers, show one, check a file of one's own.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(clap::Subcommand)]
enum Command {
    /// All providers. This is what happens without a command, too.
    List,
    /// Look at files of providers without using them: what is wrong in them, and what they leave out.
    Check {
        /// For example `providers/mine.toml`.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// All that is known of a provider.
    Show {
        /// For example `slack`.
        provider: ProviderId,
    },
}

pub(crate) async fn run(global: &Global, arguments: Arguments) -> Result<(), Exit> {
    if let Some(Command::Check { files }) = arguments.command {
        return check(global, &files);
    }
    let broker = open_broker(&global.config()?).await.map_err(Exit::usage)?;
    let providers = broker.providers();
    match arguments.command.unwrap_or(Command::List) {
        Command::List => list(global, providers),
        Command::Show { provider } => show(global, providers, &provider),
        Command::Check { files } => check(global, &files),
    }
}

/// Needs no configuration: a file is looked at by itself.
fn check(global: &Global, files: &[PathBuf]) -> Result<(), Exit> {
    let mut wrong = Vec::new();
    let mut reports = Vec::new();
    for file in files {
        match Providers::check_file(file) {
            Ok(report) => reports.push((file, report)),
            Err(error) => wrong.push(error.to_string()),
        }
    }
    if global.json {
        let shown: Vec<_> = reports
            .iter()
            .map(|(file, report)| {
                json!({ "file": file, "provider": report.provider.id, "warnings": report.warnings })
            })
            .collect();
        print::json(&json!({ "files": shown, "errors": wrong }))?;
        return if wrong.is_empty() {
            Ok(())
        } else {
            Err(Exit::Reported)
        };
    }
    for (file, report) in &reports {
        print::line(&format!(
            "{}: `{}` can be used",
            file.display(),
            report.provider.id
        ))?;
        for warning in &report.warnings {
            print::line(&format!("  {warning}"))?;
        }
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(Exit::failed(wrong.join("\n")))
    }
}

fn show(global: &Global, providers: &Providers, id: &ProviderId) -> Result<(), Exit> {
    let provider = providers.get(id).map_err(Exit::failed)?;
    if global.json {
        return print::json(provider);
    }
    print::line(&serde_json::to_string_pretty(provider).map_err(Exit::failed)?)
}

fn list(global: &Global, providers: &Providers) -> Result<(), Exit> {
    if global.json {
        return print::json(&providers.iter().collect::<Vec<_>>());
    }
    let rows: Vec<_> = providers
        .iter()
        .map(|provider| {
            let kinds: Vec<_> = provider
                .kinds
                .iter()
                .copied()
                .map(CredentialKind::as_str)
                .collect();
            let hosts: Vec<_> = provider.hosts.iter().map(ToString::to_string).collect();
            vec![
                provider.id.to_string(),
                provider.title.clone(),
                kinds.join(", "),
                hosts.join(", "),
            ]
        })
        .collect();
    print::table(&["PROVIDER", "TITLE", "CREDENTIALS", "HOSTS"], &rows)
}
