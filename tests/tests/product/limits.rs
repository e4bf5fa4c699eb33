//! Limits: a guest that uses up what it may use ends its own call, with an error that says so, and nobody else's.

use std::sync::Arc;
use std::time::Duration;

use holster_core::{Call, CallError, Content, Failure, Host, Outcome};
use holster_tests::{Fixture, call, component, report};
use serde_json::json;
use tokio::task::JoinHandle;

/// How long a call may take that has nothing to wait for but its share of a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn fixture(limits: &str) -> Fixture {
    let fixture = Fixture::new(limits);
    fixture.plug_in(&component("parity-rust"));
    fixture
}

async fn ready(fixture: &Fixture) -> Arc<Host> {
    let host = fixture.host().await;
    host.settled().await;
    Arc::new(host)
}

fn misuse(kind: &str) -> Call {
    call("misuse", json!({ "kind": kind }))
}

fn start(host: &Arc<Host>, call: Call) -> JoinHandle<Outcome> {
    let host = Arc::clone(host);
    tokio::spawn(async move { host.call(call).await })
}

async fn assert_answers(host: &Host, beside: &str) {
    let outcome = tokio::time::timeout(PATIENCE, host.call(report()))
        .await
        .unwrap_or_else(|_| panic!("no answer beside {beside}"));
    assert!(
        matches!(outcome, Outcome::Finished(_)),
        "beside {beside}: {outcome:?}"
    );
}

/// What the instance says that served a call: the calls it had served, and bytes of new memory that somebody had used.
async fn remembered(host: &Host) -> String {
    match host.call(misuse("remember")).await {
        Outcome::Finished(finished) => match finished.output.content.as_slice() {
            [Content::Text(text)] => text.clone(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_call_is_left_for_the_next_one_in_any_language() {
    for language in ["parity-rust", "parity-js", "parity-python"] {
        let fixture = Fixture::new("limits.time_ms = 20000");
        fixture.plug_in(&component(language));
        let host = ready(&fixture).await;
        // At a pace at which instances wait for their calls, and faster than they are made.
        for pause in [20, 20, 20, 20, 20, 20, 0, 0, 0, 0] {
            assert_eq!(remembered(&host).await, "1 0", "{language}");
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        let at_once = (0..8).map(|_| remembered(&host));
        for text in futures::future::join_all(at_once).await {
            assert_eq!(text, "1 0", "{language}");
        }
        // After calls that did not come to their end.
        assert!(matches!(
            host.call(misuse("trap")).await,
            Outcome::Failed(_)
        ));
        let spinning = start(&host, misuse("spin"));
        tokio::time::sleep(Duration::from_millis(200)).await;
        spinning.abort();
        assert_eq!(remembered(&host).await, "1 0", "{language}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_misuse_ends_its_own_call_with_its_own_error_and_no_neighbours() {
    type Fits = fn(&CallError) -> bool;
    let fixture = fixture("limits.time_ms = 3000");
    let host = ready(&fixture).await;
    let cases: [(&str, Fits, &str); 6] = [
        (
            "spin",
            |error| *error == CallError::TimedOut(Duration::from_secs(3)),
            "did not answer within its 3 s; allow it more with the limit `time_ms`",
        ),
        (
            "allocate",
            |error| *error == CallError::OutOfMemory(128 << 20),
            "more than its 128 MiB of memory; allow it more with the limit `memory_bytes`",
        ),
        (
            "recurse",
            |error| *error == CallError::StackOverflow,
            "recursed too deeply",
        ),
        (
            "print",
            |error| *error == CallError::TimedOut(Duration::from_secs(3)),
            "did not answer within its 3 s",
        ),
        (
            "trap",
            |error| matches!(error, CallError::Trapped(_)),
            "the tool crashed: ",
        ),
        (
            "large",
            |error| *error == CallError::OutputTooLarge(8 << 20),
            "larger than 8388608 bytes; allow it more with the limit `output_bytes`",
        ),
    ];
    for (kind, fits, message) in cases {
        let misused = start(&host, misuse(kind));
        assert_answers(&host, kind).await;
        match misused.await.expect("the host does not panic") {
            Outcome::Failed(Failure::Run { error, .. }) => {
                assert!(fits(&error), "{kind}: {error:?}");
                assert!(error.to_string().contains(message), "{kind}: {error}");
            }
            other => panic!("{kind}: {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guests_that_spin_on_every_thread_keep_no_other_call_from_its_answer() {
    let fixture = fixture("limits.time_ms = 600000");
    let host = ready(&fixture).await;
    let spinning: Vec<_> = (0..4).map(|_| start(&host, misuse("spin"))).collect();
    for _ in 0..10 {
        assert_answers(&host, "four guests that spin").await;
    }
    for call in spinning {
        call.abort();
        let ended = tokio::time::timeout(PATIENCE, call)
            .await
            .expect("a dropped call ends");
        assert!(
            ended.is_err_and(|error| error.is_cancelled()),
            "it did not spin"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_waits_for_its_turn_and_a_call_that_is_dropped_gives_up_its_own() {
    let fixture = fixture("engine.concurrent_calls = 1\nlimits.time_ms = 600000");
    let host = ready(&fixture).await;
    let spinning = start(&host, misuse("spin"));
    tokio::time::sleep(Duration::from_millis(300)).await;
    let waiting = start(&host, report());
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!waiting.is_finished(), "two calls ran at once");
    spinning.abort();
    let outcome = tokio::time::timeout(PATIENCE, waiting)
        .await
        .expect("its turn comes")
        .expect("the host does not panic");
    assert!(matches!(outcome, Outcome::Finished(_)), "{outcome:?}");
}

/// An instance that trapped cannot be entered again, and one that used up its memory keeps it: a call that met
/// what another left behind would fail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_runs_in_a_fresh_instance() {
    // One slot in the pool, so that every call takes the place of the one before it.
    for pooling in [true, false] {
        let fixture = fixture(&format!(
            "engine = {{ concurrent_calls = 1, pooling = {pooling} }}\nlimits.time_ms = 20000"
        ));
        let host = ready(&fixture).await;
        for kind in ["trap", "allocate", "recurse", "trap"] {
            let outcome = host.call(misuse(kind)).await;
            assert!(matches!(outcome, Outcome::Failed(_)), "{kind}: {outcome:?}");
            assert_answers(&host, &format!("{kind}, with pooling = {pooling}")).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_components_own_limit_holds_for_it_alone() {
    let fixture = Fixture::new("[components.parity-rust.limits]\noutput_bytes = 10");
    fixture.plug_in(&component("parity-rust"));
    fixture.plug_in(&component("text-statistics"));
    let host = ready(&fixture).await;
    match host.call(report()).await {
        Outcome::Failed(Failure::Run { error, .. }) => {
            assert_eq!(error, CallError::OutputTooLarge(10));
        }
        other => panic!("{other:?}"),
    }
    let outcome = host
        .call(call("text_statistics", json!({ "text": "Tides" })))
        .await;
    assert!(matches!(outcome, Outcome::Finished(_)), "{outcome:?}");
}
