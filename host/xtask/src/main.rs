//! `cargo xtask`: the commands of this repository, the same for a person and for CI.
//!
//! Each command is a file; each makes sure by itself that what it stands on is there, so that any of them may be
//! the first one in a fresh clone. Everything that they make lies in cargo's target folder and in `node_modules`,
//! apart from packages of the system that [`setup`] asks for where one is missing.

#![forbid(unsafe_code)]

mod api;
mod attacks;
mod components;
mod demo;
mod dist;
mod fingerprint;
mod lint;
mod setup;
mod shell;
mod test;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::workspace::Workspace;

const HELP: &str = "\
The commands of this repository.

Usage: cargo xtask COMMAND

  setup                 get the compilers and packages that the components need
  components [NAME…]    build the components, all or those named
                        --with-cargo-component  also with `cargo component`, which is installed first (8 minutes, once)
  demo                  call tools in three languages with the accounts of two profiles
  attacks               run the tests of tests/attacks.tsv, and say of each attack whether it is withstood
  test                  lint, and run every test there is
  lint                  formatting, clippy, licences
  dist                  build the program that is handed out, optimised for what it does most (an hour)
  performance           measure that program, and write host/docs/performance.md (another half hour)
  help                  this text
";

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (&command, rest) = arguments.split_first().unwrap_or((&"help", &[]));
    if command != "components" && !rest.is_empty() {
        bail!(
            "`cargo xtask {command}` takes no arguments, but was given `{}`",
            rest.join(" ")
        );
    }
    if matches!(command, "help" | "--help" | "-h") {
        print!("{HELP}");
        return Ok(ExitCode::SUCCESS);
    }
    let workspace = Workspace::find()?;
    match command {
        "setup" => setup::prepare(&workspace).map(|_| ExitCode::SUCCESS),
        "components" => components::command(&workspace, rest).map(|()| ExitCode::SUCCESS),
        "demo" => demo::command(&workspace).map(|()| ExitCode::SUCCESS),
        "attacks" => attacks::command(&workspace),
        "test" => test::command(&workspace),
        "dist" => dist::command(&workspace).map(|()| ExitCode::SUCCESS),
        "performance" => dist::performance(&workspace).map(|()| ExitCode::SUCCESS),
        "lint" => lint::command(&workspace).map(|()| ExitCode::SUCCESS),
        unknown => bail!("there is no command `{unknown}`\n\n{HELP}"),
    }
}
