//! Connections: attempts of a person to authorise.
//!
//! What a connection is, what its page shows and what a browser may send. How one goes on is in
//! `broker/connect.rs`; where it is kept, in the vault. An agent sees its id and its page's address, neither of
//! which authorises anything.

use std::collections::BTreeMap;
use std::fmt;

use holster_types::{ConnectionId, ProviderId, Scopes, SecretString, ThreadId};
use serde::Serialize;
use url::Url;

use crate::provider::{Provider, Redirect};
use crate::{BrokerError, CredentialKind, InvalidSecret, Owner, SignIn, User};

/// One attempt of a person to authorise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Connection {
    /// Its name in addresses.
    pub id: ConnectionId,
    /// Whose account it will be.
    #[serde(flatten)]
    pub owner: Owner,
    /// Who issues the credential.
    pub provider: ProviderId,
    /// All scopes that are asked for.
    pub scopes: Scopes,
    /// How far it is.
    #[serde(flatten)]
    pub state: ConnectionState,
    /// Seconds since the Unix epoch.
    pub created_at: u64,
    /// Seconds since the Unix epoch: from then on it leads nowhere.
    pub expires_at: u64,
}

/// How far a connection is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ConnectionState {
    /// Nobody has acted on its page.
    Created,
    /// A person has: the provider's answer is awaited.
    Waiting,
    /// The credential is in the vault.
    Connected {
        /// The account's label, where it is known.
        account: Option<String>,
    },
    /// The person or the provider said no, or the answer could not be used.
    Refused {
        /// Why, as a sentence without a full stop.
        reason: String,
    },
    /// Nobody acted in time.
    Expired,
}

impl ConnectionState {
    /// Whether nothing will change any more.
    pub fn is_over(&self) -> bool {
        !matches!(self, Self::Created | Self::Waiting)
    }
}

impl fmt::Display for ConnectionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Created => f.write_str("has not been opened"),
            Self::Waiting => f.write_str("waits for the provider's answer"),
            Self::Connected { account: None } => f.write_str("is connected"),
            Self::Connected {
                account: Some(account),
            } => write!(f, "is connected as {account}"),
            Self::Refused { reason } => write!(f, "was refused: {reason}"),
            Self::Expired => f.write_str("has expired"),
        }
    }
}

/// What is to be connected.
#[derive(Debug, Clone)]
pub struct NewConnection {
    /// Whose account it will be.
    pub owner: Owner,
    /// The conversation that waits for it.
    pub thread: ThreadId,
    /// Who issues the credential.
    pub provider: ProviderId,
    /// What tools need there. What an account has already is asked for besides.
    pub scopes: Scopes,
}

/// Where this host's connect pages are, as browsers see them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectAddress {
    /// For example `http://127.0.0.1:4657/` or `https://holster.example.com/`.
    pub url: Url,
    /// Whether the operator chose the address, so that it can be registered with a provider.
    pub chosen: bool,
    /// Who has to show who they are there.
    pub sign_in: SignIn,
}

impl ConnectAddress {
    /// The page of a connection, at the host name that the provider will send the browser back to, since the cookie
    /// that binds the two is for that name alone.
    pub fn page(&self, provider: &Provider, id: &ConnectionId) -> Url {
        self.join(provider, &format!("connect/{id}"))
    }

    /// Where the provider sends the browser back to; no two providers share one (RFC 9700 §4.4.2).
    pub(crate) fn redirect(&self, provider: &Provider) -> Result<Url, NoRedirect> {
        let oauth = provider.oauth.as_ref().ok_or(NoRedirect::NotByBrowser)?;
        match oauth.redirect {
            Redirect::HttpsOnly if self.url.scheme() != "https" => Err(NoRedirect::HttpsOnly),
            Redirect::FixedPort | Redirect::LocalhostFixedPort if !self.chosen => {
                Err(NoRedirect::FixedPort)
            }
            _ => Ok(self.join(provider, &format!("callback/{}", provider.id))),
        }
    }

    fn join(&self, provider: &Provider, path: &str) -> Url {
        let mut url = self.url.join(path).expect("a path of plain characters");
        let by_name = provider.oauth.as_ref().is_some_and(|oauth| {
            matches!(
                oauth.redirect,
                Redirect::Localhost | Redirect::LocalhostFixedPort
            )
        });
        if by_name && self.is_loopback() {
            url.set_host(Some("localhost")).expect("a valid host");
        }
        url
    }

    fn is_loopback(&self) -> bool {
        match self.url.host() {
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            Some(url::Host::Domain(_)) | None => false,
        }
    }
}

/// Why a provider cannot send the browser back to this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoRedirect {
    #[error("it has no page to consent on")]
    NotByBrowser,
    #[error(
        "it sends browsers back to a public https address only; set `public_url` in `[connect]`"
    )]
    HttpsOnly,
    #[error(
        "it sends browsers back to one registered port only; register an address with it, and set `address` in \
         `[connect]`"
    )]
    FixedPort,
}

/// The browser that a person acts in, by the random value of its cookie, and what shows who the person is.
#[derive(Clone)]
pub struct Browser {
    cookie: SecretString,
    visit: Option<SecretString>,
}

impl Browser {
    /// A browser that was not seen before.
    pub fn new() -> Self {
        Self {
            cookie: crate::random::token(),
            visit: None,
        }
    }

    /// The browser of a cookie's value; `None` if it cannot be one of ours.
    pub fn from_cookie(value: &str) -> Option<Self> {
        crate::random::is_token(value).then(|| Self {
            cookie: value.into(),
            visit: None,
        })
    }

    /// The same with what it kept when its person [signed in](crate::Broker::sign_in), genuine or not.
    #[must_use]
    pub fn with_visit(self, visit: Option<SecretString>) -> Self {
        Self { visit, ..self }
    }

    /// The value of the cookie.
    pub fn cookie(&self) -> &SecretString {
        &self.cookie
    }

    pub(crate) fn visit(&self) -> Option<&SecretString> {
        self.visit.as_ref()
    }
}

impl Default for Browser {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Browser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Browser([redacted])")
    }
}

/// All that the page of a connection shows.
#[derive(Debug, Clone)]
pub struct ConnectPage {
    /// The connection.
    pub connection: Connection,
    /// The provider's name for people.
    pub title: String,
    /// Where the vendor explains it.
    pub doc_url: String,
    /// What a person enters, and where they find it.
    pub hint: Option<String>,
    /// The account that is connected already, and that this one will take the place of.
    pub replaces: Option<String>,
    /// What the person can do.
    pub stage: Stage,
}

/// What a person can do on the page of a connection.
#[derive(Debug, Clone)]
pub enum Stage {
    /// Choose a way in.
    Choose {
        /// The ways in, the best first.
        ways: Vec<Way>,
        /// Ways that this installation does not offer, each with the reason.
        closed: Vec<String>,
    },
    /// Enter a code at the provider, on any device.
    Code(DeviceCode),
    /// Show who they are. Until then the page is nobody's, and has nothing to tell.
    SignIn,
    /// Nothing: it is another user's.
    Stranger {
        /// Who they are.
        visitor: User,
    },
    /// Nothing: it was opened in another browser.
    Elsewhere,
    /// Nothing: it is over.
    Over,
}

/// A way in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// Consent on the provider's page, in this browser.
    Consent {
        /// Where that page is: a host name.
        host: String,
        /// What the provider's addresses depend on.
        variables: Vec<Field>,
    },
    /// Consent on another device, with a code.
    Device {
        /// What the provider's addresses depend on.
        variables: Vec<Field>,
    },
    /// Enter a secret here.
    Enter {
        /// What it is.
        kind: CredentialKind,
        /// Its parts, and what the provider's addresses depend on.
        fields: Vec<Field>,
    },
}

/// A field of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name in the answer.
    pub name: String,
    /// What it is called.
    pub label: String,
    /// What it may look like.
    pub example: Option<String>,
    /// All that it may be; empty where it may be anything.
    pub choices: Vec<String>,
    /// What it is unless the person says otherwise. Never a secret.
    pub value: String,
    /// Whether it must not be shown.
    pub secret: bool,
    /// Whether it may be left empty.
    pub optional: bool,
}

/// A code that a person enters at the provider (RFC 8628).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceCode {
    /// What they enter.
    pub user_code: String,
    /// Where.
    pub verification_url: String,
    /// The same with the code in it, where the provider gives one.
    pub complete_url: Option<String>,
    /// Seconds since the Unix epoch.
    pub expires_at: u64,
}

/// What a person chose on the page: a way in, with the fields of its form by name.
#[derive(Debug)]
pub struct Choice {
    /// Which way.
    pub way: ChosenWay,
    /// What was entered.
    pub fields: BTreeMap<String, SecretString>,
}

/// Which way a person chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChosenWay {
    /// [`Way::Consent`]
    Consent,
    /// [`Way::Device`]
    Device,
    /// [`Way::Enter`]
    Enter(CredentialKind),
}

/// What comes after a choice.
#[derive(Debug)]
pub enum Begun {
    /// The browser goes to the provider. The address is for the person's browser only.
    Leave(Url),
    /// The page shows a code.
    Code(DeviceCode),
    /// It is over, and the page says how it ended.
    Over,
}

/// Why a choice was not taken. The connection stays as it was.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum ChoiceError {
    #[error("there is no such connection (any more)")]
    Unknown,
    #[error("show who you are first")]
    SignIn,
    #[error("this connection is another user's")]
    Stranger,
    #[error("this connection was opened in another browser; ask for a new one")]
    Elsewhere,
    #[error("this connection is over: it {0}")]
    Over(ConnectionState),
    #[error("that way in is not open here: {0}")]
    Closed(String),
    #[error("{label}: {reason}")]
    Field { label: String, reason: String },
    #[error("{0}")]
    Secret(InvalidSecret),
    #[error(
        "{title} does not accept it: {reason}; see that it was copied whole, and that it is still valid"
    )]
    NotAccepted { title: String, reason: String },
    #[error("{title} cannot be asked now: {reason}; try again")]
    Unreachable { title: String, reason: String },
    #[error(
        "{title} does not let this host ask: {reason}; who runs it has to look at the client that is registered there"
    )]
    Misconfigured { title: String, reason: String },
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

/// What a provider's redirect brought along.
#[derive(Debug, Default)]
pub struct Callback {
    /// The state that was sent.
    pub state: Option<SecretString>,
    /// The code.
    pub code: Option<SecretString>,
    /// Who answers (RFC 9207).
    pub iss: Option<String>,
    /// Why there is no code.
    pub error: Option<String>,
    /// The same for people.
    pub error_description: Option<String>,
}

/// What became of an account that was disconnected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Disconnected {
    /// Forgotten here and by the provider.
    Revoked,
    /// Forgotten here; the provider could not be reached, and will be asked again.
    RevokedLater,
    /// Forgotten here; the provider was told, and refused.
    NotRevoked,
    /// Forgotten here; the provider has no way to be told.
    Forgotten,
}
