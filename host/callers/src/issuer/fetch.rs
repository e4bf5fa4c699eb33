//! Documents of issuers: small, in time, and from where the operator or the issuer says.
//!
//! No redirect is followed, and a name leads to public addresses only; an address that the operator wrote is meant.

use std::time::Duration;

use bytes::Bytes;
use holster_core::types::{Reach, ServerUrl};
use holster_http::{Clients, may_be_asked, metadata_places, unpooled};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::header::{ACCEPT, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

/// From the look-up of the name to the last byte of the answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The longest document, in bytes.
const MAX_DOCUMENT: usize = 256 << 10;

/// The clients.
pub(super) struct Http(Clients<Empty<Bytes>>);

/// What an issuer says about itself (RFC 8414, OpenID Connect Discovery), as far as it is used.
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: Option<String>,
}

impl Http {
    pub(super) fn new() -> Self {
        Self(Clients::new(unpooled))
    }

    /// Where an issuer says its keys are.
    pub(super) async fn key_place(&self, issuer: &ServerUrl) -> Result<Url, String> {
        for place in metadata_places(issuer.url()) {
            let Some(metadata) = self.document::<Metadata>(&place).await? else {
                continue;
            };
            // RFC 8414 §3.3: as text, byte for byte.
            if metadata.issuer != issuer.as_str() {
                return Err(format!("{place} is the metadata of another issuer"));
            }
            let named = metadata.jwks_uri.as_deref().map(Url::parse);
            return match named {
                Some(Ok(url)) if may_hold_keys(&url, issuer.url()) => Ok(url),
                Some(_) => Err(format!(
                    "the `jwks_uri` in {place} is neither `https` to a public host nor at the issuer's own place"
                )),
                None => Err(format!("there is no `jwks_uri` in {place}")),
            };
        }
        Err("there is no metadata at its well-known addresses".to_owned())
    }

    /// The document at an address; `None` if there is none, or another one.
    pub(super) async fn document<T: DeserializeOwned>(
        &self,
        url: &Url,
    ) -> Result<Option<T>, String> {
        match tokio::time::timeout(TIMEOUT, self.get(url)).await {
            Ok(Ok((StatusCode::OK, body))) => Ok(serde_json::from_slice(&body).ok()),
            Ok(Ok((status, _))) if status.is_server_error() => {
                Err(format!("{url} answers with HTTP {}", status.as_u16()))
            }
            Ok(Ok(_)) => Ok(None),
            Ok(Err(reason)) => Err(format!("{url}: {reason}")),
            Err(_) => Err(format!("{url} did not answer in {} s", TIMEOUT.as_secs())),
        }
    }

    async fn get(&self, url: &Url) -> Result<(StatusCode, Bytes), String> {
        let uri: Uri = url
            .as_str()
            .parse()
            .map_err(|_| "it cannot be asked".to_owned())?;
        let request = Request::get(uri)
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, concat!("holster/", env!("CARGO_PKG_VERSION")))
            .body(Empty::new())
            .map_err(|error| error.to_string())?;
        let client = self.0.of(Reach::of(url.host_str().unwrap_or_default()));
        let answer = client
            .request(request)
            .await
            .map_err(|error| whole(&error))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MAX_DOCUMENT);
        let body = body.collect().await.map_err(|error| error.to_string())?;
        Ok((status, body.to_bytes()))
    }
}

/// An address of keys that an issuer names.
fn may_hold_keys(url: &Url, issuer: &Url) -> bool {
    url.username().is_empty() && url.password().is_none() && may_be_asked(url, Some(issuer))
}

/// An error with its causes.
fn whole(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_at_a_public_place_or_at_the_issuers_own() {
        for (issuer, keys, usable) in [
            ("https://x.example", "https://x.example/keys", true),
            ("https://x.example", "https://keys.y.example/", true),
            ("https://x.example", "http://x.example/keys", false),
            ("https://x.example", "https://127.0.0.1/keys", false),
            ("https://x.example", "https://169.254.169.254/", false),
            ("https://x.example", "https://localhost/keys", false),
            ("https://x.example", "https://u:p@y.example/keys", false),
            ("https://x.example", "file:///etc/passwd", false),
            ("http://127.0.0.1:9", "http://127.0.0.1:9/keys", true),
            ("http://127.0.0.1:9", "http://127.0.0.1:10/keys", false),
        ] {
            let (issuer, keys) = (Url::parse(issuer).unwrap(), Url::parse(keys).unwrap());
            assert_eq!(may_hold_keys(&keys, &issuer), usable, "{issuer} {keys}");
        }
    }
}
