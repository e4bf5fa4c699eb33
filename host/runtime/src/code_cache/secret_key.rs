//! The key that makes entries authentic.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// 256 bits that only the host's user can read.
pub(super) struct SecretKey([u8; 32]);

impl SecretKey {
    /// Reads the key, or makes one. A key that others could have read is replaced: every entry under it is
    /// compiled again, which costs time and nothing else.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        for _ in 0..3 {
            match Self::read(path) {
                Ok(Some(key)) => return Ok(key),
                Ok(None) => {
                    tracing::warn!(
                        "{} is damaged or readable by others; a new key is made",
                        path.display()
                    );
                    fs::remove_file(path)?;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            match Self::create(path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                other => return other,
            }
        }
        Err(io::Error::other(format!(
            "cannot read or make the key {}",
            path.display()
        )))
    }

    fn read(path: &Path) -> io::Result<Option<Self>> {
        let metadata = fs::symlink_metadata(path)?;
        let private = metadata.is_file() && metadata.mode() & 0o077 == 0;
        let mut key = Vec::new();
        File::open(path)?.take(33).read_to_end(&mut key)?;
        Ok(key.try_into().ok().filter(|_| private).map(Self))
    }

    /// A key that nobody else knows.
    pub(super) fn random() -> io::Result<Self> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(io::Error::other)?;
        Ok(Self(key))
    }

    /// Written beside and linked into place, so that no process ever reads half a key.
    fn create(path: &Path) -> io::Result<Self> {
        let key = Self::random()?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&key.0)?;
        file.as_file().sync_all()?;
        file.persist_noclobber(path).map_err(|error| error.error)?;
        Ok(key)
    }

    /// A MAC in progress.
    pub(super) fn mac(&self) -> blake3::Hasher {
        blake3::Hasher::new_keyed(&self.0)
    }

    /// `line` with its MAC before it.
    pub(super) fn authenticated(&self, line: &[u8]) -> Vec<u8> {
        let mut text = self
            .mac()
            .update(line)
            .finalize()
            .to_hex()
            .as_bytes()
            .to_vec();
        text.extend(line);
        text
    }

    /// The line of a text that [`SecretKey::authenticated`] made with this key.
    pub(super) fn authentic<'text>(&self, text: &'text [u8]) -> Option<&'text [u8]> {
        let (mac, line) = text.split_at_checked(64)?;
        let mac = blake3::Hash::from_hex(mac).ok()?;
        // `blake3::Hash` compares in constant time.
        (self.mac().update(line).finalize() == mac).then_some(line)
    }
}
