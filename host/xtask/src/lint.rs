//! `cargo xtask lint`: what a reviewer should not have to say.
//!
//! Formatting and clippy, with warnings as errors, for the whole workspace; licences and banned crates where
//! cargo-deny is installed.

use std::process::Command;

use anyhow::Result;

use crate::shell;
use crate::workspace::Workspace;

pub(crate) fn command(workspace: &Workspace) -> Result<()> {
    let cargo = || {
        let mut cargo = Command::new("cargo");
        cargo.current_dir(workspace.root());
        cargo
    };
    println!("lint: cargo fmt --check");
    shell::stream(cargo().args(["fmt", "--all", "--check"]))?;
    println!("lint: cargo clippy");
    // The release profile, because its build scripts and macros are built for the tests anyway.
    let clippy = [
        "clippy",
        "--quiet",
        "--release",
        "--workspace",
        "--all-targets",
        "--",
        "--deny=warnings",
    ];
    shell::stream(cargo().args(clippy))?;
    if shell::find_program("cargo-deny").is_some() {
        println!("lint: cargo deny");
        shell::stream(cargo().args([
            "deny",
            "--offline",
            "--log-level=error",
            "check",
            "licenses",
            "bans",
        ]))?;
    } else {
        println!(
            "lint: licences are not checked; `cargo install cargo-deny --locked` provides for it"
        );
    }
    println!("lint: nothing to say");
    Ok(())
}
