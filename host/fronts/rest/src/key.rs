//! Keys with which programs show who they are.
//!
//! A key is 256 random bits, shown once. The configuration holds its SHA-256: for a value that nobody can guess, that is
//! as good as a slow hash, and a request is not slowed down by it.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use holster_core::types::{ExposeSecret as _, ProfileName, SecretString, TenantId};
use sha2::{Digest as _, Sha256};

/// What keys begin with, so that scanners of repositories know one.
const PREFIX: &str = "holster_";

/// The SHA-256 of a key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyDigest([u8; 32]);

/// A digest that is none.
#[derive(Debug, Clone, thiserror::Error)]
#[error("a key's digest is the 64 hexadecimal digits that `holster key new` prints")]
pub struct InvalidDigest;

impl KeyDigest {
    /// The digest of a key as a request brings it.
    pub fn of(key: &str) -> Self {
        Self(Sha256::digest(key).into())
    }
}

impl FromStr for KeyDigest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        let digit = |byte: &u8| char::from(*byte).to_digit(16);
        let digits: Option<Vec<_>> = text.as_bytes().iter().map(digit).collect();
        let digits = digits
            .filter(|digits| digits.len() == 64)
            .ok_or(InvalidDigest)?;
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(digits.chunks(2)) {
            *byte = u8::try_from(pair[0] << 4 | pair[1]).expect("two digits");
        }
        Ok(Self(digest))
    }
}

impl fmt::Display for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyDigest({self})")
    }
}

/// Who brings a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallerKey {
    /// By which its digest is known.
    pub digest: KeyDigest,
    /// For whom its requests are.
    pub tenant: TenantId,
    /// Whose accounts serve them, where that is not for the request to say.
    pub profile: Option<ProfileName>,
}

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
    fn a_digest_is_read_as_it_was_written_and_nothing_else_is() {
        let new = NewKey::random();
        assert_eq!(
            new.digest.to_string().parse::<KeyDigest>().unwrap(),
            new.digest
        );
        assert_eq!(new.digest, KeyDigest::of(new.key.expose_secret()));
        assert_ne!(NewKey::random().digest, new.digest);
        let text = new.digest.to_string();
        for wrong in [
            "",
            &text[1..],
            &format!("{text}0"),
            &"g".repeat(64),
            &"é".repeat(32),
        ] {
            assert!(wrong.parse::<KeyDigest>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_key_is_not_printed_by_accident() {
        let new = NewKey::random();
        assert!(!format!("{new:?}").contains(new.key.expose_secret()));
    }
}
