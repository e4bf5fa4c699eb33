//! A credential, narrowed to one call of one tool.

use std::fmt;
use std::sync::Arc;

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
    /// Which state of the credential this is: grows with every renewal, 0 where nothing renews it.
    pub generation: i64,
    /// What the provider wants to see.
    pub secret: GrantSecret,
    /// How a request carries it.
    pub header: CredentialHeader,
    /// The parameter of the query that carries it, where the provider takes it nowhere else.
    pub query: Option<String>,
    /// The header that carries the second part of a pair along with the first, where the provider wants to see both.
    pub secret_header: Option<String>,
    /// What a request carries besides, where the secret is bound to a key.
    pub proof: Option<Proof>,
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
        /// Signs, and is sent nowhere but in a [`secret_header`](Grant::secret_header).
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

/// Shows with each request that its sender holds the key that a token is bound to (RFC 9449). The key is inside, and
/// stays there.
#[derive(Clone)]
pub struct Proof(Arc<MakeProof>);

/// The value of a header, from the method and the URL of a request, and the nonce of its server.
type MakeProof = dyn Fn(&str, &str, Option<&str>) -> Option<String> + Send + Sync;

impl Proof {
    /// `make` is given the method and the URL of a request, and what its server wants to see in the proof, and gives
    /// the value of its `DPoP` header.
    pub fn new(
        make: impl Fn(&str, &str, Option<&str>) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(make))
    }

    /// The value of the `DPoP` header of a request; `None` for a URL that is none. `nonce` is the latest that the
    /// server gave out, if it did.
    pub fn of(&self, method: &str, url: &str, nonce: Option<&str>) -> Option<String> {
        (self.0)(method, url, nonce)
    }
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proof([redacted])")
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
