//! Processes that are killed at whatever they do, and what is left of it.

use std::process::Output;
use std::time::{Duration, Instant};

use holster_tests::{Fixture, component, corpus, report_arguments, said, with_note};

/// How many processes are killed, unless `HOLSTER_KILLS` says so.
const KILLS: u32 = 60;

/// The longest that any of this work takes, by and large: kills are spread over so much time.
const WORK: Duration = Duration::from_millis(120);

fn kills() -> u32 {
    let kills = std::env::var("HOLSTER_KILLS").ok();
    kills.and_then(|kills| kills.parse().ok()).unwrap_or(KILLS)
}

/// Runs `holster` for as long as `time`, then kills it. Says how it ended if it was sooner.
fn killed_after(
    time: Duration,
    fixture: &Fixture,
    arguments: &[&str],
    input: &str,
) -> Option<Output> {
    let mut process = fixture.start(arguments, input);
    let start = Instant::now();
    while start.elapsed() < time {
        if process.try_wait().expect("it is ours").is_some() {
            return Some(process.wait_with_output().expect("it has ended"));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    process.kill().expect("it is ours");
    process.wait().expect("it was killed");
    None
}

fn succeeds(fixture: &Fixture, arguments: &[&str]) -> String {
    let output = fixture.holster(arguments);
    let said = said(&output);
    assert!(output.status.success(), "{arguments:?}: {said}");
    said
}

/// By turns: the load and the compilation of components that are new, a write to the vault, a call with its records.
#[test]
fn a_process_that_is_killed_at_any_point_leaves_nothing_half_done_and_loses_nothing_that_was_done()
{
    let fixture = Fixture::new("");
    let parity = std::fs::read(component("parity-rust")).expect("it was built");
    fixture.plug_in_bytes(&parity, "parity.wasm");
    let arguments = report_arguments().to_string();
    succeeds(&fixture, &["call", "report", &arguments]);
    let mut kept = Vec::new();
    let mut killed = 0;
    for round in 0..kills() {
        // Another point each time, whatever the work.
        let time = WORK * (round * 37 % 100) / 100;
        let ended = match round % 3 {
            0 => {
                let note = round.to_string();
                fixture.plug_in_bytes(&with_note(&parity, &note), "parity.wasm");
                let name = format!("tool-{round}");
                let small = corpus::component_that_lists(
                    name.as_bytes(),
                    b"One more.",
                    br#"{"type":"object"}"#,
                    None,
                    None,
                );
                fixture.plug_in_bytes(&small, &format!("small-{}.wasm", round % 5));
                killed_after(time, &fixture, &["tools", "--json"], "")
            }
            1 => {
                let profile = format!("person-{round}");
                let add = ["auth", "add", "slack", "--profile", &profile, "--stdin"];
                let ended = killed_after(time, &fixture, &add, "a-token\n");
                if ended.as_ref().is_some_and(|output| output.status.success()) {
                    kept.push(profile);
                }
                ended
            }
            _ => killed_after(time, &fixture, &["call", "report", &arguments], ""),
        };
        killed += u32::from(ended.is_none());
        if let Some(output) = ended {
            assert!(output.status.success(), "round {round}: {}", said(&output));
        }
        for check in [
            ["cache", "verify"],
            ["vault", "verify"],
            ["audit", "verify"],
        ] {
            succeeds(&fixture, &check);
        }
        let listed = succeeds(&fixture, &["auth", "list"]);
        for profile in &kept {
            assert!(listed.contains(profile.as_str()), "{profile}: {listed}");
        }
    }
    assert!(
        killed > kills() / 4,
        "{killed} were killed before their end"
    );
    // The next start finds everything as it should be.
    let listed = succeeds(&fixture, &["tools"]);
    assert!(
        listed.contains("report") && listed.contains("tool-"),
        "{listed}"
    );
    succeeds(&fixture, &["call", "report", &arguments]);
}
