//! The database of the vault: rows in, rows out.
//!
//! One file in WAL mode, with one connection that reads and one that writes, so that what this process
//! writes shows to its own reader like anything that another process writes. A new database is made under another
//! name and moved into place when it is whole. Nothing here keeps a secret in memory.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::Poll;
use std::time::{Duration, Instant};

use holster_types::{ProfileName, ProviderId, Scopes, SecretString, TenantId};
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqliteRow, SqliteSynchronous,
};
use sqlx::{
    Arguments as _, ConnectOptions as _, Connection as _, Row as _, SqlSafeStr as _, Sqlite,
    SqliteConnection, Transaction,
};
use tokio::sync::{Mutex, MutexGuard};
use zeroize::Zeroizing;

use super::cipher::{Context, Key};
use super::keeper::{KeeperRecord, KeyKeeper};
use super::transfer::{ExportedChoice, Imported};
use super::{Held, RowProblem, VaultError, seconds};
use crate::credential::{Added, CredentialKind, CredentialSecret, NewCredential};
use crate::{Owner, private};

/// For so long an answer is waited for without going to sleep.
const AWAKE: Duration = Duration::from_micros(100);

/// How long a statement waits for another process to finish writing.
const BUSY: Duration = Duration::from_secs(10);

/// The columns of a row, in the order in which [`StoredRow::read`] takes them.
macro_rules! columns {
    () => {
        "profile, provider, generation, kind, ciphertext, scopes, account, expires_at, created_at, updated_at, trouble"
    };
}

pub(super) use columns;

/// Which row of a table is meant: the first three values, as [`row_key`] gives them.
macro_rules! here {
    () => {
        "tenant = ?1 AND profile = ?2 AND provider = ?3"
    };
}

pub(super) use here;

/// The values of [`here`]; others are bound after them.
pub(super) fn row_key(owner: &Owner, provider: &ProviderId) -> SqliteArguments {
    let mut key = SqliteArguments::default();
    for part in [
        owner.tenant.as_str(),
        owner.profile.as_str(),
        provider.as_str(),
    ] {
        key.add(part).expect("a text can be bound");
    }
    key
}

#[derive(Debug)]
pub(super) struct Store {
    pub(super) path: PathBuf,
    reader: Mutex<SqliteConnection>,
    writer: Mutex<SqliteConnection>,
    pub(super) identity: Vec<u8>,
    keeper: RwLock<Arc<dyn KeyKeeper>>,
    unlocked: RwLock<Arc<Unlocked>>,
}

/// The data key, and what it was unlocked from. Another process may have put another in its place.
#[derive(Debug)]
pub(super) struct Unlocked {
    pub(super) key: Key,
    pub(super) wrapped: Vec<u8>,
    pub(super) record: KeeperRecord,
}

impl Unlocked {
    async fn unlock(
        path: &Path,
        keeper: &Arc<dyn KeyKeeper>,
        identity: &[u8],
        record: &str,
        wrapped: Vec<u8>,
    ) -> Result<Self, VaultError> {
        let keeper_record: KeeperRecord = serde_json::from_str(record)
            .map_err(|_| VaultError::damaged(path, "who keeps its master key cannot be read"))?;
        let (finder, wanted) = (Arc::clone(keeper), keeper_record.clone());
        let master = blocking(move || finder.find(&wanted)).await?;
        let key = master
            .open(&wrapping(identity, record), &wrapped)
            .and_then(|bytes| Key::from_bytes(&bytes))
            .ok_or_else(|| VaultError::WrongKey {
                path: path.to_owned(),
                keeper: keeper_record.clone(),
            })?;
        Ok(Self {
            key,
            wrapped,
            record: keeper_record,
        })
    }
}

/// A row as it stands in the database; nothing in it is believed before its ciphertext has opened.
pub(super) struct StoredRow {
    pub(super) profile: ProfileName,
    pub(super) provider: ProviderId,
    pub(super) generation: i64,
    pub(super) kind: String,
    pub(super) ciphertext: Vec<u8>,
    pub(super) scopes: Option<String>,
    pub(super) account: Option<String>,
    pub(super) expires_at: Option<i64>,
    pub(super) created_at: i64,
    pub(super) updated_at: i64,
    pub(super) trouble: Option<Trouble>,
}

/// Why the provider will not renew a credential. Not bound to the ciphertext: who can write it can delete the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Trouble {
    #[error("was ended by the provider")]
    Ended,
    #[error("may have lost its refresh token when a refresh was cut off")]
    Uncertain,
}

impl Trouble {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Uncertain => "uncertain",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Ended, Self::Uncertain]
            .into_iter()
            .find(|trouble| trouble.as_str() == text)
    }
}

/// A credential that may be replaced.
#[derive(Debug, Clone, Copy)]
struct Before {
    created_at: i64,
    generation: i64,
}

/// The connection that reads, for as long as it is held.
pub(super) struct Reader<'a> {
    path: &'a Path,
    connection: MutexGuard<'a, SqliteConnection>,
    version: i64,
}

impl Store {
    /// Opens the database at `path`; `None` if there is none and none is to be made.
    pub(super) async fn open(
        path: &Path,
        keeper: &Arc<dyn KeyKeeper>,
        create: bool,
    ) -> Result<Option<Self>, VaultError> {
        let folder = path
            .parent()
            .expect("the database is in a folder")
            .to_owned();
        if !create && !exists(path)? {
            return Ok(None);
        }
        // Held until the database is whole and up to date: two processes may start at once.
        let _lock = blocking(move || lock(&folder)).await?;
        if !exists(path)? {
            if !create {
                return Ok(None);
            }
            Self::make(path, keeper).await?;
        }
        Self::open_existing(path, keeper).await.map(Some)
    }

    async fn make(path: &Path, keeper: &Arc<dyn KeyKeeper>) -> Result<(), VaultError> {
        let unfinished = path.with_extension("new");
        let making = |error| VaultError::Make {
            path: path.to_owned(),
            error,
        };
        match std::fs::remove_file(&unfinished) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(making(error));
            }
            _ => {}
        }
        // SQLite gives its other files the permissions of this one.
        private::options()
            .create_new(true)
            .open(&unfinished)
            .map_err(making)?;

        let maker = Arc::clone(keeper);
        let (master, record) = blocking(move || maker.create()).await?;
        let mut identity = [0; 16];
        crate::random::fill(&mut identity);
        let record = serde_json::to_string(&record).expect("a record is JSON");
        let data_key = Key::random();
        let wrapped = master.seal(&wrapping(&identity, &record), data_key.bytes());

        let failed = |error| VaultError::of(path, &error);
        let mut connection = connect(&unfinished, SqliteJournalMode::Delete)
            .await
            .map_err(failed)?;
        migrate(&mut connection, path).await?;
        sqlx::query("INSERT INTO vault (id, identity, keeper, wrapped_key, generation) VALUES (1, ?, ?, ?, 0)")
            .bind(&identity[..])
            .bind(record)
            .bind(wrapped)
            .execute(&mut connection)
            .await
            .map_err(failed)?;
        connection.close().await.map_err(failed)?;
        std::fs::rename(&unfinished, path)
            .and_then(|()| private::sync_folder(path))
            .map_err(making)
    }

    async fn open_existing(path: &Path, keeper: &Arc<dyn KeyKeeper>) -> Result<Self, VaultError> {
        let failed = |error| VaultError::of(path, &error);
        let metadata = std::fs::metadata(path).map_err(|error| VaultError::Unusable {
            path: path.to_owned(),
            error,
        })?;
        if let Some(mode) = private::shared_mode(&metadata) {
            return Err(VaultError::Shared {
                path: path.to_owned(),
                mode,
                right: "600",
            });
        }
        if metadata.len() == 0 {
            // To SQLite this would be a new and empty database.
            return Err(VaultError::damaged(path, "it is empty"));
        }
        let mut reader = connect(path, SqliteJournalMode::Wal)
            .await
            .map_err(failed)?;
        migrate(&mut reader, path).await?;
        let (identity, record, wrapped): (Vec<u8>, String, Vec<u8>) =
            sqlx::query_as("SELECT identity, keeper, wrapped_key FROM vault")
                .fetch_optional(&mut reader)
                .await
                .map_err(failed)?
                .ok_or_else(|| VaultError::damaged(path, "it has lost its key"))?;
        let unlocked = Unlocked::unlock(path, keeper, &identity, &record, wrapped).await?;
        let writer = connect(path, SqliteJournalMode::Wal)
            .await
            .map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            reader: Mutex::new(reader),
            writer: Mutex::new(writer),
            identity,
            keeper: RwLock::new(Arc::clone(keeper)),
            unlocked: RwLock::new(Arc::new(unlocked)),
        })
    }

    /// The connection that reads; others wait until it is dropped.
    pub(super) async fn reader(&self) -> Result<Reader<'_>, VaultError> {
        let mut connection = self.reader.lock().await;
        let (version, wrapped): (i64, Vec<u8>) =
            sqlx::query_as("SELECT data_version, wrapped_key FROM pragma_data_version, vault")
                .fetch_optional(&mut *connection)
                .await
                .map_err(|error| VaultError::of(&self.path, &error))?
                .ok_or_else(|| self.without_key())?;
        if wrapped != self.unlocked().wrapped {
            self.follow_rotation(&mut connection).await?;
        }
        Ok(Reader {
            path: &self.path,
            connection,
            version,
        })
    }

    /// The row of one credential, and the reader that found it. One question, since each wakes another thread and
    /// waits for it: the row comes with the version of the data and with the key that it is sealed with.
    pub(super) async fn row(
        &self,
        owner: &Owner,
        provider: &ProviderId,
    ) -> Result<(Reader<'_>, Option<Result<StoredRow, RowProblem>>), VaultError> {
        let failed = |error| VaultError::of(&self.path, &error);
        let mut connection = self.reader.lock().await;
        let statement = concat!(
            "SELECT ",
            columns!(),
            ", data_version, wrapped_key FROM pragma_data_version, (SELECT wrapped_key FROM vault) \
             LEFT JOIN credential ON ",
            here!()
        );
        let looking =
            sqlx::query_with(statement, row_key(owner, provider)).fetch_optional(&mut *connection);
        let row = awake(looking)
            .await
            .map_err(failed)?
            .ok_or_else(|| self.without_key())?;
        let version = row.try_get("data_version").map_err(failed)?;
        let wrapped: &[u8] = row.try_get("wrapped_key").map_err(failed)?;
        if wrapped != self.unlocked().wrapped {
            self.follow_rotation(&mut connection).await?;
        }
        let reader = Reader {
            path: &self.path,
            connection,
            version,
        };
        let is_there = row.try_get::<Option<&str>, _>(0).map_err(failed)?.is_some();
        Ok((reader, is_there.then(|| StoredRow::read(&row))))
    }

    fn without_key(&self) -> VaultError {
        VaultError::damaged(&self.path, "it has lost its key")
    }

    pub(super) fn keeper(&self) -> Arc<dyn KeyKeeper> {
        Arc::clone(&self.keeper.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn unlocked(&self) -> Arc<Unlocked> {
        Arc::clone(&self.unlocked.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn unlock_with(&self, unlocked: Unlocked, keeper: Arc<dyn KeyKeeper>) {
        *self.keeper.write().unwrap_or_else(PoisonError::into_inner) = keeper;
        *self
            .unlocked
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(unlocked);
    }

    /// Takes over the key that another process has put in place of the one before; `false` if it is the same.
    pub(super) async fn follow_rotation(
        &self,
        connection: &mut SqliteConnection,
    ) -> Result<bool, VaultError> {
        let (record, wrapped): (String, Vec<u8>) =
            sqlx::query_as("SELECT keeper, wrapped_key FROM vault")
                .fetch_optional(connection)
                .await
                .map_err(|error| VaultError::of(&self.path, &error))?
                .ok_or_else(|| self.without_key())?;
        if wrapped == self.unlocked().wrapped {
            return Ok(false);
        }
        let keeper = self.keeper();
        let unlocked =
            Unlocked::unlock(&self.path, &keeper, &self.identity, &record, wrapped).await?;
        self.unlock_with(unlocked, keeper);
        Ok(true)
    }

    /// A transaction that writes, with the key that is in force until it ends. Immediate: a transaction that reads
    /// first and writes later may find itself overtaken.
    pub(super) async fn begin<'a>(
        &self,
        writer: &'a mut SqliteConnection,
    ) -> Result<Transaction<'a, Sqlite>, VaultError> {
        let mut transaction = writer
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(|error| VaultError::of(&self.path, &error))?;
        self.follow_rotation(&mut transaction).await?;
        Ok(transaction)
    }

    /// The connection that writes; others wait until it is dropped.
    pub(super) async fn writer(&self) -> Result<MutexGuard<'_, SqliteConnection>, VaultError> {
        let mut writer = self.writer.lock().await;
        // On a full disk SQLite rolls back by itself, and sqlx does not notice: the connection would never begin a
        // transaction again. The ping waits for the rollback of a transaction that was dropped.
        if writer.ping().await.is_err() || writer.is_in_transaction() {
            *writer = connect(&self.path, SqliteJournalMode::Wal)
                .await
                .map_err(|error| VaultError::of(&self.path, &error))?;
        }
        Ok(writer)
    }

    /// The file of the database.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What binds every ciphertext to this vault.
    pub(super) fn identity(&self) -> &[u8] {
        &self.identity
    }

    /// Runs one statement; whether it changed anything.
    pub(super) async fn change(
        &self,
        statement: sqlx::query::Query<'_, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>,
    ) -> Result<bool, VaultError> {
        let done = statement
            .execute(&mut *self.writer().await?)
            .await
            .map_err(|error| VaultError::of(&self.path, &error))?;
        Ok(done.rows_affected() > 0)
    }

    /// Seals what belongs to a place in this vault.
    pub(super) fn seal_at(&self, place: Context, plaintext: &[u8]) -> Vec<u8> {
        self.unlocked()
            .key
            .seal(&place.with(&self.identity), plaintext)
    }

    /// Opens what was sealed for a place in this vault; `None` if it was not.
    pub(super) fn open_at(&self, place: Context, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.unlocked()
            .key
            .open(&place.with(&self.identity), sealed)
    }

    /// Writes a credential under a new generation.
    pub(super) async fn put(
        &self,
        owner: &Owner,
        provider: &ProviderId,
        credential: &NewCredential,
        now: u64,
    ) -> Result<(Added, i64), VaultError> {
        let mut writer = self.writer().await?;
        let mut transaction = self.begin(&mut writer).await?;
        let before = self.before(&mut transaction, owner, provider).await?;
        let generation = self
            .put_in(&mut transaction, owner, provider, credential, before, now)
            .await?;
        self.commit(transaction).await?;
        let added = before.map_or(Added::New, |_| Added::Replaced);
        Ok((added, generation))
    }

    /// Writes all these credentials and choices or none, and gives the generations that the credentials have now. What
    /// is there already stays, unless `replace` says otherwise.
    pub(super) async fn put_all(
        &self,
        credentials: &[(Owner, ProviderId, NewCredential)],
        choices: &[ExportedChoice],
        replace: bool,
        now: u64,
    ) -> Result<Vec<(Imported, i64)>, VaultError> {
        let mut writer = self.writer().await?;
        let mut transaction = self.begin(&mut writer).await?;
        let mut outcomes = Vec::with_capacity(credentials.len());
        for (owner, provider, credential) in credentials {
            let before = self.before(&mut transaction, owner, provider).await?;
            if let Some(before) = before.filter(|_| !replace) {
                outcomes.push((Imported::Kept, before.generation));
                continue;
            }
            let generation = self
                .put_in(&mut transaction, owner, provider, credential, before, now)
                .await?;
            let outcome = before.map_or(Imported::Added, |_| Imported::Replaced);
            outcomes.push((outcome, generation));
        }
        for ExportedChoice {
            tenant,
            provider,
            profile,
        } in choices
        {
            let chosen = self.chosen(&mut transaction, tenant, provider).await?;
            if replace || chosen.is_none() {
                self.choose(&mut transaction, tenant, provider, Some(profile))
                    .await?;
            }
        }
        self.commit(transaction).await?;
        Ok(outcomes)
    }

    async fn commit(&self, transaction: Transaction<'_, Sqlite>) -> Result<(), VaultError> {
        let committed = transaction.commit().await;
        committed.map_err(|error| VaultError::of(&self.path, &error))
    }

    /// What is known of a credential that may be replaced.
    async fn before(
        &self,
        connection: &mut SqliteConnection,
        owner: &Owner,
        provider: &ProviderId,
    ) -> Result<Option<Before>, VaultError> {
        let statement = concat!(
            "SELECT created_at, generation FROM credential WHERE ",
            here!()
        );
        let row = sqlx::query_as_with(statement, row_key(owner, provider))
            .fetch_optional(connection)
            .await
            .map_err(|error| VaultError::of(&self.path, &error))?;
        Ok(row.map(|(created_at, generation)| Before {
            created_at,
            generation,
        }))
    }

    /// Gives the new generation.
    async fn put_in(
        &self,
        transaction: &mut SqliteConnection,
        owner: &Owner,
        provider: &ProviderId,
        credential: &NewCredential,
        before: Option<Before>,
        now: u64,
    ) -> Result<i64, VaultError> {
        let failed = |error| VaultError::of(&self.path, &error);
        let generation = next_generation(&mut *transaction).await.map_err(failed)?;
        let held = Held {
            secret: credential.secret.clone(),
            account: credential.account.clone(),
            scopes: credential.scopes.clone(),
            expires_at: credential.expires_at,
            generation,
            written_at: now,
            ended: false,
        };
        let created_at = before.map_or(seconds(now), |before| before.created_at);
        let row = self.seal(owner, provider, &held, created_at);
        // The doubt about a refresh token goes with the token, but not if the same one is written once more.
        sqlx::query_with(
            concat!(
                "DELETE FROM refresh WHERE ",
                here!(),
                " AND token_hash IS NOT ?4"
            ),
            row_key(owner, provider),
        )
        .bind(self.token_hash(&held.secret))
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        sqlx::query(concat!(
            "INSERT OR REPLACE INTO credential (tenant, ",
            columns!(),
            ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)"
        ))
        .bind(owner.tenant.as_str())
        .bind(row.profile.as_str())
        .bind(row.provider.as_str())
        .bind(row.generation)
        .bind(row.kind)
        .bind(row.ciphertext)
        .bind(row.scopes)
        .bind(row.account)
        .bind(row.expires_at)
        .bind(row.created_at)
        .bind(row.updated_at)
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        Ok(generation)
    }

    /// Deletes a credential, what is known of its refresh, and the choice of its profile for its provider; gives its
    /// account and generation, if there was one.
    pub(super) async fn delete(
        &self,
        owner: &Owner,
        provider: &ProviderId,
    ) -> Result<Option<(Option<String>, i64)>, VaultError> {
        let failed = |error| VaultError::of(&self.path, &error);
        let mut writer = self.writer().await?;
        let mut transaction = self.begin(&mut writer).await?;
        for statement in [
            concat!("DELETE FROM refresh WHERE ", here!()),
            concat!("DELETE FROM default_profile WHERE ", here!()),
        ] {
            sqlx::query_with(statement, row_key(owner, provider))
                .execute(&mut *transaction)
                .await
                .map_err(failed)?;
        }
        let statement = concat!(
            "DELETE FROM credential WHERE ",
            here!(),
            " RETURNING account, generation"
        );
        let deleted = sqlx::query_as_with(statement, row_key(owner, provider))
            .fetch_optional(&mut *transaction)
            .await
            .map_err(failed)?;
        self.commit(transaction).await?;
        Ok(deleted)
    }

    pub(super) async fn set_default_profile(
        &self,
        tenant: &TenantId,
        provider: &ProviderId,
        profile: Option<&ProfileName>,
    ) -> Result<(), VaultError> {
        let mut writer = self.writer().await?;
        let mut transaction = self.begin(&mut writer).await?;
        self.choose(&mut transaction, tenant, provider, profile)
            .await?;
        self.commit(transaction).await
    }

    async fn choose(
        &self,
        transaction: &mut SqliteConnection,
        tenant: &TenantId,
        provider: &ProviderId,
        profile: Option<&ProfileName>,
    ) -> Result<(), VaultError> {
        let query = match profile {
            Some(profile) => {
                let place = self.choice(tenant, provider, profile);
                sqlx::query(
                    "INSERT OR REPLACE INTO default_profile (tenant, provider, profile, seal) VALUES (?, ?, ?, ?)",
                )
                .bind(tenant.as_str())
                .bind(provider.as_str())
                .bind(profile.as_str())
                .bind(self.unlocked().key.seal(&place, b""))
            }
            None => sqlx::query("DELETE FROM default_profile WHERE tenant = ? AND provider = ?")
                .bind(tenant.as_str())
                .bind(provider.as_str()),
        };
        let done = query.execute(transaction).await;
        done.map(drop)
            .map_err(|error| VaultError::of(&self.path, &error))
    }

    /// The profile that a tenant chose for a provider.
    async fn chosen(
        &self,
        connection: &mut SqliteConnection,
        tenant: &TenantId,
        provider: &ProviderId,
    ) -> Result<Option<ProfileName>, VaultError> {
        let row: Option<(String, Vec<u8>)> = sqlx::query_as(
            "SELECT profile, seal FROM default_profile WHERE tenant = ? AND provider = ?",
        )
        .bind(tenant.as_str())
        .bind(provider.as_str())
        .fetch_optional(connection)
        .await
        .map_err(|error| VaultError::of(&self.path, &error))?;
        Ok(row.and_then(|(profile, seal)| self.valid_choice(tenant, provider, profile, &seal)))
    }

    /// `None` for a choice that was not made with the key.
    fn valid_choice(
        &self,
        tenant: &TenantId,
        provider: &ProviderId,
        profile: String,
        seal: &[u8],
    ) -> Option<ProfileName> {
        let profile = ProfileName::new(profile).ok()?;
        let place = self.choice(tenant, provider, &profile);
        if self.unlocked().key.open(&place, seal).is_none() {
            tracing::warn!(%provider, "the choice of a profile was altered in the vault; it is left out");
            return None;
        }
        Some(profile)
    }

    /// The row of a credential that was first written at `created_at`.
    pub(super) fn seal(
        &self,
        owner: &Owner,
        provider: &ProviderId,
        held: &Held,
        created_at: i64,
    ) -> StoredRow {
        let scopes = held.scopes.as_ref();
        let mut row = StoredRow {
            profile: owner.profile.clone(),
            provider: provider.clone(),
            generation: held.generation,
            kind: held.secret.kind().as_str().to_owned(),
            ciphertext: Vec::new(),
            scopes: scopes.map(|scopes| serde_json::to_string(scopes).expect("scopes are JSON")),
            account: held.account.clone(),
            expires_at: held.expires_at.map(seconds),
            created_at,
            updated_at: seconds(held.written_at),
            trouble: None,
        };
        let place = self.place(&owner.tenant, &row);
        row.ciphertext = self.unlocked().key.seal(&place, &encode(&held.secret));
        row
    }

    /// The credential in a row of that tenant.
    pub(super) fn unseal(&self, tenant: &TenantId, row: &StoredRow) -> Result<Held, RowProblem> {
        let plaintext = self
            .unlocked()
            .key
            .open(&self.place(tenant, row), &row.ciphertext)
            .ok_or(RowProblem::Altered)?;
        let kind = CredentialKind::parse(&row.kind).ok_or(RowProblem::Unknown)?;
        let secret = decode(&plaintext)
            .and_then(|parts| CredentialSecret::from_parts(kind, parts))
            .ok_or(RowProblem::Unknown)?;
        let scopes = match &row.scopes {
            None => None,
            Some(scopes) => {
                Some(serde_json::from_str::<Scopes>(scopes).map_err(|_| RowProblem::Unknown)?)
            }
        };
        Ok(Held {
            secret,
            account: row.account.clone(),
            scopes,
            expires_at: row.expires_at.and_then(|at| u64::try_from(at).ok()),
            generation: row.generation,
            written_at: u64::try_from(row.updated_at).unwrap_or(0),
            ended: row.trouble == Some(Trouble::Ended),
        })
    }

    /// What the choice of a profile is bound to.
    pub(super) fn choice(
        &self,
        tenant: &TenantId,
        provider: &ProviderId,
        profile: &ProfileName,
    ) -> Context {
        Context::new("holster default profile 1")
            .with(&self.identity)
            .with(tenant.as_str())
            .with(provider.as_str())
            .with(profile.as_str())
    }

    /// Everything that a row says in the open.
    pub(super) fn place(&self, tenant: &TenantId, row: &StoredRow) -> Context {
        Context::new("holster credential 1")
            .with(&self.identity)
            .with(tenant.as_str())
            .with(row.profile.as_str())
            .with(row.provider.as_str())
            .with(row.generation.to_le_bytes())
            .with(&row.kind)
            .with_optional(row.scopes.as_ref())
            .with_optional(row.account.as_ref())
            .with_optional(row.expires_at.map(i64::to_le_bytes))
            .with(row.created_at.to_le_bytes())
            .with(row.updated_at.to_le_bytes())
    }
}

impl Reader<'_> {
    /// The connection itself.
    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }

    /// Of the data when the reader was taken. Differs from what it was if anything was written in between.
    pub(super) fn version(&self) -> i64 {
        self.version
    }

    /// All rows of a tenant.
    pub(super) async fn rows(
        &mut self,
        tenant: &TenantId,
    ) -> Result<Vec<Result<StoredRow, RowProblem>>, VaultError> {
        let rows = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM credential WHERE tenant = ?"
        ))
        .bind(tenant.as_str())
        .fetch_all(&mut *self.connection)
        .await
        .map_err(|error| VaultError::of(self.path, &error))?;
        Ok(rows.iter().map(StoredRow::read).collect())
    }

    /// The tenants that have rows; what is no name of a tenant comes as text.
    pub(super) async fn tenants(&mut self) -> Result<Vec<Result<TenantId, String>>, VaultError> {
        let tenants: Vec<String> =
            sqlx::query_scalar("SELECT DISTINCT tenant FROM credential ORDER BY tenant")
                .fetch_all(&mut *self.connection)
                .await
                .map_err(|error| VaultError::of(self.path, &error))?;
        Ok(tenants
            .into_iter()
            .map(|tenant| TenantId::new(&tenant).map_err(|_| tenant))
            .collect())
    }

    /// The profiles of a tenant, each with the number of its rows.
    pub(super) async fn profiles(
        &mut self,
        tenant: &TenantId,
    ) -> Result<Vec<(ProfileName, usize)>, VaultError> {
        let rows: Vec<(String, i64)> = sqlx::query_as(
            "SELECT profile, count(*) FROM credential WHERE tenant = ? GROUP BY profile",
        )
        .bind(tenant.as_str())
        .fetch_all(&mut *self.connection)
        .await
        .map_err(|error| VaultError::of(self.path, &error))?;
        let valid = |(name, count): (String, i64)| {
            Some((ProfileName::new(name).ok()?, usize::try_from(count).ok()?))
        };
        Ok(rows.into_iter().filter_map(valid).collect())
    }

    /// The chosen profiles of a tenant, by provider.
    pub(super) async fn default_profiles(
        &mut self,
        store: &Store,
        tenant: &TenantId,
    ) -> Result<BTreeMap<ProviderId, ProfileName>, VaultError> {
        let rows: Vec<(String, String, Vec<u8>)> =
            sqlx::query_as("SELECT provider, profile, seal FROM default_profile WHERE tenant = ?")
                .bind(tenant.as_str())
                .fetch_all(&mut *self.connection)
                .await
                .map_err(|error| VaultError::of(self.path, &error))?;
        let valid = |(provider, profile, seal): (String, String, Vec<u8>)| {
            let provider = ProviderId::new(provider).ok()?;
            let profile = store.valid_choice(tenant, &provider, profile, &seal)?;
            Some((provider, profile))
        };
        Ok(rows.into_iter().filter_map(valid).collect())
    }

    /// The profile that a tenant chose for a provider.
    pub(super) async fn chosen(
        &mut self,
        store: &Store,
        tenant: &TenantId,
        provider: &ProviderId,
    ) -> Result<Option<ProfileName>, VaultError> {
        store.chosen(&mut self.connection, tenant, provider).await
    }

    /// The profiles of a tenant with a row for the provider.
    pub(super) async fn holders(
        &mut self,
        tenant: &TenantId,
        provider: &ProviderId,
    ) -> Result<Vec<ProfileName>, VaultError> {
        let names: Vec<String> = sqlx::query_scalar(
            "SELECT profile FROM credential WHERE tenant = ? AND provider = ? ORDER BY profile",
        )
        .bind(tenant.as_str())
        .bind(provider.as_str())
        .fetch_all(&mut *self.connection)
        .await
        .map_err(|error| VaultError::of(self.path, &error))?;
        Ok(names
            .into_iter()
            .filter_map(|name| ProfileName::new(name).ok())
            .collect())
    }

    /// What the database finds wrong with its own file.
    pub(super) async fn integrity(&mut self) -> Result<Vec<String>, VaultError> {
        let found: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check(20)")
            .fetch_all(&mut *self.connection)
            .await
            .map_err(|error| VaultError::of(self.path, &error))?;
        Ok(found.into_iter().filter(|line| line != "ok").collect())
    }
}

impl StoredRow {
    pub(super) fn read(row: &SqliteRow) -> Result<Self, RowProblem> {
        let text = |index: usize| {
            row.try_get::<String, _>(index)
                .map_err(|_| RowProblem::Altered)
        };
        let number = |index: usize| {
            row.try_get::<i64, _>(index)
                .map_err(|_| RowProblem::Altered)
        };
        Ok(Self {
            profile: ProfileName::new(text(0)?).map_err(|_| RowProblem::Altered)?,
            provider: ProviderId::new(text(1)?).map_err(|_| RowProblem::Altered)?,
            generation: number(2)?,
            kind: text(3)?,
            ciphertext: row.try_get(4).map_err(|_| RowProblem::Altered)?,
            scopes: row.try_get(5).map_err(|_| RowProblem::Altered)?,
            account: row.try_get(6).map_err(|_| RowProblem::Altered)?,
            expires_at: row.try_get(7).map_err(|_| RowProblem::Altered)?,
            created_at: number(8)?,
            updated_at: number(9)?,
            trouble: match row.try_get(10).map_err(|_| RowProblem::Altered)? {
                None => None,
                Some(text) => Some(Trouble::parse(text).ok_or(RowProblem::Unknown)?),
            },
        })
    }
}

/// A generation that no row has had.
pub(super) async fn next_generation(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("UPDATE vault SET generation = generation + 1 RETURNING generation")
        .fetch_one(connection)
        .await
}

/// What the wrapped data key is bound to.
pub(super) fn wrapping(identity: &[u8], record: &str) -> Context {
    Context::new("holster vault key 1")
        .with(identity)
        .with(record)
}

/// The parts of a secret, each after its length.
fn encode(secret: &CredentialSecret) -> Zeroizing<Vec<u8>> {
    let parts = secret.parts();
    // Sized at once: a growing buffer would leave copies of the secret behind.
    let size = parts.iter().map(|part| 4 + part.len()).sum();
    let mut plaintext = Zeroizing::new(Vec::with_capacity(size));
    for part in parts {
        let length = u32::try_from(part.len()).expect("a part of a secret is at most 64 KiB");
        plaintext.extend_from_slice(&length.to_le_bytes());
        plaintext.extend_from_slice(part.as_bytes());
    }
    plaintext
}

fn decode(mut plaintext: &[u8]) -> Option<Vec<SecretString>> {
    let mut parts = Vec::new();
    while !plaintext.is_empty() {
        let (length, rest) = plaintext.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let (part, rest) = rest.split_at_checked(length)?;
        parts.push(SecretString::from(std::str::from_utf8(part).ok()?));
        plaintext = rest;
    }
    Some(parts)
}

async fn connect(path: &Path, journal: SqliteJournalMode) -> Result<SqliteConnection, sqlx::Error> {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .journal_mode(journal)
        // A credential that was added must outlive a power cut: a rotated token exists nowhere else.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY)
        // What was deleted is overwritten, ciphertext or not.
        .pragma("secure_delete", "ON")
        .connect()
        .await
}

async fn migrate(connection: &mut SqliteConnection, path: &Path) -> Result<(), VaultError> {
    let migration = |version, description: &'static str, statements: &'static str| {
        let statements = statements.into_sql_str();
        Migration::new(
            version,
            description.into(),
            MigrationType::Simple,
            statements,
            false,
        )
    };
    let migrations = vec![
        migration(1, "vault", include_str!("../../migrations/0001_vault.sql")),
        migration(
            2,
            "refresh",
            include_str!("../../migrations/0002_refresh.sql"),
        ),
        migration(
            3,
            "connections",
            include_str!("../../migrations/0003_connections.sql"),
        ),
        migration(
            4,
            "resumption",
            include_str!("../../migrations/0004_resumption.sql"),
        ),
    ];
    // Not `run`: the future of its `Acquire` could not move between threads.
    Migrator::with_migrations(migrations)
        .run_direct(None, connection, false)
        .await
        .map_err(|error| match error {
            MigrateError::VersionMissing(_) | MigrateError::VersionTooNew(..) => {
                VaultError::Newer {
                    path: path.to_owned(),
                }
            }
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
                VaultError::of(path, &error)
            }
            other => VaultError::damaged(path, &other.to_string()),
        })
}

fn exists(path: &Path) -> Result<bool, VaultError> {
    path.try_exists().map_err(|error| VaultError::Unusable {
        path: path.to_owned(),
        error,
    })
}

/// Makes the folder if it is not there, and holds the lock in it for as long as the file is open.
fn lock(folder: &Path) -> Result<File, VaultError> {
    let unusable = |error| VaultError::Unusable {
        path: folder.to_owned(),
        error,
    };
    private::create_folder(folder).map_err(unusable)?;
    if let Some(mode) = private::shared_mode(&std::fs::metadata(folder).map_err(unusable)?) {
        return Err(VaultError::Shared {
            path: folder.to_owned(),
            mode,
            right: "700",
        });
    }
    let file = private::options()
        .create(true)
        .truncate(false)
        .open(folder.join("lock"))
        .map_err(unusable)?;
    let patience = Instant::now() + BUSY;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
            Err(TryLockError::WouldBlock) if Instant::now() >= patience => {
                return Err(VaultError::Busy {
                    path: folder.to_owned(),
                });
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// Runs what waits for a disk, or computes for long, where it holds up nobody.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

/// Waits for what another thread has in some microseconds. Sleeping would cost more than the answer: a thread of its
/// own is woken late, on an idle processor by several times what a look into the database takes. Other tasks and
/// threads go on meanwhile.
async fn awake<T>(answer: impl Future<Output = T>) -> T {
    let mut answer = pin!(answer);
    let end = Instant::now() + AWAKE;
    while Instant::now() < end {
        if let Poll::Ready(answer) = futures::poll!(answer.as_mut()) {
            return answer;
        }
        std::thread::yield_now();
        tokio::task::yield_now().await;
    }
    answer.await
}
