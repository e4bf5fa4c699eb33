//! How much memory many calls take that are all in their guests at the same time.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use holster_core::types::ToolName;
use holster_core::{Call, Config, Host, Outcome};
use holster_tests::figures::{forget_peak, peak_mib};
use serde_json::{Value, json};
use tempfile::TempDir;

const CALLS: [u32; 4] = [1, 100, 1_000, 10_000];
/// A guest waits for so long, in which all others get there.
const WAIT: Duration = Duration::from_secs(10);

/// A process that made so many calls at once.
pub(crate) struct InFlight {
    pub(crate) calls: u32,
    /// Its most memory, in MiB.
    pub(crate) peak_mib: f64,
}

/// Each number in a process of its own.
pub(crate) fn peaks() -> Result<Vec<InFlight>> {
    CALLS
        .into_iter()
        .map(|calls| {
            let mut this = Command::new(std::env::current_exe()?);
            let output = this.args(["--in-flight", &calls.to_string()]).output()?;
            let printed = String::from_utf8_lossy(&output.stdout);
            let peak_mib = printed.trim().parse().with_context(|| {
                let errors = String::from_utf8_lossy(&output.stderr);
                format!("no peak of {calls} calls: {errors}")
            })?;
            Ok(InFlight { calls, peak_mib })
        })
        .collect()
}

/// The other end of [`peaks`].
pub(crate) fn print_peak(calls: u32) -> Result<()> {
    let tokio = crate::tokio()?;
    let folder = TempDir::new()?;
    let plugins = folder.path().join("plugins");
    std::fs::create_dir(&plugins)?;
    let guest = holster_tests::component("hostile-rust");
    std::fs::copy(guest, plugins.join("hostile-rust.wasm"))?;
    let mut config = Config {
        plugins: Some(plugins),
        data: Some(folder.path().join("data")),
        ..Config::default()
    };
    config.cache.directory = Some(crate::folder().join("code"));
    config.engine.concurrent_calls = Some(calls);
    tokio.block_on(async {
        let host = Arc::new(Host::open(config).await?);
        host.settled().await;
        call(&host, Duration::ZERO).await?;
        forget_peak()?;
        let ended = Arc::new(AtomicU32::new(0));
        let tasks: Vec<_> = (0..calls)
            .map(|_| {
                let (host, ended) = (Arc::clone(&host), Arc::clone(&ended));
                tokio::spawn(async move {
                    let called = call(&host, WAIT).await;
                    ended.fetch_add(1, Ordering::Relaxed);
                    called
                })
            })
            .collect();
        tokio::time::sleep(WAIT * 9 / 10).await;
        let early = ended.load(Ordering::Relaxed);
        ensure!(
            early == 0,
            "{early} of {calls} calls ended before all were there"
        );
        for task in tasks {
            task.await??;
        }
        println!("{}", peak_mib("self")?);
        Ok(())
    })
}

async fn call(host: &Host, wait: Duration) -> Result<()> {
    let Value::Object(arguments) = json!({ "milliseconds": wait.as_millis() }) else {
        unreachable!("this is an object");
    };
    match host
        .call(Call::local(ToolName::new("wait")?, arguments))
        .await
    {
        Outcome::Finished(_) => Ok(()),
        other => bail!("a call that waits answers {other:?}"),
    }
}
