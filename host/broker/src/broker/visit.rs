//! How a person shows who they are, and how their browser shows later that they did.
//!
//! A person signs in at an issuer as they consent at a provider: the same requests, the same checks, and a nonce besides.
//! Whose the token is that comes back, whoever knows the issuer's keys says.

use holster_types::{ConnectionId, ExposeSecret as _, Scopes, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::json;
use url::Url;

use super::Broker;
use super::connect::digest;
use crate::connection::{Browser, Callback};
use crate::oauth::{Authorization, AuthorizationServer, OAuthClient, Variables};
use crate::provider::{ClientAuth, Provider};
use crate::visit::{Arrival, Departure, SignInError, SignInIssuer, User};
use crate::{BrokerError, random, secret_text};

/// What is kept while a person is at the issuer.
#[derive(Serialize, Deserialize)]
struct UnderWay {
    authorization: Authorization,
    #[serde(with = "secret_text")]
    nonce: SecretString,
    connection: ConnectionId,
}

impl Broker {
    /// Makes a browser that of a user, for an hour: what it has to keep, beside what makes it known. To be given to a
    /// [new](Browser::new) browser only, or whoever knew it before would be that user as well.
    pub async fn sign_in(
        &self,
        browser: &Browser,
        user: &User,
    ) -> Result<SecretString, BrokerError> {
        let browser = digest(browser.cookie());
        Ok(self.vault.visit(&browser, user).await?)
    }

    /// The user who signed in with this browser.
    pub async fn visitor(&self, browser: &Browser) -> Result<Option<User>, BrokerError> {
        let Some(visit) = browser.visit() else {
            return Ok(None);
        };
        let browser = digest(browser.cookie());
        Ok(self.vault.visitor(&browser, visit.expose_secret()).await?)
    }

    /// Prepares to send a person to an issuer, and to come back to `redirect`, and then to go on with a connection. Where
    /// the issuer knows them already, it asks them `anew`, or not.
    pub async fn depart(
        &self,
        at: &SignInIssuer,
        redirect: &Url,
        browser: &Browser,
        connection: &ConnectionId,
        anew: bool,
    ) -> Result<Departure, SignInError> {
        let nonce = random::token();
        let (server, client) = self.issuer(at, &nonce, anew).await?;
        let mut authorization = server
            .authorize(&client, &Scopes::default(), redirect)
            .await?;
        let url = authorization.take_url();
        let under_way = UnderWay {
            authorization,
            nonce,
            connection: connection.clone(),
        };
        let kept = self
            .vault
            .departure(&digest(browser.cookie()), &under_way)
            .await?;
        Ok(Departure { url, kept })
    }

    /// Takes an issuer's answer. Must not be cancelled: the code in it counts once.
    pub async fn arrive(
        &self,
        at: &SignInIssuer,
        browser: &Browser,
        kept: &str,
        callback: Callback,
    ) -> Result<Arrival, SignInError> {
        let browser = digest(browser.cookie());
        let under_way: Option<UnderWay> = self.vault.departed(&browser, kept).await?;
        let under_way = under_way
            .filter(|under_way| {
                let state = callback.state.as_ref();
                state.is_some_and(|state| digest(state) == digest(&under_way.authorization.state))
            })
            .ok_or(SignInError::Unknown)?;
        let UnderWay {
            authorization,
            nonce,
            connection,
        } = under_way;
        authorization.check_callback(callback.iss.as_deref())?;
        if let Some(error) = callback.error {
            return Err(SignInError::Refused(error));
        }
        let Some(code) = callback.code else {
            return Err(SignInError::Refused("it sent no code".to_owned()));
        };
        let (server, client) = self.issuer(at, &nonce, false).await?;
        let tokens = server.exchange(&client, &authorization, &code).await?;
        Ok(Arrival {
            id_token: tokens.access,
            nonce,
            connection,
        })
    }

    /// An issuer, and who we are there.
    async fn issuer(
        &self,
        at: &SignInIssuer,
        nonce: &SecretString,
        anew: bool,
    ) -> Result<(AuthorizationServer, OAuthClient), SignInError> {
        let provider = provider(at, nonce, anew);
        let server = self.servers.open(&provider, &Variables::new()).await?;
        Ok((server, client(at).await?))
    }
}

/// An issuer as a provider whose tokens say who a person is (OpenID Connect Core §3.1).
fn provider(at: &SignInIssuer, nonce: &SecretString, anew: bool) -> Provider {
    let mut authorize_params = json!({ "nonce": nonce.expose_secret() });
    if anew {
        authorize_params["prompt"] = "login".into();
    }
    let provider = json!({
        "id": "sign-in",
        "title": at.issuer.as_str(),
        "kinds": ["oauth2"],
        "doc_url": "https://openid.net/specs/openid-connect-core-1_0.html",
        "oauth": {
            "issuer": at.issuer.as_str(),
            "discover": true,
            "default_scopes": ["openid"],
            "authorize_params": authorize_params,
            "response": { "access_token": "/id_token" },
        },
    });
    serde_json::from_value(provider).expect("a provider like any other")
}

async fn client(at: &SignInIssuer) -> Result<OAuthClient, SignInError> {
    let source = at.client.clone();
    let secret = super::blocking(move || source.read_secret()).await;
    let secret = secret.map_err(|error| SignInError::ClientSecret {
        issuer: at.issuer.as_str().to_owned(),
        detail: error.to_string(),
    })?;
    let auth = at.client.auth.unwrap_or(ClientAuth::Basic);
    Ok(OAuthClient::new(&at.client.id, secret, auth))
}
