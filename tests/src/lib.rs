//! What the end-to-end tests share: where things are, and the components to run.
//!
//! `cargo xtask components` builds what [`component`] returns; a test that needs one fails with that advice where it
//! was not run. The loopback API is the crate `loopback-api`, re-exported here.

#![forbid(unsafe_code)]

pub mod corpus;
pub mod figures;
mod fixture;
pub mod fuzz;
mod http_server;
mod mcp_client;

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use holster_core::types::ToolName;
use holster_core::{Call, Outcome};
use serde_json::{Value, json};

pub use fixture::Fixture;
pub use http_server::HttpServer;
pub use loopback_api;
pub use mcp_client::{McpClient, Protocol};

/// The folder of the root's `Cargo.toml`.
pub fn repository() -> PathBuf {
    // That in which they run: a target folder may have been made in another checkout.
    let runs = match std::env::var_os("CARGO_MANIFEST_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => std::env::current_dir().expect("there is a current folder"),
    };
    let mut folders = runs.ancestors();
    let found = folders.find(|folder| folder.join("tests/corpora").is_dir());
    found.expect("the tests run in the repository").to_owned()
}

/// What `cargo metadata --no-deps` says about this workspace.
pub fn cargo_metadata() -> Value {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["metadata", "--no-deps", "--offline", "--format-version=1"])
        .current_dir(repository());
    let output = cargo
        .output()
        .expect("cargo runs, as it does for the tests");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("cargo prints JSON")
}

/// The plugin directory with all example tools.
pub fn plugin_directory() -> PathBuf {
    built_components().join("plugins")
}

/// The component with this name: an example tool, or one that only tests run.
pub fn component(name: &str) -> PathBuf {
    let file = format!("{name}.wasm");
    let folders = ["plugins", "guests"].map(|folder| built_components().join(folder));
    let found = folders
        .iter()
        .map(|folder| folder.join(&file))
        .find(|path| path.is_file());
    found
        .unwrap_or_else(|| panic!("{file} is in none of {folders:?}; run `cargo xtask components`"))
}

/// The same component with other bytes: a note follows the rest.
pub fn with_note(component: &[u8], note: &str) -> Vec<u8> {
    [component, &section_of(note)].concat()
}

/// A custom section that says `note`, which nothing reads.
pub(crate) fn section_of(note: &str) -> Vec<u8> {
    const NAME: &str = "note";
    let length = |text: &str| u8::try_from(text.len()).expect("a short note");
    let size = 1 + length(NAME) + length(note);
    // One byte is one LEB128 digit as long as its highest bit is not set.
    assert!(size < 0x80, "a short note");
    let mut section = vec![0, size, length(NAME)];
    section.extend(NAME.bytes().chain(note.bytes()));
    section
}

/// All that a command said, on standard output and on standard error.
pub fn said(output: &std::process::Output) -> String {
    let bytes = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The structured content of the answer. Panics if the call did not finish with any.
pub fn structured(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Finished(finished) => finished
            .output
            .structured()
            .cloned()
            .expect("structured content"),
        other => panic!("{other:?}"),
    }
}

/// A call by the person on the laptop.
pub fn call(tool: &str, arguments: Value) -> Call {
    let Value::Object(arguments) = arguments else {
        panic!("arguments are an object, not {arguments}");
    };
    Call::local(ToolName::new(tool).expect("a tool name"), arguments)
}

/// A call of the parity components' `report` that succeeds.
pub fn report() -> Call {
    call("report", report_arguments())
}

/// What [`report`] passes.
pub fn report_arguments() -> Value {
    json!({ "title": "Tides", "ratio": 0.5, "level": "high", "tags": ["sea"], "author": { "name": "Ann" } })
}

/// Waits until `happened` says so; fails, with `what` was waited for, where it never does.
pub async fn eventually(what: &str, mut happened: impl FnMut() -> bool) {
    const PATIENCE: Duration = Duration::from_secs(30);
    let wait = async {
        while !happened() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let happened = tokio::time::timeout(PATIENCE, wait).await.is_ok();
    assert!(happened, "it did not happen within {PATIENCE:?}: {what}");
}

/// Chromium, or what to do to have it.
pub fn chromium() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let found = std::env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|program| program.is_file());
    found.expect("Chromium is missing; run `apt-get install --no-install-recommends chromium`")
}

fn built_components() -> PathBuf {
    // A test runs from `<target>/<profile>/deps`, or from `<target>/<machine>/<profile>/deps` if it was built for a named one.
    let this = std::env::current_exe().expect("a test knows its program");
    let targets = this.ancestors().skip(3).take(2);
    let mut folders = targets.map(|target| target.join("components"));
    folders.find(|folder| folder.is_dir()).unwrap_or_else(|| {
        panic!(
            "no components belong to {}; run `cargo xtask components`",
            this.display()
        )
    })
}
