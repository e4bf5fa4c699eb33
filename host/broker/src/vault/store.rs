//! The database of the vault: rows in, rows out.
//!
//! One file in WAL mode, with one connection that reads and one that writes, so that what this process
//! writes shows to its own reader like anything that another process writes. A new database is made under another
//! name and moved into place when it is whole. Nothing here keeps a secret in memory.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use holster_types::{ProfileName, ProviderId, Scopes, SecretString, TenantId};
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteRow, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, Row as _, SqlSafeStr as _, SqliteConnection};
use tokio::sync::{Mutex, MutexGuard};
use zeroize::Zeroizing;

use super::cipher::{Context, Key, fill_random};
use super::keeper::{KeeperRecord, KeyKeeper};
use super::{Held, RowProblem, VaultError};
use crate::credential::{Added, CredentialKind, CredentialSecret, NewCredential};
use crate::{Owner, private};

/// How long a statement waits for another process to finish writing.
const BUSY: Duration = Duration::from_secs(10);

/// The columns of a row, in the order in which [`StoredRow::read`] takes them.
macro_rules! columns {
    () => {
        "profile, provider, generation, kind, ciphertext, scopes, account, expires_at, created_at, updated_at"
    };
}

#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    reader: Mutex<SqliteConnection>,
    writer: Mutex<SqliteConnection>,
    identity: Vec<u8>,
    key: Key,
    pub(super) keeper: KeeperRecord,
}

/// A row as it stands in the database; nothing in it is believed before its ciphertext has opened.
pub(super) struct StoredRow {
    pub(super) profile: ProfileName,
    pub(super) provider: ProviderId,
    pub(super) generation: i64,
    pub(super) kind: String,
    ciphertext: Vec<u8>,
    pub(super) scopes: Option<String>,
    pub(super) account: Option<String>,
    pub(super) expires_at: Option<i64>,
    pub(super) created_at: i64,
    pub(super) updated_at: i64,
}

/// The connection that reads, for as long as it is held.
pub(super) struct Reader<'a> {
    path: &'a Path,
    connection: MutexGuard<'a, SqliteConnection>,
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
        fill_random(&mut identity);
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
        let keeper_record: KeeperRecord = serde_json::from_str(&record)
            .map_err(|_| VaultError::damaged(path, "who keeps its master key cannot be read"))?;
        let (finder, wanted) = (Arc::clone(keeper), keeper_record.clone());
        let master = blocking(move || finder.find(&wanted)).await?;
        let key = master
            .open(&wrapping(&identity, &record), &wrapped)
            .and_then(|bytes| Key::from_bytes(&bytes))
            .ok_or_else(|| VaultError::WrongKey {
                path: path.to_owned(),
                keeper: keeper_record.clone(),
            })?;
        let writer = connect(path, SqliteJournalMode::Wal)
            .await
            .map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            reader: Mutex::new(reader),
            writer: Mutex::new(writer),
            identity,
            key,
            keeper: keeper_record,
        })
    }

    /// The connection that reads; others wait until it is dropped.
    pub(super) async fn reader(&self) -> Reader<'_> {
        Reader {
            path: &self.path,
            connection: self.reader.lock().await,
        }
    }

    /// Writes a credential under a new generation.
    pub(super) async fn put(
        &self,
        owner: &Owner,
        provider: &ProviderId,
        credential: &NewCredential,
        now: i64,
    ) -> Result<Added, VaultError> {
        let failed = |error| VaultError::of(&self.path, &error);
        let mut writer = self.writer.lock().await;
        // Immediate: a transaction that reads first and writes later may find itself overtaken.
        let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        let generation: i64 =
            sqlx::query_scalar("UPDATE vault SET generation = generation + 1 RETURNING generation")
                .fetch_one(&mut *transaction)
                .await
                .map_err(failed)?;
        let created_at: Option<i64> = sqlx::query_scalar(
            "SELECT created_at FROM credential WHERE tenant = ? AND profile = ? AND provider = ?",
        )
        .bind(owner.tenant.as_str())
        .bind(owner.profile.as_str())
        .bind(provider.as_str())
        .fetch_optional(&mut *transaction)
        .await
        .map_err(failed)?;
        let mut row = StoredRow {
            profile: owner.profile.clone(),
            provider: provider.clone(),
            generation,
            kind: credential.secret.kind().as_str().to_owned(),
            ciphertext: Vec::new(),
            scopes: credential
                .scopes
                .as_ref()
                .map(|scopes| serde_json::to_string(scopes).expect("scopes are JSON")),
            account: credential.account.clone(),
            expires_at: credential
                .expires_at
                .map(|at| i64::try_from(at).unwrap_or(i64::MAX)),
            created_at: created_at.unwrap_or(now),
            updated_at: now,
        };
        row.ciphertext = self.key.seal(
            &self.place(&owner.tenant, &row),
            &encode(&credential.secret),
        );
        sqlx::query(concat!(
            "INSERT OR REPLACE INTO credential (tenant, ",
            columns!(),
            ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
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
        transaction.commit().await.map_err(failed)?;
        Ok(if created_at.is_some() {
            Added::Replaced
        } else {
            Added::New
        })
    }

    /// Deletes a credential; `false` if there was none.
    pub(super) async fn delete(
        &self,
        owner: &Owner,
        provider: &ProviderId,
    ) -> Result<bool, VaultError> {
        let mut writer = self.writer.lock().await;
        let done =
            sqlx::query("DELETE FROM credential WHERE tenant = ? AND profile = ? AND provider = ?")
                .bind(owner.tenant.as_str())
                .bind(owner.profile.as_str())
                .bind(provider.as_str())
                .execute(&mut *writer)
                .await
                .map_err(|error| VaultError::of(&self.path, &error))?;
        Ok(done.rows_affected() > 0)
    }

    /// The credential in a row of that tenant.
    pub(super) fn unseal(&self, tenant: &TenantId, row: &StoredRow) -> Result<Held, RowProblem> {
        let plaintext = self
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
        })
    }

    /// Everything that a row says in the open.
    fn place(&self, tenant: &TenantId, row: &StoredRow) -> Context {
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
    /// Differs from what it was if anything was written in between.
    pub(super) async fn version(&mut self) -> Result<i64, VaultError> {
        sqlx::query_scalar("PRAGMA data_version")
            .fetch_one(&mut *self.connection)
            .await
            .map_err(|error| VaultError::of(self.path, &error))
    }

    /// The row of one credential.
    pub(super) async fn row(
        &mut self,
        owner: &Owner,
        provider: &ProviderId,
    ) -> Result<Option<Result<StoredRow, RowProblem>>, VaultError> {
        let row = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM credential WHERE tenant = ? AND profile = ? AND provider = ?"
        ))
        .bind(owner.tenant.as_str())
        .bind(owner.profile.as_str())
        .bind(provider.as_str())
        .fetch_optional(&mut *self.connection)
        .await
        .map_err(|error| VaultError::of(self.path, &error))?;
        Ok(row.map(|row| StoredRow::read(&row)))
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
    fn read(row: &SqliteRow) -> Result<Self, RowProblem> {
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
        })
    }
}

/// What the wrapped data key is bound to.
fn wrapping(identity: &[u8], record: &str) -> Context {
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
    let migrations = vec![Migration::new(
        1,
        "vault".into(),
        MigrationType::Simple,
        include_str!("../../migrations/0001_vault.sql").into_sql_str(),
        false,
    )];
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
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}
