//! Why an authorisation server could not be made use of, and what may be said about it.

use holster_types::{ExposeSecret, SecretString};
use url::form_urlencoded;
use zeroize::Zeroizing;

/// The longest text of a server that is passed on, in characters.
const MAX_TEXT: usize = 200;

/// The shortest secret, in bytes.
const MIN_SECRET: usize = 6;

/// Why an authorisation server could not be made use of. No text holds a secret; what a server wrote is cut short,
/// freed of control characters and of every secret that the request carried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum OAuthError {
    /// The server understood, and says no.
    #[error("{host} refused: {error}{}", detail(.description.as_deref()))]
    Refused {
        host: String,
        /// The error code, as RFC 6749 §5.2 or the vendor has it.
        error: String,
        description: Option<String>,
    },
    /// The network, a timeout, HTTP 5xx or 429: the same request may succeed later.
    #[error("{host} gives no answer just now: {reason}; try again later")]
    Transient {
        host: String,
        reason: String,
        /// Whether the server may have acted on the request all the same.
        may_have_arrived: bool,
        /// After how many seconds the server wants to be asked again.
        retry_after: Option<u64>,
    },
    /// An answer that is none.
    #[error("{host} answered what no authorisation server should: {reason}")]
    Malformed { host: String, reason: String },
    /// What the server says about itself cannot be used.
    #[error("the metadata of {issuer} cannot be used: {reason}")]
    Metadata { issuer: String, reason: String },
    /// Someone else answered (RFC 9207).
    #[error(
        "the answer is from {}, not from {expected}: nothing was sent to either",
        .found.as_deref().unwrap_or("a server that does not say its name")
    )]
    Issuer {
        expected: String,
        found: Option<String>,
    },
    /// A variable of the account does not fit into an address of the provider.
    #[error("the variable `{name}` cannot be used: {reason}")]
    Variable { name: String, reason: String },
    /// The provider has no such way in.
    #[error("{provider} knows no {what}")]
    Unsupported {
        provider: String,
        what: &'static str,
    },
}

fn detail(description: Option<&str>) -> String {
    description.map_or_else(String::new, |text| format!(" ({text})"))
}

impl OAuthError {
    /// Whether the refresh token, the code or the device code has ended: asking again is of no use.
    pub(crate) fn is_invalid_grant(&self) -> bool {
        matches!(self, Self::Refused { error, .. } if error == "invalid_grant")
    }

    /// Whether the same request may succeed later.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(self, Self::Transient { .. })
    }
}

/// The secrets of a request, so that a server that repeats them cannot put them into an error.
#[derive(Clone, Default)]
pub(super) struct Secrets(Vec<SecretString>);

impl Secrets {
    pub(super) fn add(&mut self, secret: &str) {
        // What is shorter is no secret, and would blacken words that happen to hold it.
        if secret.len() >= MIN_SECRET {
            self.0.push(secret.into());
        }
    }

    pub(super) fn extend(&mut self, others: &Self) {
        self.0.extend_from_slice(&others.0);
    }

    /// A server's text, fit for an error.
    pub(super) fn clean(&self, text: &str) -> String {
        // In this order: a control character or the cut could hide a part of a secret.
        let mut text: String = text.chars().filter(|c| !c.is_control()).collect();
        for secret in &self.0 {
            let plain = secret.expose_secret();
            let encoded: Zeroizing<String> =
                Zeroizing::new(form_urlencoded::byte_serialize(plain.as_bytes()).collect());
            for spelling in [plain, encoded.as_str()] {
                if text.contains(spelling) {
                    text = text.replace(spelling, "[redacted]");
                }
            }
        }
        shortened(text.trim(), MAX_TEXT)
    }
}

/// The first `length` characters, and a mark where there were more.
pub(super) fn shortened(text: &str, length: usize) -> String {
    match text.char_indices().nth(length) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
