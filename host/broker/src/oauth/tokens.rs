//! The token endpoint: its answers, and the errors among them.

use std::collections::BTreeMap;

use holster_types::{Scopes, SecretString};
use serde_json::Value;

use super::error::{OAuthError, shortened};
use super::http::{Answer, Document};
use crate::provider::{OAuth, ResponsePointers};

/// The longest token, in bytes.
const MAX_TOKEN: usize = 64 * 1024;

/// The longest value of a variable that an answer brings, in bytes.
const MAX_VARIABLE: usize = 1024;

/// The longest life of a token that is believed: a hundred years, so that no sum with it overflows.
const MAX_LIFETIME: u64 = 100 * 366 * 24 * 3600;

/// What a token endpoint grants.
#[derive(Debug, Clone)]
pub(crate) struct Tokens {
    /// Fit for a header.
    pub(crate) access: SecretString,
    /// `None` where the answer brings none; a refresh token that was used may still be good then.
    pub(crate) refresh: Option<SecretString>,
    /// Seconds from now. `None` where neither the server says it, or says what is no time (zero, negative, a word),
    /// nor the provider's file: then only the API can tell that it has ended.
    pub(crate) expires_in: Option<u64>,
    /// What was granted; `None` means: what was asked for (RFC 6749 §5.1).
    pub(crate) scopes: Option<Scopes>,
    pub(crate) token_type: TokenType,
    /// What else the provider's file wants kept.
    pub(crate) variables: BTreeMap<String, String>,
}

/// How an access token is presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenType {
    /// By itself, whatever the vendor calls it.
    Bearer,
    /// With a proof by the key that it is bound to.
    Dpop,
}

impl Tokens {
    /// Reads an answer. `bound` says whether the request carried a proof, which the token has to be bound to.
    pub(super) fn read(
        answer: Answer,
        oauth: &OAuth,
        pointers: &ResponsePointers,
        bound: bool,
    ) -> Result<Self, OAuthError> {
        let answer = answer.settled()?;
        let document = answer.document()?;
        if let Some(error) = refusal(&answer, &document, oauth) {
            return Err(error);
        }
        if !answer.status.is_success() {
            let reason = format!("HTTP {} without an error", answer.status.as_u16());
            return Err(answer.malformed(&reason));
        }
        let access = document
            .text(pointers.access_token.as_str())
            .ok_or_else(|| answer.malformed("it holds no access token"))?;
        let in_header = |byte: u8| matches!(byte, b'!'..=b'~');
        if access.is_empty() || access.len() > MAX_TOKEN || !access.bytes().all(in_header) {
            return Err(answer.malformed("its access token cannot stand in a header"));
        }
        let refresh = match document.get(pointers.refresh_token.as_str()) {
            None => None,
            Some(Value::String(token)) if token.is_empty() => None,
            Some(Value::String(token)) if token.len() <= MAX_TOKEN => Some(token.as_str().into()),
            Some(_) => {
                return Err(answer.malformed("its refresh token is not a text of at most 64 KiB"));
            }
        };
        let dpop = document
            .text("/token_type")
            .is_some_and(|name| name.eq_ignore_ascii_case("dpop"));
        if dpop != bound {
            return Err(answer.malformed(if bound {
                "its access token is not bound to our key"
            } else {
                "its access token is bound to a key that we did not show"
            }));
        }
        Ok(Self {
            access: access.into(),
            refresh,
            expires_in: document
                .get(pointers.expires_in.as_str())
                .and_then(lifetime)
                .or(oauth.assumed_lifetime_s),
            scopes: document
                .get(pointers.scope.as_str())
                .and_then(|value| granted(value, &oauth.scope_separator)),
            token_type: if bound {
                TokenType::Dpop
            } else {
                TokenType::Bearer
            },
            variables: variables(&document, oauth),
        })
    }
}

/// The error in an answer, whatever its status.
pub(super) fn refusal(answer: &Answer, document: &Document, oauth: &OAuth) -> Option<OAuthError> {
    let pointer = oauth.response.error.as_str();
    let error = match document.get(pointer)? {
        Value::Bool(false) => return None,
        Value::String(text) if text.is_empty() => return None,
        Value::String(text) => text.clone(),
        Value::Object(parts) => ["code", "type", "error", "message"]
            .iter()
            .find_map(|name| parts.get(*name)?.as_str())
            .unwrap_or("unknown_error")
            .to_owned(),
        other => other.to_string(),
    };
    let inner = format!("{pointer}/message");
    let description = ["/error_description", inner.as_str(), "/message"]
        .into_iter()
        .filter(|place| *place != pointer)
        .find_map(|place| document.text(place));
    Some(match error.as_str() {
        // RFC 6749 §4.1.2.1 has them for the browser; some servers use them here, where they mean the same.
        "temporarily_unavailable" | "server_error" => answer.transient(&error),
        _ if oauth.response.ended.contains(&error) => {
            answer.refused("invalid_grant", Some(description.unwrap_or(&error)))
        }
        _ => answer.refused(&error, description),
    })
}

/// Seconds, however they are written. What is no time is as good as missing.
pub(super) fn lifetime(value: &Value) -> Option<u64> {
    let seconds = match value {
        Value::Number(number) => number.as_u64().or_else(|| whole(number.as_f64()?))?,
        Value::String(text) => {
            let text = text.trim();
            text.parse().ok().or_else(|| whole(text.parse().ok()?))?
        }
        _ => return None,
    };
    (seconds > 0).then_some(seconds.min(MAX_LIFETIME))
}

fn whole(seconds: f64) -> Option<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` saturates, and what is negative or no number is left out"
    )]
    (seconds >= 0.0).then_some(seconds as u64)
}

fn granted(value: &Value, separator: &str) -> Option<Scopes> {
    match value {
        // Vendors ask for commas and answer with spaces, and the other way round.
        Value::String(text) => Some(
            text.split(separator)
                .flat_map(|part| part.split([' ', ',']))
                .filter(|scope| !scope.is_empty())
                .collect(),
        ),
        Value::Array(scopes) => Some(scopes.iter().filter_map(Value::as_str).collect()),
        _ => None,
    }
}

fn variables(document: &Document, oauth: &OAuth) -> BTreeMap<String, String> {
    let pointers = oauth.response.variables.iter();
    pointers
        .filter_map(|(name, pointer)| {
            let value = document.text(pointer.as_str())?;
            let usable = value.len() <= MAX_VARIABLE && !value.contains(char::is_control);
            usable.then(|| (name.clone(), value.to_owned()))
        })
        .collect()
}

/// The label of an account, fit for a list; `None` where nothing of it is left.
pub(super) fn label(text: &str) -> Option<String> {
    const MAX: usize = 256;
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    let text = match text.trim() {
        "" => return None,
        long if long.chars().count() > MAX => shortened(long, MAX - 1),
        short => short.to_owned(),
    };
    Some(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_lifetime_is_read_however_it_is_written() {
        for (value, seconds) in [
            (json!(3600), Some(3600)),
            (json!("3600"), Some(3600)),
            (json!(" 3600 "), Some(3600)),
            (json!(3599.9), Some(3599)),
            (json!("3599.9"), Some(3599)),
            (json!(0), None),
            (json!("0"), None),
            (json!(-1), None),
            (json!("-1"), None),
            (json!(-0.5), None),
            (json!(u64::MAX), Some(MAX_LIFETIME)),
            (json!(1e300), Some(MAX_LIFETIME)),
            (json!("1e300"), Some(MAX_LIFETIME)),
            (json!("inf"), Some(MAX_LIFETIME)),
            (json!("NaN"), None),
            (json!("soon"), None),
            (json!(""), None),
            (json!(true), None),
            (json!([3600]), None),
        ] {
            assert_eq!(lifetime(&value), seconds, "{value}");
        }
    }

    #[test]
    fn granted_scopes_are_read_however_they_are_separated() {
        for (value, separator, scopes) in [
            (json!("a b"), " ", Some("a b")),
            (json!("a,b"), " ", Some("a b")),
            (json!("a b"), ",", Some("a b")),
            (json!("a, b"), ",", Some("a b")),
            (json!("a|b"), "|", Some("a b")),
            (json!(""), " ", Some("")),
            (json!(["a", "b"]), " ", Some("a b")),
            (json!([]), " ", Some("")),
            (json!(7), " ", None),
        ] {
            let read = granted(&value, separator).map(|scopes| scopes.to_string());
            assert_eq!(read.as_deref(), scopes, "{value}");
        }
    }

    #[test]
    fn a_label_is_one_line_of_at_most_256_characters() {
        assert_eq!(label(" a\u{1b}[31m\nb "), Some("a[31mb".to_owned()));
        assert_eq!(label("\n\t "), None);
        assert_eq!(label(&"é".repeat(300)).unwrap().chars().count(), 256);
        assert_eq!(label(&"é".repeat(256)).unwrap(), "é".repeat(256));
    }
}
