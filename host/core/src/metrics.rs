//! The numbers of calls: how many, how they ended, how long they and their steps took, and how their requests were
//! answered.
//!
//! A label is a word of this program, or the name of a tool that is served. What agents and users say is none, so that
//! nobody makes series without number; and no label says for whom a call was.

use std::fmt::Write as _;
use std::time::Duration;

use holster_runtime::HostVisit;
use holster_types::ToolName;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::observed::{Ended, Step};

/// The classes of durations, by their upper bounds in seconds: from an instance of Rust to the longest limit.
const SECONDS: [f64; 16] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0,
    60.0, 600.0,
];

/// What stands for a tool that there is not. No tool is called that.
const NO_TOOL: &str = "?";

type Durations<L> = Family<L, Histogram, fn() -> Histogram>;

/// The numbers of one host.
#[derive(Debug)]
pub(crate) struct Metrics {
    calls: Family<OfCall, Counter>,
    in_flight: Gauge,
    durations: Durations<OfTool>,
    steps: Durations<OfStep>,
    egress: Family<OfRequest, Counter>,
}

/// A tool that is served, or none.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Tool(Option<ToolName>);

impl EncodeLabelValue for Tool {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> std::fmt::Result {
        encoder.write_str(self.0.as_ref().map_or(NO_TOOL, ToolName::as_str))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfCall {
    tool: Tool,
    outcome: &'static str,
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfTool {
    tool: Tool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfStep {
    step: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfRequest {
    answer: &'static str,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        Self {
            calls: Family::default(),
            in_flight: Gauge::default(),
            durations: Family::new_with_constructor(durations),
            steps: Family::new_with_constructor(durations),
            egress: Family::default(),
        }
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        let help = "Calls that have ended, by how they ended, and why where they have no answer";
        registry.register("calls", help, self.calls.clone());
        let help = "Calls that have arrived and not ended";
        registry.register("calls_in_flight", help, self.in_flight.clone());
        let help = "From the arrival of a call to its end";
        let durations = self.durations.clone();
        registry.register_with_unit("call_duration", help, Unit::Seconds, durations);
        let help = "How long each step of a call took";
        let steps = self.steps.clone();
        registry.register_with_unit("step_duration", help, Unit::Seconds, steps);
        let help = "Requests of tools, by the class of the answer's status, or why there is none";
        registry.register("egress_requests", help, self.egress.clone());
    }

    /// A call has arrived.
    pub(crate) fn begun(&self) {
        self.in_flight.inc();
    }

    /// A step is done.
    pub(crate) fn took(&self, step: Step, time: Duration) {
        let step = step.word();
        let steps = self.steps.get_or_create(&OfStep { step });
        steps.observe(time.as_secs_f64());
    }

    /// A call has ended that had arrived. `tool`: if there is one of that name.
    pub(crate) fn ended(&self, tool: Option<ToolName>, ended: Ended, time: Duration) {
        self.in_flight.dec();
        let tool = Tool(tool);
        let call = OfCall {
            tool: tool.clone(),
            outcome: ended.outcome,
            kind: ended.kind.unwrap_or_default(),
        };
        self.calls.get_or_create(&call).inc();
        let durations = self.durations.get_or_create(&OfTool { tool });
        durations.observe(time.as_secs_f64());
    }

    /// These requests were sent, or refused.
    pub(crate) fn visited(&self, visits: &[HostVisit]) {
        for visit in visits {
            let answer = answer(visit);
            self.egress.get_or_create(&OfRequest { answer }).inc();
        }
    }
}

fn durations() -> Histogram {
    Histogram::new(SECONDS)
}

fn answer(visit: &HostVisit) -> &'static str {
    match (&visit.refused, visit.status) {
        (Some(_), _) => "refused",
        (None, None) => "none",
        (None, Some(status)) => match status / 100 {
            1 => "1xx",
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            _ => "5xx",
        },
    }
}
