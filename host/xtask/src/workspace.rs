//! Where things are in this repository.
//!
//! Paths are decided here and nowhere else in `xtask`. Sources lie under [`Workspace::root`], everything made from
//! them under [`Workspace::target`], which is cargo's own target folder, wherever the user keeps that.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::shell;

/// The repository, and the folder for what is built from it.
pub(crate) struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    /// Asks cargo, which alone knows what its configuration files and the environment say about the target folder.
    pub(crate) fn find() -> Result<Self> {
        let metadata = shell::capture(Command::new("cargo").args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version=1",
        ]))?;
        let metadata: Value =
            serde_json::from_str(&metadata).context("`cargo metadata` printed no JSON")?;
        let path = |field: &str| {
            let path = metadata[field].as_str();
            path.map(PathBuf::from)
                .with_context(|| format!("`cargo metadata` names no `{field}`"))
        };
        Ok(Self {
            root: path("workspace_root")?,
            target: path("target_directory")?,
        })
    }

    /// The folder of the root's `Cargo.toml`.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Cargo's target folder.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Tools that setup installs, and its notes about them.
    pub(crate) fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }

    /// Python environments of the frameworks for agents.
    pub(crate) fn frameworks(&self) -> PathBuf {
        self.tools().join("frameworks")
    }

    /// The Python environment in which the REST API is tried out.
    pub(crate) fn rest(&self) -> PathBuf {
        self.tools().join("rest")
    }

    /// All components that were built, and the notes about what they were built from.
    pub(crate) fn components(&self) -> PathBuf {
        self.target.join("components")
    }

    /// The plugin directory with the example tools.
    pub(crate) fn plugin_directory(&self) -> PathBuf {
        self.components().join("plugins")
    }

    /// The components that only tests run.
    pub(crate) fn guest_directory(&self) -> PathBuf {
        self.components().join("guests")
    }

    /// What a program did that counts it, and that program.
    pub(crate) fn training(&self) -> PathBuf {
        self.target.join("training")
    }

    /// A program of this workspace, as `cargo build --release` leaves it.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.target
            .join("release")
            .join(name)
            .with_extension(std::env::consts::EXE_EXTENSION)
    }
}
