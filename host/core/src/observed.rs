//! A call as it is watched: a span for it and for each of its steps, and what is counted of them.
//!
//! An [`Observed`] accompanies a call from its arrival to its end, whatever the end. Spans say which tool and component
//! ran for which profile, how the call ended and how long each step took; they hold no arguments, no answers, no
//! secrets, and not for whom the call was. Where nobody reads them, they are not made, and numbers are kept only where
//! the configuration asks for them.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use holster_runtime::HostVisit;
use holster_types::{ComponentHash, ComponentName, ProfileName, SPANS, ToolName};
use pin_project_lite::pin_project;
use tracing::field::{Empty, display};
use tracing::instrument::Instrumented;
use tracing::{Instrument as _, Span, info_span};

use crate::call::{Call, Outcome};
use crate::metrics::Metrics;

/// Makes a span go on with the trace that a client names in these headers, if it names one (W3C Trace Context). Who collects
/// traces decides.
pub type GoOn = fn(&Span, &http::HeaderMap);

/// A step of a call. The egress is within `Run`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Find,
    Admit,
    Resolve,
    Run,
    Answer,
    Record,
}

impl Step {
    /// The step in a word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Find => "find",
            Self::Admit => "admit",
            Self::Resolve => "resolve",
            Self::Run => "run",
            Self::Answer => "answer",
            Self::Record => "record",
        }
    }

    /// Within the span of the call. Names of spans are known when this is compiled.
    fn span(self) -> Span {
        match self {
            Self::Find => info_span!(target: SPANS, "find"),
            Self::Admit => info_span!(target: SPANS, "admit"),
            Self::Resolve => info_span!(target: SPANS, "resolve"),
            Self::Run => info_span!(target: SPANS, "run"),
            Self::Answer => info_span!(target: SPANS, "answer"),
            Self::Record => info_span!(target: SPANS, "record"),
        }
    }
}

/// How a call ended, in words of which there are few.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended {
    /// `finished`, `interrupted`, `refused`, `failed` or `cancelled`.
    pub(crate) outcome: &'static str,
    /// Why there is no answer, where the host or the tool is to say why.
    pub(crate) kind: Option<&'static str>,
}

impl Ended {
    fn of(outcome: &Outcome) -> Self {
        let (outcome, kind) = match outcome {
            Outcome::Finished(_) => ("finished", None),
            Outcome::Interrupted(_) => ("interrupted", None),
            Outcome::Failed(failure) if failure.is_refusal() => ("refused", Some(failure.kind())),
            Outcome::Failed(failure) => ("failed", Some(failure.kind())),
        };
        Self { outcome, kind }
    }

    /// Without an outcome.
    fn dropped() -> Self {
        if std::thread::panicking() {
            Self {
                outcome: "failed",
                kind: Some("host"),
            }
        } else {
            Self {
                outcome: "cancelled",
                kind: None,
            }
        }
    }
}

/// A call under way. When it is dropped, the call has ended.
pub(crate) struct Observed<'a> {
    span: Span,
    /// Where calls are counted: since when.
    counted: Option<(&'a Metrics, Instant)>,
    /// If there is one of that name: nobody else is to make up a label.
    tool: Option<ToolName>,
    ended: Option<Ended>,
}

impl<'a> Observed<'a> {
    pub(crate) fn begin(metrics: Option<&'a Metrics>, call: &Call) -> Self {
        let counted = metrics.map(|metrics| {
            metrics.begun();
            (metrics, Instant::now())
        });
        let span = info_span!(
            target: SPANS,
            "call",
            otel.status_code = Empty,
            "error.type" = Empty,
            holster.tool = Empty,
            holster.component.name = Empty,
            holster.component.digest = Empty,
            holster.profile = call.profile.as_ref().map(ProfileName::as_str),
            holster.outcome = Empty,
        );
        Self {
            span,
            counted,
            tool: None,
            ended: None,
        }
    }

    /// What all steps are within.
    pub(crate) fn span(&self) -> &Span {
        &self.span
    }

    /// There is such a tool: of a component, or of the host itself.
    pub(crate) fn found(
        &mut self,
        tool: &ToolName,
        component: Option<(&ComponentName, ComponentHash)>,
    ) {
        self.span.record("holster.tool", tool.as_str());
        if let Some((name, hash)) = component {
            self.span.record("holster.component.name", name.as_str());
            self.span.record("holster.component.digest", display(hash));
        }
        self.tool = Some(tool.clone());
    }

    /// Does a step.
    pub(crate) fn step<W: Future>(&self, step: Step, work: W) -> impl Future<Output = W::Output> {
        Stepping {
            start: self.now(),
            work: work.instrument(step.span()),
            observed: self,
            step,
        }
    }

    /// Does a step that waits for nothing.
    pub(crate) fn step_at_once<T>(&self, step: Step, work: impl FnOnce() -> T) -> T {
        let start = self.now();
        let done = step.span().in_scope(work);
        self.took(step, start);
        done
    }

    fn now(&self) -> Option<Instant> {
        self.counted.is_some().then(Instant::now)
    }

    fn took(&self, step: Step, start: Option<Instant>) {
        if let (Some((metrics, _)), Some(start)) = (self.counted, start) {
            metrics.took(step, start.elapsed());
        }
    }

    /// These requests were sent, or refused.
    pub(crate) fn visited(&self, visits: &[HostVisit]) {
        if let Some((metrics, _)) = self.counted {
            metrics.visited(visits);
        }
    }

    /// The call ended like this.
    pub(crate) fn end(&mut self, outcome: &Outcome) {
        self.ended = Some(Ended::of(outcome));
    }
}

pin_project! {
    /// A step under way. By hand, since an `async fn` would hold the work twice.
    struct Stepping<'a, W> {
        observed: &'a Observed<'a>,
        step: Step,
        start: Option<Instant>,
        #[pin]
        work: Instrumented<W>,
    }
}

impl<W: Future> Future for Stepping<'_, W> {
    type Output = W::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<W::Output> {
        let this = self.project();
        let done = ready!(this.work.poll(context));
        this.observed.took(*this.step, *this.start);
        Poll::Ready(done)
    }
}

impl Drop for Observed<'_> {
    fn drop(&mut self) {
        let ended = self.ended.unwrap_or_else(Ended::dropped);
        self.span.record("holster.outcome", ended.outcome);
        if let Some(kind) = ended.kind {
            self.span.record("error.type", kind);
        }
        if ended.outcome == "failed" {
            self.span.record("otel.status_code", "ERROR");
        }
        if let Some((metrics, start)) = self.counted {
            metrics.ended(self.tool.take(), ended, start.elapsed());
        }
    }
}

#[cfg(test)]
mod tests;
