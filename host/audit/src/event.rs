//! What a line says. No line holds arguments, answers or secrets.

use std::time::SystemTime;

use holster_types::{
    ComponentHash, ComponentName, ProfileName, ProviderId, TenantId, ThreadId, ToolName,
};
use serde::{Deserialize, Serialize};

use crate::chain::Hash;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Counts the lines of the chain, from 1.
    pub number: u64,
    /// The hash of the line before; zeros in the first one.
    pub previous: Hash,
    /// When it happened: UTC, to the millisecond (RFC 3339).
    #[serde(with = "time")]
    pub at: SystemTime,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A call has ended.
    Call(CallEvent),
    /// Something was done with a credential.
    Credential(CredentialEvent),
    /// A person approved a component, so that it may use what is granted to its name.
    Approved {
        /// Which, and what was in it.
        component: CalledComponent,
    },
    /// Lines could not be written in time, and are lost.
    Lost {
        /// How many.
        lines: u64,
    },
    /// The log was shorter than this process had left it: somebody cut off its end.
    Cut {
        /// The number of the last line that this process had seen.
        last: u64,
        /// The hash of that line.
        hash: Hash,
    },
}

/// A call, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallEvent {
    /// The user that it was for.
    pub tenant: TenantId,
    /// The conversation that it belonged to.
    pub thread: ThreadId,
    /// The profile that it named, or had to have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<ProfileName>,
    /// What was called.
    pub tool: ToolName,
    /// What ran, or would have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component: Option<CalledComponent>,
    /// The accounts that were at its disposal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<AccountActed>,
    /// Where its requests went, or were to go.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<VisitedHost>,
    /// `finished`, `interrupted`, `failed` or `cancelled`.
    pub ended: String,
    /// Why there is no answer, where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// From the arrival of the call to its end, in microseconds.
    pub duration_us: u64,
}

/// A component, and its content at the time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalledComponent {
    /// Its name.
    pub name: ComponentName,
    /// Its content.
    pub hash: ComponentHash,
}

/// An account that was at a tool's disposal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountActed {
    /// Where it is.
    pub provider: ProviderId,
    /// Whose persona it belongs to.
    pub profile: ProfileName,
    /// Its label, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
}

/// The requests of a call to one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VisitedHost {
    /// `scheme://host:port`.
    pub origin: String,
    /// How many requests were sent.
    pub requests: u32,
    /// How many did not leave.
    pub refused: u32,
}

/// What was done with a credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialEvent {
    /// What.
    pub action: Action,
    /// The user whose it is.
    pub tenant: TenantId,
    /// The persona of the user.
    pub profile: ProfileName,
    /// Where the account is.
    pub provider: ProviderId,
    /// Its label, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Which writing of it in the vault; 0 for one of the configuration.
    pub generation: i64,
}

/// What can be done with a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It was given to a call.
    Used,
    /// It was written, in place of the one before.
    Stored,
    /// The provider renewed it.
    Refreshed,
    /// The provider ended it.
    Ended,
    /// It was deleted.
    Removed,
    /// It came from another vault.
    Imported,
}

impl Action {
    /// What was done, in a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Used => "used",
            Self::Stored => "stored",
            Self::Refreshed => "refreshed",
            Self::Ended => "ended",
            Self::Removed => "removed",
            Self::Imported => "imported",
        }
    }
}

impl Event {
    /// The user that it is about, if it is about one.
    pub fn tenant(&self) -> Option<&TenantId> {
        match self {
            Self::Call(call) => Some(&call.tenant),
            Self::Credential(credential) => Some(&credential.tenant),
            Self::Approved { .. } | Self::Lost { .. } | Self::Cut { .. } => None,
        }
    }
}

mod time {
    use std::time::SystemTime;

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(at: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&humantime::format_rfc3339_millis(*at))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SystemTime, D::Error> {
        let text = String::deserialize(from)?;
        humantime::parse_rfc3339(&text).map_err(D::Error::custom)
    }
}
