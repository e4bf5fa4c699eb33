//! What a token has to say, and what is said about one that does not.

use holster_core::types::Scopes;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{DecodingKey, Header, Validation};
use serde_json::{Map, Value};

/// The types of access tokens: RFC 9068 §2.1, and what older servers write.
const ACCESS_TYPES: &[&str] = &["at+jwt", "application/at+jwt", "jwt"];

/// The type of identity tokens, where they name one.
const ID_TYPES: &[&str] = &["jwt"];

/// Why a token is nobody's. The texts go into a header: they hold no quotation marks, and nothing that the token says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum TokenError {
    #[error("this is neither a key of this host nor a JWT")]
    NoToken,
    #[error("the token is longer than 16 KiB")]
    TooLong,
    #[error("tokens of its issuer are not accepted here")]
    Issuer,
    #[error("the token is signed in a way that is not accepted here")]
    Algorithm,
    #[error("the token is of another kind: its typ is neither at+jwt nor JWT")]
    Type,
    #[error("the token has critical header fields, which are not understood here")]
    Critical,
    #[error("its issuer does not publish the key that the token names")]
    Key,
    #[error("the signature of the token is wrong")]
    Signature,
    #[error("the token is for another audience than this host")]
    Audience,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    TooEarly,
    #[error("the token lacks the claim {0}, or it is no text")]
    Claim(String),
    #[error(
        "the token is bound to a key of the client (DPoP or mutual TLS), and no proof of that is checked here; ask for a \
         bearer token"
    )]
    Bound,
    #[error("the token answers another question than ours: it has another nonce, or another azp")]
    Answer,
    #[error("the token has not all scopes that are needed: {0}")]
    Scopes(Scopes),
    #[error("the keys of its issuer cannot be had just now; try again later")]
    NoKeys,
}

impl From<jsonwebtoken::errors::Error> for TokenError {
    fn from(error: jsonwebtoken::errors::Error) -> Self {
        match error.into_kind() {
            ErrorKind::InvalidSignature => Self::Signature,
            ErrorKind::ExpiredSignature => Self::Expired,
            ErrorKind::ImmatureSignature => Self::TooEarly,
            ErrorKind::InvalidAudience => Self::Audience,
            ErrorKind::InvalidIssuer => Self::Issuer,
            ErrorKind::InvalidAlgorithm => Self::Algorithm,
            ErrorKind::MissingRequiredClaim(claim) | ErrorKind::InvalidClaimFormat(claim) => {
                Self::Claim(claim)
            }
            _ => Self::NoToken,
        }
    }
}

/// What the header of an access token says besides key and algorithm.
pub(super) fn check_access_header(header: &Header) -> Result<(), TokenError> {
    check_header(header, ACCESS_TYPES)
}

/// The same of an identity token.
pub(super) fn check_id_header(header: &Header) -> Result<(), TokenError> {
    check_header(header, ID_TYPES)
}

fn check_header(header: &Header, types: &[&str]) -> Result<(), TokenError> {
    let is_known = |named: &String| types.iter().any(|known| named.eq_ignore_ascii_case(known));
    if !header.typ.as_ref().is_none_or(is_known) {
        return Err(TokenError::Type);
    }
    // RFC 7515 §4.1.11: what must be understood and is not, makes the token invalid.
    if header.crit.is_some() {
        return Err(TokenError::Critical);
    }
    Ok(())
}

/// The claims, once signature, issuer, audience and time were checked.
pub(super) fn claims(
    token: &str,
    key: &DecodingKey,
    validation: &Validation,
) -> Result<Map<String, Value>, TokenError> {
    let checked = jsonwebtoken::decode::<Map<String, Value>>(token, key, validation)?;
    text(&checked.claims, "sub")?;
    Ok(checked.claims)
}

/// RFC 9449 §6, RFC 8705 §3: with the token alone, nobody may come.
pub(super) fn check_unbound(claims: &Map<String, Value>) -> Result<(), TokenError> {
    if claims.contains_key("cnf") {
        Err(TokenError::Bound)
    } else {
        Ok(())
    }
}

/// OpenID Connect Core §3.1.3.7: the token is for this client, and for the very request that we sent.
pub(super) fn check_answer(
    claims: &Map<String, Value>,
    client: &str,
    nonce: &str,
) -> Result<(), TokenError> {
    let says = |name: &str, value: &str| claims.get(name).and_then(Value::as_str) == Some(value);
    let is_shared = claims
        .get("aud")
        .is_some_and(|aud| aud.as_array().is_some_and(|audiences| audiences.len() > 1));
    let by_us = if is_shared || claims.contains_key("azp") {
        says("azp", client)
    } else {
        true
    };
    if by_us && says("nonce", nonce) {
        Ok(())
    } else {
        Err(TokenError::Answer)
    }
}

/// Scopes are in `scope`, with spaces between (RFC 9068 §2.2.3); some servers call it `scp`, or write a list.
pub(super) fn check_scopes(claims: &Map<String, Value>, needed: &Scopes) -> Result<(), TokenError> {
    let words = |value: &Value| -> Vec<String> {
        let text = value.as_str().unwrap_or_default();
        text.split_ascii_whitespace().map(str::to_owned).collect()
    };
    let granted: Scopes = ["scope", "scp"]
        .iter()
        .filter_map(|name| claims.get(*name))
        .flat_map(|value| match value {
            Value::Array(values) => values.iter().flat_map(words).collect(),
            value => words(value),
        })
        .collect();
    if granted.include(needed) {
        Ok(())
    } else {
        Err(TokenError::Scopes(needed.clone()))
    }
}

/// A claim that has to be there.
pub(super) fn text<'a>(claims: &'a Map<String, Value>, name: &str) -> Result<&'a str, TokenError> {
    claims
        .get(name)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
        .ok_or_else(|| {
            // The operator may have called it anything.
            let plain = |c: &char| c.is_ascii_graphic() && !matches!(c, '"' | '\\');
            TokenError::Claim(name.chars().filter(plain).collect())
        })
}
