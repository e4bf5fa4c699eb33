//! What the machine itself does to a thread.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long it sleeps between two beats.
const BEAT: Duration = Duration::from_millis(1);

/// A thread that does nothing but sleep, again and again until this is dropped, and notes when it was woken late.
pub(crate) struct Pulse {
    /// By how many nanoseconds, at most, since somebody asked.
    latest: Arc<AtomicU64>,
}

impl Pulse {
    pub(crate) fn start() -> io::Result<Self> {
        let latest = Arc::new(AtomicU64::new(0));
        let noted = Arc::downgrade(&latest);
        let beat = move || {
            while let Some(latest) = noted.upgrade() {
                let start = Instant::now();
                thread::sleep(BEAT);
                let late = start.elapsed().saturating_sub(BEAT);
                let late = u64::try_from(late.as_nanos()).unwrap_or(u64::MAX);
                latest.fetch_max(late, Ordering::Relaxed);
            }
        };
        thread::Builder::new().name("pulse".into()).spawn(beat)?;
        Ok(Self { latest })
    }

    /// The latest it was since this was last asked.
    pub(crate) fn latest(&self) -> Duration {
        Duration::from_nanos(self.latest.swap(0, Ordering::Relaxed))
    }
}
