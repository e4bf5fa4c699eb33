//! The history on its own: what is kept, of whom, and in which order.

use super::*;
use crate::call::{Failure, Finished};
use holster_runtime::ToolOutput;
use serde_json::Map;

/// One that nobody reads.
fn history() -> History {
    let nowhere = std::env::temp_dir().join(format!("holster-history-{}", std::process::id()));
    History::new(&Arc::new(AuditLog::in_folder(&nowhere)))
}

fn call_of(tenant: &str) -> Call {
    let mut call = Call::local(ToolName::new("echo").unwrap(), Map::new());
    call.tenant = TenantId::new(tenant).unwrap();
    call
}

fn finished() -> Outcome {
    Outcome::Finished(Finished {
        output: ToolOutput {
            content: Vec::new(),
        },
        component: None,
        hash: None,
        accounts: Vec::new(),
        visits: Vec::new(),
        duration: Duration::ZERO,
    })
}

fn visit(origin: &str, refused: bool) -> HostVisit {
    HostVisit {
        origin: origin.to_owned(),
        method: "GET".to_owned(),
        refused: refused.then(|| "not allowed".to_owned()),
        provider: None,
        status: None,
        rejected: false,
    }
}

#[test]
fn the_last_calls_of_a_user_are_kept_the_newest_first_and_nobody_sees_those_of_another() {
    let history = history();
    let (ann, bob) = (call_of("ann"), call_of("bob"));
    for _ in 0..KEPT {
        history.begin(&ann).end(&finished());
    }
    history.begin(&bob).end(&finished());
    history.begin(&ann).end(&finished());
    let numbers = |call: &Call| -> Vec<u64> {
        let records = history.of(&call.tenant);
        records.iter().map(|record| record.number).collect()
    };
    let last = KEPT as u64 + 2;
    assert_eq!(history.last(), last);
    assert_eq!(numbers(&bob), [last - 1]);
    let kept: Vec<_> = (3..=last)
        .rev()
        .filter(|number| *number != last - 1)
        .collect();
    assert_eq!(numbers(&ann), kept);
}

#[test]
fn a_call_that_is_dropped_halfway_is_recorded_as_cancelled() {
    let history = history();
    let call = call_of("ann");
    let mut recording = history.begin(&call);
    let hash = ComponentHash::of(b"component");
    recording.found(&ComponentName::new("component").unwrap(), hash);
    assert_eq!(history.last(), 0);
    drop(recording);
    let record = &history.of(&call.tenant)[0];
    assert_eq!(record.end, CallEnd::Cancelled);
    assert_eq!(record.component.as_ref().unwrap().hash, hash);
}

#[test]
fn a_call_in_which_the_host_panics_is_recorded_as_failed() {
    let history = history();
    let call = call_of("ann");
    let panics = std::panic::AssertUnwindSafe(|| {
        let _recording = history.begin(&call);
        panic!("as a test may");
    });
    assert!(std::panic::catch_unwind(panics).is_err());
    let record = &history.of(&call.tenant)[0];
    assert!(matches!(record.end, CallEnd::Failed { .. }), "{record:?}");
}

#[test]
fn the_requests_of_a_call_are_counted_for_each_place_up_to_a_bound() {
    let history = history();
    let call = call_of("ann");
    let mut recording = history.begin(&call);
    let (one, other) = ("https://a.example:443", "https://b.example:443");
    recording.visited(&[visit(one, false), visit(other, true), visit(one, false)]);
    let many: Vec<_> = (0..2 * MAX_HOSTS)
        .map(|port| visit(&format!("https://c.example:{port}"), true))
        .collect();
    recording.visited(&many);
    recording.end(&finished());
    let record = &history.of(&call.tenant)[0];
    let counted = |origin: &str, requests, refused| VisitedHost {
        origin: origin.to_owned(),
        requests,
        refused,
    };
    assert_eq!(
        record.hosts[..2],
        [counted(one, 2, 0), counted(other, 0, 1)]
    );
    assert_eq!(record.hosts.len(), MAX_HOSTS);
}

#[test]
fn a_reason_is_cut_where_a_character_ends() {
    let history = history();
    let call = call_of("ann");
    history
        .begin(&call)
        .end(&Outcome::Failed(Failure::NoConnection {
            connection: "ä".repeat(MAX_REASON),
        }));
    let reason = history.of(&call.tenant)[0].end.reason().unwrap();
    assert!(
        reason.len() <= MAX_REASON && reason.ends_with("ä…"),
        "{reason}"
    );
}

#[tokio::test]
async fn who_waits_for_a_call_is_told_of_it() {
    let history = history();
    let call = call_of("ann");
    let mut changes = history.changes();
    assert!(!changes.has_changed().unwrap());
    history.begin(&call).end(&finished());
    changes.changed().await.unwrap();
}
