//! Following a directory: one call for each burst of changes, after the burst.
//!
//! The system follows a folder, whatever becomes of its name. So it is looked every second which folder has the name now: one
//! that was renamed away, or that a link no longer leads to, is not followed any longer, and the one in its place is.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use holster_runtime::in_background;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::QUIET;

/// A burst that does not end is answered after this time anyway.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often it is looked which folder has the name.
const LOOK: Duration = Duration::from_secs(1);

/// Follows a directory as long as it lives.
pub(crate) struct Watcher {
    task: JoinHandle<()>,
}

impl Watcher {
    /// Calls `changed`, which may block on the file system, after each burst of changes in `directory`.
    pub(super) fn start(
        directory: &Path,
        changed: impl Fn() + Send + Sync + Clone + 'static,
    ) -> Result<Self, notify::Error> {
        let (sender, mut receiver) = mpsc::channel(1);
        let events = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let only_read = event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_)));
            if !only_read {
                // A full channel already holds the news.
                let _ = sender.try_send(());
            }
        })?;
        let mut followed = Followed::begin(directory, events)?;
        let task = tokio::spawn(async move {
            // The system's watch, which holds the sender, goes with this task.
            loop {
                let news = matches!(timeout(LOOK, receiver.recv()).await, Ok(Some(())));
                if news {
                    let burst =
                        async { while let Ok(Some(())) = timeout(QUIET, receiver.recv()).await {} };
                    let _ = timeout(PATIENCE, burst).await;
                }
                let changed = changed.clone();
                followed = in_background(move || {
                    if followed.is_another() || news {
                        changed();
                    }
                    followed
                })
                .await;
            }
        });
        Ok(Self { task })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The folder that has a name, and the system's watch of it.
struct Followed {
    directory: PathBuf,
    events: RecommendedWatcher,
    folder: Option<Folder>,
}

/// A folder, whatever it is called; `None` in its place: there is none.
type Folder = (u64, u64);

impl Followed {
    fn begin(directory: &Path, mut events: RecommendedWatcher) -> Result<Self, notify::Error> {
        let folder = folder_at(directory);
        events.watch(directory, RecursiveMode::NonRecursive)?;
        Ok(Self {
            directory: directory.to_owned(),
            events,
            folder,
        })
    }

    /// Whether the name is another folder's than before. That one is followed from now on.
    fn is_another(&mut self) -> bool {
        let now = folder_at(&self.directory);
        if now == self.folder {
            return false;
        }
        self.folder = now;
        // The watch may have gone with its folder.
        let _ = self.events.unwatch(&self.directory);
        if now.is_some()
            && let Err(error) = self
                .events
                .watch(&self.directory, RecursiveMode::NonRecursive)
        {
            tracing::warn!("the plugin directory was replaced, and cannot be followed: {error}");
            // It is read each second instead.
            self.folder = None;
        }
        true
    }
}

#[cfg(unix)]
fn folder_at(directory: &Path) -> Option<Folder> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = fs::metadata(directory).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// Where folders have no numbers, one that is replaced by another is not told from it.
#[cfg(not(unix))]
fn folder_at(directory: &Path) -> Option<Folder> {
    fs::metadata(directory).ok().map(|_| (0, 0))
}
