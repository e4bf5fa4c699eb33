//! Who keeps the master key that seals the vault's data key.
//!
//! A [`KeyKeeper`] makes a master key for a new vault and finds it again for an old one. What it needs for that and
//! what is no secret stands in the vault as a [`KeeperRecord`]. The key itself is never in the database.

use std::fmt;
use std::path::{Path, PathBuf};

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use holster_types::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::cipher::{Key, fill_random};
use super::{FOLDER, VaultError};
use crate::private::{self, PrivateFileError};

/// The variable with a master key: 32 bytes in base64.
pub(crate) const KEY_VARIABLE: &str = "HOLSTER_VAULT_KEY";

/// The variable with a passphrase.
pub(crate) const PASSPHRASE_VARIABLE: &str = "HOLSTER_VAULT_PASSPHRASE";

/// Keeps the master key of a vault.
pub trait KeyKeeper: fmt::Debug + Send + Sync {
    /// A master key for a new vault, and what is needed to find it again. May wait for a disk or take a second.
    fn create(&self) -> Result<(Key, KeeperRecord), VaultError>;

    /// The master key of a vault with this record. May wait for a disk or take a second.
    fn find(&self, record: &KeeperRecord) -> Result<Key, VaultError>;
}

/// Who keeps the master key of a vault, and what they need to find it again. No secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "keeper", rename_all = "snake_case", deny_unknown_fields)]
pub enum KeeperRecord {
    /// A file beside the database.
    KeyFile,
    /// The variable `HOLSTER_VAULT_KEY`.
    Environment,
    /// A passphrase, by Argon2id.
    Passphrase {
        /// 16 bytes in base64.
        salt: String,
        /// Memory in KiB.
        memory_kib: u32,
        /// Passes over the memory.
        passes: u32,
    },
}

impl fmt::Display for KeeperRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyFile => f.write_str("its key file"),
            Self::Environment => write!(f, "the key in `{KEY_VARIABLE}`"),
            Self::Passphrase { .. } => write!(f, "the passphrase in `{PASSPHRASE_VARIABLE}`"),
        }
    }
}

/// The keeper that the environment asks for: a key, a passphrase, or else the key file.
pub(crate) fn keeper_from_environment(
    data_folder: &Path,
) -> Result<Box<dyn KeyKeeper>, VaultError> {
    let read = |name: &'static str| match std::env::var(name) {
        Ok(value) => Ok(Some(SecretString::from(value))),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(VaultError::KeyVariable { name }),
    };
    match (read(KEY_VARIABLE)?, read(PASSPHRASE_VARIABLE)?) {
        (Some(_), Some(_)) => Err(VaultError::TwoKeepers),
        (Some(key), None) => Ok(Box::new(EnvironmentKey::new(&key)?)),
        (None, Some(passphrase)) => Ok(Box::new(Passphrase::new(passphrase)?)),
        (None, None) => Ok(Box::new(KeyFile::in_data_folder(data_folder))),
    }
}

/// A file with a random key, which only its owner may read.
#[derive(Debug, Clone)]
pub struct KeyFile {
    path: PathBuf,
}

impl KeyFile {
    /// The key file at that path.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The usual place: beside the database.
    pub fn in_data_folder(data_folder: &Path) -> Self {
        Self::new(data_folder.join(FOLDER).join("master.key"))
    }

    fn read(&self) -> Result<Key, VaultError> {
        let failed = |error: PrivateFileError| VaultError::KeyFile {
            path: self.path.clone(),
            error: error.into(),
        };
        let content = private::read(&self.path, 256).map_err(|error| match error {
            PrivateFileError::Io(error) if error.kind() == std::io::ErrorKind::NotFound => {
                VaultError::KeyFileMissing {
                    path: self.path.clone(),
                }
            }
            error => failed(error),
        })?;
        decode(&content).ok_or_else(|| VaultError::KeyFileContent {
            path: self.path.clone(),
        })
    }
}

impl KeyKeeper for KeyFile {
    fn create(&self) -> Result<(Key, KeeperRecord), VaultError> {
        // A key file without a vault is what a crash between the two leaves; its key is as good as any.
        match self.read() {
            Ok(key) => return Ok((key, KeeperRecord::KeyFile)),
            Err(VaultError::KeyFileMissing { .. }) => {}
            Err(error) => return Err(error),
        }
        let key = Key::random();
        let mut content = Zeroizing::new(STANDARD.encode(key.bytes()));
        content.push('\n');
        private::create(&self.path, content.as_bytes()).map_err(|error| VaultError::KeyFile {
            path: self.path.clone(),
            error: PrivateFileError::from(error).into(),
        })?;
        Ok((key, KeeperRecord::KeyFile))
    }

    fn find(&self, record: &KeeperRecord) -> Result<Key, VaultError> {
        match record {
            KeeperRecord::KeyFile => self.read(),
            other => Err(VaultError::OtherKeeper {
                keeper: other.clone(),
            }),
        }
    }
}

/// A key from the environment, for servers.
#[derive(Debug)]
pub struct EnvironmentKey(Key);

impl EnvironmentKey {
    /// The key in the text: 32 bytes in base64, as `openssl rand -base64 32` gives them.
    pub fn new(text: &SecretString) -> Result<Self, VaultError> {
        decode(text.expose_secret().as_bytes())
            .map(Self)
            .ok_or(VaultError::KeyVariable { name: KEY_VARIABLE })
    }

    fn key(&self) -> Key {
        Key::from_bytes(self.0.bytes()).expect("a key has the length of a key")
    }
}

impl KeyKeeper for EnvironmentKey {
    fn create(&self) -> Result<(Key, KeeperRecord), VaultError> {
        Ok((self.key(), KeeperRecord::Environment))
    }

    fn find(&self, record: &KeeperRecord) -> Result<Key, VaultError> {
        match record {
            KeeperRecord::Environment => Ok(self.key()),
            other => Err(VaultError::OtherKeeper {
                keeper: other.clone(),
            }),
        }
    }
}

/// A passphrase, from which Argon2id makes the key.
#[derive(Debug)]
pub struct Passphrase(SecretString);

/// RFC 9106 §4, the second recommended option: 64 MiB, three passes. One lane, since the sandbox needs the rest.
const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;

/// Above these a record is taken for an attempt to exhaust the host.
const MAX_MEMORY_KIB: u32 = 1024 * 1024;
const MAX_PASSES: u32 = 32;

impl Passphrase {
    /// A passphrase of at least 12 characters.
    pub fn new(passphrase: SecretString) -> Result<Self, VaultError> {
        if passphrase.expose_secret().chars().count() < 12 {
            return Err(VaultError::ShortPassphrase);
        }
        Ok(Self(passphrase))
    }

    fn derive(&self, salt: &[u8], memory_kib: u32, passes: u32) -> Option<Key> {
        if memory_kib > MAX_MEMORY_KIB || passes > MAX_PASSES {
            return None;
        }
        let params = Params::new(memory_kib, passes, 1, Some(32)).ok()?;
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(self.0.expose_secret().as_bytes(), salt, &mut *key)
            .ok()?;
        Key::from_bytes(&*key)
    }
}

impl KeyKeeper for Passphrase {
    fn create(&self) -> Result<(Key, KeeperRecord), VaultError> {
        let mut salt = [0; 16];
        fill_random(&mut salt);
        let key = self
            .derive(&salt, MEMORY_KIB, PASSES)
            .ok_or(VaultError::Derivation)?;
        let record = KeeperRecord::Passphrase {
            salt: STANDARD.encode(salt),
            memory_kib: MEMORY_KIB,
            passes: PASSES,
        };
        Ok((key, record))
    }

    fn find(&self, record: &KeeperRecord) -> Result<Key, VaultError> {
        match record {
            KeeperRecord::Passphrase {
                salt,
                memory_kib,
                passes,
            } => {
                let salt = STANDARD.decode(salt).map_err(|_| VaultError::Derivation)?;
                self.derive(&salt, *memory_kib, *passes)
                    .ok_or(VaultError::Derivation)
            }
            other => Err(VaultError::OtherKeeper {
                keeper: other.clone(),
            }),
        }
    }
}

/// The key in base64 text that may end in a line break.
fn decode(text: &[u8]) -> Option<Key> {
    let text = text.trim_ascii();
    // Sized by hand, so that no reallocation leaves a copy behind.
    let mut bytes = Zeroizing::new([0; 48]);
    let length = STANDARD.decode_slice(text, &mut *bytes).ok()?;
    Key::from_bytes(&bytes[..length])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_keeper_finds_the_key_that_it_made() {
        let folder = tempfile::tempdir().unwrap();
        let keepers: [Box<dyn KeyKeeper>; 3] = [
            Box::new(KeyFile::new(folder.path().join("master.key"))),
            Box::new(EnvironmentKey::new(&STANDARD.encode([7; 32]).into()).unwrap()),
            Box::new(Passphrase::new("correct horse battery".into()).unwrap()),
        ];
        for keeper in keepers {
            let (made, record) = keeper.create().unwrap();
            assert_eq!(
                keeper.find(&record).unwrap().bytes(),
                made.bytes(),
                "{record}"
            );
        }
    }

    #[test]
    fn a_keeper_refuses_the_vault_of_another_and_names_what_is_needed() {
        let keeper = EnvironmentKey::new(&STANDARD.encode([7; 32]).into()).unwrap();
        let record = KeeperRecord::Passphrase {
            salt: String::new(),
            memory_kib: 8,
            passes: 1,
        };
        let error = keeper.find(&record).unwrap_err().to_string();
        assert!(error.contains("HOLSTER_VAULT_PASSPHRASE"), "{error}");
    }

    #[test]
    fn a_record_that_asks_for_too_much_memory_is_refused() {
        let keeper = Passphrase::new("correct horse battery".into()).unwrap();
        let salt = STANDARD.encode([0; 16]);
        let record = KeeperRecord::Passphrase {
            salt,
            memory_kib: u32::MAX,
            passes: 1,
        };
        assert!(matches!(keeper.find(&record), Err(VaultError::Derivation)));
    }

    #[test]
    fn another_passphrase_makes_another_key() {
        let keeper = Passphrase::new("correct horse battery".into()).unwrap();
        let (key, record) = keeper.create().unwrap();
        let other = Passphrase::new("correct horse batterz".into()).unwrap();
        assert_ne!(other.find(&record).unwrap().bytes(), key.bytes());
    }

    #[test]
    fn a_key_that_is_not_32_bytes_is_refused_without_being_shown() {
        for text in [
            "",
            "planted",
            &STANDARD.encode([1; 31]),
            &STANDARD.encode([1; 33]),
        ] {
            let error = EnvironmentKey::new(&text.into()).unwrap_err().to_string();
            assert!(
                error.contains(KEY_VARIABLE) && !error.contains("planted"),
                "{error}"
            );
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_key_file_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let keeper = KeyFile::new(&path);
        keeper.create().unwrap();
        for mode in [0o644, 0o640, 0o604] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let error = keeper.find(&KeeperRecord::KeyFile).unwrap_err().to_string();
            for part in ["master.key", "others than its owner", "chmod 600"] {
                assert!(error.contains(part), "{error}");
            }
        }
    }
}
