//! One entry: a folder with the code, and a manifest that authenticates both.
//!
//! ```text
//! <key>/code       what wasmtime serialised
//! <key>/manifest   MAC of the line below, then that line: whose code, by which engine, its MAC, the component's metadata
//! ```

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};
use std::marker::PhantomData;
#[cfg(target_os = "linux")]
use std::num::NonZero;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use holster_types::ComponentHash;
use serde::{Deserialize, Serialize};
use wasmtime::Engine;

use super::secret_key::SecretKey;
use crate::component::Metadata;
use crate::merge;

/// Of entries that look like this.
const VERSION: u32 = 2;
const CODE: &str = "code";
const MANIFEST: &str = "manifest";
/// So many bytes of code are checked at once, on all cores; what is less is not worth their threads.
const PIECE: usize = 1 << 20;
/// So many bytes are written at once. Linux keeps what is written at once in a page as large, and has all of that in the memory of
/// whoever uses a byte of it; of compiled code, a call uses a little here and there.
const WRITTEN: usize = 64 << 10;
/// So many bytes does Linux read in advance at once, whatever the disk.
#[cfg(target_os = "linux")]
const READ: usize = 128 << 10;
/// The use of an entry is noted at most so often.
const TOUCH: Duration = Duration::from_mins(1);

/// The name of an entry's folder.
pub(super) struct Key(blake3::Hash);

impl Key {
    pub(super) fn new(hash: &ComponentHash, compatibility: &str) -> Self {
        Self(
            blake3::Hasher::new()
                .update(hash.as_bytes())
                .update(compatibility.as_bytes())
                .finalize(),
        )
    }

    pub(super) fn is_one(name: &OsStr) -> bool {
        name.to_str()
            .is_some_and(|name| blake3::Hash::from_hex(name).is_ok())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_hex())
    }
}

/// What an entry must have in common with an engine to be used by it: version, settings, processor, what was made of the component
/// before it was compiled, and how the entry itself is written.
pub(super) fn compatibility(engine: &Engine) -> String {
    struct Blake3(blake3::Hasher);
    impl Hasher for Blake3 {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            unreachable!("the whole hash is taken")
        }
    }
    let mut hasher = Blake3(blake3::Hasher::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    merge::VERSION.hash(&mut hasher);
    VERSION.hash(&mut hasher);
    hasher.0.finalize().to_hex().to_string()
}

/// Why an entry is not used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Forgery {
    #[error("there is no such entry")]
    Missing,
    #[error("it cannot be read: {0}")]
    Unreadable(io::Error),
    #[error("its manifest has a wrong MAC")]
    Manifest,
    #[error("another version of Holster wrote it")]
    Version,
    #[error("its code has a wrong MAC")]
    Code,
    #[error("it belongs to another component or engine")]
    Misplaced,
}

impl From<io::Error> for Forgery {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::NotFound {
            Forgery::Missing
        } else {
            Forgery::Unreadable(error)
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Manifest {
    component: ComponentHash,
    compatibility: String,
    code_bytes: u64,
    code_mac: String,
    metadata: Metadata,
}

/// An entry whose manifest is authentic.
pub(super) struct Entry {
    path: PathBuf,
    manifest: Manifest,
}

/// Code whose MAC was checked. Only [`Entry::code`] makes one.
pub(super) struct AuthenticCode<'entry> {
    path: PathBuf,
    entry: PhantomData<&'entry Entry>,
}

impl AuthenticCode<'_> {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Entry {
    pub(super) fn open(path: &Path, key: &SecretKey) -> Result<Self, Forgery> {
        let text = fs::read(path.join(MANIFEST))?;
        let line = key.authentic(&text).ok_or(Forgery::Manifest)?;
        let manifest = serde_json::from_slice(line).map_err(|_| Forgery::Version)?;
        Ok(Self {
            path: path.to_owned(),
            manifest,
        })
    }

    /// Checks all of the code against its MAC.
    pub(super) fn code(&self, key: &SecretKey) -> Result<AuthenticCode<'_>, Forgery> {
        let path = self.path.join(CODE);
        let mut mac = key.mac();
        let code = File::open(&path)?;
        #[cfg(target_os = "linux")]
        read_in_advance(&code, self.manifest.code_bytes);
        let mut piece = Vec::with_capacity(PIECE);
        while (&code).take(PIECE as u64).read_to_end(&mut piece)? > 0 {
            if piece.len() == PIECE {
                mac.update_rayon(&piece);
            } else {
                mac.update(&piece);
            }
            piece.clear();
        }
        let expected =
            blake3::Hash::from_hex(&self.manifest.code_mac).map_err(|_| Forgery::Version)?;
        if mac.finalize() == expected {
            Ok(AuthenticCode {
                path,
                entry: PhantomData,
            })
        } else {
            Err(Forgery::Code)
        }
    }

    /// Writes an entry into an empty folder, durably.
    pub(super) fn write(
        folder: &Path,
        key: &SecretKey,
        component: &ComponentHash,
        compatibility: &str,
        code: &[u8],
        metadata: Metadata,
    ) -> io::Result<()> {
        let manifest = Manifest {
            component: *component,
            compatibility: compatibility.to_owned(),
            code_bytes: code.len() as u64,
            code_mac: key.mac().update(code).finalize().to_hex().to_string(),
            metadata,
        };
        let line = serde_json::to_vec(&manifest).map_err(io::Error::other)?;
        write_durably(&folder.join(CODE), code)?;
        write_durably(&folder.join(MANIFEST), &key.authenticated(&line))?;
        File::open(folder)?.sync_all()
    }

    pub(super) fn is_of(&self, component: &ComponentHash, compatibility: &str) -> bool {
        self.manifest.component == *component
            && self.manifest.compatibility == compatibility
            && self.is_in_its_place()
    }

    /// The entry, if its folder bears the name of what it holds.
    pub(super) fn in_its_place(self) -> Result<Self, Forgery> {
        if self.is_in_its_place() {
            Ok(self)
        } else {
            Err(Forgery::Misplaced)
        }
    }

    fn is_in_its_place(&self) -> bool {
        let key = Key::new(&self.manifest.component, &self.manifest.compatibility);
        self.path
            .file_name()
            .is_some_and(|name| *name == *key.to_string())
    }

    /// Notes that the entry was used. Only the order of removal depends on it.
    pub(super) fn touch(&self) {
        let now = SystemTime::now();
        if now.duration_since(self.used()).is_ok_and(|age| age > TOUCH)
            && let Ok(manifest) = File::open(self.path.join(MANIFEST))
        {
            let _ = manifest.set_modified(now);
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn component(&self) -> ComponentHash {
        self.manifest.component
    }

    pub(super) fn metadata(&self) -> &Metadata {
        &self.manifest.metadata
    }

    pub(super) fn into_metadata(self) -> Metadata {
        self.manifest.metadata
    }

    pub(super) fn bytes(&self) -> u64 {
        bytes(&self.path)
    }

    pub(super) fn used(&self) -> SystemTime {
        used(&self.path)
    }
}

/// The size of an entry; nought if it is gone.
pub(super) fn bytes(path: &Path) -> u64 {
    [CODE, MANIFEST]
        .iter()
        .map(|file| fs::metadata(path.join(file)).map_or(0, |data| data.len()))
        .sum()
}

/// When an entry was last used; long ago if nobody knows.
pub(super) fn used(path: &Path) -> SystemTime {
    fs::metadata(path.join(MANIFEST))
        .and_then(|data| data.modified())
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Has a file read into the system's cache in small pages. What a disk brings while somebody goes through a file is kept in large
/// ones, as what is written at once is.
#[cfg(target_os = "linux")]
fn read_in_advance(file: &File, bytes: u64) {
    use rustix::fs::{Advice, fadvise};
    for start in (0..bytes).step_by(READ) {
        if let Err(error) = fadvise(file, start, NonZero::new(READ as u64), Advice::WillNeed) {
            tracing::debug!("compiled code is not read in advance: {error}");
            return;
        }
    }
}

fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::options()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(path)?;
    for piece in bytes.chunks(WRITTEN) {
        file.write_all(piece)?;
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authentic_manifest_of_another_form_is_told_from_a_forgery() {
        let folder = tempfile::tempdir().unwrap();
        let key = SecretKey::random().unwrap();
        let opened = |line: &[u8]| {
            fs::write(folder.path().join(MANIFEST), line).unwrap();
            Entry::open(folder.path(), &key).err().unwrap()
        };
        let other = opened(&key.authenticated(b"{\"component\":\"later\"}"));
        assert!(matches!(other, Forgery::Version), "{other}");
        let forged = opened(&SecretKey::random().unwrap().authenticated(b"{}"));
        assert!(matches!(forged, Forgery::Manifest), "{forged}");
    }
}
