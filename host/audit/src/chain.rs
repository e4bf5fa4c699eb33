//! The chain on disk: segments of lines, each line with the hash of the one before.
//!
//! A line is added under a lock that all processes take, with one write; what a crash or a full disk left of a line is cut
//! off before the next one. A segment that has its size is followed by another, and never written again.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::event::{Event, Line};

/// From this size on a segment is followed by another, in bytes.
const SEGMENT: u64 = 64 << 20;

/// What is read at once, from the end on, to find the last line.
const CHUNK: u64 = 16 << 10;

/// The BLAKE3 of a line, without its end.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hash(blake3::Hash);

impl Hash {
    /// Before the first line.
    pub(crate) const NONE: Self = Self(blake3::Hash::from_bytes([0; 32]));

    /// Of a line.
    pub(crate) fn of(line: &[u8]) -> Self {
        Self(blake3::hash(line))
    }
}

/// A text that is no hash.
#[derive(Debug, Clone, thiserror::Error)]
#[error("a hash of the audit log is 64 hexadecimal digits")]
pub struct InvalidHash;

impl FromStr for Hash {
    type Err = InvalidHash;

    fn from_str(text: &str) -> Result<Self, InvalidHash> {
        blake3::Hash::from_hex(text)
            .map(Self)
            .map_err(|_| InvalidHash)
    }
}

impl TryFrom<String> for Hash {
    type Error = InvalidHash;

    fn try_from(text: String) -> Result<Self, InvalidHash> {
        text.parse()
    }
}

impl From<Hash> for String {
    fn from(hash: Hash) -> Self {
        hash.to_string()
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_hex())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The end of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Link {
    /// The number of the last line.
    pub(crate) number: u64,
    /// The hash of the last line.
    pub(crate) hash: Hash,
}

impl Link {
    /// Before the first line.
    pub(crate) const START: Self = Self {
        number: 0,
        hash: Hash::NONE,
    };
}

/// A chain that is written to.
pub(crate) struct Chain {
    folder: PathBuf,
    segment_bytes: u64,
    open: Option<Open>,
}

/// What is open between two writes.
struct Open {
    /// Held while it is written.
    lock: File,
    segment: File,
    path: PathBuf,
    /// Where this process believes the end to be.
    end: u64,
    last: Link,
}

impl Chain {
    pub(crate) fn new(folder: &Path) -> Self {
        Self::with_segments_of(SEGMENT, folder)
    }

    pub(crate) fn with_segments_of(segment_bytes: u64, folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            segment_bytes,
            open: None,
        }
    }

    /// Adds lines, all or none.
    pub(crate) fn append(&mut self, events: &[(SystemTime, Event)]) -> io::Result<()> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => Open::new(&self.folder)?,
        };
        open.lock.lock()?;
        let written = self.append_to(&mut open, events);
        // It is free with its file in any case.
        let _ = open.lock.unlock();
        // After an error everything is looked at anew.
        self.open = written.is_ok().then_some(open);
        written
    }

    /// The file that what was added last is in, if it is open.
    pub(crate) fn segment(&self) -> io::Result<Option<File>> {
        let open = self.open.as_ref();
        open.map(|open| open.segment.try_clone()).transpose()
    }

    fn append_to(&self, open: &mut Open, events: &[(SystemTime, Event)]) -> io::Result<()> {
        let cut = open.follow(&self.folder, self.segment_bytes)?;
        if open.end >= self.segment_bytes {
            open.begin_next(&self.folder)?;
        }
        let cut = cut.map(|seen| {
            let event = Event::Cut {
                last: seen.number,
                hash: seen.hash,
            };
            (SystemTime::now(), event)
        });
        let (mut bytes, mut last) = (Vec::new(), open.last);
        for (at, event) in cut.iter().chain(events) {
            let line = Line {
                number: last.number + 1,
                previous: last.hash,
                at: *at,
                event: event.clone(),
            };
            let begin = bytes.len();
            serde_json::to_writer(&mut bytes, &line)?;
            last = Link {
                number: line.number,
                hash: Hash::of(&bytes[begin..]),
            };
            bytes.push(b'\n');
        }
        if let Err(error) = open.segment.write_all(&bytes) {
            // A part of a line would be in the way of the next one.
            let _ = open.segment.set_len(open.end);
            return Err(error);
        }
        open.end += bytes.len() as u64;
        open.last = last;
        Ok(())
    }
}

impl Open {
    fn new(folder: &Path) -> io::Result<Self> {
        make_folder(folder)?;
        let lock = private(OpenOptions::new().write(true).create(true).truncate(false))
            .open(folder.join("lock"))?;
        lock.lock()?;
        let (segment, path) = newest_or_first(folder)?;
        let mut open = Self {
            lock,
            segment,
            path,
            end: 0,
            last: Link::START,
        };
        open.read_end(folder)?;
        Ok(open)
    }

    /// Follows what other processes have done, under the lock. What this process had seen last, if that is gone.
    fn follow(&mut self, folder: &Path, segment_bytes: u64) -> io::Result<Option<Link>> {
        let seen = self.last;
        let is_there = is_same(&self.segment, &self.path)?;
        let size = self.segment.metadata()?.len();
        if is_there && size == self.end && size < segment_bytes {
            return Ok(None);
        }
        // Another process may have begun the next one.
        if !is_there || size >= segment_bytes {
            (self.segment, self.path) = newest_or_first(folder)?;
        }
        self.read_end(folder)?;
        Ok((self.last.number < seen.number).then_some(seen))
    }

    /// Finds the last line, and cuts off what is none.
    fn read_end(&mut self, folder: &Path) -> io::Result<()> {
        let size = self.segment.metadata()?.len();
        let (whole, last) = last_line(&mut self.segment)?;
        if whole < size {
            tracing::warn!(
                "{} ended with a part of a line, as a crash leaves it; it was cut off",
                self.path.display()
            );
            self.segment.set_len(whole)?;
        }
        self.end = whole;
        self.last = match last {
            Some(line) => link(&line)?,
            None => match before(folder, &self.path)? {
                Some(mut file) => match last_line(&mut file)?.1 {
                    Some(line) => link(&line)?,
                    None => Link::START,
                },
                None => Link::START,
            },
        };
        Ok(())
    }

    fn begin_next(&mut self, folder: &Path) -> io::Result<()> {
        self.segment.sync_data()?;
        let number = number_of(&self.path).unwrap_or(0) + 1;
        self.path = path_of(folder, number);
        self.segment = open_segment(&self.path)?;
        self.end = 0;
        Ok(())
    }
}

fn link(line: &[u8]) -> io::Result<Link> {
    let parsed: Line = serde_json::from_slice(line).map_err(|error| {
        let text = format!("the last line is none of an audit log ({error}); move the log away");
        io::Error::new(io::ErrorKind::InvalidData, text)
    })?;
    Ok(Link {
        number: parsed.number,
        hash: Hash::of(line),
    })
}

/// The last line that is whole, and where it ends, its own end included.
fn last_line(file: &mut File) -> io::Result<(u64, Option<Vec<u8>>)> {
    let mut begin = file.metadata()?.len();
    let mut tail = Vec::new();
    loop {
        let mut newlines = tail
            .iter()
            .enumerate()
            .rev()
            .filter(|(_, byte)| **byte == b'\n');
        if let Some((end, _)) = newlines.next() {
            let start = newlines.next().map(|(at, _)| at + 1);
            if start.is_some() || begin == 0 {
                let line = tail[start.unwrap_or(0)..end].to_vec();
                return Ok((begin + end as u64 + 1, Some(line)));
            }
        }
        if begin == 0 {
            return Ok((0, None));
        }
        let length = CHUNK.min(begin);
        begin -= length;
        let mut chunk = vec![0; usize::try_from(length).expect("a chunk")];
        file.seek(SeekFrom::Start(begin))?;
        file.read_exact(&mut chunk)?;
        chunk.append(&mut tail);
        tail = chunk;
    }
}

/// All segments, by number.
pub(crate) fn segments(folder: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        found.extend(number_of(&path).map(|number| (number, path)));
    }
    found.sort();
    Ok(found)
}

fn newest(folder: &Path) -> io::Result<Option<(u64, PathBuf)>> {
    Ok(segments(folder)?.pop())
}

fn newest_or_first(folder: &Path) -> io::Result<(File, PathBuf)> {
    let path = newest(folder)?.map_or_else(|| path_of(folder, 1), |(_, path)| path);
    Ok((open_segment(&path)?, path))
}

/// The segment before.
fn before(folder: &Path, path: &Path) -> io::Result<Option<File>> {
    let own = number_of(path).unwrap_or(0);
    let earlier = segments(folder)?.into_iter().rev();
    let mut earlier = earlier.filter(|(number, _)| *number < own);
    earlier.next().map(|(_, path)| File::open(path)).transpose()
}

fn path_of(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:08}.jsonl"))
}

fn number_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?.strip_suffix(".jsonl")?;
    let digits = name.len() == 8 && name.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| name.parse().ok())?
}

fn open_segment(path: &Path) -> io::Result<File> {
    private(OpenOptions::new().read(true).append(true).create(true)).open(path)
}

/// For the user alone.
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Whether the file is still the one at that path.
fn is_same(file: &File, path: &Path) -> io::Result<bool> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let own = file.metadata()?;
        Ok(match fs::metadata(path) {
            Ok(there) => (there.dev(), there.ino()) == (own.dev(), own.ino()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        })
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        path.try_exists()
    }
}
