//! What an authorisation server says about itself (RFC 8414, OpenID Connect Discovery).
//!
//! It is believed only if it names the very issuer that was asked, and an endpoint in it only if that is public or at
//! the issuer's own place. It is asked for once an hour.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use holster_http::metadata_places;
use http::Method;
use serde::Deserialize;
use url::Url;

use super::error::{OAuthError, Secrets};
use super::http::{Endpoint, HttpClient, Request};

const FRESH: Duration = Duration::from_hours(1);

/// How many issuers are remembered.
const MAX_ISSUERS: usize = 256;

/// The document, as far as it is used.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Metadata {
    pub(super) issuer: String,
    authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
    revocation_endpoint: Option<String>,
    device_authorization_endpoint: Option<String>,
    pushed_authorization_request_endpoint: Option<String>,
    registration_endpoint: Option<String>,
    pub(super) authorization_response_iss_parameter_supported: bool,
    pub(super) client_id_metadata_document_supported: bool,
    pub(super) code_challenge_methods_supported: Option<Vec<String>>,
    pub(super) dpop_signing_alg_values_supported: Option<Vec<String>>,
    pub(super) token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

/// The endpoints of the document.
#[derive(Clone, Copy)]
pub(super) enum Named {
    Authorize,
    Token,
    Revoke,
    Device,
    Par,
    Register,
}

impl Metadata {
    /// An endpoint, if it is named.
    pub(super) fn endpoint(&self, named: Named) -> Result<Option<Endpoint>, OAuthError> {
        let text = match named {
            Named::Authorize => &self.authorization_endpoint,
            Named::Token => &self.token_endpoint,
            Named::Revoke => &self.revocation_endpoint,
            Named::Device => &self.device_authorization_endpoint,
            Named::Par => &self.pushed_authorization_request_endpoint,
            Named::Register => &self.registration_endpoint,
        };
        let Some(text) = text else { return Ok(None) };
        let issuer = Url::parse(&self.issuer).ok();
        Url::parse(text)
            .map_err(|error| format!("an endpoint is no address: {error}"))
            .and_then(|url| Endpoint::of_stranger(url, issuer.as_ref()))
            .map(Some)
            .map_err(|reason| unusable(&self.issuer, &reason))
    }
}

/// The documents of the last hour.
#[derive(Default)]
pub(super) struct MetadataCache(Mutex<HashMap<String, (Instant, Arc<Metadata>)>>);

impl MetadataCache {
    pub(super) async fn get(
        &self,
        http: &HttpClient,
        issuer: &str,
    ) -> Result<Arc<Metadata>, OAuthError> {
        if let Some(metadata) = self.fresh(issuer) {
            return Ok(metadata);
        }
        let metadata = Arc::new(ask(http, issuer).await?);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, (since, _)| since.elapsed() < FRESH);
        if known.len() >= MAX_ISSUERS {
            known.clear();
        }
        known.insert(issuer.to_owned(), (Instant::now(), Arc::clone(&metadata)));
        Ok(metadata)
    }

    fn fresh(&self, issuer: &str) -> Option<Arc<Metadata>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, metadata) = known.get(issuer)?;
        (since.elapsed() < FRESH).then(|| Arc::clone(metadata))
    }
}

/// Asks at each place that a specification names, until one of them answers.
async fn ask(http: &HttpClient, issuer: &str) -> Result<Metadata, OAuthError> {
    let url = Url::parse(issuer).map_err(|error| unusable(issuer, &error.to_string()))?;
    if url.query().is_some() {
        return Err(unusable(issuer, "an issuer has no query (RFC 8414 §2)"));
    }
    for place in metadata_places(&url) {
        let request = Request::new(Method::GET, &Endpoint::of_operator(place));
        let answer = http.send(&request).await?.settled()?;
        if !answer.status.is_success() {
            continue;
        }
        // A server that answers every path with a page for people has nothing here.
        let Some(metadata) = answer.read::<Metadata>() else {
            continue;
        };
        // RFC 8414 §3.3: as text, byte for byte. A document that names someone else would send our secrets to them.
        if metadata.issuer != issuer {
            let found = Secrets::default().clean(&metadata.issuer);
            return Err(OAuthError::Issuer {
                expected: issuer.to_owned(),
                found: (!found.is_empty()).then_some(found),
            });
        }
        return Ok(metadata);
    }
    Err(unusable(
        issuer,
        "there is none at its well-known addresses",
    ))
}

pub(super) fn unusable(issuer: &str, reason: &str) -> OAuthError {
    OAuthError::Metadata {
        issuer: issuer.to_owned(),
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_public_or_at_the_issuers_own_place() {
        for (issuer, endpoint, usable) in [
            ("https://x.example", "https://x.example/token", true),
            ("https://x.example", "https://tokens.y.example/token", true),
            ("https://x.example", "http://x.example/token", false),
            ("https://x.example", "https://127.0.0.1/token", false),
            ("https://x.example", "https://[::1]/token", false),
            ("https://x.example", "https://169.254.169.254/", false),
            ("https://x.example", "https://localhost/token", false),
            ("https://x.example", "https://2130706433/token", false),
            ("https://x.example", "https://u:p@x.example/token", false),
            ("https://x.example", "https://x.example/token#a", false),
            ("https://x.example", "file:///etc/passwd", false),
            ("https://x.example", "javascript:alert(1)", false),
            ("https://x.example", "token", false),
            ("http://127.0.0.1:9", "http://127.0.0.1:9/token", true),
            ("http://127.0.0.1:9", "http://127.0.0.1:10/token", false),
        ] {
            let metadata = Metadata {
                issuer: issuer.to_owned(),
                token_endpoint: Some(endpoint.to_owned()),
                ..Metadata::default()
            };
            let found = metadata.endpoint(Named::Token);
            assert_eq!(found.is_ok(), usable, "{issuer} {endpoint}: {found:?}");
        }
    }
}
