//! How an account is connected, and how it is disconnected.
//!
//! A connection is begun for a tool that lacks an account, or by hand; a person opens its page and chooses a way in;
//! the provider's answer, or what the person entered, ends it. Each step checks the browser that the connection is
//! bound to, and every state is in the vault before the person leaves for the provider.

use std::collections::BTreeMap;
use std::time::Duration;

use holster_types::{
    ConnectionId, ExposeSecret, ProviderId, Scopes, SecretString, TenantId, ThreadId,
};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use url::Url;

use super::Broker;
use crate::connection::{
    Begun, Browser, Callback, Choice, ChoiceError, ChosenWay, ConnectAddress, ConnectPage,
    Connection, ConnectionState, DeviceCode, Disconnected, Field, NewConnection, Stage, Way,
};
use crate::credential::{CredentialSecret, NewCredential, OAuthTokens, TokenClient};
use crate::oauth::{
    Authorization, AuthorizationServer, DeviceAuthorization, DevicePoll, DpopKey, OAuthClient,
    OAuthError, TokenType, Tokens, Variables,
};
use crate::provider::{Provider, REDIRECT_URI, Registration};
use crate::resolve::{Missing, Reason, Unmet};
use crate::secret_text::{self, to_bytes};
use crate::vault::{Digest, Found, RETRY, Revoked, lasts, now};
use crate::{BrokerError, CredentialKind, Owner, SignIn, User};

/// How often it is looked whether a connection is over.
const LOOK: Duration = Duration::from_millis(100);

/// How long a page waits for a server to say what it can do.
const DISCOVERY: Duration = Duration::from_secs(3);

/// What a field of the form that fills in an address of the provider is called.
const VARIABLE: &str = "variable.";

/// What is kept until the provider answers.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kept {
    Consent {
        authorization: Authorization,
        client: KeptClient,
        variables: Variables,
    },
    Device {
        device: DeviceAuthorization,
        client: KeptClient,
        variables: Variables,
        /// Seconds between two questions.
        interval: u64,
        /// Seconds since the Unix epoch.
        next_poll_at: u64,
        /// Seconds since the Unix epoch.
        expires_at: u64,
    },
    /// Nothing: the person enters it all.
    Entered,
}

/// The client that asked. Its secret is here only where the configuration does not have it.
#[derive(Clone, Serialize, Deserialize)]
struct KeptClient {
    id: String,
    #[serde(with = "secret_text::optional")]
    secret: Option<SecretString>,
}

impl Broker {
    /// Begins a connection, or joins the one that the same owner already has for the same provider. What an account
    /// may do already is asked for again, or else the provider would take it away.
    pub async fn connect(&self, new: NewConnection) -> Result<Connection, BrokerError> {
        let provider = self.providers.get(&new.provider)?;
        self.refuse_configured(&new.owner, &new.provider)?;
        let (ways, closed) = self.ways(provider, &new.owner, None, false);
        if ways.is_empty() {
            return Err(BrokerError::NoWay {
                provider: new.provider,
                closed,
            });
        }
        let scopes = match self.vault.find(&new.owner, &new.provider).await {
            Ok(Some(held)) => match &held.scopes {
                Some(held) => new.scopes.union(held),
                None => new.scopes.clone(),
            },
            // One that cannot be read is being replaced.
            _ => new.scopes.clone(),
        };
        let (connection, is_new) = self.vault.join_connection(&new, &scopes).await?;
        if is_new {
            self.counts.begun(&connection.provider);
        }
        Ok(connection)
    }

    /// Begins a connection for everything that is missing and that a person can connect.
    pub async fn interrupt(
        &self,
        tenant: &TenantId,
        thread: &ThreadId,
        mut unmet: Unmet,
    ) -> Result<Unmet, BrokerError> {
        let for_a_person =
            |missing: &&mut Missing| !matches!(missing.reason, Reason::Ambiguous { .. });
        for missing in unmet.missing.iter_mut().filter(for_a_person) {
            let new = NewConnection {
                owner: Owner::new(tenant, missing.profile.clone()),
                thread: thread.clone(),
                provider: missing.provider.clone(),
                scopes: missing.scopes.clone(),
            };
            match self.connect(new).await {
                Err(BrokerError::Configured { .. }) => {}
                Ok(connection) => missing.connection = Some(connection.id),
                Err(BrokerError::NoWay { closed, .. }) => {
                    missing.remedy = format!(
                        "{}; or, with a token that you have, run `holster auth add {} --profile {}`",
                        closed.join("; "),
                        missing.provider,
                        missing.profile
                    );
                }
                Err(error) => return Err(error),
            }
        }
        Ok(unmet)
    }

    /// The connection, if there is one.
    pub async fn connection(&self, id: &ConnectionId) -> Result<Option<Connection>, BrokerError> {
        Ok(self
            .vault
            .connection(id)
            .await?
            .map(|found| found.connection))
    }

    /// The connections of a tenant that are not over; of all threads, or of one.
    pub async fn pending(
        &self,
        tenant: &TenantId,
        thread: Option<&ThreadId>,
    ) -> Result<Vec<Connection>, BrokerError> {
        Ok(self.vault.pending(tenant, thread).await?)
    }

    /// The connections of a tenant, those that are over included, for a day; of all threads, or of one.
    pub async fn connections(
        &self,
        tenant: &TenantId,
        thread: Option<&ThreadId>,
    ) -> Result<Vec<Connection>, BrokerError> {
        Ok(self.vault.connections(tenant, thread).await?)
    }

    /// The connection once it is over, or as it is when the time is up; `None` if there is none. Where the person
    /// was given a code, the provider is asked meanwhile.
    pub async fn wait(
        &self,
        id: &ConnectionId,
        timeout: Duration,
    ) -> Result<Option<Connection>, BrokerError> {
        let end = Instant::now() + timeout;
        loop {
            let Some(found) = self.vault.connection(id).await? else {
                return Ok(None);
            };
            if found.connection.state.is_over() || Instant::now() >= end {
                return Ok(Some(found.connection));
            }
            self.poll(&found).await?;
            tokio::time::sleep_until(end.min(Instant::now() + LOOK)).await;
        }
    }

    /// What the page of a connection shows to a browser; `None` if there is no such connection.
    pub async fn connect_page(
        &self,
        id: &ConnectionId,
        browser: Option<&Browser>,
        address: &ConnectAddress,
    ) -> Result<Option<ConnectPage>, BrokerError> {
        let Some(mut found) = self.vault.connection(id).await? else {
            return Ok(None);
        };
        let refused = match self.stranger(&found, browser, address).await? {
            Some(stranger) => Some(stranger.into()),
            None if is_bound_elsewhere(&found, browser) => Some(Stage::Elsewhere),
            None => None,
        };
        if refused.is_none() && self.poll(&found).await? {
            found = match self.vault.connection(id).await? {
                Some(found) => found,
                None => return Ok(None),
            };
        }
        let provider = self.providers.get(&found.connection.provider)?;
        let is_theirs = refused.is_none();
        let stage = if let Some(refused) = refused {
            refused
        } else if found.connection.state.is_over() {
            Stage::Over
        } else if let Some(Kept::Device {
            device, expires_at, ..
        }) = self.kept(&found).await?
        {
            Stage::Code(code(&device, expires_at))
        } else {
            let owner = &found.connection.owner;
            let by_code = self.gives_codes(provider, owner).await;
            let (ways, closed) = self.ways(provider, owner, Some(address), by_code);
            Stage::Choose { ways, closed }
        };
        let replaces = match self.vault.find(&found.connection.owner, &provider.id).await {
            Ok(Some(held)) if is_theirs => held.account.clone(),
            _ => None,
        };
        Ok(Some(ConnectPage {
            connection: found.connection,
            title: provider.title.clone(),
            doc_url: provider.doc_url.to_string(),
            hint: provider.hint.clone(),
            replaces,
            stage,
        }))
    }

    /// Goes on as a person chose, and binds the connection to their browser.
    pub async fn choose(
        &self,
        id: &ConnectionId,
        browser: &Browser,
        address: &ConnectAddress,
        choice: Choice,
    ) -> Result<Begun, ChoiceError> {
        let found = self.vault.connection(id).await.map_err(BrokerError::from)?;
        let found = found.ok_or(ChoiceError::Unknown)?;
        if let Some(stranger) = self.stranger(&found, Some(browser), address).await? {
            return Err(stranger.into());
        }
        if is_bound_elsewhere(&found, Some(browser)) {
            return Err(ChoiceError::Elsewhere);
        }
        if found.connection.state.is_over() || found.answered {
            return Err(ChoiceError::Over(found.connection.state));
        }
        let provider = self.providers.get(&found.connection.provider)?;
        match choice.way {
            ChosenWay::Consent => {
                self.consent(&found, provider, browser, address, &choice.fields)
                    .await
            }
            ChosenWay::Device => {
                let code = self
                    .device(&found, provider, browser, &choice.fields)
                    .await?;
                Ok(Begun::Code(code))
            }
            ChosenWay::Enter(kind) => {
                self.enter(&found, provider, browser, kind, &choice.fields)
                    .await
            }
        }
    }

    /// Goes on without a page: a code that the person takes to the provider, on any device.
    pub async fn device_code(&self, id: &ConnectionId) -> Result<DeviceCode, ChoiceError> {
        let found = self.vault.connection(id).await.map_err(BrokerError::from)?;
        let found = found.ok_or(ChoiceError::Unknown)?;
        let provider = self.providers.get(&found.connection.provider)?;
        // Whoever asks is the one to enter the code: no browser will show it.
        self.device(&found, provider, &Browser::new(), &BTreeMap::new())
            .await
    }

    /// Takes a provider's answer. `None` where nothing waits for it here: an unknown state, one of another provider
    /// or another browser. Must not be cancelled: the code in it counts once.
    pub async fn callback(
        &self,
        provider: &ProviderId,
        callback: Callback,
        browser: Option<&Browser>,
        address: &ConnectAddress,
    ) -> Result<Option<Connection>, BrokerError> {
        let Some(state) = &callback.state else {
            return Ok(None);
        };
        let Some(found) = self.vault.connection_of_request(&digest(state)).await? else {
            return Ok(None);
        };
        let ours = found.connection.provider == *provider
            && found.browser.is_some()
            && !is_bound_elsewhere(&found, browser);
        if !ours {
            return Ok(None);
        }
        if !found.connection.state.is_over() && self.vault.claim(&found).await? {
            let state = self.conclude(&found, callback, address).await?;
            self.end(&found.connection, &state).await?;
        }
        self.connection(&found.connection.id).await
    }

    /// Forgets an account, and tells its provider to; where that cannot be reached, it is told later.
    pub async fn disconnect(
        &self,
        owner: &Owner,
        provider: &ProviderId,
    ) -> Result<Disconnected, BrokerError> {
        let tokens = match self.vault.find(owner, provider).await {
            Ok(Some(held)) => match &held.secret {
                CredentialSecret::OAuth(tokens) => Some(tokens.clone()),
                _ => None,
            },
            // What cannot be read can still be forgotten.
            _ => None,
        };
        let revoked = tokens.map(Revoked::from);
        let id = match &revoked {
            // Remembered before the account is gone, or a crash in between would leave the grant alive.
            Some(revoked) => Some(
                self.vault
                    .revoke_later(&owner.tenant, provider, revoked, RETRY)
                    .await?,
            ),
            None => None,
        };
        self.remove(owner, provider).await?;
        let (Some(id), Some(revoked)) = (id, revoked) else {
            return Ok(Disconnected::Forgotten);
        };
        match self.revoke(provider, &revoked).await {
            Ok(revoked) => {
                self.vault.revoked(id).await?;
                Ok(if revoked {
                    Disconnected::Revoked
                } else {
                    Disconnected::Forgotten
                })
            }
            Err(untold) => {
                tracing::warn!("{provider} was not told that an account is gone: {untold}");
                Ok(match untold {
                    Untold::Yet(_) => Disconnected::RevokedLater,
                    Untold::Ever(_) => {
                        self.vault.revoked(id).await?;
                        Disconnected::NotRevoked
                    }
                })
            }
        }
    }

    /// Tells providers of accounts that were disconnected when they could not be reached.
    pub async fn revoke_due(&self) -> Result<(), BrokerError> {
        for due in self.vault.due_revocations().await? {
            match self.revoke(&due.provider, &due.revoked).await {
                Ok(_) => self.vault.revoked(due.id).await?,
                Err(Untold::Ever(reason)) => {
                    tracing::warn!("{} will not revoke: {reason}", due.provider);
                    self.vault.revoked(due.id).await?;
                }
                Err(Untold::Yet(reason)) => {
                    tracing::warn!("{} cannot be told to revoke yet: {reason}", due.provider);
                }
            }
        }
        Ok(())
    }
}

/// Somebody who may not see a connection, let alone go on with it.
enum Stranger {
    /// They have not said who they are.
    Unknown,
    /// They are another user.
    Known(User),
}

impl From<Stranger> for Stage {
    fn from(stranger: Stranger) -> Self {
        match stranger {
            Stranger::Unknown => Self::SignIn,
            Stranger::Known(visitor) => Self::Stranger { visitor },
        }
    }
}

impl From<Stranger> for ChoiceError {
    fn from(stranger: Stranger) -> Self {
        match stranger {
            Stranger::Unknown => Self::SignIn,
            Stranger::Known(_) => Self::Stranger,
        }
    }
}

/// The steps.
impl Broker {
    /// Whether whoever sits at this browser is another person than the user whose connection it is: then the one would
    /// lend the other an account (RFC 9700, and its update on sessions).
    async fn stranger(
        &self,
        found: &Found,
        browser: Option<&Browser>,
        address: &ConnectAddress,
    ) -> Result<Option<Stranger>, BrokerError> {
        let owner = &found.connection.owner;
        if address.sign_in == SignIn::Others && owner.tenant == TenantId::local() {
            return Ok(None);
        }
        let visitor = match browser {
            Some(browser) => self.visitor(browser).await?,
            None => None,
        };
        Ok(match visitor {
            None => Some(Stranger::Unknown),
            Some(visitor) if visitor.may_use(owner) => None,
            Some(visitor) => Some(Stranger::Known(visitor)),
        })
    }

    /// Whether a person may take a code to the provider, as far as it is known before they have filled in the
    /// variables. Where only the server itself can say, it is asked; a page does not wait for one that hangs.
    async fn gives_codes(&self, provider: &Provider, owner: &Owner) -> bool {
        match &provider.oauth {
            Some(oauth) if oauth.device_url.is_some() => return true,
            Some(oauth) if oauth.discovers() && self.has_client(provider) => {}
            _ => return false,
        }
        let fields = self.variable_fields(provider, owner).into_iter();
        let name = |field: &Field| field.name.trim_start_matches(VARIABLE).to_owned();
        let variables: Variables = fields
            .filter(|field| !field.value.is_empty())
            .map(|field| (name(&field), field.value))
            .collect();
        let opening = self.servers.open(provider, &variables);
        match tokio::time::timeout(DISCOVERY, opening).await {
            Ok(Ok(server)) => server.gives_codes(),
            Ok(Err(error)) => {
                tracing::debug!("whether {} gives codes is not known: {error}", provider.id);
                false
            }
            Err(_) => false,
        }
    }

    /// The ways in that are open, the best first, and why others are not.
    fn ways(
        &self,
        provider: &Provider,
        owner: &Owner,
        address: Option<&ConnectAddress>,
        by_code: bool,
    ) -> (Vec<Way>, Vec<String>) {
        let (mut ways, mut closed) = (Vec::new(), Vec::new());
        let variables = self.variable_fields(provider, owner);
        for kind in &provider.kinds {
            match kind {
                CredentialKind::Oauth2 => {
                    if !self.has_client(provider) {
                        closed.push(format!(
                            "{} lets people in by a client that was registered with it, and this host has none; \
                             register one ({}) with the redirect address of the connect pages, such as \
                             http://127.0.0.1:4657/callback/{}, and name it under `[providers.{2}.client]` in the \
                             configuration",
                            provider.title, provider.doc_url, provider.id
                        ));
                        continue;
                    }
                    match address.map(|address| address.redirect(provider)) {
                        Some(Err(reason)) => closed.push(format!(
                            "{} has a page to consent on, but {reason}",
                            provider.title
                        )),
                        Some(Ok(_)) | None => ways.push(Way::Consent {
                            host: consent_host(provider, &variables),
                            variables: variables.clone(),
                        }),
                    }
                    if by_code {
                        ways.push(Way::Device {
                            variables: variables.clone(),
                        });
                    }
                }
                kind => ways.push(Way::Enter {
                    kind: *kind,
                    fields: [parts(*kind), variables.clone()].concat(),
                }),
            }
        }
        (ways, closed)
    }

    /// The browser leaves for the provider's page.
    async fn consent(
        &self,
        found: &Found,
        provider: &Provider,
        browser: &Browser,
        address: &ConnectAddress,
        fields: &BTreeMap<String, SecretString>,
    ) -> Result<Begun, ChoiceError> {
        let redirect = address
            .redirect(provider)
            .map_err(|reason| ChoiceError::Closed(reason.to_string()))?;
        let variables = self.variables(provider, &found.connection.owner, fields)?;
        let (server, kept_client, client) = self
            .counterpart(provider, &variables, Some(&redirect))
            .await?;
        let authorization = server
            .authorize(&client, &found.connection.scopes, &redirect)
            .await
            .map_err(|error| unreachable(provider, &error))?;
        let url = authorization.url().clone();
        let request = digest(&authorization.state);
        let kept = Kept::Consent {
            authorization,
            client: kept_client,
            variables,
        };
        self.begin(found, browser, Some(&request), &kept).await?;
        Ok(Begun::Leave(url))
    }

    /// The person takes a code to the provider's page, on any device.
    async fn device(
        &self,
        found: &Found,
        provider: &Provider,
        browser: &Browser,
        fields: &BTreeMap<String, SecretString>,
    ) -> Result<DeviceCode, ChoiceError> {
        let variables = self.variables(provider, &found.connection.owner, fields)?;
        let (server, kept_client, client) = self.counterpart(provider, &variables, None).await?;
        let device = server
            .device_start(&client, &found.connection.scopes)
            .await
            .map_err(|error| unreachable(provider, &error))?;
        let expires_at = now() + device.expires_in;
        let shown = code(&device, expires_at);
        let kept = Kept::Device {
            interval: device.interval,
            next_poll_at: now() + device.interval,
            expires_at,
            device,
            client: kept_client,
            variables,
        };
        self.begin(found, browser, None, &kept).await?;
        Ok(shown)
    }

    /// The person enters a secret here.
    async fn enter(
        &self,
        found: &Found,
        provider: &Provider,
        browser: &Browser,
        kind: CredentialKind,
        fields: &BTreeMap<String, SecretString>,
    ) -> Result<Begun, ChoiceError> {
        if !provider.kinds.contains(&kind) || kind == CredentialKind::Oauth2 {
            return Err(ChoiceError::Closed(format!(
                "{} takes no {kind}",
                provider.title
            )));
        }
        let variables = self.variables(provider, &found.connection.owner, fields)?;
        let secret = entered(kind, fields, variables.clone())?;
        secret.check().map_err(ChoiceError::Secret)?;
        self.begin(found, browser, None, &Kept::Entered).await?;
        let account = match self.label(provider, &variables, &secret).await {
            Err(error @ OAuthError::Refused { .. }) => {
                return Err(ChoiceError::NotAccepted {
                    title: provider.title.clone(),
                    reason: error.to_string(),
                });
            }
            answer => known_label(provider, answer),
        };
        let credential = NewCredential {
            account: account.clone(),
            ..NewCredential::new(secret)
        };
        // Again from the vault: the browser is bound now.
        let found = self
            .vault
            .connection(&found.connection.id)
            .await
            .map_err(BrokerError::from)?;
        let found = found.ok_or(ChoiceError::Unknown)?;
        if !self.vault.claim(&found).await.map_err(BrokerError::from)? {
            return Err(ChoiceError::Over(found.connection.state));
        }
        let connection = &found.connection;
        self.add(&connection.owner, &provider.id, credential)
            .await?;
        self.end(connection, &ConnectionState::Connected { account })
            .await?;
        Ok(Begun::Over)
    }

    /// What a provider's answer makes of a connection. The answer was claimed: no other counts any more.
    async fn conclude(
        &self,
        found: &Found,
        callback: Callback,
        address: &ConnectAddress,
    ) -> Result<ConnectionState, BrokerError> {
        let provider = self.providers.get(&found.connection.provider)?;
        let refused = |reason: String| Ok(ConnectionState::Refused { reason });
        let Some(Kept::Consent {
            authorization,
            client,
            mut variables,
        }) = self.kept(found).await?
        else {
            return refused("what was asked for is no longer known; connect again".to_owned());
        };
        if let Err(error) = authorization.check_callback(callback.iss.as_deref()) {
            return refused(error.to_string());
        }
        if address.redirect(provider).ok().as_ref() != Some(&authorization.redirect) {
            return refused("this host has another address now; connect again".to_owned());
        }
        let code = match (callback.code, callback.error) {
            (Some(code), None) => code,
            (_, Some(error)) => {
                return refused(denial(
                    provider,
                    &error,
                    callback.error_description.as_deref(),
                ));
            }
            (None, None) => return refused(format!("{} sent no code", provider.title)),
        };
        let tokens = match self.servers.open(provider, &variables).await {
            Ok(server) => {
                let client = self.known(provider, &client).await?;
                server.exchange(&client, &authorization, &code).await
            }
            Err(error) => Err(error),
        };
        if provider
            .oauth
            .as_ref()
            .is_some_and(|oauth| oauth.refresh_redirect)
        {
            variables.insert(REDIRECT_URI.to_owned(), authorization.redirect.to_string());
        }
        match tokens {
            Ok(tokens) => {
                let issued = Issued {
                    tokens,
                    asked: authorization.scopes,
                    dpop_key: authorization.dpop_key,
                    client,
                    variables,
                };
                self.settle(found, provider, issued).await
            }
            Err(error) => refused(error.to_string()),
        }
    }

    /// Puts what was issued into the vault.
    async fn settle(
        &self,
        found: &Found,
        provider: &Provider,
        issued: Issued,
    ) -> Result<ConnectionState, BrokerError> {
        let Issued {
            tokens,
            asked,
            dpop_key,
            client,
            mut variables,
        } = issued;
        let owner = &found.connection.owner;
        variables.extend(tokens.variables);
        // RFC 6749 §5.1: where the answer names none, they are those that were asked for.
        let granted = tokens.scopes.unwrap_or(asked);
        let before = self.vault.find(owner, &provider.id).await.ok().flatten();
        if let Some(had) = before.as_ref().and_then(|held| held.scopes.as_ref())
            && !granted.include(had)
            && !granted.include(&found.connection.scopes)
        {
            // A narrower grant must not take the place of an account that works.
            return Ok(ConnectionState::Refused {
                reason: format!(
                    "not everything was allowed ({} is missing), so the account stays as it was",
                    granted.missing(&found.connection.scopes)
                ),
            });
        }
        let secret = CredentialSecret::OAuth(OAuthTokens {
            access: tokens.access,
            refresh: tokens.refresh,
            dpop_key: dpop_key
                .filter(|_| tokens.token_type == TokenType::Dpop)
                .map(|key| key.to_secret()),
            client: TokenClient {
                id: client.id,
                secret: client.secret,
            },
            variables: variables.clone(),
        });
        let label = self.label(provider, &variables, &secret).await;
        let account = known_label(provider, label);
        let credential = NewCredential {
            secret,
            account: account.clone(),
            scopes: Some(granted),
            expires_at: tokens.expires_in.map(|seconds| now() + seconds),
        };
        match self.add(owner, &provider.id, credential).await {
            Ok(_) => Ok(ConnectionState::Connected { account }),
            Err(error @ BrokerError::InvalidSecret { .. }) => Ok(ConnectionState::Refused {
                reason: error.to_string(),
            }),
            Err(error) => Err(error),
        }
    }

    /// Asks the provider whether a person has entered their code, if it is time to; `true` if something changed.
    async fn poll(&self, found: &Found) -> Result<bool, BrokerError> {
        if found.answered || found.connection.state != ConnectionState::Waiting {
            return Ok(false);
        }
        let Some(Kept::Device {
            device,
            client,
            variables,
            interval,
            next_poll_at,
            expires_at,
        }) = self.kept(found).await?
        else {
            return Ok(false);
        };
        if lasts(next_poll_at, interval) {
            return Ok(false);
        }
        let provider = self.providers.get(&found.connection.provider)?;
        let known = self.known(provider, &client).await?;
        let next = |device, interval| Kept::Device {
            device,
            client: client.clone(),
            variables: variables.clone(),
            interval,
            next_poll_at: now() + interval,
            expires_at,
        };
        // Whoever moves the time of the next question is the one to ask.
        let kept = next(device, interval);
        if !self.vault.keep_instead(found, &to_bytes(&kept)).await? {
            return Ok(false);
        }
        let Kept::Device { device, .. } = kept else {
            return Ok(false);
        };
        let answer = match self.servers.open(provider, &variables).await {
            Ok(server) => server.device_poll(&known, &device, interval).await,
            Err(error) => Err(error),
        };
        let Some(found) = self.vault.connection(&found.connection.id).await? else {
            return Ok(true);
        };
        let state = match answer {
            Ok(DevicePoll::Pending { interval: same }) if same == interval => return Ok(false),
            Ok(DevicePoll::Pending { interval }) => {
                let kept = next(device, interval);
                self.vault.keep_instead(&found, &to_bytes(&kept)).await?;
                return Ok(false);
            }
            Err(error) if error.is_transient() => {
                let kept = next(device, interval * 2);
                self.vault.keep_instead(&found, &to_bytes(&kept)).await?;
                return Ok(false);
            }
            Ok(DevicePoll::Tokens(tokens)) => {
                if !self.vault.claim(&found).await? {
                    return Ok(true);
                }
                let issued = Issued {
                    tokens,
                    asked: device.scopes,
                    dpop_key: device.dpop_key,
                    client,
                    variables,
                };
                self.settle(&found, provider, issued).await?
            }
            Ok(DevicePoll::Refused(error)) | Err(error) => ConnectionState::Refused {
                reason: error.to_string(),
            },
        };
        self.end(&found.connection, &state).await?;
        Ok(true)
    }

    /// Ends a connection that is not over.
    async fn end(
        &self,
        connection: &Connection,
        state: &ConnectionState,
    ) -> Result<(), BrokerError> {
        if self.vault.end(&connection.id, state).await? {
            self.counts.ended(&connection.provider, state);
        }
        Ok(())
    }

    async fn begin(
        &self,
        found: &Found,
        browser: &Browser,
        request: Option<&Digest>,
        kept: &Kept,
    ) -> Result<(), ChoiceError> {
        let begun = self
            .vault
            .begin(found, &digest(browser.cookie()), request, &to_bytes(kept))
            .await
            .map_err(BrokerError::from)?;
        if begun {
            return Ok(());
        }
        // Another browser, or the end, came first.
        let now = self.connection(&found.connection.id).await?;
        Err(match now {
            Some(connection) if connection.state.is_over() => ChoiceError::Over(connection.state),
            Some(_) => ChoiceError::Elsewhere,
            None => ChoiceError::Unknown,
        })
    }

    async fn kept(&self, found: &Found) -> Result<Option<Kept>, BrokerError> {
        let plaintext = self.vault.kept(found).await?;
        Ok(plaintext.and_then(|plaintext| serde_json::from_slice(&plaintext).ok()))
    }

    /// The server that a person consents at, and the client in the name of which they do: to be kept, and to be used.
    /// It is registered anew where the provider's file says so.
    async fn counterpart(
        &self,
        provider: &Provider,
        variables: &Variables,
        redirect: Option<&Url>,
    ) -> Result<(AuthorizationServer, KeptClient, OAuthClient), ChoiceError> {
        let failed = |error| unreachable(provider, &error);
        let server = self
            .servers
            .open(provider, variables)
            .await
            .map_err(failed)?;
        let place = redirect.map_or("device", Url::as_str);
        let known = if let Some(client) = self.clients.get(&provider.id) {
            Some(KeptClient {
                id: client.id.clone(),
                // The configuration has it.
                secret: None,
            })
        } else {
            let kept = self.vault.registered_client(&provider.id, place).await;
            kept.map_err(BrokerError::from)?
                .and_then(|kept| serde_json::from_slice(&kept).ok())
        };
        let configured = match &known {
            Some(client) => Some(self.known(provider, client).await?),
            None => None,
        };
        let redirects: Vec<_> = redirect.cloned().into_iter().collect();
        let registered = server
            .client(configured, self.client_metadata_url.as_ref(), &redirects)
            .await
            .map_err(failed)?;
        if let Some(known) = known {
            return Ok((server, known, registered.client));
        }
        let kept = KeptClient {
            id: registered.client.id,
            secret: registered.client.secret,
        };
        if registered.new {
            self.vault
                .keep_client(&provider.id, place, &to_bytes(&kept))
                .await
                .map_err(BrokerError::from)?;
        }
        let client = self.known(provider, &kept).await?;
        Ok((server, kept, client))
    }

    /// The client with its secret, as the configuration has it now.
    async fn known(
        &self,
        provider: &Provider,
        client: &KeptClient,
    ) -> Result<OAuthClient, BrokerError> {
        self.oauth_client(provider, &client.id, client.secret.as_ref())
            .await
    }

    /// Whether there is a client for people to consent to, or can be.
    fn has_client(&self, provider: &Provider) -> bool {
        let registers = provider
            .oauth
            .as_ref()
            .is_some_and(|oauth| oauth.registration == Registration::Dynamic);
        self.clients.contains_key(&provider.id) || self.client_metadata_url.is_some() || registers
    }

    fn configured_variables(&self, provider: &Provider, owner: &Owner) -> Variables {
        let serves = owner.tenant == TenantId::local();
        let profile = self.variables.get(&owner.profile).filter(|_| serves);
        let own = profile.and_then(|profile| profile.get(&provider.id));
        own.cloned().unwrap_or_default()
    }

    /// What the person may fill in of the provider's addresses.
    fn variable_fields(&self, provider: &Provider, owner: &Owner) -> Vec<Field> {
        let configured = self.configured_variables(provider, owner);
        provider
            .variables
            .iter()
            .map(|(name, variable)| Field {
                name: format!("{VARIABLE}{name}"),
                label: variable.title.clone(),
                example: variable.example.clone(),
                choices: variable.values.clone(),
                value: configured
                    .get(name)
                    .or(variable.default.as_ref())
                    .cloned()
                    .unwrap_or_default(),
                secret: false,
                optional: false,
            })
            .collect()
    }

    /// The variables as the person filled them in, or else as they are configured.
    fn variables(
        &self,
        provider: &Provider,
        owner: &Owner,
        fields: &BTreeMap<String, SecretString>,
    ) -> Result<Variables, ChoiceError> {
        let fields = self
            .variable_fields(provider, owner)
            .into_iter()
            .map(|field| {
                let value = fields
                    .get(&field.name)
                    .map_or(field.value.as_str(), |value| value.expose_secret().trim());
                if value.is_empty() {
                    return Err(ChoiceError::Field {
                        label: field.label,
                        reason: "it is empty".to_owned(),
                    });
                }
                let name = field.name.trim_start_matches(VARIABLE);
                let admitted = provider.variables[name].admit(value);
                admitted.map_err(|reason| ChoiceError::Field {
                    label: field.label,
                    reason,
                })?;
                Ok((name.to_owned(), value.to_owned()))
            });
        fields.collect()
    }

    /// What the account is called, as its provider says.
    async fn label(
        &self,
        provider: &Provider,
        variables: &Variables,
        secret: &CredentialSecret,
    ) -> Result<Option<String>, OAuthError> {
        let Some(shown) = secret.grant() else {
            return Ok(None);
        };
        let key = super::dpop_key(secret).and_then(|key| DpopKey::from_secret(key).ok());
        self.servers
            .identity(provider, variables, secret.kind(), &shown, key.as_ref())
            .await
    }

    /// Tells a provider to forget tokens; `false` where it has no way to be told.
    async fn revoke(&self, provider: &ProviderId, revoked: &Revoked) -> Result<bool, Untold> {
        let Some(provider) = self.providers.find(provider) else {
            return Ok(false);
        };
        let client = self
            .oauth_client(provider, &revoked.client, revoked.client_secret.as_ref())
            .await
            .map_err(|error| Untold::Yet(error.to_string()))?;
        let server = self.servers.open(provider, &revoked.variables).await?;
        let refresh = revoked.refresh.as_ref();
        Ok(server.revoke(&client, &revoked.access, refresh).await?)
    }
}

/// Why a provider was not told to forget tokens.
#[derive(Debug, thiserror::Error)]
enum Untold {
    /// It may be told later.
    #[error("{0}")]
    Yet(String),
    /// It will not listen.
    #[error("{0}")]
    Ever(String),
}

impl From<OAuthError> for Untold {
    fn from(error: OAuthError) -> Self {
        let text = error.to_string();
        match error {
            OAuthError::Transient { .. } | OAuthError::Metadata { .. } => Self::Yet(text),
            _ => Self::Ever(text),
        }
    }
}

/// What a person's consent brought, with what was asked for.
struct Issued {
    tokens: Tokens,
    asked: Scopes,
    dpop_key: Option<DpopKey>,
    client: KeptClient,
    variables: Variables,
}

fn is_bound_elsewhere(found: &Found, browser: Option<&Browser>) -> bool {
    let here = browser.map(|browser| digest(browser.cookie()));
    found.browser.is_some() && found.browser != here
}

pub(super) fn digest(secret: &SecretString) -> Digest {
    *blake3::hash(secret.expose_secret().as_bytes()).as_bytes()
}

fn code(device: &DeviceAuthorization, expires_at: u64) -> DeviceCode {
    DeviceCode {
        user_code: device.user_code.clone(),
        verification_url: device.verification_uri.to_string(),
        complete_url: device
            .verification_uri_complete
            .as_ref()
            .map(Url::to_string),
        expires_at,
    }
}

/// The host of the page that a person consents on, as far as it is known before they have filled in the variables.
fn consent_host(provider: &Provider, variables: &[Field]) -> String {
    let oauth = provider.oauth.as_ref();
    let template = oauth.and_then(|oauth| oauth.authorize_url.as_ref().or(oauth.issuer.as_ref()));
    let mut text = template.map_or("", |template| template.as_str()).to_owned();
    for field in variables.iter().filter(|field| !field.value.is_empty()) {
        let name = field.name.trim_start_matches(VARIABLE);
        text = text.replace(&format!("{{{name}}}"), &field.value);
    }
    let rest = text.split_once("://").map_or("", |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default().to_owned()
}

/// The parts of what a person enters.
fn parts(kind: CredentialKind) -> Vec<Field> {
    let field = |name: &str, label: &str, secret, optional| Field {
        name: name.to_owned(),
        label: label.to_owned(),
        example: None,
        choices: Vec::new(),
        value: String::new(),
        secret,
        optional,
    };
    match kind {
        CredentialKind::Oauth2 => Vec::new(),
        CredentialKind::ApiKey => vec![field("token", "API key or token", true, false)],
        CredentialKind::Basic => vec![
            field("username", "User name", false, false),
            field("password", "Password", true, true),
        ],
        CredentialKind::KeyPair => vec![
            field("key", "Key", true, false),
            field("secret", "Secret that signs", true, false),
        ],
        CredentialKind::ClientCredentials => vec![
            field("client_id", "Client id", false, false),
            field("client_secret", "Client secret", true, false),
        ],
    }
}

/// The secret in the fields of a form.
fn entered(
    kind: CredentialKind,
    fields: &BTreeMap<String, SecretString>,
    variables: Variables,
) -> Result<CredentialSecret, ChoiceError> {
    let mut given = parts(kind).into_iter().map(|part| {
        // Copied text often ends in a line break or a space, which no secret has.
        let value = fields
            .get(&part.name)
            .map_or("", |value| value.expose_secret().trim());
        if value.is_empty() && !part.optional {
            return Err(ChoiceError::Field {
                label: part.label,
                reason: "it is empty".to_owned(),
            });
        }
        Ok(SecretString::from(value))
    });
    let mut next = || given.next().expect("the kind has so many parts");
    Ok(match kind {
        CredentialKind::Basic => CredentialSecret::Basic {
            username: next()?,
            password: next()?,
        },
        CredentialKind::KeyPair => CredentialSecret::KeyPair {
            key: next()?,
            secret: next()?,
        },
        CredentialKind::ClientCredentials => CredentialSecret::ClientCredentials {
            id: next()?.expose_secret().to_owned(),
            secret: next()?,
            access: None,
            variables,
        },
        CredentialKind::ApiKey | CredentialKind::Oauth2 => CredentialSecret::Token(next()?),
    })
}

/// The label is a courtesy: what cannot be asked now keeps nobody from going on.
fn known_label(provider: &Provider, answer: Result<Option<String>, OAuthError>) -> Option<String> {
    answer.unwrap_or_else(|error| {
        tracing::warn!(
            "the account's label at {} is not known: {error}",
            provider.id
        );
        None
    })
}

fn unreachable(provider: &Provider, error: &OAuthError) -> ChoiceError {
    let (title, reason) = (provider.title.clone(), error.to_string());
    if error.is_transient() {
        ChoiceError::Unreachable { title, reason }
    } else {
        ChoiceError::Misconfigured { title, reason }
    }
}

/// Why a person's browser came back without a code, in words. The texts are the provider's, or an attacker's.
fn denial(provider: &Provider, error: &str, description: Option<&str>) -> String {
    if error == "access_denied" {
        return format!("access was denied at {}", provider.title);
    }
    let clean =
        |text: &str| -> String { text.chars().filter(|c| !c.is_control()).take(200).collect() };
    match description {
        Some(description) => format!(
            "{} says: {} ({})",
            provider.title,
            clean(description),
            clean(error)
        ),
        None => format!("{} says: {}", provider.title, clean(error)),
    }
}
