//! Whose account a credential opens, as the provider tells it.

use holster_types::{ExposeSecret as _, GrantSecret};
use http::Method;
use serde_json::Value;
use zeroize::Zeroizing;

use super::address::{Variables, filled};
use super::dpop::DpopKey;
use super::error::OAuthError;
use super::http::{Endpoint, Request};
use super::server::{AuthorizationServers, send_proven};
use super::tokens::label;
use crate::CredentialKind;
use crate::provider::{Inject, Provider};

impl AuthorizationServers {
    /// The label of the account: what people call it. `None` where the provider's file knows no way to find it with a
    /// credential of this kind, or the answer holds none.
    pub(crate) async fn identity(
        &self,
        provider: &Provider,
        variables: &Variables,
        kind: CredentialKind,
        secret: &GrantSecret,
        dpop_key: Option<&DpopKey>,
    ) -> Result<Option<String>, OAuthError> {
        let Some(identity) = &provider.identity else {
            return Ok(None);
        };
        if !identity.kinds.is_empty() && !identity.kinds.contains(&kind) {
            return Ok(None);
        }
        // HTTP Basic is what it is everywhere.
        let own = identity.inject.as_ref();
        let own = own.filter(|_| kind != CredentialKind::Basic);
        let mut endpoint = filled(provider, &identity.url, variables)?;
        let query = own.map_or_else(|| provider.query(kind), |own| own.query.as_deref());
        let sent = secret.sent();
        if let Some(name) = query {
            let mut url = endpoint.url().clone();
            url.query_pairs_mut()
                .append_pair(name, sent.expose_secret());
            endpoint = Endpoint::of_operator(url);
        }
        let method = if identity.body.is_some() {
            Method::POST
        } else {
            Method::GET
        };
        let mut request = Request::new(method, &endpoint);
        request.secrets.add(sent.expose_secret());
        for (name, value) in &identity.headers {
            request.header(name.as_str(), value)?;
        }
        if let Some(body) = &identity.body {
            request.body(
                "application/json",
                Zeroizing::new(body.clone().into_bytes()),
            );
        }
        if query.is_none() {
            let mut header = own.map_or_else(|| provider.header(kind), Inject::header);
            if dpop_key.is_some() {
                "DPoP".clone_into(&mut header.scheme);
            }
            let value = Zeroizing::new(header.value(sent.expose_secret()));
            request.header(&header.name, &value)?;
        }
        if let (Some(name), Some(second)) = (provider.secret_header(kind), secret.signing()) {
            request.secrets.add(second.expose_secret());
            request.header(name, second.expose_secret())?;
        }
        let answer = send_proven(&self.http, request, dpop_key, Some(sent))
            .await?
            .settled()?;
        if !answer.status.is_success() {
            let status = answer.status;
            return Err(answer.refused(
                &format!("HTTP {}", status.as_u16()),
                status.canonical_reason(),
            ));
        }
        let document = answer.document()?;
        Ok(match document.get(identity.pointer.as_str()) {
            Some(Value::String(text)) => label(text),
            Some(Value::Number(number)) => label(&number.to_string()),
            _ => None,
        })
    }
}
