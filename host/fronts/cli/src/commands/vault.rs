//! `holster vault`: the encrypted store of credentials.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use holster_core::broker::{
    ExportFor, ImportWith, Imported, KeyFile, KeyKeeper, Keyring, Passphrase, Vault,
};
use holster_core::open_broker;
use serde_json::json;

use crate::exit::Exit;
use crate::{Global, print, prompt};

/// The largest file with keys to an export, in bytes.
const MAX_IDENTITIES: u64 = 64 * 1024;

/// Verify the vault, change its key, take credentials to another one.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Open every credential, and say which do not open. Changes nothing.
    Verify,
    RotateKey(RotateKey),
    Export(Export),
    Import(Import),
}

/// Seal everything with a new key. Connections that are under way end.
#[derive(clap::Args)]
struct RotateKey {
    /// Who keeps the new master key. Default: as before.
    #[arg(long, value_name = "KEEPER")]
    to: Option<Keeper>,
    /// Read a new passphrase from standard input.
    #[arg(long)]
    stdin: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Keeper {
    /// A file beside the vault, which only its owner may read.
    KeyFile,
    /// The keyring of the desktop; then set `HOLSTER_VAULT_KEYRING=1`.
    Keyring,
    /// A passphrase; then put it into `HOLSTER_VAULT_PASSPHRASE`.
    Passphrase,
}

/// Write all credentials into an encrypted file (age), for a passphrase or for recipients.
#[derive(clap::Args)]
struct Export {
    /// The file; it must not be there yet.
    file: PathBuf,
    /// Who may open it: `age1…`; repeat it for more. Without any, whoever has a passphrase, which is asked for.
    #[arg(long = "recipient", value_name = "AGE1…")]
    recipients: Vec<String>,
    /// Read the passphrase from standard input.
    #[arg(long)]
    stdin: bool,
}

/// Take credentials out of an exported file. What is there already stays, unless `--replace` says otherwise.
#[derive(clap::Args)]
struct Import {
    /// The file.
    file: PathBuf,
    /// A file with the key (`AGE-SECRET-KEY-1…`) of a recipient. Without it, the passphrase is asked for.
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// Read the passphrase from standard input.
    #[arg(long)]
    stdin: bool,
    /// Let imported credentials take the place of those that are there.
    #[arg(long)]
    replace: bool,
}

pub(crate) async fn run(global: &Global, arguments: Arguments) -> Result<(), Exit> {
    let config = global.config()?;
    let broker = open_broker(&config).await.map_err(Exit::usage)?;
    let vault = broker.vault();
    match arguments.command {
        Command::Verify => verify(global, vault).await,
        Command::RotateKey(rotate) => {
            let folder = config.data_folder().map_err(Exit::usage)?;
            rotate_key(global, vault, &folder, &rotate).await
        }
        Command::Export(export) => self::export(global, vault, export).await,
        Command::Import(import) => self::import(global, vault, import).await,
    }
}

async fn verify(global: &Global, vault: &Vault) -> Result<(), Exit> {
    let report = vault.verify().await.map_err(Exit::failed)?;
    if global.json {
        print::json(&report)?;
    } else {
        match &report.keeper {
            None => print::line("there is no vault yet")?,
            Some(keeper) => print::line(&format!(
                "{} credentials open in {}, with {keeper}",
                report.credentials,
                report.path.display()
            ))?,
        }
    }
    match report.problems.as_slice() {
        [] => Ok(()),
        _ if global.json => Err(Exit::Reported),
        problems => Err(Exit::failed(print::harmless(&problems.join("\n")))),
    }
}

async fn rotate_key(
    global: &Global,
    vault: &Vault,
    folder: &Path,
    rotate: &RotateKey,
) -> Result<(), Exit> {
    let keeper: Option<Box<dyn KeyKeeper>> = match rotate.to {
        None => None,
        Some(Keeper::KeyFile) => Some(Box::new(KeyFile::in_data_folder(folder))),
        Some(Keeper::Keyring) => Some(Box::new(Keyring)),
        Some(Keeper::Passphrase) => {
            let passphrase = prompt::new_passphrase(rotate.stdin)?;
            Some(Box::new(Passphrase::new(passphrase).map_err(Exit::usage)?))
        }
    };
    let rotation = vault.rotate_key(keeper).await.map_err(Exit::failed)?;
    let Some(rotation) = rotation else {
        return Err(Exit::failed("there is no vault yet, and so no key"));
    };
    if global.json {
        return print::json(&rotation);
    }
    if let Some(leftover) = &rotation.leftover {
        print::aside(format_args!(
            "holster: the old key could not be taken away: {leftover}"
        ));
    }
    print::line(&format!(
        "{} credentials are sealed anew; their key is kept by {}",
        rotation.credentials, rotation.keeper
    ))
}

async fn export(global: &Global, vault: &Vault, export: Export) -> Result<(), Exit> {
    let readers = if export.recipients.is_empty() {
        ExportFor::Passphrase(prompt::new_passphrase(export.stdin)?)
    } else {
        ExportFor::Recipients(export.recipients)
    };
    let content = vault.export(readers).await.map_err(Exit::failed)?;
    let failed = |error: std::io::Error| {
        Exit::failed(format!("cannot write {}: {error}", export.file.display()))
    };
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&export.file).map_err(failed)?;
    file.write_all(&content)
        .and_then(|()| file.sync_all())
        .map_err(failed)?;
    if global.json {
        return print::json(&json!({ "file": export.file, "bytes": content.len() }));
    }
    print::line(&format!("exported to {}", export.file.display()))
}

async fn import(global: &Global, vault: &Vault, import: Import) -> Result<(), Exit> {
    let unreadable = |path: &Path, error: &std::io::Error| {
        Exit::failed(format!("cannot read {}: {error}", path.display()))
    };
    let with = match &import.identity {
        Some(path) => {
            let mut text = String::new();
            std::fs::File::open(path)
                .and_then(|file| file.take(MAX_IDENTITIES).read_to_string(&mut text))
                .map_err(|error| unreadable(path, &error))?;
            ImportWith::Identities(text.into())
        }
        None => ImportWith::Passphrase(prompt::secret("Passphrase", import.stdin)?),
    };
    let content = std::fs::read(&import.file).map_err(|error| unreadable(&import.file, &error))?;
    let imported = vault
        .import(content, with, import.replace)
        .await
        .map_err(Exit::failed)?;
    if global.json {
        return print::json(&imported);
    }
    let rows: Vec<_> = imported
        .iter()
        .map(|credential| {
            let outcome = match credential.outcome {
                Imported::Added => "added",
                Imported::Kept => "kept as it was",
                Imported::Replaced => "replaced",
            };
            vec![
                credential.profile.to_string(),
                credential.provider.to_string(),
                outcome.to_owned(),
            ]
        })
        .collect();
    print::table(&["PROFILE", "PROVIDER", "RESULT"], &rows)
}
