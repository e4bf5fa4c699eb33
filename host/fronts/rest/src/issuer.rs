//! Access tokens of authorisation servers that the operator trusts (OAuth 2, RFC 9068).
//!
//! [`Issuers::user`] says whose a token is, or why it is nobody's. It believes nothing that the issuer has not signed, by
//! a key that the issuer publishes, for this very host, for now. It makes no token and knows no session: a token that has
//! expired is of no more use, whatever it was used for before.

mod fetch;
mod keys;
mod signature;
#[cfg(test)]
mod tests;
mod token;

use std::sync::Arc;

use holster_core::config::{IssuerConfig, TokenAlgorithm};
use holster_core::types::{IssuerName, ProfileName, Scopes, TenantId};
use jsonwebtoken::{Algorithm, Validation, dangerous};
use serde::Deserialize;

use self::fetch::Http;
use self::keys::{KeyPlace, KeySet, Pace};
pub(crate) use self::token::TokenError;

/// No access token is longer, in bytes.
const MAX_TOKEN: usize = 16 << 10;

/// How far clocks may be apart, in seconds.
const LEEWAY: u64 = 30;

/// All issuers.
pub(crate) struct Issuers(Vec<Issuer>);

/// One issuer, and what its tokens have to be.
struct Issuer {
    name: IssuerName,
    /// As it calls itself.
    identifier: String,
    algorithms: Vec<Algorithm>,
    /// But for the algorithm, which is the key's.
    validation: Validation,
    tenant_claim: String,
    scopes: Scopes,
    profile: Option<ProfileName>,
    keys: KeySet,
}

/// Whose a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) tenant: TenantId,
    /// Whose accounts serve, where that is not for the request to say.
    pub(crate) profile: Option<ProfileName>,
}

/// What tells which issuer's keys a token is to be checked with. Nothing else is read before it is.
#[derive(Deserialize)]
struct Unchecked {
    iss: String,
}

impl Issuers {
    /// The issuers of the configuration; a token is for this host if its audience is among `audiences`, unless the
    /// configuration names another one.
    pub(crate) fn new<'a>(
        configured: impl IntoIterator<Item = (&'a IssuerName, &'a IssuerConfig)>,
        audiences: &[String],
    ) -> Self {
        Self::at_pace(configured, audiences, Pace::USUAL)
    }

    fn at_pace<'a>(
        configured: impl IntoIterator<Item = (&'a IssuerName, &'a IssuerConfig)>,
        audiences: &[String],
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
                validation: validation(config, audiences),
                tenant_claim: config.tenant_claim.clone(),
                scopes: config.scopes.clone(),
                profile: config.profile.clone(),
                keys: KeySet::new(at, algorithms.clone(), Arc::clone(&http), pace),
                algorithms,
            }
        };
        Self(configured.into_iter().map(issuer).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As they call themselves.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|issuer| issuer.identifier.as_str())
    }

    /// The scopes that a client has to ask for, where all issuers want the same.
    pub(crate) fn scopes(&self) -> Option<&Scopes> {
        let scopes = &self.0.first()?.scopes;
        let same = self.0.iter().all(|issuer| issuer.scopes == *scopes);
        (same && !scopes.is_empty()).then_some(scopes)
    }

    /// Whose a token is.
    pub(crate) async fn user(&self, token: &str) -> Result<User, TokenError> {
        if token.len() > MAX_TOKEN {
            return Err(TokenError::TooLong);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::NoToken)?;
        let unchecked: Unchecked =
            dangerous::insecure_decode_claims(token).map_err(|_| TokenError::NoToken)?;
        let issuer = self
            .0
            .iter()
            .find(|issuer| issuer.identifier == unchecked.iss)
            .ok_or(TokenError::Issuer)?;
        token::check_header(&header)?;
        if !issuer.algorithms.contains(&header.alg) {
            return Err(TokenError::Algorithm);
        }
        let key = issuer.keys.find(header.kid.as_deref(), header.alg).await?;
        let validation = Validation {
            algorithms: vec![header.alg],
            ..issuer.validation.clone()
        };
        let claims = token::claims(token, &key, &validation)?;
        token::check_unbound(&claims)?;
        token::check_scopes(&claims, &issuer.scopes)?;
        let user = token::text(&claims, &issuer.tenant_claim)?;
        Ok(User {
            tenant: TenantId::of_issuer(&issuer.name, user),
            profile: issuer.profile.clone(),
        })
    }
}

fn validation(config: &IssuerConfig, audiences: &[String]) -> Validation {
    let mut validation = Validation::new(Algorithm::RS256);
    validation.leeway = LEEWAY;
    validation.validate_nbf = true;
    validation.set_issuer(&[config.issuer.as_str()]);
    match &config.audience {
        Some(audience) => validation.set_audience(&[audience]),
        None => validation.set_audience(audiences),
    }
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation
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
