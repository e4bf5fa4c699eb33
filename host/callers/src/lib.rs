//! Who calls: programs with a key, users with a token of an issuer that the operator trusts, and people who sign in.
//!
//! [`Callers::user`] says whose a request is by the key or the token that it brings; [`Callers::person`] says who a person
//! is who comes back from an issuer. Each is a tenant, or nobody: nothing is believed that is not a known key, or signed
//! by the issuer, for this very host, for now. What a caller may do is left to others.

#![forbid(unsafe_code)]

mod issuer;
mod key;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use holster_core::broker::{Arrival, SignInIssuer, User};
use holster_core::config::ServeConfig;
use holster_core::types::{IssuerName, KeyDigest, TenantId};

pub use issuer::{Issuers, TokenError};
pub use key::NewKey;

/// All who may call. By default nobody.
#[derive(Default)]
pub struct Callers {
    keys: HashMap<KeyDigest, User>,
    /// Those of them that may read what tells of all users.
    watching: HashSet<KeyDigest>,
    issuers: Issuers,
    /// Where people can sign in.
    sign_in: BTreeMap<IssuerName, SignInIssuer>,
}

/// Why a request is nobody's.
#[derive(Debug, Clone, thiserror::Error)]
pub enum UnknownCaller {
    /// It is no key of this host, which takes nothing else.
    #[error("this key is not known here")]
    Key,
    /// It is no token for this host.
    #[error("{0}")]
    Token(TokenError),
}

impl fmt::Debug for Callers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Callers")
    }
}

impl Callers {
    /// Those whom the configuration names.
    pub fn new(config: &ServeConfig) -> Self {
        let keys = config.keys.values().map(|key| {
            let user = User {
                tenant: key.tenant.clone(),
                profile: key.profile.clone(),
            };
            (key.sha256, user)
        });
        let watching = config.keys.values().filter(|key| key.metrics);
        let sign_in = config.issuers.iter().filter_map(|(name, issuer)| {
            let at = SignInIssuer {
                issuer: issuer.issuer.clone(),
                client: issuer.client.clone()?,
            };
            Some((name.clone(), at))
        });
        Self {
            keys: keys.collect(),
            watching: watching.map(|key| key.sha256).collect(),
            issuers: Issuers::new(&config.issuers),
            sign_in: sign_in.collect(),
        }
    }

    /// Whether nobody may call.
    pub fn are_none(&self) -> bool {
        self.keys.is_empty() && self.issuers.are_none()
    }

    /// Whether this is a key that may read what tells of all users: `metrics = true`.
    pub fn may_watch(&self, presented: &str) -> bool {
        self.watching.contains(&KeyDigest::of(presented))
    }

    /// Whose tokens are taken.
    pub fn issuers(&self) -> &Issuers {
        &self.issuers
    }

    /// Whose a key or a token is; a token is for this host if its audience is among `audiences`, unless the configuration
    /// names another one.
    pub async fn user(&self, presented: &str, audiences: &[String]) -> Result<User, UnknownCaller> {
        if let Some(user) = self.of_key(presented) {
            return Ok(user.clone());
        }
        if self.issuers.are_none() {
            return Err(UnknownCaller::Key);
        }
        self.issuers
            .user(presented, audiences)
            .await
            .map_err(UnknownCaller::Token)
    }

    /// Whose a key is.
    pub fn of_key(&self, presented: &str) -> Option<&User> {
        self.keys.get(&KeyDigest::of(presented))
    }

    /// Whether anybody has a key.
    pub fn have_keys(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Whether somebody has a key of that user.
    pub fn have_key_of(&self, tenant: &TenantId) -> bool {
        self.keys.values().any(|user| user.tenant == *tenant)
    }

    /// The issuers at which people can sign in, by name.
    pub fn sign_in(&self) -> &BTreeMap<IssuerName, SignInIssuer> {
        &self.sign_in
    }

    /// Who a person is who is back from the issuer of that name.
    pub async fn person(&self, issuer: &IssuerName, arrival: &Arrival) -> Result<User, TokenError> {
        let at = self.sign_in.get(issuer).ok_or(TokenError::Issuer)?;
        self.issuers.person(issuer, &at.client.id, arrival).await
    }
}
