//! The credential broker: which account serves a profile, and where its secret is kept.
//!
//! [`Broker::resolve`] turns the requirements of a tool into grants, or says what a person has to do first. Secrets
//! come from the vault, or from the variables and files that the configuration names; they leave only inside a
//! grant, and no error, list or `Debug` text holds one. The broker knows nothing about components.

#![forbid(unsafe_code)]

mod broker;
mod configured;
mod connection;
mod credential;
mod error;
mod metrics;
mod oauth;
mod private;
mod provider;
mod providers;
mod random;
mod resolve;
mod secret_text;
mod vault;
mod visit;

pub use broker::{Broker, BrokerSettings, Owner, Users};
pub use configured::{
    ConfiguredClient, ConfiguredCredential, ConfiguredSecret, SecretSource, Username,
};
pub use connection::{
    Begun, Browser, Callback, Choice, ChoiceError, ChosenWay, ConnectAddress, ConnectPage,
    Connection, ConnectionState, DeviceCode, Disconnected, Field, NewConnection, Stage, Way,
};
pub use credential::{
    Added, CredentialKind, CredentialSecret, CredentialSummary, InvalidSecret, NewCredential,
    OAuthTokens, ProfileSummary, Source, TokenClient,
};
pub use error::BrokerError;
pub use oauth::OAuthError;
pub use provider::{
    BodyFormat, ClientAuth, Date, DocUrl, HeaderName, Identity, Inject, InvalidText, JsonPointer,
    OAuth, Pkce, Provider, Redirect, RefreshPointers, Registration, ResponsePointers, Revocation,
    RevokeAuth, RevokeBody, RevokeMethod, RevokedToken, Rotation, UrlTemplate, Variable,
    VariableName,
};
pub use providers::{ProviderError, ProviderOrigin, ProviderReport, Providers};
pub use resolve::{Missing, Reason, Unmet};
pub use vault::{
    EnvironmentKey, ExportFor, ImportWith, Imported, ImportedCredential, KeeperRecord,
    Key as VaultKey, KeyFile, KeyFileError, KeyKeeper, KeyRotation, Keyring, NotResumable,
    Passphrase, RowProblem, Vault, VaultError, VaultReport,
};
pub use visit::{Arrival, Departure, SignIn, SignInError, SignInIssuer, User};
