//! How a secret is written: into sealed storage alone. A field names this module, or [`optional`], as its form.

use holster_types::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// What holds secrets, as sealed storage takes it.
pub(crate) fn to_bytes(value: &impl Serialize) -> Zeroizing<Vec<u8>> {
    // Sized at once: a growing buffer would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(64 * 1024));
    serde_json::to_writer(&mut *bytes, value).expect("it is JSON");
    bytes
}

pub(crate) fn serialize<S: Serializer>(text: &SecretString, to: S) -> Result<S::Ok, S::Error> {
    text.expose_secret().serialize(to)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SecretString, D::Error> {
    String::deserialize(from).map(Into::into)
}

pub(crate) mod optional {
    use holster_types::{ExposeSecret as _, SecretString};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "serde calls it so")]
    pub(crate) fn serialize<S: Serializer>(
        text: &Option<SecretString>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        text.as_ref().map(SecretString::expose_secret).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<SecretString>, D::Error> {
        Option::<String>::deserialize(from).map(|text| text.map(Into::into))
    }
}
