//! Folders of the machine that a call may use: opened before its guest starts, and closed with it.
//!
//! A guest finds what is below them and nothing else: no path, link or `..` leads out. Which folders a component gets, and
//! that none of them is the host's own, is decided by whoever makes the sandbox; what is written into them is looked at in
//! [`files`](crate::files).

use std::path::PathBuf;

use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

use crate::call::{CallError, Sandbox};

/// A folder of this machine, and where a guest finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// The folder.
    pub path: PathBuf,
    /// An absolute path of the guest's.
    pub at: String,
    /// Whether the guest may change what is in it.
    pub write: bool,
}

/// A folder that a guest was to have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the tool was not started: its folder `{at}`, {} on this machine, cannot be opened: {error}; make that folder, or change \
     `folders` of its component in the configuration",
    .path.display()
)]
pub struct MissingFolder {
    at: String,
    path: PathBuf,
    error: String,
}

/// A context for a guest with the folders of its sandbox. They are looked for anew for each call, so that a folder that was
/// put in the place of another one is the one that is used.
pub(crate) async fn opened(sandbox: &Sandbox) -> Result<WasiCtxBuilder, CallError> {
    if sandbox.folders.is_empty() {
        return Ok(WasiCtxBuilder::new());
    }
    let (folders, time) = (sandbox.folders.clone(), sandbox.limits.time);
    let opened = tokio::task::spawn_blocking(move || open(&folders));
    match tokio::time::timeout(time, opened).await {
        Err(_) => Err(CallError::TimedOut(time)),
        Ok(opened) => opened.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic())),
    }
}

fn open(folders: &[Folder]) -> Result<WasiCtxBuilder, CallError> {
    let mut wasi = WasiCtxBuilder::new();
    for Folder { path, at, write } in folders {
        let may = if *write {
            FsPerms::ReadWrite
        } else {
            FsPerms::ReadOnly
        };
        wasi.preopened_dir(path, at, may).map_err(|error| {
            CallError::NoFolder(Box::new(MissingFolder {
                at: at.clone(),
                path: path.clone(),
                error: error.root_cause().to_string(),
            }))
        })?;
    }
    Ok(wasi)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(path: PathBuf) -> Sandbox {
        let folder = Folder {
            path,
            at: "/reports".to_owned(),
            write: false,
        };
        Sandbox {
            folders: vec![folder],
            ..Sandbox::default()
        }
    }

    #[tokio::test]
    async fn a_folder_that_is_not_there_ends_the_call_with_what_to_do() {
        let place = tempfile::tempdir().unwrap();
        assert!(opened(&with(place.path().to_owned())).await.is_ok());
        let file = place.path().join("file");
        std::fs::write(&file, "").unwrap();
        for path in [place.path().join("missing"), file] {
            let shown = path.display().to_string();
            let error = opened(&with(path)).await.err().unwrap().to_string();
            for part in ["`/reports`", &shown, "make that folder", "`folders`"] {
                assert!(error.contains(part), "`{part}` is not in: {error}");
            }
        }
    }
}
