//! Who keeps the master key that seals the vault's data key.
//!
//! A [`KeyKeeper`] makes a master key for a new vault and finds it again for an old one. What it needs for that and
//! what is no secret stands in the vault as a [`KeeperRecord`]. The key itself is never in the database.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use holster_types::{ExposeSecret, SecretString};
use keyring_core::api::CredentialStoreApi;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::cipher::Key;
use super::{FOLDER, VaultError};
use crate::private::{self, PrivateFileError};

/// The variable with a master key: 32 bytes in base64.
pub(crate) const KEY_VARIABLE: &str = "HOLSTER_VAULT_KEY";

/// The variable with a passphrase.
pub(crate) const PASSPHRASE_VARIABLE: &str = "HOLSTER_VAULT_PASSPHRASE";

/// The variable that, where it is `1`, chooses the system's keyring. Never chosen by itself: a keyring may ask
/// a person, and on a server nobody answers.
pub(crate) const KEYRING_VARIABLE: &str = "HOLSTER_VAULT_KEYRING";

/// Keeps the master key of a vault.
pub trait KeyKeeper: fmt::Debug + Send + Sync {
    /// A master key for a new vault, and what is needed to find it again. May wait for a disk or take a second.
    fn create(&self) -> Result<(Key, KeeperRecord), VaultError>;

    /// The master key of a vault with this record. May wait for a disk or take a second.
    fn find(&self, record: &KeeperRecord) -> Result<Key, VaultError>;

    /// Another master key for a vault that has one already, which is kept as well until [`KeyKeeper::forget`].
    fn renew(&self) -> Result<(Key, KeeperRecord), VaultError> {
        self.create()
    }

    /// Takes away the master key of a vault that no longer has this record.
    fn forget(&self, _record: &KeeperRecord) -> Result<(), VaultError> {
        Ok(())
    }
}

/// Who keeps the master key of a vault, and what they need to find it again. No secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "keeper", rename_all = "snake_case", deny_unknown_fields)]
pub enum KeeperRecord {
    /// A file beside the database.
    KeyFile {
        /// The number in its name, if it is not the first key file of the vault.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        number: Option<u64>,
    },
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
    /// The system's keyring, under the service `holster`.
    Keyring {
        /// The name of the entry.
        entry: String,
    },
}

impl fmt::Display for KeeperRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyFile { .. } => f.write_str("its key file"),
            Self::Environment => write!(f, "the key in `{KEY_VARIABLE}`"),
            Self::Passphrase { .. } => write!(f, "the passphrase in `{PASSPHRASE_VARIABLE}`"),
            Self::Keyring { .. } => {
                write!(
                    f,
                    "the key in the system's keyring (`{KEYRING_VARIABLE}=1`)"
                )
            }
        }
    }
}

/// The keeper that the environment asks for: a key, a passphrase, the keyring, or else the key file.
pub(crate) fn keeper_from_environment(
    data_folder: &Path,
) -> Result<Box<dyn KeyKeeper>, VaultError> {
    let read = |name: &'static str| match std::env::var(name) {
        Ok(value) => Ok(Some(SecretString::from(value))),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(VaultError::KeyVariable { name }),
    };
    let keyring = match read(KEYRING_VARIABLE)?
        .as_ref()
        .map(ExposeSecret::expose_secret)
    {
        None | Some("" | "0") => false,
        Some("1") => true,
        Some(_) => {
            return Err(VaultError::KeyVariable {
                name: KEYRING_VARIABLE,
            });
        }
    };
    match (read(KEY_VARIABLE)?, read(PASSPHRASE_VARIABLE)?, keyring) {
        (Some(key), None, false) => Ok(Box::new(EnvironmentKey::new(&key)?)),
        (None, Some(passphrase), false) => Ok(Box::new(Passphrase::new(passphrase)?)),
        (None, None, true) => Ok(Box::new(Keyring)),
        (None, None, false) => Ok(Box::new(KeyFile::in_data_folder(data_folder))),
        _ => Err(VaultError::TwoKeepers),
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

    /// Where the key of a record is: each rotation takes another file, beside the first.
    fn place(&self, number: Option<u64>) -> PathBuf {
        match number {
            None => self.path.clone(),
            Some(number) => self.path.with_file_name(format!("master-{number}.key")),
        }
    }

    fn read(&self, number: Option<u64>) -> Result<Key, VaultError> {
        let path = self.place(number);
        let content = private::read(&path, 256).map_err(|error| match error {
            PrivateFileError::Io(error) if error.kind() == std::io::ErrorKind::NotFound => {
                VaultError::KeyFileMissing { path: path.clone() }
            }
            error => failed(&path, error),
        })?;
        decode(&content).ok_or(VaultError::KeyFileContent { path })
    }

    fn write(&self, number: Option<u64>) -> Result<(Key, KeeperRecord), VaultError> {
        let path = self.place(number);
        let key = Key::random();
        let mut content = Zeroizing::new(STANDARD.encode(key.bytes()));
        content.push('\n');
        private::create(&path, content.as_bytes())
            .map_err(|error| VaultError::KeyFileUnwritten { path, error })?;
        Ok((key, KeeperRecord::KeyFile { number }))
    }
}

fn failed(path: &Path, error: PrivateFileError) -> VaultError {
    VaultError::KeyFile {
        path: path.to_owned(),
        error: error.into(),
    }
}

impl KeyKeeper for KeyFile {
    fn create(&self) -> Result<(Key, KeeperRecord), VaultError> {
        // A key file without a vault is what a crash between the two leaves; its key is as good as any.
        match self.read(None) {
            Ok(key) => Ok((key, KeeperRecord::KeyFile { number: None })),
            Err(VaultError::KeyFileMissing { .. }) => self.write(None),
            Err(error) => Err(error),
        }
    }

    fn find(&self, record: &KeeperRecord) -> Result<Key, VaultError> {
        match record {
            KeeperRecord::KeyFile { number } => self.read(*number),
            other => Err(VaultError::OtherKeeper {
                keeper: other.clone(),
            }),
        }
    }

    fn renew(&self) -> Result<(Key, KeeperRecord), VaultError> {
        let mut number = [0; 4];
        crate::random::fill(&mut number);
        self.write(Some(u32::from_le_bytes(number).into()))
    }

    fn forget(&self, record: &KeeperRecord) -> Result<(), VaultError> {
        let KeeperRecord::KeyFile { number } = record else {
            return Ok(());
        };
        let path = self.place(*number);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(failed(&path, error.into()))
            }
            _ => Ok(()),
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

/// The keyring of the system: Secret Service, Keychain, or Credential Manager.
#[derive(Debug, Clone, Copy)]
pub struct Keyring;

const SERVICE: &str = "holster";

/// For so long the keyring may take to answer, or a person to unlock it.
const PATIENCE: Duration = Duration::from_mins(1);

impl Keyring {
    /// Asks for one entry, in a thread that is left behind if there is no answer.
    fn ask<T: Send + 'static>(
        entry: &str,
        question: impl FnOnce(&keyring_core::Entry) -> keyring_core::Result<T> + Send + 'static,
    ) -> Result<T, VaultError> {
        let (sender, receiver) = std::sync::mpsc::channel();
        let entry = entry.to_owned();
        std::thread::spawn(move || {
            let answer = system_keyring()
                .and_then(|keyring| keyring.build(SERVICE, &entry, None))
                .and_then(|entry| question(&entry));
            // Nobody may be waiting any more.
            let _ = sender.send(answer);
        });
        match receiver.recv_timeout(PATIENCE) {
            Ok(answer) => answer.map_err(|error| VaultError::Keyring(error.to_string())),
            Err(_) => Err(VaultError::Keyring(format!(
                "no answer in {} seconds; unlock it and try again",
                PATIENCE.as_secs()
            ))),
        }
    }
}

impl KeyKeeper for Keyring {
    fn create(&self) -> Result<(Key, KeeperRecord), VaultError> {
        let mut name = [0; 8];
        crate::random::fill(&mut name);
        let entry = format!("vault {:016x}", u64::from_le_bytes(name));
        let key = Key::random();
        let text = Zeroizing::new(STANDARD.encode(key.bytes()));
        Self::ask(&entry, move |entry| entry.set_secret(text.as_bytes()))?;
        Ok((key, KeeperRecord::Keyring { entry }))
    }

    fn find(&self, record: &KeeperRecord) -> Result<Key, VaultError> {
        let KeeperRecord::Keyring { entry } = record else {
            return Err(VaultError::OtherKeeper {
                keeper: record.clone(),
            });
        };
        let text = Self::ask(entry, |entry| entry.get_secret().map(Zeroizing::new))?;
        decode(&text)
            .ok_or_else(|| VaultError::Keyring(format!("its entry `{entry}` holds no key")))
    }

    fn forget(&self, record: &KeeperRecord) -> Result<(), VaultError> {
        let KeeperRecord::Keyring { entry } = record else {
            return Ok(());
        };
        Self::ask(entry, |entry| match entry.delete_credential() {
            Err(keyring_core::Error::NoEntry) => Ok(()),
            result => result,
        })
    }
}

#[cfg(target_os = "linux")]
fn system_keyring() -> keyring_core::Result<Arc<dyn CredentialStoreApi>> {
    Ok(zbus_secret_service_keyring_store::Store::new()?)
}

#[cfg(target_os = "macos")]
fn system_keyring() -> keyring_core::Result<Arc<dyn CredentialStoreApi>> {
    Ok(apple_native_keyring_store::keychain::Store::new()?)
}

#[cfg(windows)]
fn system_keyring() -> keyring_core::Result<Arc<dyn CredentialStoreApi>> {
    Ok(windows_native_keyring_store::Store::new()?)
}

#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
fn system_keyring() -> keyring_core::Result<Arc<dyn CredentialStoreApi>> {
    Err(keyring_core::Error::NoDefaultStore)
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
        crate::random::fill(&mut salt);
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

    /// Runs a test once more, in a process of its own, by way of `program`.
    fn start_again(program: &str, arguments: &[&str], bus: Option<&str>) -> bool {
        let mut command = std::process::Command::new(program);
        command
            .args(arguments)
            .args([
                "--exact",
                "vault::keeper::tests::the_keyring_keeps_keys_where_there_is_one_and_else_says_so",
            ])
            .env(
                "HOLSTER_TEST_KEYRING",
                if bus.is_some() { "none" } else { "real" },
            )
            .stdout(std::process::Stdio::null());
        if let Some(bus) = bus {
            command.env("DBUS_SESSION_BUS_ADDRESS", bus);
        }
        command.status().unwrap().success()
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_keyring_keeps_keys_where_there_is_one_and_else_says_so() {
        match std::env::var("HOLSTER_TEST_KEYRING").as_deref() {
            Ok("real") => {
                let (made, record) = Keyring.create().unwrap();
                let (other, newer) = Keyring.renew().unwrap();
                assert_ne!(record, newer);
                assert_eq!(Keyring.find(&record).unwrap().bytes(), made.bytes());
                assert_eq!(Keyring.find(&newer).unwrap().bytes(), other.bytes());
                Keyring.forget(&record).unwrap();
                let error = Keyring.find(&record).unwrap_err().to_string();
                assert!(error.contains("keyring"), "{error}");
                Keyring.forget(&record).unwrap();
                Keyring.forget(&newer).unwrap();
            }
            Ok(_) => {
                let begun = std::time::Instant::now();
                let error = Keyring.create().unwrap_err().to_string();
                assert!(
                    error.contains("the system's keyring does not serve"),
                    "{error}"
                );
                assert!(begun.elapsed() < PATIENCE);
            }
            Err(_) => {
                let this = std::env::current_exe().unwrap();
                let this = this.to_str().unwrap();
                assert!(start_again(this, &[], Some("unix:path=/nowhere")));
                let has = |name: &str| {
                    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
                        .any(|folder| folder.join(name).is_file())
                };
                // Debian: `apt-get install gnome-keyring dbus-daemon`.
                if has("gnome-keyring-daemon") && has("dbus-run-session") {
                    let home = tempfile::tempdir().unwrap();
                    let script = format!(
                        "export HOME={0} XDG_DATA_HOME={0} XDG_RUNTIME_DIR={0}; \
                         printf test | gnome-keyring-daemon --unlock --components=secrets >/dev/null && exec \"$@\"",
                        home.path().display()
                    );
                    let arguments = ["--", "sh", "-c", &script, "sh", this];
                    assert!(start_again("dbus-run-session", &arguments, None));
                }
            }
        }
    }

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
            let error = keeper
                .find(&KeeperRecord::KeyFile { number: None })
                .unwrap_err()
                .to_string();
            for part in ["master.key", "others than its owner", "chmod 600"] {
                assert!(error.contains(part), "{error}");
            }
        }
    }
}
