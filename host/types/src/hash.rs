//! The identity of a component: the hash of its bytes.

use std::str::FromStr;
use std::{fmt, io};

use serde::{Deserialize, Serialize};

/// The BLAKE3 hash of a component's bytes. Two files with the same hash are the same component.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ComponentHash([u8; 32]);

/// A text that is not 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a component hash is 64 hexadecimal digits")]
pub struct InvalidHash;

impl ComponentHash {
    /// The hash of a component's bytes.
    pub fn of(component: &[u8]) -> Self {
        Self(*blake3::hash(component).as_bytes())
    }

    /// The hash of what a component's file holds, of which no more than a piece is in memory at a time. Fails as reading it does.
    pub fn of_file(component: impl io::Read) -> io::Result<Self> {
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(component)?;
        Ok(Self(*hasher.finalize().as_bytes()))
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first 12 digits: enough for a person to tell components apart.
    pub fn short(&self) -> String {
        self.to_string()[..12].to_owned()
    }
}

impl FromStr for ComponentHash {
    type Err = InvalidHash;
    fn from_str(text: &str) -> Result<Self, InvalidHash> {
        blake3::Hash::from_hex(text)
            .map(|hash| Self(*hash.as_bytes()))
            .map_err(|_| InvalidHash)
    }
}

impl TryFrom<String> for ComponentHash {
    type Error = InvalidHash;
    fn try_from(text: String) -> Result<Self, InvalidHash> {
        text.parse()
    }
}

impl From<ComponentHash> for String {
    fn from(hash: ComponentHash) -> String {
        hash.to_string()
    }
}

impl fmt::Display for ComponentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for ComponentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_survives_the_way_through_text() {
        let hash = ComponentHash::of(b"component");
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert_eq!("short".parse::<ComponentHash>(), Err(InvalidHash));
    }
}
