//! What reads the profiles of programs that the Rust compiler made: a program of LLVM, in the version that the compiler is
//! built on.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::system;
use crate::shell;

/// The compiler in use.
pub(crate) struct Compiler {
    /// The machine for which it compiles unless it is told otherwise: this one.
    pub(crate) host: String,
    /// `llvm-profdata`.
    pub(crate) profdata: PathBuf,
}

impl Compiler {
    pub(crate) fn find_or_install() -> Result<Self> {
        let version = shell::capture(Command::new("rustc").arg("-vV"))?;
        let of = |name: &str| {
            let mut lines = version.lines();
            let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            value.with_context(|| format!("`rustc -vV` names no `{name}`"))
        };
        let host = of("host")?.to_owned();
        let llvm = of("LLVM version")?;
        let major = llvm.split('.').next().unwrap_or(llvm);
        Ok(Self {
            profdata: profdata(&host, major)?,
            host,
        })
    }
}

/// That of rustup's toolchain, where its component `llvm-tools` is there; else the system's.
fn profdata(host: &str, major: &str) -> Result<PathBuf> {
    let sysroot = shell::capture(Command::new("rustc").arg("--print=sysroot"))?;
    let tools = Path::new(sysroot.trim()).join("lib/rustlib").join(host);
    let own = tools.join("bin/llvm-profdata");
    if own.is_file() {
        return Ok(own);
    }
    let name = format!("llvm-profdata-{major}");
    let found = || shell::find_program(&name);
    if found().is_none() {
        system::install("what merges profiles", &[&format!("llvm-{major}")]).context(
            "`rustup component add llvm-tools` brings it too, where rustup can download",
        )?;
    }
    found().with_context(|| format!("there is no `{name}`"))
}
