//! Secrets where none may be: in what a guest answers, prints or sends.
//!
//! A sealed guest never has a secret, so one that turns up there was sent back by a service. [`LeakWatch`] looks for
//! the secrets of one call in the forms in which services and tools write them; what it finds is withheld, and the
//! call fails. It does not stop a guest that rewrites what a service sent back so that nobody knows it again: such a
//! guest reaches its own hosts only, and sees the secret only where a service shows it.

mod forms;
mod needles;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use holster_types::ProviderId;
use serde_json::Value;

pub(crate) use self::needles::NeedleCache;
use self::needles::{Needles, Position};
use crate::bindings::wit_tool;
use crate::sealing::Sealed;
use crate::tool::ToolOutput;

/// A secret that was found where it may not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leak {
    /// Whose secret it is.
    pub provider: ProviderId,
    /// Where it was.
    pub place: LeakPlace,
}

impl fmt::Display for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { provider, place } = self;
        write!(
            f,
            "the secret of `{provider}` is in {place}, so that is withheld; a service sent it back to the tool, which \
             must not pass it on"
        )
    }
}

/// What a secret may not be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeakPlace {
    /// The content of an answer.
    Answer,
    /// The text of an error.
    Error,
    /// What the guest prints.
    StandardOutput,
    /// What the guest prints as errors.
    StandardError,
    /// A message for the client's log.
    LogMessage,
    /// The words of a progress report.
    Progress,
    /// What a person is asked.
    Question,
    /// The method, the host, the path or the query of a request.
    RequestLine,
    /// A header or a trailer of a request.
    RequestHeader,
    /// The body of a request.
    RequestBody,
    /// The content or the name of a file.
    File,
}

impl fmt::Display for LeakPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Answer => "the tool's answer",
            Self::Error => "the tool's error",
            Self::StandardOutput => "the tool's standard output",
            Self::StandardError => "the tool's standard error",
            Self::LogMessage => "a log message of the tool",
            Self::Progress => "a progress report of the tool",
            Self::Question => "a question of the tool",
            Self::RequestLine => "the method or URL of a request of the tool",
            Self::RequestHeader => "a header of a request of the tool",
            Self::RequestBody => "the body of a request of the tool",
            Self::File => "a file that the tool writes",
        })
    }
}

/// Looks for the secrets of one call, wherever something leaves the guest.
pub(crate) struct LeakWatch {
    grants: Arc<[Sealed]>,
    cache: NeedleCache,
    /// What is looked for: made when something is first looked at, `None` where there is nothing to look for.
    needles: OnceLock<Option<Arc<Needles>>>,
    leaving: Mutex<Vec<Weak<dyn Leaving>>>,
    found: OnceLock<Leak>,
}

/// What a guest has handed over, and what leaves later.
pub(crate) trait Leaving: Send + Sync {
    /// Looks at all of it that is there and has not left.
    fn look_at_the_rest(&self);
}

impl LeakWatch {
    pub(crate) fn new(grants: Arc<[Sealed]>, cache: &NeedleCache) -> Arc<Self> {
        Arc::new(Self {
            grants,
            cache: cache.clone(),
            needles: OnceLock::new(),
            leaving: Mutex::default(),
            found: OnceLock::new(),
        })
    }

    /// The grants whose secrets are looked for.
    pub(crate) fn grants(&self) -> &Arc<[Sealed]> {
        &self.grants
    }

    /// This is looked at while it leaves, and by [`Self::look_at_the_rest`].
    pub(crate) fn will_leave(&self, leaving: &Arc<dyn Leaving>) {
        self.leaving().push(Arc::downgrade(leaving));
    }

    /// Looks at what has yet to leave: the guest has ended, and the call is about to.
    pub(crate) fn look_at_the_rest(&self) {
        let leaving = std::mem::take(&mut *self.leaving());
        for leaving in leaving.iter().filter_map(Weak::upgrade) {
            leaving.look_at_the_rest();
        }
    }

    fn leaving(&self) -> MutexGuard<'_, Vec<Weak<dyn Leaving>>> {
        self.leaving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first secret that was found, if any was.
    pub(crate) fn found(&self) -> Option<&Leak> {
        self.found.get()
    }

    /// Whether `bytes`, which are whole, hold a secret.
    pub(crate) fn finds(&self, bytes: &[u8], place: LeakPlace) -> bool {
        let needle = self.needles().and_then(|needles| needles.find(bytes));
        needle.is_some_and(|grant| self.report(grant, place))
    }

    /// Looks at an answer. What JSON says in escapes is read too.
    pub(crate) fn look_at_output(&self, output: &wit_tool::ToolOutput) {
        let here = |bytes: &[u8]| self.finds(bytes, LeakPlace::Answer);
        for content in &output.content {
            match content {
                wit_tool::Content::Text(text) | wit_tool::Content::Structured(text) => {
                    here(text.as_bytes());
                }
                wit_tool::Content::Image(media) | wit_tool::Content::Audio(media) => {
                    here(&media.data);
                    here(media.mime_type.as_bytes());
                }
                wit_tool::Content::ResourceLink(link) => {
                    here(link.uri.as_bytes());
                    here(link.name.as_bytes());
                    for text in [&link.description, &link.mime_type].into_iter().flatten() {
                        here(text.as_bytes());
                    }
                }
                wit_tool::Content::EmbeddedResource(resource) => {
                    here(resource.uri.as_bytes());
                    here(resource.mime_type.as_deref().unwrap_or_default().as_bytes());
                    match &resource.contents {
                        wit_tool::ResourceContents::Text(text) => here(text.as_bytes()),
                        wit_tool::ResourceContents::Blob(bytes) => here(bytes),
                    };
                }
            }
        }
    }

    /// Looks at what structured content says once its escapes are read.
    pub(crate) fn look_at_structured(&self, output: &ToolOutput) {
        if let (Some(value), Some(_)) = (output.structured(), self.needles()) {
            self.look_at_value(value);
        }
    }

    fn look_at_value(&self, value: &Value) {
        match value {
            Value::String(text) => {
                self.finds(text.as_bytes(), LeakPlace::Answer);
            }
            Value::Array(items) => items.iter().for_each(|item| self.look_at_value(item)),
            Value::Object(fields) => {
                for (name, value) in fields {
                    self.finds(name.as_bytes(), LeakPlace::Answer);
                    self.look_at_value(value);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Looks at an error of the tool's own.
    pub(crate) fn look_at_error(&self, error: &wit_tool::ToolError) {
        match error {
            wit_tool::ToolError::InvalidArguments(text)
            | wit_tool::ToolError::Unauthorised(text)
            | wit_tool::ToolError::Unavailable(text)
            | wit_tool::ToolError::Failed(text) => {
                self.finds(text.as_bytes(), LeakPlace::Error);
            }
            wit_tool::ToolError::RateLimited(_) => {}
        }
    }

    /// Looks at what comes in pieces. `None` where there is nothing to look for.
    pub(crate) fn follow(self: &Arc<Self>, place: LeakPlace) -> Option<Following> {
        let needles = Arc::clone(self.needles()?);
        Some(Following {
            watch: Arc::clone(self),
            position: needles.start(),
            needles,
            place,
        })
    }

    fn needles(&self) -> Option<&Arc<Needles>> {
        let made = || self.cache.needles_of(&self.grants);
        self.needles.get_or_init(made).as_ref()
    }

    /// Always true, as the answer to whether something was found.
    fn report(&self, grant: usize, place: LeakPlace) -> bool {
        let provider = self.grants[grant].grant.provider.clone();
        self.found.get_or_init(|| Leak { provider, place });
        true
    }
}

/// One stream of bytes that is looked at while it passes.
pub(crate) struct Following {
    watch: Arc<LeakWatch>,
    needles: Arc<Needles>,
    position: Position,
    place: LeakPlace,
}

impl Following {
    /// Looks at the next bytes; whether a secret ends in them.
    pub(crate) fn finds(&mut self, bytes: &[u8]) -> bool {
        let needle = self.needles.advance(&mut self.position, bytes);
        needle.is_some_and(|grant| self.watch.report(grant, self.place))
    }

    /// How many of the last bytes may be the beginning of a secret: whoever lets them go may let go most of one.
    pub(crate) fn undecided(&self) -> usize {
        if self.needles.is_start(self.position) {
            0
        } else {
            self.needles.longest() - 1
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
