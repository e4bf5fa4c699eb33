//! Following a directory: one call for each burst of changes, after the burst.

use std::path::Path;
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::QUIET;

/// A burst that does not end is answered after this time anyway.
const PATIENCE: Duration = Duration::from_secs(2);

/// Follows a directory as long as it lives.
pub(crate) struct Watcher {
    /// Holds the system's watch.
    _events: RecommendedWatcher,
    task: JoinHandle<()>,
}

impl Watcher {
    /// Calls `changed`, which may block on the file system, after each burst of changes in `directory`.
    pub(super) fn start(
        directory: &Path,
        changed: impl Fn() + Send + Sync + Clone + 'static,
    ) -> Result<Self, notify::Error> {
        let (sender, mut receiver) = mpsc::channel(1);
        let mut events =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                let only_read = event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_)));
                if !only_read {
                    // A full channel already holds the news.
                    let _ = sender.try_send(());
                }
            })?;
        events.watch(directory, RecursiveMode::NonRecursive)?;
        let task = tokio::spawn(async move {
            while receiver.recv().await.is_some() {
                let burst = async {
                    while let Ok(Some(())) = tokio::time::timeout(QUIET, receiver.recv()).await {}
                };
                let _ = tokio::time::timeout(PATIENCE, burst).await;
                let changed = changed.clone();
                let runtime = tokio::runtime::Handle::current();
                let scan = tokio::task::spawn_blocking(move || {
                    let _inside = runtime.enter();
                    changed();
                });
                if let Err(error) = scan.await {
                    tracing::error!("the plugin directory is no longer followed: {error}");
                    return;
                }
            }
        });
        Ok(Self {
            _events: events,
            task,
        })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}
