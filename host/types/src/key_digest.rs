//! What is kept of a program's key.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The SHA-256 of a key. A key is 256 random bits, so that this is as good as a slow hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
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

impl TryFrom<String> for KeyDigest {
    type Error = InvalidDigest;

    fn try_from(text: String) -> Result<Self, InvalidDigest> {
        text.parse()
    }
}

impl From<KeyDigest> for String {
    fn from(digest: KeyDigest) -> String {
        digest.to_string()
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

impl JsonSchema for KeyDigest {
    fn schema_name() -> Cow<'static, str> {
        "KeyDigest".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[0-9A-Fa-f]{64}$",
            "description": "The 64 hexadecimal digits that `holster key new` prints.",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_as_it_was_written_and_nothing_else_is() {
        let digest = KeyDigest::of("a key");
        let text = digest.to_string();
        assert_eq!(text.parse::<KeyDigest>().unwrap(), digest);
        assert_ne!(KeyDigest::of("another key"), digest);
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
}
