//! `holster auth add`: a credential that a person has already.

use holster_core::broker::{Added, Broker, CredentialKind, CredentialSecret, NewCredential};
use holster_core::types::{ProfileName, ProviderId, Scopes};

use super::{done, owner};
use crate::exit::Exit;
use crate::{Global, prompt};

/// Put a credential into the vault. The secret is asked for without echo, or read from standard input; it is never
/// an argument, which other users of the machine could see.
#[derive(clap::Args)]
pub(super) struct Add {
    /// For example `slack`; `holster providers` lists them.
    provider: ProviderId,
    /// Whose account it is. Default: the configured default profile, or `default`.
    #[arg(long, short)]
    profile: Option<ProfileName>,
    /// Read the secret from standard input: one line for each part.
    #[arg(long)]
    stdin: bool,
    /// A user name and a password, where the provider also takes a token.
    #[arg(long, conflicts_with = "key_pair")]
    basic: bool,
    /// A key and a secret that signs, where the provider also takes a token.
    #[arg(long)]
    key_pair: bool,
    /// A label for the account, such as its login.
    #[arg(long)]
    account: Option<String>,
    /// A scope that the secret is known to have; repeat it for more. Without any, it serves every requirement.
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
}

pub(super) async fn run(global: &Global, broker: &Broker, add: Add) -> Result<(), Exit> {
    let owner = owner(broker, add.profile);
    let accepted = &broker
        .providers()
        .get(&add.provider)
        .map_err(Exit::failed)?
        .kinds;
    let kind = match (add.basic, add.key_pair) {
        (true, _) => CredentialKind::Basic,
        (_, true) => CredentialKind::KeyPair,
        _ => enterable(accepted),
    };
    let mut credential = NewCredential::new(ask(kind, &add.provider, add.stdin)?);
    credential.account = add.account;
    credential.scopes =
        (!add.scopes.is_empty()).then(|| add.scopes.into_iter().collect::<Scopes>());
    let added = broker
        .add(&owner, &add.provider, credential)
        .await
        .map_err(Exit::failed)?;
    let what = match added {
        Added::New => "added",
        Added::Replaced => "replaced",
    };
    done(global, what, &owner.profile, &add.provider)
}

/// What a person can enter. A token of an OAuth provider is entered like a key.
fn enterable(accepted: &[CredentialKind]) -> CredentialKind {
    let by_hand = [
        CredentialKind::ApiKey,
        CredentialKind::Basic,
        CredentialKind::KeyPair,
    ];
    accepted
        .iter()
        .copied()
        .find(|kind| by_hand.contains(kind))
        .unwrap_or(CredentialKind::ApiKey)
}

fn ask(kind: CredentialKind, provider: &ProviderId, stdin: bool) -> Result<CredentialSecret, Exit> {
    let part = |name: &str| prompt::secret(&format!("{name} for {provider}"), stdin);
    Ok(match kind {
        CredentialKind::Basic => CredentialSecret::Basic {
            username: part("User name")?,
            password: part("Password")?,
        },
        CredentialKind::KeyPair => CredentialSecret::KeyPair {
            key: part("Key")?,
            secret: part("Secret")?,
        },
        _ => CredentialSecret::Token(part("Token")?),
    })
}
