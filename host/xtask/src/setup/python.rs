//! Python, in a virtual environment with the Python SDK and what builds and tests it.
//!
//! The environment lies in the target folder. The SDK is installed there as a link to its source, so that a change
//! needs no second set-up. Packages that cannot live together get environments of their own beside it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{PYTHON_SDK, system};
use crate::fingerprint::{Fingerprint, Stamp};
use crate::shell;
use crate::workspace::Workspace;

/// Names under which an interpreter may be found, the most likely first.
const INTERPRETERS: &[&str] = &[
    "python3",
    "python3.14",
    "python3.13",
    "python3.12",
    "python3.11",
    "/usr/bin/python3",
];
const PACKAGES: &[&str] = &["componentize-py==0.25.1", "pytest==9.2.0"];

/// The virtual environment.
pub(crate) struct Python {
    version: String,
    interpreter: PathBuf,
}

impl Python {
    pub(super) fn find_or_install(workspace: &Workspace) -> Result<Self> {
        let (base, version) = find_interpreter().map_or_else(install_interpreter, Ok)?;
        let environment = workspace.tools().join("python");
        let sdk = workspace.root().join(PYTHON_SDK);
        let python = Self {
            version,
            interpreter: environment.join("bin/python"),
        };
        // The path counts: a target folder may serve several clones, and the SDK is a link into one of them.
        let fingerprint = Fingerprint::of("venv 1")
            .word(&python.version)
            .word(&PACKAGES.join(" "))
            .word(&sdk.to_string_lossy())
            .path(&sdk.join("pyproject.toml"))?
            .finish();
        let stamp = Stamp::at(environment.join(".installed"));
        if !stamp.says(&fingerprint) {
            println!("set-up: pip install {} {PYTHON_SDK}", PACKAGES.join(" "));
            let sdk = [OsStr::new("--editable"), sdk.as_os_str()];
            let packages = PACKAGES.iter().map(OsStr::new).chain(sdk);
            make_environment(Path::new(base), &environment, packages)?;
            stamp.write(&fingerprint)?;
        }
        Ok(python)
    }

    /// An environment of its own with what a requirements file says, unless just that is installed there.
    pub(super) fn install_environment(
        &self,
        environment: &Path,
        requirements: &Path,
    ) -> Result<()> {
        let fingerprint = Fingerprint::of("requirements 1")
            .word(&self.version)
            .path(requirements)?
            .finish();
        let stamp = Stamp::at(environment.join(".installed"));
        if stamp.says(&fingerprint) {
            return Ok(());
        }
        println!("set-up: pip install -r {}", requirements.display());
        let packages = [OsStr::new("--requirement"), requirements.as_os_str()];
        make_environment(&self.interpreter, environment, packages)?;
        stamp.write(&fingerprint)
    }

    /// For people.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// For fingerprints: all that decides what a build makes of a tool.
    pub(crate) fn description(&self) -> String {
        format!("python {} with {}", self.version, PACKAGES.join(", "))
    }

    /// The interpreter of the environment, in a folder.
    pub(crate) fn command(&self, folder: &Path) -> Command {
        let mut command = Command::new(&self.interpreter);
        command
            .current_dir(folder)
            .env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }
}

/// A new environment, with what pip is told to install.
fn make_environment<'a>(
    base: &Path,
    environment: &Path,
    packages: impl IntoIterator<Item = &'a OsStr>,
) -> Result<()> {
    let venv = ["-m", "venv", "--clear"];
    shell::capture(Command::new(base).args(venv).arg(environment))?;
    let install = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ];
    let mut pip = Command::new(environment.join("bin/python"));
    shell::capture(pip.args(install).args(packages))?;
    Ok(())
}

/// An interpreter that is new enough and can make environments, and its version.
fn find_interpreter() -> Option<(&'static str, String)> {
    // Debian splits venv: without its package the module is there, but has no pip to put into an environment.
    const QUESTION: &str = "import sys, venv, ensurepip; assert sys.version_info >= (3, 11); print(sys.version.split()[0])";
    INTERPRETERS.iter().find_map(|&name| {
        let version = shell::capture(Command::new(name).args(["-c", QUESTION])).ok()?;
        Some((name, version.trim().to_owned()))
    })
}

fn install_interpreter() -> Result<(&'static str, String)> {
    let purpose = "Python 3.11 or later with its module venv";
    system::install(purpose, &["python3", "python3-venv"])?;
    find_interpreter()
        .with_context(|| format!("{purpose} is needed, and this system's packages have it not"))
}
