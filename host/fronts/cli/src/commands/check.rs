//! `holster check`: does a component conform?

use std::path::PathBuf;

use clap::ValueEnum;
use holster_core::conformance::{Checker, passed, report};
use holster_core::{open_broker, open_runtime};

use crate::exit::Exit;
use crate::{Global, print};

/// Check components against the contract, and say what to mend. Exits with 1 if one does not conform.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// `.wasm` files.
    #[arg(required_unless_present = "rules", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print the rules, and check nothing.
    #[arg(long)]
    rules: bool,
    /// How the report is written. Default: text, or JSON with `--json`.
    #[arg(long)]
    format: Option<Format>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For scripts.
    Json,
    /// SARIF 2.1.0, which code hosts show beside the code.
    Sarif,
    /// `JUnit`'s XML, which CI servers count.
    Junit,
}

pub(crate) async fn run(global: &Global, arguments: Arguments) -> Result<(), Exit> {
    if arguments.rules {
        return print::line(report::rules().trim_end());
    }
    let config = global.config()?;
    let broker = open_broker(&config).await.map_err(Exit::usage)?;
    let runtime = open_runtime(&config).map_err(Exit::usage)?;
    let checker = Checker::new(&runtime, broker.providers());
    let mut reports = Vec::new();
    for file in &arguments.files {
        reports.push(checker.check(file).await);
    }
    let default = if global.json {
        Format::Json
    } else {
        Format::Text
    };
    let text = match arguments.format.unwrap_or(default) {
        Format::Text => report::text(&reports),
        Format::Json => report::json(&reports),
        Format::Sarif => report::sarif(&reports),
        Format::Junit => report::junit(&reports),
    };
    print::line(text.trim_end())?;
    if passed(&reports) {
        Ok(())
    } else {
        Err(Exit::Reported)
    }
}
