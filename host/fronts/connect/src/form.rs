//! What browsers send: the form of a page, and the query of a provider's redirect.
//!
//! A parameter that comes twice makes the whole unreadable (RFC 6749 §3.1): two readers might each take another one.

use std::collections::BTreeMap;

use holster_core::broker::{Callback, Choice, ChosenWay, CredentialKind};
use holster_core::types::{ConnectionId, SecretString};
use url::form_urlencoded;

/// The form field that says with which connection a person goes on who signs in.
pub(crate) const CONNECTION: &str = "connection";

/// The form field that says who they are.
pub(crate) const KEY: &str = "key";

/// The form field that says that they are somebody else than an issuer may think.
pub(crate) const ANEW: &str = "anew";

/// A person signs in.
pub(crate) struct SignInForm {
    /// With which connection they go on.
    pub(crate) connection: ConnectionId,
    /// Who they are, unless an issuer is to say it.
    pub(crate) key: Option<SecretString>,
    /// Whether the issuer is to ask them although it knows who was there last.
    pub(crate) anew: bool,
}

/// The form field that says which way a person chose.
pub(crate) const WAY: &str = "way";

const CONSENT: &str = "consent";
const DEVICE: &str = "device";
const ENTER: &str = "enter:";

/// What a person may enter.
const KINDS: [CredentialKind; 4] = [
    CredentialKind::ApiKey,
    CredentialKind::Basic,
    CredentialKind::KeyPair,
    CredentialKind::ClientCredentials,
];

/// The value of [`WAY`] for a way.
pub(crate) fn way_value(way: ChosenWay) -> String {
    match way {
        ChosenWay::Consent => CONSENT.to_owned(),
        ChosenWay::Device => DEVICE.to_owned(),
        ChosenWay::Enter(kind) => format!("{ENTER}{kind}"),
    }
}

fn parse_way(value: &str) -> Option<ChosenWay> {
    match value {
        CONSENT => Some(ChosenWay::Consent),
        DEVICE => Some(ChosenWay::Device),
        _ => {
            let name = value.strip_prefix(ENTER)?;
            let kind = KINDS.into_iter().find(|kind| kind.as_str() == name)?;
            Some(ChosenWay::Enter(kind))
        }
    }
}

/// What the form of a page says; `None` if no page of ours sends such a form.
pub(crate) fn choice(body: &[u8]) -> Option<Choice> {
    let mut fields = BTreeMap::new();
    let mut way = None;
    for (name, value) in form_urlencoded::parse(body) {
        let before = if name == WAY {
            way.replace(parse_way(&value)?).is_some()
        } else {
            let value = SecretString::from(value.into_owned());
            fields.insert(name.into_owned(), value).is_some()
        };
        if before {
            return None;
        }
    }
    Some(Choice { way: way?, fields })
}

/// What the form of a person who signs in says; `None` if no page of ours sends such a form.
pub(crate) fn sign_in(body: &[u8]) -> Option<SignInForm> {
    let (mut connection, mut key, mut anew) = (None, None, false);
    for (name, value) in form_urlencoded::parse(body) {
        let before = match &*name {
            CONNECTION => connection
                .replace(ConnectionId::new(&*value).ok()?)
                .is_some(),
            // What a person copies may have blanks around it.
            KEY => key.replace(SecretString::from(value.trim())).is_some(),
            ANEW => std::mem::replace(&mut anew, true),
            _ => true,
        };
        if before {
            return None;
        }
    }
    Some(SignInForm {
        connection: connection?,
        key,
        anew,
    })
}

/// What a provider's redirect brought along; `None` if it names no state, and so belongs to nothing.
pub(crate) fn callback(query: &str) -> Option<Callback> {
    let mut callback = Callback::default();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let value = value.into_owned();
        let before = match &*name {
            "state" => callback.state.replace(value.into()).is_some(),
            "code" => callback.code.replace(value.into()).is_some(),
            "iss" => callback.iss.replace(value).is_some(),
            "error" => callback.error.replace(value).is_some(),
            "error_description" => callback.error_description.replace(value).is_some(),
            _ => false,
        };
        if before {
            return None;
        }
    }
    callback.state.is_some().then_some(callback)
}

#[cfg(test)]
mod tests {
    use holster_core::types::ExposeSecret as _;

    use super::*;

    #[test]
    fn every_way_is_read_as_it_was_written() {
        let enter = KINDS.map(ChosenWay::Enter);
        for way in [ChosenWay::Consent, ChosenWay::Device]
            .into_iter()
            .chain(enter)
        {
            assert_eq!(parse_way(&way_value(way)), Some(way));
        }
    }

    #[test]
    fn a_form_is_a_way_with_fields() {
        let choice = choice(b"way=enter%3Abasic&username=anna&password=p%26%20q%3D").unwrap();
        assert_eq!(choice.way, ChosenWay::Enter(CredentialKind::Basic));
        let fields: Vec<_> = choice
            .fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.expose_secret()))
            .collect();
        assert_eq!(fields, [("password", "p& q="), ("username", "anna")]);
    }

    #[test]
    fn a_form_that_no_page_sends_is_none() {
        for body in [
            "",
            "token=x",
            "way=",
            "way=enter",
            "way=enter:oauth2",
            "way=enter:nothing",
            "way=consent&way=device",
            "way=device&a=1&a=2",
            "{\"way\":\"consent\"}",
            "\u{0}\u{1}",
        ] {
            assert!(choice(body.as_bytes()).is_none(), "{body:?}");
        }
    }

    #[test]
    fn a_redirect_is_read_only_with_one_state_and_nothing_twice() {
        let read = callback("state=s%20t&code=c&iss=https%3A%2F%2Fa&unknown=1&unknown=2").unwrap();
        assert_eq!(read.state.unwrap().expose_secret(), "s t");
        assert_eq!(read.code.unwrap().expose_secret(), "c");
        assert_eq!(read.iss.as_deref(), Some("https://a"));
        for query in [
            "",
            "code=c",
            "error=access_denied",
            "error=x&error_description=y",
            "state=a&state=b&code=c",
            "state=a&code=c&code=d",
            "state=a&code=c&iss=e&iss=f",
        ] {
            assert!(callback(query).is_none(), "{query}");
        }
    }
}
