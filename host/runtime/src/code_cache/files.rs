//! Which content a file had, remembered by what the file system says of the file.
//!
//! Hashing a thousand components takes seconds, asking for their times takes milliseconds. What is remembered here
//! only finds metadata and the key of an entry: the code that runs is still authentic, and bytes that are compiled
//! are hashed again.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use holster_types::ComponentHash;
use serde::{Deserialize, Serialize};

use super::secret_key::SecretKey;
use crate::loaded::{LoadError, component_bytes};

/// A file this young may change again within the same tick of the clock, so that its times would not tell.
const SETTLED: Duration = Duration::from_secs(2);

/// What the file system says of a file that was not changed.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    fn is_settled(&self) -> bool {
        let changed = u64::try_from(self.changed.0.max(self.modified.0)).unwrap_or(u64::MAX);
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Duration::from_secs(changed.saturating_add(1))
            .checked_add(SETTLED)
            .is_some_and(|time| time <= now)
    }
}

type Known = HashMap<PathBuf, (Identity, ComponentHash)>;

/// The memory of one cache, kept in one file under a MAC.
pub(super) struct Files {
    path: PathBuf,
    memory: Mutex<Memory>,
}

struct Memory {
    known: Known,
    /// Whether anything was learned since it was read.
    grown: bool,
}

impl Files {
    /// Reads what was remembered. What is missing or not authentic is nothing remembered.
    pub(super) fn open(path: PathBuf, key: &SecretKey) -> Self {
        let known = fs::read(&path)
            .ok()
            .and_then(|text| key.authentic(&text).map(serde_json::from_slice));
        let known: Vec<_> = known.and_then(Result::ok).unwrap_or_default();
        Self {
            path,
            memory: Mutex::new(Memory {
                known: known.into_iter().collect(),
                grown: false,
            }),
        }
    }

    /// The hash of a component's file: remembered, or read.
    pub(super) fn hash(&self, file: &Path) -> Result<ComponentHash, LoadError> {
        let metadata = fs::metadata(file)?;
        component_bytes(&metadata)?;
        let identity = Identity::of(&metadata);
        if let Some((known, hash)) = self.lock().known.get(file)
            && *known == identity
        {
            return Ok(*hash);
        }
        let hash = ComponentHash::of_file(File::open(file)?)?;
        if identity.is_settled() {
            let mut memory = self.lock();
            memory.known.insert(file.to_owned(), (identity, hash));
            memory.grown = true;
        }
        Ok(hash)
    }

    /// Writes what is remembered, without what is no longer there, if anything was learned.
    pub(super) fn save(&self, key: &SecretKey) -> io::Result<()> {
        let known = {
            let mut memory = self.lock();
            if !std::mem::take(&mut memory.grown) {
                return Ok(());
            }
            let known = &mut memory.known;
            known.retain(|file, _| file.exists());
            serde_json::to_vec(&known.iter().collect::<Vec<_>>()).map_err(io::Error::other)?
        };
        let text = key.authenticated(&known);
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&text)?;
        file.as_file().sync_all()?;
        file.persist(&self.path)
            .map(|_: File| ())
            .map_err(|error| error.error)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
