//! The table of the documentation: every figure beside its bar.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result};
use holster_tests::figures::{machine, time, verdict};

use crate::sampling::{Figures, compare};
use crate::sides::Guest;
use crate::{listing, sampling};

const HEAD: &str = "\
# Performance

Made by `cargo bench --workspace --bench calls -- --table host/docs/performance.md`, after `cargo xtask components`.
";

const CALLS: &str = "
## A call

The tool `report` of the parity suite, called by bare wasmtime (the *floor*: the same engine settings, a fresh store and
instance for every call, no limits, no schemas, no accounts) and by `Host::call`, in turns, in one process. Calls per second are
those of two tasks on two threads. The peak is that of a process that makes only such calls; the floor's holds what its
compiler took before, since bare wasmtime has no cache.

| guest | side | p50 | p99 | calls/s | peak memory | p50 ÷ floor | bar |
|---|---|---:|---:|---:|---:|---:|---:|
";

const STARTS: &str = "
## A start

`holster tools --json`, as a process: with 1,000 components in the code cache, and with {components} in three languages, first with an
empty cache and then with the one that this leaves.

| what | measured | bar | |
|---|---:|---:|---|
";

/// Measures everything and writes the file.
pub(crate) fn write(file: &Path) -> Result<()> {
    let mut text = format!("{HEAD}\n{}\n{CALLS}", machine()?);
    for guest in Guest::built() {
        eprintln!("{guest}: loading, then about a minute of calls");
        let [floor, host] = compare(guest)?;
        eprintln!("{guest}: {floor:?} for the floor, {host:?} for the host");
        let ratio = host.median.as_secs_f64() / floor.median.as_secs_f64();
        let bar = guest.bar();
        writeln!(text, "| {guest} | floor | {} | 1 | |", cells(&floor))?;
        writeln!(
            text,
            "| {guest} | `Host::call` | {} | {ratio:.2} | ≤ {bar} {} |",
            cells(&host),
            verdict(ratio <= bar)
        )?;
    }
    eprintln!("a start with 1,000 known components; they are compiled the first time, for minutes");
    let known = listing::listing()?;
    eprintln!("a start with {known:?}, then one with unknown components");
    let starts = listing::starts()?;
    let share = 100.0 * starts.second.as_secs_f64() / starts.first.as_secs_f64();
    text += &STARTS.replace("{components}", &starts.components.to_string());
    for (what, measured, bar, kept) in [
        (
            "1,000 known components",
            time(known.median),
            "100 ms",
            known.median.as_millis() < 100,
        ),
        (
            "1,000 known components, peak memory",
            format!("{:.0} MiB", known.peak_mib),
            "100 MiB",
            known.peak_mib < 100.0,
        ),
        ("first start", time(starts.first), "", true),
        (
            "second start",
            format!("{} ({share:.2} %)", time(starts.second)),
            "5 % of the first",
            share <= 5.0,
        ),
    ] {
        let verdict = if bar.is_empty() { "" } else { verdict(kept) };
        writeln!(text, "| {what} | {measured} | {bar} | {verdict} |")?;
    }
    print!("{text}");
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

fn cells(figures: &Figures) -> String {
    let sampling::Figures {
        median,
        p99,
        calls_per_second,
        peak_mib,
    } = figures;
    format!(
        "{} | {} | {calls_per_second:.0} | {peak_mib:.0} MiB",
        time(*median),
        time(*p99)
    )
}
