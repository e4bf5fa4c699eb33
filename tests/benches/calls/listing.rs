//! `holster tools` as a process: with a thousand known components, and with ten, known and not.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use holster_tests::figures::peak_mib;
use tempfile::TempDir;

use crate::sampling::median;
use crate::sides::Guest;

const KNOWN: usize = 1_000;
const RUNS: usize = 10;
/// Holds the code of all of them, and little of an earlier build.
pub(crate) const CACHE_MIB: u64 = 1_500;

/// `holster tools --json` with [`KNOWN`] components in the cache.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) median: Duration,
    pub(crate) peak_mib: f64,
    pub(crate) known: Known,
}

/// The thousand components, each with one tool of its name, and where their code is.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) components: Vec<PathBuf>,
    pub(crate) code: PathBuf,
}

/// `holster tools` with an empty cache, and with the cache that this leaves.
pub(crate) struct Starts {
    pub(crate) components: usize,
    pub(crate) first: Duration,
    pub(crate) second: Duration,
}

/// An installation to run `holster` in.
struct Installation {
    holster: PathBuf,
    folder: PathBuf,
}

impl Installation {
    fn at(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder.join("plugins"))?;
        fs::write(
            folder.join("holster.toml"),
            format!(
                "plugins = 'plugins'\ndata = 'data'\n\
                 cache = {{ directory = 'code', max_mib = {CACHE_MIB} }}\n"
            ),
        )?;
        Ok(Self {
            holster: built_holster()?,
            folder: folder.to_owned(),
        })
    }

    /// Leaves files that are the same alone: their times tell the host that it knows them.
    fn add(&self, name: &str, component: &[u8]) -> Result<PathBuf> {
        let file = self
            .folder
            .join("plugins")
            .join(name)
            .with_extension("wasm");
        if !fs::read(&file).is_ok_and(|known| known == component) {
            fs::write(&file, component).context("the component cannot be written")?;
        }
        Ok(file)
    }

    fn tools(&self) -> Command {
        let mut command = Command::new(&self.holster);
        command
            .args(["tools", "--json", "--config"])
            .arg(self.folder.join("holster.toml"));
        command
    }

    fn time(&self) -> Result<Duration> {
        let mut command = self.tools();
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let start = Instant::now();
        let status = command.status()?;
        let time = start.elapsed();
        ensure!(status.success(), "`holster tools` ends with {status}");
        Ok(time)
    }

    fn median(&self) -> Result<Duration> {
        let times = (0..RUNS).map(|_| self.time()).collect::<Result<_>>()?;
        Ok(median(times))
    }

    /// A pipe holds 64 KiB, and the list is longer: at its first byte all work is done, and the process waits.
    fn peak_and_tools(&self) -> Result<(f64, usize)> {
        let mut child = self.tools().stdout(Stdio::piped()).spawn()?;
        let mut stdout = child.stdout.take().context("there is a pipe")?;
        let mut printed = vec![0];
        stdout.read_exact(&mut printed)?;
        let peak = peak_mib(&child.id().to_string());
        stdout.read_to_end(&mut printed)?;
        child.wait()?;
        let printed: serde_json::Value = serde_json::from_slice(&printed)?;
        let tools = printed["tools"].as_array().context("it lists no tools")?;
        Ok((peak?, tools.len()))
    }
}

/// The first run compiles a thousand components, which takes a minute or two.
pub(crate) fn listing() -> Result<Listing> {
    let installation = Installation::at(&crate::folder().join("thousand"))?;
    let original = fs::read(holster_tests::component("text-statistics"))?;
    let mut components = Vec::new();
    for number in 0..KNOWN {
        let tool = format!("statistics_{number:04}");
        let component = renamed(&original, b"text_statistics", tool.as_bytes());
        components.push(installation.add(&tool, &component)?);
    }
    installation.time()?;
    let (peak_mib, tools) = installation.peak_and_tools()?;
    ensure!(tools == KNOWN, "{tools} tools are listed, not {KNOWN}");
    Ok(Listing {
        median: installation.median()?,
        peak_mib,
        known: Known {
            components,
            code: installation.folder.join("code"),
        },
    })
}

/// The one tool of a component of [`Known`].
pub(crate) fn tool_of(component: &Path) -> String {
    let name = component.file_stem().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// All examples and guests there are, and variants of one in Rust to make them ten.
pub(crate) fn starts() -> Result<Starts> {
    let folder = TempDir::new()?;
    let installation = Installation::at(folder.path())?;
    let mut components: Vec<PathBuf> = Guest::built().into_iter().map(Guest::component).collect();
    for item in fs::read_dir(holster_tests::plugin_directory())? {
        let path = item?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "wasm")
        {
            components.push(path);
        }
    }
    for path in &components {
        let name = path.file_stem().context("a component has a name")?;
        installation.add(&name.to_string_lossy(), &fs::read(path)?)?;
    }
    let original = fs::read(holster_tests::component("text-statistics"))?;
    let wanted = 10.max(components.len());
    for number in components.len()..wanted {
        let tool = format!("statistics_{number:04}");
        let component = renamed(&original, b"text_statistics", tool.as_bytes());
        installation.add(&tool, &component)?;
    }
    Ok(Starts {
        components: wanted,
        first: installation.time()?,
        second: installation.median()?,
    })
}

/// Another component with a tool of its own: its name stands in the data of the component, and keeps its length.
fn renamed(component: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(
        from.len(),
        to.len(),
        "the length of a name is part of the code"
    );
    let mut renamed = component.to_vec();
    let mut position = 0;
    while let Some(rest) = renamed.get_mut(position..position + from.len()) {
        if rest == from {
            rest.copy_from_slice(to);
        }
        position += 1;
    }
    renamed
}

/// The command as the sources have it now, built as this bench is.
fn built_holster() -> Result<PathBuf> {
    let this = std::env::current_exe()?;
    let built = this.ancestors().nth(2);
    let built = built.context("cargo builds a bench two folders deep")?;
    if built.ends_with("release") {
        build_holster()?;
    }
    let holster = built.join("holster");
    ensure!(holster.is_file(), "there is no {}", holster.display());
    Ok(holster)
}

fn build_holster() -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    // With any test beside it, cargo takes the features that tests have, as it did for this bench: else it builds the engine anew.
    build
        .args(["build", "--quiet", "--release", "--workspace"])
        .args(["--bin", "holster", "--test", "architecture"])
        .current_dir(holster_tests::repository());
    let output = build.output()?;
    std::io::stderr().write_all(&output.stderr)?;
    ensure!(output.status.success(), "`holster` cannot be built");
    Ok(())
}
