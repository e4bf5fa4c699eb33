//! Node.js, and the npm packages of the JavaScript SDK and tools.
//!
//! Node comes from `PATH`, from the system's packages, or, where those are too old, from npm itself into the target
//! folder. Packages are installed as their lock files say, beside their sources, as npm wants it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::system;
use crate::fingerprint::{Fingerprint, Stamp};
use crate::shell;
use crate::workspace::Workspace;

/// The oldest major version that builds components.
const OLDEST: u32 = 20;
/// What is installed where there is none, or only an older one.
const PACKAGE: &str = "node@22";

/// Node.js and npm, and where they are if not in `PATH`.
pub(crate) struct Node {
    version: String,
    folder: Option<PathBuf>,
}

impl Node {
    pub(super) fn find_or_install(workspace: &Workspace) -> Result<Self> {
        let own = workspace.tools().join("node");
        let own_folder = own.join("node_modules/node/bin");
        let found = |folder: Option<&Path>| Self::in_folder(folder);
        if let Some(node) = found(None).or_else(|| found(Some(&own_folder))) {
            return Ok(node);
        }
        if shell::find_program("npm").is_none() {
            system::install(&format!("Node.js {OLDEST} or later"), &["nodejs", "npm"])?;
        }
        if let Some(node) = found(None) {
            return Ok(node);
        }
        println!("set-up: npm install {PACKAGE}");
        std::fs::create_dir_all(&own)?;
        shell::capture(
            Command::new("npm")
                .args(["install", "--no-save", "--prefix"])
                .arg(&own)
                .arg(PACKAGE),
        )?;
        found(Some(&own_folder))
            .with_context(|| format!("npm installed no working {PACKAGE} in {}", own.display()))
    }

    fn in_folder(folder: Option<&Path>) -> Option<Self> {
        let program = folder.map_or_else(|| PathBuf::from("node"), |folder| folder.join("node"));
        let version = shell::capture(Command::new(program).arg("--version")).ok()?;
        let version = version.trim().trim_start_matches('v').to_owned();
        let major: u32 = version.split('.').next()?.parse().ok()?;
        (major >= OLDEST).then(|| Self {
            version,
            folder: folder.map(Path::to_owned),
        })
    }

    /// For people, and for fingerprints.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// `npm` in the folder of a package, with this Node.
    pub(crate) fn npm(&self, package: &Path) -> Result<Command> {
        let mut command = Command::new("npm");
        command
            .current_dir(package)
            .env("NPM_CONFIG_UPDATE_NOTIFIER", "false");
        self.add_to_path(&mut command)?;
        Ok(command)
    }

    /// Lets a program find this Node in its `PATH`.
    pub(crate) fn add_to_path(&self, command: &mut Command) -> Result<()> {
        if let Some(folder) = &self.folder {
            command.env("PATH", shell::search_path(&[folder], &[])?);
        }
        Ok(())
    }

    /// Installs what a package's lock file says, unless just that is installed.
    pub(crate) fn install_packages(&self, package: &Path) -> Result<()> {
        let lock = package.join("package-lock.json");
        if !lock.is_file() {
            bail!(
                "{} is missing; `npm install` in its folder makes it",
                lock.display()
            );
        }
        let fingerprint = Fingerprint::of("npm ci")
            .word(&self.version)
            .path(&lock)?
            .finish();
        let stamp = Stamp::at(package.join("node_modules/.installed"));
        if stamp.says(&fingerprint) {
            return Ok(());
        }
        println!("set-up: npm ci in {}", package.display());
        // No package here needs its install script, and a script may do as it likes.
        shell::capture(self.npm(package)?.args([
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
        ]))?;
        stamp.write(&fingerprint)
    }
}
