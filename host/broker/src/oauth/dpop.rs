//! Tokens that are bound to a key of ours (RFC 9449), so that a copy of one is of no use.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use holster_types::{ExposeSecret as _, SecretString};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use p256::elliptic_curve::Generate as _;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;
use zeroize::Zeroizing;

use super::random;
use crate::secret_text;

/// The key of one connection. It signs, and is sent nowhere.
#[derive(Clone)]
pub(crate) struct DpopKey(SigningKey);

/// A text that is no key.
#[derive(Debug, thiserror::Error)]
#[error("the stored DPoP key cannot be read")]
pub(crate) struct InvalidDpopKey;

impl DpopKey {
    pub(crate) fn generate() -> Self {
        Self(SigningKey::generate())
    }

    /// The key as it is stored: the scalar, in base64url.
    pub(crate) fn to_secret(&self) -> SecretString {
        let bytes = Zeroizing::new(<[u8; 32]>::from(self.0.to_bytes()));
        URL_SAFE_NO_PAD.encode(bytes.as_slice()).into()
    }

    pub(crate) fn from_secret(text: &SecretString) -> Result<Self, InvalidDpopKey> {
        let bytes = URL_SAFE_NO_PAD.decode(text.expose_secret());
        let bytes = Zeroizing::new(bytes.map_err(|_| InvalidDpopKey)?);
        let key = SigningKey::from_slice(&bytes).map_err(|_| InvalidDpopKey)?;
        Ok(Self(key))
    }

    /// What the server binds codes and tokens to (RFC 7638).
    pub(crate) fn thumbprint(&self) -> String {
        let jwk = self.jwk();
        let part = |name: &str| jwk[name].as_str().unwrap_or_default().to_owned();
        // RFC 7638 §3: these members, in this order, without spaces.
        let canonical = format!(
            r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#,
            part("x"),
            part("y")
        );
        URL_SAFE_NO_PAD.encode(Sha256::digest(canonical))
    }

    /// The header `DPoP` of one request. A request to an API, as opposed to the token endpoint, names its access token.
    pub(crate) fn proof(
        &self,
        method: &str,
        url: &Url,
        access_token: Option<&SecretString>,
        nonce: Option<&str>,
    ) -> String {
        let mut url = url.clone();
        url.set_query(None);
        url.set_fragment(None);
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let mut claims = json!({
            "jti": random::<16>(),
            "htm": method,
            "htu": url.as_str(),
            "iat": now.as_secs(),
        });
        if let Some(token) = access_token {
            let hash = Sha256::digest(token.expose_secret());
            claims["ath"] = URL_SAFE_NO_PAD.encode(hash).into();
        }
        if let Some(nonce) = nonce {
            claims["nonce"] = nonce.into();
        }
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwk() });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let signature: Signature = self.0.sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    }

    fn jwk(&self) -> Value {
        // SEC 1 §2.3.3: a byte 4, and the two coordinates.
        let point = self.0.verifying_key().to_sec1_point(false);
        let (x, y) = point.as_bytes()[1..].split_at(32);
        let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({ "kty": "EC", "crv": "P-256", "x": part(x), "y": part(y) })
    }
}

impl fmt::Debug for DpopKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DpopKey([redacted])")
    }
}

impl Serialize for DpopKey {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        secret_text::serialize(&self.to_secret(), to)
    }
}

impl<'de> Deserialize<'de> for DpopKey {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::from_secret(&secret_text::deserialize(from)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use p256::ecdsa::VerifyingKey;
    use p256::ecdsa::signature::Verifier as _;

    use super::*;

    fn decoded(part: &str) -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    #[test]
    fn a_key_is_the_same_after_it_was_stored() {
        let key = DpopKey::generate();
        let again = DpopKey::from_secret(&key.to_secret()).unwrap();
        assert_eq!(again.thumbprint(), key.thumbprint());
        assert_ne!(DpopKey::generate().thumbprint(), key.thumbprint());
        for text in ["", "AAAA", "not base64 !", &"A".repeat(43)] {
            assert!(DpopKey::from_secret(&text.into()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_proof_names_the_request_and_the_token_and_is_signed_by_the_key_in_it() {
        let url = Url::parse("https://x.example/token?a=b").unwrap();
        let proof = DpopKey::generate().proof("POST", &url, Some(&"token".into()), Some("n-1"));
        let parts: Vec<_> = proof.split('.').collect();
        let (header, claims) = (decoded(parts[0]), decoded(parts[1]));
        assert_eq!(
            (&header["typ"], &header["alg"]),
            (&json!("dpop+jwt"), &json!("ES256"))
        );
        assert_eq!(claims["htm"], "POST");
        assert_eq!(claims["htu"], "https://x.example/token");
        assert_eq!(claims["nonce"], "n-1");
        // echo -n token | openssl dgst -sha256 -binary | basenc --base64url
        assert_eq!(claims["ath"], "PEaenWxYddN6Q_NT1PiOYfz4EsZu7jRXRlpAsNpBU-A");

        let mut point = vec![4];
        for name in ["x", "y"] {
            let coordinate = header["jwk"][name].as_str().unwrap();
            point.extend(URL_SAFE_NO_PAD.decode(coordinate).unwrap());
        }
        let key = VerifyingKey::from_sec1_bytes(&point).unwrap();
        let signature = Signature::from_slice(&URL_SAFE_NO_PAD.decode(parts[2]).unwrap()).unwrap();
        let signed = format!("{}.{}", parts[0], parts[1]);
        assert!(key.verify(signed.as_bytes(), &signature).is_ok());
    }

    #[test]
    fn a_key_is_not_printed() {
        assert_eq!(format!("{:?}", DpopKey::generate()), "DpopKey([redacted])");
    }
}
