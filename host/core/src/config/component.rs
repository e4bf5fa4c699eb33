//! `[components.NAME]`: what single components may do, by name or by pattern.
//!
//! One entry decides for a component, and nothing of another one is added: its own name's, or else that of the pattern
//! with the longest text. Two patterns that could decide for the same name are an error of the configuration.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use holster_runtime::Folder;
use holster_types::{ComponentName, HostRule, ProfileName, ProviderId};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::LimitsConfig;
use super::serve::Wrong;

/// A component's name, or a pattern for several: `*` stands for any text, the empty one too.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct ComponentPattern(String);

/// A text that is no pattern for names of components.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{}` is not a component name or a pattern for some: use 1 to 128 characters of `A-Z a-z 0-9 _ -`, and `*` for any text",
    .0.escape_debug()
)]
pub struct InvalidComponentPattern(String);

impl ComponentPattern {
    /// Whether it is meant for that component.
    pub fn matches(&self, component: &ComponentName) -> bool {
        let name = component.as_str();
        let Some((first, rest)) = self.0.split_once('*') else {
            return self.0 == name;
        };
        let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
        let inner = name.strip_prefix(first);
        let Some(mut inner) = inner.and_then(|inner| inner.strip_suffix(last)) else {
            return false;
        };
        middle.split('*').all(|piece| match inner.find(piece) {
            None => false,
            Some(start) => {
                inner = &inner[start + piece.len()..];
                true
            }
        })
    }

    /// Whether it is the name of one component.
    pub fn is_name(&self) -> bool {
        !self.0.contains('*')
    }

    /// How much of a name it says.
    fn text(&self) -> usize {
        self.0.bytes().filter(|byte| *byte != b'*').count()
    }

    /// Whether there is a name that both match.
    fn overlaps(&self, other: &Self) -> bool {
        let (own, other) = (self.0.as_bytes(), other.0.as_bytes());
        // By how much of the one is left, and how much of the other: whether the rests can be the same text.
        let mut meet = vec![vec![false; other.len() + 1]; own.len() + 1];
        for i in (0..=own.len()).rev() {
            for j in (0..=other.len()).rev() {
                meet[i][j] = match (own.get(i), other.get(j)) {
                    (None, None) => true,
                    (Some(b'*'), there) => meet[i + 1][j] || (there.is_some() && meet[i][j + 1]),
                    (here, Some(b'*')) => meet[i][j + 1] || (here.is_some() && meet[i + 1][j]),
                    (Some(here), Some(there)) => here == there && meet[i + 1][j + 1],
                    (None, Some(_)) | (Some(_), None) => false,
                };
            }
        }
        meet[0][0]
    }
}

/// No name of a component has a `*` in it, so that it is found as itself alone.
impl Borrow<str> for ComponentPattern {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for ComponentPattern {
    type Err = InvalidComponentPattern;

    fn from_str(text: &str) -> Result<Self, InvalidComponentPattern> {
        let is_valid =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'*');
        if (1..=128).contains(&text.len()) && text.bytes().all(is_valid) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidComponentPattern(text.chars().take(80).collect()))
        }
    }
}

impl TryFrom<String> for ComponentPattern {
    type Error = InvalidComponentPattern;

    fn try_from(text: String) -> Result<Self, InvalidComponentPattern> {
        text.parse()
    }
}

/// As the table of the configuration is called: `components.messages`, `components."acme-*"`.
impl fmt::Display for ComponentPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_name() {
            write!(f, "components.{}", self.0)
        } else {
            write!(f, "components.\"{}\"", self.0)
        }
    }
}

impl fmt::Debug for ComponentPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl JsonSchema for ComponentPattern {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ComponentPattern".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[A-Za-z0-9_*-]{1,128}$" })
    }
}

/// `[components.NAME]`
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ComponentConfig {
    /// Hosts that the component may reach besides those of its providers, or parts of them: `"api.example.com"`, or
    /// `{ host = "api.example.com", path = "/v1/", methods = ["GET"] }`. No secret is sent to them. A host of a provider that
    /// is named here is narrowed to that part.
    pub hosts: Vec<HostRule>,
    /// Settings that the component reads by `wasi:config`.
    pub config: BTreeMap<String, String>,
    /// Folders of this machine that the component may use.
    pub folders: Vec<FolderConfig>,
    /// Providers whose variables (`SLACK_BOT_TOKEN`…) are set in the component's environment, with sealed tokens
    /// unless `reveal` names the provider too.
    pub environment: Vec<ProviderId>,
    /// Providers whose secrets the component may see itself.
    pub reveal: Vec<ProviderId>,
    /// The only providers at which the component may use accounts. Default: those that its tools require.
    pub providers: Option<BTreeSet<ProviderId>>,
    /// The only profiles for which the component may be called. Default: all.
    #[schemars(length(min = 1))]
    pub profiles: Option<BTreeSet<ProfileName>>,
    /// Limits other than those for all components.
    pub limits: LimitsConfig,
}

/// A folder of `folders`: `{ path = "reports", as = "/reports", write = false }`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FolderConfig {
    /// The folder on this machine. None of Holster's own.
    pub path: PathBuf,
    /// Where the component finds it: an absolute path, such as `/reports`.
    #[serde(rename = "as")]
    pub at: String,
    /// Whether the component may change what is in it. Default false.
    #[serde(default)]
    pub write: bool,
}

impl FolderConfig {
    pub(super) fn for_guest(&self) -> Folder {
        Folder {
            path: self.path.clone(),
            at: self.at.clone(),
            write: self.write,
        }
    }

    /// Why the component could not find it where it is said, if it could not.
    fn misplaced(&self) -> Option<String> {
        let is_plain = |part: &str| {
            !matches!(part, "" | "." | "..")
                && !part.contains(|char: char| char.is_control() || char == '\\')
        };
        let plain = match self.at.strip_prefix('/') {
            Some("") => true,
            Some(path) => path.len() < 256 && path.split('/').all(is_plain),
            None => false,
        };
        let rule = "`as` must be an absolute path such as `/reports`, without `.`, `..` and `//`";
        (!plain).then(|| rule.to_owned())
    }
}

/// The entries of `[components]`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Components(BTreeMap<ComponentPattern, ComponentConfig>);

impl Components {
    /// The entry that decides for a component, and how the configuration calls it.
    pub fn of(&self, component: &ComponentName) -> Option<(&ComponentPattern, &ComponentConfig)> {
        let own = self.0.get_key_value(component.as_str());
        own.or_else(|| {
            let matching = self.0.iter().filter(|(entry, _)| entry.matches(component));
            matching.max_by_key(|(entry, _)| entry.text())
        })
    }

    pub(super) fn iter_mut(
        &mut self,
    ) -> impl Iterator<Item = (&ComponentPattern, &mut ComponentConfig)> {
        self.0.iter_mut()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&ComponentPattern, &ComponentConfig)> {
        self.0.iter()
    }

    /// What is wrong, and where.
    pub(super) fn check(&self) -> Result<(), Wrong> {
        let patterns: Vec<_> = self.0.keys().filter(|entry| !entry.is_name()).collect();
        for (position, one) in patterns.iter().enumerate() {
            let mut others = patterns[..position].iter();
            if let Some(other) =
                others.find(|other| other.text() == one.text() && other.overlaps(one))
            {
                let why = format!(
                    "a component could be meant by it and by `{other}`, and neither says more of the name: make one of them \
                     longer"
                );
                return Err((one.to_string(), why));
            }
        }
        for (entry, own) in &self.0 {
            if own.profiles.as_ref().is_some_and(BTreeSet::is_empty) {
                let why = "it must name one at least; without the line, all profiles may be served";
                return Err((format!("{entry}.profiles"), why.to_owned()));
            }
            let mut places = BTreeSet::new();
            for folder in &own.folders {
                let twice = || "two folders have the same `as`".to_owned();
                let wrong = folder
                    .misplaced()
                    .or_else(|| (!places.insert(&folder.at)).then(twice));
                if let Some(wrong) = wrong {
                    return Err((format!("{entry}.folders"), wrong));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::Config;

    fn pattern(text: &str) -> ComponentPattern {
        text.parse().unwrap()
    }

    #[test]
    fn a_pattern_matches_a_name_or_does_not() {
        for (text, name, matches) in [
            ("acme", "acme", true),
            ("acme", "acme-x", false),
            ("acme-*", "acme-x", true),
            ("acme-*", "acme-", true),
            ("acme-*", "acm", false),
            ("acme-*", "an-acme-x", false),
            ("*-x", "acme-x", true),
            ("*", "anything", true),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "acb", false),
            ("a*bc*c", "abc", false),
            ("a**c", "abc", true),
            ("*b*b*", "xbx", false),
            ("*b*b*", "xbxb", true),
        ] {
            let name = ComponentName::new(name).unwrap();
            assert_eq!(pattern(text).matches(&name), matches, "{text} {name}");
            // A name is the pattern that matches itself alone.
            assert_eq!(
                pattern(text).overlaps(&pattern(name.as_str())),
                matches,
                "{text} {name}"
            );
        }
        for text in ["", "a.b", "a?", "[a]", "ä*", &"a".repeat(129)] {
            assert!(text.parse::<ComponentPattern>().is_err(), "{text}");
        }
    }

    #[test]
    fn patterns_overlap_where_a_name_is_meant_by_both() {
        for (one, other, overlap) in [
            ("acme-*", "*-tool", true),
            ("acme-*", "acme-x*", true),
            ("a*", "b*", false),
            ("*a", "*b", false),
            ("a*b", "b*a", false),
            ("*a*", "*b*", true),
            ("ab*", "a", false),
        ] {
            for (one, other) in [(one, other), (other, one)] {
                assert_eq!(
                    pattern(one).overlaps(&pattern(other)),
                    overlap,
                    "{one} {other}"
                );
            }
        }
    }

    #[test]
    fn the_name_decides_before_patterns_and_of_patterns_the_longest() {
        let components: Components =
            toml::from_str("['*']\n['acme-*']\n['acme-m*']\n[acme-mail]").unwrap();
        components.check().unwrap();
        for (name, entry) in [
            ("other", "components.\"*\""),
            ("acme-post", "components.\"acme-*\""),
            ("acme-maps", "components.\"acme-m*\""),
            ("acme-mail", "components.acme-mail"),
        ] {
            let found = components.of(&ComponentName::new(name).unwrap());
            assert_eq!(found.unwrap().0.to_string(), entry, "{name}");
        }
        let none: Components = toml::from_str("['acme-*']").unwrap();
        assert!(none.of(&ComponentName::new("other").unwrap()).is_none());
    }

    #[test]
    fn an_entry_that_means_nothing_is_refused_with_what_is_wrong() {
        for (text, parts) in [
            (
                "['components'.'a.b']",
                &[
                    "line 1",
                    "is not a component name or a pattern",
                    "`A-Z a-z 0-9 _ -`, and `*`",
                ][..],
            ),
            (
                "[components.'a-*']\n[components.'*-a']",
                &[
                    "components.\"a-*\"",
                    "by `components.\"*-a\"`",
                    "make one of them longer",
                ],
            ),
            (
                "[components.x]\nfolders = [{ path = 'a', as = 'a' }]",
                &["components.x.folders", "absolute path such as `/reports`"],
            ),
            (
                "[components.x]\nfolders = [{ path = 'a', as = '/a/../b' }]",
                &["components.x.folders", "without `.`, `..` and `//`"],
            ),
            (
                "[components.x]\nfolders = [{ path = 'a', as = '/a' }, { path = 'b', as = '/a' }]",
                &["components.x.folders", "two folders have the same `as`"],
            ),
            (
                "[components.x]\nprofiles = []",
                &["components.x.profiles", "one at least"],
            ),
        ] {
            let error = Config::parse(text, Path::new("/etc/holster.toml"));
            let error = error.unwrap_err().to_string();
            for part in parts {
                assert!(error.contains(part), "`{part}` is not in: {error}");
            }
        }
    }
}
