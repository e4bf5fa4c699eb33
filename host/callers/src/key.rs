//! Keys with which programs show who they are.
//!
//! A key is 256 random bits, shown once. The configuration holds its SHA-256: for a value that nobody can guess, that is
//! as good as a slow hash, and a request is not slowed down by it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use holster_core::types::{ExposeSecret as _, KeyDigest, SecretString};

/// What keys begin with, so that scanners of repositories know one.
const PREFIX: &str = "holster_";

/// A key that nobody has seen yet.
#[derive(Debug)]
pub struct NewKey {
    /// To be handed to the program, and nobody else.
    pub key: SecretString,
    /// To be written into the configuration.
    pub digest: KeyDigest,
}

impl NewKey {
    /// Another key than any before.
    pub fn random() -> Self {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).expect("the system has random bytes");
        let key = SecretString::from(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)));
        Self {
            digest: KeyDigest::of(key.expose_secret()),
            key,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_another_one() {
        let (new, other) = (NewKey::random(), NewKey::random());
        assert_eq!(new.digest, KeyDigest::of(new.key.expose_secret()));
        assert_ne!(new.digest, other.digest);
    }

    #[test]
    fn a_key_is_not_printed_by_accident() {
        let new = NewKey::random();
        assert!(!format!("{new:?}").contains(new.key.expose_secret()));
    }
}
