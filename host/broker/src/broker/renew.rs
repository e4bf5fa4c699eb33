//! How a credential is renewed: what is asked of the provider, and what its answer means.
//!
//! When, how often and by whom is the vault's to decide (`vault/refresh.rs`); this is the one request.

use std::sync::Arc;

use holster_types::{ProviderId, SecretString};

use super::Broker;
use crate::credential::CredentialSecret;
use crate::oauth::{AuthorizationServers, DpopKey, OAuthClient, OAuthError, Tokens};
use crate::provider::{ClientAuth, Provider, Rotation};
use crate::resolve::Reason;
use crate::vault::{Held, Renew, RenewError, RenewFailure, RenewPolicy, Renewed, is_ahead, now};
use crate::{BrokerError, Owner};

/// A token with less than this left is renewed, in seconds.
const SOON: u64 = 300;

impl Broker {
    /// The credential, renewed where it is over or soon will be; or why it does not serve. One that was renewed just now
    /// does, however short its life: the provider has nothing newer.
    pub(super) async fn fresh(
        &self,
        owner: &Owner,
        provider: &Provider,
        held: Arc<Held>,
    ) -> Result<Result<Arc<Held>, Reason>, BrokerError> {
        let is_due = match &held.secret {
            CredentialSecret::ClientCredentials { access: None, .. } => true,
            _ => held
                .expires_at
                .is_some_and(|at| at < now() + SOON || is_ahead(held.written_at)),
        };
        if !is_due || !is_renewable(&held.secret) {
            return Ok(match held.expires_at.filter(|&at| at <= now()) {
                Some(at) => Err(Reason::Expired { at }),
                None => Ok(held),
            });
        }
        let why = Renew::Expiring { within_s: SOON };
        match self.renew(owner, provider, &held, why).await? {
            Ok(held) => Ok(Ok(held)),
            // It serves to its end; after that, the reason is told.
            Err(_) if held.expires_at.is_some_and(|at| at > now()) => Ok(Ok(held)),
            Err(error) => Ok(Err(Reason::NotRenewed {
                detail: error.to_string(),
            })),
        }
    }

    /// A provider no longer accepts what the grant of that generation carried. However often it says so, it is asked
    /// once for something newer.
    pub async fn rejected(&self, owner: &Owner, provider: &ProviderId, generation: i64) {
        let Some(provider) = self.providers.find(provider) else {
            return;
        };
        let held = match self.vault.find(owner, &provider.id).await {
            Ok(Some(held)) if held.generation == generation && is_renewable(&held.secret) => held,
            _ => return,
        };
        let answer = self
            .renew(owner, provider, &held, Renew::Rejected { generation })
            .await;
        let reason = match answer {
            Ok(Ok(_)) => return,
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        let (provider, profile) = (&provider.id, &owner.profile);
        tracing::warn!(
            "{provider} rejects the account of profile `{profile}`, which cannot be renewed: {reason}"
        );
    }

    async fn renew(
        &self,
        owner: &Owner,
        provider: &Provider,
        held: &Held,
        why: Renew,
    ) -> Result<Result<Arc<Held>, RenewError>, BrokerError> {
        let (id, kept) = match &held.secret {
            CredentialSecret::OAuth(tokens) => (&tokens.client.id, tokens.client.secret.as_ref()),
            CredentialSecret::ClientCredentials { id, secret, .. } => (id, Some(secret)),
            _ => return Ok(Err(RenewError::NotRenewable)),
        };
        let client = self.oauth_client(provider, id, kept).await?;
        let oauth = provider.oauth.as_ref();
        let policy = RenewPolicy {
            reuse_grace_s: oauth.map_or(0, |oauth| oauth.reuse_grace_s),
            rotates: oauth.is_some_and(|oauth| oauth.rotation == Rotation::Rotates),
        };
        let (servers, asked) = (self.servers.clone(), provider.clone());
        let counts = self.counts.clone();
        let renewed = self
            .vault
            .renewed(owner, &provider.id, why, policy, move |secret| async move {
                let answer = ask(&servers, &asked, &client, secret).await;
                counts.refreshed(&asked.id, &answer);
                answer
            })
            .await;
        match renewed {
            Err(RenewError::Vault(error)) => Err(BrokerError::Renewal(error)),
            Err(RenewError::Gone) => {
                // The provider may have answered after the account was disconnected, and is now to be told.
                if let Err(error) = self.revoke_due().await {
                    tracing::warn!("{} cannot be told of it: {error}", provider.id);
                }
                Ok(Err(RenewError::Gone))
            }
            other => Ok(other),
        }
    }

    /// The client of that id: as the configuration has it, or else as it was kept with the tokens.
    pub(super) async fn oauth_client(
        &self,
        provider: &Provider,
        id: &str,
        kept: Option<&SecretString>,
    ) -> Result<OAuthClient, BrokerError> {
        let usual = provider
            .oauth
            .as_ref()
            .map_or(ClientAuth::default(), |oauth| oauth.client_auth);
        let configured = self.clients.get(&provider.id);
        let Some(client) = configured.filter(|client| client.id == id) else {
            return Ok(OAuthClient::new(id, kept.cloned(), usual));
        };
        let source = client.clone();
        let secret = super::blocking(move || source.read_secret())
            .await
            .map_err(|error| BrokerError::ClientSecret {
                provider: provider.id.clone(),
                detail: error.to_string(),
            })?;
        Ok(OAuthClient::new(id, secret, client.auth.unwrap_or(usual)))
    }
}

/// Whether something newer can be had without a person.
fn is_renewable(secret: &CredentialSecret) -> bool {
    match secret {
        CredentialSecret::OAuth(tokens) => tokens.refresh.is_some(),
        CredentialSecret::ClientCredentials { .. } => true,
        CredentialSecret::Token(_)
        | CredentialSecret::Basic { .. }
        | CredentialSecret::KeyPair { .. } => false,
    }
}

/// The one request.
pub(super) async fn ask(
    servers: &AuthorizationServers,
    provider: &Provider,
    client: &OAuthClient,
    secret: CredentialSecret,
) -> Result<Renewed, RenewFailure> {
    match secret {
        CredentialSecret::OAuth(mut old) => {
            let Some(refresh) = &old.refresh else {
                return Err(RenewFailure::Unused("there is no refresh token".to_owned()));
            };
            let key = old.dpop_key.as_ref().map(DpopKey::from_secret).transpose();
            let key = key.map_err(|error| RenewFailure::Unused(error.to_string()))?;
            let server = servers
                .open(provider, &old.variables)
                .await
                .map_err(|error| RenewFailure::Unused(error.to_string()))?;
            let tokens = server
                .refresh(client, refresh, key.as_ref())
                .await
                .map_err(failure)?;
            let (expires_at, scopes) = (expiry(&tokens), tokens.scopes);
            old.access = tokens.access;
            old.refresh = tokens.refresh;
            old.variables.extend(tokens.variables);
            Ok(Renewed {
                secret: CredentialSecret::OAuth(old),
                expires_at,
                scopes,
            })
        }
        CredentialSecret::ClientCredentials {
            id,
            secret,
            variables,
            ..
        } => {
            let server = servers
                .open(provider, &variables)
                .await
                .map_err(|error| RenewFailure::Unused(error.to_string()))?;
            let scopes = provider
                .oauth
                .iter()
                .flat_map(|oauth| &oauth.default_scopes)
                .collect();
            let tokens = server
                .client_credentials(client, &scopes, None)
                .await
                .map_err(failure)?;
            Ok(Renewed {
                expires_at: expiry(&tokens),
                scopes: tokens.scopes,
                secret: CredentialSecret::ClientCredentials {
                    id,
                    secret,
                    access: Some(tokens.access),
                    variables,
                },
            })
        }
        _ => Err(RenewFailure::Unused("it is no OAuth credential".to_owned())),
    }
}

fn expiry(tokens: &Tokens) -> Option<u64> {
    tokens.expires_in.map(|seconds| now() + seconds)
}

/// What a failed request means for the refresh token that it carried.
fn failure(error: OAuthError) -> RenewFailure {
    let text = error.to_string();
    match error {
        error if error.is_invalid_grant() => RenewFailure::InvalidGrant(text),
        OAuthError::Transient {
            may_have_arrived: true,
            ..
        }
        | OAuthError::Malformed { .. } => RenewFailure::Transient(text),
        _ => RenewFailure::Unused(text),
    }
}
