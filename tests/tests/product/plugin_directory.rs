//! The plugin directory: what is put there is served, what is taken away is not, and no restart lies between.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use holster_core::types::{ComponentHash, ToolName};
use holster_core::{Failure, Host, LoadEvent, Outcome, Progress};
use holster_tests::loopback_api::{Answer, LoopbackApi, Script};
use holster_tests::{Fixture, call, component, eventually, report, with_note};
use http::StatusCode;
use serde_json::json;

fn names(host: &Host) -> Vec<String> {
    let view = host.catalogue();
    view.tools()
        .map(|tool| tool.definition().name.to_string())
        .collect()
}

fn hash_of(host: &Host, tool: &str) -> Option<ComponentHash> {
    let tool = ToolName::new(tool).unwrap();
    host.catalogue().tool(&tool).map(|tool| tool.hash())
}

fn read(component: &Path) -> Vec<u8> {
    fs::read(component).expect("the component was built")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_added_replaced_or_removed_while_the_host_runs_is_served_so() {
    let fixture = Fixture::new("");
    let host = fixture.host().await;
    host.watch().unwrap();
    assert_eq!(names(&host), Vec::<String>::new());

    fixture.plug_in_as(&component("parity-rust"), "it.wasm");
    eventually("the added component is served", || {
        names(&host).contains(&"report".to_owned())
    })
    .await;
    let outcome = host.call(report()).await;
    assert!(matches!(outcome, Outcome::Finished(_)), "{outcome:?}");

    let newer = with_note(&read(&component("parity-rust")), "newer");
    fixture.plug_in_bytes(&newer, "it.wasm");
    let newer = ComponentHash::of(&newer);
    eventually("the replacement is served", || {
        hash_of(&host, "report") == Some(newer)
    })
    .await;
    match host.call(report()).await {
        Outcome::Finished(finished) => assert_eq!(finished.hash, Some(newer)),
        other => panic!("{other:?}"),
    }

    fs::remove_file(fixture.path("plugins/it.wasm")).unwrap();
    eventually("nothing is served", || names(&host).is_empty()).await;
    let outcome = host.call(report()).await;
    assert!(
        matches!(outcome, Outcome::Failed(Failure::UnknownTool { .. })),
        "{outcome:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_still_being_copied_is_served_once_it_is_whole() {
    let fixture = Fixture::new("");
    let host = fixture.host().await;
    host.watch().unwrap();
    let whole = read(&component("parity-rust"));
    let (first, rest) = whole.split_at(whole.len() / 2);
    let mut copy = File::create(fixture.path("plugins/it.wasm")).unwrap();
    copy.write_all(first).unwrap();
    eventually("half a component is refused", || {
        !host.catalogue().problems().is_empty()
    })
    .await;
    copy.write_all(rest).unwrap();
    drop(copy);
    eventually("the whole one is served", || {
        hash_of(&host, "report") == Some(ComponentHash::of(&whole))
    })
    .await;
    assert_eq!(host.catalogue().problems(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_another_one_for_a_moment_is_served() {
    let fixture = Arc::new(Fixture::new(""));
    let whole = read(&component("parity-rust"));
    fixture.plug_in_bytes(&whole, "it.wasm");
    let served = ComponentHash::of(&whole);
    let (changing, is_first) = (Arc::clone(&fixture), AtomicBool::new(true));
    let host = fixture
        .host_observed(move |_, event| match event {
            // It is found, and not yet read.
            LoadEvent::Progress(Progress::Compiling) if is_first.swap(false, Ordering::SeqCst) => {
                changing.plug_in_bytes(&with_note(&whole, "another one"), "it.wasm");
            }
            LoadEvent::Refused(_) => changing.plug_in_bytes(&whole, "it.wasm"),
            _ => {}
        })
        .await;
    eventually("the component is served", || {
        hash_of(&host, "report") == Some(served)
    })
    .await;
    assert_eq!(host.catalogue().problems(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_in_flight_finishes_on_the_component_that_it_began_with() {
    let api = LoopbackApi::start().await.unwrap();
    let answer = Answer::json(StatusCode::OK, &json!({ "ok": true, "user": "ann" }));
    let slow = Script::Delayed(Duration::from_secs(5), Box::new(Script::Answer(answer)));
    api.script("/auth.test", slow);
    let url = api.url();
    let fixture = Fixture::new(&format!(
        "[profiles.default.credentials.slack]\ntoken = {{ file = 'token' }}\n\
         [providers.slack]\nhosts = ['{url}']\n[components.it.config]\nbase_url = '{url}'\n"
    ));
    fixture.write_private("token", "work-slack-token");
    let old = read(&component("parity-rust"));
    let new = with_note(&old, "newer");
    let compiled = ComponentHash::of(&new);
    let bytes = new.clone();
    // Known beforehand, so that it takes the old one's place at once.
    fixture
        .runtime()
        .load(compiled, move || Ok(bytes), |_| {})
        .await
        .unwrap();
    fixture.plug_in_bytes(&old, "it.wasm");
    let host = Arc::new(fixture.host().await);
    host.watch().unwrap();
    host.settled().await;

    let in_flight = {
        let host = Arc::clone(&host);
        tokio::spawn(async move { host.call(call("fetch", json!({}))).await })
    };
    eventually("the guest's request arrives", || {
        !api.take_requests().is_empty()
    })
    .await;
    fixture.plug_in_bytes(&new, "it.wasm");
    eventually("the new component is served", || {
        hash_of(&host, "fetch") == Some(compiled)
    })
    .await;
    assert!(
        !in_flight.is_finished(),
        "the call was over before its component was replaced"
    );
    match in_flight.await.unwrap() {
        Outcome::Finished(finished) => assert_eq!(finished.hash, Some(ComponentHash::of(&old))),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_right_after_the_start_waits_for_the_component_that_is_being_compiled() {
    let fixture = Fixture::new("");
    fixture.plug_in(&component("parity-rust"));
    let host = fixture.host().await;
    assert_eq!(
        host.catalogue().loading().count(),
        1,
        "it was compiled too soon to tell"
    );
    let outcome = host.call(report()).await;
    assert!(matches!(outcome, Outcome::Finished(_)), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn known_components_are_listed_without_their_code() {
    let fixture = Fixture::new("");
    fixture.plug_in(&component("parity-rust"));
    let before = {
        let host = fixture.host().await;
        host.settled().await;
        names(&host)
    };
    assert_eq!(before.len(), 6);
    let codes: Vec<_> = fixture
        .files()
        .into_iter()
        .filter(|file| file.ends_with("code"))
        .collect();
    assert_eq!(codes.len(), 1, "{codes:?}");
    fs::remove_file(&codes[0]).unwrap();

    let events: Arc<Mutex<Vec<LoadEvent>>> = Arc::default();
    let seen = Arc::clone(&events);
    let host = fixture
        .host_observed(move |_, event| seen.lock().unwrap().push(event))
        .await;
    assert_eq!(names(&host), before);
    assert_eq!(host.catalogue().loading().count(), 0);
    host.settled().await;
    assert_eq!(*events.lock().unwrap(), []);

    // The code is missed, and made, when it is needed.
    let outcome = host.call(report()).await;
    assert!(matches!(outcome, Outcome::Finished(_)), "{outcome:?}");
    assert!(codes[0].is_file());
}
