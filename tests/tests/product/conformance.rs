//! `holster check` over real components, and over what is none.

use std::fs;

use holster_tests::{Fixture, component, plugin_directory};
use serde_json::Value;

#[test]
fn every_example_and_the_same_tool_in_every_language_conform() {
    let fixture = Fixture::new("");
    let examples = fs::read_dir(plugin_directory())
        .unwrap()
        .map(|item| item.unwrap().path());
    let guests = [
        "parity-rust",
        "parity-js",
        "parity-python",
        "cargo-component-echo",
    ]
    .map(component);
    for file in examples.chain(guests) {
        let output = fixture.holster(&["--json", "check", file.to_str().unwrap()]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{}: {text}", file.display());
    }
}

#[test]
fn a_component_that_cargo_component_built_is_served_like_any_other() {
    let fixture = Fixture::new("");
    fixture.plug_in(&component("cargo-component-echo"));
    let output = fixture.holster(&["--json", "tools"]);
    let listed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        listed["tools"][0]["component"], "cargo-component-echo",
        "{listed}"
    );
    assert!(
        listed["problems"].as_array().unwrap().is_empty(),
        "{listed}"
    );
}

#[test]
fn a_file_that_does_not_conform_fails_in_every_format_with_rule_place_and_remedy() {
    let fixture = Fixture::new("");
    let mut bytes = fs::read(component("parity-rust")).unwrap();
    bytes.truncate(bytes.len() / 2);
    fs::write(fixture.path("half.wasm"), bytes).unwrap();
    let run = |format: &str| {
        let output = fixture.holster(&["check", "half.wasm", "--format", format]);
        assert_eq!(output.status.code(), Some(1), "{format}");
        String::from_utf8(output.stdout).unwrap()
    };
    let text = run("text");
    assert!(
        text.contains("half.wasm") && text.contains("byte"),
        "{text}"
    );
    let sarif: Value = serde_json::from_str(&run("sarif")).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    let result = &sarif["runs"][0]["results"][0];
    assert_eq!(result["ruleId"], "component");
    assert_eq!(result["level"], "error");
    let json: Value = serde_json::from_str(&run("json")).unwrap();
    assert!(json.to_string().contains("remedy"), "{json}");
    let junit = run("junit");
    assert!(
        junit.starts_with("<?xml") && junit.contains("<failure"),
        "{junit}"
    );
}
