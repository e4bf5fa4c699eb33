//! `cargo xtask attacks`: the attacks and races of `tests/attacks.tsv`, and whether each is withstood.
//!
//! All named tests run in one go; an attack is `pass` only if its test ran and passed. What comes with a later part of
//! the work is listed as such, and fails nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};

use crate::shell;
use crate::workspace::Workspace;

/// Below the root.
const TABLE: &str = "tests/attacks.tsv";

/// Where a crate of the host has its sources; every other name is a test target of `holster-tests`.
const CRATES: &[(&str, &str)] = &[
    ("holster-broker", "host/broker/src"),
    ("holster-callers", "host/callers/src"),
    ("holster-connect", "host/fronts/connect/src"),
    ("holster-http", "host/http/src"),
    ("holster-runtime", "host/runtime/src"),
    ("holster-types", "host/types/src"),
];

/// One row of the table.
#[derive(Debug, PartialEq, Eq)]
struct Attack {
    name: String,
    test: Test,
}

/// What stands for an attack.
#[derive(Debug, PartialEq, Eq)]
enum Test {
    /// A test, by the crate or the target that it is in, and its path there.
    Here { place: String, path: String },
    /// A part of the work that is still to come.
    Later(String),
}

/// What became of an attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Pass,
    Fail,
    /// Its test did not run.
    Missing,
    Later,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Missing => "missing",
            Self::Later => "later",
        })
    }
}

pub(crate) fn command(workspace: &Workspace) -> Result<ExitCode> {
    let table = fs::read_to_string(workspace.root().join(TABLE))
        .with_context(|| format!("{TABLE} cannot be read"))?;
    let attacks = parse(&table)?;
    let ran = run(workspace, &attacks)?;
    let mut counts = BTreeMap::new();
    println!();
    for attack in &attacks {
        let verdict = verdict(&attack.test, &ran);
        *counts.entry(verdict).or_insert(0) += 1;
        match &attack.test {
            Test::Later(part) => println!("{verdict:<8}{} ({part})", attack.name),
            Test::Here { place, path } if verdict != Verdict::Pass => {
                println!("{verdict:<8}{} ({place} {path})", attack.name);
            }
            Test::Here { .. } => println!("{verdict:<8}{}", attack.name),
        }
    }
    let counts: Vec<_> = counts
        .iter()
        .map(|(verdict, count)| format!("{count} {verdict}"))
        .collect();
    println!("\n{}", counts.join(", "));
    let withstood =
        |attack: &Attack| matches!(verdict(&attack.test, &ran), Verdict::Pass | Verdict::Later);
    Ok(if attacks.iter().all(withstood) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Runs all tests that are named, and gives the path of each with whether it passed.
fn run(workspace: &Workspace, attacks: &[Attack]) -> Result<BTreeMap<String, bool>> {
    let (mut targets, mut paths) = (BTreeSet::new(), BTreeSet::new());
    for attack in attacks {
        if let Test::Here { place, path } = &attack.test {
            paths.insert(path.as_str());
            if folder_of_crate(place).is_none() {
                targets.insert(place.as_str());
            }
        }
    }
    // The whole workspace, whose features wasmtime was built with.
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(workspace.root())
        .args([
            "test",
            "--release",
            "--workspace",
            "--no-fail-fast",
            "--lib",
        ])
        .args(targets.iter().flat_map(|target| ["--test", target]))
        .args(["--", "--exact"])
        .args(paths)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    let output = cargo
        .output()
        .with_context(|| format!("`{}` cannot be started", shell::line(&cargo)))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let ran: BTreeMap<_, _> = said.lines().filter_map(result).collect();
    if ran.is_empty() {
        bail!("no test ran:\n{said}");
    }
    if ran.values().any(|passed| !passed) {
        println!("{said}");
    }
    Ok(ran)
}

fn verdict(test: &Test, ran: &BTreeMap<String, bool>) -> Verdict {
    match test {
        Test::Later(_) => Verdict::Later,
        Test::Here { path, .. } => match ran.get(path) {
            Some(true) => Verdict::Pass,
            Some(false) => Verdict::Fail,
            None => Verdict::Missing,
        },
    }
}

/// What a line of the test runner says about one test.
fn result(line: &str) -> Option<(String, bool)> {
    let (path, said) = line.strip_prefix("test ")?.split_once(" ... ")?;
    match said {
        "ok" => Some((path.to_owned(), true)),
        "FAILED" => Some((path.to_owned(), false)),
        _ => None,
    }
}

/// The rows of the table, in their order.
fn parse(table: &str) -> Result<Vec<Attack>> {
    let mut attacks: Vec<Attack> = Vec::new();
    for (line, number) in table.lines().zip(1..) {
        if line.starts_with('#') {
            continue;
        }
        let row = line.split_once('\t').and_then(|(name, test)| {
            let test = if let Some(part) = test.strip_prefix("later: ") {
                Test::Later(part.to_owned())
            } else {
                let (place, path) = test.split_once(' ')?;
                Test::Here {
                    place: place.to_owned(),
                    path: path.to_owned(),
                }
            };
            let name = name.to_owned();
            Some(Attack { name, test })
        });
        let Some(attack) = row else {
            bail!(
                "{TABLE}:{number}: a row is an attack, a tab, and `PLACE TEST` or `later: PART`: {line}"
            );
        };
        if attacks.iter().any(|known| known.name == attack.name) {
            bail!("{TABLE}:{number}: `{}` is there twice", attack.name);
        }
        attacks.push(attack);
    }
    Ok(attacks)
}

fn folder_of_crate(place: &str) -> Option<&'static str> {
    let found = CRATES.iter().find(|(name, _)| *name == place);
    found.map(|(_, folder)| *folder)
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    fn root() -> PathBuf {
        // Where cargo runs it: a target folder may have been made in a checkout elsewhere.
        let manifest = std::env::var("CARGO_MANIFEST_DIR").unwrap();
        Path::new(&manifest).join("../..").canonicalize().unwrap()
    }

    /// The file of a module of a crate or a test target, and its inline modules.
    fn file_of(place: &str, modules: &[&str]) -> Option<PathBuf> {
        let folder = match folder_of_crate(place) {
            Some(folder) => root().join(folder),
            None => root().join("tests/tests").join(place),
        };
        // A module may stand in a file, or within that of the one around it.
        let around = (1..=modules.len())
            .rev()
            .map(|depth| modules[..depth].join("/"));
        around.chain(["lib".to_owned()]).find_map(|module| {
            let file = folder.join(module).with_extension("rs");
            file.is_file().then_some(file)
        })
    }

    #[test]
    fn every_attack_names_a_test_that_exists() {
        let attacks = parse(&fs::read_to_string(root().join(TABLE)).unwrap()).unwrap();
        assert!(attacks.len() > 40, "the table was cut");
        let (mut wrong, mut place_of) = (Vec::new(), BTreeMap::new());
        for attack in &attacks {
            let Test::Here { place, path } = &attack.test else {
                continue;
            };
            // What runs is found by its path alone.
            let known = place_of.entry(path).or_insert(place);
            assert_eq!(known, &place, "{path} is in two places");
            let (modules, name) = path.rsplit_once("::").unwrap_or(("", path));
            let modules: Vec<_> = modules.split("::").collect();
            let source = file_of(place, &modules).and_then(|file| fs::read_to_string(file).ok());
            let function = format!("fn {name}(");
            let is_test = source.is_some_and(|source| {
                source.split_once(&function).is_some_and(|(before, _)| {
                    before
                        .rsplit('}')
                        .next()
                        .is_some_and(|above| above.contains("test]") || above.contains("test("))
                })
            });
            if !is_test {
                wrong.push(format!("{}: {place} {path}", attack.name));
            }
        }
        assert_eq!(wrong, Vec::<String>::new());
    }

    #[test]
    fn a_row_that_says_nothing_is_named() {
        for (table, part) in [
            ("# a\nattack without a test\n", "attacks.tsv:2: a row is"),
            ("attack\tplace\n", "attacks.tsv:1: a row is"),
            ("a\tlater: x\na\tb c\n", "attacks.tsv:2: `a` is there twice"),
        ] {
            let error = parse(table).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn only_a_test_that_ran_and_passed_is_a_pass() {
        let output = "running 2 tests\n\
                      test a::good ... ok\n\
                      test a::slow has been running for over 60 seconds\n\
                      test a::bad ... FAILED\n\
                      test a::skipped ... ignored\n";
        let ran = output.lines().filter_map(result).collect();
        let here = |path: &str| Test::Here {
            place: "a".to_owned(),
            path: path.to_owned(),
        };
        for (test, expected) in [
            (here("a::good"), Verdict::Pass),
            (here("a::bad"), Verdict::Fail),
            (here("a::slow"), Verdict::Missing),
            (here("a::skipped"), Verdict::Missing),
            (here("good"), Verdict::Missing),
            (Test::Later("x".to_owned()), Verdict::Later),
        ] {
            assert_eq!(verdict(&test, &ran), expected, "{test:?}");
        }
    }
}
