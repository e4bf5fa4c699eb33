//! Names, each with its own type, so that a profile is never passed where a provider is meant.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A name that breaks the rule of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a {kind}: use {rule}", .name.escape_debug())]
pub struct InvalidName {
    kind: &'static str,
    name: String,
    rule: &'static str,
}

macro_rules! names {
    ($($(#[$doc:meta])* $type:ident, $kind:literal, $rule:literal, $pattern:literal, $max:literal, $valid:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(Arc<str>);

        impl $type {
            /// Parses a name. The error says what is allowed.
            pub fn new(name: impl AsRef<str>) -> Result<Self, InvalidName> {
                let name = name.as_ref();
                let valid: fn(u8) -> bool = $valid;
                if (1..=$max).contains(&name.len()) && name.bytes().all(valid) {
                    Ok(Self(name.into()))
                } else {
                    Err(InvalidName { kind: $kind, name: shortened(name), rule: $rule })
                }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = InvalidName;
            fn from_str(name: &str) -> Result<Self, InvalidName> {
                Self::new(name)
            }
        }

        impl TryFrom<String> for $type {
            type Error = InvalidName;
            fn try_from(name: String) -> Result<Self, InvalidName> {
                Self::new(name)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.0.as_ref().to_owned()
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern, "description": $rule })
            }
        }
    )*};
}

const fn identifier(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-')
}

const fn name(byte: u8) -> bool {
    matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-')
}

const fn printable(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e)
}

names! {
    /// A tool, as agents call it. What the strictest model vendors accept.
    ToolName, "tool name", "1 to 64 characters of `A-Z a-z 0-9 _ -`", "^[A-Za-z0-9_-]{1,64}$", 64, name;

    /// A component: the stem of its file in the plugin directory.
    ComponentName, "component name", "1 to 128 characters of `A-Z a-z 0-9 _ -`", "^[A-Za-z0-9_-]{1,128}$", 128, name;

    /// A provider in the catalogue, such as `slack`.
    ProviderId, "provider id", "1 to 64 characters of `a-z 0-9 _ -`", "^[a-z0-9_-]{1,64}$", 64, identifier;

    /// A persona of one user, such as `work`.
    ProfileName, "profile name", "1 to 64 characters of `a-z 0-9 _ -`", "^[a-z0-9_-]{1,64}$", 64, identifier;

    /// A server whose tokens are accepted from callers, as the configuration calls it.
    IssuerName, "name of an issuer", "1 to 32 characters of `a-z 0-9 _ -`", "^[a-z0-9_-]{1,32}$", 32, identifier;

    /// The user that a request acts for. On a laptop there is one, [`TenantId::local`].
    TenantId, "tenant id", "1 to 128 printable ASCII characters without spaces", "^[!-~]{1,128}$", 128, printable;

    /// One attempt of a person to authorise. Short enough to be read aloud, long enough not to be guessed.
    ConnectionId, "connection id", "1 to 64 characters of `A-Z a-z 0-9 _ -`", "^[A-Za-z0-9_-]{1,64}$", 64, name;

    /// One conversation.
    ThreadId, "thread id", "1 to 128 printable ASCII characters without spaces", "^[!-~]{1,128}$", 128, printable;
}

impl TenantId {
    /// The one user of a laptop.
    pub fn local() -> Self {
        Self("local".into())
    }

    /// The user whom an issuer knows by that text, which is not empty: `ISSUER/USER`, or `ISSUER//` and a hash where the
    /// text does not fit. No two users share one, of whichever issuers, and none is [`TenantId::local`].
    pub fn of_issuer(issuer: &IssuerName, user: &str) -> Self {
        // What begins with a slash could be taken for a hash.
        let plain = (!user.is_empty() && !user.starts_with('/'))
            .then(|| Self::new(format!("{issuer}/{user}")).ok())
            .flatten();
        plain.unwrap_or_else(|| {
            let hash = blake3::hash(user.as_bytes()).to_hex();
            Self(format!("{issuer}//{hash}").into())
        })
    }

    /// Whether it is a user of that issuer.
    pub fn is_of_issuer(&self, issuer: &IssuerName) -> bool {
        self.0
            .split_once('/')
            .is_some_and(|(name, _)| name == issuer.as_str())
    }
}

/// The beginning of a name that may be of any length, for an error text.
fn shortened(name: &str) -> String {
    const SHOWN: usize = 80;
    match name.char_indices().nth(SHOWN) {
        None => name.to_owned(),
        Some((end, _)) => format!("{}…", &name[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_accepted_or_refused_by_the_rule_of_its_kind() {
        let long = "x".repeat(65);
        for (name, tool, profile) in [
            ("github_issues", true, true),
            ("Work", true, false),
            ("", false, false),
            ("a b", false, false),
            ("../etc", false, false),
            ("naïve", false, false),
            (long.as_str(), false, false),
        ] {
            assert_eq!(ToolName::new(name).is_ok(), tool, "tool {name:?}");
            assert_eq!(ProfileName::new(name).is_ok(), profile, "profile {name:?}");
        }
    }

    #[test]
    fn the_error_names_the_kind_and_the_rule_and_stays_short() {
        let error = ProviderId::new("Slack!".repeat(1000))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("is not a provider id: use 1 to 64 characters of `a-z 0-9 _ -`"),
            "{error}"
        );
        assert!(error.len() < 600, "{}", error.len());
    }

    #[test]
    fn users_of_issuers_are_told_apart_whatever_they_are_called() {
        let issuers = ["a", "a-b", "local"].map(|name| IssuerName::new(name).unwrap());
        let hash_of_x = blake3::hash(b"x y").to_hex().to_string();
        let long = "x".repeat(500);
        let users = [
            "ann",
            "Ann",
            "local",
            "b/ann",
            "auth0|5f7",
            "ann@example.com",
            "x y",
            "/x y",
            &format!("/{hash_of_x}"),
            "änn",
            &long,
            &long[1..],
        ];
        let tenants: std::collections::HashSet<_> = issuers
            .iter()
            .flat_map(|issuer| {
                users
                    .iter()
                    .map(move |user| TenantId::of_issuer(issuer, user))
            })
            .collect();
        assert_eq!(tenants.len(), issuers.len() * users.len());
        assert!(!tenants.contains(&TenantId::local()));
        for tenant in &tenants {
            assert!(TenantId::new(tenant.as_str()).is_ok(), "{tenant}");
            let owners = issuers.iter().filter(|issuer| tenant.is_of_issuer(issuer));
            assert_eq!(owners.count(), 1, "{tenant}");
        }
        let ann = TenantId::of_issuer(&issuers[0], "ann@example.com");
        assert_eq!(ann.as_str(), "a/ann@example.com");
    }

    #[test]
    fn a_name_in_json_is_checked_when_it_is_read() {
        assert!(serde_json::from_str::<ProfileName>("\"work\"").is_ok());
        assert!(serde_json::from_str::<ProfileName>("\"wo/rk\"").is_err());
    }
}
