//! A credential, narrowed to one call of one tool.

use std::fmt;

use secrecy::SecretString;

use crate::{HostPattern, ProfileName, ProviderId, Scopes};

/// What a tool may use during one call; gone when the call ends.
///
/// The broker makes grants; the runtime hands them to the guest as `credential` resources, and puts the
/// secret into requests at the egress. Neither knows the other.
#[derive(Debug, Clone)]
pub struct Grant {
    /// The provider that issued the credential.
    pub provider: ProviderId,
    /// The profile that the account belongs to.
    pub profile: ProfileName,
    /// The account's label, where it is known.
    pub account: Option<String>,
    /// The scopes that were granted.
    pub scopes: Scopes,
    /// Seconds since the Unix epoch.
    pub expires_at: Option<u64>,
    /// What the provider wants to see.
    pub secret: GrantSecret,
    /// How a request carries it.
    pub header: CredentialHeader,
    /// The only hosts that the secret may be sent to.
    pub hosts: Vec<HostPattern>,
    /// The variables in which tools that read their environment expect the secret: the first carries what is sent,
    /// the second, of a key pair, what signs. Set only where policy says so.
    pub environment: Vec<String>,
}

/// The secret of a grant, by kind.
#[derive(Clone)]
pub enum GrantSecret {
    /// A bearer token or an API key.
    Token(SecretString),
    /// A user name and a password, already joined and encoded for HTTP Basic.
    Basic(SecretString),
    /// A public key id with the private key that signs.
    KeyPair {
        /// Sent with requests.
        key: SecretString,
        /// Signs, and is sent nowhere.
        secret: SecretString,
    },
}

impl GrantSecret {
    /// The part that travels in a header.
    pub fn sent(&self) -> &SecretString {
        match self {
            GrantSecret::Token(secret) | GrantSecret::Basic(secret) => secret,
            GrantSecret::KeyPair { key, .. } => key,
        }
    }

    /// The part that signs, where there is one.
    pub fn signing(&self) -> Option<&SecretString> {
        match self {
            GrantSecret::KeyPair { secret, .. } => Some(secret),
            GrantSecret::Token(_) | GrantSecret::Basic(_) => None,
        }
    }
}

impl fmt::Debug for GrantSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            GrantSecret::Token(_) => "Token([redacted])",
            GrantSecret::Basic(_) => "Basic([redacted])",
            GrantSecret::KeyPair { .. } => "KeyPair([redacted])",
        })
    }
}

/// The header that authorises a request: `Authorization: Bearer …`, `X-Api-Key: …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialHeader {
    /// The field name, a valid HTTP token.
    pub name: String,
    /// What stands before the token: `Bearer`, with a space after it, or `Token token=`, with none after the `=`.
    /// Empty if nothing does.
    pub scheme: String,
}

impl CredentialHeader {
    /// The field value with `token` in it.
    pub fn value(&self, token: &str) -> String {
        let space = if self.scheme.is_empty() || self.scheme.ends_with('=') {
            ""
        } else {
            " "
        };
        format!("{}{space}{token}", self.scheme)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_carries_the_token_as_its_scheme_wants() {
        for (scheme, value) in [
            ("Bearer", "Bearer x"),
            ("", "x"),
            ("Token token=", "Token token=x"),
        ] {
            let header = CredentialHeader {
                name: "authorization".into(),
                scheme: scheme.into(),
            };
            assert_eq!(header.value("x"), value);
        }
    }

    #[test]
    fn a_secret_is_not_printed() {
        let secret = GrantSecret::KeyPair {
            key: "planted-key".into(),
            secret: "planted-secret".into(),
        };
        assert!(!format!("{secret:?}").contains("planted"));
    }
}
