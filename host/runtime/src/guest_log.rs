//! Standard output and error of a guest: lines in the host's log, up to a limit.
//!
//! Of a stream that a secret was found in, nothing more is logged.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::leak::{Following, LeakPlace, LeakWatch};

/// A line longer than this is cut in pieces.
const LINE_BYTES: usize = 4096;
/// What a guest may write at once.
const CHUNK_BYTES: usize = 64 << 10;

/// The log of one call. Both streams share the limit.
#[derive(Clone)]
pub(crate) struct GuestLog {
    shared: Arc<Mutex<Shared>>,
    stream: &'static str,
    watch: Arc<LeakWatch>,
    place: LeakPlace,
}

struct Shared {
    tool: String,
    left: u64,
}

impl GuestLog {
    /// The log streams of one call: standard output, standard error.
    pub(crate) fn new(tool: &str, limit: u64, watch: &Arc<LeakWatch>) -> (Self, Self) {
        let shared = Arc::new(Mutex::new(Shared {
            tool: tool.to_owned(),
            left: limit,
        }));
        let log = |stream, place| Self {
            shared: Arc::clone(&shared),
            stream,
            watch: Arc::clone(watch),
            place,
        };
        (
            log("stdout", LeakPlace::StandardOutput),
            log("stderr", LeakPlace::StandardError),
        )
    }
}

impl GuestLog {
    fn writer(&self) -> LineWriter {
        LineWriter {
            log: self.clone(),
            line: Vec::new(),
            looking: Looking::NotYet,
        }
    }
}

impl IsTerminal for GuestLog {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for GuestLog {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        // WASI 0.2 asks for `p2_stream` only.
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.writer())
    }
}

/// Collects bytes until a line is whole.
struct LineWriter {
    log: GuestLog,
    line: Vec<u8>,
    looking: Looking,
}

/// How far the stream was looked at for secrets.
enum Looking {
    /// Most guests print nothing, and then nothing is made ready.
    NotYet,
    /// There is no secret to look for.
    ForNothing,
    So(Following),
    Found,
}

impl LineWriter {
    /// Whether no secret was printed so far.
    fn is_clean(&mut self, bytes: &[u8]) -> bool {
        if matches!(self.looking, Looking::NotYet) {
            let following = self.log.watch.follow(self.log.place);
            self.looking = following.map_or(Looking::ForNothing, Looking::So);
        }
        let found = match &mut self.looking {
            Looking::Found => true,
            Looking::So(following) => following.finds(bytes),
            Looking::NotYet | Looking::ForNothing => false,
        };
        if found {
            self.looking = Looking::Found;
            self.line.clear();
        }
        !found
    }

    /// A piece of a line that is too long, without what may be the beginning of a secret.
    fn emit_piece(&mut self) {
        let undecided = match &self.looking {
            Looking::So(following) => following.undecided().min(self.line.len()),
            Looking::NotYet | Looking::ForNothing | Looking::Found => 0,
        };
        let kept = self.line.split_off(self.line.len() - undecided);
        self.emit();
        self.line = kept;
    }

    fn emit(&mut self) {
        if self.line.is_empty() {
            return;
        }
        let shared = self
            .log
            .shared
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        // Escaped, so that a guest cannot move the cursor of the terminal that shows the log.
        let text = String::from_utf8_lossy(&self.line);
        tracing::info!(target: "holster::guest", tool = %shared.tool, stream = self.log.stream, "{}", text.escape_debug());
        self.line.clear();
    }

    /// Takes `wanted` bytes from what is left for the call.
    fn take(&self, wanted: usize) -> usize {
        let mut shared = self
            .log
            .shared
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let taken = usize::try_from(shared.left)
            .unwrap_or(usize::MAX)
            .min(wanted);
        if shared.left > 0 && taken < wanted {
            tracing::warn!(target: "holster::guest", tool = %shared.tool, "the guest prints more than its limit; the rest is dropped");
        }
        shared.left -= taken as u64;
        taken
    }
}

impl OutputStream for LineWriter {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        // All of it is looked at, though only a part may reach the log.
        if !self.is_clean(&bytes) {
            return Ok(());
        }
        let taken = self.take(bytes.len());
        for &byte in &bytes[..taken] {
            if byte == b'\n' {
                self.emit();
            } else {
                self.line.push(byte);
                if self.line.len() >= LINE_BYTES {
                    self.emit_piece();
                }
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(CHUNK_BYTES)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for LineWriter {
    async fn ready(&mut self) {}
}

impl Drop for LineWriter {
    fn drop(&mut self) {
        self.emit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leak::tests::watch;

    #[test]
    fn both_streams_draw_on_one_limit() {
        let (out, err) = GuestLog::new("tool", 10, &watch("planted-secret"));
        let (out, err) = (out.writer(), err.writer());
        assert_eq!(out.take(6), 6);
        assert_eq!(err.take(6), 4);
        assert_eq!(out.take(1), 0);
    }
}
