//! The code cache: compiled components and their metadata, found by content.
//!
//! A key is made of the component's hash and the engine's compatibility, never of a name or a time. An entry is
//! native code, so a forged one would be code execution in the host: nothing is loaded that is not authentic under
//! a key which only the host's user can read. What cannot be trusted is compiled again.

mod entry;
mod files;
mod secret_key;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use holster_types::{ComponentHash, ToolName};
use tokio::sync::{Mutex, OwnedMutexGuard};
use wasmtime::Engine;
use wasmtime::component::Component;

use self::entry::{Entry, Forgery, Key};
use self::files::Files;
use self::secret_key::SecretKey;
use crate::component::Metadata;
use crate::engine::RuntimeError;
use crate::loaded::LoadError;

/// Compilations of different components share this many locks.
const LOCKS: usize = 64;
const LOCK_FOLDER: &str = "locks";
/// What is remembered of the files in plugin directories.
const FILES: &str = "files";
/// Entries under construction or removal begin with this.
const TEMPORARY: &str = ".tmp-";
/// What a crash left under construction is removed after this time.
const ABANDONED: Duration = Duration::from_hours(1);

/// The cache of one folder. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct CodeCache {
    shared: Arc<Shared>,
}

struct Shared {
    folder: PathBuf,
    bytes: u64,
    compatibility: String,
    key: SecretKey,
    files: Files,
    locks: Vec<Arc<Mutex<()>>>,
}

/// Why the cache could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[error("{action} {}: {error}", .path.display())]
pub struct CacheError {
    action: &'static str,
    path: PathBuf,
    error: io::Error,
}

/// One entry, as `holster cache list` shows it.
#[derive(Debug, Clone)]
pub struct CacheEntry {
    /// The component that was compiled.
    pub component: ComponentHash,
    /// Its tools.
    pub tools: Vec<ToolName>,
    /// The size of the entry.
    pub bytes: u64,
    /// When it was last loaded or made, to the minute.
    pub used: SystemTime,
    /// Made by this engine, so that it can be loaded.
    pub current: bool,
}

/// What `holster cache verify` found of one entry.
#[derive(Debug)]
pub struct CacheVerdict {
    /// The folder of the entry.
    pub path: PathBuf,
    /// The entry, or why it will never be loaded.
    pub entry: Result<CacheEntry, String>,
}

/// Held by the one who compiles a component, in this process and in all others of this machine.
pub(crate) struct CompileLock {
    _task: OwnedMutexGuard<()>,
    /// `None` where the file system knows no locks: then a component may be compiled twice, which harms nothing.
    _process: Option<File>,
}

impl CodeCache {
    /// Opens the cache and makes its folder (mode 0700) where it is missing. The key is kept in `folder.key`,
    /// beside the folder and not in it, so that a folder copied from elsewhere brings no key along.
    pub(crate) fn open(folder: &Path, bytes: u64, engine: &Engine) -> Result<Self, RuntimeError> {
        let failed = |error| RuntimeError::Cache {
            directory: folder.to_owned(),
            error,
        };
        let key = make_private(folder)
            .and_then(|()| make_private(&folder.join(LOCK_FOLDER)))
            .and_then(|()| SecretKey::open(&folder.with_extension("key")))
            .or_else(without_room)
            .map_err(failed)?;
        let files = Files::open(folder.join(FILES), &key);
        let cache = Self {
            shared: Arc::new(Shared {
                files,
                folder: folder.to_owned(),
                bytes,
                compatibility: entry::compatibility(engine),
                key,
                locks: (0..LOCKS).map(|_| Arc::default()).collect(),
            }),
        };
        cache.remove_abandoned();
        Ok(cache)
    }

    /// The folder of the cache.
    pub fn folder(&self) -> &Path {
        &self.shared.folder
    }

    /// The hash of a component's file. One that has not changed since it was last seen is not read again, one that is too large
    /// for a component is not read at all.
    pub fn hash_of(&self, file: &Path) -> Result<ComponentHash, LoadError> {
        self.shared.files.hash(file)
    }

    /// Keeps for the next start what was learned of files. Failing costs time, nothing else.
    pub fn remember_files(&self) {
        if let Err(error) = self.shared.files.save(&self.shared.key) {
            tracing::warn!("the hashes of the files are not remembered: {error}");
        }
    }

    /// The metadata of a cached component. Reads and authenticates a few kilobytes, not the code.
    pub(crate) fn metadata(&self, hash: &ComponentHash) -> Option<Metadata> {
        Some(self.entry(hash)?.into_metadata())
    }

    /// The code and the metadata of a cached component, authenticated. A forgery is reported, removed, and `None`.
    pub(crate) fn load(
        &self,
        engine: &Engine,
        hash: &ComponentHash,
    ) -> Option<(Component, Metadata)> {
        let entry = self.entry(hash)?;
        let code = match entry.code(&self.shared.key) {
            Ok(code) => code,
            Err(forgery) => {
                self.distrust(entry.path(), &forgery);
                return None;
            }
        };
        match deserialize(engine, &code) {
            Ok(component) => {
                entry.touch();
                Some((component, entry.into_metadata()))
            }
            Err(error) => {
                tracing::warn!(
                    "cached code of component {} is not used: {error:#}",
                    hash.short()
                );
                None
            }
        }
    }

    fn entry(&self, hash: &ComponentHash) -> Option<Entry> {
        let path = self.path(hash);
        match Entry::open(&path, &self.shared.key) {
            Ok(entry) if entry.is_of(hash, &self.shared.compatibility) => Some(entry),
            Ok(_) => {
                self.distrust(&path, &Forgery::Misplaced);
                None
            }
            Err(Forgery::Missing) => None,
            Err(forgery) => {
                self.distrust(&path, &forgery);
                None
            }
        }
    }

    fn distrust(&self, path: &Path, forgery: &Forgery) {
        tracing::warn!(
            "{} is not authentic ({forgery}); it is removed and compiled again",
            path.display()
        );
        self.remove(path);
    }

    /// Keeps code and metadata: written beside, made durable, then renamed into place. Removes what is too much.
    pub(crate) fn store(
        &self,
        hash: &ComponentHash,
        code: &[u8],
        metadata: Metadata,
    ) -> Result<(), CacheError> {
        let path = self.path(hash);
        let failed = |error| CacheError {
            action: "cannot write",
            path: path.clone(),
            error,
        };
        let temporary = tempfile::Builder::new()
            .prefix(TEMPORARY)
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir_in(self.folder())
            .map_err(failed)?;
        Entry::write(
            temporary.path(),
            &self.shared.key,
            hash,
            &self.shared.compatibility,
            code,
            metadata,
        )
        .map_err(failed)?;
        self.remove(&path);
        match fs::rename(temporary.path(), &path) {
            Ok(()) => {
                // Renamed away: there is nothing left to remove.
                let _ = temporary.keep();
            }
            // Another process was faster; its entry is as good.
            Err(_) if path.is_dir() => {}
            Err(error) => return Err(failed(error)),
        }
        File::open(self.folder())
            .and_then(|folder| folder.sync_all())
            .map_err(failed)?;
        self.shrink(&path);
        Ok(())
    }

    /// Waits until nobody else compiles this component.
    pub(crate) async fn lock(&self, hash: &ComponentHash) -> CompileLock {
        let number = usize::from(hash.as_bytes()[0]) % LOCKS;
        let task = Arc::clone(&self.shared.locks[number]).lock_owned().await;
        let path = self.folder().join(LOCK_FOLDER).join(format!("{number:02}"));
        let process = tokio::task::spawn_blocking(move || {
            let file = File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(path)?;
            file.lock()?;
            io::Result::Ok(file)
        });
        let process = process.await.map_err(io::Error::other).flatten();
        if let Err(error) = &process {
            tracing::warn!(
                "the code cache cannot be locked, so a component may be compiled twice: {error}"
            );
        }
        CompileLock {
            _task: task,
            _process: process.ok(),
        }
    }

    /// All entries, the latest used first. Forgeries are not among them.
    pub fn list(&self) -> Result<Vec<CacheEntry>, CacheError> {
        let mut entries: Vec<_> = self
            .entry_paths()?
            .iter()
            .filter_map(|path| Some(self.describe(&Entry::open(path, &self.shared.key).ok()?)))
            .collect();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.used));
        Ok(entries)
    }

    /// Authenticates all of every entry, the code included. Removes nothing.
    pub fn verify(&self) -> Result<Vec<CacheVerdict>, CacheError> {
        let verdict = |path: PathBuf| {
            let entry = Entry::open(&path, &self.shared.key)
                .and_then(Entry::in_its_place)
                .and_then(|entry| entry.code(&self.shared.key).map(|_| self.describe(&entry)))
                .map_err(|forgery| forgery.to_string());
            CacheVerdict { path, entry }
        };
        Ok(self.entry_paths()?.into_iter().map(verdict).collect())
    }

    /// Removes every entry, and says how many there were.
    pub fn clear(&self) -> Result<usize, CacheError> {
        let paths = self.entry_paths()?;
        for path in &paths {
            self.remove(path);
        }
        Ok(paths.len())
    }

    fn describe(&self, entry: &Entry) -> CacheEntry {
        let tools = &entry.metadata().tools;
        CacheEntry {
            component: entry.component(),
            tools: tools.iter().map(|tool| tool.name.clone()).collect(),
            bytes: entry.bytes(),
            used: entry.used(),
            current: entry.is_of(&entry.component(), &self.shared.compatibility),
        }
    }

    fn path(&self, hash: &ComponentHash) -> PathBuf {
        self.folder()
            .join(Key::new(hash, &self.shared.compatibility).to_string())
    }

    fn entry_paths(&self) -> Result<Vec<PathBuf>, CacheError> {
        let failed = |error| CacheError {
            action: "cannot read",
            path: self.folder().to_owned(),
            error,
        };
        let mut paths = Vec::new();
        for item in fs::read_dir(self.folder()).map_err(failed)? {
            let item = item.map_err(failed)?;
            if Key::is_one(&item.file_name()) {
                paths.push(item.path());
            }
        }
        Ok(paths)
    }

    /// Renames first, so that no reader meets half an entry.
    fn remove(&self, path: &Path) {
        let Ok(grave) = tempfile::Builder::new()
            .prefix(TEMPORARY)
            .tempdir_in(self.folder())
        else {
            return;
        };
        // An entry that is not there, or that another process removes at the same time, is as good as removed.
        let _ = fs::rename(path, grave.path().join("entry"));
    }

    /// Removes the least recently used entries until the rest fits. `newest` stays in any case.
    fn shrink(&self, newest: &Path) {
        let mut entries: Vec<_> = self
            .entry_paths()
            .unwrap_or_default()
            .into_iter()
            .map(|path| (entry::used(&path), entry::bytes(&path), path))
            .collect();
        entries.sort_by_key(|(used, _, _)| std::cmp::Reverse(*used));
        let mut total = 0;
        for (_, bytes, path) in entries {
            total += bytes;
            if total > self.shared.bytes && path != newest {
                self.remove(&path);
            }
        }
    }

    fn remove_abandoned(&self) {
        let Ok(items) = fs::read_dir(self.folder()) else {
            return;
        };
        for item in items.flatten() {
            let abandoned = item.file_name().to_string_lossy().starts_with(TEMPORARY)
                && item
                    .metadata()
                    .and_then(|data| data.modified())
                    .is_ok_and(|time| {
                        SystemTime::now()
                            .duration_since(time)
                            .is_ok_and(|age| age > ABANDONED)
                    });
            if abandoned {
                // What stays is tried again at the next start.
                let _ = fs::remove_dir_all(item.path());
            }
        }
    }
}

/// Where the disk is full, all that is missing is the cache. What this process may still come to keep, no other one trusts.
fn without_room(error: io::Error) -> io::Result<SecretKey> {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            tracing::warn!(
                "the code cache cannot be made, so that components are compiled at each start: {error}; see that its disk \
                 has room"
            );
            SecretKey::random()
        }
        _ => Err(error),
    }
}

/// Makes a folder that only the user can enter, or checks that it is one.
fn make_private(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let metadata = fs::metadata(folder)?;
    if metadata.mode() & 0o077 != 0 {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Loads native code.
#[allow(unsafe_code)]
fn deserialize(engine: &Engine, code: &entry::AuthenticCode<'_>) -> wasmtime::Result<Component> {
    // SAFETY: wasmtime trusts what it maps here to be its own output. `AuthenticCode` is made only by
    // `Entry::code`, which has just checked the file's MAC under a key that only this user can read; the file
    // lies in a folder of mode 0700, and an entry is only ever replaced by renaming, never written in place.
    let component = unsafe { Component::deserialize_file(engine, code.path()) }?;
    #[cfg(target_os = "linux")]
    {
        use rustix::mm::{Advice, madvise};
        let image = component.image_range();
        let bytes = image.end.addr() - image.start.addr();
        // What was read of it to load it is not needed again.
        // SAFETY: these are pages of a file that is mapped for this component alone. Nothing is written into them, since
        // compiled code comes without relocations, so that what is still used is read from the file once more.
        let forgotten =
            unsafe { madvise(image.start.cast_mut().cast(), bytes, Advice::LinuxDontNeed) };
        if let Err(error) = forgotten {
            tracing::debug!("pages of compiled code stay in memory: {error}");
        }
    }
    Ok(component)
}
