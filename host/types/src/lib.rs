//! The words that every part of the host shares: names, scopes, hosts, addresses, grants.
//!
//! A value of one of these types is valid: it was parsed once, at the edge, and nothing re-checks it.
//! What a word *means* stands beside its type; how it is stored, resolved or enforced is left to the
//! crates that do so. Nothing here does I/O.

#![forbid(unsafe_code)]

mod address;
mod grant;
mod hash;
mod host_pattern;
mod host_rule;
mod key_digest;
mod name;
mod scopes;
mod server_url;

pub use address::Reach;
pub use grant::{CredentialHeader, Grant, GrantSecret, Proof};
pub use hash::{ComponentHash, InvalidHash};
pub use host_pattern::{HostPattern, InvalidHostPattern};
pub use host_rule::HostRule;
pub use key_digest::{InvalidDigest, KeyDigest};
pub use name::{
    ComponentName, ConnectionId, InvalidName, IssuerName, ProfileName, ProviderId, TenantId,
    ThreadId, ToolName,
};
pub use scopes::{Requirement, Scopes};
pub use server_url::{InvalidServerUrl, ServerUrl, travels_safely};

/// The target of the spans of a call, its steps and its requests. They are made for traces: what they hold may leave for
/// whoever collects those, so no span has arguments, answers, secrets, or for whom the call is.
pub const SPANS: &str = "holster::span";

/// Secrets are [`secrecy::SecretString`]s everywhere: zeroed when dropped, `[REDACTED]` when printed.
pub use secrecy::{ExposeSecret, SecretString};
