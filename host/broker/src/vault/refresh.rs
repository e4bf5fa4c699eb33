//! Renewing tokens: one request, however many ask for it.
//!
//! [`Vault::renewed`] asks the provider at most once for each generation of a credential. Callers of this process
//! share one task, which goes on when they go away; processes exclude each other by a file lock, which the system
//! takes back when its holder dies. Under the lock the credential is read again: if it is newer than what the caller
//! saw, nobody is asked. What a request looks like is the caller's business.
//!
//! A refresh token that rotates is used up by the request, and using it once more makes a provider end the whole
//! consent. So the request is written down, durably, before it is sent, and crossed out together with its answer:
//!
//! - **Answered** with tokens: they are stored if the credential is still the one that was to be renewed. Otherwise
//!   they are dropped: who removed or replaced it meant it. If it was removed, the provider is to revoke them: it knew
//!   nothing of them when it was told to end the account. If it was replaced, it is not: to many providers that would
//!   mean the new consent as well. If they cannot be stored, they serve from memory, and storing is tried again for as
//!   long as the process lives, under the lock.
//! - **Refused** with `invalid_grant`: the credential has ended. Its row stays, so that a list can say so.
//! - **Not used** ([`RenewFailure::Unused`]): crossed out, and asked again after a pause.
//! - **In doubt**: the answer was lost ([`RenewFailure::Transient`], a panic), or the process died before the answer
//!   was stored. A provider that does not rotate is simply asked again; one that rotates only within the time in
//!   which it lets a used token pass, counted from the first request. After that the credential is *uncertain*: its
//!   access token serves until it expires, and then a person has to connect anew.
//!
//! A provider that takes its time holds up nobody whose token is still valid.
//!
//! Nothing but a person deletes a credential.
//!
//! The lock is an empty file for each credential that was ever renewed. It stays when the credential goes: whoever
//! deletes a lock that another process has opened and is about to take lets two in. That could be helped by looking,
//! once the lock is held, whether its file is still the one in the folder; but all that is saved is a name in a folder
//! for each account that was ever connected, which the account's next connection would take up again.

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use holster_audit::Action;
use holster_types::{ProviderId, Scopes};
use tokio::sync::oneshot;
use tracing::Instrument as _;

use super::store::{Store, StoredRow, Trouble, blocking};
use super::{CacheKey, Held, Revoked, Vault, VaultError, is_ahead, now, seconds};
use crate::credential::{CredentialKind, CredentialSecret, OAuthTokens};
use crate::{Owner, private};

/// A request that takes longer is given up. The HTTP client's own limit is below it.
const REQUEST: Duration = Duration::from_mins(1);

/// Whoever has a token that is still valid does not wait longer for the next one.
const PATIENCE: Duration = Duration::from_secs(2);

/// For so long another process may hold the lock: longer than a request takes.
const LOCK: Duration = Duration::from_secs(90);

/// The pause after a first failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// The pause after storing has failed; it doubles as well.
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// Why a credential is to be renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Renew {
    /// It may be about to expire. While the provider cannot be asked, what is still valid is given.
    Expiring {
        /// How near the end counts as near. Of a token that lives shorter than twice this: half its life.
        within_s: u64,
    },
    /// The API has answered 401 to the token of this generation.
    Rejected { generation: i64 },
}

/// What the provider does with a refresh token that was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RenewPolicy {
    /// For so many seconds it may be used once more.
    pub(crate) reuse_grace_s: u64,
    /// Whether using it ends it.
    pub(crate) rotates: bool,
}

/// A provider's answer.
#[derive(Debug)]
pub(crate) struct Renewed {
    /// Of the kind that was to be renewed. Where it has no refresh token, the old one is kept (RFC 6749 §6).
    pub(crate) secret: CredentialSecret,
    /// Seconds since the Unix epoch.
    pub(crate) expires_at: Option<u64>,
    /// `None`: as before.
    pub(crate) scopes: Option<Scopes>,
}

/// Why there is no answer. The texts hold no secret.
#[derive(Debug)]
pub(crate) enum RenewFailure {
    /// The server says `invalid_grant`.
    InvalidGrant(String),
    /// The refresh token was certainly not used: no connection was made, or the server turned the request away
    /// (429, 500, 503, any OAuth error but `invalid_grant`).
    Unused(String),
    /// It may have been used: a time-out, a connection that broke, a gateway's 502 or 504, an answer that cannot be
    /// understood. Whoever cannot tell says this.
    Transient(String),
}

/// Why a credential was not renewed. No text holds a secret.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum RenewError {
    #[error("it was removed")]
    Gone,
    #[error("the provider will not renew it any more")]
    Ended,
    #[error(
        "a refresh was cut off, and asking the provider once more could make it end the connection"
    )]
    Uncertain,
    #[error("it cannot be renewed without a person")]
    NotRenewable,
    #[error("the provider could not be asked to renew it: {0}")]
    Transient(String),
    #[error(transparent)]
    Vault(Arc<VaultError>),
}

impl From<VaultError> for RenewError {
    fn from(error: VaultError) -> Self {
        Self::Vault(Arc::new(error))
    }
}

type Outcome = Result<Arc<Held>, RenewError>;

/// A refresh that is under way, for all who wait for it.
type Flight = Shared<BoxFuture<'static, Outcome>>;

/// What this process knows of refreshes.
#[derive(Debug, Default)]
pub(super) struct Refreshes {
    flights: Mutex<HashMap<CacheKey, Flight>>,
    pauses: Mutex<HashMap<CacheKey, Pause>>,
}

/// Until when a provider is left alone.
#[derive(Debug, Clone, Copy)]
struct Pause {
    generation: i64,
    length: Duration,
    until: Instant,
}

/// One credential that is to be renewed.
struct Task {
    vault: Arc<Vault>,
    key: CacheKey,
    owner: Owner,
    provider: ProviderId,
    why: Renew,
    policy: RenewPolicy,
    /// The generation that the caller saw.
    seen: i64,
}

/// A credential as the database has it.
struct Current<'a> {
    store: &'a Store,
    row: StoredRow,
    held: Arc<Held>,
}

/// A request that is written down.
#[derive(Debug, Clone, Copy)]
struct Begun {
    /// What its answer will be.
    generation: i64,
    /// Whether the token may have been used by an earlier request.
    in_doubt: bool,
}

impl Vault {
    /// The credential, renewed if it has to be. `request` is called at most once, and by one caller only.
    pub(crate) async fn renewed<F, R>(
        self: &Arc<Self>,
        owner: &Owner,
        provider: &ProviderId,
        why: Renew,
        policy: RenewPolicy,
        request: F,
    ) -> Outcome
    where
        F: FnOnce(CredentialSecret) -> R + Send + 'static,
        R: Future<Output = Result<Renewed, RenewFailure>> + Send + 'static,
    {
        let seen = self.find(owner, provider).await?.ok_or(RenewError::Gone)?;
        if seen.ended {
            return Err(RenewError::Ended);
        }
        if why.is_served_by(&seen, i64::MAX) {
            return Ok(seen);
        }
        let serves = || why.accepts_what_is_valid() && seen.is_valid();
        if seen.secret.renewed_with().is_none() {
            return if serves() {
                Ok(seen)
            } else {
                Err(RenewError::NotRenewable)
            };
        }
        let task = Task {
            vault: Arc::clone(self),
            key: (
                owner.tenant.clone(),
                owner.profile.clone(),
                provider.clone(),
            ),
            owner: owner.clone(),
            provider: provider.clone(),
            why,
            policy,
            seen: seen.generation,
        };
        let mut landed = pin!(self.landed(task, request));
        let outcome = match tokio::time::timeout(PATIENCE, &mut landed).await {
            Ok(outcome) => outcome,
            // The refresh goes on, for those who come later.
            Err(_) if serves() => return Ok(seen),
            Err(_) => landed.await,
        };
        match outcome {
            Err(RenewError::Transient(_) | RenewError::Uncertain | RenewError::Vault(_))
                if serves() =>
            {
                Ok(seen)
            }
            outcome => outcome,
        }
    }

    /// The refresh that was under way, or else that of this task, once it has come to its end.
    async fn landed<F, R>(self: &Arc<Self>, task: Task, request: F) -> Outcome
    where
        F: FnOnce(CredentialSecret) -> R + Send + 'static,
        R: Future<Output = Result<Renewed, RenewFailure>> + Send + 'static,
    {
        let (key, why, seen) = (task.key.clone(), task.why, task.seen);
        let mut work = Some((task, request));
        loop {
            let (flight, lead) = self.refreshes.join(&key);
            let leads = lead.is_some();
            if let Some(sender) = lead {
                let (task, request) = work.take().expect("who leads does not come back");
                let landing = Landing {
                    vault: Arc::clone(self),
                    key: key.clone(),
                };
                // A task of its own, which nobody's going away ends.
                tokio::spawn(task.fly(request, sender, landing).in_current_span());
            }
            // One that is over and still there has an answer that could not be stored yet.
            let is_over = flight.peek().is_some();
            match flight.await {
                // Another caller wanted less.
                Ok(held) if !leads && !is_over && !why.is_served_by(&held, seen) => {}
                outcome => return outcome,
            }
        }
    }
}

impl Renew {
    /// Whether a credential is all that the caller wants, who before has seen the generation `seen`.
    fn is_served_by(self, held: &Held, seen: i64) -> bool {
        match self {
            Self::Rejected { generation } => held.generation > generation,
            Self::Expiring { within_s } => held.generation > seen || !held.expires_within(within_s),
        }
    }

    fn accepts_what_is_valid(self) -> bool {
        matches!(self, Self::Expiring { .. })
    }
}

impl Held {
    fn expires_within(&self, within_s: u64) -> bool {
        if !self.secret.has_access() {
            return true;
        }
        self.expires_at.is_some_and(|at| {
            // By a clock that was set back, it may live for ever.
            if is_ahead(self.written_at) {
                return true;
            }
            let life = at.saturating_sub(self.written_at);
            at <= now().saturating_add(within_s.min(life / 2))
        })
    }

    fn is_valid(&self) -> bool {
        self.secret.has_access() && self.expires_at.is_none_or(|at| at > now())
    }
}

impl Refreshes {
    /// The flight of a credential; where there was none, a new one, with the way to end it.
    fn join(&self, key: &CacheKey) -> (Flight, Option<oneshot::Sender<Outcome>>) {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(key) {
            return (flight.clone(), None);
        }
        let (sender, receiver) = oneshot::channel();
        let flight = async move {
            let cut_off = || Err(RenewError::Transient("the refresh was cut off".to_owned()));
            receiver.await.unwrap_or_else(|_| cut_off())
        }
        .boxed()
        .shared();
        flights.insert(key.clone(), flight.clone());
        (flight, Some(sender))
    }

    fn land(&self, key: &CacheKey) {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        flights.remove(key);
    }

    fn is_paused(&self, key: &CacheKey, generation: i64) -> bool {
        let pauses = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        pauses
            .get(key)
            .is_some_and(|pause| pause.generation == generation && Instant::now() < pause.until)
    }

    fn pause(&self, key: &CacheKey, generation: i64) {
        let mut pauses = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        let length = match pauses.get(key) {
            Some(before) if before.generation == generation => {
                (before.length * 2).min(LONGEST_PAUSE)
            }
            _ => FIRST_PAUSE,
        };
        let pause = Pause {
            generation,
            length,
            until: Instant::now() + length,
        };
        pauses.insert(key.clone(), pause);
    }

    fn unpause(&self, key: &CacheKey) {
        let mut pauses = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        pauses.remove(key);
    }
}

/// Takes a flight off the list, however it ends.
struct Landing {
    vault: Arc<Vault>,
    key: CacheKey,
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.vault.refreshes.land(&self.key);
    }
}

impl Task {
    /// The whole refresh, from the first step to the last landing.
    async fn fly<F, R>(self, request: F, sender: oneshot::Sender<Outcome>, landing: Landing)
    where
        F: FnOnce(CredentialSecret) -> R,
        R: Future<Output = Result<Renewed, RenewFailure>>,
    {
        // Whoever wants to know may have gone away: a failed `send` is none.
        match self.ask(request).await {
            Ok(Run::Unsaved(unsaved)) => {
                let _ = sender.send(Ok(Arc::clone(&unsaved.held)));
                self.save_at_last(unsaved).await;
            }
            Ok(Run::Done(held)) => {
                // First, or else somebody could join what is over.
                drop(landing);
                let _ = sender.send(Ok(held));
            }
            Err(error) => {
                drop(landing);
                let _ = sender.send(Err(error));
            }
        }
    }

    /// The steps of a refresh, in their order.
    async fn ask<F, R>(&self, request: F) -> Result<Run, RenewError>
    where
        F: FnOnce(CredentialSecret) -> R,
        R: Future<Output = Result<Renewed, RenewFailure>>,
    {
        let lock = self.lock().await?;
        let current = self.current().await?;
        if self.why.is_served_by(&current.held, self.seen) {
            return Ok(Run::Done(current.held));
        }
        let generation = current.held.generation;
        if self.vault.refreshes.is_paused(&self.key, generation) {
            let why = "it failed a moment ago, and is left alone for some seconds";
            return Err(RenewError::Transient(why.to_owned()));
        }
        let Some(begun) = self.begin(&current).await? else {
            return Ok(Run::Done(self.newer().await?));
        };
        match tokio::time::timeout(REQUEST, request(current.held.secret.clone())).await {
            Ok(Ok(renewed)) => self.store(lock, current, begun, renewed).await,
            Ok(Err(failure)) => self.fail(&current, begun, failure).await,
            Err(_) => {
                let late = format!("no answer in {} seconds", REQUEST.as_secs());
                self.fail(&current, begun, RenewFailure::Transient(late))
                    .await
            }
        }
    }

    /// The credential as the database has it now.
    async fn current(&self) -> Result<Current<'_>, RenewError> {
        let (store, row, held) = self
            .vault
            .read(&self.owner, &self.provider)
            .await?
            .ok_or(RenewError::Gone)?;
        if held.ended {
            return Err(RenewError::Ended);
        }
        Ok(Current { store, row, held })
    }

    /// Writes down that the provider is going to be asked; `None` if the credential was replaced meanwhile.
    async fn begin(&self, current: &Current<'_>) -> Result<Option<Begun>, RenewError> {
        let Current { store, row, held } = current;
        if held.secret.renewed_with().is_none() {
            return Err(RenewError::NotRenewable);
        }
        let unanswered = store
            .unanswered(&self.owner, &self.provider, &held.secret)
            .await?;
        let started_at = match unanswered {
            None => seconds(now()),
            Some(before) if self.may_ask_again(held, before.started_at) => before.started_at,
            Some(_) => {
                if row.trouble.is_none() {
                    store.mark(&self.owner, row, Trouble::Uncertain).await?;
                    self.vault.has_written();
                }
                return Err(RenewError::Uncertain);
            }
        };
        let generation = store
            .begin_refresh(&self.owner, row, &held.secret, started_at)
            .await?;
        self.vault.has_written();
        Ok(generation.map(|generation| Begun {
            generation,
            in_doubt: unanswered.is_some(),
        }))
    }

    fn may_ask_again(&self, held: &Held, started_at: i64) -> bool {
        let rotates = self.policy.rotates && held.secret.kind() == CredentialKind::Oauth2;
        let end = started_at.saturating_add(seconds(self.policy.reuse_grace_s));
        // A start in the future is a clock that was set back: nobody knows how long ago it was.
        let within = (started_at..end).contains(&seconds(now()));
        !rotates || within
    }

    async fn store(
        &self,
        lock: File,
        current: Current<'_>,
        begun: Begun,
        renewed: Renewed,
    ) -> Result<Run, RenewError> {
        let Current { store, row, held } = current;
        let secret = match kept(&held.secret, renewed.secret) {
            Ok(secret) => secret,
            Err(detail) => {
                let failure = RenewFailure::Transient(detail);
                return self
                    .fail(&Current { store, row, held }, begun, failure)
                    .await;
            }
        };
        let new = Held {
            secret,
            account: held.account.clone(),
            scopes: renewed.scopes.or_else(|| held.scopes.clone()),
            expires_at: renewed.expires_at,
            generation: begun.generation,
            written_at: now(),
            ended: false,
        };
        match store.finish_refresh(&self.owner, &row, &new).await {
            Ok(true) => {
                self.vault.has_written();
                self.vault.refreshes.unpause(&self.key);
                self.audit(Action::Refreshed, &new);
                drop(lock);
                Ok(Run::Done(Arc::new(new)))
            }
            Ok(false) => Ok(Run::Done(self.too_late(&new).await?)),
            Err(error) => {
                tracing::error!(
                    provider = %self.provider,
                    profile = %self.owner.profile,
                    "a renewed credential serves from memory, and is lost if this process ends now: {error}"
                );
                let held = Arc::new(new);
                self.vault.keep_unsaved(&self.key, row.generation, &held);
                Ok(Run::Unsaved(Unsaved {
                    lock,
                    old: row,
                    held,
                }))
            }
        }
    }

    /// Tries to store what could not be stored, for as long as it takes. Keeps the lock: to any other process the
    /// credential would look uncertain.
    async fn save_at_last(&self, unsaved: Unsaved) {
        let mut pause = FIRST_RETRY;
        loop {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_RETRY);
            // There is a store: the credential was read from it.
            let Ok(Some(store)) = self.vault.existing().await else {
                continue;
            };
            match store
                .finish_refresh(&self.owner, &unsaved.old, &unsaved.held)
                .await
            {
                Ok(stored) => {
                    if stored {
                        self.audit(Action::Refreshed, &unsaved.held);
                    } else {
                        // Nobody waits for it any more.
                        let _ = self.too_late(&unsaved.held).await;
                    }
                    break;
                }
                Err(error) => tracing::warn!("a renewed credential is still not stored: {error}"),
            }
        }
        self.vault.has_written();
        self.vault.drop_unsaved(&self.key);
        drop(unsaved.lock);
    }

    async fn fail(
        &self,
        current: &Current<'_>,
        begun: Begun,
        failure: RenewFailure,
    ) -> Result<Run, RenewError> {
        let Current { store, row, held } = current;
        let detail = match failure {
            RenewFailure::InvalidGrant(detail) => {
                let ended = store.mark(&self.owner, row, Trouble::Ended).await?;
                self.vault.has_written();
                if ended {
                    self.audit(Action::Ended, held);
                }
                tracing::warn!(
                    provider = %self.provider,
                    profile = %self.owner.profile,
                    "the provider has ended a credential: {detail}"
                );
                return if ended {
                    Err(RenewError::Ended)
                } else {
                    Ok(Run::Done(self.newer().await?))
                };
            }
            RenewFailure::Unused(detail) => {
                // That this request did not use the token says nothing of the one before.
                if !begun.in_doubt {
                    store.forget_refresh(&self.owner, row).await?;
                }
                detail
            }
            RenewFailure::Transient(detail) => detail,
        };
        self.vault.refreshes.pause(&self.key, held.generation);
        Err(RenewError::Transient(detail))
    }

    fn audit(&self, action: Action, held: &Held) {
        let (account, generation) = (held.account.as_deref(), held.generation);
        self.vault
            .audit(action, &self.owner, &self.provider, account, generation);
    }

    /// What somebody put in place of the credential during the refresh.
    async fn newer(&self) -> Outcome {
        Ok(self.current().await?.held)
    }

    /// The same where the answer has brought tokens that now belong to nobody.
    async fn too_late(&self, late: &Held) -> Outcome {
        let newer = self.newer().await;
        if let (Err(RenewError::Gone), CredentialSecret::OAuth(tokens)) = (&newer, &late.secret) {
            let revoked = Revoked::from(tokens.clone());
            let tenant = &self.owner.tenant;
            let later = self.vault.revoke_later(tenant, &self.provider, &revoked, 0);
            if let Err(error) = later.await {
                tracing::warn!(
                    provider = %self.provider,
                    profile = %self.owner.profile,
                    "tokens of an account that was disconnected meanwhile are not revoked: {error}"
                );
            }
        }
        newer
    }

    /// The lock that this credential has among all processes.
    async fn lock(&self) -> Result<File, RenewError> {
        let path = self.vault.lock_path(&self.key);
        let unusable = |error| VaultError::Unusable {
            path: path.clone(),
            error,
        };
        let opening = path.clone();
        let file = blocking(move || {
            private::create_folder(opening.parent().expect("a lock is in a folder"))?;
            private::options()
                .create(true)
                .truncate(false)
                .open(&opening)
        })
        .await
        .map_err(unusable)?;
        let patience = Instant::now() + LOCK;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(error)) => return Err(unusable(error).into()),
                Err(TryLockError::WouldBlock) if Instant::now() >= patience => {
                    return Err(VaultError::Busy { path }.into());
                }
                Err(TryLockError::WouldBlock) => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
    }
}

impl Vault {
    /// Says nothing of whose it is.
    fn lock_path(&self, (tenant, profile, provider): &CacheKey) -> PathBuf {
        let mut hasher = blake3::Hasher::new_derive_key("holster refresh lock 1");
        for field in [tenant.as_str(), profile.as_str(), provider.as_str()] {
            hasher.update(&(field.len() as u64).to_le_bytes());
            hasher.update(field.as_bytes());
        }
        let name = hasher.finalize().to_hex();
        self.path.with_file_name("refresh").join(&name[..32])
    }
}

/// What came of a refresh.
enum Run {
    Done(Arc<Held>),
    Unsaved(Unsaved),
}

/// An answer that could not be stored.
struct Unsaved {
    lock: File,
    /// What it is to take the place of.
    old: StoredRow,
    held: Arc<Held>,
}

/// The secret in an answer, with what it leaves out; or what is wrong with it.
fn kept(old: &CredentialSecret, new: CredentialSecret) -> Result<CredentialSecret, String> {
    if new.kind() != old.kind() {
        return Err("the answer is of another kind".to_owned());
    }
    new.check()
        .map_err(|problem| format!("the answer cannot be used: {problem}"))?;
    if !new.has_access() {
        return Err("the answer has no access token".to_owned());
    }
    Ok(match (old, new) {
        (CredentialSecret::OAuth(old), CredentialSecret::OAuth(new)) => {
            CredentialSecret::OAuth(OAuthTokens {
                refresh: new.refresh.or_else(|| old.refresh.clone()),
                ..new
            })
        }
        (_, new) => new,
    })
}

#[cfg(test)]
mod tests;
