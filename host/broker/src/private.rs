//! Files and folders that nobody but their owner may read.
//!
//! Everything here that opens something checks the handle it opened, not the path, so that nothing can be swapped
//! in between. Where the system has no Unix permissions, the user's own folder is all the protection there is.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use zeroize::Zeroizing;

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrivateFileError {
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("it is not a file")]
    NotFile,
    #[error("others than its owner may read it (mode {0:04o}); run `chmod 600` on it")]
    Readable(u32),
    #[error("it is larger than {0} bytes")]
    TooLarge(u64),
}

/// The content of a file of at most `limit` bytes that only its owner may read.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Zeroizing<Vec<u8>>, PrivateFileError> {
    // Asked before opening too, since opening a pipe would wait for a writer.
    if !std::fs::metadata(path)?.is_file() {
        return Err(PrivateFileError::NotFile);
    }
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(PrivateFileError::NotFile);
    }
    if let Some(mode) = shared_mode(&metadata) {
        return Err(PrivateFileError::Readable(mode));
    }
    if metadata.len() > limit {
        return Err(PrivateFileError::TooLarge(limit));
    }
    // One buffer, large enough from the start: a growing one would leave copies of a secret behind.
    let size = usize::try_from(limit).unwrap_or(usize::MAX - 1) + 1;
    let mut content = Zeroizing::new(vec![0; size]);
    let mut read = 0;
    let mut file = file;
    while read < size {
        match file.read(&mut content[read..]) {
            Ok(0) => {
                content.truncate(read);
                return Ok(content);
            }
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(PrivateFileError::TooLarge(limit))
}

/// The permission bits of a file or folder that others than its owner may use.
#[cfg(unix)]
pub(crate) fn shared_mode(metadata: &std::fs::Metadata) -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    let mode = metadata.mode() & 0o7777;
    (mode & 0o077 != 0).then_some(mode)
}

/// The permission bits of a file or folder that others than its owner may use.
#[cfg(not(unix))]
pub(crate) fn shared_mode(_: &std::fs::Metadata) -> Option<u32> {
    None
}

/// Makes a folder and its parents. The folder itself is for its owner alone.
pub(crate) fn create_folder(folder: &Path) -> io::Result<()> {
    if let Some(parent) = folder.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        result => result,
    }
}

/// How to open a file for writing that only its owner may read.
pub(crate) fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Writes a file that was not there before, whole and durable or not at all.
pub(crate) fn create(path: &Path, content: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension("new");
    match std::fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = options().create_new(true).open(&unfinished)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&unfinished, path)?;
    sync_folder(path)
}

/// Makes the name of `path` in its folder durable.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        #[cfg(unix)]
        Some(folder) => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}
