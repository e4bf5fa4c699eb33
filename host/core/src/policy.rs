//! Policy: whether a component is the one that was allowed what it is allowed.
//!
//! What a component may do stands in the configuration, by its name, and in what its tools require. That was meant for the
//! content that was there: another content of the same name gets none of it, neither hosts, settings nor accounts, before
//! somebody has looked at the difference and approved it. What is approved is kept in the data folder, by plugin directory.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use holster_types::{ComponentHash, ComponentName, Requirement, ToolName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalogue::ServedTool;

/// When somebody has to approve a component.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// When its content has changed: what was there first is taken as meant.
    #[default]
    Changed,
    /// Always, before it is given anything.
    Always,
    /// Never: for those who write tools, and change them all the time.
    Never,
}

/// What is known of a component that was approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approved {
    /// Its content.
    pub hash: ComponentHash,
    /// The interfaces that it imports.
    pub imports: BTreeSet<String>,
    /// Its tools, and which accounts each requires.
    pub tools: BTreeMap<ToolName, Vec<Requirement>>,
}

impl Approved {
    /// What there is to know of a tool's component before it is approved.
    pub fn of(tool: &ServedTool) -> Self {
        Self {
            hash: tool.hash(),
            imports: tool.imports(),
            tools: tool.siblings(),
        }
    }
}

/// Whether a component may use what is granted to its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It may.
    Approved,
    /// It may not: this one was approved, and it is another one.
    Changed(Approved),
    /// It may not: nobody has approved any of that name.
    New,
}

/// Why it is not known what was approved.
#[derive(Debug, Clone, thiserror::Error)]
#[error(
    "what was approved cannot be read or written in {}: {error}; see that its folder can be written to and that its disk has \
     room",
    .file.display()
)]
pub struct PolicyError {
    file: PathBuf,
    error: Arc<io::Error>,
}

/// By component.
type Known = BTreeMap<ComponentName, Approved>;
/// By plugin directory.
type Kept = BTreeMap<PathBuf, Known>;

/// What was approved of a plugin directory.
pub(crate) struct Approvals {
    ask: Ask,
    folder: PathBuf,
    directory: PathBuf,
    /// As this process has read it last.
    known: ArcSwap<Known>,
}

impl Approvals {
    pub(crate) fn new(ask: Ask, data_folder: &Path, plugin_directory: &Path) -> Self {
        let directory = plugin_directory.canonicalize();
        Self {
            ask,
            folder: data_folder.join("policy"),
            directory: directory.unwrap_or_else(|_| plugin_directory.to_owned()),
            known: ArcSwap::default(),
        }
    }

    /// Whether a tool's component may use what is granted to its name. The first of that name that is seen here is taken as
    /// meant, unless the operator wants to be asked.
    pub(crate) async fn standing(
        self: &Arc<Self>,
        tool: &Arc<ServedTool>,
    ) -> Result<Standing, PolicyError> {
        if self.ask == Ask::Never || self.knows(tool) {
            return Ok(Standing::Approved);
        }
        let (approvals, tool) = (Arc::clone(self), Arc::clone(tool));
        let looked = tokio::task::spawn_blocking(move || approvals.look(&tool)).await;
        looked.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }

    fn knows(&self, tool: &ServedTool) -> bool {
        let known = self.known.load();
        known
            .get(tool.component())
            .is_some_and(|approved| approved.hash == tool.hash())
    }

    /// The same with the file, which another process may have changed.
    fn look(&self, tool: &ServedTool) -> Result<Standing, PolicyError> {
        self.update(|known| {
            Ok(match known.get(tool.component()) {
                Some(approved) if approved.hash == tool.hash() => Standing::Approved,
                Some(approved) => Standing::Changed(approved.clone()),
                None if self.ask == Ask::Always => Standing::New,
                None => {
                    known.insert(tool.component().clone(), Approved::of(tool));
                    Standing::Approved
                }
            })
        })
    }

    /// Takes components as meant that were not seen here before, if that is how it is done.
    pub(crate) fn see<'a>(
        &self,
        tools: impl Iterator<Item = &'a Arc<ServedTool>>,
    ) -> Result<(), PolicyError> {
        if self.ask != Ask::Changed {
            return Ok(());
        }
        let tools: BTreeMap<_, _> = tools.map(|tool| (tool.component(), tool)).collect();
        if tools.is_empty() {
            return Ok(());
        }
        let kept = self.read()?;
        let known = kept.get(&self.directory);
        if let Some(known) =
            known.filter(|known| tools.keys().all(|&name| known.contains_key(name)))
        {
            self.known.store(Arc::new(known.clone()));
            return Ok(());
        }
        // Another process may have seen the same meanwhile.
        self.update(|known| {
            for (name, tool) in tools {
                let name = name.clone();
                known.entry(name).or_insert_with(|| Approved::of(tool));
            }
            Ok(())
        })
    }

    /// Approves a tool's component as it is now.
    pub(crate) fn approve(&self, tool: &ServedTool) -> Result<(), PolicyError> {
        self.update(|known| {
            known.insert(tool.component().clone(), Approved::of(tool));
            Ok(())
        })
    }

    /// Reads what was approved, and writes what is other afterwards, with all other processes waiting.
    fn update<T>(
        &self,
        change: impl FnOnce(&mut Known) -> Result<T, PolicyError>,
    ) -> Result<T, PolicyError> {
        let _lock = self.lock()?;
        let mut kept = self.read()?;
        let known = kept.entry(self.directory.clone()).or_default();
        let before = known.clone();
        let changed = change(known)?;
        let now = Arc::new(known.clone());
        if *now != before {
            self.write(&kept)?;
        }
        self.known.store(now);
        Ok(changed)
    }

    fn lock(&self) -> Result<File, PolicyError> {
        let lock = || {
            let mut folder = fs::DirBuilder::new();
            folder.recursive(true);
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
            folder.create(&self.folder)?;
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(false);
            let file = options.open(self.folder.join("lock"))?;
            file.lock()?;
            Ok(file)
        };
        lock().map_err(|error| self.failed(error))
    }

    fn read(&self) -> Result<Kept, PolicyError> {
        match fs::read(self.file()) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| self.failed(error.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Kept::new()),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Whole, or not at all.
    fn write(&self, kept: &Kept) -> Result<(), PolicyError> {
        let write = || {
            // Made with mode 0600.
            let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
            serde_json::to_writer_pretty(&mut file, kept)?;
            file.flush()?;
            file.as_file().sync_all()?;
            file.persist(self.file())?;
            Ok(())
        };
        write().map_err(|error| self.failed(error))
    }

    fn file(&self) -> PathBuf {
        self.folder.join("approved.json")
    }

    fn failed(&self, error: io::Error) -> PolicyError {
        PolicyError {
            file: self.file(),
            error: Arc::new(error),
        }
    }
}
