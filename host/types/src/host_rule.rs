//! What may be asked of a host: everything, or some methods below some path.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::host_pattern::HostPattern;

/// A host pattern, perhaps with the path that requests must lie below and the methods that they may have.
///
/// Written as the pattern alone, or as `{ host = "…", path = "/v1/", methods = ["GET"] }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRule {
    host: HostPattern,
    /// It begins with `/`. Without one at its end, it is a path of its own as well as the beginning of others.
    path: Option<String>,
    /// In capitals. Empty: all.
    methods: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    host: HostPattern,
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    methods: Vec<String>,
}

impl HostRule {
    /// Whether it is about this origin; see [`HostPattern::matches`].
    pub fn is_about(&self, scheme: &str, host: &str, port: u16) -> bool {
        self.host.matches(scheme, host, port)
    }

    /// Whether a request with this method and path may go there, if it is about that host. A path that a server may read
    /// as another one (dot segments, encoded dots, slashes and backslashes) lies below no path.
    pub fn allows(&self, method: &str, path: &str) -> bool {
        let fits = |own: &String| own == method;
        (self.methods.is_empty() || self.methods.iter().any(fits))
            && self
                .path
                .as_deref()
                .is_none_or(|own| is_plain(path) && lies_below(path, own))
    }

    /// Whether something of the host is left out.
    pub fn is_narrow(&self) -> bool {
        self.path.is_some() || !self.methods.is_empty()
    }

    /// The host.
    pub fn host(&self) -> &HostPattern {
        &self.host
    }

    /// What may be asked of the host, in words: `GET, HEAD below /v1/`.
    pub fn part(&self) -> String {
        let methods = match self.methods.as_slice() {
            [] => "requests".to_owned(),
            methods => methods.join(", "),
        };
        match &self.path {
            None => methods,
            Some(path) => format!("{methods} below {path}"),
        }
    }
}

fn lies_below(path: &str, own: &str) -> bool {
    let rest = path.strip_prefix(own);
    rest.is_some_and(|rest| own.ends_with('/') || rest.is_empty() || rest.starts_with('/'))
}

/// Whether every server reads the path in the same way.
fn is_plain(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    let hides = |part: &str| lower.contains(part);
    !["%2e", "%2f", "%5c", "%00", "\\", "//"]
        .into_iter()
        .any(hides)
        && !lower
            .split('/')
            // Some servers cut off what follows a semicolon.
            .any(|segment| matches!(segment.split(';').next(), Some("." | "..")))
}

impl From<HostPattern> for HostRule {
    fn from(host: HostPattern) -> Self {
        Self {
            host,
            path: None,
            methods: Vec::new(),
        }
    }
}

impl TryFrom<Written> for HostRule {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let Written {
            host,
            path,
            methods,
        } = written;
        if let Some(path) = &path {
            let is_path =
                path.starts_with('/') && !path.contains(['?', '#', ' ']) && is_plain(path);
            if !is_path {
                return Err(format!(
                    "`{}` is not a path: write `/v1/`, without query, dot segments and encoded slashes",
                    path.escape_debug()
                ));
            }
        }
        let is_wrong = |method: &&String| {
            method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase())
        };
        if let Some(wrong) = methods.iter().find(is_wrong) {
            return Err(format!(
                "`{}` is not a method: write it in capitals, such as `GET`",
                wrong.escape_debug()
            ));
        }
        Ok(Self {
            host,
            path,
            methods,
        })
    }
}

impl fmt::Display for HostRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.host.fmt(f)?;
        if self.is_narrow() {
            write!(f, " ({})", self.part())?;
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for HostRule {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(RuleVisitor)
    }
}

/// By hand, so that an error says what is wrong, and not that neither form fits.
struct RuleVisitor;

impl<'de> Visitor<'de> for RuleVisitor {
    type Value = HostRule;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a host pattern, or a table with `host`, `path` and `methods`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<HostRule, E> {
        let host: HostPattern = text.parse().map_err(E::custom)?;
        Ok(host.into())
    }

    fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<HostRule, M::Error> {
        let written = Written::deserialize(MapAccessDeserializer::new(map))?;
        written.try_into().map_err(de::Error::custom)
    }
}

impl Serialize for HostRule {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl JsonSchema for HostRule {
    fn schema_name() -> Cow<'static, str> {
        "HostRule".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let host = generator.subschema_for::<HostPattern>();
        json_schema!({
            "description": "A host, or a part of what it offers: `{ host = \"…\", path = \"/v1/\", methods = [\"GET\"] }`.",
            "anyOf": [
                host,
                {
                    "type": "object",
                    "properties": {
                        "host": host,
                        "path": { "type": "string", "pattern": "^/[^?# ]*$", "description": "What requests must lie below." },
                        "methods": {
                            "type": "array",
                            "items": { "type": "string", "pattern": "^[A-Z]+$" },
                            "description": "The methods that requests may have. Default: all.",
                        },
                    },
                    "required": ["host"],
                    "additionalProperties": false,
                },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn rule(written: &Value) -> Result<HostRule, String> {
        serde_json::from_value(written.clone()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_request_lies_below_a_path_or_does_not() {
        for (own, path, below) in [
            ("/v1/", "/v1/users", true),
            ("/v1/", "/v1/", true),
            ("/v1/", "/v1", false),
            ("/v1/", "/v10/users", false),
            ("/v1", "/v1", true),
            ("/v1", "/v1/users", true),
            ("/v1", "/v10", false),
            ("/", "/anything", true),
            ("/v1/", "/V1/users", false),
            ("/v1/", "/v1/../admin", false),
            ("/v1/", "/v1/./users", false),
            ("/v1/", "/v1/..", false),
            ("/v1/", "/v1/..;x=y/admin", false),
            ("/v1/", "/v1/%2e%2e/admin", false),
            ("/v1/", "/v1/%2E./admin", false),
            ("/v1/", "/v1/..%2fadmin", false),
            ("/v1/", "/v1/x%5c..%5cadmin", false),
            ("/v1/", "/v1/\\..\\admin", false),
            ("/v1/", "/v1//admin", false),
            ("/v1/", "//v1/users", false),
            ("/v1/", "/v1/a.b", true),
            ("/v1/", "/v1/a..b", true),
            ("/v1/", "/v1/a%20b", true),
        ] {
            let rule = rule(&json!({ "host": "api.example.com", "path": own })).unwrap();
            assert_eq!(rule.allows("GET", path), below, "{own} {path}");
        }
    }

    #[test]
    fn a_method_is_one_of_those_that_are_named() {
        let narrow = json!({ "host": "api.example.com", "methods": ["GET", "HEAD"] });
        let narrow = rule(&narrow).unwrap();
        let wide = rule(&json!("api.example.com")).unwrap();
        for (method, allowed) in [
            ("GET", true),
            ("HEAD", true),
            ("POST", false),
            ("get", false),
        ] {
            assert_eq!(narrow.allows(method, "/../x"), allowed, "{method}");
            assert!(wide.allows(method, "/../x"));
        }
        assert!(narrow.is_about("https", "api.example.com", 443));
        assert!(!narrow.is_about("http", "api.example.com", 80));
        assert_eq!(narrow.to_string(), "api.example.com (GET, HEAD)");
        assert_eq!(wide.to_string(), "api.example.com");
    }

    #[test]
    fn what_is_no_rule_is_refused_with_the_reason() {
        for (written, reason) in [
            (json!("https://api.example.com/v1"), "is not a host pattern"),
            (json!({ "path": "/v1/" }), "missing field `host`"),
            (
                json!({ "host": "a.example", "path": "v1" }),
                "`v1` is not a path",
            ),
            (
                json!({ "host": "a.example", "path": "/v1/../x" }),
                "is not a path",
            ),
            (
                json!({ "host": "a.example", "path": "/v1?x" }),
                "is not a path",
            ),
            (
                json!({ "host": "a.example", "methods": ["get"] }),
                "`get` is not a method",
            ),
            (
                json!({ "host": "a.example", "methods": [""] }),
                "is not a method",
            ),
            (
                json!({ "host": "a.example", "method": "GET" }),
                "unknown field `method`",
            ),
            (json!(7), "a host pattern, or a table"),
        ] {
            let error = rule(&written).unwrap_err();
            assert!(error.contains(reason), "{written}: {error}");
        }
    }
}
