//! Why the broker cannot do what it was asked.

use std::path::PathBuf;

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
        "there is no profile `{profile}`, but {}; `holster auth add PROVIDER --profile {profile}` makes it",
        known_profiles(.known)
    )]
    UnknownProfile {
        profile: ProfileName,
        known: Vec<ProfileName>,
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
    let names: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
    match names.as_slice() {
        [] => "none at all".to_owned(),
        [only] => format!("only {only}"),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

fn kinds(kinds: &[CredentialKind]) -> String {
    let names: Vec<_> = kinds.iter().map(|kind| kind.as_str()).collect();
    names.join(", ")
}
