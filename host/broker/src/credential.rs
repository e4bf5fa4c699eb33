//! What a credential is made of, and what may be said about one.
//!
//! [`CredentialSecret`] is what a person enters and what the vault keeps; it is zeroed when dropped and prints as
//! `[redacted]`. A [`CredentialSummary`] is what lists show: everything but the secret.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use holster_types::{ExposeSecret, GrantSecret, ProfileName, ProviderId, Scopes, SecretString};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::BrokerError;

/// The longest part of a secret, in bytes.
const MAX_PART: usize = 64 * 1024;

/// The longest label of an account, in characters.
const MAX_ACCOUNT: usize = 256;

/// A way in which a provider lets somebody in.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    /// A person consents in the browser.
    Oauth2,
    /// A token or key that a person copies from the provider's settings.
    ApiKey,
    /// A user name and a password.
    Basic,
    /// A public key id, and a private key that signs.
    KeyPair,
    /// A client id and secret that are exchanged for tokens, without a person.
    ClientCredentials,
}

impl CredentialKind {
    const ALL: [Self; 5] = [
        Self::Oauth2,
        Self::ApiKey,
        Self::Basic,
        Self::KeyPair,
        Self::ClientCredentials,
    ];

    /// The name in files and lists.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Oauth2 => "oauth2",
            Self::ApiKey => "api_key",
            Self::Basic => "basic",
            Self::KeyPair => "key_pair",
            Self::ClientCredentials => "client_credentials",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl fmt::Display for CredentialKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The secret of a credential: what a person entered, or what an authorisation server gave.
#[derive(Clone)]
pub enum CredentialSecret {
    /// An API key, or an access token that is used as it is.
    Token(SecretString),
    /// A user name and a password. Some providers want a key in place of either, so both are secret.
    Basic {
        /// Without a colon (RFC 7617 §2).
        username: SecretString,
        /// May be empty where the user name is not, and the other way round.
        password: SecretString,
    },
    /// A key that is sent and a secret that signs.
    KeyPair {
        /// Sent with requests.
        key: SecretString,
        /// Signs, and is sent nowhere.
        secret: SecretString,
    },
    /// What a person's consent brought.
    OAuth(OAuthTokens),
    /// A client that lets itself in, without a person.
    ClientCredentials {
        /// The client's id.
        id: String,
        /// The client's secret.
        secret: SecretString,
        /// The access token that the two were exchanged for last.
        access: Option<SecretString>,
        /// What the provider's URLs need, such as a domain.
        variables: BTreeMap<String, String>,
    },
}

/// The tokens of one consent, and what is needed to renew them.
#[derive(Clone)]
pub struct OAuthTokens {
    /// Sent with requests.
    pub access: SecretString,
    /// Brings the next access token. `None`: a person has to consent again.
    pub refresh: Option<SecretString>,
    /// The private key that the tokens are bound to (RFC 9449), as the protocol writes it.
    pub dpop_key: Option<SecretString>,
    /// The client that the consent was given to.
    pub client: TokenClient,
    /// What the provider's URLs need, such as a domain.
    pub variables: BTreeMap<String, String>,
}

/// The client that tokens were given to. No other one can renew them.
#[derive(Clone)]
pub struct TokenClient {
    /// Its id.
    pub id: String,
    /// Its secret, where it was registered for this consent alone; else the configuration has it.
    pub secret: Option<SecretString>,
}

impl CredentialSecret {
    /// The kind that a credential with this secret has.
    pub fn kind(&self) -> CredentialKind {
        match self {
            Self::Token(_) => CredentialKind::ApiKey,
            Self::Basic { .. } => CredentialKind::Basic,
            Self::KeyPair { .. } => CredentialKind::KeyPair,
            Self::OAuth(_) => CredentialKind::Oauth2,
            Self::ClientCredentials { .. } => CredentialKind::ClientCredentials,
        }
    }

    /// Whether the parts can be sent and signed with. The error names the part, never its content.
    pub(crate) fn check(&self) -> Result<(), InvalidSecret> {
        let printable = |byte: u8| matches!(byte, b' '..=b'~');
        let sent = |part: &'static str, text: &SecretString, may_be_empty: bool| {
            let text = text.expose_secret();
            if text.is_empty() && !may_be_empty {
                return Err(InvalidSecret::Empty(part));
            }
            if text.len() > MAX_PART {
                return Err(InvalidSecret::TooLong(part));
            }
            Ok(())
        };
        // What travels in a header as it is must be able to: a line break in it would start another header.
        let header = |part: &'static str, text: &SecretString| {
            sent(part, text, false)?;
            let text = text.expose_secret();
            if !text.bytes().all(printable) || text.trim() != text {
                return Err(InvalidSecret::NotHeader(part));
            }
            Ok(())
        };
        match self {
            Self::Token(token) => header("token", token),
            Self::Basic { username, password } => {
                // Some providers take a key as the one, and nothing as the other.
                sent("username", username, !password.expose_secret().is_empty())?;
                sent("password", password, true)?;
                if username.expose_secret().contains(':') {
                    return Err(InvalidSecret::Colon);
                }
                // RFC 7617 §2: neither may contain control characters.
                for (part, text) in [("username", username), ("password", password)] {
                    if text.expose_secret().contains(char::is_control) {
                        return Err(InvalidSecret::Control(part));
                    }
                }
                Ok(())
            }
            Self::KeyPair { key, secret } => {
                header("key", key)?;
                sent("secret", secret, false)
            }
            Self::OAuth(tokens) => {
                header("access token", &tokens.access)?;
                for (part, text) in [
                    ("refresh token", &tokens.refresh),
                    ("DPoP key", &tokens.dpop_key),
                    ("client secret", &tokens.client.secret),
                ] {
                    text.as_ref()
                        .map_or(Ok(()), |text| sent(part, text, false))?;
                }
                public_parts(&tokens.client.id, &tokens.variables)
            }
            Self::ClientCredentials {
                id,
                secret,
                access,
                variables,
            } => {
                sent("client secret", secret, false)?;
                if let Some(access) = access {
                    header("access token", access)?;
                }
                public_parts(id, variables)
            }
        }
    }

    /// The secret as a grant carries it; `None` for a client that was not exchanged for a token yet.
    pub(crate) fn grant(&self) -> Option<GrantSecret> {
        Some(match self {
            Self::Token(token) => GrantSecret::Token(token.clone()),
            Self::Basic { username, password } => {
                let (username, password) = (username.expose_secret(), password.expose_secret());
                // Sized at once: a growing buffer would leave copies behind.
                let mut joined =
                    Zeroizing::new(String::with_capacity(username.len() + 1 + password.len()));
                joined.push_str(username);
                joined.push(':');
                joined.push_str(password);
                GrantSecret::Basic(STANDARD.encode(joined.as_bytes()).into())
            }
            Self::KeyPair { key, secret } => GrantSecret::KeyPair {
                key: key.clone(),
                secret: secret.clone(),
            },
            Self::OAuth(tokens) => GrantSecret::Token(tokens.access.clone()),
            Self::ClientCredentials { access, .. } => GrantSecret::Token(access.clone()?),
        })
    }

    /// Whether there is something to send already.
    pub(crate) fn has_access(&self) -> bool {
        !matches!(self, Self::ClientCredentials { access: None, .. })
    }

    /// What the next access token is asked for with, where there is such a thing.
    pub(crate) fn renewed_with(&self) -> Option<&SecretString> {
        match self {
            Self::OAuth(tokens) => tokens.refresh.as_ref(),
            Self::ClientCredentials { secret, .. } => Some(secret),
            Self::Token(_) | Self::Basic { .. } | Self::KeyPair { .. } => None,
        }
    }

    /// What is sealed. The first kinds are their parts, in the order in which [`CredentialSecret::from_parts`] takes
    /// them; the later ones, with parts that may be missing, are names with values by turns.
    pub(crate) fn parts(&self) -> Vec<Cow<'_, str>> {
        match self {
            Self::Token(token) => vec![token.expose_secret().into()],
            Self::Basic { username, password } => {
                vec![
                    username.expose_secret().into(),
                    password.expose_secret().into(),
                ]
            }
            Self::KeyPair { key, secret } => {
                vec![key.expose_secret().into(), secret.expose_secret().into()]
            }
            Self::OAuth(tokens) => named_parts(
                &[
                    (ACCESS, Some(&tokens.access)),
                    (REFRESH, tokens.refresh.as_ref()),
                    (DPOP_KEY, tokens.dpop_key.as_ref()),
                    (CLIENT_SECRET, tokens.client.secret.as_ref()),
                ],
                &tokens.client.id,
                &tokens.variables,
            ),
            Self::ClientCredentials {
                id,
                secret,
                access,
                variables,
            } => named_parts(
                &[(ACCESS, access.as_ref()), (CLIENT_SECRET, Some(secret))],
                id,
                variables,
            ),
        }
    }

    /// The secret of a kind from its parts; `None` if they are not the parts of that kind.
    pub(crate) fn from_parts(kind: CredentialKind, parts: Vec<SecretString>) -> Option<Self> {
        match kind {
            CredentialKind::Oauth2 => {
                let mut named = NamedParts::new(parts)?;
                let tokens = OAuthTokens {
                    access: named.take(ACCESS)?,
                    refresh: named.take(REFRESH),
                    dpop_key: named.take(DPOP_KEY),
                    client: TokenClient {
                        id: named.take(CLIENT_ID)?.expose_secret().to_owned(),
                        secret: named.take(CLIENT_SECRET),
                    },
                    variables: named.variables()?,
                };
                return Some(Self::OAuth(tokens));
            }
            CredentialKind::ClientCredentials => {
                let mut named = NamedParts::new(parts)?;
                return Some(Self::ClientCredentials {
                    id: named.take(CLIENT_ID)?.expose_secret().to_owned(),
                    secret: named.take(CLIENT_SECRET)?,
                    access: named.take(ACCESS),
                    variables: named.variables()?,
                });
            }
            CredentialKind::ApiKey | CredentialKind::Basic | CredentialKind::KeyPair => {}
        }
        let mut parts = parts.into_iter();
        let (first, second, more) = (parts.next(), parts.next(), parts.next());
        match (kind, first, second, more) {
            (CredentialKind::ApiKey, Some(token), None, None) => Some(Self::Token(token)),
            (CredentialKind::Basic, Some(username), Some(password), None) => {
                Some(Self::Basic { username, password })
            }
            (CredentialKind::KeyPair, Some(key), Some(secret), None) => {
                Some(Self::KeyPair { key, secret })
            }
            _ => None,
        }
    }
}

const ACCESS: &str = "access";
const REFRESH: &str = "refresh";
const DPOP_KEY: &str = "dpop_key";
const CLIENT_ID: &str = "client_id";
const CLIENT_SECRET: &str = "client_secret";
/// Before the name of a variable.
const VARIABLE: &str = "variable/";

fn named_parts<'a>(
    secrets: &[(&'a str, Option<&'a SecretString>)],
    client: &'a str,
    variables: &'a BTreeMap<String, String>,
) -> Vec<Cow<'a, str>> {
    let mut parts = vec![CLIENT_ID.into(), client.into()];
    for (name, secret) in secrets {
        if let Some(secret) = secret {
            parts.extend([Cow::from(*name), secret.expose_secret().into()]);
        }
    }
    for (name, value) in variables {
        parts.extend([format!("{VARIABLE}{name}").into(), value.as_str().into()]);
    }
    parts
}

/// Parts by their names. Each is taken once, and none may be left over: an older Holster must not drop on the next
/// refresh what a newer one wrote.
struct NamedParts(BTreeMap<String, SecretString>);

impl NamedParts {
    fn new(parts: Vec<SecretString>) -> Option<Self> {
        let mut named = BTreeMap::new();
        let mut parts = parts.into_iter();
        while let Some(name) = parts.next() {
            let twice = named.insert(name.expose_secret().to_owned(), parts.next()?);
            if twice.is_some() {
                return None;
            }
        }
        Some(Self(named))
    }

    fn take(&mut self, name: &str) -> Option<SecretString> {
        self.0.remove(name)
    }

    /// What is left: variables, and nothing else.
    fn variables(self) -> Option<BTreeMap<String, String>> {
        let variable = |(name, value): (String, SecretString)| {
            let name = name.strip_prefix(VARIABLE)?.to_owned();
            Some((name, value.expose_secret().to_owned()))
        };
        self.0.into_iter().map(variable).collect()
    }
}

/// What is no secret, but is kept and sent with one.
fn public_parts(client: &str, variables: &BTreeMap<String, String>) -> Result<(), InvalidSecret> {
    if client.is_empty() {
        return Err(InvalidSecret::Empty("client id"));
    }
    let fits = |text: &str| text.len() <= MAX_PART;
    if !fits(client) {
        return Err(InvalidSecret::TooLong("client id"));
    }
    if !variables
        .iter()
        .all(|(name, value)| fits(name) && fits(value))
    {
        return Err(InvalidSecret::TooLong("value of a variable"));
    }
    Ok(())
}

impl fmt::Debug for CredentialSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token(_) => "Token([redacted])",
            Self::Basic { .. } => "Basic([redacted])",
            Self::KeyPair { .. } => "KeyPair([redacted])",
            Self::OAuth(_) => "OAuth([redacted])",
            Self::ClientCredentials { .. } => "ClientCredentials([redacted])",
        })
    }
}

impl fmt::Debug for OAuthTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OAuthTokens([redacted])")
    }
}

impl fmt::Debug for TokenClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenClient([redacted])")
    }
}

/// Why the parts of a secret cannot be used. Names the part, never shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecret {
    /// There is nothing in it.
    #[error("the {0} is empty")]
    Empty(&'static str),
    /// More than 64 KiB.
    #[error("the {0} is longer than 64 KiB")]
    TooLong(&'static str),
    /// It cannot stand in a header.
    #[error(
        "the {0} has a line break, a space at an end, or a character that is not printable ASCII: \
         copy it again, without what stands around it"
    )]
    NotHeader(&'static str),
    /// HTTP Basic separates the two by a colon.
    #[error("the username has a colon in it, which HTTP Basic cannot carry")]
    Colon,
    /// HTTP Basic forbids them.
    #[error(
        "the {0} has a control character in it, such as a line break, which HTTP Basic cannot carry"
    )]
    Control(&'static str),
}

/// A credential that is to be added to the vault.
#[derive(Debug, Clone)]
pub struct NewCredential {
    /// The secret itself.
    pub secret: CredentialSecret,
    /// A label for the account, such as a login. At most 256 characters, none of them a control character.
    pub account: Option<String>,
    /// What the secret is known to allow. `None`: nobody said, and it serves every requirement.
    pub scopes: Option<Scopes>,
    /// When it expires, in seconds since the Unix epoch. `None`: never, or nobody said.
    pub expires_at: Option<u64>,
}

impl NewCredential {
    /// A credential of which no more is known than its secret.
    pub fn new(secret: CredentialSecret) -> Self {
        Self {
            secret,
            account: None,
            scopes: None,
            expires_at: None,
        }
    }

    pub(crate) fn check(&self, provider: &ProviderId) -> Result<(), BrokerError> {
        self.secret
            .check()
            .map_err(|reason| BrokerError::InvalidSecret {
                provider: provider.clone(),
                reason,
            })?;
        match &self.account {
            Some(account) if !is_label(account) => Err(BrokerError::InvalidAccount),
            _ => Ok(()),
        }
    }
}

pub(crate) fn is_label(account: &str) -> bool {
    !account.trim().is_empty()
        && account.chars().count() <= MAX_ACCOUNT
        && !account.contains(char::is_control)
}

/// What adding did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// There was no such credential before.
    New,
    /// The one before is forgotten.
    Replaced,
}

/// Where a credential comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "source", rename_all = "snake_case")]
pub enum Source {
    /// The configuration names where the secret is.
    Configured {
        /// For example ``the variable `SLACK_BOT_TOKEN` ``.
        place: String,
    },
    /// The vault holds it.
    Vault,
}

/// All that may be shown of a credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CredentialSummary {
    /// Whose it is.
    pub profile: ProfileName,
    /// Who issued it.
    pub provider: ProviderId,
    /// What it is.
    pub kind: CredentialKind,
    /// The account's label, where it is known.
    pub account: Option<String>,
    /// What it allows; `None` where nobody said.
    pub scopes: Option<Scopes>,
    /// Seconds since the Unix epoch.
    pub expires_at: Option<u64>,
    /// Seconds since the Unix epoch; `None` for a configured credential.
    pub created_at: Option<u64>,
    /// Seconds since the Unix epoch; `None` for a configured credential.
    pub updated_at: Option<u64>,
    /// Where the secret is.
    #[serde(flatten)]
    pub source: Source,
    /// Why it cannot be used now, and what to do.
    pub problem: Option<String>,
}

/// A profile, and how much there is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProfileSummary {
    /// Its name.
    pub name: ProfileName,
    /// Whether the configuration names it.
    pub configured: bool,
    /// How many credentials it has, from the configuration and from the vault.
    pub credentials: usize,
}
