//! How a command ends when it does not simply succeed.

use std::fmt::Display;
use std::process::ExitCode;

use crate::print;

/// A failure, with the code that scripts see.
#[derive(Debug)]
pub(crate) enum Exit {
    /// 1: it was tried and it failed.
    Failed(String),
    /// 1: as above, and standard output has said it already.
    Reported,
    /// 3: as below, and standard output has said it already.
    InterruptReported,
    /// 2: what was asked for makes no sense.
    Usage(String),
    /// 3: a person has to act first.
    Interrupted(String),
}

impl Exit {
    pub(crate) fn failed(error: impl Display) -> Self {
        Self::Failed(error.to_string())
    }

    pub(crate) fn usage(error: impl Display) -> Self {
        Self::Usage(error.to_string())
    }

    /// Says why on standard error.
    pub(crate) fn report(self) -> ExitCode {
        let code = match &self {
            Exit::Failed(_) | Exit::Reported => 1,
            Exit::InterruptReported | Exit::Interrupted(_) => 3,
            Exit::Usage(_) => 2,
        };
        if let Some(text) = self.text() {
            print::aside(format_args!("holster: {}", text.trim_end()));
        }
        ExitCode::from(code)
    }

    /// What was not said yet.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Exit::Failed(text) | Exit::Usage(text) | Exit::Interrupted(text) => Some(text),
            Exit::Reported | Exit::InterruptReported => None,
        }
    }
}
