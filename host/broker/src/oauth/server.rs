//! One authorisation server, as a provider's file and its own metadata describe it, and its token endpoint.

use std::fmt;
use std::sync::Arc;

use holster_types::{Scopes, SecretString};
use http::Method;

use super::address::{Variables, filled, filled_text};
use super::authorization::Authorization;
use super::client::OAuthClient;
use super::dpop::DpopKey;
use super::error::OAuthError;
use super::http::{Answer, Endpoint, HttpClient, Params, Request};
use super::metadata::{Metadata, MetadataCache, Named, unusable};
use super::tokens::Tokens;
use crate::provider::{
    BodyFormat, OAuth, Pkce, Provider, REDIRECT_URI, ResponsePointers, UrlTemplate,
};

/// The HTTP client of the process, and what servers said about themselves. A copy is the same.
#[derive(Clone)]
pub(crate) struct AuthorizationServers {
    pub(super) http: HttpClient,
    metadata: Arc<MetadataCache>,
}

impl fmt::Debug for AuthorizationServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthorizationServers")
    }
}

impl AuthorizationServers {
    pub(crate) fn new() -> Self {
        Self::with_http(HttpClient::new())
    }

    pub(super) fn with_http(http: HttpClient) -> Self {
        Self {
            http,
            metadata: Arc::default(),
        }
    }

    /// The server of a provider, for an account with these variables. Asks the issuer where the file says so.
    pub(crate) async fn open(
        &self,
        provider: &Provider,
        variables: &Variables,
    ) -> Result<AuthorizationServer, OAuthError> {
        let Some(oauth) = &provider.oauth else {
            return Err(unsupported(provider, "OAuth"));
        };
        let issuer = oauth
            .issuer
            .as_ref()
            .map(|template| filled_text(provider, template, variables))
            .transpose()?;
        let metadata = match &issuer {
            Some(issuer) if oauth.discovers() => Some(self.metadata.get(&self.http, issuer).await?),
            _ => None,
        };
        let server = AuthorizationServer {
            http: self.http.clone(),
            provider: provider.clone(),
            oauth: oauth.clone(),
            variables: variables.clone(),
            issuer,
            metadata,
        };
        server.check_algorithms()?;
        Ok(server)
    }
}

/// One authorisation server.
pub(crate) struct AuthorizationServer {
    pub(super) http: HttpClient,
    pub(super) provider: Provider,
    pub(super) oauth: OAuth,
    variables: Variables,
    pub(super) issuer: Option<String>,
    pub(super) metadata: Option<Arc<Metadata>>,
}

impl AuthorizationServer {
    /// Exchanges a code for tokens. The caller has checked the state, and called [`Authorization::check_callback`].
    pub(crate) async fn exchange(
        &self,
        client: &OAuthClient,
        authorization: &Authorization,
        code: &SecretString,
    ) -> Result<Tokens, OAuthError> {
        // A code goes to the server that the authorisation began at, also if the file has changed since.
        if let (Some(begun), Some(issuer)) = (&authorization.issuer, &self.issuer)
            && begun != issuer
        {
            return Err(OAuthError::Issuer {
                expected: begun.clone(),
                found: Some(issuer.clone()),
            });
        }
        let mut params = self.params("authorization_code")?;
        params.set_secret("code", code);
        params.set("redirect_uri", authorization.redirect.as_str());
        if let Some(verifier) = &authorization.verifier {
            params.set_secret("code_verifier", verifier);
        }
        let endpoint = self.token_endpoint()?;
        self.tokens(&endpoint, client, params, authorization.dpop_key.as_ref())
            .await
    }

    /// Asks for new tokens. Where the answer brings no refresh token, the old one is still the one to keep.
    pub(crate) async fn refresh(
        &self,
        client: &OAuthClient,
        refresh_token: &SecretString,
        dpop_key: Option<&DpopKey>,
    ) -> Result<Tokens, OAuthError> {
        let mut params = self.params("refresh_token")?;
        params.set_secret("refresh_token", refresh_token);
        if self.oauth.refresh_redirect
            && let Some(redirect) = self.variables.get(REDIRECT_URI)
        {
            params.set("redirect_uri", redirect);
        }
        let endpoint = match &self.oauth.refresh_url {
            Some(template) => self.filled(template)?,
            None => self.token_endpoint()?,
        };
        let pointers = self.oauth.refreshed();
        self.tokens_at(&pointers, &endpoint, client, params, dpop_key)
            .await
    }

    /// Asks for tokens of the client's own, without a person.
    pub(crate) async fn client_credentials(
        &self,
        client: &OAuthClient,
        scopes: &Scopes,
        dpop_key: Option<&DpopKey>,
    ) -> Result<Tokens, OAuthError> {
        let mut params = self.params("client_credentials")?;
        if !scopes.is_empty() {
            params.set(&self.oauth.scope_param, &self.joined(scopes));
        }
        let endpoint = self.token_endpoint()?;
        self.tokens(&endpoint, client, params, dpop_key).await
    }

    /// The parameters that every request to the token endpoint has.
    pub(super) fn params(&self, grant_type: &str) -> Result<Params, OAuthError> {
        let mut params = Params::default();
        for (name, value) in &self.oauth.token_params {
            params.set(name, value);
        }
        params.set("grant_type", grant_type);
        self.set_resource(&mut params)?;
        Ok(params)
    }

    /// RFC 8707: which API the tokens are for.
    pub(super) fn set_resource(&self, params: &mut Params) -> Result<(), OAuthError> {
        if let Some(resource) = &self.oauth.resource {
            let resource = filled_text(&self.provider, resource, &self.variables)?;
            params.set("resource", &resource);
        }
        Ok(())
    }

    /// A request to the token endpoint, and what it grants.
    pub(super) async fn tokens(
        &self,
        endpoint: &Endpoint,
        client: &OAuthClient,
        params: Params,
        dpop_key: Option<&DpopKey>,
    ) -> Result<Tokens, OAuthError> {
        let pointers = &self.oauth.response;
        self.tokens_at(pointers, endpoint, client, params, dpop_key)
            .await
    }

    /// The same where the answer has another form.
    async fn tokens_at(
        &self,
        pointers: &ResponsePointers,
        endpoint: &Endpoint,
        client: &OAuthClient,
        params: Params,
        dpop_key: Option<&DpopKey>,
    ) -> Result<Tokens, OAuthError> {
        let request = self.signed(endpoint, client, params, self.oauth.body)?;
        let answer = send_proven(&self.http, request, dpop_key, None).await?;
        Tokens::read(answer, &self.oauth, pointers, dpop_key.is_some())
    }

    /// A POST that shows who the client is.
    pub(super) fn signed(
        &self,
        endpoint: &Endpoint,
        client: &OAuthClient,
        params: Params,
        body: BodyFormat,
    ) -> Result<Request, OAuthError> {
        let mut request = Request::new(Method::POST, endpoint);
        for (name, value) in &self.oauth.token_headers {
            request.header(name.as_str(), value)?;
        }
        client.sign(&mut request, params, body)?;
        Ok(request)
    }

    /// Scopes as this server writes them.
    pub(super) fn joined(&self, scopes: &Scopes) -> String {
        let scopes: Vec<_> = scopes.iter().collect();
        scopes.join(&self.oauth.scope_separator)
    }

    /// What a person is asked for: what tools need, and what the file asks for in any case.
    pub(super) fn asked(&self, wanted: &Scopes) -> Scopes {
        self.oauth
            .default_scopes
            .iter()
            .collect::<Scopes>()
            .union(wanted)
    }

    pub(super) fn token_endpoint(&self) -> Result<Endpoint, OAuthError> {
        self.endpoint(self.oauth.token_url.as_ref(), Named::Token)?
            .ok_or_else(|| unsupported(&self.provider, "token endpoint"))
    }

    /// An endpoint: what the file says goes before what the metadata say.
    pub(super) fn endpoint(
        &self,
        template: Option<&UrlTemplate>,
        named: Named,
    ) -> Result<Option<Endpoint>, OAuthError> {
        match (template, &self.metadata) {
            (Some(template), _) => self.filled(template).map(Some),
            (None, Some(metadata)) => metadata.endpoint(named),
            (None, None) => Ok(None),
        }
    }

    fn filled(&self, template: &UrlTemplate) -> Result<Endpoint, OAuthError> {
        filled(&self.provider, template, &self.variables)
    }

    /// The same with the client in it.
    pub(super) fn filled_for(
        &self,
        template: &UrlTemplate,
        client: &OAuthClient,
    ) -> Result<Endpoint, OAuthError> {
        let mut variables = self.variables.clone();
        variables.insert(crate::provider::CLIENT_ID.to_owned(), client.id.clone());
        filled(&self.provider, template, &variables)
    }

    /// Whether the callback has to name the issuer.
    pub(super) fn expects_issuer(&self) -> bool {
        let advertised =
            |metadata: &Arc<Metadata>| metadata.authorization_response_iss_parameter_supported;
        self.oauth.iss_expected || self.metadata.as_ref().is_some_and(advertised)
    }

    /// Refuses a server that knows other algorithms than ours before anybody is sent there.
    fn check_algorithms(&self) -> Result<(), OAuthError> {
        let Some(metadata) = &self.metadata else {
            return Ok(());
        };
        let lacks = |known: &Option<Vec<String>>, name: &str| {
            known
                .as_ref()
                .is_some_and(|known| !known.iter().any(|one| one == name))
        };
        if self.oauth.pkce == Pkce::S256
            && lacks(&metadata.code_challenge_methods_supported, "S256")
        {
            return Err(unusable(&metadata.issuer, "it knows no PKCE with S256"));
        }
        if self.oauth.dpop && lacks(&metadata.dpop_signing_alg_values_supported, "ES256") {
            return Err(unusable(&metadata.issuer, "it knows no DPoP with ES256"));
        }
        Ok(())
    }
}

/// Sends a request with a proof of the key, once more if the server wants its nonce in it (RFC 9449 §8).
pub(super) async fn send_proven(
    http: &HttpClient,
    mut request: Request,
    key: Option<&DpopKey>,
    access_token: Option<&SecretString>,
) -> Result<Answer, OAuthError> {
    let Some(key) = key else {
        return http.send(&request).await;
    };
    let proof = |request: &Request, nonce: Option<&str>| {
        let url = request.endpoint().url();
        key.proof(request.method().as_str(), url, access_token, nonce)
    };
    let first = proof(&request, None);
    request.header("DPoP", &first)?;
    let answer = http.send(&request).await?;
    let nonce = answer.header("dpop-nonce").map(str::to_owned);
    match nonce {
        // RFC 9449 §8 and §9: only then, since a code or a refresh token may be used once.
        Some(nonce) if wants_nonce(&answer) => {
            let second = proof(&request, Some(&nonce));
            request.header("DPoP", &second)?;
            http.send(&request).await
        }
        _ => Ok(answer),
    }
}

fn wants_nonce(answer: &Answer) -> bool {
    const ERROR: &str = "use_dpop_nonce";
    let in_header = answer
        .header("www-authenticate")
        .is_some_and(|text| text.contains(ERROR));
    let in_body = || {
        answer
            .document()
            .is_ok_and(|document| document.text("/error") == Some(ERROR))
    };
    answer.status.is_client_error() && (in_header || in_body())
}

pub(super) fn unsupported(provider: &Provider, what: &'static str) -> OAuthError {
    OAuthError::Unsupported {
        provider: provider.id.to_string(),
        what,
    }
}
