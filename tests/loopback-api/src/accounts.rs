//! Who may ask, and what they are told: the accounts of `accounts.json`.
//!
//! A token is known by one service and belongs to one user, whose data differs from every other user's, so that a
//! test sees whose account a call was made with. The tokens are words that could not be taken for real ones.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// By token, the accounts of each service.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Accounts {
    pub(crate) slack: BTreeMap<String, Slack>,
    pub(crate) github: BTreeMap<String, GitHub>,
    pub(crate) google: BTreeMap<String, Google>,
}

/// A member of a Slack workspace: messages by channel, the newest first.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Slack {
    pub(crate) user: String,
    pub(crate) team: String,
    pub(crate) channels: BTreeMap<String, Vec<Value>>,
}

/// A GitHub user: issues by `owner/repository`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GitHub {
    pub(crate) user: String,
    pub(crate) repositories: BTreeMap<String, Vec<Value>>,
}

/// A Google user: events by calendar.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Google {
    pub(crate) user: String,
    pub(crate) calendars: BTreeMap<String, Vec<Value>>,
}

impl Accounts {
    pub(crate) fn read() -> Self {
        serde_json::from_str(include_str!("accounts.json")).expect("accounts.json was tested")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_token_is_known_by_two_services() {
        let Accounts {
            slack,
            github,
            google,
        } = Accounts::read();
        let mut tokens: Vec<&String> = slack
            .keys()
            .chain(github.keys())
            .chain(google.keys())
            .collect();
        let all = tokens.len();
        tokens.sort();
        tokens.dedup();
        assert_eq!(tokens.len(), all);
        assert!(tokens.iter().all(|token| token.ends_with("-token")));
    }
}
