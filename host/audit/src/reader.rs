//! The log, read again: every line, and whether the chain holds.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use crate::chain::{Hash, Link, segments};
use crate::event::Line;

/// No line is longer, in bytes; what is longer is none.
const MAX_LINE: u64 = 1 << 20;

/// A line in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chained {
    /// The line.
    pub line: Line,
    /// Its hash, which the next line names.
    pub hash: Hash,
    /// As it stands in the file.
    pub text: String,
}

/// A place where the chain does not hold. What follows may be genuine, or not.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Break {
    #[error("{}, line {place}: this is no line of an audit log: {detail}", .segment.display())]
    NoLine {
        segment: PathBuf,
        place: u64,
        detail: String,
    },
    #[error(
        "{}, line {place}: it names another line before it than the one that is there; one of both was altered, or lines \
         in between were taken out or put in",
        .segment.display()
    )]
    Chain { segment: PathBuf, place: u64 },
    #[error("{} cannot be read: {error}", .path.display())]
    File { path: PathBuf, error: io::Error },
}

/// Reads a log from its beginning.
pub struct Reader {
    segments: std::vec::IntoIter<(u64, PathBuf)>,
    open: Option<Segment>,
    /// The line before; `None` before the first one that is there.
    last: Option<Link>,
}

struct Segment {
    path: PathBuf,
    lines: BufReader<File>,
    place: u64,
}

impl Reader {
    /// The log in this folder; an empty one where there is none.
    pub fn open(folder: &Path) -> Result<Self, Break> {
        let segments = segments(folder).map_err(|error| Break::File {
            path: folder.to_owned(),
            error,
        })?;
        Ok(Self {
            segments: segments.into_iter(),
            open: None,
            last: None,
        })
    }

    fn read(&mut self) -> Result<Option<Chained>, Break> {
        loop {
            if let Some(segment) = &mut self.open {
                if let Some(bytes) = segment.next()? {
                    return self.link(&bytes).map(Some);
                }
                self.open = None;
            }
            let Some((_, path)) = self.segments.next() else {
                return Ok(None);
            };
            let file = File::open(&path).map_err(|error| Break::File {
                path: path.clone(),
                error,
            })?;
            self.open = Some(Segment {
                path,
                lines: BufReader::new(file),
                place: 0,
            });
        }
    }

    fn link(&mut self, bytes: &[u8]) -> Result<Chained, Break> {
        let segment = self.open.as_ref().expect("a line is of a segment");
        let (path, place) = (segment.path.clone(), segment.place);
        let line: Line = serde_json::from_slice(bytes).map_err(|error| Break::NoLine {
            segment: path.clone(),
            place,
            detail: error.to_string(),
        })?;
        let hash = Hash::of(bytes);
        let before = self.last.replace(Link {
            number: line.number,
            hash,
        });
        // The first that is there may follow others that were moved away, unless it says that it is the first of all.
        let holds = match before {
            Some(before) => line.number == before.number + 1 && line.previous == before.hash,
            None => (line.number == 1) == (line.previous == Hash::NONE),
        };
        if !holds {
            return Err(Break::Chain {
                segment: path,
                place,
            });
        }
        Ok(Chained {
            line,
            hash,
            text: String::from_utf8_lossy(bytes).into_owned(),
        })
    }
}

impl Segment {
    /// The next line; `None` at the end. What has no end is being written, or was left by a crash, and is no line yet.
    fn next(&mut self) -> Result<Option<Vec<u8>>, Break> {
        let mut bytes = Vec::new();
        let mut bounded = io::Read::take(&mut self.lines, MAX_LINE);
        bounded
            .read_until(b'\n', &mut bytes)
            .map_err(|error| Break::File {
                path: self.path.clone(),
                error,
            })?;
        self.place += 1;
        match bytes.pop() {
            Some(b'\n') => Ok(Some(bytes)),
            Some(_) if bytes.len() as u64 + 1 == MAX_LINE => Err(Break::NoLine {
                segment: self.path.clone(),
                place: self.place,
                detail: "it is longer than 1 MiB".to_owned(),
            }),
            _ => Ok(None),
        }
    }
}

impl Iterator for Reader {
    type Item = Result<Chained, Break>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

#[cfg(test)]
pub(crate) mod tests;
