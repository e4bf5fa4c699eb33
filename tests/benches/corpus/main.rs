//! What a well-behaved tool feels of hostile neighbours.
//!
//! Every case of the corpus is taken in and called, several times at once and again and again, for a second, beside tools
//! that are called all the while. `cargo bench --workspace --bench corpus` prints what happened and how long the calls
//! of the tools beside it took; with `-- --table FILE` it writes that as a Markdown table. Needs the components of
//! `cargo xtask components`.

#![forbid(unsafe_code)]

mod pulse;
mod table;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use holster_tests::corpus::{Arena, Case, Happened, Neighbour, Work, cases};
use holster_tests::figures::{forget_peak, pages_awaited, peak_mib};
use tokio::runtime::Runtime;

use crate::pulse::Pulse;

/// How long the neighbours are watched before the siege.
const QUIET: Duration = Duration::from_secs(5);
/// How long each case lasts, at least.
const SIEGE: Duration = Duration::from_secs(1);

/// What was seen of a case.
struct Measured {
    case: Arc<Case>,
    happened: Happened,
    /// Of each neighbour.
    p99: [Duration; 2],
    /// How long the machine kept a thread waiting that did nothing but sleep.
    stood_still: Duration,
    /// For how many pages this process waited that had to come from the disk.
    pages: u64,
    /// The most memory that this process had meanwhile, in MiB.
    peak: f64,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (only, file) = match arguments[..] {
        ["--table", file, ..] => ("", Some(file)),
        ["--only", part, ..] => (part, None),
        _ => ("", None),
    };
    // Two, as `holster serve` has them: one for what clients see, one for the calls.
    let front = tokio()?;
    let calls = tokio()?;
    let text = front.block_on(measure(&calls, only))?;
    // Guests may still be running.
    calls.shutdown_background();
    print!("{text}");
    match file {
        None => Ok(()),
        Some(file) => {
            let path = holster_tests::repository().join(file);
            std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
        }
    }
}

fn tokio() -> Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder
        .worker_threads(holster_core::guest_threads())
        .enable_all()
        .build()
        .context("tokio does not start")
}

/// The table of the cases whose names hold `only`.
async fn measure(calls: &Runtime, only: &str) -> Result<String> {
    let arena = Arena::with(&[], calls.handle().clone()).await;
    let neighbours = [Work::Computes, Work::Asks].map(|work| arena.neighbour(work));
    // What is compiled, connected and cached once is no part of a quiet call.
    tokio::time::sleep(Duration::from_secs(1)).await;
    p99s(&neighbours)?;
    tokio::time::sleep(QUIET).await;
    let quiet = p99s(&neighbours)?;
    eprintln!("quiet: {quiet:?}");
    let pulse = Pulse::start()?;
    let mut measured = Vec::new();
    let cases = cases().into_iter().map(Arc::new);
    for case in cases.filter(|case| case.name.contains(only)) {
        forget_peak()?;
        pulse.latest();
        let pages_before = pages_awaited()?;
        let happened = arena.besiege(&case, SIEGE).await;
        let stood_still = pulse.latest();
        let pages = pages_awaited()? - pages_before;
        let p99 = p99s(&neighbours)?;
        let peak = peak_mib("self")?;
        eprintln!(
            "{}: {p99:?}, machine {stood_still:?} and {pages} pages, {peak:.0} MiB: {happened}",
            case.name
        );
        measured.push(Measured {
            case,
            happened,
            p99,
            stood_still,
            pages,
            peak,
        });
    }
    table::text(quiet, &measured)
}

/// What 99 of 100 calls of each neighbour took at most, since this was last asked.
fn p99s(neighbours: &[Neighbour; 2]) -> Result<[Duration; 2]> {
    let mut p99s = [Duration::ZERO; 2];
    for (p99, neighbour) in p99s.iter_mut().zip(neighbours) {
        let mut seen = neighbour.take();
        ensure!(
            seen.wrong.is_empty(),
            "the neighbour was harmed: {:?}",
            seen.wrong
        );
        ensure!(!seen.times.is_empty(), "the neighbour was not answered");
        seen.times.sort_unstable();
        *p99 = seen.times[seen.times.len() * 99 / 100];
    }
    Ok(p99s)
}
