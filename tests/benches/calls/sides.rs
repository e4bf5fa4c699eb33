//! The two sides that are compared, behind one face: bare wasmtime and [`Host::call`], with the same guest and the
//! same arguments.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use holster_core::types::ToolName;
use holster_core::{Call, Config, Host, Outcome};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::floor::Floor;

const TOOL: &str = "report";

/// The parity component in one language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guest {
    Rust,
    JavaScript,
    Python,
}

impl Guest {
    const ALL: [Self; 3] = [Self::Rust, Self::JavaScript, Self::Python];

    /// Those whose component is there.
    pub(crate) fn built() -> Vec<Self> {
        let there = |guest: &Self| {
            let found = guest.component().is_file();
            if !found {
                eprintln!("{guest} is left out: run `cargo xtask components` first");
            }
            found
        };
        Self::ALL.into_iter().filter(there).collect()
    }

    pub(crate) fn component(self) -> PathBuf {
        let name = match self {
            Self::Rust => "parity-rust",
            Self::JavaScript => "parity-js",
            Self::Python => "parity-python",
        };
        let plugins = holster_tests::plugin_directory();
        plugins
            .with_file_name("guests")
            .join(name)
            .with_extension("wasm")
    }

    /// How many times the floor a call may take.
    pub(crate) fn bar(self) -> f64 {
        match self {
            Self::Rust => 1.15,
            Self::JavaScript | Self::Python => 1.1,
        }
    }

    /// How many times the floor a call may take that has a pause before it. An instance of an interpreter is made meanwhile.
    pub(crate) fn paced_bar(self) -> Option<f64> {
        match self {
            Self::Rust => None,
            Self::JavaScript | Self::Python => Some(0.5),
        }
    }
}

impl std::fmt::Display for Guest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{self:?}")
    }
}

impl FromStr for Guest {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = Self::ALL
            .into_iter()
            .find(|guest| guest.to_string() == name);
        found.with_context(|| format!("no guest is called {name}"))
    }
}

/// Which side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Floor,
    Host,
}

impl FromStr for Kind {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "Floor" => Ok(Self::Floor),
            "Host" => Ok(Self::Host),
            _ => bail!("no side is called {name}"),
        }
    }
}

/// A side with its guest loaded.
pub(crate) enum Side {
    Floor(Floor),
    Host {
        host: Box<Host>,
        /// Its plugins and its vault, until the end.
        _folder: TempDir,
    },
}

/// What a side is called with, made before the clock starts.
pub(crate) enum Prepared {
    Floor(String),
    Host(Call),
}

impl Side {
    pub(crate) async fn open(kind: Kind, guest: Guest) -> Result<Self> {
        if kind == Kind::Floor {
            let floor = Floor::open(&guest.component()).map_err(|error| anyhow!("{error:?}"))?;
            return Ok(Self::Floor(floor));
        }
        let folder = TempDir::new()?;
        let plugins = folder.path().join("plugins");
        std::fs::create_dir(&plugins)?;
        std::fs::copy(guest.component(), plugins.join("guest.wasm"))?;
        let mut config = Config {
            plugins: Some(plugins),
            data: Some(folder.path().join("data")),
            ..Config::default()
        };
        config.cache.directory = Some(crate::folder().join("code"));
        let host = Host::open(config).await?;
        host.settled().await;
        Ok(Self::Host {
            host: Box::new(host),
            _folder: folder,
        })
    }

    pub(crate) fn prepare(&self) -> Prepared {
        let arguments = json!({
            "title": "Quarter", "count": 12, "ratio": 0.25, "urgent": true, "level": "high",
            "tags": ["sales", "north", "2026"], "author": { "name": "Ada", "email": "ada@example.org" },
        });
        match (self, arguments) {
            (Self::Host { .. }, Value::Object(arguments)) => {
                let tool = ToolName::new(TOOL).expect("`report` is a tool name");
                Prepared::Host(Call::local(tool, arguments))
            }
            (_, arguments) => Prepared::Floor(arguments.to_string()),
        }
    }

    /// What is measured: from the arguments to the parsed answer.
    pub(crate) async fn answer(&self, prepared: Prepared) -> Value {
        match (self, prepared) {
            (Self::Floor(floor), Prepared::Floor(arguments)) => floor
                .call(TOOL, &arguments)
                .await
                .expect("the floor answers"),
            (Self::Host { host, .. }, Prepared::Host(call)) => match host.call(call).await {
                Outcome::Finished(finished) => finished.output.structured().cloned(),
                other => panic!("the host answers {other:?}"),
            }
            .expect("a report is structured"),
            _ => unreachable!("a side is called with what it prepared"),
        }
    }

    /// What the guest alone takes to answer, in an instance that was made before this pause: there is no less for a side that
    /// makes instances in advance. `None` for the host, which makes them by itself.
    pub(crate) async fn guest_alone(&self, pause: Duration) -> Option<Duration> {
        let (Self::Floor(floor), Prepared::Floor(arguments)) = (self, self.prepare()) else {
            return None;
        };
        let mut ready = floor.ready().await.expect("the floor instantiates");
        tokio::time::sleep(pause).await;
        let start = Instant::now();
        let answered = ready.call(TOOL, &arguments).await;
        let took = start.elapsed();
        answered.expect("the floor answers");
        Some(took)
    }

    /// Both, where nothing is timed.
    pub(crate) async fn call(&self) -> Value {
        self.answer(self.prepare()).await
    }
}
