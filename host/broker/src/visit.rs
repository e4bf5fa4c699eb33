//! Visits: people who have shown this host who they are.
//!
//! What an issuer is at which they can do so, and what their browser brings along. How they do it is in
//! `broker/visit.rs`.

use holster_types::{ConnectionId, ProfileName, SecretString, ServerUrl, TenantId};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::{ConfiguredClient, OAuthError, Owner, VaultError};

/// Who has to show who they are before they may go on with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignIn {
    /// Everybody but the user of this machine, `local`.
    Others,
    /// Everybody.
    Everybody,
}

/// Somebody whom this host knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The user.
    pub tenant: TenantId,
    /// Whose accounts are theirs to use, where it is one profile alone.
    pub profile: Option<ProfileName>,
}

impl User {
    /// Whether the accounts of that owner are theirs.
    pub fn may_use(&self, owner: &Owner) -> bool {
        let is_limited = |profile: &ProfileName| *profile != owner.profile;
        self.tenant == owner.tenant && !self.profile.as_ref().is_some_and(is_limited)
    }
}

/// An issuer at which people sign in (OpenID Connect Core), and the client that this host is there.
#[derive(Debug, Clone)]
pub struct SignInIssuer {
    /// The issuer, letter by letter as it names itself.
    pub issuer: ServerUrl,
    /// The client that was registered there.
    pub client: ConfiguredClient,
}

/// A person on the way to an issuer.
#[derive(Debug)]
pub struct Departure {
    /// Where the browser goes. It holds a state, and is for that browser only.
    pub url: Url,
    /// What the browser brings back: sealed, below 3,000 plain characters.
    pub kept: SecretString,
}

/// A person who is back.
#[derive(Debug)]
pub struct Arrival {
    /// Who they are, as the issuer says. Not checked yet.
    pub id_token: SecretString,
    /// What the token has to hold as its `nonce`.
    pub nonce: SecretString,
    /// Where they wanted to go on.
    pub connection: ConnectionId,
}

/// Why a person did not sign in.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum SignInError {
    #[error("nobody is on the way with this state, in this browser, any more")]
    Unknown,
    #[error("the issuer did not let the person in: {0}")]
    Refused(String),
    #[error("the secret of the client for {issuer} cannot be read: {detail}")]
    ClientSecret { issuer: String, detail: String },
    #[error(transparent)]
    OAuth(#[from] OAuthError),
    #[error(transparent)]
    Vault(#[from] VaultError),
}
