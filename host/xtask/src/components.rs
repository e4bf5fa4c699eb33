//! `cargo xtask components`: every component of this repository, from source to one folder.
//!
//! Example tools go into the plugin directory, components that only tests run beside it; each file is named after the
//! folder of its source. What was built from the same sources before is left alone. A component that cannot be built
//! is named with what its compiler said, after the others were built.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;

use crate::fingerprint::{Fingerprint, Stamp};
use crate::setup::{self, Toolchain};
use crate::shell;
use crate::workspace::Workspace;

/// Every component. To add one, add its line.
const COMPONENTS: &[Component] = &[
    Component {
        source: "example-tools/calendar-events",
        language: Language::JavaScript,
    },
    Component {
        source: "example-tools/github-issues",
        language: Language::Rust,
    },
    Component {
        source: "example-tools/slack-messages",
        language: Language::Python,
    },
    Component {
        source: "example-tools/text-statistics",
        language: Language::Rust,
    },
    Component {
        source: "tests/guests/cargo-component-echo",
        language: Language::CargoComponent,
    },
    Component {
        source: "tests/guests/files-js",
        language: Language::JavaScript,
    },
    Component {
        source: "tests/guests/files-python",
        language: Language::Python,
    },
    Component {
        source: "tests/guests/hostile-rust",
        language: Language::Rust,
    },
    Component {
        source: "tests/guests/mcp-conformance",
        language: Language::Rust,
    },
    Component {
        source: "tests/guests/parity-js",
        language: Language::JavaScript,
    },
    Component {
        source: "tests/guests/parity-python",
        language: Language::Python,
    },
    Component {
        source: "tests/guests/parity-rust",
        language: Language::Rust,
    },
];

/// How many builds run at once. A JavaScript or Python build takes one core and up to 1 GB.
const BUILDS_AT_ONCE: usize = 2;

const CARGO_COMPONENT: &str = "cargo-component@0.21.1";

/// One component: a folder of sources.
struct Component {
    source: &'static str,
    language: Language,
}

/// What builds a component.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Language {
    JavaScript,
    Python,
    Rust,
    /// Rust too, by the tool that came before the target `wasm32-wasip2`.
    CargoComponent,
}

impl Component {
    /// The name of the folder, of the package and of the component.
    fn name(&self) -> &'static str {
        self.source.rsplit('/').next().unwrap_or(self.source)
    }

    fn output(&self, workspace: &Workspace) -> PathBuf {
        let is_example = self.source.starts_with("example-tools/");
        let folder = if is_example {
            workspace.plugin_directory()
        } else {
            workspace.guest_directory()
        };
        folder.join(self.name()).with_extension("wasm")
    }

    fn stamp(&self, workspace: &Workspace) -> Stamp {
        Stamp::at(workspace.components().join("stamps").join(self.name()))
    }

    fn fingerprint(&self, workspace: &Workspace, toolchain: &Toolchain) -> Result<String> {
        let (recipe, sdk) = match self.language {
            Language::Rust => (toolchain.rust.description(), setup::RUST_SDK),
            Language::CargoComponent => (
                format!("{CARGO_COMPONENT}, {}", toolchain.rust.description()),
                "wit",
            ),
            Language::JavaScript => (
                format!("node {}", toolchain.node.version()),
                setup::JAVASCRIPT_SDK,
            ),
            Language::Python => (toolchain.python.description(), setup::PYTHON_SDK),
        };
        let mut fingerprint = Fingerprint::of(&recipe);
        for path in [self.source, sdk, "wit"] {
            fingerprint = fingerprint.path(&workspace.root().join(path))?;
        }
        if self.language == Language::Rust {
            fingerprint = fingerprint.path(&workspace.root().join("Cargo.lock"))?;
        }
        Ok(fingerprint.finish())
    }
}

/// `cargo xtask components [NAME…] [--with-cargo-component]`.
pub(crate) fn command(workspace: &Workspace, arguments: &[&str]) -> Result<()> {
    let (flags, names): (Vec<&str>, Vec<&str>) = arguments
        .iter()
        .partition(|argument| argument.starts_with("--"));
    if let Some(unknown) = flags.iter().find(|flag| **flag != "--with-cargo-component") {
        bail!("there is no option `{unknown}`; there is `--with-cargo-component`");
    }
    let toolchain = setup::prepare(workspace)?;
    if !flags.is_empty() {
        install_cargo_component(workspace)?;
    }
    build(workspace, &toolchain, &names)
}

/// Builds the components with these names, or all where none is named, and leaves alone what is up to date.
pub(crate) fn build(workspace: &Workspace, toolchain: &Toolchain, names: &[&str]) -> Result<()> {
    let _only_one = lock(workspace)?;
    let mut outdated = Vec::new();
    for component in chosen(names)? {
        let fingerprint = component.fingerprint(workspace, toolchain)?;
        if component.language == Language::CargoComponent && cargo_component(workspace).is_none() {
            println!(
                "components: {} is left out; `--with-cargo-component` builds it",
                component.name()
            );
        } else if !component.output(workspace).is_file()
            || !component.stamp(workspace).says(&fingerprint)
        {
            outdated.push((component, fingerprint));
        }
    }
    if names.is_empty() {
        remove_strangers(workspace)?;
    }
    if outdated.is_empty() {
        println!(
            "components: up to date in {}",
            workspace.components().display()
        );
        return Ok(());
    }
    let building: Vec<&str> = outdated
        .iter()
        .map(|(component, _)| component.name())
        .collect();
    println!("components: building {}", building.join(", "));

    let mut failed = Vec::new();
    let built = run_jobs(
        workspace,
        toolchain,
        jobs(outdated.iter().map(|(component, _)| *component)),
    );
    for (component, fingerprint) in &outdated {
        match built
            .iter()
            .find(|outcome| outcome.component == component.name())
            .map(|outcome| &outcome.result)
        {
            Some(Ok(())) => component.stamp(workspace).write(fingerprint)?,
            Some(Err(error)) => {
                eprintln!(
                    "\ncomponents: {} cannot be built\n{error:#}",
                    component.name()
                );
                failed.push(component.name());
            }
            None => failed.push(component.name()),
        }
    }
    if failed.is_empty() {
        Ok(())
    } else {
        bail!("not built: {}", failed.join(", "))
    }
}

/// Installs cargo-component into the target folder, unless it is there or in `PATH`.
pub(crate) fn install_cargo_component(workspace: &Workspace) -> Result<()> {
    if cargo_component(workspace).is_some() {
        return Ok(());
    }
    println!("set-up: cargo install {CARGO_COMPONENT} (about 8 minutes on two cores, once)");
    let root = workspace.tools().join("cargo-component");
    let mut install = Command::new("cargo");
    install
        .args(["install", "--quiet", "--locked", CARGO_COMPONENT, "--root"])
        .arg(&root);
    shell::stream(install.env("CARGO_TARGET_DIR", root.join("target")))?;
    fs::remove_dir_all(root.join("target"))?;
    Ok(())
}

fn cargo_component(workspace: &Workspace) -> Option<PathBuf> {
    let own = workspace
        .tools()
        .join("cargo-component/bin/cargo-component");
    if own.is_file() {
        Some(own)
    } else {
        shell::find_program("cargo-component")
    }
}

fn chosen(names: &[&str]) -> Result<Vec<&'static Component>> {
    if names.is_empty() {
        return Ok(COMPONENTS.iter().collect());
    }
    let find = |name: &&str| {
        COMPONENTS
            .iter()
            .find(|component| component.name() == *name)
            .ok_or_else(|| {
                let known: Vec<&str> = COMPONENTS.iter().map(Component::name).collect();
                anyhow!(
                    "there is no component `{name}`; there are {}",
                    known.join(", ")
                )
            })
    };
    names.iter().map(find).collect()
}

/// Waits until no other process builds components into the same folder.
fn lock(workspace: &Workspace) -> Result<File> {
    fs::create_dir_all(workspace.plugin_directory())?;
    fs::create_dir_all(workspace.guest_directory())?;
    let lock = File::create(workspace.components().join(".lock"))?;
    if lock.try_lock().is_err() {
        println!("components: waiting for another build of components");
        lock.lock()?;
    }
    Ok(lock)
}

/// A component that is no longer in the table must not be served.
fn remove_strangers(workspace: &Workspace) -> Result<()> {
    for folder in [workspace.plugin_directory(), workspace.guest_directory()] {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if !COMPONENTS
                .iter()
                .any(|component| component.output(workspace) == path)
            {
                fs::remove_file(path)?;
            }
        }
    }
    Ok(())
}

/// What one process builds: one component, or all in Rust, which share their dependencies.
type Job = Vec<&'static Component>;

struct Outcome {
    component: &'static str,
    result: Result<()>,
}

fn jobs(components: impl Iterator<Item = &'static Component>) -> VecDeque<Job> {
    let (rust, others): (Job, Job) =
        components.partition(|component| component.language == Language::Rust);
    let rust = (!rust.is_empty()).then_some(rust);
    rust.into_iter()
        .chain(others.into_iter().map(|component| vec![component]))
        .collect()
}

fn run_jobs(workspace: &Workspace, toolchain: &Toolchain, jobs: VecDeque<Job>) -> Vec<Outcome> {
    let waiting = Mutex::new(jobs);
    let outcomes = Mutex::new(Vec::new());
    let next = || waiting.lock().expect("no builder panics").pop_front();
    let builder = || {
        while let Some(job) = next() {
            let begin = Instant::now();
            let results = match job.as_slice() {
                [one] if one.language != Language::Rust => {
                    vec![build_one(workspace, toolchain, one)]
                }
                several => build_rust(workspace, toolchain, several),
            };
            for (component, result) in job.iter().zip(results) {
                if result.is_ok() {
                    report(
                        &component.output(workspace),
                        component.name(),
                        begin.elapsed(),
                    );
                }
                outcomes.lock().expect("no builder panics").push(Outcome {
                    component: component.name(),
                    result,
                });
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..BUILDS_AT_ONCE {
            scope.spawn(builder);
        }
    });
    outcomes.into_inner().expect("no builder panics")
}

fn report(output: &Path, name: &str, time: Duration) {
    let bytes = fs::metadata(output).map_or(0, |metadata| metadata.len());
    println!(
        "  {name:<22}{:>7} KiB{:>6} s",
        bytes.div_ceil(1024),
        time.as_secs()
    );
}

fn build_one(workspace: &Workspace, toolchain: &Toolchain, component: &Component) -> Result<()> {
    let folder = workspace.root().join(component.source);
    let output = component.output(workspace);
    match component.language {
        Language::JavaScript => {
            toolchain.node.install_packages(&folder)?;
            shell::capture(
                toolchain
                    .node
                    .npm(&folder)?
                    .args(["run", "--silent", "build"]),
            )?;
            place(
                &folder
                    .join("dist")
                    .join(component.name())
                    .with_extension("wasm"),
                &output,
            )
        }
        Language::Python => {
            let unfinished = unfinished(&output);
            let build = ["-m", "holster_sdk", "build", "tool.py", "-o"];
            shell::capture(
                toolchain
                    .python
                    .command(&folder)
                    .args(build)
                    .arg(&unfinished),
            )?;
            fs::rename(&unfinished, &output)
                .with_context(|| format!("the build left no {}", unfinished.display()))
        }
        Language::CargoComponent => {
            let program = cargo_component(workspace).context("cargo-component is not installed")?;
            let target = workspace.tools().join("cargo-component/target");
            let mut build = toolchain.rust.cargo_component_build(&program, &target)?;
            shell::capture(build.current_dir(&folder).arg("--profile=component"))?;
            let file = component.name().replace('-', "_");
            place(
                &target
                    .join("wasm32-wasip1/component")
                    .join(file)
                    .with_extension("wasm"),
                &output,
            )
        }
        Language::Rust => build_rust(workspace, toolchain, &[component]).remove(0),
    }
}

/// One cargo for all: a component that fails does not keep the others from being built.
fn build_rust(
    workspace: &Workspace,
    toolchain: &Toolchain,
    components: &[&Component],
) -> Vec<Result<()>> {
    match rust_artifacts(workspace, toolchain, components) {
        Err(error) => {
            let error = format!("{error:#}");
            components
                .iter()
                .map(|_| Err(anyhow!(error.clone())))
                .collect()
        }
        Ok((artifacts, said)) => components
            .iter()
            .map(|component| {
                let manifest = workspace.root().join(component.source).join("Cargo.toml");
                match artifacts
                    .iter()
                    .find(|artifact| artifact.manifest == manifest)
                {
                    Some(artifact) => place(&artifact.file, &component.output(workspace)),
                    None => Err(anyhow!(said.clone())),
                }
            })
            .collect(),
    }
}

struct Artifact {
    manifest: PathBuf,
    file: PathBuf,
}

/// The `.wasm` files that cargo made or found fresh, and what it said to people.
fn rust_artifacts(
    workspace: &Workspace,
    toolchain: &Toolchain,
    components: &[&Component],
) -> Result<(Vec<Artifact>, String)> {
    let mut build = toolchain
        .rust
        .cargo_build(&workspace.tools().join("rust-guests"))?;
    build
        .current_dir(workspace.root())
        .args(["--profile=component", "--lib", "--keep-going"]);
    build.arg("--message-format=json-render-diagnostics");
    for component in components {
        build.args(["--package", component.name()]);
    }
    let output = build
        .stdin(Stdio::null())
        .output()
        .context("cargo cannot be started")?;
    let messages = String::from_utf8_lossy(&output.stdout);
    let artifacts = messages.lines().filter_map(artifact).collect();
    Ok((
        artifacts,
        String::from_utf8_lossy(&output.stderr).into_owned(),
    ))
}

fn artifact(message: &str) -> Option<Artifact> {
    let message: Value = serde_json::from_str(message).ok()?;
    let mut files = message["filenames"]
        .as_array()?
        .iter()
        .filter_map(Value::as_str)
        .map(PathBuf::from);
    let file = files.find(|file| file.extension().is_some_and(|ending| ending == "wasm"))?;
    Some(Artifact {
        manifest: message["manifest_path"].as_str()?.into(),
        file,
    })
}

/// Copies a component to where it is served from. A watcher of that folder sees the whole file or none.
fn place(built: &Path, output: &Path) -> Result<()> {
    let unfinished = unfinished(output);
    fs::copy(built, &unfinished)
        .with_context(|| format!("the build left no {}", built.display()))?;
    fs::rename(&unfinished, output)?;
    Ok(())
}

fn unfinished(output: &Path) -> PathBuf {
    let name = output.file_name().unwrap_or_default();
    output
        .parent()
        .and_then(Path::parent)
        .unwrap_or(output)
        .join(name)
}
