//! What Holster adds to a call, and how fast it starts.
//!
//! The same tool, written in each language, is called by bare wasmtime (the floor) and by [`Host::call`], in turns,
//! in one process. `cargo bench --workspace --bench calls` times both interactively; with `-- --table FILE` it
//! writes every figure with its bar into a Markdown table, and a plot beside it, as `cargo xtask performance` has it do. Needs the
//! components of `cargo xtask components`.

#![forbid(unsafe_code)]

mod floor;
mod in_flight;
mod listing;
mod plot;
mod sampling;
mod scale;
mod sides;
mod table;

use std::path::PathBuf;

use anyhow::{Context, Result};
use divan::Bencher;

use crate::sides::{Guest, Kind, Side};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["--table", file, ..] => table::write(&holster_tests::repository().join(file)),
        ["--in-flight", calls, ..] => in_flight::print_peak(calls.parse()?),
        ["--peak", kind, language, ..] => sampling::print_peak(kind.parse()?, language.parse()?),
        _ => {
            divan::main();
            Ok(())
        }
    }
}

#[divan::bench(args = Guest::built(), sample_size = 1, max_time = 5)]
fn floor(bencher: Bencher, guest: Guest) {
    bench(bencher, Kind::Floor, guest);
}

#[divan::bench(args = Guest::built(), sample_size = 1, max_time = 5)]
fn host_call(bencher: Bencher, guest: Guest) {
    bench(bencher, Kind::Host, guest);
}

fn bench(bencher: Bencher, kind: Kind, guest: Guest) {
    let tokio = tokio().expect("tokio starts");
    let side = tokio.block_on(Side::open(kind, guest)).expect("it loads");
    tokio.block_on(side.call());
    bencher
        .with_inputs(|| side.prepare())
        .bench_local_values(|call| tokio.block_on(side.answer(call)));
}

/// Two threads, as the figures say.
fn tokio() -> Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder
        .worker_threads(2)
        .enable_all()
        .build()
        .context("tokio does not start")
}

/// What the benches keep from run to run, so that the second is quick.
fn folder() -> PathBuf {
    let components = holster_tests::plugin_directory();
    let target = components.ancestors().nth(2);
    target
        .expect("the components lie in the target folder")
        .join("bench")
}
