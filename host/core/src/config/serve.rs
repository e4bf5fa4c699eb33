//! `[serve]`: who may call over HTTP, and where.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;

use holster_broker::ConfiguredClient;
use holster_types::{IssuerName, KeyDigest, ProfileName, Scopes, ServerUrl, TenantId};
use schemars::JsonSchema;
use serde::Deserialize;

/// `[serve]`
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ServeConfig {
    /// Where `holster serve` listens. Default: 127.0.0.1:4658.
    pub address: Option<SocketAddr>,
    /// Other sites whose pages may send requests, such as `https://agents.example.com`.
    pub allowed_origins: Vec<String>,
    /// Requests of one user in a second. Default: as many as they like.
    #[schemars(range(min = 1))]
    pub requests_per_second: Option<NonZeroU32>,
    /// Whether `/metrics` tells how many calls there are and how they end, in the format of Prometheus. Default false.
    pub metrics: bool,
    /// The keys of programs, by a name of your choice; `holster key new` prints them.
    pub keys: BTreeMap<String, KeyConfig>,
    /// Servers whose access tokens (OAuth, JWT) are accepted, by a name of your choice.
    pub issuers: BTreeMap<IssuerName, IssuerConfig>,
}

/// `[serve.keys.NAME]`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyConfig {
    /// The SHA-256 of the key, in hexadecimal digits.
    pub sha256: KeyDigest,
    /// The user that its requests are for.
    pub tenant: TenantId,
    /// The profile that serves them, if the program may use no other.
    pub profile: Option<ProfileName>,
    /// Whether it may read `/metrics`, which tells of the calls of all users. Default false.
    #[serde(default)]
    pub metrics: bool,
}

/// `[serve.issuers.NAME]`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IssuerConfig {
    /// The issuer, letter by letter as its tokens and its metadata name it.
    pub issuer: ServerUrl,
    /// The audience that its tokens must be for. Default: the address of this host, or that of its `/mcp`.
    pub audience: Option<String>,
    /// The claim that tells its users apart: a text that never comes to mean another user. Default: `sub`.
    #[serde(default = "subject")]
    pub tenant_claim: String,
    /// Scopes that a token must have.
    #[serde(default)]
    pub scopes: Scopes,
    /// The profile that serves its users, if they may use no other.
    pub profile: Option<ProfileName>,
    /// How its tokens may be signed. Default: in any of these ways.
    #[serde(default = "TokenAlgorithm::all")]
    #[schemars(length(min = 1))]
    pub algorithms: Vec<TokenAlgorithm>,
    /// The client that was registered there for people who sign in on this host's pages, with the redirect address
    /// `https://HOST/sign-in/NAME/callback`. Default: nobody signs in there.
    pub client: Option<ConfiguredClient>,
    /// Where its keys are (a JWK set). Default: where its metadata says (RFC 8414, OpenID Connect Discovery).
    pub jwks_url: Option<ServerUrl>,
}

/// How a token may be signed: by a key pair, so that whoever checks a token cannot make one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "RFC 7518 and RFC 8037 name them")]
pub enum TokenAlgorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

impl TokenAlgorithm {
    /// All of them.
    pub fn all() -> Vec<Self> {
        use TokenAlgorithm as A;
        [
            A::RS256,
            A::RS384,
            A::RS512,
            A::PS256,
            A::PS384,
            A::PS512,
            A::ES256,
            A::ES384,
            A::EdDSA,
        ]
        .into()
    }
}

fn subject() -> String {
    "sub".to_owned()
}

/// What is wrong, and where below `serve`.
pub(super) type Wrong = (String, String);

impl ServeConfig {
    pub(super) fn check(&self) -> Result<(), Wrong> {
        let mut known: BTreeMap<&str, &IssuerName> = BTreeMap::new();
        for (name, issuer) in &self.issuers {
            let wrong = |key: &str, why: &str| {
                let place = format!("serve.issuers.{name}.{key}");
                Err((place, why.to_owned()))
            };
            if issuer.issuer.url().query().is_some() {
                return wrong("issuer", "an issuer has no query (RFC 8414 §2)");
            }
            if let Some(other) = known.insert(issuer.issuer.as_str(), name) {
                let why =
                    format!("it is the issuer of `serve.issuers.{other}` too; keep one of them");
                return wrong("issuer", &why);
            }
            if issuer.audience.as_ref().is_some_and(String::is_empty) {
                return wrong("audience", "it must not be empty");
            }
            if issuer.tenant_claim.is_empty() {
                return wrong("tenant_claim", "it must name a claim, such as `sub`");
            }
            if issuer.algorithms.is_empty() {
                let why = "it must name one at least: RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 or EdDSA";
                return wrong("algorithms", why);
            }
            // RFC 6749 §3.3; what stands in a header must not end it.
            let is_scope = |scope: &str| {
                let valid = |byte| matches!(byte, b'!' | b'#'..=b'[' | b']'..=b'~');
                !scope.is_empty() && scope.bytes().all(valid)
            };
            if !issuer.scopes.iter().all(is_scope) {
                let why = "a scope is of printable ASCII characters without spaces, `\"` and `\\`";
                return wrong("scopes", why);
            }
        }
        Ok(())
    }
}
