//! What a tool says and asks while it runs, for the person who called it: on standard error, so that answers stay apart.

mod form;

use std::io::{self, IsTerminal};

use holster_core::{Answering, CallProgress, LogMessage, Question, Session, Unanswered};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::oneshot;

use crate::print;

/// The one who called, at a terminal or not.
#[derive(Debug)]
pub(crate) struct Caller {
    /// Where standard error is a terminal.
    bar: Option<ProgressBar>,
    /// Whether somebody can type an answer.
    answers: bool,
}

impl Caller {
    pub(crate) fn new() -> Self {
        let shown = io::stderr().is_terminal();
        Self {
            bar: shown.then(ProgressBar::no_length),
            answers: shown && io::stdin().is_terminal(),
        }
    }

    /// Takes the bar away, since the call is over.
    pub(crate) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| print::aside(text)),
            None => print::aside(text),
        }
    }
}

impl Session for Caller {
    fn log(&self, message: LogMessage) {
        let text = print::harmless(&message.text);
        self.line(&format!("{}: {text}", message.level.as_str()));
    }

    fn progress(&self, progress: CallProgress) {
        let message = print::harmless(progress.message.as_deref().unwrap_or_default());
        let far = match progress.total {
            Some(total) => format!("{} of {total}", progress.done),
            None => progress.done.to_string(),
        };
        match &self.bar {
            None => print::aside(format!("progress: {far} {message}").trim_end()),
            Some(bar) => {
                let template = match share(&progress) {
                    Some(percent) => {
                        bar.set_length(100);
                        bar.set_position(percent);
                        "{bar:24} {prefix} {wide_msg}"
                    }
                    None => "{spinner} {prefix} {wide_msg}",
                };
                bar.set_style(ProgressStyle::with_template(template).expect("a valid template"));
                bar.set_prefix(far);
                bar.set_message(message.replace('\n', " "));
                bar.tick();
            }
        }
    }

    fn ask(&self, question: Question) -> Answering {
        if !self.answers {
            let why = "`holster call` asks at a terminal only";
            return Box::pin(async move { Err(Unanswered::Unsupported(why.to_owned())) });
        }
        let bar = self.bar.clone().unwrap_or_else(ProgressBar::hidden);
        let (sender, answer) = oneshot::channel();
        // A thread of its own: nothing waits for who never types.
        std::thread::spawn(move || {
            let fill = || form::fill(&question, &mut io::stdin().lock(), &mut io::stderr());
            let answer = bar.suspend(fill);
            let _ = sender.send(answer.map_err(|error| Unanswered::NoAnswer(error.to_string())));
        });
        Box::pin(async move {
            let gone = |_| Err(Unanswered::NoAnswer("nobody answered".to_owned()));
            answer.await.unwrap_or_else(gone)
        })
    }
}

/// Of a hundred, where a total is known.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is between 0 and 100"
)]
fn share(progress: &CallProgress) -> Option<u64> {
    let total = progress.total.filter(|total| *total > 0.0)?;
    Some((progress.done / total * 100.0).clamp(0.0, 100.0) as u64)
}
