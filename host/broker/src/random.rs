//! Random values that nobody can guess.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use holster_types::{ConnectionId, SecretString};

/// Bytes of a token: 256 bits.
const TOKEN: usize = 32;

/// Bytes of an id: 128 bits.
const ID: usize = 16;

/// 256 random bits, in 43 characters that need no escaping anywhere.
pub(crate) fn token() -> SecretString {
    let mut bytes = zeroize::Zeroizing::new([0; TOKEN]);
    fill(&mut *bytes);
    URL_SAFE_NO_PAD.encode(*bytes).into()
}

/// Whether the text has the form of a [`token`].
pub(crate) fn is_token(text: &str) -> bool {
    text.len() == 43
        && URL_SAFE_NO_PAD
            .decode(text)
            .is_ok_and(|bytes| bytes.len() == TOKEN)
}

/// A new id for a connection.
pub(crate) fn connection_id() -> ConnectionId {
    let mut bytes = [0; ID];
    fill(&mut bytes);
    ConnectionId::new(URL_SAFE_NO_PAD.encode(bytes)).expect("22 characters of its alphabet")
}

/// Fills `bytes` from the system's generator.
pub(crate) fn fill(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the system has random bytes");
}

#[cfg(test)]
mod tests {
    use holster_types::ExposeSecret;

    use super::*;

    #[test]
    fn a_token_is_known_by_its_form_and_never_comes_twice() {
        let (one, other) = (token(), token());
        assert!(is_token(one.expose_secret()));
        assert_ne!(one.expose_secret(), other.expose_secret());
        for wrong in ["", "x", &"x".repeat(42), &"/".repeat(43), &"x".repeat(44)] {
            assert!(!is_token(wrong), "{wrong}");
        }
    }
}
