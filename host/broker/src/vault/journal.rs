//! What the database keeps of a refresh: that it was begun, and what came of it.
//!
//! Every statement names the generation that it is about, so that an answer which comes too late changes nothing.

use sqlx::SqliteConnection;

use super::store::{Store, StoredRow, Trouble, here, next_generation, row_key};
use super::{Held, VaultError};
use crate::Owner;
use crate::credential::CredentialSecret;
use holster_types::{ExposeSecret, ProviderId};

/// A refresh that was begun and of which no answer is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unanswered {
    /// Seconds since the Unix epoch.
    pub(super) started_at: i64,
}

impl Store {
    /// The refresh that was begun with the token of this secret, if its answer is not known.
    pub(super) async fn unanswered(
        &self,
        owner: &Owner,
        provider: &ProviderId,
        secret: &CredentialSecret,
    ) -> Result<Option<Unanswered>, VaultError> {
        let started_at: Option<i64> = sqlx::query_scalar_with(
            concat!(
                "SELECT started_at FROM refresh WHERE ",
                here!(),
                " AND token_hash = ?4"
            ),
            row_key(owner, provider),
        )
        .bind(self.token_hash(secret))
        .fetch_optional(&mut *self.writer().await?)
        .await
        .map_err(|error| VaultError::of(&self.path, &error))?;
        Ok(started_at.map(|started_at| Unanswered { started_at }))
    }

    /// Writes down, durably, that a refresh of this row begins, and gives the generation that its answer will have;
    /// `None` if the credential is no longer the one in the row.
    pub(super) async fn begin_refresh(
        &self,
        owner: &Owner,
        row: &StoredRow,
        secret: &CredentialSecret,
        started_at: i64,
    ) -> Result<Option<i64>, VaultError> {
        let failed = |error| VaultError::of(&self.path, &error);
        let mut writer = self.writer().await?;
        let mut transaction = self.begin(&mut writer).await?;
        let generation = next_generation(&mut transaction).await.map_err(failed)?;
        let begun = sqlx::query_with(
            concat!(
                "INSERT OR REPLACE INTO refresh (tenant, profile, provider, generation, token_hash, started_at)
                 SELECT tenant, profile, provider, generation, ?5, ?6 FROM credential WHERE ",
                here!(),
                " AND generation = ?4"
            ),
            row_key(owner, &row.provider),
        )
        .bind(row.generation)
        .bind(self.token_hash(secret))
        .bind(started_at)
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        if begun.rows_affected() == 0 {
            return Ok(None);
        }
        transaction.commit().await.map_err(failed)?;
        Ok(Some(generation))
    }

    /// Puts `held` in place of the row of generation `old`, and forgets that a refresh was begun; `false` if that row
    /// is no longer there.
    pub(super) async fn finish_refresh(
        &self,
        owner: &Owner,
        old: &StoredRow,
        held: &Held,
    ) -> Result<bool, VaultError> {
        let failed = |error| VaultError::of(&self.path, &error);
        let mut writer = self.writer().await?;
        let mut transaction = self.begin(&mut writer).await?;
        let new = self.seal(owner, &old.provider, held, old.created_at);
        let stored = sqlx::query_with(
            concat!(
                "UPDATE credential SET generation = ?5, kind = ?6, ciphertext = ?7, scopes = ?8, account = ?9,
                 expires_at = ?10, created_at = ?11, updated_at = ?12, trouble = NULL WHERE ",
                here!(),
                " AND generation = ?4"
            ),
            row_key(owner, &new.provider),
        )
        .bind(old.generation)
        .bind(new.generation)
        .bind(&new.kind)
        .bind(&new.ciphertext)
        .bind(&new.scopes)
        .bind(&new.account)
        .bind(new.expires_at)
        .bind(new.created_at)
        .bind(new.updated_at)
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        if stored.rows_affected() == 0 {
            return Ok(false);
        }
        forget(&mut transaction, owner, &new.provider, old.generation)
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(true)
    }

    /// Writes down that the provider will not renew the row of that generation, or that this cannot be known;
    /// `false` if that row is no longer there. Of what has ended, nothing is in doubt any more.
    pub(super) async fn mark(
        &self,
        owner: &Owner,
        row: &StoredRow,
        trouble: Trouble,
    ) -> Result<bool, VaultError> {
        let failed = |error| VaultError::of(&self.path, &error);
        let mut writer = self.writer().await?;
        let mut transaction = self.begin(&mut writer).await?;
        let marked = sqlx::query_with(
            concat!(
                "UPDATE credential SET trouble = ?5 WHERE ",
                here!(),
                " AND generation = ?4"
            ),
            row_key(owner, &row.provider),
        )
        .bind(row.generation)
        .bind(trouble.as_str())
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        if trouble == Trouble::Ended {
            forget(&mut transaction, owner, &row.provider, row.generation)
                .await
                .map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)?;
        Ok(marked.rows_affected() > 0)
    }

    /// Forgets that a refresh of this row was begun: the provider has not used its token.
    pub(super) async fn forget_refresh(
        &self,
        owner: &Owner,
        row: &StoredRow,
    ) -> Result<(), VaultError> {
        let mut writer = self.writer().await?;
        forget(&mut writer, owner, &row.provider, row.generation)
            .await
            .map_err(|error| VaultError::of(&self.path, &error))
    }

    /// Tells one token from another, and nothing else. RFC 6749 §10.10: a token cannot be guessed, so that its hash
    /// does not give it away.
    pub(super) fn token_hash(&self, secret: &CredentialSecret) -> Option<Vec<u8>> {
        let token = secret.renewed_with()?.expose_secret();
        let mut hasher = blake3::Hasher::new_derive_key("holster refresh journal 1");
        hasher.update(&self.identity);
        hasher.update(token.as_bytes());
        Some(hasher.finalize().as_bytes().to_vec())
    }
}

async fn forget(
    connection: &mut SqliteConnection,
    owner: &Owner,
    provider: &ProviderId,
    generation: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query_with(
        concat!(
            "DELETE FROM refresh WHERE ",
            here!(),
            " AND generation = ?4"
        ),
        row_key(owner, provider),
    )
    .bind(generation)
    .execute(connection)
    .await?;
    Ok(())
}
