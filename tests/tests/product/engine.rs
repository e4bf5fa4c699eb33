//! The engine where the machine gives less than it asks for.

use std::process::Command;

use holster_tests::{Fixture, component};

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
