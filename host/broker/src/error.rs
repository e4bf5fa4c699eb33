//! Why the broker cannot do what it was asked.

use std::path::PathBuf;
use std::sync::Arc;

use holster_types::{ProfileName, ProviderId};

use crate::credential::{CredentialKind, InvalidSecret};
use crate::{ProviderError, VaultError};

/// Why the broker cannot do what it was asked. No text holds a secret.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum BrokerError {
    #[error(transparent)]
    Provider(#[from] ProviderError),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error(
        "there is no provider `{provider}`{}",
        did_you_mean(.similar.as_ref(), "`holster providers list` lists those there are")
    )]
    UnknownProvider {
        provider: ProviderId,
        similar: Option<ProviderId>,
    },
    #[error(
        "there is no profile `{profile}`, but {}; `holster auth connect PROVIDER --profile {profile}` makes it",
        known_profiles(.known)
    )]
    UnknownProfile {
        profile: ProfileName,
        known: Vec<ProfileName>,
    },
    #[error(
        "profile `{profile}` has no `{provider}` account; connect one with \
         `holster auth connect {provider} --profile {profile}`"
    )]
    NoAccount {
        profile: ProfileName,
        provider: ProviderId,
    },
    #[error("the secret of the client for `{provider}` cannot be read: {detail}")]
    ClientSecret {
        provider: ProviderId,
        detail: String,
    },
    #[error(transparent)]
    Renewal(Arc<VaultError>),
    #[error("`{provider}` cannot be connected here: {}", .closed.join("; "))]
    NoWay {
        provider: ProviderId,
        closed: Vec<String>,
    },
    #[error(
        "the variable `{name}` of `{provider}` in profile `{profile}` is not what it may be: {reason}"
    )]
    Variable {
        profile: ProfileName,
        provider: ProviderId,
        name: String,
        reason: String,
    },
    #[error("`{provider}` takes no {kind} credential; it takes {}", kinds(.accepted))]
    KindNotAccepted {
        provider: ProviderId,
        kind: CredentialKind,
        accepted: Vec<CredentialKind>,
    },
    #[error("the credential for `{provider}` cannot be used: {reason}")]
    InvalidSecret {
        provider: ProviderId,
        reason: InvalidSecret,
    },
    #[error(
        "an account's label is 1 to 256 characters without line breaks or other control characters"
    )]
    InvalidAccount,
    #[error(
        "profile `{profile}` already has its `{provider}` credential from the configuration ({place}); change it \
         there, or take out `[profiles.{profile}.credentials.{provider}]` first"
    )]
    Configured {
        profile: ProfileName,
        provider: ProviderId,
        place: String,
    },
    #[error(
        "profile `{profile}` has no `{provider}` credential in the vault; `holster auth list` shows what there is"
    )]
    NotStored {
        profile: ProfileName,
        provider: ProviderId,
    },
    #[error("the folder of providers {} cannot be read: {error}", .folder.display())]
    ProviderFolder {
        folder: PathBuf,
        error: std::io::Error,
    },
}

fn did_you_mean(similar: Option<&ProviderId>, otherwise: &str) -> String {
    match similar {
        Some(similar) => format!("; did you mean `{similar}`?"),
        None => format!("; {otherwise}"),
    }
}

fn known_profiles(known: &[ProfileName]) -> String {
    match known.len() {
        0 => "none at all".to_owned(),
        1 => format!("only {}", listed(known)),
        _ => listed(known),
    }
}

/// The names, as a sentence lists them.
pub(crate) fn listed(profiles: &[ProfileName]) -> String {
    let names: Vec<_> = profiles.iter().map(|name| format!("`{name}`")).collect();
    match names.as_slice() {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        _ => names.concat(),
    }
}

fn kinds(kinds: &[CredentialKind]) -> String {
    let names: Vec<_> = kinds.iter().map(|kind| kind.as_str()).collect();
    names.join(", ")
}
