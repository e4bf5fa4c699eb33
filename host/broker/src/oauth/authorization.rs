//! How a person is sent to consent, and how the answer in their browser is checked.

use holster_types::{Scopes, SecretString};
use oauth2::{CsrfToken, PkceCodeChallenge};
use serde::{Deserialize, Serialize};
use url::Url;

use super::client::OAuthClient;
use super::dpop::DpopKey;
use super::error::{OAuthError, Secrets};
use super::http::{Endpoint, Params};
use super::metadata::Named;
use super::server::{AuthorizationServer, unsupported};
use super::tokens::refusal;
use crate::provider::{BodyFormat, Pkce};
use crate::secret_text;

/// Bytes of the state: 256 bits.
const STATE: u32 = 32;

/// One attempt of a person to authorise: where they are sent, and what the callback and the exchange need. All of it
/// is for sealed storage only.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Authorization {
    /// Where the browser goes. It holds the state.
    url: SecretUrl,
    /// 256 bits that the callback brings back, once.
    #[serde(with = "secret_text")]
    pub(crate) state: SecretString,
    /// `None` only where the provider refuses PKCE.
    #[serde(with = "secret_text::optional")]
    pub(super) verifier: Option<SecretString>,
    /// Who answers, where that is known.
    pub(crate) issuer: Option<String>,
    /// Whether the callback has to name the issuer.
    iss_expected: bool,
    /// Where the browser comes back to, exactly as the server was told.
    pub(crate) redirect: Url,
    /// What was asked for.
    pub(crate) scopes: Scopes,
    /// What the tokens will be bound to.
    pub(crate) dpop_key: Option<DpopKey>,
    /// Which client asked: one that is registered anew has no say in it.
    pub(crate) client_id: String,
}

/// An address that is not printed.
#[derive(Serialize, Deserialize)]
struct SecretUrl(Url);

impl std::fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Authorization {
    /// Where the browser goes.
    pub(crate) fn url(&self) -> &Url {
        &self.url.0
    }

    /// The same, where it is needed once and there is little room to keep it.
    pub(crate) fn take_url(&mut self) -> Url {
        std::mem::replace(&mut self.url.0, self.redirect.clone())
    }

    /// Whether the callback is from the server that the person was sent to (RFC 9207). Comes before everything else
    /// that is done with a callback, the showing of its error included.
    pub(crate) fn check_callback(&self, iss: Option<&str>) -> Result<(), OAuthError> {
        let Some(expected) = &self.issuer else {
            return Ok(());
        };
        match iss {
            Some(found) if found == expected => Ok(()),
            None if !self.iss_expected => Ok(()),
            found => Err(OAuthError::Issuer {
                expected: expected.clone(),
                found: found.map(|text| Secrets::default().clean(text)),
            }),
        }
    }
}

impl AuthorizationServer {
    /// Prepares to send a person to consent to what tools need, and to come back to `redirect`. To be called when
    /// their browser is at the door: parameters that were left at the server may wait for a minute only, and be used
    /// once.
    pub(crate) async fn authorize(
        &self,
        client: &OAuthClient,
        wanted: &Scopes,
        redirect: &Url,
    ) -> Result<Authorization, OAuthError> {
        let endpoint = self
            .endpoint(self.oauth.authorize_url.as_ref(), Named::Authorize)?
            .ok_or_else(|| unsupported(&self.provider, "way for a person to consent"))?;
        let scopes = self.asked(wanted);
        let state = SecretString::from(CsrfToken::new_random_len(STATE).into_secret());
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let verifier = SecretString::from(verifier.into_secret());
        let verifier = (self.oauth.pkce == Pkce::S256).then_some(verifier);
        let dpop_key = self.oauth.dpop.then(DpopKey::generate);

        let mut params = Params::default();
        for (name, value) in &self.oauth.authorize_params {
            params.set(name, value);
        }
        params.set("response_type", "code");
        params.set("client_id", &client.id);
        params.set("redirect_uri", redirect.as_str());
        params.set_secret("state", &state);
        if !scopes.is_empty() {
            params.set(&self.oauth.scope_param, &self.joined(&scopes));
        }
        if verifier.is_some() {
            params.set("code_challenge", challenge.as_str());
            params.set("code_challenge_method", challenge.method().as_str());
        }
        if let Some(key) = &dpop_key {
            params.set("dpop_jkt", &key.thumbprint());
        }
        self.set_resource(&mut params)?;

        let params = match self.endpoint(self.oauth.par_url.as_ref(), Named::Par)? {
            Some(par) => self.pushed(&par, client, params).await?,
            None => params,
        };
        let mut url = endpoint.url().clone();
        url.query_pairs_mut().extend_pairs(params.iter());
        Ok(Authorization {
            url: SecretUrl(url),
            state,
            verifier,
            issuer: self.issuer.clone(),
            iss_expected: self.expects_issuer(),
            redirect: redirect.clone(),
            scopes,
            dpop_key,
            client_id: client.id.clone(),
        })
    }

    /// Leaves the parameters at the server, and gives those that refer to them (RFC 9126).
    async fn pushed(
        &self,
        endpoint: &Endpoint,
        client: &OAuthClient,
        params: Params,
    ) -> Result<Params, OAuthError> {
        let request = self.signed(endpoint, client, params, BodyFormat::Form)?;
        let answer = self.http.send(&request).await?.settled()?;
        let document = answer.document()?;
        if let Some(error) = refusal(&answer, &document, &self.oauth) {
            return Err(error);
        }
        let reference = document
            .text("/request_uri")
            .ok_or_else(|| answer.malformed("it holds no `request_uri`"))?;
        let mut params = Params::default();
        params.set("client_id", &client.id);
        params.set("request_uri", reference);
        Ok(params)
    }
}
