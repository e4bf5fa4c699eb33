//! The client: who we are to an authorisation server, and how a request shows it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use holster_types::{ExposeSecret as _, SecretString};
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::error::OAuthError;
use super::http::{Params, Request};
use crate::provider::{BodyFormat, ClientAuth};

/// A client that a server knows.
#[derive(Debug, Clone)]
pub(crate) struct OAuthClient {
    pub(crate) id: String,
    pub(crate) secret: Option<SecretString>,
    pub(crate) auth: ClientAuth,
}

impl OAuthClient {
    /// A client without a secret is a public one, whatever the provider's file says of those that have one.
    pub(crate) fn new(
        id: impl Into<String>,
        secret: Option<SecretString>,
        auth: ClientAuth,
    ) -> Self {
        Self {
            id: id.into(),
            auth: if secret.is_some() {
                auth
            } else {
                ClientAuth::None
            },
            secret,
        }
    }

    /// Puts who we are, and the parameters, into the request.
    pub(super) fn sign(
        &self,
        request: &mut Request,
        mut params: Params,
        body: BodyFormat,
    ) -> Result<(), OAuthError> {
        match (self.auth, &self.secret) {
            (ClientAuth::Basic, Some(secret)) => self.basic(request, secret)?,
            (ClientAuth::Post, Some(secret)) => {
                params.set("client_id", &self.id);
                params.set_secret("client_secret", secret);
            }
            _ => params.set("client_id", &self.id),
        }
        match body {
            BodyFormat::Form => request.form(&params),
            BodyFormat::Json => request.json(&params),
        }
        Ok(())
    }

    /// HTTP Basic with id and secret.
    pub(super) fn basic(
        &self,
        request: &mut Request,
        secret: &SecretString,
    ) -> Result<(), OAuthError> {
        request.secrets.add(secret.expose_secret());
        // RFC 6749 §2.3.1: both are form-encoded first, so that a colon in them separates nothing.
        let encoded = |text: &str| {
            let mut whole = Zeroizing::new(String::with_capacity(3 * text.len()));
            whole.extend(form_urlencoded::byte_serialize(text.as_bytes()));
            whole
        };
        let (id, secret) = (encoded(&self.id), encoded(secret.expose_secret()));
        let pair = Zeroizing::new(format!("{}:{}", *id, *secret));
        let pair = Zeroizing::new(STANDARD.encode(pair.as_bytes()));
        request.secrets.add(&pair);
        let value = Zeroizing::new(format!("Basic {}", *pair));
        request.header("Authorization", &value)
    }
}
