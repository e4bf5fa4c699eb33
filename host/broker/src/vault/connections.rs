//! Connections at rest, and what is left to revoke.
//!
//! A connection lives in the vault, so that a restart loses none and any process of the user can take the provider's
//! answer. Each step is one statement that names the state it starts from: of two that race, one finds it gone.
//! What a step needs later is sealed, and bound to the connection, its owner and its browser.

use std::collections::BTreeMap;

use holster_types::{
    ConnectionId, ProfileName, ProviderId, Scopes, SecretString, TenantId, ThreadId,
};
use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteRow;
use sqlx::{Encode, Row as _, Sqlite, SqliteConnection, Type};
use zeroize::Zeroizing;

use super::cipher::{Context, Key};
use super::store::Store;
use super::{Vault, VaultError, lasts, now, seconds};
use crate::connection::{Connection, ConnectionState, NewConnection};
use crate::credential::OAuthTokens;
use crate::secret_text::{self, to_bytes};
use crate::{Owner, random};

/// How long a person has to act, and then to answer (DESIGN: 10 minutes to live).
const LIFETIME: u64 = 600;

/// After an answer came, for so long the exchange may take; a host that stopped in between is not waited for longer.
const EXCHANGE: u64 = 90;

/// For so long it can be seen how a connection ended.
const MEMORY: u64 = 24 * 60 * 60;

/// After so long without success a provider is asked to revoke once more.
pub(crate) const RETRY: u64 = 60;

/// How long a provider is asked to revoke before it is given up.
const REVOKING: u64 = 7 * 24 * 60 * 60;

/// A hash of what a browser sends.
pub(crate) type Digest = [u8; 32];

/// A connection with what its next step needs.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) connection: Connection,
    /// The browser that it is bound to.
    pub(crate) browser: Option<Digest>,
    /// Whether an answer has come.
    pub(crate) answered: bool,
    request: Option<Digest>,
    sealed: Option<Vec<u8>>,
}

/// Tokens that a provider has yet to forget.
#[derive(Serialize, Deserialize)]
pub(crate) struct Revoked {
    #[serde(with = "secret_text")]
    pub(crate) access: SecretString,
    #[serde(with = "secret_text::optional")]
    pub(crate) refresh: Option<SecretString>,
    pub(crate) client: String,
    #[serde(with = "secret_text::optional")]
    pub(crate) client_secret: Option<SecretString>,
    pub(crate) variables: BTreeMap<String, String>,
}

impl From<OAuthTokens> for Revoked {
    fn from(tokens: OAuthTokens) -> Self {
        Self {
            access: tokens.access,
            refresh: tokens.refresh,
            client: tokens.client.id,
            client_secret: tokens.client.secret,
            variables: tokens.variables,
        }
    }
}

/// What a provider is to be told.
pub(crate) struct Revocation {
    pub(crate) id: i64,
    pub(crate) provider: ProviderId,
    pub(crate) revoked: Revoked,
}

const COLUMNS: &str = "id, tenant, profile, provider, scopes, state, account, reason, browser, request, sealed, \
                       answered_at, created_at, expires_at";

impl Vault {
    /// Begins a connection, or joins one of the same owner and provider that asks for as much and is not over; whether it
    /// is a new one.
    pub(crate) async fn join_connection(
        &self,
        new: &NewConnection,
        scopes: &Scopes,
    ) -> Result<(Connection, bool), VaultError> {
        self.made().await?.join_connection(new, scopes).await
    }

    /// The connection of that id.
    pub(crate) async fn connection(&self, id: &ConnectionId) -> Result<Option<Found>, VaultError> {
        match self.existing().await? {
            Some(store) => store.connection("id = ?", id.as_str()).await,
            None => Ok(None),
        }
    }

    /// The connection that waits for an answer to that request, or did.
    pub(crate) async fn connection_of_request(
        &self,
        request: &Digest,
    ) -> Result<Option<Found>, VaultError> {
        match self.existing().await? {
            Some(store) => store.connection("request = ?", &request[..]).await,
            None => Ok(None),
        }
    }

    /// The connections of a tenant, those that are over included, for a day; of all threads, or of one.
    pub(crate) async fn connections(
        &self,
        tenant: &TenantId,
        thread: Option<&ThreadId>,
    ) -> Result<Vec<Connection>, VaultError> {
        match self.existing().await? {
            Some(store) => store.connections(tenant, thread).await,
            None => Ok(Vec::new()),
        }
    }

    /// The connections of a tenant that are not over; of all threads, or of one.
    pub(crate) async fn pending(
        &self,
        tenant: &TenantId,
        thread: Option<&ThreadId>,
    ) -> Result<Vec<Connection>, VaultError> {
        match self.existing().await? {
            Some(store) => {
                let mut connections = store.connections(tenant, thread).await?;
                connections.retain(|connection| !connection.state.is_over());
                Ok(connections)
            }
            None => Ok(Vec::new()),
        }
    }

    /// Binds a connection to a browser and keeps what the answer will need; `false` if it is over, or another's.
    pub(crate) async fn begin(
        &self,
        found: &Found,
        browser: &Digest,
        request: Option<&Digest>,
        plaintext: &[u8],
    ) -> Result<bool, VaultError> {
        let store = self.made().await?;
        let sealed = store.seal_at(
            connection_place(&found.connection, Some(browser), request),
            plaintext,
        );
        store
            .begin_connection(found, browser, request, sealed)
            .await
    }

    /// What was kept for the answer; `None` if there is nothing, or it is not from here.
    pub(crate) async fn kept(
        &self,
        found: &Found,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
        let (Some(store), Some(sealed)) = (self.existing().await?, &found.sealed) else {
            return Ok(None);
        };
        let place = connection_place(
            &found.connection,
            found.browser.as_ref(),
            found.request.as_ref(),
        );
        Ok(store.open_at(place, sealed))
    }

    /// Takes the one answer that counts; `false` if there was one before, or it is no longer waited for.
    pub(crate) async fn claim(&self, found: &Found) -> Result<bool, VaultError> {
        self.made().await?.claim(found).await
    }

    /// Keeps something else for the answer; `false` if somebody else did in between.
    pub(crate) async fn keep_instead(
        &self,
        found: &Found,
        plaintext: &[u8],
    ) -> Result<bool, VaultError> {
        let store = self.made().await?;
        let place = connection_place(
            &found.connection,
            found.browser.as_ref(),
            found.request.as_ref(),
        );
        let sealed = store.seal_at(place, plaintext);
        store.keep_instead(found, sealed).await
    }

    /// Ends a connection; `false` if it is over already.
    pub(crate) async fn end(
        &self,
        id: &ConnectionId,
        state: &ConnectionState,
    ) -> Result<bool, VaultError> {
        self.made().await?.end(id, state).await
    }

    /// Remembers that a provider has to forget something, in so many seconds.
    pub(crate) async fn revoke_later(
        &self,
        tenant: &TenantId,
        provider: &ProviderId,
        revoked: &Revoked,
        due_in: u64,
    ) -> Result<i64, VaultError> {
        let store = self.made().await?;
        store.revoke_later(tenant, provider, revoked, due_in).await
    }

    /// What is due to be revoked; each is due again in a while, unless [`Vault::revoked`] is told.
    pub(crate) async fn due_revocations(&self) -> Result<Vec<Revocation>, VaultError> {
        match self.existing().await? {
            Some(store) => store.due_revocations().await,
            None => Ok(Vec::new()),
        }
    }

    /// Forgets what was revoked, or what nobody will.
    pub(crate) async fn revoked(&self, id: i64) -> Result<(), VaultError> {
        self.made().await?.revoked(id).await
    }

    /// A client that this host registered itself.
    pub(crate) async fn registered_client(
        &self,
        provider: &ProviderId,
        redirect: &str,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
        match self.existing().await? {
            Some(store) => store.registered_client(provider, redirect).await,
            None => Ok(None),
        }
    }

    /// Keeps a client that this host registered itself.
    pub(crate) async fn keep_client(
        &self,
        provider: &ProviderId,
        redirect: &str,
        plaintext: &[u8],
    ) -> Result<(), VaultError> {
        let store = self.made().await?;
        let sealed = store.seal_at(client_place(provider, redirect), plaintext);
        store.keep_client(provider, redirect, sealed).await
    }
}

impl Store {
    async fn join_connection(
        &self,
        new: &NewConnection,
        scopes: &Scopes,
    ) -> Result<(Connection, bool), VaultError> {
        let failed = |error| VaultError::of(self.path(), &error);
        let now = now();
        let mut writer = self.writer().await?;
        let mut transaction = self.begin(&mut writer).await?;
        sqlx::query("DELETE FROM connection WHERE expires_at < ?")
            .bind(seconds(now.saturating_sub(MEMORY)))
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        let query = format!(
            "SELECT {COLUMNS} FROM connection WHERE tenant = ? AND profile = ? AND provider = ? \
             AND state IN ('created', 'waiting') AND answered_at IS NULL AND expires_at > ?"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(new.owner.tenant.as_str())
            .bind(new.owner.profile.as_str())
            .bind(new.provider.as_str())
            .bind(seconds(now))
            .fetch_all(&mut *transaction)
            .await
            .map_err(failed)?;
        let joined = rows
            .iter()
            .filter_map(Found::read)
            .map(|found| found.connection)
            .find(|connection| !connection.state.is_over() && connection.scopes.include(scopes));
        let is_new = joined.is_none();
        let connection = if let Some(connection) = joined {
            connection
        } else {
            let connection = Connection {
                id: random::connection_id(),
                owner: new.owner.clone(),
                provider: new.provider.clone(),
                scopes: scopes.clone(),
                state: ConnectionState::Created,
                created_at: now,
                expires_at: now + LIFETIME,
            };
            sqlx::query(
                    "INSERT INTO connection (id, tenant, profile, provider, scopes, state, created_at, expires_at) \
                     VALUES (?, ?, ?, ?, ?, 'created', ?, ?)",
                )
                .bind(connection.id.as_str())
                .bind(connection.owner.tenant.as_str())
                .bind(connection.owner.profile.as_str())
                .bind(connection.provider.as_str())
                .bind(serde_json::to_string(scopes).expect("scopes are JSON"))
                .bind(seconds(connection.created_at))
                .bind(seconds(connection.expires_at))
                .execute(&mut *transaction)
                .await
                .map_err(failed)?;
            connection
        };
        sqlx::query("INSERT OR IGNORE INTO connection_thread (connection, thread) VALUES (?, ?)")
            .bind(connection.id.as_str())
            .bind(new.thread.as_str())
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok((connection, is_new))
    }

    async fn connection<'a>(
        &self,
        condition: &'static str,
        value: impl Encode<'a, Sqlite> + Type<Sqlite>,
    ) -> Result<Option<Found>, VaultError> {
        let query = format!("SELECT {COLUMNS} FROM connection WHERE {condition}");
        let row = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(value)
            .fetch_optional(self.reader().await?.connection())
            .await
            .map_err(|error| VaultError::of(self.path(), &error))?;
        Ok(row.as_ref().and_then(Found::read))
    }

    async fn connections(
        &self,
        tenant: &TenantId,
        thread: Option<&ThreadId>,
    ) -> Result<Vec<Connection>, VaultError> {
        let query = format!(
            "SELECT {COLUMNS} FROM connection WHERE tenant = ?1 AND expires_at > ?2 AND \
             (?3 IS NULL OR id IN (SELECT connection FROM connection_thread WHERE thread = ?3)) \
             ORDER BY created_at, id"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(tenant.as_str())
            .bind(seconds(now().saturating_sub(MEMORY)))
            .bind(thread.map(ThreadId::as_str))
            .fetch_all(self.reader().await?.connection())
            .await
            .map_err(|error| VaultError::of(self.path(), &error))?;
        let found = rows.iter().filter_map(Found::read);
        Ok(found.map(|found| found.connection).collect())
    }

    async fn begin_connection(
        &self,
        found: &Found,
        browser: &Digest,
        request: Option<&Digest>,
        sealed: Vec<u8>,
    ) -> Result<bool, VaultError> {
        let now = now();
        self.change(
            sqlx::query(
                "UPDATE connection SET state = 'waiting', browser = ?1, request = ?2, sealed = ?3, expires_at = ?4 \
                 WHERE id = ?5 AND state IN ('created', 'waiting') AND answered_at IS NULL AND expires_at > ?6 \
                 AND (browser IS NULL OR browser = ?1)",
            )
            .bind(&browser[..])
            .bind(request.map(|request| request.to_vec()))
            .bind(sealed)
            .bind(seconds(now + LIFETIME))
            .bind(found.connection.id.as_str())
            .bind(seconds(now)),
        )
        .await
    }

    async fn claim(&self, found: &Found) -> Result<bool, VaultError> {
        let now = seconds(now());
        self.change(
            sqlx::query(
                "UPDATE connection SET answered_at = ?1 WHERE id = ?2 AND state IN ('created', 'waiting') \
                 AND answered_at IS NULL AND expires_at > ?1 AND request IS ?3 AND browser IS ?4",
            )
            .bind(now)
            .bind(found.connection.id.as_str())
            .bind(found.request.map(|request| request.to_vec()))
            .bind(found.browser.map(|browser| browser.to_vec())),
        )
        .await
    }

    async fn keep_instead(&self, found: &Found, sealed: Vec<u8>) -> Result<bool, VaultError> {
        self.change(
            sqlx::query(
                "UPDATE connection SET sealed = ? WHERE id = ? AND state = 'waiting' AND answered_at IS NULL \
                 AND sealed IS ?",
            )
            .bind(sealed)
            .bind(found.connection.id.as_str())
            .bind(found.sealed.clone()),
        )
        .await
    }

    async fn end(&self, id: &ConnectionId, state: &ConnectionState) -> Result<bool, VaultError> {
        let (name, account, reason) = match state {
            ConnectionState::Connected { account } => ("connected", account.as_deref(), None),
            ConnectionState::Refused { reason } => ("refused", None, Some(reason.as_str())),
            // Time alone makes the others.
            ConnectionState::Created | ConnectionState::Waiting | ConnectionState::Expired => {
                return Ok(false);
            }
        };
        self.change(
            sqlx::query(
                "UPDATE connection SET state = ?, account = ?, reason = ?, sealed = NULL \
                 WHERE id = ? AND state IN ('created', 'waiting')",
            )
            .bind(name)
            .bind(account)
            .bind(reason)
            .bind(id.as_str()),
        )
        .await
    }

    async fn revoke_later(
        &self,
        tenant: &TenantId,
        provider: &ProviderId,
        revoked: &Revoked,
        due_in: u64,
    ) -> Result<i64, VaultError> {
        let failed = |error| VaultError::of(self.path(), &error);
        let now = now();
        let mut writer = self.writer().await?;
        // Sealed in here, with the key that is in force.
        let mut transaction = self.begin(&mut writer).await?;
        let id = sqlx::query_scalar(
            "INSERT INTO revocation (tenant, provider, sealed, attempts, due_at, until) \
             VALUES (?, ?, ?, 0, ?, ?) RETURNING id",
        )
        .bind(tenant.as_str())
        .bind(provider.as_str())
        .bind(self.seal_at(revocation_place(provider), &to_bytes(revoked)))
        .bind(seconds(now + due_in))
        .bind(seconds(now + REVOKING))
        .fetch_one(&mut *transaction)
        .await
        .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(id)
    }

    async fn due_revocations(&self) -> Result<Vec<Revocation>, VaultError> {
        let failed = |error| VaultError::of(self.path(), &error);
        let now = now();
        let mut writer = self.writer().await?;
        sqlx::query("DELETE FROM revocation WHERE until < ?")
            .bind(seconds(now))
            .execute(&mut *writer)
            .await
            .map_err(failed)?;
        // Due again later, each time twice as much, so that two processes do not ask at once. What is due later than that
        // is from before the clock was set back.
        let rows: Vec<(i64, String, Vec<u8>)> = sqlx::query_as(
            "UPDATE revocation SET attempts = attempts + 1, due_at = ?1 + (60 << min(attempts, 8)) \
             WHERE due_at <= ?1 OR due_at > ?1 + (60 << 9) RETURNING id, provider, sealed",
        )
        .bind(seconds(now))
        .fetch_all(&mut *writer)
        .await
        .map_err(failed)?;
        let opened = |(id, provider, sealed): (i64, String, Vec<u8>)| {
            let provider = ProviderId::new(provider).ok()?;
            let plaintext = self.open_at(revocation_place(&provider), &sealed)?;
            Some(Revocation {
                id,
                provider,
                revoked: serde_json::from_slice(&plaintext).ok()?,
            })
        };
        Ok(rows.into_iter().filter_map(opened).collect())
    }

    async fn revoked(&self, id: i64) -> Result<(), VaultError> {
        self.change(sqlx::query("DELETE FROM revocation WHERE id = ?").bind(id))
            .await
            .map(drop)
    }

    async fn registered_client(
        &self,
        provider: &ProviderId,
        redirect: &str,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
        let sealed: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT sealed FROM client WHERE provider = ? AND redirect = ?")
                .bind(provider.as_str())
                .bind(redirect)
                .fetch_optional(self.reader().await?.connection())
                .await
                .map_err(|error| VaultError::of(self.path(), &error))?;
        Ok(sealed.and_then(|sealed| self.open_at(client_place(provider, redirect), &sealed)))
    }

    async fn keep_client(
        &self,
        provider: &ProviderId,
        redirect: &str,
        sealed: Vec<u8>,
    ) -> Result<(), VaultError> {
        self.change(
            sqlx::query(
                "INSERT OR REPLACE INTO client (provider, redirect, sealed) VALUES (?, ?, ?)",
            )
            .bind(provider.as_str())
            .bind(redirect)
            .bind(sealed),
        )
        .await
        .map(drop)
    }
}

impl Store {
    /// Seals with another key what is left to revoke, and the clients that were registered. Connections that are under
    /// way end: they live for minutes, and a person can begin again.
    pub(super) async fn reseal_connections(
        &self,
        connection: &mut SqliteConnection,
        old: &Key,
        new: &Key,
    ) -> Result<(), VaultError> {
        let failed = |error| VaultError::of(self.path(), &error);
        sqlx::query(
            "UPDATE connection SET state = 'refused', reason = 'the key of the vault was changed; connect again', \
             sealed = NULL WHERE state = 'waiting'",
        )
        .execute(&mut *connection)
        .await
        .map_err(failed)?;
        let revocations: Vec<(i64, String, Vec<u8>)> =
            sqlx::query_as("SELECT id, provider, sealed FROM revocation")
                .fetch_all(&mut *connection)
                .await
                .map_err(failed)?;
        for (id, provider, sealed) in revocations {
            let Ok(provider) = ProviderId::new(provider) else {
                continue;
            };
            let Some(resealed) = self.resealed(old, new, || revocation_place(&provider), &sealed)
            else {
                continue;
            };
            sqlx::query("UPDATE revocation SET sealed = ? WHERE id = ?")
                .bind(resealed)
                .bind(id)
                .execute(&mut *connection)
                .await
                .map_err(failed)?;
        }
        let clients: Vec<(String, String, Vec<u8>)> =
            sqlx::query_as("SELECT provider, redirect, sealed FROM client")
                .fetch_all(&mut *connection)
                .await
                .map_err(failed)?;
        for (provider, redirect, sealed) in clients {
            let Ok(provider) = ProviderId::new(provider) else {
                continue;
            };
            let place = || client_place(&provider, &redirect);
            let Some(resealed) = self.resealed(old, new, place, &sealed) else {
                continue;
            };
            sqlx::query("UPDATE client SET sealed = ? WHERE provider = ? AND redirect = ?")
                .bind(resealed)
                .bind(provider.as_str())
                .bind(&redirect)
                .execute(&mut *connection)
                .await
                .map_err(failed)?;
        }
        Ok(())
    }

    /// `None` for what the old key does not open: a new one does not make it good.
    fn resealed(
        &self,
        old: &Key,
        new: &Key,
        place: impl Fn() -> Context,
        sealed: &[u8],
    ) -> Option<Vec<u8>> {
        let plaintext = old.open(&place().with(self.identity()), sealed)?;
        Some(new.seal(&place().with(self.identity()), &plaintext))
    }
}

impl Found {
    /// `None` for a row that no version of this program wrote.
    fn read(row: &SqliteRow) -> Option<Self> {
        let text = |column| row.try_get::<String, _>(column).ok();
        let optional = |column| row.try_get::<Option<String>, _>(column).ok().flatten();
        let bytes = |column| row.try_get::<Option<Vec<u8>>, _>(column).ok().flatten();
        let digest = |column| bytes(column).and_then(|bytes| Digest::try_from(bytes).ok());
        let time = |column| {
            let at: Option<i64> = row.try_get(column).ok()?;
            u64::try_from(at?).ok()
        };
        let expires_at = time("expires_at")?;
        let answered_at = time("answered_at");
        let state = match (text("state")?.as_str(), answered_at) {
            ("connected", _) => ConnectionState::Connected {
                account: optional("account"),
            },
            ("refused", _) => ConnectionState::Refused {
                reason: optional("reason")?,
            },
            (_, Some(at)) if !lasts(at + EXCHANGE, EXCHANGE) => ConnectionState::Refused {
                reason: "the host stopped before the answer was dealt with; connect again"
                    .to_owned(),
            },
            (_, None) if !lasts(expires_at, LIFETIME) => ConnectionState::Expired,
            ("created", _) => ConnectionState::Created,
            ("waiting", _) => ConnectionState::Waiting,
            _ => return None,
        };
        Some(Self {
            connection: Connection {
                id: ConnectionId::new(text("id")?).ok()?,
                owner: Owner {
                    tenant: TenantId::new(text("tenant")?).ok()?,
                    profile: ProfileName::new(text("profile")?).ok()?,
                },
                provider: ProviderId::new(text("provider")?).ok()?,
                scopes: serde_json::from_str(&text("scopes")?).ok()?,
                state,
                created_at: time("created_at")?,
                expires_at,
            },
            browser: digest("browser"),
            answered: answered_at.is_some(),
            request: digest("request"),
            sealed: bytes("sealed"),
        })
    }
}

/// What a connection's sealed part is bound to.
fn connection_place(
    connection: &Connection,
    browser: Option<&Digest>,
    request: Option<&Digest>,
) -> Context {
    Context::new("holster connection 1")
        .with(connection.id.as_str())
        .with(connection.owner.tenant.as_str())
        .with(connection.owner.profile.as_str())
        .with(connection.provider.as_str())
        .with(serde_json::to_string(&connection.scopes).expect("scopes are JSON"))
        .with_optional(browser)
        .with_optional(request)
}

fn revocation_place(provider: &ProviderId) -> Context {
    Context::new("holster revocation 1").with(provider.as_str())
}

fn client_place(provider: &ProviderId, redirect: &str) -> Context {
    Context::new("holster client 1")
        .with(provider.as_str())
        .with(redirect)
}
