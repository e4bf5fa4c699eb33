//! Where a request may go: a pattern over scheme, host and port.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// `[scheme://]host[:port]`, where the host may begin with `*.` for all of its subdomains.
///
/// The scheme is `https` unless written; the port is the scheme's own unless written. `*.example.com` does not
/// match `example.com` itself, and `*` alone is not a pattern: the whole network is never one entry of a list.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostPattern {
    scheme: Scheme,
    subdomains: bool,
    /// Lower case, punycode, without a trailing dot; an IPv6 address stands in brackets.
    host: String,
    port: u16,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Scheme {
    Http,
    Https,
}

impl Scheme {
    fn name(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }

    fn port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

/// A text that is no host pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{}` is not a host pattern: write `host`, `*.host`, `host:port` or `http://host:port`, without path or user",
    .0.escape_debug()
)]
pub struct InvalidHostPattern(String);

impl HostPattern {
    /// Whether a request to this origin fits. `host` is compared without regard to case or a trailing dot;
    /// an IPv6 address stands in brackets.
    pub fn matches(&self, scheme: &str, host: &str, port: u16) -> bool {
        if scheme != self.scheme.name() || port != self.port {
            return false;
        }
        let host = host.strip_suffix('.').unwrap_or(host);
        if self.subdomains {
            host.len() > self.host.len() + 1
                && host.is_char_boundary(host.len() - self.host.len())
                && host[host.len() - self.host.len()..].eq_ignore_ascii_case(&self.host)
                && host.as_bytes()[host.len() - self.host.len() - 1] == b'.'
        } else {
            host.eq_ignore_ascii_case(&self.host)
        }
    }

    /// Whether the pattern names one host, rather than all subdomains of one.
    pub fn is_exact(&self) -> bool {
        !self.subdomains
    }
}

impl FromStr for HostPattern {
    type Err = InvalidHostPattern;

    fn from_str(text: &str) -> Result<Self, InvalidHostPattern> {
        let invalid = || InvalidHostPattern(text.chars().take(200).collect());
        let (scheme, rest) = match text.split_once("://") {
            None => (Scheme::Https, text),
            Some(("https", rest)) => (Scheme::Https, rest),
            Some(("http", rest)) => (Scheme::Http, rest),
            Some(_) => return Err(invalid()),
        };
        let (subdomains, rest) = match rest.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        if rest.is_empty() || rest.contains(['/', '?', '#', '@', '\\', '*', '%']) {
            return Err(invalid());
        }
        // The parser of requests' URLs also reads the pattern, so that both spell a host in the same way.
        let url = Url::parse(&format!("{}://{rest}/", scheme.name())).map_err(|_| invalid())?;
        let host = match url.host().ok_or_else(invalid)? {
            Host::Domain(domain) => domain.strip_suffix('.').unwrap_or(domain).to_owned(),
            address if subdomains => return Err(InvalidHostPattern(format!("*.{address}"))),
            address => address.to_string(),
        };
        if host.is_empty() || (subdomains && !host.contains('.')) {
            return Err(invalid());
        }
        Ok(Self {
            scheme,
            subdomains,
            host,
            port: url.port().unwrap_or(scheme.port()),
        })
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.scheme == Scheme::Http {
            f.write_str("http://")?;
        }
        if self.subdomains {
            f.write_str("*.")?;
        }
        f.write_str(&self.host)?;
        if self.port != self.scheme.port() {
            write!(f, ":{}", self.port)?;
        }
        Ok(())
    }
}

impl fmt::Debug for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for HostPattern {
    type Error = InvalidHostPattern;
    fn try_from(text: String) -> Result<Self, InvalidHostPattern> {
        text.parse()
    }
}

impl From<HostPattern> for String {
    fn from(pattern: HostPattern) -> String {
        pattern.to_string()
    }
}

impl JsonSchema for HostPattern {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "HostPattern".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": r"^(https?://)?(\*\.)?[^/?#@\\*%]+$",
            "description": "`host`, `*.host` for all subdomains, `host:port`, or `http://host:port`. The scheme is https unless written.",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_fits_a_pattern_or_does_not() {
        for (pattern, scheme, host, port, fits) in [
            ("api.github.com", "https", "api.github.com", 443, true),
            ("api.github.com", "https", "API.GitHub.com.", 443, true),
            ("api.github.com", "http", "api.github.com", 80, false),
            ("api.github.com", "https", "api.github.com", 8443, false),
            ("api.github.com", "https", "evil-api.github.com", 443, false),
            ("*.slack.com", "https", "files.slack.com", 443, true),
            ("*.slack.com", "https", "a.b.slack.com", 443, true),
            ("*.slack.com", "https", "slack.com", 443, false),
            ("*.slack.com", "https", ".slack.com", 443, false),
            ("*.slack.com", "https", "evilslack.com", 443, false),
            ("http://127.0.0.1:8080", "http", "127.0.0.1", 8080, true),
            ("http://127.0.0.1:8080", "http", "127.0.0.1", 8081, false),
            ("http://[::1]:8080", "http", "[::1]", 8080, true),
            (
                "bücher.example",
                "https",
                "xn--bcher-kva.example",
                443,
                true,
            ),
        ] {
            let parsed: HostPattern = pattern.parse().unwrap();
            assert_eq!(
                parsed.matches(scheme, host, port),
                fits,
                "{pattern} against {scheme}://{host}:{port}"
            );
            assert_eq!(
                parsed.to_string().parse(),
                Ok(parsed),
                "{pattern} through text"
            );
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused_with_what_is() {
        for text in [
            "",
            "*",
            "*.",
            "*.com",
            "ftp://x",
            "user@host",
            "host/path",
            "host?x",
            "a*b.com",
            "*.127.0.0.1",
            "h:99999",
            "%41.com",
        ] {
            let error = text.parse::<HostPattern>().unwrap_err().to_string();
            assert!(error.contains("write `host`"), "{text}: {error}");
        }
    }
}
