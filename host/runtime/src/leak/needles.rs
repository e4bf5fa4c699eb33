//! What is looked for, as one automaton for all secrets of a call.
//!
//! Making one takes longer than a short call, so those of the latest secrets are kept, by a keyed hash of what they
//! look for: a renewed token has another one. An automaton is a copy of its secrets that cannot be zeroed, which is
//! why few are kept, and nothing is made for a call without sealed secrets.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use aho_corasick::automaton::{Automaton, StateID};
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Anchored, Input};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use holster_types::{ExposeSecret, Grant, GrantSecret};

use super::forms::forms;
use crate::sealing::Sealed;

/// A shorter secret is not looked for: it would be found where it is none.
const SHORTEST: usize = 8;

/// A shorter password is not looked for without its user name: with some services it is a word such as `api_token`.
const SHORTEST_PASSWORD: usize = 16;

/// Of a longer secret, its end is looked for, which is within whoever holds all of it. The beginning of a token often
/// is the same for all accounts.
const LONGEST: usize = 64;

/// For how many sets of secrets the automaton is kept.
const KEPT: usize = 32;

/// How far a stream has gone through the automaton.
pub(super) type Position = StateID;

/// An automaton that finds all forms of some secrets.
pub(super) struct Needles {
    automaton: NFA,
    /// By pattern, the position of the grant whose secret it is.
    owners: Vec<usize>,
}

impl Needles {
    fn of(wanted: &[(usize, Vec<Cow<'_, str>>)]) -> Self {
        let (mut patterns, mut owners) = (Vec::new(), Vec::new());
        for (grant, secrets) in wanted {
            for form in secrets.iter().flat_map(|secret| forms(end(secret))) {
                patterns.push(form);
                owners.push(*grant);
            }
        }
        let automaton = NFA::new(&patterns).expect("some short patterns fit");
        Self { automaton, owners }
    }

    /// The grant whose secret the bytes hold.
    pub(super) fn find(&self, bytes: &[u8]) -> Option<usize> {
        let found = self.automaton.try_find(&Input::new(bytes));
        let found = found.expect("it searches without an anchor");
        found.map(|found| self.owners[found.pattern().as_usize()])
    }

    pub(super) fn start(&self) -> Position {
        self.automaton
            .start_state(Anchored::No)
            .expect("it searches without an anchor")
    }

    pub(super) fn is_start(&self, position: Position) -> bool {
        self.automaton.is_start(position)
    }

    /// Goes on with the next bytes, and stops where a secret ends: that of the grant which is returned.
    pub(super) fn advance(&self, position: &mut Position, bytes: &[u8]) -> Option<usize> {
        for &byte in bytes {
            *position = self.automaton.next_state(Anchored::No, *position, byte);
            if self.automaton.is_match(*position) {
                let pattern = self.automaton.match_pattern(*position, 0);
                return Some(self.owners[pattern.as_usize()]);
            }
        }
        None
    }

    /// The length of the longest form.
    pub(super) fn longest(&self) -> usize {
        self.automaton.max_pattern_len()
    }
}

/// What is looked for of a grant: everything secret of it that is long enough.
fn secrets(grant: &Grant) -> Vec<Cow<'_, str>> {
    let sent = grant.secret.sent().expose_secret();
    let mut secrets = vec![Cow::Borrowed(sent)];
    let signing = grant.secret.signing();
    secrets.extend(signing.map(|secret| secret.expose_secret().into()));
    if let GrantSecret::Basic(_) = grant.secret {
        let decoded = STANDARD.decode(sent).ok();
        if let Some(joined) = decoded.and_then(|bytes| String::from_utf8(bytes).ok()) {
            if let Some((_, password)) = joined.split_once(':')
                && password.len() >= SHORTEST_PASSWORD
            {
                secrets.push(password.to_owned().into());
            }
            secrets.push(joined.into());
        }
    }
    secrets.retain(|secret| secret.len() >= SHORTEST);
    secrets
}

fn end(secret: &str) -> &str {
    let cut = secret.len().saturating_sub(LONGEST);
    &secret[secret.ceil_char_boundary(cut)..]
}

/// The automata of the latest secrets, for all calls of the process.
#[derive(Clone)]
pub(crate) struct NeedleCache(Arc<Inner>);

struct Inner {
    key: [u8; 32],
    /// The latest used first.
    latest: Mutex<VecDeque<(blake3::Hash, Arc<Needles>)>>,
}

impl NeedleCache {
    pub(crate) fn new() -> Self {
        let mut key = [0; 32];
        getrandom::fill(&mut key).expect("the operating system gives random bytes");
        Self(Arc::new(Inner {
            key,
            latest: Mutex::default(),
        }))
    }

    /// What to look for in a call with these grants; `None` if that is nothing.
    pub(super) fn needles_of(&self, grants: &[Sealed]) -> Option<Arc<Needles>> {
        let sealed = grants.iter().enumerate();
        let wanted: Vec<_> = sealed
            .filter(|(_, sealed)| !sealed.is_revealed())
            .map(|(position, sealed)| (position, secrets(&sealed.grant)))
            .filter(|(_, secrets)| !secrets.is_empty())
            .collect();
        if wanted.is_empty() {
            return None;
        }
        let hash = self.hash(&wanted);
        let lock = || self.0.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = used(&mut lock(), hash) {
            return Some(kept);
        }
        let made = Arc::new(Needles::of(&wanted));
        let mut latest = lock();
        latest.push_front((hash, Arc::clone(&made)));
        latest.truncate(KEPT);
        Some(made)
    }

    fn hash(&self, wanted: &[(usize, Vec<Cow<'_, str>>)]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.0.key);
        for (grant, secrets) in wanted {
            for secret in secrets {
                // Fixed lengths before what has none, so that no two sets are written alike.
                hasher.update(&(*grant as u64).to_le_bytes());
                hasher.update(&(secret.len() as u64).to_le_bytes());
                hasher.update(secret.as_bytes());
            }
        }
        hasher.finalize()
    }
}

/// The automaton of this hash, which is now the latest used.
fn used(
    latest: &mut VecDeque<(blake3::Hash, Arc<Needles>)>,
    hash: blake3::Hash,
) -> Option<Arc<Needles>> {
    let position = latest.iter().position(|(kept, _)| *kept == hash)?;
    let entry = latest.remove(position)?;
    let needles = Arc::clone(&entry.1);
    latest.push_front(entry);
    Some(needles)
}
