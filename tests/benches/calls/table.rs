//! The table of the documentation: every figure beside its bar.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use holster_tests::figures::{machine, time, verdict};

use crate::sampling::{Comparison, Figures, compare};
use crate::sides::Guest;
use crate::{in_flight, listing, plot, sampling, scale};

/// How much longer a call by the host takes than one by the floor.
pub(crate) struct Ratio {
    pub(crate) guest: Guest,
    pub(crate) at_once: f64,
    pub(crate) paced: f64,
    /// What the guest alone takes of a call by the floor, with a pause before each.
    pub(crate) guest_alone: f64,
}

const HEAD: &str = "\
# Performance

Made by `cargo xtask performance`. Host and floor are built as `cargo xtask dist` builds the program: as a whole, for what it did
when it was called as agents call it.
";

const CALLS: &str = "
## A call

The tool `report` of the parity suite, called by bare wasmtime (the *floor*: the same engine settings, a fresh store and
instance for every call, no limits, no schemas, no accounts) and by `Host::call`, in one process: in turns of fifty calls, one right
after the other, then with a pause of 10 ms before each. Calls per second are those of two tasks on two threads. The peak is that of a process
that makes only such calls; the floor's holds what its compiler took before, since bare wasmtime has no cache. What is beside it
over MCP, a peer among it, is in [agents.md](agents.md).

| guest | side | p50 | p99 | p50 after a pause | calls/s | peak memory |
|---|---|---:|---:|---:|---:|---:|
";

const RATIOS: &str = "
What the guest alone takes, in an instance that was made before the clock started, is what is left of the floor's call where
instances are made in advance and everything else is free.

| guest | p50 ÷ floor | bar | after a pause | bar | the guest alone |
|---|---:|---:|---:|---:|---:|
";

const SCALE: &str = "
## Many components, many calls

A call to one of so many components that are served, all alike but for their names, and to all of them in turn:

| components | to one, p50 | to all, p50 | to one ÷ that of 1 |
|---:|---:|---:|---:|
";

const IN_FLIGHT: &str = "
So many calls of a tool that waits, in Rust, each in an instance of its own at the same time, in a process that makes nothing else:

| calls in flight | peak memory | for each call more |
|---:|---:|---:|
";

const STARTS: &str = "
## A start

`holster tools --json`, as a process: with 1,000 components in the code cache, and with {components} in three languages, first with an
empty cache and then with the one that this leaves.

| what | measured | bar | |
|---|---:|---:|---|
";

/// Measures everything, and writes the file with a plot beside it.
pub(crate) fn write(file: &Path) -> Result<()> {
    let mut text = format!("{HEAD}\n{}\n", machine()?);
    let plot = file.with_extension("svg");
    let name = plot.file_name().context("a page has a name")?;
    writeln!(text, "\n![The figures below]({})", name.to_string_lossy())?;
    text += CALLS;
    let mut ratios = Vec::new();
    for guest in Guest::built() {
        eprintln!("{guest}: loading, then about a minute of calls");
        let Comparison {
            floor,
            host,
            guest_alone,
        } = compare(guest)?;
        eprintln!("{guest}: {floor:?} for the floor, {host:?} for the host");
        writeln!(text, "| {guest} | floor | {}", cells(&floor))?;
        writeln!(text, "| {guest} | `Host::call` | {}", cells(&host))?;
        ratios.push(Ratio {
            guest,
            at_once: ratio(host.median, floor.median),
            paced: ratio(host.paced, floor.paced),
            guest_alone: ratio(guest_alone, floor.paced),
        });
    }
    text += RATIOS;
    for Ratio {
        guest,
        at_once,
        paced,
        guest_alone,
    } in &ratios
    {
        let paced_bar = guest.paced_bar().map(|bar| at_most(*paced, bar));
        writeln!(
            text,
            "| {guest} | {at_once:.2} | {} | {paced:.2} | {} | {guest_alone:.2} |",
            at_most(*at_once, guest.bar()),
            paced_bar.unwrap_or_default()
        )?;
    }
    eprintln!("a start with 1,000 known components; they are compiled the first time, for minutes");
    let known = listing::listing()?;
    eprintln!("calls to up to 1,000 components");
    let costs = scale::costs(&known.known)?;
    text += SCALE;
    for cost in &costs {
        let (one, all) = (time(cost.one), time(cost.all));
        let growth = ratio(cost.one, costs[0].one);
        writeln!(
            text,
            "| {} | {one} | {all} | {growth:.2} |",
            cost.components
        )?;
    }
    eprintln!("up to 10,000 calls in flight");
    let peaks = in_flight::peaks()?;
    text += IN_FLIGHT;
    for peak in &peaks {
        let more = (peak.peak_mib - peaks[0].peak_mib) * 1024.0 / f64::from(peak.calls);
        writeln!(
            text,
            "| {} | {:.0} MiB | {more:.0} KiB |",
            peak.calls, peak.peak_mib
        )?;
    }
    text += &starts(&known)?;
    print!("{text}");
    plot::draw(&plot, &ratios, &costs, &peaks)?;
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

fn starts(known: &listing::Listing) -> Result<String> {
    eprintln!("starts with unknown components");
    let starts = listing::starts()?;
    let share = 100.0 * starts.second.as_secs_f64() / starts.first.as_secs_f64();
    let mut text = STARTS.replace("{components}", &starts.components.to_string());
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
    Ok(text)
}

fn ratio(time: Duration, of: Duration) -> f64 {
    time.as_secs_f64() / of.as_secs_f64()
}

fn at_most(ratio: f64, bar: f64) -> String {
    format!("≤ {bar} {}", verdict(ratio <= bar))
}

fn cells(figures: &Figures) -> String {
    let sampling::Figures {
        median,
        paced,
        p99,
        calls_per_second,
        peak_mib,
    } = figures;
    format!(
        "{} | {} | {} | {calls_per_second:.0} | {peak_mib:.0} MiB |",
        time(*median),
        time(*p99),
        time(*paced)
    )
}
