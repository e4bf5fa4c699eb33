//! A provider, as its file describes it.
//!
//! Everything that is particular to a service stands in one TOML file of this form: where to authorise, how a
//! request carries the secret, which hosts may see it. Code that treats a provider by its name is a mistake.
//! Values are checked as they are read; what two fields must agree on, [`Provider::check`] looks at.

use std::collections::BTreeMap;
use std::fmt;

use holster_types::{CredentialHeader, HostPattern, ProviderId, travels_safely};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::{BrokerError, CredentialKind};

const AUTHORIZATION: &str = "Authorization";

/// What `revoke_url` may name besides the account's variables.
pub(crate) const CLIENT_ID: &str = "client_id";

/// Where the browser came back to: kept among an account's variables where `refresh_redirect` asks for it.
pub(crate) const REDIRECT_URI: &str = "redirect_uri";

/// A service that issues credentials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "A provider of credentials")]
pub struct Provider {
    /// The name by which tools require it; also the name of the file.
    pub id: ProviderId,
    /// The name that people know.
    pub title: String,
    /// The ways in, the best first.
    #[schemars(length(min = 1))]
    pub kinds: Vec<CredentialKind>,
    /// Where the vendor describes what stands in this file.
    pub doc_url: DocUrl,
    /// When the file was last compared with what the vendor describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_on: Option<Date>,
    /// What a person enters, and where they find it: one sentence, where `doc_url` does not make it plain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The only hosts that the secret may be sent to. Empty where the operator has to name them.
    #[serde(default)]
    pub hosts: Vec<HostPattern>,
    /// The variables in which tools that read their environment expect the secret: the first carries what is sent,
    /// the second, of a key pair, what signs.
    #[serde(default)]
    pub environment: Vec<VariableName>,
    /// How a request carries the secret.
    #[serde(default)]
    pub inject: Inject,
    /// How a request carries an API key, where that is not as it carries an access token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inject_key: Option<Inject>,
    /// What differs from one account to the next, such as a domain, by the name that stands in braces in addresses.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, Variable>,
    /// How a person, or a client, authorises by OAuth 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oauth: Option<OAuth>,
    /// How the account's label is found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
}

/// How a request carries the secret. By default as `Authorization: Bearer SECRET`. HTTP Basic is always in
/// `Authorization: Basic`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Inject {
    /// The header. Default `Authorization`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<HeaderName>,
    /// What stands before the secret, with a space between. Default `Bearer` in `Authorization`, else nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<String>,
    /// The parameter of the query, for a provider that takes the secret nowhere else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// The header in which the second part of a key pair travels along with the first, for a provider that wants to
    /// see both. Left out where the second part signs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_header: Option<HeaderName>,
}

impl Inject {
    /// The header of a request. Where the provider takes the secret in the query alone, this is a bearer header.
    pub fn header(&self) -> CredentialHeader {
        let name = self
            .header
            .as_ref()
            .map_or(AUTHORIZATION, HeaderName::as_str);
        let usual = if name.eq_ignore_ascii_case(AUTHORIZATION) {
            "Bearer"
        } else {
            ""
        };
        CredentialHeader {
            name: name.to_owned(),
            scheme: self.scheme.as_deref().unwrap_or(usual).to_owned(),
        }
    }
}

impl Inject {
    fn check(&self) -> Result<(), &'static str> {
        if self.query.is_some() && (self.header.is_some() || self.scheme.is_some()) {
            return Err("`query` stands alone: a secret that can travel in a header does");
        }
        if self.query.is_some() && self.secret_header.is_some() {
            return Err("`secret_header` goes with a header, not with `query`");
        }
        if self.query.as_ref().is_some_and(String::is_empty) {
            return Err("`query` is the name of a parameter");
        }
        let printable = |scheme: &String| scheme.bytes().all(|byte| matches!(byte, 0x20..=0x7e));
        if !self.scheme.as_ref().is_none_or(printable) {
            return Err("`scheme` is printable ASCII");
        }
        Ok(())
    }
}

/// What differs from one account to the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// What it is, for the person who is asked for it.
    pub title: String,
    /// What it may look like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<String>,
    /// The only hosts that an address may have with it. Needed where it is the end of a host to which a client's
    /// secret goes, since whoever sets it chooses who gets that secret.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<HostPattern>,
    /// All that it may be. Left out where it may be anything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// What it is where nobody says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
}

impl Variable {
    /// Whether it may be this; the error says what else it may be.
    pub(crate) fn admit(&self, value: &str) -> Result<(), String> {
        if self.values.is_empty() || self.values.iter().any(|known| known == value) {
            return Ok(());
        }
        Err(format!("it is one of `{}`", self.values.join("`, `")))
    }

    fn check(&self) -> Result<(), &'static str> {
        let listed = |value: &Option<String>| value.iter().all(|value| self.admit(value).is_ok());
        if !listed(&self.default) || !listed(&self.example) {
            return Err("its `default` and its `example` are among its `values`");
        }
        Ok(())
    }
}

/// An OAuth 2 authorisation server, with its quirks. What is left out is as the RFCs have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a quirk that a vendor has or not"
)]
pub struct OAuth {
    /// Where the person consents. Left out where only client credentials are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorize_url: Option<UrlTemplate>,
    /// Where codes are exchanged. Left out where `issuer` is to be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_url: Option<UrlTemplate>,
    /// Where tokens are refreshed, if not at `token_url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_url: Option<UrlTemplate>,
    /// Where tokens are revoked (RFC 7009, or the vendor's own). `{client_id}` in it stands for the client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoke_url: Option<UrlTemplate>,
    /// Where the device flow begins (RFC 8628).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_url: Option<UrlTemplate>,
    /// Where the parameters of an authorisation are left beforehand (RFC 9126). Used wherever it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub par_url: Option<UrlTemplate>,
    /// Where clients register (RFC 7591).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration_url: Option<UrlTemplate>,
    /// Whether a client that the configuration does not name may register itself.
    #[serde(default)]
    pub registration: Registration,
    /// Whether `issuer` is asked for what this table leaves out (RFC 8414, OpenID Connect Discovery). It always is
    /// where `token_url` is left out.
    #[serde(default)]
    pub discover: bool,
    /// The issuer, compared byte for byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<UrlTemplate>,
    /// Whether the answer must name its issuer (RFC 9207).
    #[serde(default)]
    pub iss_expected: bool,
    /// Proof of possession of the code.
    #[serde(default)]
    pub pkce: Pkce,
    /// How the client shows who it is.
    #[serde(default)]
    pub client_auth: ClientAuth,
    /// How a request to the token endpoint is written.
    #[serde(default)]
    pub body: BodyFormat,
    /// The parameter that carries scopes. Default `scope`.
    #[serde(default = "scope_param")]
    pub scope_param: String,
    /// The parameter that carries scopes when the device flow begins, if not `scope_param`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_scope_param: Option<String>,
    /// What stands between two scopes. Default a space.
    #[serde(default = "scope_separator")]
    pub scope_separator: String,
    /// Scopes that are asked for besides those that tools need.
    #[serde(default)]
    pub default_scopes: Vec<String>,
    /// Further parameters of `authorize_url`.
    #[serde(default)]
    pub authorize_params: BTreeMap<String, String>,
    /// Further parameters of requests to the token endpoint.
    #[serde(default)]
    pub token_params: BTreeMap<String, String>,
    /// Further headers of requests to the token endpoint.
    #[serde(default)]
    pub token_headers: BTreeMap<HeaderName, String>,
    /// Whether tokens are bound to a key of ours (RFC 9449).
    #[serde(default)]
    pub dpop: bool,
    /// The API that the tokens are for (RFC 8707).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<UrlTemplate>,
    /// How a request to `revoke_url` is written.
    #[serde(default)]
    pub revoke: Revocation,
    /// Where things stand in the token endpoint's answer.
    #[serde(default)]
    pub response: ResponsePointers,
    /// Where things stand in the answer to a refresh, if not as in `response`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_response: Option<RefreshPointers>,
    /// Whether a refresh repeats the `redirect_uri` of the consent.
    #[serde(default)]
    pub refresh_redirect: bool,
    /// After how many seconds an access token is renewed, where the answer does not say how long it lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assumed_lifetime_s: Option<u64>,
    /// What becomes of a refresh token when it is used.
    #[serde(default)]
    pub rotation: Rotation,
    /// For how many seconds a used refresh token may be used once more, as the vendor documents it. Default none.
    #[serde(default)]
    pub reuse_grace_s: u64,
    /// After how many seconds without use a refresh token ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_lifetime_s: Option<u64>,
    /// Where the provider may send the browser back to.
    #[serde(default)]
    pub redirect: Redirect,
}

fn scope_param() -> String {
    "scope".to_owned()
}

fn scope_separator() -> String {
    " ".to_owned()
}

/// Proof of possession of the code (RFC 7636).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pkce {
    /// With SHA-256. Harmless where the provider does not know it.
    #[default]
    S256,
    /// Only for a provider that refuses its parameters.
    Refused,
}

/// How the client shows who it is at the token endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// By HTTP Basic.
    #[default]
    Basic,
    /// By parameters of the body.
    Post,
    /// Not at all: a public client.
    None,
}

/// How a request to the token endpoint is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BodyFormat {
    /// `application/x-www-form-urlencoded`.
    #[default]
    Form,
    /// `application/json`.
    Json,
}

/// Whether a client may register itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Registration {
    /// The operator registers it with the vendor.
    #[default]
    Manual,
    /// By a request of its own (RFC 7591).
    Dynamic,
}

/// How a request that revokes a token is written. What is left out is as RFC 7009 has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Revocation {
    /// Default `post`.
    pub method: RevokeMethod,
    /// How it shows who may revoke. Default as at the token endpoint.
    pub auth: RevokeAuth,
    /// What it carries. Default a form.
    pub body: RevokeBody,
    /// The parameter that carries the token. Default `token`.
    pub param: String,
    /// Which token is revoked. Default the refresh token where there is one, with which the access token ends.
    pub token: RevokedToken,
    /// What the provider says, where its errors stand, of a token that has ended already.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ended: Vec<String>,
}

impl Default for Revocation {
    fn default() -> Self {
        Self {
            method: RevokeMethod::default(),
            auth: RevokeAuth::default(),
            body: RevokeBody::default(),
            param: "token".to_owned(),
            token: RevokedToken::default(),
            ended: Vec::new(),
        }
    }
}

/// The method of a request that revokes a token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RevokeMethod {
    /// POST.
    #[default]
    Post,
    /// DELETE.
    Delete,
}

/// How a request that revokes a token shows who may.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RevokeAuth {
    /// As the client does at the token endpoint.
    #[default]
    Client,
    /// The client, by HTTP Basic.
    Basic,
    /// The client, by parameters of the body.
    Post,
    /// The id of the client alone, as a parameter of the body.
    ClientId,
    /// The access token itself, as a bearer token.
    Bearer,
    /// Not at all: who has the token may revoke it.
    None,
}

/// What a request that revokes a token carries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RevokeBody {
    /// `application/x-www-form-urlencoded`.
    #[default]
    Form,
    /// `application/json`.
    Json,
    /// Nothing.
    Empty,
}

/// Which token is revoked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RevokedToken {
    /// The refresh token; the access token where there is no other.
    #[default]
    Refresh,
    /// The access token, where the other ends with it or cannot be revoked.
    Access,
}

/// What becomes of a refresh token when it is used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rotation {
    /// It stays valid, and the answer may bring another.
    #[default]
    Stays,
    /// It ends, and the answer brings the next one.
    Rotates,
    /// There is none: access tokens do not expire, or the person consents again.
    NoRefresh,
}

/// Where the provider may send the browser back to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Redirect {
    /// `http://127.0.0.1` with any port (RFC 8252 §7.3).
    #[default]
    LoopbackIp,
    /// `http://localhost` with any port, and not the address.
    Localhost,
    /// The registered port of the loopback address and no other.
    FixedPort,
    /// The registered port of `localhost` and no other.
    LocalhostFixedPort,
    /// A public address alone.
    HttpsOnly,
}

/// Where things stand in the token endpoint's answer, as JSON pointers (RFC 6901).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ResponsePointers {
    /// Default `/access_token`.
    pub access_token: JsonPointer,
    /// Default `/refresh_token`.
    pub refresh_token: JsonPointer,
    /// Seconds until it expires. Default `/expires_in`.
    pub expires_in: JsonPointer,
    /// The scopes that were granted. Default `/scope`.
    pub scope: JsonPointer,
    /// What is there only if it failed, also with HTTP 200. Default `/error`.
    pub error: JsonPointer,
    /// What the provider says there for a refresh token that has ended, besides `invalid_grant`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ended: Vec<String>,
    /// What else is kept of the account, by the name of the variable that it becomes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, JsonPointer>,
}

impl Default for ResponsePointers {
    fn default() -> Self {
        let pointer = |name: &str| JsonPointer(format!("/{name}"));
        Self {
            access_token: pointer("access_token"),
            refresh_token: pointer("refresh_token"),
            expires_in: pointer("expires_in"),
            scope: pointer("scope"),
            error: pointer("error"),
            ended: Vec::new(),
            variables: BTreeMap::new(),
        }
    }
}

/// Where things stand in the answer to a refresh, as JSON pointers. What is left out stands where `response` has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RefreshPointers {
    /// The access token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_token: Option<JsonPointer>,
    /// The refresh token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<JsonPointer>,
    /// Seconds until it expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<JsonPointer>,
    /// The scopes that are still granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<JsonPointer>,
}

/// How the account's label is found: a request with the credential, and a place in its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Where to ask.
    pub url: UrlTemplate,
    /// Where the label stands in the answer.
    pub pointer: JsonPointer,
    /// The kinds of credentials that may ask. Default all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<CredentialKind>,
    /// How this request carries a token or a key, where that is not as others carry it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inject: Option<Inject>,
    /// Further headers of the request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<HeaderName, String>,
    /// The JSON body of a POST. Without it the request is a GET.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

impl Provider {
    /// The JSON Schema of the file, for editors.
    pub fn schema() -> serde_json::Value {
        schemars::schema_for!(Provider).into()
    }

    /// How a request carries a credential of this kind. `None` for a user name and a password: whatever a provider's keys
    /// travel in, those travel as RFC 7617 has it.
    pub(crate) fn inject(&self, kind: CredentialKind) -> Option<&Inject> {
        match (kind, &self.inject_key) {
            (CredentialKind::Basic, _) => None,
            (CredentialKind::ApiKey, Some(inject)) => Some(inject),
            _ => Some(&self.inject),
        }
    }

    /// The header in which a credential of this kind travels.
    pub(crate) fn header(&self, kind: CredentialKind) -> CredentialHeader {
        self.inject(kind).map_or_else(
            || CredentialHeader {
                name: AUTHORIZATION.to_owned(),
                scheme: "Basic".to_owned(),
            },
            Inject::header,
        )
    }

    /// The parameter of the query in which a credential of this kind travels instead.
    pub(crate) fn query(&self, kind: CredentialKind) -> Option<&str> {
        self.inject(kind)?.query.as_deref()
    }

    /// The header in which the second part of a credential of this kind travels along.
    pub(crate) fn secret_header(&self, kind: CredentialKind) -> Option<&str> {
        let inject = self
            .inject(kind)
            .filter(|_| kind == CredentialKind::KeyPair)?;
        inject.secret_header.as_ref().map(HeaderName::as_str)
    }

    /// Whether a credential of this kind opens the provider. A token opens it wherever OAuth does: it may be an
    /// access token that somebody obtained elsewhere.
    pub(crate) fn admit(&self, kind: CredentialKind) -> Result<(), BrokerError> {
        let admitted =
            self.kinds.contains(&kind) || (kind == CredentialKind::ApiKey && self.oauth.is_some());
        if admitted {
            return Ok(());
        }
        Err(BrokerError::KindNotAccepted {
            provider: self.id.clone(),
            kind,
            accepted: self.kinds.clone(),
        })
    }

    /// What the fields must agree on. The error is a key of the file, and what is wrong with it.
    pub(crate) fn check(&self) -> Result<(), (&'static str, String)> {
        let by_oauth = [CredentialKind::Oauth2, CredentialKind::ClientCredentials]
            .iter()
            .any(|kind| self.kinds.contains(kind));
        let mut seen = self.kinds.clone();
        seen.sort_unstable();
        seen.dedup();
        if self.kinds.is_empty() || seen.len() != self.kinds.len() {
            return Err((
                "kinds",
                "name each way in once, and at least one".to_owned(),
            ));
        }
        match &self.oauth {
            None if by_oauth => {
                return Err((
                    "kinds",
                    "`oauth2` and `client_credentials` need a table `[oauth]`".to_owned(),
                ));
            }
            Some(_) if !by_oauth => {
                return Err((
                    "oauth",
                    "it needs `oauth2` or `client_credentials` among `kinds`".to_owned(),
                ));
            }
            Some(oauth) => oauth
                .check(self.kinds.contains(&CredentialKind::Oauth2))
                .map_err(|message| ("oauth", message.to_owned()))?,
            None => {}
        }
        self.inject
            .check()
            .map_err(|message| ("inject", message.to_owned()))?;
        if self.inject.secret_header.is_some() && !self.kinds.contains(&CredentialKind::KeyPair) {
            return Err((
                "inject",
                "`secret_header` needs `key_pair` among `kinds`".to_owned(),
            ));
        }
        if let Some(inject) = &self.inject_key {
            inject
                .check()
                .map_err(|message| ("inject_key", message.to_owned()))?;
        }
        if let Some(inject) = self
            .identity
            .iter()
            .find_map(|identity| identity.inject.as_ref())
        {
            inject
                .check()
                .map_err(|message| ("identity", message.to_owned()))?;
        }
        for (name, variable) in &self.variables {
            if [CLIENT_ID, REDIRECT_URI].contains(&name.as_str()) {
                return Err(("variables", format!("`{name}` has a meaning of its own")));
            }
            variable
                .check()
                .map_err(|message| ("variables", format!("`{name}`: {message}")))?;
        }
        for url in self.urls() {
            for name in url.variables() {
                if name == CLIENT_ID && self.is_revoke_url(url) {
                    continue;
                }
                let Some(variable) = self.variables.get(name) else {
                    return Err((
                        "variables",
                        format!("`{{{name}}}` in {url} is not described here"),
                    ));
                };
                let anything = variable.hosts.is_empty() && variable.values.is_empty();
                if self.oauth.is_some() && anything && url.ends_host_with(name) {
                    return Err((
                        "variables",
                        format!(
                            "`{{{name}}}` ends the host of {url}, so `hosts` or `values` has to say what it may name"
                        ),
                    ));
                }
            }
        }
        Ok(())
    }

    /// Whether an address has that variable in it.
    pub(crate) fn names(&self, variable: &str) -> bool {
        self.urls()
            .any(|url| url.variables().any(|name| name == variable))
    }

    fn is_revoke_url(&self, url: &UrlTemplate) -> bool {
        self.oauth
            .as_ref()
            .is_some_and(|oauth| oauth.revoke_url.as_ref() == Some(url))
    }

    fn urls(&self) -> impl Iterator<Item = &UrlTemplate> {
        let oauth = self.oauth.iter().flat_map(|oauth| {
            let OAuth {
                authorize_url,
                token_url,
                refresh_url,
                revoke_url,
                device_url,
                par_url,
                registration_url,
                issuer,
                resource,
                ..
            } = oauth;
            [
                authorize_url,
                token_url,
                refresh_url,
                revoke_url,
                device_url,
                par_url,
                registration_url,
                issuer,
                resource,
            ]
            .into_iter()
            .flatten()
        });
        oauth.chain(self.identity.iter().map(|identity| &identity.url))
    }
}

impl OAuth {
    /// Whether the issuer is asked for what the table leaves out.
    pub(crate) fn discovers(&self) -> bool {
        self.discover || self.token_url.is_none()
    }

    /// Where things stand in the answer to a refresh.
    pub(crate) fn refreshed(&self) -> ResponsePointers {
        let mut pointers = self.response.clone();
        if let Some(own) = self.refresh_response.clone() {
            for (pointer, own) in [
                (&mut pointers.access_token, own.access_token),
                (&mut pointers.refresh_token, own.refresh_token),
                (&mut pointers.expires_in, own.expires_in),
                (&mut pointers.scope, own.scope),
            ] {
                if let Some(own) = own {
                    *pointer = own;
                }
            }
        }
        pointers
    }

    fn check(&self, by_person: bool) -> Result<(), &'static str> {
        if self.discovers() && self.issuer.is_none() {
            return Err("give a `token_url`, or an `issuer` that is asked for it");
        }
        if by_person && !self.discovers() && self.authorize_url.is_none() {
            return Err("`oauth2` needs an `authorize_url`");
        }
        if self.iss_expected && self.issuer.is_none() {
            return Err("`iss_expected` needs an `issuer` to compare with");
        }
        if self.registration == Registration::Dynamic
            && !self.discovers()
            && self.registration_url.is_none()
        {
            return Err(
                "`registration = \"dynamic\"` needs a `registration_url`, or `discover = true`",
            );
        }
        if self.assumed_lifetime_s == Some(0) {
            return Err("`assumed_lifetime_s` is at least 1");
        }
        if self.revoke != Revocation::default() && !self.discovers() && self.revoke_url.is_none() {
            return Err("`revoke` needs a `revoke_url`");
        }
        if self.revoke.body == RevokeBody::Empty && self.revoke.auth != RevokeAuth::Bearer {
            return Err(
                "`revoke.body = \"empty\"` needs `revoke.auth = \"bearer\"`: no token is sent else",
            );
        }
        let named = |name: &String| {
            let reserved = [CLIENT_ID, REDIRECT_URI].contains(&name.as_str());
            !name.is_empty() && !reserved && name.bytes().all(is_variable_byte)
        };
        if !self.response.variables.keys().all(named) {
            return Err("a variable under `response.variables` has a name of `a-z _`");
        }
        Ok(())
    }
}

/// A text that does not have the form that its place in the file asks for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not {what}", .text.escape_debug())]
pub struct InvalidText {
    what: &'static str,
    text: String,
}

macro_rules! texts {
    ($($(#[$doc:meta])* $type:ident, $what:literal, $pattern:literal, $valid:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            /// The text as it stands in the file.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $type {
            type Error = InvalidText;
            fn try_from(text: String) -> Result<Self, InvalidText> {
                let valid: fn(&str) -> bool = $valid;
                if valid(&text) { Ok(Self(text)) } else { Err(InvalidText { what: $what, text }) }
            }
        }

        impl From<$type> for String {
            fn from(text: $type) -> String {
                text.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern, "description": $what })
            }
        }
    )*};
}

texts! {
    /// An address, in which names in braces stand for variables of the account.
    UrlTemplate,
    "an address `https://…` (variables in braces, `http` only to a loopback address)",
    r"^https?://[^\s]+$", url_template;

    /// The address of a page for people.
    DocUrl, "an address `https://…`", r"^https://[^\s]+$", |text| {
        text.starts_with("https://") && !text.contains(char::is_whitespace) && url::Url::parse(text).is_ok()
    };

    /// A place in a JSON document (RFC 6901). The empty pointer, the whole document, is none here.
    JsonPointer, "a JSON pointer such as `/user/name`", "^(/[^/]*)+$", |text| text.starts_with('/');

    /// The name of a header field.
    HeaderName, "the name of a header", "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$", |text| {
        !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    };

    /// The name of an environment variable.
    VariableName, "the name of a variable: `A-Z 0-9 _`, no digit first", "^[A-Z_][A-Z0-9_]*$", |text| {
        !text.is_empty()
            && !text.starts_with(|first: char| first.is_ascii_digit())
            && text.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_'))
    };

    /// A day.
    Date, "a date `YYYY-MM-DD` in quotes", "^[0-9]{4}-[0-9]{2}-[0-9]{2}$", |text| {
        let digits = |range: std::ops::Range<usize>| {
            let part = text.get(range)?;
            part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok())?
        };
        let parts: (Option<u16>, Option<u16>, Option<u16>) = (digits(0..4), digits(5..7), digits(8..10));
        text.len() == 10
            && text.as_bytes()[4] == b'-'
            && text.as_bytes()[7] == b'-'
            && matches!(parts, (Some(_), Some(1..=12), Some(1..=31)))
    };
}

impl UrlTemplate {
    /// The names in braces.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.0
            .split('{')
            .skip(1)
            .filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
    }

    /// The scheme with its slashes, the host with its port, and the rest.
    pub(crate) fn split(&self) -> (&str, &str, &str) {
        let host = self.0.find("://").map_or(0, |at| at + 3);
        let rest = self.0[host..]
            .find(['/', '?'])
            .map_or(self.0.len(), |at| host + at);
        (&self.0[..host], &self.0[host..rest], &self.0[rest..])
    }

    /// Whether the variable decides who owns the host: it does, unless a domain of the vendor's own follows it.
    fn ends_host_with(&self, name: &str) -> bool {
        let (_, host, _) = self.split();
        let last = host
            .rsplit_once('{')
            .and_then(|(_, end)| end.split_once('}'));
        last.is_some_and(|(last, rest)| {
            let domain = rest
                .strip_prefix('.')
                .is_some_and(|rest| rest.contains('.'));
            last == name && !domain
        })
    }
}

fn is_variable_byte(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'_')
}

fn url_template(text: &str) -> bool {
    let mut filled = String::with_capacity(text.len());
    let mut pieces = text.split('{');
    filled.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        match piece.split_once('}') {
            Some((name, rest)) if !name.is_empty() && name.bytes().all(is_variable_byte) => {
                filled.push('x');
                filled.push_str(rest);
            }
            _ => return false,
        }
    }
    if filled.contains('}') || filled.contains(char::is_whitespace) {
        return false;
    }
    let Ok(url) = url::Url::parse(&filled) else {
        return false;
    };
    let open = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    open && travels_safely(&url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider(rest: &str) -> Provider {
        let text = format!(
            "id = 'x'\ntitle = 'X'\nkinds = ['api_key', 'basic', 'key_pair']\ndoc_url = 'https://x.example/'\n{rest}"
        );
        toml::from_str(&text).unwrap()
    }

    #[test]
    fn a_secret_travels_in_the_header_of_its_kind() {
        use CredentialKind::{ApiKey, Basic, KeyPair, Oauth2};
        for (rest, kind, header) in [
            ("", ApiKey, "Authorization: Bearer s"),
            ("inject = { scheme = '' }", ApiKey, "Authorization: s"),
            (
                "inject = { scheme = 'Bot' }",
                ApiKey,
                "Authorization: Bot s",
            ),
            ("inject = { header = 'X-Api-Key' }", ApiKey, "X-Api-Key: s"),
            ("inject = { header = 'X-Api-Key' }", KeyPair, "X-Api-Key: s"),
            (
                "inject = { header = 'X-Api-Key' }",
                Basic,
                "Authorization: Basic s",
            ),
            ("inject_key = { scheme = '' }", ApiKey, "Authorization: s"),
            (
                "inject_key = { scheme = '' }",
                Oauth2,
                "Authorization: Bearer s",
            ),
            (
                "inject = { query = 'key' }",
                ApiKey,
                "Authorization: Bearer s",
            ),
        ] {
            let found = provider(rest).header(kind);
            assert_eq!(
                format!("{}: {}", found.name, found.value("s")),
                header,
                "{rest}"
            );
        }
    }

    #[test]
    fn an_address_is_https_or_on_this_machine_and_names_its_variables() {
        for (text, valid) in [
            ("https://x.example/a?b=c", true),
            ("https://{domain}/a", true),
            ("https://{domain}.x.example/{path}", true),
            ("http://127.0.0.1:8080/", true),
            ("http://[::1]/", true),
            ("http://localhost/", true),
            ("http://x.example/", false),
            ("ftp://x.example/", false),
            ("https://user@x.example/", false),
            ("https://x.example/#a", false),
            ("https://x.example/ a", false),
            ("https://{}/", false),
            ("https://{a/", false),
            ("https://a}/", false),
            ("x.example", false),
        ] {
            assert_eq!(
                UrlTemplate::try_from(text.to_owned()).is_ok(),
                valid,
                "{text}"
            );
        }
        let url = UrlTemplate::try_from("https://{a}.x/{b}".to_owned()).unwrap();
        assert_eq!(url.variables().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn a_date_is_a_day_of_the_calendar() {
        for (text, valid) in [
            ("2026-11-24", true),
            ("2026-13-01", false),
            ("2026-00-01", false),
            ("2026-01-32", false),
            ("2026-1-1", false),
            ("26-11-24", false),
            ("2026-11-24T", false),
            ("2026-11-2é", false),
        ] {
            assert_eq!(Date::try_from(text.to_owned()).is_ok(), valid, "{text}");
        }
    }

    #[test]
    fn a_token_opens_what_oauth_opens_and_a_password_only_what_takes_one() {
        let text = "id = 'x'\ntitle = 'X'\nkinds = ['oauth2']\ndoc_url = 'https://x.example/'\n\
                    [oauth]\nauthorize_url = 'https://x.example/a'\ntoken_url = 'https://x.example/t'";
        let provider: Provider = toml::from_str(text).unwrap();
        assert!(provider.admit(CredentialKind::ApiKey).is_ok());
        let error = provider
            .admit(CredentialKind::Basic)
            .unwrap_err()
            .to_string();
        assert_eq!(error, "`x` takes no basic credential; it takes oauth2");
    }

    #[test]
    fn the_schema_describes_every_field_and_allows_no_other() {
        let schema = Provider::schema();
        assert_eq!(schema["additionalProperties"], false);
        for (name, property) in schema["properties"].as_object().unwrap() {
            let described = property["description"].is_string() || property["$ref"].is_string();
            assert!(described, "{name} has no description");
        }
        assert_eq!(
            schema["required"],
            serde_json::json!(["id", "title", "kinds", "doc_url"])
        );
    }
}
