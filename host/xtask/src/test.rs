//! `cargo xtask test`: every test there is, in every language, and the sum.
//!
//! A suite that fails does not keep the others from running. What the runners say is shown as they say it; the last
//! line sums their closing lines up, and a suite that fails without counting (it does not compile, say) counts as one
//! failure.

use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::setup::Toolchain;
use crate::workspace::Workspace;
use crate::{components, lint, setup, shell};

const PYTEST: [&str; 5] = ["-m", "pytest", "--quiet", "-p", "no:cacheprovider"];

/// What runners counted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Tally {
    passed: u64,
    failed: u64,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

pub(crate) fn command(workspace: &Workspace) -> Result<ExitCode> {
    let toolchain = setup::prepare(workspace)?;
    setup::prepare_tests(workspace, &toolchain)?;
    components::install_cargo_component(workspace)?;

    let mut total = Tally::default();
    let mut failures = Vec::new();
    for (name, result) in [
        ("components", components::build(workspace, &toolchain, &[])),
        ("programs", programs(workspace)),
        (
            "packages of the frameworks",
            setup::prepare_frameworks(workspace, &toolchain),
        ),
        (
            "packages for the REST API",
            setup::prepare_rest(workspace, &toolchain),
        ),
        ("lint", lint::command(workspace)),
    ] {
        if let Err(error) = result {
            failures.push(format!("{name}: {error:#}"));
            total.failed += 1;
        }
    }
    for (name, mut runner) in suites(workspace, &toolchain)? {
        println!("\ntest: {name}");
        let mut tally = Tally::default();
        if let Err(error) = shell::tee(&mut runner, |line| tally += counted(line)) {
            failures.push(format!("{name}: {error:#}"));
            tally.failed = tally.failed.max(1);
        }
        total += tally;
    }

    println!();
    for failure in &failures {
        println!("failed: {failure}");
    }
    println!("{} passed, {} failed", total.passed, total.failed);
    Ok(if failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What the end-to-end tests start: cargo builds a program for the tests of its own package only. With the tests, which ask for
/// more features of what both stand on, so that it is compiled once.
fn programs(workspace: &Workspace) -> Result<()> {
    let mut build = Command::new("cargo");
    build.current_dir(workspace.root()).args([
        "build",
        "--quiet",
        "--release",
        "--workspace",
        "--bins",
        "--tests",
    ]);
    shell::stream(&mut build)
}

fn suites(workspace: &Workspace, toolchain: &Toolchain) -> Result<Vec<(&'static str, Command)>> {
    let mut rust = Command::new("cargo");
    rust.current_dir(workspace.root()).args([
        "test",
        "--release",
        "--workspace",
        "--no-fail-fast",
        "--",
        "--quiet",
    ]);

    let mut javascript = toolchain
        .node
        .npm(&workspace.root().join(setup::JAVASCRIPT_SDK))?;
    javascript.args(["test", "--silent"]);

    let mut python = toolchain
        .python
        .command(&workspace.root().join(setup::PYTHON_SDK));
    python.args(PYTEST);

    let mut frameworks = toolchain
        .python
        .command(&workspace.root().join(setup::FRAMEWORKS));
    toolchain.node.add_to_path(&mut frameworks)?;
    frameworks
        .args(PYTEST)
        .env("HOLSTER", workspace.program("holster"))
        .env("HOLSTER_LOOPBACK_API", workspace.program("loopback-api"))
        .env("HOLSTER_COMPONENTS", workspace.plugin_directory())
        .env("HOLSTER_FRAMEWORKS", workspace.frameworks());

    let mut description = Command::new(workspace.rest().join("bin/python"));
    description
        .args(PYTEST)
        .current_dir(workspace.root().join(setup::REST))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("HOLSTER", workspace.program("holster"))
        .env("HOLSTER_COMPONENTS", workspace.plugin_directory());
    let mut conformance = toolchain
        .node
        .npm(&workspace.root().join(setup::MCP_CONFORMANCE))?;
    conformance
        .args(["test", "--silent"])
        .env("HOLSTER", workspace.program("holster"))
        .env("HOLSTER_GUESTS", workspace.guest_directory());

    Ok(vec![
        ("the workspace, in Rust", rust),
        ("the JavaScript SDK", javascript),
        ("the Python SDK", python),
        ("the frameworks for agents", frameworks),
        ("the description of the REST API", description),
        ("the conformance suite of MCP", conformance),
    ])
}

/// What one line of output counts: the closing lines of cargo test, pytest and node's runner.
fn counted(line: &str) -> Tally {
    let line = line.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    if let Some(counts) = line.strip_prefix("test result: ") {
        return Tally {
            passed: before(counts, "passed"),
            failed: before(counts, "failed"),
        };
    }
    let is_number = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    if let Some((counts, seconds)) = line.rsplit_once(" in ")
        && is_number(counts)
        && is_number(seconds)
    {
        let failed = ["failed", "error", "errors"]
            .map(|word| before(counts, word))
            .iter()
            .sum();
        return Tally {
            passed: before(counts, "passed"),
            failed,
        };
    }
    let after = |word| {
        line.strip_prefix(word)
            .and_then(|count| count.trim().parse().ok())
            .unwrap_or(0)
    };
    Tally {
        passed: after("pass "),
        failed: after("fail "),
    }
}

/// The number that stands before a word: 3 for `passed` in `ok. 3 passed; 0 failed`.
fn before(counts: &str, word: &str) -> u64 {
    let parts = counts.split([',', ';', '.']);
    parts
        .filter_map(|part| part.trim().strip_suffix(word)?.trim().parse::<u64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_lines_of_all_runners_are_counted_and_nothing_else_is() {
        for (line, passed, failed) in [
            (
                "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s",
                3,
                0,
            ),
            (
                "test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.10s",
                2,
                1,
            ),
            ("12 passed in 0.52s", 12, 0),
            ("1 failed, 11 passed, 2 skipped, 1 error in 3.20s", 11, 2),
            ("===== 7 passed, 1 warning in 61.12s (0:01:01) =====", 7, 0),
            ("ℹ pass 5", 5, 0),
            ("# fail 2", 0, 2),
            ("test a_call_that_passed ... ok", 0, 0),
            ("running 3 tests", 0, 0),
        ] {
            assert_eq!(counted(line), Tally { passed, failed }, "{line}");
        }
    }
}
