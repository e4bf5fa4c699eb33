//! The tools that the hosts are measured with, as an author writes them for Holster in Rust.

#![forbid(unsafe_code)]

use holster_sdk::tool;

holster_sdk::export!(echo, big, spin);

/// Gives a text back.
#[tool(read_only, idempotent, open_world = false)]
fn echo(
    /// The text.
    text: String,
) -> String {
    text
}

/// Gives a text of some length.
#[tool(read_only, idempotent, open_world = false)]
fn big(
    /// How many bytes.
    bytes: u32,
) -> String {
    "x".repeat(bytes as usize)
}

/// Never ends.
#[tool(read_only, idempotent, open_world = false)]
fn spin() -> String {
    loop {
        std::hint::black_box(());
    }
}
