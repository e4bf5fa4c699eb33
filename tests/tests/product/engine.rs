//! The engine where the machine gives less than it asks for, and where it leaves time.

use std::process::Command;
use std::time::{Duration, Instant};

use holster_core::{Host, Outcome};
use holster_tests::{Fixture, call, component, corpus};
use serde_json::json;

#[test]
fn where_there_is_no_address_space_for_a_pool_calls_run_all_the_same_with_a_warning() {
    let fixture = Fixture::new("");
    fixture.plug_in(&component("text-statistics"));
    let holster = fixture.command(&[]);
    // 24 GiB: enough for a few memories of 4 GiB reserved addresses, far too little for a pool of 512.
    let output = Command::new("sh")
        .args([
            "-c",
            "ulimit -v 25165824; exec \"$0\" call text_statistics '{\"text\":\"two words\"}'",
        ])
        .arg(holster.get_program())
        .current_dir(fixture.path("."))
        .output()
        .unwrap();
    let [out, err] =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(output.status.success(), "{err}");
    assert!(out.contains("\"words\": 2"), "{out}");
    assert!(err.contains("allocating on demand"), "{err}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_waits_while_nobody_calls_lists_its_tools_meanwhile() {
    let fixture = Fixture::new("");
    fixture.plug_in_bytes(&corpus::component_that_warms_up(), "it.wasm");
    let host = Host::open(fixture.config()).await.unwrap();
    host.settled().await;
    let says = async || match host.call(call("say", json!({}))).await {
        Outcome::Finished(finished) => format!("{:?}", finished.output.content),
        other => panic!("{other:?}"),
    };
    assert!(says().await.contains("cold"));
    let patience = Instant::now() + Duration::from_secs(30);
    while !says().await.contains("warm") {
        assert!(Instant::now() < patience, "it stays cold");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
