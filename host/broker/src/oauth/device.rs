//! The device flow (RFC 8628), for a host that no browser can reach.

use holster_types::{Scopes, SecretString, travels_safely};
use serde::{Deserialize, Serialize};
use url::Url;

use super::client::OAuthClient;
use super::dpop::DpopKey;
use super::error::{OAuthError, Secrets};
use super::http::Params;
use super::metadata::Named;
use super::server::{AuthorizationServer, unsupported};
use super::tokens::{Tokens, lifetime, refusal};
use crate::provider::BodyFormat;
use crate::secret_text;

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// RFC 8628 §3.2: where the server names none.
const INTERVAL: u64 = 5;

/// RFC 8628 §3.5: by how much it grows.
const SLOWER: u64 = 5;

/// No server has reason to ask for less than one, or more than ten minutes.
const MAX_INTERVAL: u64 = 600;

/// Where the server does not say, although it must: RFC 8628 asks for no more than this.
const EXPIRES_IN: u64 = 1800;

/// A device that waits for a person to consent elsewhere. All of it is for sealed storage only, but for what the
/// person is shown.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct DeviceAuthorization {
    #[serde(with = "secret_text")]
    device_code: SecretString,
    /// What the person enters.
    pub(crate) user_code: String,
    /// Where they enter it. Its domain is to be shown, since a page elsewhere would be phishing.
    pub(crate) verification_uri: Url,
    /// The same with the code in it.
    pub(crate) verification_uri_complete: Option<Url>,
    /// Seconds from the start until the server forgets it. The caller stops then.
    pub(crate) expires_in: u64,
    /// How many seconds to wait before each question.
    pub(crate) interval: u64,
    /// What was asked for.
    pub(crate) scopes: Scopes,
    /// What the tokens will be bound to.
    pub(crate) dpop_key: Option<DpopKey>,
    pub(crate) client_id: String,
}

/// What one question brought.
#[derive(Debug)]
pub(crate) enum DevicePoll {
    /// Ask again after this many seconds, and keep to it.
    Pending {
        interval: u64,
    },
    Tokens(Tokens),
    /// The person said no, or the time is over.
    Refused(OAuthError),
}

impl AuthorizationServer {
    /// Whether the provider's file or the server's metadata name a place to ask for a code.
    pub(crate) fn gives_codes(&self) -> bool {
        let endpoint = self.endpoint(self.oauth.device_url.as_ref(), Named::Device);
        endpoint.is_ok_and(|endpoint| endpoint.is_some())
    }

    /// Asks for a code that a person enters elsewhere.
    pub(crate) async fn device_start(
        &self,
        client: &OAuthClient,
        wanted: &Scopes,
    ) -> Result<DeviceAuthorization, OAuthError> {
        let endpoint = self
            .endpoint(self.oauth.device_url.as_ref(), Named::Device)?
            .ok_or_else(|| unsupported(&self.provider, "device flow"))?;
        let scopes = self.asked(wanted);
        let mut params = Params::default();
        if !scopes.is_empty() {
            let name = self.oauth.device_scope_param.as_ref();
            let name = name.unwrap_or(&self.oauth.scope_param);
            params.set(name, &self.joined(&scopes));
        }
        self.set_resource(&mut params)?;
        let request = self.signed(&endpoint, client, params, BodyFormat::Form)?;
        let answer = self.http.send(&request).await?.settled()?;
        let document = answer.document()?;
        if let Some(error) = refusal(&answer, &document, &self.oauth) {
            return Err(error);
        }
        let required = |text: Option<&str>, reason| {
            text.map(str::to_owned)
                .ok_or_else(|| answer.malformed(reason))
        };
        let device_code = required(document.text("/device_code"), "it holds no `device_code`")?;
        let user_code = required(document.text("/user_code"), "it holds no `user_code`")?;
        // Some servers still call it as a draft of the RFC did.
        let page = document
            .text("/verification_uri")
            .or_else(|| document.text("/verification_url"));
        let page = page
            .and_then(page_for_people)
            .ok_or_else(|| answer.malformed("it names no page to enter the code at"))?;
        let seconds = |name| document.get(name).and_then(lifetime);
        Ok(DeviceAuthorization {
            device_code: device_code.into(),
            user_code: Secrets::default().clean(&user_code),
            verification_uri: page,
            verification_uri_complete: document
                .text("/verification_uri_complete")
                .and_then(page_for_people),
            expires_in: seconds("/expires_in").unwrap_or(EXPIRES_IN),
            interval: seconds("/interval").unwrap_or(INTERVAL).min(MAX_INTERVAL),
            scopes,
            dpop_key: self.oauth.dpop.then(DpopKey::generate),
            client_id: client.id.clone(),
        })
    }

    /// Asks once whether the person has consented, after `interval` seconds: those of the start, or of the answer
    /// before. A transient error means: ask again, after twice that time.
    pub(crate) async fn device_poll(
        &self,
        client: &OAuthClient,
        device: &DeviceAuthorization,
        interval: u64,
    ) -> Result<DevicePoll, OAuthError> {
        let mut params = self.params(GRANT_TYPE)?;
        params.set_secret("device_code", &device.device_code);
        if let Some(name) = &self.oauth.device_scope_param {
            // The one vendor that renames the parameter wants it here too.
            params.set(name, &self.joined(&device.scopes));
        }
        let endpoint = self.token_endpoint()?;
        let tokens = self.tokens(&endpoint, client, params, device.dpop_key.as_ref());
        match tokens.await {
            Ok(tokens) => Ok(DevicePoll::Tokens(tokens)),
            Err(OAuthError::Refused { error, .. }) if error == "authorization_pending" => {
                Ok(DevicePoll::Pending { interval })
            }
            Err(OAuthError::Refused { error, .. }) if error == "slow_down" => {
                Ok(DevicePoll::Pending {
                    interval: (interval + SLOWER).min(MAX_INTERVAL),
                })
            }
            Err(error @ OAuthError::Refused { .. }) => Ok(DevicePoll::Refused(error)),
            Err(error) => Err(error),
        }
    }
}

/// A page that a person may be sent to: a link in a terminal or a page must not do anything else.
fn page_for_people(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    travels_safely(&url).then_some(url)
}
