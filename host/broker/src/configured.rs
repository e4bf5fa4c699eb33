//! Credentials of the configuration: where a secret is, never the secret itself.
//!
//! A profile names a variable or a file for each part of a secret; both are read when a call needs them, so that a
//! rotated secret is seen without a restart. A secret that stands in the configuration itself is refused.

use std::fmt;
use std::path::{Path, PathBuf};

use holster_types::{Scopes, SecretString};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use zeroize::Zeroize;

use crate::credential::{CredentialKind, CredentialSecret, InvalidSecret, is_label};
use crate::private::{self, PrivateFileError};
use crate::provider::ClientAuth;

/// The largest file with a secret, in bytes.
const MAX_FILE: u64 = 64 * 1024;

const NO_INLINE: &str = "a secret is never written into the configuration: name a variable, `{ env = \"NAME\" }`, or a \
                         file, `{ file = \"PATH\" }`, or put it into the vault with `holster auth add`";

/// `[profiles.NAME.credentials.PROVIDER]`: where the secret of a profile's account is.
///
/// One of `token`, `username` with `password`, `key` with `secret`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Fields")]
pub struct ConfiguredCredential {
    /// Where the parts of the secret are.
    pub secret: ConfiguredSecret,
    /// A label for the account, such as a login.
    pub account: Option<String>,
    /// What the secret is known to allow. `None`: it serves every requirement.
    pub scopes: Option<Scopes>,
}

/// Where the parts of a secret are, by kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfiguredSecret {
    /// An API key, or an access token that is used as it is.
    Token(SecretSource),
    /// A user name and a password.
    Basic {
        /// May stand in the configuration itself.
        username: Username,
        /// Where the password is.
        password: SecretSource,
    },
    /// A key that is sent and a secret that signs.
    KeyPair {
        /// Where the key is.
        key: SecretSource,
        /// Where the secret is.
        secret: SecretSource,
    },
}

/// The fields as they stand in the file.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(
    extend("oneOf" = [
        { "required": ["token"] },
        { "required": ["username", "password"] },
        { "required": ["key", "secret"] },
    ])
)]
struct Fields {
    /// An API key, or an access token that is used as it is.
    token: Option<SecretSource>,
    /// The user name of HTTP Basic.
    username: Option<Username>,
    /// The password of HTTP Basic.
    password: Option<SecretSource>,
    /// The key that is sent, of a key pair.
    key: Option<SecretSource>,
    /// The secret that signs, of a key pair.
    secret: Option<SecretSource>,
    /// A label for the account, such as a login. At most 256 characters.
    account: Option<String>,
    /// What the secret is known to allow. Left out: it serves every requirement.
    scopes: Option<Scopes>,
}

impl JsonSchema for ConfiguredCredential {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ConfiguredCredential".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Fields::json_schema(generator)
    }
}

impl TryFrom<Fields> for ConfiguredCredential {
    type Error = &'static str;

    fn try_from(fields: Fields) -> Result<Self, &'static str> {
        let Fields {
            token,
            username,
            password,
            key,
            secret,
            account,
            scopes,
        } = fields;
        let secret = match (token, username, password, key, secret) {
            (Some(token), None, None, None, None) => ConfiguredSecret::Token(token),
            (None, Some(username), Some(password), None, None) => {
                ConfiguredSecret::Basic { username, password }
            }
            (None, None, None, Some(key), Some(secret)) => {
                ConfiguredSecret::KeyPair { key, secret }
            }
            _ => {
                return Err(
                    "a credential is one of `token`, `username` with `password`, or `key` with `secret`",
                );
            }
        };
        if account.as_ref().is_some_and(|account| !is_label(account)) {
            return Err("`account` is 1 to 256 characters without control characters");
        }
        Ok(Self {
            secret,
            account,
            scopes,
        })
    }
}

/// `[providers.ID.client]`: the client that the operator registered with a provider.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfiguredClient {
    /// Its id, as the provider shows it.
    pub id: String,
    /// Where its secret is. Left out for a public client, which has none.
    #[serde(default)]
    pub secret: Option<SecretSource>,
    /// How it shows who it is, where that is not as the provider's file says.
    #[serde(default)]
    pub auth: Option<ClientAuth>,
}

impl ConfiguredClient {
    /// Makes the path in it relative to the folder of the configuration.
    pub fn resolve_paths(&mut self, folder: &Path) {
        if let Some(secret) = &mut self.secret {
            secret.resolve_path(folder);
        }
    }

    /// The file that the secret is in, if it is in one.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.secret.iter().filter_map(SecretSource::file)
    }

    /// Reads the secret, where there is one. May wait for a disk.
    pub(crate) fn read_secret(&self) -> Result<Option<SecretString>, SourceError> {
        self.secret.as_ref().map(SecretSource::read).transpose()
    }
}

impl ConfiguredCredential {
    /// Makes the paths in it relative to the folder of the configuration.
    pub fn resolve_paths(&mut self, folder: &Path) {
        match &mut self.secret {
            ConfiguredSecret::Token(token) => token.resolve_path(folder),
            ConfiguredSecret::Basic { username, password } => {
                if let Username::Source(username) = username {
                    username.resolve_path(folder);
                }
                password.resolve_path(folder);
            }
            ConfiguredSecret::KeyPair { key, secret } => {
                key.resolve_path(folder);
                secret.resolve_path(folder);
            }
        }
    }

    /// The kind of credential that this is.
    pub fn kind(&self) -> CredentialKind {
        match self.secret {
            ConfiguredSecret::Token(_) => CredentialKind::ApiKey,
            ConfiguredSecret::Basic { .. } => CredentialKind::Basic,
            ConfiguredSecret::KeyPair { .. } => CredentialKind::KeyPair,
        }
    }

    /// The label of the account: as configured, or else a user name that stands there in the open.
    pub fn account(&self) -> Option<&str> {
        match (&self.account, &self.secret) {
            (Some(account), _) => Some(account),
            (
                None,
                ConfiguredSecret::Basic {
                    username: Username::Open(username),
                    ..
                },
            ) => Some(username),
            (None, _) => None,
        }
    }

    /// Where the secret is, in words: ``the variable `SLACK_BOT_TOKEN` ``.
    pub fn place(&self) -> String {
        let sources: Vec<_> = self.sources().iter().map(ToString::to_string).collect();
        sources.join(" and ")
    }

    fn sources(&self) -> Vec<&SecretSource> {
        match &self.secret {
            ConfiguredSecret::Token(token) => vec![token],
            ConfiguredSecret::Basic {
                username: Username::Open(_),
                password,
            } => vec![password],
            ConfiguredSecret::Basic {
                username: Username::Source(username),
                password,
            } => vec![username, password],
            ConfiguredSecret::KeyPair { key, secret } => vec![key, secret],
        }
    }

    /// The files that parts of the secret are in.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.sources().into_iter().filter_map(SecretSource::file)
    }

    /// Whether reading it may wait for a disk.
    pub(crate) fn is_in_file(&self) -> bool {
        self.files().next().is_some()
    }

    /// Reads the secret from where it is. May wait for a disk.
    pub(crate) fn read(&self) -> Result<CredentialSecret, SourceError> {
        let secret = match &self.secret {
            ConfiguredSecret::Token(token) => CredentialSecret::Token(token.read()?),
            ConfiguredSecret::Basic { username, password } => CredentialSecret::Basic {
                username: match username {
                    Username::Open(username) => username.as_str().into(),
                    Username::Source(source) => source.read()?,
                },
                password: password.read()?,
            },
            ConfiguredSecret::KeyPair { key, secret } => CredentialSecret::KeyPair {
                key: key.read()?,
                secret: secret.read()?,
            },
        };
        secret.check().map_err(|reason| SourceError::Invalid {
            place: self.place(),
            reason,
        })?;
        Ok(secret)
    }
}

/// Where one part of a secret is: `{ env = "NAME" }` or `{ file = "PATH" }`.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub enum SecretSource {
    /// A variable of the host's environment.
    #[schemars(rename = "env")]
    Variable(String),
    /// A file that only its owner may read. One line break at its end does not count. At most 64 KiB.
    File(PathBuf),
}

impl SecretSource {
    fn file(&self) -> Option<&Path> {
        match self {
            Self::Variable(_) => None,
            Self::File(path) => Some(path),
        }
    }

    fn resolve_path(&mut self, folder: &Path) {
        if let Self::File(path) = self {
            *path = folder.join(&*path);
        }
    }

    fn read(&self) -> Result<SecretString, SourceError> {
        match self {
            Self::Variable(name) => match std::env::var(name) {
                Ok(value) if value.is_empty() => Err(SourceError::VariableEmpty(name.clone())),
                Ok(value) => Ok(value.into()),
                Err(std::env::VarError::NotPresent) => {
                    Err(SourceError::VariableMissing(name.clone()))
                }
                // The error of the standard library shows the value.
                Err(std::env::VarError::NotUnicode(_)) => {
                    Err(SourceError::NotText(self.to_string()))
                }
            },
            Self::File(path) => {
                let content = private::read(path, MAX_FILE).map_err(|error| SourceError::File {
                    path: path.clone(),
                    error,
                })?;
                let text = std::str::from_utf8(&content)
                    .map_err(|_| SourceError::NotText(self.to_string()))?;
                let text = text.strip_suffix('\n').unwrap_or(text);
                Ok(text.strip_suffix('\r').unwrap_or(text).into())
            }
        }
    }
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => write!(f, "the variable `{name}`"),
            Self::File(path) => write!(f, "the file {}", path.display()),
        }
    }
}

/// The user name of HTTP Basic: in the open, or from where secrets come from.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(untagged)]
pub enum Username {
    /// In the configuration itself.
    Open(String),
    /// For providers that take a key in its place.
    Source(SecretSource),
}

/// Why the secret cannot be had from where the configuration says it is. No text holds a secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    #[error("the variable `{0}` is not set")]
    VariableMissing(String),
    #[error("the variable `{0}` is empty")]
    VariableEmpty(String),
    #[error("{0} does not hold text in UTF-8")]
    NotText(String),
    #[error("the file {} does not serve: {error}", .path.display())]
    File {
        path: PathBuf,
        error: PrivateFileError,
    },
    #[error("what {place} holds does not serve: {reason}")]
    Invalid {
        place: String,
        reason: InvalidSecret,
    },
}

impl<'de> Deserialize<'de> for SecretSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SourceVisitor)
    }
}

impl<'de> Deserialize<'de> for Username {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UsernameVisitor)
    }
}

/// Written by hand because the derived messages would quote a secret that somebody wrote into the file.
struct SourceVisitor;

impl<'de> Visitor<'de> for SourceVisitor {
    type Value = SecretSource;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`{ env = \"NAME\" }` or `{ file = \"PATH\" }`")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SecretSource, A::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            env: Option<String>,
            file: Option<PathBuf>,
        }
        match Table::deserialize(MapAccessDeserializer::new(map))? {
            Table {
                env: Some(name),
                file: None,
            } => {
                if name.is_empty() || name.contains(['=', '\0']) {
                    return Err(A::Error::custom(
                        "`env` is the name of a variable: not empty, and without `=`",
                    ));
                }
                Ok(SecretSource::Variable(name))
            }
            Table {
                env: None,
                file: Some(path),
            } => Ok(SecretSource::File(path)),
            _ => Err(A::Error::custom("name one of `env` and `file`")),
        }
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<SecretSource, E> {
        Err(E::custom(NO_INLINE))
    }

    fn visit_string<E: Error>(self, mut text: String) -> Result<SecretSource, E> {
        text.zeroize();
        Err(E::custom(NO_INLINE))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<SecretSource, E> {
        Err(E::custom(NO_INLINE))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<SecretSource, E> {
        Err(E::custom(NO_INLINE))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<SecretSource, E> {
        Err(E::custom(NO_INLINE))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<SecretSource, E> {
        Err(E::custom(NO_INLINE))
    }
}

struct UsernameVisitor;

impl<'de> Visitor<'de> for UsernameVisitor {
    type Value = Username;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a user name, `{ env = \"NAME\" }` or `{ file = \"PATH\" }`")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Username, A::Error> {
        SourceVisitor.visit_map(map).map(Username::Source)
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Username, E> {
        Ok(Username::Open(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use holster_types::ExposeSecret;

    fn parse(text: &str) -> Result<ConfiguredCredential, toml::de::Error> {
        toml::from_str(text)
    }

    fn file(folder: &Path, content: &[u8], mode: u32) -> ConfiguredCredential {
        let path = folder.join("secret");
        let _ = std::fs::remove_file(&path);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let mut credential = parse("token = { file = 'secret' }").unwrap();
        credential.resolve_paths(folder);
        credential
    }

    #[test]
    fn a_credential_has_the_parts_of_one_kind() {
        for (text, kind) in [
            ("token = { env = 'A' }", Some(CredentialKind::ApiKey)),
            (
                "token = { file = 'a' }\naccount = 'me'\nscopes = ['read']",
                Some(CredentialKind::ApiKey),
            ),
            (
                "username = 'me'\npassword = { env = 'A' }",
                Some(CredentialKind::Basic),
            ),
            (
                "username = { env = 'B' }\npassword = { env = 'A' }",
                Some(CredentialKind::Basic),
            ),
            (
                "key = { env = 'A' }\nsecret = { env = 'B' }",
                Some(CredentialKind::KeyPair),
            ),
            ("", None),
            ("username = 'me'", None),
            ("key = { env = 'A' }", None),
            ("token = { env = 'A' }\nsecret = { env = 'B' }", None),
        ] {
            match (parse(text), kind) {
                (Ok(credential), Some(kind)) => assert_eq!(credential.kind(), kind, "{text}"),
                (Err(error), None) => {
                    let message = error.message();
                    assert!(message.contains("`key` with `secret`"), "{text}: {message}");
                }
                (result, _) => panic!("{text}: {result:?}"),
            }
        }
    }

    #[test]
    fn a_secret_in_the_configuration_is_refused_and_not_repeated() {
        for value in [
            "'planted'",
            "\"planted\"",
            "1234567",
            "-1234567",
            "12345.67",
            "true",
            "{ value = 'planted' }",
        ] {
            for part in ["token", "password", "key", "secret"] {
                let error = parse(&format!("{part} = {value}")).unwrap_err();
                let message = error.message();
                assert!(message.contains("env"), "{part} = {value}: {message}");
                assert!(
                    !message.contains("planted") && !message.contains("12345"),
                    "{message}"
                );
            }
        }
        let message = parse("token = 'planted'").unwrap_err().message().to_owned();
        assert!(message.contains("`holster auth add`"), "{message}");
    }

    #[test]
    fn a_source_is_a_variable_or_a_file() {
        for text in [
            "token = {}",
            "token = { env = 'A', file = 'b' }",
            "token = { env = '' }",
            "token = { env = 'A=B' }",
            "token = { enviroment = 'A' }",
            "token = []",
        ] {
            let error = parse(text).unwrap_err();
            assert!(
                error.message().contains("env"),
                "{text}: {}",
                error.message()
            );
        }
    }

    #[test]
    fn a_variable_is_read_when_the_secret_is_needed() {
        let credential = parse("token = { env = 'CARGO_PKG_NAME' }").unwrap();
        let CredentialSecret::Token(token) = credential.read().unwrap() else {
            panic!("not a token");
        };
        assert_eq!(token.expose_secret(), "holster-broker");

        let missing = parse("token = { env = 'HOLSTER_TEST_UNSET' }").unwrap();
        assert_eq!(
            missing.read().unwrap_err().to_string(),
            "the variable `HOLSTER_TEST_UNSET` is not set"
        );
    }

    #[test]
    fn a_file_is_read_without_the_line_break_at_its_end() {
        let folder = tempfile::tempdir().unwrap();
        for content in ["s3cret", "s3cret\n", "s3cret\r\n"] {
            let CredentialSecret::Token(token) = file(folder.path(), content.as_bytes(), 0o600)
                .read()
                .unwrap()
            else {
                panic!("not a token");
            };
            assert_eq!(token.expose_secret(), "s3cret", "{content:?}");
        }
    }

    #[test]
    fn a_file_that_does_not_serve_is_named_with_the_reason_and_never_quoted() {
        let folder = tempfile::tempdir().unwrap();
        for (content, mode, part) in [
            (&b"planted"[..], 0o644, "chmod 600"),
            (b"planted", 0o640, "others than its owner"),
            (b"", 0o600, "is empty"),
            (b"planted\nplanted", 0o600, "line break"),
            (b" planted", 0o600, "space at an end"),
            (b"planted\xff", 0o600, "UTF-8"),
            (&vec![b'x'; 64 * 1024 + 1], 0o600, "larger than"),
        ] {
            let error = file(folder.path(), content, mode)
                .read()
                .unwrap_err()
                .to_string();
            assert!(
                error.contains(part) && error.contains("secret"),
                "`{part}` is not in: {error}"
            );
            assert!(!error.contains("planted"), "{error}");
        }
        std::fs::remove_file(folder.path().join("secret")).unwrap();
        let mut credential = parse("token = { file = 'secret' }").unwrap();
        credential.resolve_paths(folder.path());
        let error = credential.read().unwrap_err().to_string();
        assert!(error.contains("No such file"), "{error}");
        credential = parse("token = { file = '.' }").unwrap();
        credential.resolve_paths(folder.path());
        assert!(
            credential
                .read()
                .unwrap_err()
                .to_string()
                .contains("not a file")
        );
    }

    #[test]
    fn a_user_name_in_the_open_is_the_label_of_its_account() {
        let text = "username = 'me@x.example'\npassword = { env = 'A' }";
        assert_eq!(parse(text).unwrap().account(), Some("me@x.example"));
        let labelled = format!("{text}\naccount = 'mine'");
        assert_eq!(parse(&labelled).unwrap().account(), Some("mine"));
        assert!(parse(&format!("{text}\naccount = \"a\\nb\"")).is_err());
    }

    #[test]
    fn the_schema_knows_the_three_kinds_and_no_secret_in_the_open() {
        let schema: serde_json::Value = schemars::schema_for!(ConfiguredCredential).into();
        assert_eq!(schema["oneOf"].as_array().unwrap().len(), 3);
        assert_eq!(schema["additionalProperties"], false);
        let text = schema.to_string();
        assert!(
            text.contains("\"env\"") && text.contains("\"file\""),
            "{text}"
        );
    }
}
