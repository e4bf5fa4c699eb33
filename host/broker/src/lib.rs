//! The credential broker: which account serves a profile, and where its secret is kept.
//!
//! [`Broker::resolve`] turns the requirements of a tool into grants, or says what a person has to do first. Secrets
//! come from the vault, or from the variables and files that the configuration names; they leave only inside a
//! grant, and no error, list or `Debug` text holds one. The broker knows nothing about components.

#![forbid(unsafe_code)]

mod broker;
mod configured;
mod credential;
mod error;
mod private;
mod provider;
mod providers;
mod resolve;
mod vault;

pub use broker::{Broker, BrokerSettings, Owner};
pub use configured::{ConfiguredCredential, ConfiguredSecret, SecretSource, Username};
pub use credential::{
    Added, CredentialKind, CredentialSecret, CredentialSummary, InvalidSecret, NewCredential,
    ProfileSummary, Source,
};
pub use error::BrokerError;
pub use provider::{
    BodyFormat, ClientAuth, Date, DocUrl, HeaderName, Identity, Inject, InvalidText, JsonPointer,
    OAuth, Pkce, Provider, Redirect, ResponsePointers, Rotation, UrlTemplate, Variable,
    VariableName,
};
pub use providers::{ProviderError, ProviderOrigin, Providers};
pub use resolve::{Missing, Reason, Unmet};
pub use vault::{
    EnvironmentKey, KeeperRecord, Key as VaultKey, KeyFile, KeyFileError, KeyKeeper, Passphrase,
    RowProblem, Vault, VaultError, VaultReport,
};
