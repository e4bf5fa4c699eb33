//! `holster auth`: the accounts of the profiles.

use std::io::{BufRead, IsTerminal};

use holster_core::broker::{
    Added, Broker, CredentialKind, CredentialSecret, CredentialSummary, NewCredential, Owner,
    Source,
};
use holster_core::open_broker;
use holster_core::types::{ProfileName, ProviderId, Scopes, SecretString, TenantId};

use crate::exit::Exit;
use crate::{Global, print};

/// Add, list and remove the accounts of profiles.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Add(Add),
    List(List),
    Remove(Remove),
}

/// Put a credential into the vault. The secret is asked for without echo, or read from standard input; it is never
/// an argument, which other users of the machine could see.
#[derive(clap::Args)]
struct Add {
    /// For example `slack`; `holster providers` lists them.
    provider: ProviderId,
    /// Whose account it is. Default: the configured default profile.
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

/// Show which accounts there are. Secrets are never shown.
#[derive(clap::Args)]
struct List {
    /// Of this profile only.
    #[arg(long, short)]
    profile: Option<ProfileName>,
}

/// Take a credential out of the vault.
#[derive(clap::Args)]
struct Remove {
    /// For example `slack`.
    provider: ProviderId,
    /// Whose account it is. Default: the configured default profile.
    #[arg(long, short)]
    profile: Option<ProfileName>,
}

pub(crate) async fn run(global: &Global, arguments: Arguments) -> Result<(), Exit> {
    let config = global.config()?;
    let broker = open_broker(&config).await.map_err(Exit::usage)?;
    let owner = |profile: Option<ProfileName>| Owner {
        tenant: TenantId::local(),
        profile: profile.unwrap_or_else(|| config.default_profile()),
    };
    match arguments.command {
        Command::Add(add) => {
            let owner = owner(add.profile.clone());
            add_credential(global, &broker, &owner, add).await
        }
        Command::List(list) => {
            let credentials = broker
                .list(&TenantId::local(), list.profile.as_ref())
                .await
                .map_err(Exit::failed)?;
            show(global, &credentials)
        }
        Command::Remove(remove) => {
            let owner = owner(remove.profile);
            broker
                .remove(&owner, &remove.provider)
                .await
                .map_err(Exit::failed)?;
            done(global, "removed", &owner.profile, &remove.provider)
        }
    }
}

async fn add_credential(
    global: &Global,
    broker: &Broker,
    owner: &Owner,
    add: Add,
) -> Result<(), Exit> {
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
        .add(owner, &add.provider, credential)
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
    let part = |name: &str| secret(&format!("{name} for {provider}"), stdin);
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

fn secret(prompt: &str, stdin: bool) -> Result<SecretString, Exit> {
    let text = if stdin {
        let mut line = String::new();
        std::io::stdin()
            .lock()
            .read_line(&mut line)
            .map_err(Exit::failed)?;
        line
    } else if std::io::stdin().is_terminal() {
        rpassword::prompt_password(format!("{prompt}: ")).map_err(Exit::failed)?
    } else {
        return Err(Exit::usage(
            "there is no terminal to ask for the secret; pass it on standard input with `--stdin`",
        ));
    };
    Ok(text.trim_end_matches(['\r', '\n']).into())
}

fn done(
    global: &Global,
    what: &str,
    profile: &ProfileName,
    provider: &ProviderId,
) -> Result<(), Exit> {
    if global.json {
        return print::json(
            &serde_json::json!({ "result": what, "profile": profile, "provider": provider }),
        );
    }
    print::line(&format!("{what} `{provider}` for profile `{profile}`"))
}

fn show(global: &Global, credentials: &[CredentialSummary]) -> Result<(), Exit> {
    if global.json {
        return print::json(&credentials);
    }
    let rows: Vec<_> = credentials
        .iter()
        .map(|credential| {
            let scopes = credential
                .scopes
                .as_ref()
                .map_or_else(|| "not recorded".to_owned(), ToString::to_string);
            let source = match &credential.source {
                Source::Configured { place } => place.clone(),
                Source::Vault => "vault".to_owned(),
            };
            vec![
                credential.profile.to_string(),
                credential.provider.to_string(),
                credential.kind.to_string(),
                credential.account.clone().unwrap_or_else(|| "-".to_owned()),
                scopes,
                source,
                credential
                    .problem
                    .clone()
                    .unwrap_or_else(|| "ok".to_owned()),
            ]
        })
        .collect();
    print::table(
        &[
            "PROFILE", "PROVIDER", "KIND", "ACCOUNT", "SCOPES", "SOURCE", "STATE",
        ],
        &rows,
    )
}
