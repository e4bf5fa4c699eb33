//! A server that the operator trusts, by its address.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// An `https` address, or one of this machine itself. Kept as it was written, since servers call themselves by texts.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServerUrl {
    text: String,
    url: Url,
}

/// A text that is no address of a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{}` is not the address of a server: write `https://host/path`, or `http://` and an address of this machine, \
     without user and `#`",
    .0.escape_debug()
)]
pub struct InvalidServerUrl(String);

impl ServerUrl {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The same, taken apart.
    pub fn url(&self) -> &Url {
        &self.url
    }
}

/// Whether nobody on the way can read what is sent to an address, or change it: `https`, or `http` to this machine.
pub fn travels_safely(url: &Url) -> bool {
    let is_this_machine = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && is_this_machine)
}

impl TryFrom<String> for ServerUrl {
    type Error = InvalidServerUrl;

    fn try_from(text: String) -> Result<Self, InvalidServerUrl> {
        let Ok(url) = Url::parse(&text) else {
            return Err(InvalidServerUrl(text));
        };
        let is_plain =
            url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        if travels_safely(&url) && is_plain {
            Ok(Self { text, url })
        } else {
            Err(InvalidServerUrl(text))
        }
    }
}

impl From<ServerUrl> for String {
    fn from(server: ServerUrl) -> String {
        server.text
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl JsonSchema for ServerUrl {
    fn schema_name() -> Cow<'static, str> {
        "ServerUrl".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^https?://[^#@]+$",
            "description": "An `https://` address, or an `http://` address of this machine.",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_to_a_server_can_be_read_by_nobody_else() {
        for (text, accepted) in [
            ("https://login.example.com", true),
            ("https://login.example.com/a/b?c=d", true),
            ("http://127.0.0.1:8080", true),
            ("http://[::1]:8080/", true),
            ("http://localhost", true),
            ("http://login.example.com", false),
            ("http://10.0.0.1", false),
            ("http://localhost.example.com", false),
            ("https://user@login.example.com", false),
            ("https://:x@login.example.com", false),
            ("https://login.example.com#a", false),
            ("https://", false),
            ("file:///etc/passwd", false),
            ("login.example.com", false),
            ("", false),
        ] {
            let server = ServerUrl::try_from(text.to_owned());
            assert_eq!(server.is_ok(), accepted, "{text}");
            if let Ok(server) = server {
                assert_eq!(server.as_str(), text);
            }
        }
    }
}
