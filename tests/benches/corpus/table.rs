//! The table of the documentation: every case, what came of it, and what its neighbours felt.

use std::fmt::Write;
use std::time::Duration;

use anyhow::Result;
use holster_core::Limits;
use holster_tests::corpus::API_TIME;
use holster_tests::figures::{machine, time, verdict};

use crate::Measured;

/// How many times its quiet p99 a neighbour's may be.
const BAR: f64 = 2.0;
/// The longest text of a reason.
const LENGTH: usize = 120;

const HEAD: &str = "\
# Hostile components

Made by `cargo bench --workspace --bench corpus -- --table host/docs/hostile.md`, after `cargo xtask components`.

What [the adversarial corpus](../../tests/src/corpus.rs) tries against a host, what must come of it (the test `corpus` asserts that),
what came of it, and what two tools felt of it that were called all the while, in the same process, with calls on a runtime of
their own as `holster serve` has them. Four copies of each case were taken in and called at the same time, again and again, for a
second: a call may take half a second here. Whoever called a tool, hostile or not, waited 2 ms between two calls.

- **asks**: the tool `fetch` of the parity suite asks an API on the loopback interface, which takes {api} to answer, with an
  account; eight such calls at a time. Quiet, its p99 is {asks}. It must stay within {bar} times that.
- **computes**: the tool `report` computes for some microseconds; one call at a time. Quiet, its p99 is {computes}. No bar is set for it:
  a call takes less than the system lets one thread go on before another one gets a core.
- **machine** is by how much a thread that did nothing but sleep was woken too late, at most, and for how many pages the process
  waited until they came from the disk: for most of that, nobody in the process is to be blamed.
- **memory** is the most that the process had meanwhile: of the host, the neighbours, the benchmark and its files, and of the case,
  which may use {memory} for each call.

";

const COLUMNS: &str = "\
| component | what it tries | what must come of it | what came of it | computes, p99 | asks, p99 | ÷ quiet | | machine | memory |
|---|---|---|---|---:|---:|---:|---|---:|---:|
";

/// All of the page.
pub(crate) fn text(quiet: [Duration; 2], measured: &[Measured]) -> Result<String> {
    let head = HEAD
        .replace("{api}", &time(API_TIME))
        .replace("{computes}", &time(quiet[0]))
        .replace("{asks}", &time(quiet[1]))
        .replace(
            "{memory}",
            &format!("{} MiB", Limits::default().memory_bytes >> 20),
        )
        .replace("{bar}", &BAR.to_string());
    let ratio = |of: &Measured| of.p99[1].as_secs_f64() / quiet[1].as_secs_f64();
    let came = measured
        .iter()
        .filter(|of| of.case.must.is_met_by(&of.happened));
    let kept = measured.iter().filter(|of| ratio(of) <= BAR);
    let mut text = format!("{head}{}\n\n", machine()?);
    writeln!(
        text,
        "Of {} cases, {} came to what they must, and beside {} the neighbour kept its bar.\n\n{COLUMNS}",
        measured.len(),
        came.count(),
        kept.count()
    )?;
    let mut text = text.trim_end().to_owned() + "\n";
    for of in measured {
        let Measured {
            case,
            happened,
            p99,
            stood_still,
            pages,
            peak,
        } = of;
        let met = case.must.is_met_by(happened);
        writeln!(
            text,
            "| `{}` | {} | {} | {} {} | {} | {} | {:.2} | {} | {}, {pages} pages | {peak:.0} MiB |",
            case.name,
            case.tries,
            case.must,
            verdict(met),
            cell(&happened.to_string()),
            time(p99[0]),
            time(p99[1]),
            ratio(of),
            verdict(ratio(of) <= BAR),
            time(*stood_still)
        )?;
    }
    Ok(text)
}

/// A text that may come from a guest, in a cell.
fn cell(text: &str) -> String {
    let mut cut: String = text.chars().take(LENGTH).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    cut.replace('|', "\\|").replace(char::is_control, " ")
}
