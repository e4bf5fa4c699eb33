//! Calls without a host: what is counted of them.

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use serde_json::Map;

use super::*;
use crate::call::Failure;

struct Counted {
    metrics: Metrics,
    registry: Registry,
}

impl Counted {
    fn new() -> Self {
        let (metrics, mut registry) = (Metrics::new(), Registry::default());
        metrics.register(&mut registry);
        Self { metrics, registry }
    }

    fn begin(&self, tool: &str) -> (Call, Observed<'_>) {
        let call = Call::local(ToolName::new(tool).unwrap(), Map::new());
        let observed = Observed::begin(Some(&self.metrics), &call);
        (call, observed)
    }

    /// The lines that begin like this.
    fn lines(&self, start: &str) -> Vec<String> {
        let mut text = String::new();
        encode(&mut text, &self.registry).unwrap();
        let lines = text.lines().filter(|line| line.starts_with(start));
        let mut lines: Vec<_> = lines.map(str::to_owned).collect();
        lines.sort();
        lines
    }
}

fn unknown(call: &Call) -> Outcome {
    Outcome::Failed(Failure::UnknownTool {
        tool: call.tool.clone(),
        similar: None,
    })
}

#[test]
fn a_call_is_in_flight_until_it_ends_and_then_counted_once() {
    let counted = Counted::new();
    let (call, mut observed) = counted.begin("echo");
    assert_eq!(counted.lines("calls_in_flight"), ["calls_in_flight 1"]);
    observed.found(&call.tool, None);
    let lost = || {
        Outcome::Failed(Failure::InvalidOutput {
            tool: call.tool.clone(),
            violations: Vec::new(),
        })
    };
    observed.end(&lost());
    drop(observed);
    assert_eq!(counted.lines("calls_in_flight"), ["calls_in_flight 0"]);
    assert_eq!(
        counted.lines("calls_total"),
        [r#"calls_total{tool="echo",outcome="failed",kind="invalid_output"} 1"#]
    );
    assert_eq!(
        counted.lines("call_duration_seconds_count"),
        [r#"call_duration_seconds_count{tool="echo"} 1"#]
    );
}

#[test]
fn tools_that_there_are_not_are_one_label_however_many_are_called() {
    let counted = Counted::new();
    for number in 0..100 {
        let (call, mut observed) = counted.begin(&format!("made_up_{number}"));
        observed.end(&unknown(&call));
    }
    assert_eq!(
        counted.lines("calls_total"),
        [r#"calls_total{tool="?",outcome="refused",kind="unknown_tool"} 100"#]
    );
    assert_eq!(counted.lines("call_duration_seconds_count").len(), 1);
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_is_cancelled_and_so_is_its_step() {
    let counted = Counted::new();
    {
        let (_, observed) = counted.begin("echo");
        observed.step(Step::Find, std::future::ready(())).await;
        let run = observed.step(Step::Run, std::future::pending::<()>());
        let waited = tokio::time::timeout(std::time::Duration::from_millis(1), run);
        assert!(waited.await.is_err());
    }
    assert_eq!(
        counted.lines("calls_total"),
        [r#"calls_total{tool="?",outcome="cancelled",kind=""} 1"#]
    );
    assert_eq!(
        counted.lines("step_duration_seconds_count"),
        [r#"step_duration_seconds_count{step="find"} 1"#]
    );
}

#[test]
fn requests_are_counted_by_the_class_of_their_answer() {
    let counted = Counted::new();
    let (_, observed) = counted.begin("echo");
    let visit = |status, refused: bool| HostVisit {
        origin: "https://made-up.example:443".to_owned(),
        method: "MADE-UP".to_owned(),
        refused: refused.then(|| "not allowed".to_owned()),
        provider: None,
        status,
        rejected: false,
    };
    observed.visited(&[
        visit(Some(204), false),
        visit(Some(200), false),
        visit(Some(404), false),
        visit(None, false),
        visit(None, true),
    ]);
    assert_eq!(
        counted.lines("egress_requests_total"),
        [
            r#"egress_requests_total{answer="2xx"} 2"#,
            r#"egress_requests_total{answer="4xx"} 1"#,
            r#"egress_requests_total{answer="none"} 1"#,
            r#"egress_requests_total{answer="refused"} 1"#,
        ]
    );
}

#[test]
fn nothing_is_kept_of_a_call_where_nobody_asked_for_it() {
    let call = Call::local(ToolName::new("echo").unwrap(), Map::new());
    let mut observed = Observed::begin(None, &call);
    assert!(observed.span().is_disabled());
    assert_eq!(observed.step_at_once(Step::Admit, || 1), 1);
    observed.end(&unknown(&call));
}
