//! The end of tokens (RFC 7009, and what vendors have in its place).

use holster_types::{ExposeSecret as _, SecretString};
use http::{Method, StatusCode};
use zeroize::Zeroizing;

use super::client::OAuthClient;
use super::error::OAuthError;
use super::http::{Endpoint, Params, Request};
use super::metadata::Named;
use super::server::AuthorizationServer;
use super::tokens::refusal;
use crate::provider::{BodyFormat, RevokeAuth, RevokeBody, RevokeMethod, RevokedToken};

impl AuthorizationServer {
    /// Revokes the tokens of an account. `Ok(false)` where the provider knows no way for this client; a token that is
    /// unknown, or has ended already, is revoked.
    pub(crate) async fn revoke(
        &self,
        client: &OAuthClient,
        access: &SecretString,
        refresh: Option<&SecretString>,
    ) -> Result<bool, OAuthError> {
        let endpoint = match &self.oauth.revoke_url {
            Some(template) => Some(self.filled_for(template, client)?),
            None => self.endpoint(None, Named::Revoke)?,
        };
        let Some(endpoint) = endpoint else {
            return Ok(false);
        };
        if self.oauth.revoke.auth == RevokeAuth::Basic && client.secret.is_none() {
            // It would be told that there is no such thing, as if that were done.
            return Ok(false);
        }
        let request = self.revocation(&endpoint, client, access, refresh)?;
        let answer = self.http.send(&request).await?.settled()?;
        // RFC 7009 §2.2: the answer to a success has no content that matters, and need be no JSON.
        let error = answer
            .document()
            .ok()
            .and_then(|document| refusal(&answer, &document, &self.oauth));
        let gone = [StatusCode::NOT_FOUND, StatusCode::GONE].contains(&answer.status);
        match error {
            Some(OAuthError::Refused { error, .. })
                if ended(&error) || self.oauth.revoke.ended.contains(&error) =>
            {
                Ok(true)
            }
            Some(error) => Err(error),
            None if answer.status.is_success() || gone => Ok(true),
            None => {
                Err(answer.malformed(&format!("HTTP {} without an error", answer.status.as_u16())))
            }
        }
    }

    fn revocation(
        &self,
        endpoint: &Endpoint,
        client: &OAuthClient,
        access: &SecretString,
        refresh: Option<&SecretString>,
    ) -> Result<Request, OAuthError> {
        let form = &self.oauth.revoke;
        let (token, hint) = match refresh {
            Some(refresh) if form.token == RevokedToken::Refresh => (refresh, "refresh_token"),
            _ => (access, "access_token"),
        };
        let method = match form.method {
            RevokeMethod::Post => Method::POST,
            RevokeMethod::Delete => Method::DELETE,
        };
        let mut request = Request::new(method, endpoint);
        request.secrets.add(token.expose_secret());
        for (name, value) in &self.oauth.token_headers {
            request.header(name.as_str(), value)?;
        }
        let mut params = Params::default();
        if form.body != RevokeBody::Empty {
            params.set_secret(&form.param, token);
        }
        // A hint helps a server that follows the RFC, and may offend one that does not.
        if form.body == RevokeBody::Form && form.param == "token" {
            params.set("token_type_hint", hint);
        }
        match (form.auth, &client.secret) {
            (RevokeAuth::Client, _) => {
                let body = match form.body {
                    RevokeBody::Json => BodyFormat::Json,
                    RevokeBody::Form | RevokeBody::Empty => BodyFormat::Form,
                };
                client.sign(&mut request, params, body)?;
                return Ok(request);
            }
            (RevokeAuth::Basic, Some(secret)) => client.basic(&mut request, secret)?,
            (RevokeAuth::Post, secret) => {
                params.set("client_id", &client.id);
                if let Some(secret) = secret {
                    params.set_secret("client_secret", secret);
                }
            }
            (RevokeAuth::ClientId, _) => params.set("client_id", &client.id),
            (RevokeAuth::Bearer, _) => {
                request.secrets.add(access.expose_secret());
                let value = Zeroizing::new(format!("Bearer {}", access.expose_secret()));
                request.header("Authorization", &value)?;
            }
            (RevokeAuth::Basic, None) | (RevokeAuth::None, _) => {}
        }
        match form.body {
            RevokeBody::Form => request.form(&params),
            RevokeBody::Json => request.json(&params),
            RevokeBody::Empty => {}
        }
        Ok(request)
    }
}

/// What servers say of a token that has ended: there is nothing left to do.
fn ended(error: &str) -> bool {
    [
        "invalid_token",
        "invalid_grant",
        "token_revoked",
        "token_expired",
    ]
    .contains(&error)
}
