//! Access tokens of authorisation servers that the operator trusts (OAuth 2, RFC 9068).
//!
//! [`Issuers::user`] says whose an access token is, or why it is nobody's; [`Issuers::person`] says it of the token with
//! which an issuer answers who has signed in (OpenID Connect). They believe nothing that the issuer has not signed, by
//! a key that the issuer publishes, for this very host, for now. They make no token and know no session: a token that has
//! expired is of no more use, whatever it was used for before.

mod fetch;
mod keys;
mod signature;
#[cfg(test)]
mod tests;
mod token;

use std::sync::Arc;

use holster_core::broker::{Arrival, User};
use holster_core::config::{IssuerConfig, TokenAlgorithm};
use holster_core::types::{ExposeSecret as _, IssuerName, ProfileName, Scopes, TenantId};
use jsonwebtoken::{Algorithm, Header, Validation, dangerous};
use serde::Deserialize;
use serde_json::{Map, Value};

use self::fetch::Http;
use self::keys::{KeyPlace, KeySet, Pace};
pub use self::token::TokenError;

/// No token is longer, in bytes.
const MAX_TOKEN: usize = 16 << 10;

/// How far clocks may be apart, in seconds.
const LEEWAY: u64 = 30;

/// All issuers.
#[derive(Default)]
pub struct Issuers(Vec<Issuer>);

/// One issuer, and what its tokens have to be.
struct Issuer {
    name: IssuerName,
    /// As it calls itself.
    identifier: String,
    algorithms: Vec<Algorithm>,
    /// Whom access tokens are for, where the operator says it.
    audience: Option<String>,
    tenant_claim: String,
    scopes: Scopes,
    profile: Option<ProfileName>,
    keys: KeySet,
}

/// What tells which issuer's keys a token is to be checked with. Nothing else is read before it is.
#[derive(Deserialize)]
struct Unchecked {
    iss: String,
}

impl Issuers {
    /// The issuers of the configuration.
    pub(crate) fn new<'a>(
        configured: impl IntoIterator<Item = (&'a IssuerName, &'a IssuerConfig)>,
    ) -> Self {
        Self::at_pace(configured, Pace::USUAL)
    }

    fn at_pace<'a>(
        configured: impl IntoIterator<Item = (&'a IssuerName, &'a IssuerConfig)>,
        pace: Pace,
    ) -> Self {
        signature::install();
        let http = Arc::new(Http::new());
        let issuer = |(name, config): (&IssuerName, &IssuerConfig)| {
            let algorithms: Vec<_> = config.algorithms.iter().copied().map(algorithm).collect();
            let at = match &config.jwks_url {
                Some(url) => KeyPlace::At(url.url().clone()),
                None => KeyPlace::OfIssuer(config.issuer.clone()),
            };
            Issuer {
                name: name.clone(),
                identifier: config.issuer.as_str().to_owned(),
                audience: config.audience.clone(),
                tenant_claim: config.tenant_claim.clone(),
                scopes: config.scopes.clone(),
                profile: config.profile.clone(),
                keys: KeySet::new(at, algorithms.clone(), Arc::clone(&http), pace),
                algorithms,
            }
        };
        Self(configured.into_iter().map(issuer).collect())
    }

    /// Whether no tokens are taken.
    pub fn are_none(&self) -> bool {
        self.0.is_empty()
    }

    /// As they call themselves.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|issuer| issuer.identifier.as_str())
    }

    /// The scopes that a client has to ask for, where all issuers want the same.
    pub fn scopes(&self) -> Option<&Scopes> {
        let scopes = &self.0.first()?.scopes;
        let same = self.0.iter().all(|issuer| issuer.scopes == *scopes);
        (same && !scopes.is_empty()).then_some(scopes)
    }

    /// Whose an access token is.
    pub(crate) async fn user(&self, token: &str, audiences: &[String]) -> Result<User, TokenError> {
        let header = header(token)?;
        let unchecked: Unchecked =
            dangerous::insecure_decode_claims(token).map_err(|_| TokenError::NoToken)?;
        let issuer = self
            .0
            .iter()
            .find(|issuer| issuer.identifier == unchecked.iss)
            .ok_or(TokenError::Issuer)?;
        token::check_access_header(&header)?;
        let audiences = issuer
            .audience
            .as_ref()
            .map_or(audiences, std::slice::from_ref);
        let claims = issuer.claims(token, &header, audiences).await?;
        token::check_unbound(&claims)?;
        token::check_scopes(&claims, &issuer.scopes)?;
        issuer.user(&claims)
    }

    /// Who a person is who has signed in at an issuer, by the client that this host is there.
    pub(crate) async fn person(
        &self,
        issuer: &IssuerName,
        client: &str,
        arrival: &Arrival,
    ) -> Result<User, TokenError> {
        let mut issuers = self.0.iter();
        let issuer = issuers
            .find(|known| known.name == *issuer)
            .ok_or(TokenError::Issuer)?;
        let token = arrival.id_token.expose_secret();
        let header = header(token)?;
        token::check_id_header(&header)?;
        let claims = issuer.claims(token, &header, &[client.to_owned()]).await?;
        token::check_answer(&claims, client, arrival.nonce.expose_secret())?;
        issuer.user(&claims)
    }
}

impl Issuer {
    /// What a token says that this issuer signed, for one of these audiences, for now.
    async fn claims(
        &self,
        token: &str,
        header: &Header,
        audiences: &[String],
    ) -> Result<Map<String, Value>, TokenError> {
        if !self.algorithms.contains(&header.alg) {
            return Err(TokenError::Algorithm);
        }
        let key = self.keys.find(header.kid.as_deref(), header.alg).await?;
        let mut validation = Validation::new(header.alg);
        validation.leeway = LEEWAY;
        validation.validate_nbf = true;
        validation.set_issuer(&[&self.identifier]);
        validation.set_audience(audiences);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        token::claims(token, &key, &validation)
    }

    /// Whom those claims are about.
    fn user(&self, claims: &Map<String, Value>) -> Result<User, TokenError> {
        let user = token::text(claims, &self.tenant_claim)?;
        Ok(User {
            tenant: TenantId::of_issuer(&self.name, user),
            profile: self.profile.clone(),
        })
    }
}

fn header(token: &str) -> Result<Header, TokenError> {
    if token.len() > MAX_TOKEN {
        return Err(TokenError::TooLong);
    }
    jsonwebtoken::decode_header(token).map_err(|_| TokenError::NoToken)
}

fn algorithm(named: TokenAlgorithm) -> Algorithm {
    match named {
        TokenAlgorithm::RS256 => Algorithm::RS256,
        TokenAlgorithm::RS384 => Algorithm::RS384,
        TokenAlgorithm::RS512 => Algorithm::RS512,
        TokenAlgorithm::PS256 => Algorithm::PS256,
        TokenAlgorithm::PS384 => Algorithm::PS384,
        TokenAlgorithm::PS512 => Algorithm::PS512,
        TokenAlgorithm::ES256 => Algorithm::ES256,
        TokenAlgorithm::ES384 => Algorithm::ES384,
        TokenAlgorithm::EdDSA => Algorithm::EdDSA,
    }
}
