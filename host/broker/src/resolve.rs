//! What stands between a tool and its accounts.
//!
//! [`Unmet`] lists everything that is missing at once, so that a person acts once. Each entry says why, and the
//! command that helps. How an interrupt reaches the agent is left to the fronts.

use std::fmt;

use holster_types::{ConnectionId, ProfileName, ProviderId, Scopes};
use serde::Serialize;

/// The requirements of a tool that no credential serves; never empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Unmet {
    pub(crate) missing: Vec<Missing>,
}

impl Unmet {
    /// What is missing, one entry for each provider, in the order of the requirements.
    pub fn missing(&self) -> &[Missing] {
        &self.missing
    }

    /// The connections that were begun for what is missing.
    pub fn connections(&self) -> Vec<ConnectionId> {
        let begun = self.missing.iter();
        begun
            .filter_map(|missing| missing.connection.clone())
            .collect()
    }

    /// Whether something is missing only because it was not said which account is meant.
    pub fn is_ambiguous(&self) -> bool {
        self.missing
            .iter()
            .any(|missing| matches!(missing.reason, Reason::Ambiguous { .. }))
    }
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, missing) in self.missing.iter().enumerate() {
            if position > 0 {
                f.write_str("\n")?;
            }
            missing.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Unmet {}

/// One provider that a tool needs and that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// The provider.
    pub provider: ProviderId,
    /// The profile that the tool was called for.
    pub profile: ProfileName,
    /// All scopes that the tool needs there.
    pub scopes: Scopes,
    /// Why there is no grant.
    #[serde(flatten)]
    pub reason: Reason,
    /// What a person can do, as part of a sentence: ``run `holster auth connect slack --profile work` ``.
    pub remedy: String,
    /// The connection that was begun for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            provider,
            profile,
            reason,
            remedy,
            ..
        } = self;
        match reason {
            Reason::Ambiguous { .. } => write!(f, "`{provider}` {reason}; {remedy}"),
            _ => write!(f, "`{provider}` for profile `{profile}` {reason}; {remedy}"),
        }
    }
}

/// Why a provider cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Reason {
    /// The profile has no account there.
    NotConnected,
    /// Several profiles have an account there, and nothing says which is meant.
    Ambiguous {
        /// The profiles.
        profiles: Vec<ProfileName>,
    },
    /// The account was not given all that the tool needs.
    LacksScopes {
        /// The scopes that the credential does not have.
        missing: Scopes,
    },
    /// The credential is over.
    Expired {
        /// When it ended, in seconds since the Unix epoch.
        at: u64,
    },
    /// The provider no longer accepts the credential and will not renew it.
    Ended,
    /// The access token is over, and there is no other one yet.
    NotRenewed {
        /// Why not.
        detail: String,
    },
    /// No access token was fetched yet with the client's id and secret.
    NoToken,
    /// There is a credential, but it cannot be read.
    Unreadable {
        /// What is wrong with the variable, the file or the row of the vault.
        detail: String,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConnected => f.write_str("is not connected"),
            Self::Ambiguous { profiles } => write!(
                f,
                "could be served by the profiles {}",
                crate::error::listed(profiles)
            ),
            Self::LacksScopes { missing } if missing.len() == 1 => {
                write!(f, "lacks the scope {missing}")
            }
            Self::LacksScopes { missing } => write!(f, "lacks the scopes {missing}"),
            Self::Expired { .. } => f.write_str("has expired"),
            Self::Ended => f.write_str("was ended by the provider"),
            Self::NotRenewed { detail } => write!(f, "has expired, and {detail}"),
            Self::NoToken => f.write_str("has no access token yet"),
            Self::Unreadable { detail } => write!(f, "cannot be read: {detail}"),
        }
    }
}
