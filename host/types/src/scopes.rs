//! What a provider lets a credential do.

use std::collections::BTreeSet;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ProviderId;

/// A set of scopes, in the provider's own spelling.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Scopes(BTreeSet<String>);

impl Scopes {
    /// Whether every scope of `wanted` is in this set.
    pub fn include(&self, wanted: &Scopes) -> bool {
        wanted.0.is_subset(&self.0)
    }

    /// The scopes of `wanted` that are not in this set.
    #[must_use]
    pub fn missing(&self, wanted: &Scopes) -> Scopes {
        Scopes(wanted.0.difference(&self.0).cloned().collect())
    }

    /// All scopes of both sets.
    #[must_use]
    pub fn union(&self, other: &Scopes) -> Scopes {
        Scopes(self.0.union(&other.0).cloned().collect())
    }

    /// The scopes, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether there is no scope at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many scopes there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl<S: Into<String>> FromIterator<S> for Scopes {
    fn from_iter<I: IntoIterator<Item = S>>(scopes: I) -> Self {
        Self(scopes.into_iter().map(Into::into).collect())
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, scope) in self.iter().enumerate() {
            let separator = if position == 0 { "" } else { " " };
            write!(f, "{separator}{scope}")?;
        }
        Ok(())
    }
}

/// What a tool declares that it needs: an account at a provider, with scopes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Requirement {
    /// Where the account is.
    pub provider: ProviderId,
    /// What the tool does with it. Empty where the provider knows no scopes.
    pub scopes: Scopes,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(text: &str) -> Scopes {
        text.split_whitespace().collect()
    }

    #[test]
    fn scopes_serve_a_requirement_only_if_all_are_there() {
        assert!(scopes("read write").include(&scopes("read")));
        assert!(scopes("read").include(&Scopes::default()));
        assert!(!scopes("read").include(&scopes("read write")));
        assert_eq!(
            scopes("read").missing(&scopes("write read")),
            scopes("write")
        );
        assert_eq!(scopes("b").union(&scopes("a")).to_string(), "a b");
    }
}
