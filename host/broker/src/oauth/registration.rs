//! Which client we are to a server: one that the operator registered, one that a document of ours describes, or one
//! that registers itself (RFC 7591), in this order.

use http::Method;
use serde_json::json;
use url::Url;
use zeroize::Zeroizing;

use super::client::OAuthClient;
use super::error::OAuthError;
use super::http::{Endpoint, Request};
use super::metadata::Named;
use super::server::{AuthorizationServer, unsupported};
use super::tokens::refusal;
use crate::provider::{ClientAuth, Registration};

/// A client that may be used.
#[derive(Debug, Clone)]
pub(crate) struct Registered {
    pub(crate) client: OAuthClient,
    /// Whether it was registered just now, and so has to be kept.
    pub(crate) new: bool,
}

impl AuthorizationServer {
    /// The client to use: the operator's, else the document at `document`, else a new one that comes back to
    /// `redirects`.
    pub(crate) async fn client(
        &self,
        configured: Option<OAuthClient>,
        document: Option<&Url>,
        redirects: &[Url],
    ) -> Result<Registered, OAuthError> {
        let known = |client| Registered { client, new: false };
        if let Some(client) = configured {
            return Ok(known(client));
        }
        let takes_documents = self
            .metadata
            .as_ref()
            .is_some_and(|metadata| metadata.client_id_metadata_document_supported);
        if let (Some(document), true) = (document, takes_documents) {
            let client = OAuthClient::new(document.as_str(), None, ClientAuth::None);
            return Ok(known(client));
        }
        if self.oauth.registration == Registration::Dynamic
            && let Some(endpoint) =
                self.endpoint(self.oauth.registration_url.as_ref(), Named::Register)?
        {
            return self.register(&endpoint, redirects).await;
        }
        Err(unsupported(
            &self.provider,
            "client that was not registered: register one with the vendor, and name it in the configuration",
        ))
    }

    async fn register(
        &self,
        endpoint: &Endpoint,
        redirects: &[Url],
    ) -> Result<Registered, OAuthError> {
        let auth = self.registered_auth();
        let mut grant_types = vec!["authorization_code", "refresh_token"];
        let device = self.endpoint(self.oauth.device_url.as_ref(), Named::Device)?;
        if device.is_some() {
            grant_types.push("urn:ietf:params:oauth:grant-type:device_code");
        }
        // OpenID Connect Registration §2: a native client comes back to this machine, a web client to a public address.
        let native = redirects.iter().all(|redirect| redirect.scheme() == "http");
        let description = json!({
            "client_name": "Holster",
            "application_type": if native { "native" } else { "web" },
            "redirect_uris": redirects,
            "grant_types": grant_types,
            "response_types": ["code"],
            "token_endpoint_auth_method": method(auth),
        });
        let mut request = Request::new(Method::POST, endpoint);
        let body = Zeroizing::new(description.to_string().into_bytes());
        request.body("application/json", body);
        let answer = self.http.send(&request).await?.settled()?;
        let document = answer.document()?;
        if let Some(error) = refusal(&answer, &document, &self.oauth) {
            return Err(error);
        }
        let id = document
            .text("/client_id")
            .ok_or_else(|| answer.malformed("it holds no `client_id`"))?;
        let secret = document
            .text("/client_secret")
            .filter(|secret| !secret.is_empty());
        let auth = match document.text("/token_endpoint_auth_method") {
            None => auth,
            Some(name) => [ClientAuth::None, ClientAuth::Basic, ClientAuth::Post]
                .into_iter()
                .find(|auth| method(*auth) == name)
                .ok_or_else(|| {
                    answer.malformed(
                        "it asks for a way of client authentication that is unknown here",
                    )
                })?,
        };
        if auth != ClientAuth::None && secret.is_none() {
            return Err(answer.malformed("it holds no `client_secret`, and asks for one"));
        }
        let secret = secret.filter(|_| auth != ClientAuth::None);
        Ok(Registered {
            client: OAuthClient::new(id, secret.map(Into::into), auth),
            new: true,
        })
    }

    /// A public client, where the server takes one.
    fn registered_auth(&self) -> ClientAuth {
        let known = self
            .metadata
            .as_ref()
            .and_then(|metadata| metadata.token_endpoint_auth_methods_supported.as_ref());
        let takes = |auth| known.is_none_or(|known| known.iter().any(|name| name == method(auth)));
        [ClientAuth::None, ClientAuth::Basic, ClientAuth::Post]
            .into_iter()
            .find(|auth| takes(*auth))
            .unwrap_or(ClientAuth::None)
    }
}

/// The name of a way of client authentication (RFC 7591 §2).
fn method(auth: ClientAuth) -> &'static str {
    match auth {
        ClientAuth::None => "none",
        ClientAuth::Basic => "client_secret_basic",
        ClientAuth::Post => "client_secret_post",
    }
}
