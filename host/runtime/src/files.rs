//! Files of a guest: only plain ones, not too many, no more written than it may write, and no secret in what it writes.
//!
//! Whether a path lies in the guest's folders, and whether it may change what is there, is for wasmtime's own functions.
//! The few that open and write are replaced here by ones that look first, and then do the same. Each waits on a thread for
//! what blocks, one at a time for each guest and each of its open streams, and nothing is begun once the call has ended.

use std::any::Any;
use std::cell::OnceCell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemView as _};
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, DescriptorType, ErrorCode, HostDescriptor as _, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, FsError, FsResult, OutputStream, Pollable, StreamError,
    StreamResult,
};

use crate::leak::{Following, LeakPlace, LeakWatch};
use crate::state::CallState;

/// The interface whose functions are replaced, as wasmtime has it.
const INTERFACE: &str = "wasi:filesystem/types@0.2.12";

/// What a file or a folder counts for, that is made: names take room too.
const NAME: u64 = 4096;

/// How many files, folders and streams a guest may hold open when it opens one more: a process has only so many for all.
const OPEN: usize = 64;

/// Ends a call that has written as much as its limit allows.
#[derive(Debug, thiserror::Error)]
#[error("the guest writes more than it may")]
pub(crate) struct TooMuchWritten;

/// Ends a call that writes a secret; whose, the watch knows.
#[derive(Debug, thiserror::Error)]
#[error("the guest writes a secret")]
struct SecretWritten;

/// What a call may yet write, and whether there was a secret in what it wrote.
#[derive(Clone)]
pub(crate) struct Files {
    written: Arc<Mutex<Written>>,
    watch: Arc<LeakWatch>,
}

struct Written {
    left: u64,
    /// All that is written, in its order, is looked at as one stream. Made when something is: `None` in it where there is
    /// nothing to look for.
    following: OnceCell<Option<Following>>,
}

impl Files {
    pub(crate) fn new(limit: u64, watch: &Arc<LeakWatch>) -> Self {
        let written = Written {
            left: limit,
            following: OnceCell::new(),
        };
        Self {
            written: Arc::new(Mutex::new(written)),
            watch: Arc::clone(watch),
        }
    }

    /// Takes what is to be written.
    fn content(&self, bytes: &[u8]) -> wasmtime::Result<()> {
        let mut written = self.lock();
        written.take(bytes.len() as u64)?;
        let follow = || self.watch.follow(LeakPlace::File);
        written.following.get_or_init(follow);
        let following = written.following.get_mut().and_then(Option::as_mut);
        if following.is_some_and(|following| following.finds(bytes)) {
            return Err(SecretWritten.into());
        }
        Ok(())
    }

    /// Takes what a file gains by becoming this long, if it is shorter: some systems keep room for the gap as well.
    fn length(&self, now: u64, then: u64) -> wasmtime::Result<()> {
        Ok(self.lock().take(then.saturating_sub(now))?)
    }

    /// Takes the name of what is to be made, or renamed.
    fn name(&self, path: &str) -> wasmtime::Result<()> {
        self.lock().take(NAME)?;
        if self.watch.finds(path.as_bytes(), LeakPlace::File) {
            return Err(SecretWritten.into());
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Written {
    fn take(&mut self, bytes: u64) -> Result<(), TooMuchWritten> {
        self.left = self.left.checked_sub(bytes).ok_or(TooMuchWritten)?;
        Ok(())
    }
}

type File = Resource<Descriptor>;

/// Replaces the functions that open and write. Of links, none is made: whoever followed one from outside would be led by
/// the guest.
pub(crate) fn add_to_linker(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut types = linker.instance(INTERFACE)?;
    types.func_wrap_async("[method]descriptor.open-at", |mut store, arguments| {
        Box::new(async move { told(open(store.data_mut(), arguments).await) })
    })?;
    types.func_wrap_async(
        "[method]descriptor.create-directory-at",
        |mut store, arguments| {
            Box::new(async move { told(make_folder(store.data_mut(), arguments).await) })
        },
    )?;
    types.func_wrap_async("[method]descriptor.rename-at", |mut store, arguments| {
        Box::new(async move { told(rename(store.data_mut(), arguments).await) })
    })?;
    types.func_wrap_async("[method]descriptor.write", |mut store, arguments| {
        Box::new(async move { told(write(store.data_mut(), arguments).await) })
    })?;
    types.func_wrap_async("[method]descriptor.set-size", |mut store, arguments| {
        Box::new(async move { told(set_size(store.data_mut(), arguments).await) })
    })?;
    types.func_wrap_async(
        "[method]descriptor.write-via-stream",
        |mut store, arguments| {
            Box::new(async move { told(write_via_stream(store.data_mut(), arguments).await) })
        },
    )?;
    types.func_wrap(
        "[method]descriptor.append-via-stream",
        |mut store, (file,): (File,)| {
            let stream = store.data_mut().filesystem().append_via_stream(file);
            told(stream.and_then(|stream| watched(store.data_mut(), stream)))
        },
    )?;
    types.func_wrap(
        "[method]descriptor.symlink-at",
        |_, _: (File, String, String)| told::<()>(Err(ErrorCode::NotPermitted.into())),
    )?;
    types.func_wrap(
        "[method]descriptor.link-at",
        |_, _: (File, PathFlags, String, File, String)| {
            told::<()>(Err(ErrorCode::NotPermitted.into()))
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}

/// What the guest is told, unless its call ends.
fn told<T>(answer: FsResult<T>) -> wasmtime::Result<(Result<T, ErrorCode>,)> {
    match answer {
        Ok(value) => Ok((Ok(value),)),
        Err(error) => Ok((Err(error.downcast()?),)),
    }
}

async fn open(
    state: &mut CallState,
    (folder, path_flags, path, how, flags): (File, PathFlags, String, OpenFlags, DescriptorFlags),
) -> FsResult<File> {
    let open = state.table().iter_mut().filter(|held| is_open(&**held));
    if open.count() >= OPEN {
        // WASI has no word for too many open files.
        return Err(ErrorCode::Busy.into());
    }
    let here = Resource::new_borrow(folder.rep());
    let found = state
        .filesystem()
        .stat_at(here, path_flags, path.clone())
        .await;
    match found {
        // A pipe would hold a thread until somebody writes into it, and a device is no file of a folder.
        Ok(found) if !is_plain(found.type_) => return Err(ErrorCode::NotPermitted.into()),
        Err(_) if how.contains(OpenFlags::CREATE) => {
            state.files.name(&path).map_err(FsError::trap)?;
        }
        Ok(_) | Err(_) => {}
    }
    let mut files = state.filesystem();
    files.open_at(folder, path_flags, path, how, flags).await
}

fn is_open(held: &(dyn Any + Send)) -> bool {
    held.is::<Descriptor>() || held.is::<DynInputStream>() || held.is::<DynOutputStream>()
}

fn is_plain(kind: DescriptorType) -> bool {
    matches!(
        kind,
        DescriptorType::RegularFile | DescriptorType::Directory | DescriptorType::SymbolicLink
    )
}

async fn make_folder(state: &mut CallState, (folder, path): (File, String)) -> FsResult<()> {
    state.files.name(&path).map_err(FsError::trap)?;
    state.filesystem().create_directory_at(folder, path).await
}

async fn rename(
    state: &mut CallState,
    (folder, from, new_folder, to): (File, String, File, String),
) -> FsResult<()> {
    state.files.name(&to).map_err(FsError::trap)?;
    let mut files = state.filesystem();
    files.rename_at(folder, from, new_folder, to).await
}

async fn write(
    state: &mut CallState,
    (file, bytes, offset): (File, Vec<u8>, u64),
) -> FsResult<u64> {
    reach(state, &file, offset).await?;
    state.files.content(&bytes).map_err(FsError::trap)?;
    state.filesystem().write(file, bytes, offset).await
}

async fn write_via_stream(
    state: &mut CallState,
    (file, offset): (File, u64),
) -> FsResult<Resource<DynOutputStream>> {
    reach(state, &file, offset).await?;
    let stream = state.filesystem().write_via_stream(file, offset)?;
    watched(state, stream)
}

async fn set_size(state: &mut CallState, (file, size): (File, u64)) -> FsResult<()> {
    reach(state, &file, size).await?;
    state.filesystem().set_size(file, size).await
}

/// Takes what lies between the end of a file and a place behind it.
async fn reach(state: &mut CallState, file: &File, place: u64) -> FsResult<()> {
    if place > 0 {
        let here = Resource::new_borrow(file.rep());
        let found = state.filesystem().stat(here).await?;
        let length = state.files.length(found.size, place);
        length.map_err(FsError::trap)?;
    }
    Ok(())
}

/// The same stream, of which each byte is looked at before it is written.
fn watched(
    state: &mut CallState,
    stream: Resource<DynOutputStream>,
) -> FsResult<Resource<DynOutputStream>> {
    let stream = state.table().delete(stream)?;
    let watched: DynOutputStream = Box::new(Watched {
        stream,
        files: state.files.clone(),
    });
    Ok(state.table().push(watched)?)
}

struct Watched {
    stream: DynOutputStream,
    files: Files,
}

impl Watched {
    fn look_at(&self, bytes: &[u8]) -> StreamResult<()> {
        self.files.content(bytes).map_err(StreamError::Trap)
    }
}

#[wasmtime_wasi::async_trait]
impl OutputStream for Watched {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.look_at(&bytes)?;
        self.stream.write(bytes)
    }

    async fn blocking_write_and_flush(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.look_at(&bytes)?;
        self.stream.blocking_write_and_flush(bytes).await
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.stream.flush()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.stream.check_write()
    }

    async fn cancel(&mut self) {
        self.stream.cancel().await;
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Watched {
    async fn ready(&mut self) {
        self.stream.ready().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leak::tests::watch;

    #[test]
    fn what_a_call_writes_is_counted_over_all_its_files() {
        let files = Files::new(2 * NAME + 10, &watch("planted-secret"));
        files.name("a").unwrap();
        files.content(b"12345").unwrap();
        files.name("b").unwrap();
        files.clone().content(b"12345").unwrap();
        let error = files.content(b"1").unwrap_err();
        assert!(error.is::<TooMuchWritten>(), "{error:?}");
        assert!(files.name("c").is_err());
        // What is there already takes no room, and what becomes longer does.
        let files = Files::new(10, &watch("planted-secret"));
        files.length(100, 50).unwrap();
        files.length(0, 10).unwrap();
        assert!(files.length(0, 1).is_err());
    }

    #[test]
    fn a_secret_is_written_neither_in_pieces_nor_as_a_name() {
        for write in [
            |files: &Files| files.content(b"planted-secret"),
            |files: &Files| {
                files.content(b"before plant")?;
                files.content(b"ed-secret after")
            },
            |files: &Files| files.name("notes/planted-secret.txt"),
        ] {
            let watch = watch("planted-secret");
            let error = write(&Files::new(1 << 20, &watch)).unwrap_err();
            assert!(error.is::<SecretWritten>(), "{error:?}");
            assert_eq!(watch.found().unwrap().place, LeakPlace::File);
        }
        let files = Files::new(1 << 20, &watch("planted-secret"));
        files.content(b"planted, and no secret").unwrap();
    }
}
