//! Packages of the operating system, where it is Debian or one of its kin.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell;

/// Installs packages with `apt-get`, as root or by way of `sudo`. `purpose` completes "… is needed".
pub(super) fn install(purpose: &str, packages: &[&str]) -> Result<()> {
    if shell::find_program("apt-get").is_none() {
        bail!(
            "{purpose} is needed, and this system has no apt-get to install it with; install it by hand"
        );
    }
    println!(
        "set-up: apt-get install {} ({purpose} is needed)",
        packages.join(" ")
    );
    let install = ["install", "-y", "--no-install-recommends"];
    shell::capture(apt_get()?.arg("update"))
        .and_then(|_| shell::capture(apt_get()?.args(install).args(packages)))
        .with_context(|| format!("{purpose} is needed, and apt-get cannot install it"))?;
    Ok(())
}

fn apt_get() -> Result<Command> {
    let is_root = shell::capture(Command::new("id").arg("-u"))?.trim() == "0";
    let mut command = Command::new(if is_root { "apt-get" } else { "sudo" });
    if !is_root {
        command.arg("apt-get");
    }
    command.env("DEBIAN_FRONTEND", "noninteractive");
    Ok(command)
}
