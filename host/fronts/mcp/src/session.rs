//! What a tool says and asks while it runs, as its client sees it.
//!
//! A running call hands it over as [`Event`]s, in their order, so that whoever serves the client's request tells it before
//! the answer. What comes faster than the client is told is lost, and the guest never waits for that. A client is told
//! only what it asked for: progress with a token, messages of a level, questions where it shows forms.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use holster_core::{
    Answer, Answering, CallProgress, LogLevel, LogMessage, QUESTION_TIME, Question, Session,
    Unanswered,
};
use rmcp::RoleServer;
use rmcp::model::{
    ElicitRequest, ElicitRequestParams, ElicitResult, ElicitationAction, ElicitationSchema,
    InputRequest, ProgressNotificationParam, ProtocolVersion,
};
#[expect(
    deprecated,
    reason = "clients of today read log messages; a later version of MCP drops them"
)]
use rmcp::model::{LoggingLevel, LoggingMessageNotificationParam};
use rmcp::service::RequestContext;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

/// Events that may wait to be told.
const EVENTS: usize = 256;

/// Under which name a person's answer comes back.
pub(crate) const ANSWER: &str = "answer";

/// What a guest said or asked.
pub(crate) enum Event {
    Log(LogMessage),
    Progress(CallProgress),
    Ask(Question, Reply),
}

/// Where the answer to a question goes.
pub(crate) type Reply = oneshot::Sender<Result<Answer, Unanswered>>;

/// The call's end of the line to a client.
#[derive(Debug)]
struct Line {
    events: mpsc::Sender<Event>,
    shows_forms: bool,
}

/// A line to a client: for the call, and for who serves the client.
pub(crate) fn line(client: &Client<'_>) -> (Arc<dyn Session>, mpsc::Receiver<Event>) {
    let (events, heard) = mpsc::channel(EVENTS);
    let shows_forms = client.asks != Asks::Never;
    let line = Line {
        events,
        shows_forms,
    };
    (Arc::new(line), heard)
}

impl Session for Line {
    fn log(&self, message: LogMessage) {
        let _ = self.events.try_send(Event::Log(message));
    }

    fn progress(&self, progress: CallProgress) {
        let _ = self.events.try_send(Event::Progress(progress));
    }

    fn ask(&self, question: Question) -> Answering {
        if !self.shows_forms {
            let why =
                "the client of this call shows no questions (MCP calls them form elicitation)";
            return Box::pin(async move { Err(Unanswered::Unsupported(why.to_owned())) });
        }
        let events = self.events.clone();
        Box::pin(async move {
            let gone = || Unanswered::NoAnswer("the client is gone".to_owned());
            let (reply, answer) = oneshot::channel();
            let asked = events.send(Event::Ask(question, reply)).await;
            asked.map_err(|_| gone())?;
            answer.await.unwrap_or_else(|_| Err(gone()))
        })
    }
}

/// From which level on a client of a session wants messages; `info` until it says so.
#[derive(Debug, Clone)]
pub(crate) struct WantedLevel(Arc<AtomicU8>);

impl Default for WantedLevel {
    fn default() -> Self {
        Self(Arc::new(AtomicU8::new(LogLevel::Info as u8)))
    }
}

impl WantedLevel {
    #[expect(deprecated, reason = "clients of today set it")]
    pub(crate) fn set(&self, level: LoggingLevel) {
        self.0.store(from_protocol(level) as u8, Ordering::Relaxed);
    }

    fn includes(&self, level: LogLevel) -> bool {
        level as u8 >= self.0.load(Ordering::Relaxed)
    }
}

/// How a client is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asks {
    /// By a request of the server's own, while the call waits.
    Meanwhile,
    /// By the result of its request; it calls again with the answer.
    ByResult,
    /// It shows no forms.
    Never,
}

/// The client of one request.
pub(crate) struct Client<'a> {
    context: &'a RequestContext<RoleServer>,
    level: &'a WantedLevel,
    is_stateless: bool,
    /// How it is asked.
    pub(crate) asks: Asks,
}

impl<'a> Client<'a> {
    pub(crate) fn of(context: &'a RequestContext<RoleServer>, level: &'a WantedLevel) -> Self {
        let is_stateless = context
            .protocol_version()
            .is_some_and(|version| version.as_str() >= ProtocolVersion::V_2026_07_28.as_str());
        let elicitation = context
            .client_capabilities()
            .and_then(|capabilities| capabilities.elicitation);
        // One that names no way of asking shows forms: there was nothing else before 2025-11-25.
        let shows_forms = elicitation
            .is_some_and(|elicitation| elicitation.form.is_some() || elicitation.url.is_none());
        Self {
            context,
            level,
            is_stateless,
            asks: match (shows_forms, is_stateless) {
                (false, _) => Asks::Never,
                (true, false) => Asks::Meanwhile,
                (true, true) => Asks::ByResult,
            },
        }
    }

    /// Whether it wants messages of this level. A stateless one says so in each request, or wants none.
    fn wants(&self, level: LogLevel) -> bool {
        if self.is_stateless {
            let from = self.context.meta.log_level().map(from_protocol);
            from.is_some_and(|from| level >= from)
        } else {
            self.level.includes(level)
        }
    }

    // A client that is gone has nobody to tell.

    pub(crate) async fn log(&self, message: LogMessage, logger: &str) {
        if self.wants(message.level) {
            let level = to_protocol(message.level);
            #[expect(deprecated, reason = "clients of today read it")]
            let message = LoggingMessageNotificationParam::new(level, message.text.into())
                .with_logger(logger);
            #[expect(deprecated, reason = "clients of today read it")]
            let _ = self.context.peer.notify_logging_message(message).await;
        }
    }

    pub(crate) async fn progress(&self, progress: CallProgress) {
        if let Some(token) = self.context.meta.get_progress_token() {
            let mut told = ProgressNotificationParam::new(token, progress.done);
            told.total = progress.total;
            told.message = progress.message;
            let _ = self.context.peer.notify_progress(told).await;
        }
    }

    /// Asks while the call waits.
    pub(crate) async fn ask(&self, question: &Question) -> Result<Answer, Unanswered> {
        let params = form_of(question)?;
        let asked = self
            .context
            .peer
            .create_elicitation_with_timeout(params, Some(QUESTION_TIME));
        let no_answer = |error: rmcp::ServiceError| {
            Unanswered::NoAnswer(format!("the client did not pass on an answer: {error}"))
        };
        Ok(answer_of(asked.await.map_err(no_answer)?))
    }
}

/// The question as part of a result.
pub(crate) fn request_of(question: &Question) -> Result<InputRequest, Unanswered> {
    let request = ElicitRequest::new(form_of(question)?);
    Ok(InputRequest::Elicitation(request))
}

fn form_of(question: &Question) -> Result<ElicitRequestParams, Unanswered> {
    let schema: ElicitationSchema = serde_json::from_str(&question.schema).map_err(|error| {
        Unanswered::Unsupported(format!("the protocol has no form for the schema: {error}"))
    })?;
    Ok(ElicitRequestParams::FormElicitationParams {
        meta: None,
        message: question.message.clone(),
        requested_schema: schema,
    })
}

/// What a client brings back.
pub(crate) fn answer_in(response: Value) -> Result<Answer, Unanswered> {
    let result: ElicitResult = serde_json::from_value(response)
        .map_err(|error| Unanswered::NoAnswer(format!("the client's answer is none: {error}")))?;
    Ok(answer_of(result))
}

fn answer_of(result: ElicitResult) -> Answer {
    match result.action {
        ElicitationAction::Accept => Answer::Accept(
            result
                .content
                .unwrap_or_else(|| Value::Object(serde_json::Map::new())),
        ),
        ElicitationAction::Decline => Answer::Decline,
        _ => Answer::Cancel,
    }
}

#[expect(deprecated, reason = "clients of today read it")]
fn from_protocol(level: LoggingLevel) -> LogLevel {
    match level {
        LoggingLevel::Debug => LogLevel::Debug,
        LoggingLevel::Info => LogLevel::Info,
        LoggingLevel::Notice => LogLevel::Notice,
        LoggingLevel::Warning => LogLevel::Warning,
        LoggingLevel::Error => LogLevel::Error,
        LoggingLevel::Critical => LogLevel::Critical,
        LoggingLevel::Alert => LogLevel::Alert,
        LoggingLevel::Emergency => LogLevel::Emergency,
    }
}

#[expect(deprecated, reason = "clients of today read it")]
fn to_protocol(level: LogLevel) -> LoggingLevel {
    match level {
        LogLevel::Debug => LoggingLevel::Debug,
        LogLevel::Info => LoggingLevel::Info,
        LogLevel::Notice => LoggingLevel::Notice,
        LogLevel::Warning => LoggingLevel::Warning,
        LogLevel::Error => LoggingLevel::Error,
        LogLevel::Critical => LoggingLevel::Critical,
        LogLevel::Alert => LoggingLevel::Alert,
        LogLevel::Emergency => LoggingLevel::Emergency,
    }
}
