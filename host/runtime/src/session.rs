//! What a guest says, and asks, while it runs: kept within bounds, looked at for secrets, told to whoever listens.
//!
//! [`Session`] is the one who listens: a front that has a client. Nothing that comes back through it is a permission; an
//! answer is a JSON object that fits the guest's own schema, and that is all. Where nobody listens, nothing is looked at.

mod bounds;
mod clock;
mod form;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::Semaphore;

use self::bounds::{Bounds, cut};
pub(crate) use self::clock::CallClock;
pub use self::form::{Choice, Form, Format, Items, Kind, Property};
use crate::bindings::wit_session as wit;
use crate::leak::{LeakPlace, LeakWatch};
use crate::limits::Limits;
use crate::state::CallState;

/// How long all questions of a call together may wait for a person.
pub const QUESTION_TIME: Duration = Duration::from_mins(10);

/// Questions of one call.
const QUESTIONS: u32 = 16;
/// Bytes of a question's message.
const QUESTION_BYTES: usize = 4096;
/// Bytes of an answer, as JSON.
const ANSWER_BYTES: usize = 64 << 10;
/// Bytes of a log message; more is cut.
const MESSAGE_BYTES: usize = 8 << 10;
/// Bytes of the words of a progress report; more is cut.
const WORDS_BYTES: usize = 1 << 10;

/// Whoever made a call and listens while it runs. `log` and `progress` return at once; what they cannot take is lost.
pub trait Session: fmt::Debug + Send + Sync {
    /// A message for the client's log.
    fn log(&self, message: LogMessage);

    /// How far the call is.
    fn progress(&self, progress: CallProgress);

    /// Asks the person. The host stops waiting when [`QUESTION_TIME`] is over, and then drops the future.
    fn ask(&self, question: Question) -> Answering;
}

/// An answer to come.
pub type Answering = Pin<Box<dyn Future<Output = Result<Answer, Unanswered>> + Send>>;

/// A message of a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogMessage {
    /// How much it matters.
    pub level: LogLevel,
    /// At most 8 KiB. Chosen by the guest, control characters and all.
    pub text: String,
}

/// How much a message matters, from the least to the most (RFC 5424).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are those of the standard")]
pub enum LogLevel {
    Debug,
    Info,
    Notice,
    Warning,
    Error,
    Critical,
    Alert,
    Emergency,
}

impl LogLevel {
    /// The name in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
            Self::Alert => "alert",
            Self::Emergency => "emergency",
        }
    }
}

/// How far a call is. Grows from one to the next.
#[derive(Debug, Clone, PartialEq)]
pub struct CallProgress {
    /// In whatever unit; finite.
    pub done: f64,
    /// All there is to do, where the guest knows; finite.
    pub total: Option<f64>,
    /// At most 1 KiB, chosen by the guest.
    pub message: Option<String>,
}

/// What a guest asks a person.
#[derive(Debug, Clone)]
pub struct Question {
    /// What is asked, in 1 to 4,096 bytes that the guest chose.
    pub message: String,
    /// The schema of the answer, as the guest wrote it: a form as MCP has it.
    pub schema: String,
    /// The same, read.
    pub form: Form,
}

impl Question {
    /// A question as a guest may ask it; else what is wrong with it.
    pub fn read(message: &str, schema: &str) -> Result<Self, String> {
        if !(1..=QUESTION_BYTES).contains(&message.len()) {
            return Err(format!(
                "the message has {} bytes; it must have 1 to {QUESTION_BYTES}",
                message.len()
            ));
        }
        Ok(Self {
            message: message.to_owned(),
            schema: schema.to_owned(),
            form: Form::read(schema).map_err(|error| error.to_string())?,
        })
    }
}

/// What the person did.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// They answered with this object.
    Accept(Value),
    /// They do not want to answer.
    Decline,
    /// They made no choice.
    Cancel,
}

/// Why a person did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// Nobody can be asked.
    #[error("{0}")]
    Unsupported(String),
    /// There are too many questions already.
    #[error("{0}")]
    TooMany(String),
    /// No answer came.
    #[error("{0}")]
    NoAnswer(String),
}

impl From<Unanswered> for wit::AskError {
    fn from(error: Unanswered) -> Self {
        match error {
            Unanswered::Unsupported(why) => Self::Unsupported(why),
            Unanswered::TooMany(why) => Self::TooMany(why),
            Unanswered::NoAnswer(why) => Self::Unanswered(why),
        }
    }
}

/// The session of one call, as its guest reaches it.
pub(crate) struct CallSession {
    listener: Arc<dyn Session>,
    watch: Arc<LeakWatch>,
    clock: Arc<CallClock>,
    bounds: Bounds,
    questions_left: u32,
    patience: Duration,
    /// One permit for each question that may wait in this process.
    waiting: Arc<Semaphore>,
}

impl CallSession {
    pub(crate) fn new(
        listener: Arc<dyn Session>,
        watch: &Arc<LeakWatch>,
        limits: &Limits,
        waiting: &Arc<Semaphore>,
    ) -> Self {
        Self {
            listener,
            watch: Arc::clone(watch),
            clock: Arc::new(CallClock::start(limits.time)),
            bounds: Bounds::new(limits.log_bytes),
            questions_left: QUESTIONS,
            patience: QUESTION_TIME,
            waiting: Arc::clone(waiting),
        }
    }

    /// The time of the call, which stands still while a person is asked.
    pub(crate) fn clock(&self) -> Arc<CallClock> {
        Arc::clone(&self.clock)
    }

    fn log(&mut self, level: LogLevel, mut text: String) {
        if self.holds_secret(&text, LeakPlace::LogMessage) {
            return;
        }
        cut(&mut text, MESSAGE_BYTES);
        if self.bounds.take_message(text.len()) {
            self.listener.log(LogMessage { level, text });
        }
    }

    fn progress(&mut self, done: f64, total: Option<f64>, mut message: Option<String>) {
        let words = message.as_deref().unwrap_or_default();
        if self.holds_secret(words, LeakPlace::Progress) {
            return;
        }
        if let Some(words) = &mut message {
            cut(words, WORDS_BYTES);
        }
        if total.is_none_or(f64::is_finite) && self.bounds.take_progress(done, Instant::now()) {
            self.listener.progress(CallProgress {
                done,
                total,
                message,
            });
        }
    }

    async fn ask(&mut self, message: String, schema: String) -> Result<wit::Answer, wit::AskError> {
        let question = Question::read(&message, &schema).map_err(wit::AskError::Invalid)?;
        if self.holds_secret(&message, LeakPlace::Question)
            || self.holds_secret(&schema, LeakPlace::Question)
        {
            let why = "the question holds a secret";
            return Err(wit::AskError::Invalid(why.to_owned()));
        }
        self.questions_left = self.questions_left.checked_sub(1).ok_or_else(|| {
            wit::AskError::TooMany(format!("a call may ask {QUESTIONS} questions"))
        })?;
        let form = question.form.clone();
        match self.wait(question).await? {
            Answer::Accept(value) => accepted(&form, &value),
            Answer::Decline => Ok(wit::Answer::Decline),
            Answer::Cancel => Ok(wit::Answer::Cancel),
        }
    }

    /// Holds a place among those who wait, and the clock of the call, until there is an answer.
    async fn wait(&mut self, question: Question) -> Result<Answer, Unanswered> {
        let Ok(_place) = self.waiting.try_acquire() else {
            let why = "this host waits for as many answers as it can; try again later";
            return Err(Unanswered::TooMany(why.to_owned()));
        };
        let _standing = self.clock.stop();
        let start = Instant::now();
        let answer = tokio::time::timeout(self.patience, self.listener.ask(question)).await;
        self.patience = self.patience.saturating_sub(start.elapsed());
        answer.unwrap_or_else(|_| {
            let why = "the person did not answer in time";
            Err(Unanswered::NoAnswer(why.to_owned()))
        })
    }

    /// Whether there is a secret in `text`, or was one in what this guest said before.
    fn holds_secret(&self, text: &str, place: LeakPlace) -> bool {
        self.watch.found().is_some() || self.watch.finds(text.as_bytes(), place)
    }
}

/// The answer of a client that may be wrong about the schema.
fn accepted(form: &Form, value: &Value) -> Result<wit::Answer, wit::AskError> {
    let text = value.to_string();
    let unfit = |why: String| wit::AskError::Unanswered(format!("the client's answer {why}"));
    if text.len() > ANSWER_BYTES {
        return Err(unfit(format!("is larger than {ANSWER_BYTES} bytes")));
    }
    match form.violation(value) {
        None => Ok(wit::Answer::Accept(text)),
        Some(violation) => Err(unfit(format!("does not fit the question: {violation}"))),
    }
}

impl wit::Host for CallState {
    async fn log(&mut self, level: wit::Level, message: String) -> wasmtime::Result<()> {
        if let Some(session) = &mut self.session {
            session.log(level.into(), message);
        }
        Ok(())
    }

    async fn progress(
        &mut self,
        done: f64,
        total: Option<f64>,
        message: Option<String>,
    ) -> wasmtime::Result<()> {
        if let Some(session) = &mut self.session {
            session.progress(done, total, message);
        }
        Ok(())
    }

    async fn ask(
        &mut self,
        message: String,
        schema: String,
    ) -> wasmtime::Result<Result<wit::Answer, wit::AskError>> {
        let Some(session) = &mut self.session else {
            let why = "there is nobody to ask in this call";
            return Ok(Err(wit::AskError::Unsupported(why.to_owned())));
        };
        Ok(session.ask(message, schema).await)
    }
}

impl From<wit::Level> for LogLevel {
    fn from(level: wit::Level) -> Self {
        match level {
            wit::Level::Debug => Self::Debug,
            wit::Level::Info => Self::Info,
            wit::Level::Notice => Self::Notice,
            wit::Level::Warning => Self::Warning,
            wit::Level::Error => Self::Error,
            wit::Level::Critical => Self::Critical,
            wit::Level::Alert => Self::Alert,
            wit::Level::Emergency => Self::Emergency,
        }
    }
}

#[cfg(test)]
mod tests;
