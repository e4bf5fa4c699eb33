//! A provider, as its file describes it.
//!
//! Everything that is particular to a service stands in one TOML file of this form: where to authorise, how a
//! request carries the secret, which hosts may see it. Code that treats a provider by its name is a mistake.
//! Values are checked as they are read; what two fields must agree on, [`Provider::check`] looks at.

use std::collections::BTreeMap;
use std::fmt;

use holster_types::{CredentialHeader, HostPattern, ProviderId};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::{BrokerError, CredentialKind};

const AUTHORIZATION: &str = "Authorization";

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
}

impl Inject {
    /// The header of a request. Where the provider takes the secret in the query alone, this is a bearer header,
    /// and a tool has to put the token into the query itself.
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
    /// What it is where nobody says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
}

/// An OAuth 2 authorisation server, with its quirks. What is left out is as the RFCs have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OAuth {
    /// Where the person consents. Left out where only client credentials are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorize_url: Option<UrlTemplate>,
    /// Where codes are exchanged.
    pub token_url: UrlTemplate,
    /// Where tokens are refreshed, if not at `token_url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_url: Option<UrlTemplate>,
    /// Where tokens are revoked (RFC 7009, or the vendor's own).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoke_url: Option<UrlTemplate>,
    /// Where the device flow begins (RFC 8628).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_url: Option<UrlTemplate>,
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
    /// Where things stand in the token endpoint's answer.
    #[serde(default)]
    pub response: ResponsePointers,
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
    /// `http://localhost`, and not the address.
    Localhost,
    /// The registered port of the loopback address and no other.
    FixedPort,
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
        }
    }
}

/// How the account's label is found: a request with the credential, and a place in its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Where to ask.
    pub url: UrlTemplate,
    /// Where the label stands in the answer.
    pub pointer: JsonPointer,
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

    /// The header in which a credential of this kind travels.
    pub(crate) fn header(&self, kind: CredentialKind) -> CredentialHeader {
        match (kind, &self.inject_key) {
            // RFC 7617: whatever a provider's keys travel in, a user name and a password travel in this one.
            (CredentialKind::Basic, _) => CredentialHeader {
                name: AUTHORIZATION.to_owned(),
                scheme: "Basic".to_owned(),
            },
            (CredentialKind::ApiKey, Some(inject)) => inject.header(),
            _ => self.inject.header(),
        }
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
            Some(oauth)
                if oauth.authorize_url.is_none()
                    && self.kinds.contains(&CredentialKind::Oauth2) =>
            {
                return Err(("oauth", "`oauth2` needs an `authorize_url`".to_owned()));
            }
            _ => {}
        }
        self.inject
            .check()
            .map_err(|message| ("inject", message.to_owned()))?;
        if let Some(inject) = &self.inject_key {
            inject
                .check()
                .map_err(|message| ("inject_key", message.to_owned()))?;
        }
        for url in self.urls() {
            for name in url.variables() {
                if !self.variables.contains_key(name) {
                    return Err((
                        "variables",
                        format!("`{{{name}}}` in {url} is not described here"),
                    ));
                }
            }
        }
        Ok(())
    }

    fn urls(&self) -> impl Iterator<Item = &UrlTemplate> {
        let oauth = self.oauth.iter().flat_map(|oauth| {
            let OAuth {
                authorize_url,
                token_url,
                refresh_url,
                revoke_url,
                device_url,
                issuer,
                ..
            } = oauth;
            [authorize_url, refresh_url, revoke_url, device_url, issuer]
                .into_iter()
                .flatten()
                .chain(std::iter::once(token_url))
        });
        oauth.chain(self.identity.iter().map(|identity| &identity.url))
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
}

fn url_template(text: &str) -> bool {
    let mut filled = String::with_capacity(text.len());
    let mut pieces = text.split('{');
    filled.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        match piece.split_once('}') {
            Some((name, rest))
                if !name.is_empty()
                    && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'_')) =>
            {
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
    let loopback = match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(domain)) => domain == "localhost",
        None => return false,
    };
    let open = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    open && (url.scheme() == "https" || (url.scheme() == "http" && loopback))
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
