//! Sealing: what is at rest, and what it is bound to.
//!
//! XChaCha20-Poly1305 with a random nonce in front. Whatever stands in the open beside a ciphertext goes into its
//! associated data, so that a ciphertext opens only in its own place. Keys are zeroed when dropped.

use std::fmt;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

const NONCE: usize = 24;

/// A key of 256 bits.
pub struct Key(Zeroizing<[u8; 32]>);

impl Key {
    pub(super) fn random() -> Self {
        let mut key = Zeroizing::new([0; 32]);
        crate::random::fill(&mut *key);
        Self(key)
    }

    /// The key in these bytes, if there are 32.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; 32] = bytes.try_into().ok()?;
        Some(Self(Zeroizing::new(*bytes)))
    }

    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Nonce and ciphertext of `plaintext`, bound to `context`.
    pub(super) fn seal(&self, context: &Context, plaintext: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE];
        crate::random::fill(&mut nonce);
        let payload = Payload {
            msg: plaintext,
            aad: &context.0,
        };
        let ciphertext = self
            .cipher()
            .encrypt(&XNonce::from(nonce), payload)
            .expect("a secret is shorter than the 256 GiB that the cipher can take");
        [&nonce[..], &ciphertext].concat()
    }

    /// The plaintext; `None` if the key, the context or a single bit is not as it was.
    pub(super) fn open(&self, context: &Context, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE>()?;
        let payload = Payload {
            msg: ciphertext,
            aad: &context.0,
        };
        self.cipher()
            .decrypt(&XNonce::from(*nonce), payload)
            .ok()
            .map(Zeroizing::new)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.0).into())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key([redacted])")
    }
}

/// What a ciphertext is bound to: a purpose, and fields that cannot run into one another.
pub(super) struct Context(Vec<u8>);

impl Context {
    pub(super) fn new(purpose: &str) -> Self {
        Self(Vec::new()).with(purpose)
    }

    pub(super) fn with(mut self, field: impl AsRef<[u8]>) -> Self {
        let field = field.as_ref();
        self.0
            .extend_from_slice(&(field.len() as u64).to_le_bytes());
        self.0.extend_from_slice(field);
        self
    }

    /// A field that may be missing, which is not the same as empty.
    pub(super) fn with_optional(self, field: Option<impl AsRef<[u8]>>) -> Self {
        match field {
            None => self.with([0]),
            Some(field) => self.with([1]).with(field),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_opens_only_with_its_key_and_in_its_place() {
        let key = Key::random();
        let place = || Context::new("test").with("a").with("bc");
        let sealed = key.seal(&place(), b"secret");
        assert_eq!(key.open(&place(), &sealed).unwrap().as_slice(), b"secret");

        assert!(
            Key::random().open(&place(), &sealed).is_none(),
            "another key"
        );
        let shifted = Context::new("test").with("ab").with("c");
        assert!(
            key.open(&shifted, &sealed).is_none(),
            "fields that join to the same text"
        );
        for position in 0..sealed.len() {
            let mut flipped = sealed.clone();
            flipped[position] ^= 1;
            assert!(key.open(&place(), &flipped).is_none(), "byte {position}");
            assert!(
                key.open(&place(), &sealed[..position]).is_none(),
                "cut at {position}"
            );
        }
    }

    #[test]
    fn the_same_secret_is_never_sealed_twice_in_the_same_way() {
        let key = Key::random();
        let place = Context::new("test");
        assert_ne!(key.seal(&place, b"secret"), key.seal(&place, b"secret"));
    }

    #[test]
    fn a_missing_field_is_not_an_empty_one() {
        let key = Key::random();
        let sealed = key.seal(&Context::new("test").with_optional(None::<&str>), b"secret");
        assert!(
            key.open(&Context::new("test").with_optional(Some("")), &sealed)
                .is_none()
        );
    }
}
