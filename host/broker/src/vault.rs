//! The vault: credentials at rest.
//!
//! Rows of ciphertext in a database, each bound to its tenant, profile, provider and generation, under a key that a
//! [`KeyKeeper`] unlocks. Nothing is opened, and nothing made, before it is needed. What was read is kept in memory
//! for as long as nobody wrote to the database, this process or another.
//!
//! What the binding cannot show: a whole row, generation and all, that somebody puts back as it once was. This
//! process refuses a generation below one that it has seen; after a restart the old row is as good as a restored
//! backup.

mod cipher;
mod connections;
mod journal;
mod keeper;
mod refresh;
mod resumption;
mod rotate;
mod store;
mod transfer;
mod visits;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use holster_audit::{Action, AuditLog, CredentialEvent, Event};
use holster_types::{ProfileName, ProviderId, Scopes, TenantId};
use serde::Serialize;
use tokio::sync::Mutex;

pub use cipher::Key;
pub(crate) use connections::{Digest, Found, RETRY, Revoked};
pub(crate) use keeper::keeper_from_environment;
pub use keeper::{EnvironmentKey, KeeperRecord, KeyFile, KeyKeeper, Keyring, Passphrase};
pub use resumption::NotResumable;
pub use rotate::KeyRotation;
pub use transfer::{ExportFor, ImportWith, Imported, ImportedCredential};

use crate::Owner;
use crate::credential::{
    Added, CredentialKind, CredentialSecret, CredentialSummary, NewCredential, Source,
};
use crate::private::PrivateFileError;
use refresh::Refreshes;
pub(crate) use refresh::{Renew, RenewError, RenewFailure, RenewPolicy, Renewed};
use store::{Store, StoredRow};

/// The vault's folder in the data folder.
const FOLDER: &str = "vault";

/// For so long a credential is used without asking the database whether somebody replaced or removed it.
const FRESH: Duration = Duration::from_millis(100);

/// Why the vault cannot be used. No text holds a secret.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum VaultError {
    #[error(
        "the vault {} cannot be used: {error}; see that its folder is there and can be written to",
        .path.display()
    )]
    Unusable {
        path: PathBuf,
        error: std::io::Error,
    },
    #[error(
        "the vault {} cannot be made: {error}; see that its folder can be written to and that its disk has room",
        .path.display()
    )]
    Make {
        path: PathBuf,
        error: std::io::Error,
    },
    #[error(
        "others than its owner may use {} (mode {mode:04o}), which belongs to the vault; run `chmod {right} {}`",
        .path.display(), .path.display()
    )]
    Shared {
        path: PathBuf,
        mode: u32,
        right: &'static str,
    },
    #[error(
        "the vault {} is damaged ({detail}); put it back from a backup, or move it away and add the credentials again",
        .path.display()
    )]
    Damaged { path: PathBuf, detail: String },
    #[error("the vault {} was written by a newer Holster; update this one", .path.display())]
    Newer { path: PathBuf },
    #[error("the vault {} is held by another process for too long; see what it does, and try again", .path.display())]
    Busy { path: PathBuf },
    #[error("the vault {} cannot grow: its disk is full, or its files may not be larger; nothing was changed: make room, \
             and try again", .path.display())]
    Full { path: PathBuf },
    #[error("the vault {} cannot be written to; see who owns it and whether the disk is read-only", .path.display())]
    ReadOnly { path: PathBuf },
    #[error("the vault {}: {detail}", .path.display())]
    Database { path: PathBuf, detail: String },
    #[error(
        "{keeper} does not open the vault {}; it is another vault's, or was changed: put the right one back, \
         or move the vault away and add the credentials again",
        .path.display()
    )]
    WrongKey { path: PathBuf, keeper: KeeperRecord },
    #[error("the vault is locked with {keeper}, and that was not given")]
    OtherKeeper { keeper: KeeperRecord },
    #[error("the vault's key file {} does not serve: {error}", .path.display())]
    KeyFile {
        path: PathBuf,
        #[source]
        error: KeyFileError,
    },
    #[error(
        "the vault's key file {} cannot be written: {error}; see that its folder can be written to and that its disk has \
         room",
        .path.display()
    )]
    KeyFileUnwritten {
        path: PathBuf,
        error: std::io::Error,
    },
    #[error(
        "the vault's key file {} is missing; put it back from a backup, or move the vault away and add the \
         credentials again",
        .path.display()
    )]
    KeyFileMissing { path: PathBuf },
    #[error("the vault's key file {} holds no key of 32 bytes in base64; put it back from a backup", .path.display())]
    KeyFileContent { path: PathBuf },
    #[error(
        "the variable `{name}` does not hold what it should: `HOLSTER_VAULT_KEY` is 32 bytes in base64, as \
             `openssl rand -base64 32` makes them, `HOLSTER_VAULT_PASSPHRASE` is text, and \
             `HOLSTER_VAULT_KEYRING` is 1 or 0"
    )]
    KeyVariable { name: &'static str },
    #[error(
        "more than one of `HOLSTER_VAULT_KEY`, `HOLSTER_VAULT_PASSPHRASE` and `HOLSTER_VAULT_KEYRING` are set; unset \
         those that are not the vault's"
    )]
    TwoKeepers,
    #[error("a passphrase for the vault has at least 12 characters")]
    ShortPassphrase,
    #[error(
        "the vault's key cannot be made from the passphrase: its parameters in the vault are not sound, or there \
             is not enough memory"
    )]
    Derivation,
    #[error("the system's keyring does not serve: {0}")]
    Keyring(String),
    #[error("the credentials cannot be exported: {0}")]
    Export(String),
    #[error("the file cannot be imported: {0}")]
    Import(String),
    #[error("the `{provider}` credential of profile `{profile}` {problem}")]
    Row {
        profile: ProfileName,
        provider: ProviderId,
        problem: RowProblem,
    },
}

/// Why a key file does not serve.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct KeyFileError(#[from] PrivateFileError);

/// What is wrong with one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum RowProblem {
    #[error("was altered in the vault, or moved there from another place")]
    Altered,
    #[error("is older in the vault than it was before: somebody has put an old one back")]
    RolledBack,
    #[error("is of a kind that this Holster does not know")]
    Unknown,
}

impl VaultError {
    /// Whether all other credentials are as good as before.
    pub(crate) fn concerns_one_row(&self) -> bool {
        matches!(self, Self::Row { .. })
    }

    fn damaged(path: &Path, detail: &str) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            detail: detail.to_owned(),
        }
    }

    /// What the database at `path` answers when it fails.
    fn of(path: &Path, error: &sqlx::Error) -> Self {
        let path = path.to_owned();
        let detail = match error {
            sqlx::Error::Database(database) => database.message().to_owned(),
            other => other.to_string(),
        };
        // https://sqlite.org/rescode.html: the low byte is the kind of the failure.
        let code = match error {
            sqlx::Error::Database(database) => {
                database.code().and_then(|code| code.parse::<u32>().ok())
            }
            _ => None,
        };
        match code.map(|code| code & 0xff) {
            Some(5 | 6) => Self::Busy { path },
            Some(8 | 14) => Self::ReadOnly { path },
            Some(11 | 26) => Self::Damaged { path, detail },
            Some(13) => Self::Full { path },
            // `SQLITE_IOERR_WRITE` is what a limit on the size of files becomes, `SQLITE_IOERR_SHMOPEN` and
            // `SQLITE_IOERR_SHMSIZE` what both become where the file is one that is mapped.
            Some(10) if matches!(code, Some(778 | 4618 | 4874)) => Self::Full { path },
            _ => Self::Database { path, detail },
        }
    }
}

/// A credential, out of the vault or the configuration.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) secret: CredentialSecret,
    pub(crate) account: Option<String>,
    pub(crate) scopes: Option<Scopes>,
    pub(crate) expires_at: Option<u64>,
    /// Seconds since the Unix epoch.
    pub(crate) written_at: u64,
    /// Grows with every write; 0 for what the configuration names.
    pub(crate) generation: i64,
    /// Whether the provider has said that it will not renew it.
    pub(crate) ended: bool,
}

/// What a look at the whole vault found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VaultReport {
    /// The database.
    pub path: PathBuf,
    /// Who keeps the master key, in words; `None` if there is no vault yet.
    pub keeper: Option<String>,
    /// How many credentials open.
    pub credentials: usize,
    /// What is wrong; empty if nothing is.
    pub problems: Vec<String>,
}

/// The encrypted store of credentials.
#[derive(Debug)]
pub struct Vault {
    path: PathBuf,
    keeper: Arc<dyn KeyKeeper>,
    /// Held while the store is opened: making a key out of a passphrase is dear.
    opening: Mutex<()>,
    store: OnceLock<Store>,
    cache: RwLock<Cache>,
    refreshes: Refreshes,
    audit: Arc<AuditLog>,
}

/// The profiles that may serve a provider where a call names none.
#[derive(Debug)]
pub(crate) struct Candidates {
    /// The one that the tenant chose.
    pub(crate) chosen: Option<ProfileName>,
    /// Those with a credential, sorted; ended ones count.
    pub(crate) holders: Vec<ProfileName>,
}

type CacheKey = (TenantId, ProfileName, ProviderId);

#[derive(Debug, Default)]
struct Cache {
    /// The version of the data that `held` and `candidates` are from.
    version: Option<i64>,
    fresh_until: Option<Instant>,
    /// How often this process has written.
    writes: u64,
    held: HashMap<CacheKey, Arc<Held>>,
    candidates: HashMap<(TenantId, ProviderId), Arc<Candidates>>,
    /// The newest generation that was seen of each credential.
    newest: HashMap<CacheKey, i64>,
    /// What was renewed and could not be written yet, with the generation that it takes the place of.
    unsaved: HashMap<CacheKey, (i64, Arc<Held>)>,
}

impl Cache {
    fn is_fresh(&self) -> bool {
        self.fresh_until.is_some_and(|until| Instant::now() < until)
    }

    /// Takes in what is of that version of the data; `false` if this process has written since it was asked for.
    fn admits(&mut self, version: i64, writes: u64) -> bool {
        if self.version != Some(version) {
            self.held.clear();
            self.candidates.clear();
            self.version = Some(version);
        }
        let admits = self.writes == writes;
        if admits {
            self.fresh_until = Some(Instant::now() + FRESH);
        }
        admits
    }

    /// What serves in place of `held`, as the database has it.
    fn latest(&self, key: &CacheKey, held: Arc<Held>) -> Arc<Held> {
        match self.unsaved.get(key) {
            Some((old, unsaved)) if *old == held.generation => Arc::clone(unsaved),
            _ => held,
        }
    }
}

impl Vault {
    pub(crate) fn new(data_folder: &Path, keeper: Box<dyn KeyKeeper>) -> Self {
        Self {
            path: data_folder.join(FOLDER).join("credentials.db"),
            keeper: keeper.into(),
            opening: Mutex::new(()),
            store: OnceLock::new(),
            cache: RwLock::default(),
            refreshes: Refreshes::default(),
            audit: Arc::new(AuditLog::in_folder(&holster_audit::folder(data_folder))),
        }
    }

    /// Where it is written what is done with credentials.
    pub(crate) fn audit_log(&self) -> &Arc<AuditLog> {
        &self.audit
    }

    pub(crate) fn audit(
        &self,
        action: Action,
        owner: &Owner,
        provider: &ProviderId,
        account: Option<&str>,
        generation: i64,
    ) {
        let event = CredentialEvent {
            action,
            tenant: owner.tenant.clone(),
            profile: owner.profile.clone(),
            provider: provider.clone(),
            account: account.map(str::to_owned),
            generation,
        };
        self.audit.write(move || Event::Credential(event));
    }

    /// The credential, if there is one. A replacement or removal by another process is seen 100 ms later, at the
    /// latest; a credential that was not there before, at once.
    pub(crate) async fn find(
        &self,
        owner: &Owner,
        provider: &ProviderId,
    ) -> Result<Option<Arc<Held>>, VaultError> {
        let key = (
            owner.tenant.clone(),
            owner.profile.clone(),
            provider.clone(),
        );
        if let Some(held) = self.cached(&key) {
            return Ok(Some(held));
        }
        let Some(store) = self.existing().await? else {
            return Ok(None);
        };
        let found = self.load(store, owner, &key).await?;
        Ok(found.map(|(_, held)| self.latest(&key, held)))
    }

    /// The credential as the database has it now, with its row.
    async fn read(
        &self,
        owner: &Owner,
        provider: &ProviderId,
    ) -> Result<Option<(&Store, StoredRow, Arc<Held>)>, VaultError> {
        let Some(store) = self.existing().await? else {
            return Ok(None);
        };
        let key = (
            owner.tenant.clone(),
            owner.profile.clone(),
            provider.clone(),
        );
        let found = self.load(store, owner, &key).await?;
        Ok(found.map(|(row, held)| (store, row, held)))
    }

    /// Reads a credential and remembers it.
    async fn load(
        &self,
        store: &Store,
        owner: &Owner,
        key: &CacheKey,
    ) -> Result<Option<(StoredRow, Arc<Held>)>, VaultError> {
        let loaded = match self.load_once(store, owner, key).await? {
            // The key may have been changed between the look at the row and its use.
            Err(RowProblem::Altered) => self.load_once(store, owner, key).await?,
            loaded => loaded,
        };
        loaded.map_err(|problem| row_error(owner, &key.2, problem))
    }

    async fn load_once(
        &self,
        store: &Store,
        owner: &Owner,
        key: &CacheKey,
    ) -> Result<Result<Option<(StoredRow, Arc<Held>)>, RowProblem>, VaultError> {
        let writes = self.writes();
        // Kept until what was read is remembered, or else a later reader's newer row would look like a rollback.
        let (reader, row) = store.row(owner, &key.2).await?;
        let Some(row) = row else {
            self.forget(key);
            return Ok(Ok(None));
        };
        let open = || {
            let row = row?;
            let held = Arc::new(store.unseal(&owner.tenant, &row)?);
            self.remember(key.clone(), reader.version(), writes, &held)?;
            Ok(Some((row, held)))
        };
        Ok(open())
    }

    /// Writes a credential, in place of the one before. Makes the vault if there is none.
    pub(crate) async fn store(
        &self,
        owner: &Owner,
        provider: &ProviderId,
        credential: NewCredential,
    ) -> Result<Added, VaultError> {
        let store = self.made().await?;
        let added = store.put(owner, provider, &credential, now()).await;
        self.has_written();
        let (added, generation) = added?;
        self.audit(
            Action::Stored,
            owner,
            provider,
            credential.account.as_deref(),
            generation,
        );
        Ok(added)
    }

    /// Deletes a credential; `false` if there was none.
    pub(crate) async fn remove(
        &self,
        owner: &Owner,
        provider: &ProviderId,
    ) -> Result<bool, VaultError> {
        let Some(store) = self.existing().await? else {
            return Ok(false);
        };
        let removed = store.delete(owner, provider).await;
        self.has_written();
        let removed = removed?;
        if let Some((account, generation)) = &removed {
            self.audit(
                Action::Removed,
                owner,
                provider,
                account.as_deref(),
                *generation,
            );
        }
        Ok(removed.is_some())
    }

    /// What may be shown of a tenant's credentials; a row that does not open comes with its problem.
    pub(crate) async fn list(
        &self,
        tenant: &TenantId,
    ) -> Result<Vec<CredentialSummary>, VaultError> {
        let Some(store) = self.existing().await? else {
            return Ok(Vec::new());
        };
        let mut reader = store.reader().await?;
        let mut listed = Vec::new();
        for row in reader.rows(tenant).await? {
            match row {
                Ok(row) => listed.push(self.summary(store, tenant, row)),
                // Without names there is no line to show it in.
                Err(problem) => tracing::warn!(
                    "a credential in the vault {} {problem}",
                    self.path.display()
                ),
            }
        }
        Ok(listed)
    }

    /// The profiles of a tenant, each with the number of its credentials.
    pub(crate) async fn profiles(
        &self,
        tenant: &TenantId,
    ) -> Result<Vec<(ProfileName, usize)>, VaultError> {
        match self.existing().await? {
            Some(store) => store.reader().await?.profiles(tenant).await,
            None => Ok(Vec::new()),
        }
    }

    /// The profile that serves a provider where a call names none; `None` takes the choice back. Makes the vault if
    /// there is none.
    pub async fn set_default_profile(
        &self,
        tenant: &TenantId,
        provider: &ProviderId,
        profile: Option<&ProfileName>,
    ) -> Result<(), VaultError> {
        let store = match profile {
            Some(_) => self.made().await?,
            None => match self.existing().await? {
                Some(store) => store,
                None => return Ok(()),
            },
        };
        let set = store.set_default_profile(tenant, provider, profile).await;
        self.has_written();
        set
    }

    /// The chosen profiles of a tenant, by provider. A choice that somebody else wrote into the database is left out.
    pub async fn default_profiles(
        &self,
        tenant: &TenantId,
    ) -> Result<BTreeMap<ProviderId, ProfileName>, VaultError> {
        match self.existing().await? {
            Some(store) => store.reader().await?.default_profiles(store, tenant).await,
            None => Ok(BTreeMap::new()),
        }
    }

    /// The profiles of a tenant with a credential for the provider, sorted; ended ones count.
    pub async fn holders(
        &self,
        tenant: &TenantId,
        provider: &ProviderId,
    ) -> Result<Vec<ProfileName>, VaultError> {
        match self.existing().await? {
            Some(store) => store.reader().await?.holders(tenant, provider).await,
            None => Ok(Vec::new()),
        }
    }

    /// Who may serve a provider where a call names no profile, as it is remembered; a change by another process is
    /// seen 100 ms later, at the latest. `None` where it has to be asked for.
    pub(crate) fn known_candidates(
        &self,
        tenant: &TenantId,
        provider: &ProviderId,
    ) -> Option<Arc<Candidates>> {
        let cache = self.cache.read().unwrap_or_else(PoisonError::into_inner);
        let known = cache.candidates.get(&(tenant.clone(), provider.clone()))?;
        cache.is_fresh().then(|| Arc::clone(known))
    }

    /// Who may serve a provider where a call names no profile, as the database has it now.
    pub(crate) async fn candidates(
        &self,
        tenant: &TenantId,
        provider: &ProviderId,
    ) -> Result<Arc<Candidates>, VaultError> {
        let Some(store) = self.existing().await? else {
            return Ok(Arc::new(Candidates {
                chosen: None,
                holders: Vec::new(),
            }));
        };
        let writes = self.writes();
        let mut reader = store.reader().await?;
        let chosen = reader.chosen(store, tenant, provider).await?;
        let holders = reader.holders(tenant, provider).await?;
        let candidates = Arc::new(Candidates { chosen, holders });
        let mut cache = self.cache.write().unwrap_or_else(PoisonError::into_inner);
        // Where there is none, the first one is to be seen at once.
        let is_empty = candidates.chosen.is_none() && candidates.holders.is_empty();
        if cache.admits(reader.version(), writes) && !is_empty {
            let key = (tenant.clone(), provider.clone());
            cache.candidates.insert(key, Arc::clone(&candidates));
        }
        Ok(candidates)
    }

    /// Opens everything, and says what does not. Changes nothing.
    pub async fn verify(&self) -> Result<VaultReport, VaultError> {
        let mut report = VaultReport {
            path: self.path.clone(),
            keeper: None,
            credentials: 0,
            problems: Vec::new(),
        };
        let Some(store) = self.existing().await? else {
            return Ok(report);
        };
        report.keeper = Some(store.unlocked().record.to_string());
        let mut reader = store.reader().await?;
        report.problems = reader.integrity().await?;
        for tenant in reader.tenants().await? {
            let tenant = match tenant {
                Ok(tenant) => tenant,
                Err(name) => {
                    let name = name.escape_debug();
                    report
                        .problems
                        .push(format!("`{name}` is not the id of a tenant"));
                    continue;
                }
            };
            for row in reader.rows(&tenant).await? {
                let problem = match row {
                    Err(problem) => format!("a credential of `{tenant}` {problem}"),
                    Ok(row) => match self.problem(store, &tenant, &row) {
                        None => {
                            report.credentials += 1;
                            continue;
                        }
                        Some(problem) => {
                            let StoredRow {
                                profile, provider, ..
                            } = row;
                            format!("`{provider}` for profile `{profile}` of `{tenant}` {problem}")
                        }
                    },
                };
                report.problems.push(problem);
            }
        }
        Ok(report)
    }

    /// The database, if there is one.
    async fn existing(&self) -> Result<Option<&Store>, VaultError> {
        if let Some(store) = self.store.get() {
            return Ok(Some(store));
        }
        let _one = self.opening.lock().await;
        if self.store.get().is_none()
            && let Some(store) = Store::open(&self.path, &self.keeper, false).await?
        {
            self.store
                .set(store)
                .expect("the lock lets one open at a time");
        }
        Ok(self.store.get())
    }

    /// The database, made if there is none.
    async fn made(&self) -> Result<&Store, VaultError> {
        if let Some(store) = self.existing().await? {
            return Ok(store);
        }
        let _one = self.opening.lock().await;
        if self.store.get().is_none()
            && let Some(store) = Store::open(&self.path, &self.keeper, true).await?
        {
            self.store
                .set(store)
                .expect("the lock lets one open at a time");
        }
        Ok(self
            .store
            .get()
            .expect("a database that is to be made is there"))
    }

    fn summary(&self, store: &Store, tenant: &TenantId, row: StoredRow) -> CredentialSummary {
        let problem = match (self.problem(store, tenant, &row), row.trouble) {
            (Some(problem), _) => Some(problem.to_string()),
            (None, Some(trouble)) => Some(trouble.to_string()),
            (None, None) => None,
        };
        let problem = problem.map(|problem| {
            let (profile, provider) = (&row.profile, &row.provider);
            let again = if row.kind == CredentialKind::Oauth2.as_str() {
                "connect it again with `holster auth connect"
            } else {
                "add it again with `holster auth add"
            };
            format!("it {problem}; {again} {provider} --profile {profile}`")
        });
        let time = |at: i64| u64::try_from(at).ok();
        CredentialSummary {
            kind: CredentialKind::parse(&row.kind).unwrap_or(CredentialKind::ApiKey),
            scopes: row
                .scopes
                .as_deref()
                .and_then(|scopes| serde_json::from_str(scopes).ok()),
            expires_at: row.expires_at.and_then(time),
            created_at: time(row.created_at),
            updated_at: time(row.updated_at),
            profile: row.profile,
            provider: row.provider,
            account: row.account,
            source: Source::Vault,
            problem,
        }
    }

    fn problem(&self, store: &Store, tenant: &TenantId, row: &StoredRow) -> Option<RowProblem> {
        let key = (tenant.clone(), row.profile.clone(), row.provider.clone());
        let newest = self
            .cache
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .newest
            .get(&key)
            .copied();
        match store.unseal(tenant, row) {
            Err(problem) => Some(problem),
            Ok(_) if newest.is_some_and(|newest| row.generation < newest) => {
                Some(RowProblem::RolledBack)
            }
            Ok(_) => None,
        }
    }

    /// What is cached under `key` and may be used unasked.
    fn cached(&self, key: &CacheKey) -> Option<Arc<Held>> {
        let cache = self.cache.read().unwrap_or_else(PoisonError::into_inner);
        let held = cache.held.get(key).filter(|_| cache.is_fresh())?;
        Some(cache.latest(key, Arc::clone(held)))
    }

    /// How often this process has written.
    fn writes(&self) -> u64 {
        let cache = self.cache.read().unwrap_or_else(PoisonError::into_inner);
        cache.writes
    }

    fn remember(
        &self,
        key: CacheKey,
        version: i64,
        writes: u64,
        held: &Arc<Held>,
    ) -> Result<(), RowProblem> {
        let generation = held.generation;
        let mut cache = self.cache.write().unwrap_or_else(PoisonError::into_inner);
        let newest = cache.newest.entry(key.clone()).or_insert(generation);
        if generation < *newest {
            return Err(RowProblem::RolledBack);
        }
        *newest = generation;
        if cache.admits(version, writes) {
            cache.held.insert(key, Arc::clone(held));
        }
        Ok(())
    }

    fn latest(&self, key: &CacheKey, held: Arc<Held>) -> Arc<Held> {
        self.cache
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .latest(key, held)
    }

    fn keep_unsaved(&self, key: &CacheKey, old: i64, held: &Arc<Held>) {
        self.cache
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .unsaved
            .insert(key.clone(), (old, Arc::clone(held)));
    }

    fn drop_unsaved(&self, key: &CacheKey) {
        self.cache
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .unsaved
            .remove(key);
    }

    fn forget(&self, key: &CacheKey) {
        self.cache
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .held
            .remove(key);
    }

    /// Whatever is cached has to be asked for again.
    fn has_written(&self) {
        let mut cache = self.cache.write().unwrap_or_else(PoisonError::into_inner);
        cache.writes += 1;
        cache.fresh_until = None;
    }
}

fn row_error(owner: &Owner, provider: &ProviderId, problem: RowProblem) -> VaultError {
    VaultError::Row {
        profile: owner.profile.clone(),
        provider: provider.clone(),
        problem,
    }
}

/// Seconds since the Unix epoch.
pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// Whether something seems to have happened in the future, since the clock was set back after it. Nobody knows how long ago
/// that was, so that what began then does not go on: by this clock it could take years to end. That a clock is put right by
/// some seconds does not count.
pub(crate) fn is_ahead(time: u64) -> bool {
    const PUT_RIGHT: u64 = 60;
    time > now() + PUT_RIGHT
}

/// Whether what lasts for `life` seconds, up to that time, has not ended.
pub(crate) fn lasts(expires_at: u64, life: u64) -> bool {
    expires_at > now() && !is_ahead(expires_at.saturating_sub(life))
}

fn seconds(time: u64) -> i64 {
    i64::try_from(time).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
