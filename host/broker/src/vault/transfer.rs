//! Taking credentials from one vault to another: an age file with JSON in it.
//!
//! The file is an armored age file (<https://age-encryption.org/v1>), for a passphrase or for X25519 recipients, so
//! that `age --decrypt` opens it too. In it is [`Export`], whose `version` changes when its fields do. A secret is
//! the list of its parts, as the vault seals them; see [`CredentialSecret::parts`].
//!
//! An export is a move or a backup, not a copy to work with: where refresh tokens rotate, two vaults that both renew
//! a consent end it.

use std::io::{Read as _, Write as _};
use std::str::FromStr as _;

use age::armor::{ArmoredReader, ArmoredWriter, Format};
use age::{Decryptor, Encryptor, Identity, Recipient, scrypt, x25519};
use holster_audit::Action;
use holster_types::{ExposeSecret, ProfileName, ProviderId, Scopes, SecretString, TenantId};
use serde::{Deserialize, Deserializer, Serialize};
use zeroize::Zeroizing;

use super::store::blocking;
use super::{Vault, VaultError, now};
use crate::Owner;
use crate::credential::{CredentialKind, CredentialSecret, NewCredential};

const FORMAT: &str = "holster credentials";
const VERSION: u32 = 1;

/// The largest file that is read, in bytes.
const MAX_FILE: usize = 64 * 1024 * 1024;

/// The dearest passphrase that is tried: 2^20 means about 1 GiB of memory and some seconds.
const MAX_WORK: u8 = 20;

/// Who may open an export.
#[derive(Debug)]
pub enum ExportFor {
    /// Whoever has the passphrase; at least 12 characters.
    Passphrase(SecretString),
    /// Whoever has the key to one of these: `age1…`.
    Recipients(Vec<String>),
}

/// What opens an export.
#[derive(Debug)]
pub enum ImportWith {
    /// Its passphrase.
    Passphrase(SecretString),
    /// `AGE-SECRET-KEY-1…`; lines that are empty or begin with `#` are skipped, as in the files of `age-keygen`.
    Identities(SecretString),
}

/// What became of a credential of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Imported {
    /// There was none.
    Added,
    /// There was one, and it stays.
    Kept,
    /// There was one, and it is gone.
    Replaced,
}

/// A credential of an export, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImportedCredential {
    /// Whose it is.
    pub tenant: TenantId,
    /// The persona.
    pub profile: ProfileName,
    /// Who issued it.
    pub provider: ProviderId,
    /// What became of it.
    pub outcome: Imported,
}

/// What is in the age file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Export {
    format: String,
    version: u32,
    /// Seconds since the Unix epoch.
    exported_at: u64,
    credentials: Vec<Exported>,
    default_profiles: Vec<ExportedChoice>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exported {
    tenant: TenantId,
    profile: ProfileName,
    provider: ProviderId,
    kind: CredentialKind,
    account: Option<String>,
    scopes: Option<Scopes>,
    expires_at: Option<u64>,
    #[serde(serialize_with = "write_parts", deserialize_with = "read_parts")]
    secret: Vec<SecretString>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExportedChoice {
    pub(super) tenant: TenantId,
    pub(super) provider: ProviderId,
    pub(super) profile: ProfileName,
}

/// Of which version a file is, whatever else is in it.
#[derive(Deserialize)]
struct Header {
    format: String,
    version: u32,
}

impl Vault {
    /// All credentials and chosen profiles, of all tenants, as an age file. What does not open stops it.
    pub async fn export(&self, to: ExportFor) -> Result<Vec<u8>, VaultError> {
        let mut export = Export {
            format: FORMAT.to_owned(),
            version: VERSION,
            exported_at: now(),
            credentials: Vec::new(),
            default_profiles: Vec::new(),
        };
        if let Some(store) = self.existing().await? {
            let tenants = store.reader().await?.tenants().await?;
            for tenant in tenants {
                let tenant = tenant.map_err(|name| {
                    let detail = format!("`{}` is not the id of a tenant", name.escape_debug());
                    VaultError::damaged(&self.path, &detail)
                })?;
                let summaries = self.list(&tenant).await?;
                for summary in summaries {
                    let owner = Owner {
                        tenant: tenant.clone(),
                        profile: summary.profile,
                    };
                    let Some(held) = self.find(&owner, &summary.provider).await? else {
                        continue;
                    };
                    let parts = held.secret.parts();
                    export.credentials.push(Exported {
                        tenant: owner.tenant,
                        profile: owner.profile,
                        provider: summary.provider,
                        kind: held.secret.kind(),
                        account: held.account.clone(),
                        scopes: held.scopes.clone(),
                        expires_at: held.expires_at,
                        secret: parts.iter().map(|part| part.as_ref().into()).collect(),
                    });
                }
                for (provider, profile) in self.default_profiles(&tenant).await? {
                    export.default_profiles.push(ExportedChoice {
                        tenant: tenant.clone(),
                        provider,
                        profile,
                    });
                }
            }
        }
        blocking(move || encrypt(&export, to)).await
    }

    /// Takes in an export, all of it or nothing. A credential that is already there stays, unless `replace` says
    /// otherwise; so does the choice of a profile.
    pub async fn import(
        &self,
        file: Vec<u8>,
        with: ImportWith,
        replace: bool,
    ) -> Result<Vec<ImportedCredential>, VaultError> {
        let Export {
            credentials,
            default_profiles,
            ..
        } = blocking(move || decrypt(&file, with)).await?;
        let mut wanted = Vec::with_capacity(credentials.len());
        for exported in credentials {
            wanted.push(credential(exported)?);
        }
        let store = self.made().await?;
        let outcomes = store
            .put_all(&wanted, &default_profiles, replace, now())
            .await;
        self.has_written();
        let outcomes = outcomes?;
        let report = wanted.into_iter().zip(outcomes);
        Ok(report
            .map(|((owner, provider, credential), (outcome, generation))| {
                if outcome != Imported::Kept {
                    let account = credential.account.as_deref();
                    self.audit(Action::Imported, &owner, &provider, account, generation);
                }
                ImportedCredential {
                    tenant: owner.tenant,
                    profile: owner.profile,
                    provider,
                    outcome,
                }
            })
            .collect())
    }
}

fn encrypt(export: &Export, to: ExportFor) -> Result<Vec<u8>, VaultError> {
    let failed = |error: &dyn std::fmt::Display| VaultError::Export(error.to_string());
    let encryptor = match to {
        ExportFor::Passphrase(passphrase) => {
            if passphrase.expose_secret().chars().count() < 12 {
                return Err(VaultError::ShortPassphrase);
            }
            Encryptor::with_user_passphrase(passphrase)
        }
        ExportFor::Recipients(recipients) => {
            let mut parsed = Vec::with_capacity(recipients.len());
            for text in &recipients {
                let recipient = x25519::Recipient::from_str(text.trim()).map_err(|problem| {
                    VaultError::Export(format!(
                        "`{text}` is no recipient ({problem}); it is `age1` and 58 more characters"
                    ))
                })?;
                parsed.push(recipient);
            }
            Encryptor::with_recipients(parsed.iter().map(|recipient| recipient as &dyn Recipient))
                .map_err(|error| failed(&error))?
        }
    };
    let write = || {
        let armor = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor)?;
        let mut writer = encryptor.wrap_output(armor)?;
        // Straight into the cipher: a buffer that grows would leave copies of the secrets behind.
        serde_json::to_writer(&mut writer, export)?;
        writer.flush()?;
        writer.finish()?.finish()
    };
    write().map_err(|error: std::io::Error| failed(&error))
}

fn decrypt(file: &[u8], with: ImportWith) -> Result<Export, VaultError> {
    let failed = |detail: String| VaultError::Import(detail);
    if file.len() > MAX_FILE {
        return Err(failed(format!("it is larger than {} MiB", MAX_FILE >> 20)));
    }
    let identities: Vec<Box<dyn Identity>> = match with {
        ImportWith::Passphrase(passphrase) => {
            let mut identity = scrypt::Identity::new(passphrase);
            identity.set_max_work_factor(MAX_WORK);
            vec![Box::new(identity)]
        }
        ImportWith::Identities(text) => {
            let mut identities: Vec<Box<dyn Identity>> = Vec::new();
            let lines = text.expose_secret().lines().map(str::trim);
            for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
                let identity = x25519::Identity::from_str(line)
                    .map_err(|problem| failed(format!("the identity is none: {problem}")))?;
                identities.push(Box::new(identity));
            }
            identities
        }
    };
    let decryptor =
        Decryptor::new(ArmoredReader::new(file)).map_err(|error| failed(error.to_string()))?;
    let mut reader = decryptor
        .decrypt(identities.iter().map(AsRef::as_ref))
        .map_err(|error| failed(error.to_string()))?;
    // The plaintext is shorter than the file, so that this buffer does not grow.
    let mut plaintext = Zeroizing::new(Vec::with_capacity(file.len()));
    reader
        .read_to_end(&mut plaintext)
        .map_err(|error| failed(error.to_string()))?;
    // No text of these errors holds more than the name of a field or its place.
    let header: Header = serde_json::from_slice(&plaintext)
        .map_err(|_| failed("it is an age file, but not of credentials".to_owned()))?;
    if header.format != FORMAT {
        return Err(failed(
            "it is an age file, but not of credentials".to_owned(),
        ));
    }
    if header.version > VERSION {
        return Err(failed(
            "a newer Holster wrote it; update this one".to_owned(),
        ));
    }
    serde_json::from_slice(&plaintext).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        failed(format!(
            "its content is not sound (line {line}, column {column})"
        ))
    })
}

/// A credential as it goes into a vault, checked like one that a person enters.
fn credential(exported: Exported) -> Result<(Owner, ProviderId, NewCredential), VaultError> {
    let Exported {
        tenant,
        profile,
        provider,
        kind,
        account,
        scopes,
        expires_at,
        secret,
    } = exported;
    let unsound = |detail: &str| {
        VaultError::Import(format!(
            "its `{provider}` credential for profile `{profile}` cannot be used: {detail}"
        ))
    };
    let secret = CredentialSecret::from_parts(kind, secret)
        .ok_or_else(|| unsound("it has other parts than its kind has"))?;
    let credential = NewCredential {
        secret,
        account,
        scopes,
        expires_at,
    };
    credential
        .check(&provider)
        .map_err(|error| unsound(&error.to_string()))?;
    let owner = Owner { tenant, profile };
    Ok((owner, provider, credential))
}

fn write_parts<S: serde::Serializer>(
    parts: &[SecretString],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(parts.iter().map(ExposeSecret::expose_secret))
}

fn read_parts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<SecretString>, D::Error> {
    let parts = Vec::<String>::deserialize(deserializer)?;
    Ok(parts.into_iter().map(SecretString::from).collect())
}

#[cfg(test)]
mod tests;
