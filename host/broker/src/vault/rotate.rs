//! New keys for an old vault.
//!
//! Everything is sealed anew in one transaction, which names the new master key as well: a crash leaves the vault as
//! it was, or as it is to be. A key file is durable before that transaction commits, and the old one goes after it.
//! Processes that have the vault open notice by themselves.

use std::sync::Arc;

use holster_types::{ProfileName, ProviderId, TenantId};
use serde::Serialize;
use sqlx::{Row as _, SqliteConnection};

use super::cipher::Key;
use super::keeper::KeyKeeper;
use super::store::{Store, StoredRow, Unlocked, blocking, columns, here, row_key, wrapping};
use super::{RowProblem, Vault, VaultError, row_error};
use crate::Owner;

/// What a rotation did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyRotation {
    /// How many credentials are sealed anew.
    pub credentials: usize,
    /// Who keeps the new master key, in words.
    pub keeper: String,
    /// What is left of the old key, and why, if it could not be taken away.
    pub leftover: Option<String>,
}

impl Vault {
    /// Makes a new data key and a new master key, and seals everything anew. The master key goes to `keeper`, or
    /// stays with the one who has it: then a key that the environment gives stays as it is, and a passphrase gets
    /// another salt. `None` if there is no vault. A credential that does not open stops it, and changes nothing.
    pub async fn rotate_key(
        &self,
        keeper: Option<Box<dyn KeyKeeper>>,
    ) -> Result<Option<KeyRotation>, VaultError> {
        let Some(store) = self.existing().await? else {
            return Ok(None);
        };
        let old = store.keeper();
        let new = keeper.map_or_else(|| Arc::clone(&old), Arc::from);
        let rotation = store.rotate(&old, new).await;
        self.has_written();
        rotation.map(Some)
    }
}

impl Store {
    async fn rotate(
        &self,
        old_keeper: &Arc<dyn KeyKeeper>,
        new_keeper: Arc<dyn KeyKeeper>,
    ) -> Result<KeyRotation, VaultError> {
        let failed = |error| VaultError::of(&self.path, &error);
        let maker = Arc::clone(&new_keeper);
        let (master, keeper) = blocking(move || maker.renew()).await?;
        let record = serde_json::to_string(&keeper).expect("a record is JSON");
        let key = Key::random();
        let wrapped = master.seal(&wrapping(&self.identity, &record), key.bytes());

        let mut writer = self.writer().await?;
        let mut transaction = self.begin(&mut writer).await?;
        let old = self.unlocked();
        let resealed = self
            .reseal(&mut transaction, &old.key, &key, &record, &wrapped)
            .await;
        let credentials = match resealed {
            Ok(credentials) => credentials,
            Err(error) => {
                let unused = keeper.clone();
                // What cannot be taken away opens nothing.
                let _ = blocking(move || new_keeper.forget(&unused)).await;
                return Err(error);
            }
        };
        // If this fails, nobody knows which key the vault has now: both stay.
        transaction.commit().await.map_err(failed)?;
        let new = Unlocked {
            key,
            wrapped,
            record: keeper.clone(),
        };
        self.unlock_with(new, new_keeper);

        // What the old key opens is still in the log that SQLite keeps beside the database.
        if let Err(error) = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
            .execute(&mut *writer)
            .await
        {
            tracing::warn!("the log of the vault still holds what the old key opens: {error}");
        }
        let (forgetter, record) = (Arc::clone(old_keeper), old.record.clone());
        let leftover = if record == keeper {
            None
        } else {
            blocking(move || forgetter.forget(&record)).await.err()
        };
        Ok(KeyRotation {
            credentials,
            keeper: keeper.to_string(),
            leftover: leftover.map(|error| error.to_string()),
        })
    }

    /// Seals everything with another key, and writes down where that is; how many credentials there are.
    async fn reseal(
        &self,
        connection: &mut SqliteConnection,
        old: &Key,
        new: &Key,
        record: &str,
        wrapped: &[u8],
    ) -> Result<usize, VaultError> {
        let failed = |error| VaultError::of(&self.path, &error);
        let rows = sqlx::query(concat!("SELECT ", columns!(), ", tenant FROM credential"))
            .fetch_all(&mut *connection)
            .await
            .map_err(failed)?;
        for stored in &rows {
            let (tenant, row) = named(stored)
                .ok_or_else(|| VaultError::damaged(&self.path, "a credential has no sound name"))?;
            let owner = Owner {
                tenant,
                profile: row.profile.clone(),
            };
            let place = self.place(&owner.tenant, &row);
            let plaintext = old
                .open(&place, &row.ciphertext)
                .ok_or_else(|| row_error(&owner, &row.provider, RowProblem::Altered))?;
            sqlx::query_with(
                concat!("UPDATE credential SET ciphertext = ?4 WHERE ", here!()),
                row_key(&owner, &row.provider),
            )
            .bind(new.seal(&place, &plaintext))
            .execute(&mut *connection)
            .await
            .map_err(failed)?;
        }
        let choices: Vec<(String, String, String, Vec<u8>)> =
            sqlx::query_as("SELECT tenant, provider, profile, seal FROM default_profile")
                .fetch_all(&mut *connection)
                .await
                .map_err(failed)?;
        for (tenant, provider, profile, seal) in choices {
            let (Ok(tenant), Ok(provider), Ok(profile)) = (
                TenantId::new(tenant),
                ProviderId::new(provider),
                ProfileName::new(profile),
            ) else {
                continue;
            };
            let place = self.choice(&tenant, &provider, &profile);
            // One that was altered is left out today, and is not made good by a new key.
            if old.open(&place, &seal).is_none() {
                continue;
            }
            sqlx::query("UPDATE default_profile SET seal = ? WHERE tenant = ? AND provider = ?")
                .bind(new.seal(&place, b""))
                .bind(tenant.as_str())
                .bind(provider.as_str())
                .execute(&mut *connection)
                .await
                .map_err(failed)?;
        }
        self.reseal_connections(connection, old, new).await?;
        sqlx::query("UPDATE vault SET keeper = ?, wrapped_key = ?")
            .bind(record)
            .bind(wrapped)
            .execute(&mut *connection)
            .await
            .map_err(failed)?;
        Ok(rows.len())
    }
}

fn named(row: &sqlx::sqlite::SqliteRow) -> Option<(TenantId, StoredRow)> {
    let tenant: String = row.try_get("tenant").ok()?;
    Some((TenantId::new(tenant).ok()?, StoredRow::read(row).ok()?))
}

#[cfg(test)]
mod tests;
