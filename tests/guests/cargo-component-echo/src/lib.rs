//! A tool that `cargo component build` and plain `cargo build --target wasm32-wasip2` both make a component of.

#![forbid(unsafe_code)]

use holster_sdk::tool;

/// Repeats a text.
#[tool(read_only, idempotent, open_world = false)]
fn echo(
    /// What to repeat.
    text: String,
) -> String {
    text
}

holster_sdk::export!(echo);
