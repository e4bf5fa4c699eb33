//! Standard output and error of a guest: lines in the host's log, up to a limit.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// A line longer than this is cut in pieces.
const LINE_BYTES: usize = 4096;
/// What a guest may write at once.
const CHUNK_BYTES: usize = 64 << 10;

/// The log of one call. Both streams share the limit.
#[derive(Clone)]
pub(crate) struct GuestLog {
    shared: Arc<Mutex<Shared>>,
    stream: &'static str,
}

struct Shared {
    tool: String,
    left: u64,
}

impl GuestLog {
    /// The log streams of one call: standard output, standard error.
    pub(crate) fn new(tool: &str, limit: u64) -> (Self, Self) {
        let shared = Arc::new(Mutex::new(Shared {
            tool: tool.to_owned(),
            left: limit,
        }));
        (
            Self {
                shared: Arc::clone(&shared),
                stream: "stdout",
            },
            Self {
                shared,
                stream: "stderr",
            },
        )
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
        Box::new(LineWriter {
            log: self.clone(),
            line: Vec::new(),
        })
    }
}

/// Collects bytes until a line is whole.
struct LineWriter {
    log: GuestLog,
    line: Vec<u8>,
}

impl LineWriter {
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
        let taken = self.take(bytes.len());
        for &byte in &bytes[..taken] {
            if byte == b'\n' {
                self.emit();
            } else {
                self.line.push(byte);
                if self.line.len() >= LINE_BYTES {
                    self.emit();
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

    #[test]
    fn both_streams_draw_on_one_limit() {
        let (out, err) = GuestLog::new("tool", 10);
        let (out, err) = (
            LineWriter {
                log: out,
                line: Vec::new(),
            },
            LineWriter {
                log: err,
                line: Vec::new(),
            },
        );
        assert_eq!(out.take(6), 6);
        assert_eq!(err.take(6), 4);
        assert_eq!(out.take(1), 0);
    }
}
