//! What a tool says, and asks, while it runs: by its [`Context`].
//!
//! Progress and messages reach clients that want them, and nobody else; a tool need not ask whether there is one. A
//! question goes to the person that the call acts for. What they answer is an argument like any other: it grants nothing.

use crate::bindings::holster::plugin::session as host;
use crate::context::asking;
use crate::{Context, ToolError, host_is_there, schema};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

pub use host::Level;

/// What a person did with a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<T> {
    /// They answered.
    Accept(T),
    /// They do not want to answer. The tool may go on without.
    Decline,
    /// They closed the question without a choice.
    Cancel,
}

impl<T> Answer<T> {
    /// The answer, if there is one.
    pub fn accepted(self) -> Option<T> {
        match self {
            Self::Accept(value) => Some(value),
            Self::Decline | Self::Cancel => None,
        }
    }
}

/// Why there is no answer. Passed on by `?`, it ends the call with the error that it stands for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// Nobody can be asked: the client of this call shows no questions, or there is none.
    #[error("nobody can be asked: {0}")]
    Unsupported(String),
    /// The question is not as it has to be: the author's mistake.
    #[error("the question is not as it has to be: {0}")]
    Invalid(String),
    /// The call, or the host, has too many questions.
    #[error("there are too many questions: {0}")]
    TooMany(String),
    /// No answer came in time, or none that fits.
    #[error("there is no answer: {0}")]
    Unanswered(String),
}

impl From<host::AskError> for AskError {
    fn from(error: host::AskError) -> Self {
        match error {
            host::AskError::Unsupported(why) => Self::Unsupported(why),
            host::AskError::Invalid(why) => Self::Invalid(why),
            host::AskError::TooMany(why) => Self::TooMany(why),
            host::AskError::Unanswered(why) => Self::Unanswered(why),
        }
    }
}

impl From<AskError> for ToolError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::TooMany(_) | AskError::Unanswered(_) => Self::Unavailable(error.to_string()),
            AskError::Unsupported(_) | AskError::Invalid(_) => Self::Failed(error.to_string()),
        }
    }
}

impl Context {
    /// Writes a message for the client's log, of at most 8 KiB. It holds no secret.
    pub fn log(&self, level: Level, message: impl AsRef<str>) {
        if host_is_there() {
            host::log(level, message.as_ref());
        }
    }

    /// Says how far the call is, in whatever unit. Grows from one report to the next; ten a second are enough.
    pub fn progress(&self, done: f64, total: impl Into<Option<f64>>) {
        report(done, total.into(), None);
    }

    /// Says how far the call is, and what it does, in at most 1 KiB of words.
    pub fn progress_with(
        &self,
        done: f64,
        total: impl Into<Option<f64>>,
        message: impl AsRef<str>,
    ) {
        report(done, total.into(), Some(message.as_ref()));
    }

    /// Asks the person that the call acts for, and waits; the time of the call stands still meanwhile.
    ///
    /// `message` says what is asked and why. `T` is the form: a struct whose fields are texts, numbers, booleans, enums of
    /// names, or lists of such; the doc comment of a field is its question. Never ask for a password, a token or any other
    /// secret: those are accounts, which a person connects on a page of the host.
    ///
    /// # Errors
    /// See [`AskError`].
    pub fn ask<T: DeserializeOwned + JsonSchema>(
        &self,
        message: impl AsRef<str>,
    ) -> Result<Answer<T>, AskError> {
        match self.ask_form(message, &schema::of_form::<T>())? {
            Answer::Accept(answer) => serde_json::from_str(&answer)
                .map(Answer::Accept)
                .map_err(|error| AskError::Unanswered(error.to_string())),
            Answer::Decline => Ok(Answer::Decline),
            Answer::Cancel => Ok(Answer::Cancel),
        }
    }

    /// As [`ask`](Self::ask), with a JSON Schema as text, and the answer as JSON.
    ///
    /// # Errors
    /// See [`AskError`].
    pub fn ask_form(
        &self,
        message: impl AsRef<str>,
        schema: &str,
    ) -> Result<Answer<String>, AskError> {
        if !host_is_there() {
            return Err(AskError::Unsupported(crate::NO_HOST.to_owned()));
        }
        Ok(match asking(|| host::ask(message.as_ref(), schema))? {
            host::Answer::Accept(answer) => Answer::Accept(answer),
            host::Answer::Decline => Answer::Decline,
            host::Answer::Cancel => Answer::Cancel,
        })
    }
}

fn report(done: f64, total: Option<f64>, message: Option<&str>) {
    if host_is_there() {
        host::progress(done, total, message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_an_authors_own_tests_messages_go_nowhere_and_nobody_can_be_asked() {
        #[derive(Debug, PartialEq, serde::Deserialize, JsonSchema)]
        struct Name {
            name: String,
        }
        let context = Context {
            thread: "t".into(),
            profile: "work".into(),
            deadline: 0,
        };
        context.log(Level::Info, "begun");
        context.progress(1.0, 2.0);
        let answer = context.ask::<Name>("Who?");
        assert!(matches!(&answer, Err(AskError::Unsupported(why)) if why.contains("no host here")));
        let error = ToolError::from(answer.unwrap_err());
        assert!(matches!(error, ToolError::Failed(_)), "{error:?}");
    }
}
