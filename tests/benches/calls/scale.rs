//! Whether a call costs the same however many components are served.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use holster_core::types::ToolName;
use holster_core::{Call, Config, Host, Outcome};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::listing;
use crate::sampling::median;

/// How many components are served.
const COMPONENTS: [usize; 4] = [1, 10, 100, 1_000];
const ROUNDS: usize = 2_000;

/// The median of calls with so many components.
pub(crate) struct Cost {
    pub(crate) components: usize,
    /// Of calls that all go to one of them.
    pub(crate) one: Duration,
    /// Of calls that go to all of them in turn.
    pub(crate) all: Duration,
}

struct Served {
    host: Host,
    tools: Vec<ToolName>,
    one: Vec<Duration>,
    all: Vec<Duration>,
    /// Its plugins and its vault, until the end.
    _folder: TempDir,
}

/// One host for each number, called in turns. The components are those of [`listing`].
pub(crate) fn costs(known: &listing::Known) -> Result<Vec<Cost>> {
    let tokio = crate::tokio()?;
    tokio.block_on(async {
        let mut hosts = Vec::new();
        for components in COMPONENTS {
            hosts.push(Served::open(known, components).await?);
        }
        for served in &hosts {
            // Each component's code is read once before.
            for tool in &served.tools {
                served.call(tool).await?;
            }
        }
        for round in 0..ROUNDS {
            for served in &mut hosts {
                let tool = &served.tools[round % served.tools.len()];
                let all = served.call(tool).await?;
                served.all.push(all);
            }
            for served in &mut hosts {
                let one = served.call(&served.tools[0]).await?;
                served.one.push(one);
            }
        }
        Ok(hosts.into_iter().map(Served::cost).collect())
    })
}

impl Served {
    async fn open(known: &listing::Known, components: usize) -> Result<Self> {
        let folder = TempDir::new()?;
        let plugins = folder.path().join("plugins");
        std::fs::create_dir(&plugins)?;
        let mut tools = Vec::new();
        for file in known.components.iter().take(components) {
            tools.push(ToolName::new(listing::tool_of(file))?);
            std::fs::copy(
                file,
                plugins.join(file.file_name().context("it is a file")?),
            )?;
        }
        let mut config = Config {
            plugins: Some(plugins),
            data: Some(folder.path().join("data")),
            ..Config::default()
        };
        config.cache.directory = Some(known.code.clone());
        config.cache.max_mib = Some(listing::CACHE_MIB);
        let host = Host::open(config).await?;
        host.settled().await;
        Ok(Self {
            host,
            tools,
            one: Vec::new(),
            all: Vec::new(),
            _folder: folder,
        })
    }

    async fn call(&self, tool: &ToolName) -> Result<Duration> {
        let call = Call::local(tool.clone(), arguments());
        let start = Instant::now();
        match self.host.call(call).await {
            Outcome::Finished(_) => Ok(start.elapsed()),
            other => bail!("{tool} answers {other:?}"),
        }
    }

    fn cost(self) -> Cost {
        Cost {
            components: self.tools.len(),
            one: median(self.one),
            all: median(self.all),
        }
    }
}

fn arguments() -> Map<String, Value> {
    let arguments =
        json!({ "text": "A call costs what it costs, however many others could be called." });
    arguments.as_object().cloned().unwrap_or_default()
}
