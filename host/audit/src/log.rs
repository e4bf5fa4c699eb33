//! The log that a process writes to.
//!
//! Lines are written by a thread, many at once, some 20 ms after the first of them: a call does not wait for the disk.
//! Whoever must not go on before a line is there waits for [`AuditLog::written`], for which the thread writes at once. While
//! the log cannot be written, lines are kept and tried again, and [`AuditLog::trouble`] says so.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::oneshot;

use crate::chain::Chain;
use crate::event::Event;

/// How long lines are collected.
const COLLECTS: Duration = Duration::from_millis(20);

/// How often what was written is made to outlive a failure of power, and what could not be written is tried again.
const PACE: Duration = Duration::from_secs(1);

/// So many lines are kept while they cannot be written.
const KEPT: usize = 100_000;

/// The audit log of a data folder. When it is dropped, all its lines are written.
#[derive(Debug)]
pub struct AuditLog {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
    folder: PathBuf,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

/// What becomes a line, made by the thread that writes it.
type Made = Box<dyn FnOnce() -> Event + Send>;

#[derive(Default)]
struct Queue {
    lines: Vec<(SystemTime, Made)>,
    /// Whether the thread is about to write lines that it has taken.
    in_hand: bool,
    waiting: Vec<oneshot::Sender<()>>,
    trouble: Option<String>,
    ending: bool,
    /// Whether there is no thread, and will be none.
    deaf: bool,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue")
            .field("lines", &self.lines.len())
            .field("trouble", &self.trouble)
            .finish_non_exhaustive()
    }
}

impl AuditLog {
    /// The log in this folder, which is made with the first line.
    pub fn in_folder(folder: &Path) -> Self {
        Self {
            shared: Arc::default(),
            thread: Mutex::default(),
            folder: folder.to_owned(),
        }
    }

    /// Adds a line about what happens now. It is made later, elsewhere.
    pub fn write(&self, event: impl FnOnce() -> Event + Send + 'static) {
        let mut queue = self.shared.queue();
        queue.lines.push((SystemTime::now(), Box::new(event)));
        let is_first = queue.lines.len() == 1;
        drop(queue);
        if is_first {
            self.start();
            self.shared.changed.notify_one();
        }
    }

    /// Waits until the lines that were added so far are in the log, or it is known that they cannot be written now.
    pub async fn written(&self) {
        let (sender, written) = oneshot::channel();
        {
            let mut queue = self.shared.queue();
            if (queue.lines.is_empty() && !queue.in_hand) || queue.deaf {
                return;
            }
            queue.waiting.push(sender);
        }
        self.shared.changed.notify_one();
        let _ = written.await;
    }

    /// Why the log cannot be written just now, if it cannot.
    pub fn trouble(&self) -> Option<String> {
        self.shared.queue().trouble.clone()
    }

    fn start(&self) {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_none() {
            let writer = Writer::new(Arc::clone(&self.shared), &self.folder);
            let started = std::thread::Builder::new()
                .name("audit".to_owned())
                .spawn(move || writer.run());
            match started {
                Ok(handle) => *thread = Some(handle),
                Err(error) => {
                    let mut queue = self.shared.queue();
                    queue.trouble = Some(format!("no thread can be started: {error}"));
                    queue.deaf = true;
                }
            }
        }
    }
}

impl Drop for AuditLog {
    fn drop(&mut self) {
        self.shared.queue().ending = true;
        self.shared.changed.notify_one();
        let thread = self
            .thread
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread's own.
struct Writer {
    shared: Arc<Shared>,
    chain: Chain,
    folder: PathBuf,
    /// Lines that are not written yet.
    kept: VecDeque<(SystemTime, Event)>,
    /// How many there was no room for.
    lost: u64,
    /// Whether something was written that a failure of power could undo.
    is_dirty: bool,
    synced: Instant,
    /// Makes it outlive one, on a thread of its own: a disk may take long for that, and no line waits for it.
    syncing: Option<JoinHandle<io::Result<()>>>,
}

/// What there is to do.
struct Task {
    lines: Vec<(SystemTime, Made)>,
    waiting: Vec<oneshot::Sender<()>>,
    ending: bool,
}

impl Writer {
    fn new(shared: Arc<Shared>, folder: &Path) -> Self {
        Self {
            shared,
            chain: Chain::new(folder),
            folder: folder.to_owned(),
            kept: VecDeque::new(),
            lost: 0,
            is_dirty: false,
            synced: Instant::now(),
            syncing: None,
        }
    }

    fn run(mut self) {
        loop {
            let Task {
                lines,
                waiting,
                ending,
            } = self.next();
            self.keep(lines);
            let written = self.write();
            self.sync(ending);
            self.tell(written);
            // Whoever waits looks for trouble by themselves.
            drop(waiting);
            if ending {
                return;
            }
        }
    }

    fn next(&self) -> Task {
        let mut queue = self.shared.queue();
        let changed = &self.shared.changed;
        let is_urgent = |queue: &Queue| queue.ending || !queue.waiting.is_empty();
        while !is_urgent(&queue) {
            let has_lines = !queue.lines.is_empty();
            let patience = match has_lines {
                true => COLLECTS,
                false if self.is_dirty || self.syncing.is_some() || !self.kept.is_empty() => PACE,
                false => Duration::MAX,
            };
            let until =
                |queue: &mut Queue| !is_urgent(queue) && (has_lines || queue.lines.is_empty());
            let (woken, waited) = changed
                .wait_timeout_while(queue, patience, until)
                .unwrap_or_else(PoisonError::into_inner);
            queue = woken;
            if waited.timed_out() {
                break;
            }
        }
        queue.in_hand = !queue.lines.is_empty();
        Task {
            lines: std::mem::take(&mut queue.lines),
            waiting: std::mem::take(&mut queue.waiting),
            ending: queue.ending,
        }
    }

    fn keep(&mut self, lines: Vec<(SystemTime, Made)>) {
        self.kept
            .extend(lines.into_iter().map(|(at, made)| (at, made())));
        while self.kept.len() > KEPT {
            self.kept.pop_front();
            self.lost += 1;
        }
    }

    fn write(&mut self) -> io::Result<()> {
        if self.kept.is_empty() {
            return Ok(());
        }
        if self.lost > 0 {
            let lost = Event::Lost { lines: self.lost };
            self.kept.push_front((SystemTime::now(), lost));
            self.lost = 0;
        }
        self.chain.append(self.kept.make_contiguous())?;
        self.kept.clear();
        self.is_dirty = true;
        Ok(())
    }

    /// What was written outlives a failure of power once this has ended, which nothing waits for but the end of the log.
    fn sync(&mut self, ending: bool) {
        let is_over = |syncing: &mut JoinHandle<_>| ending || syncing.is_finished();
        if let Some(syncing) = self.syncing.take_if(is_over) {
            let broken = |_| Err(io::Error::other("the thread that saw to it broke down"));
            self.note(syncing.join().unwrap_or_else(broken));
        }
        let is_due = ending || self.synced.elapsed() >= PACE;
        if !self.is_dirty || self.syncing.is_some() || !is_due {
            return;
        }
        self.is_dirty = false;
        self.synced = Instant::now();
        let segment = self.chain.segment();
        let sync = move || segment?.map_or(Ok(()), |segment| segment.sync_data());
        if ending {
            self.note(sync());
            return;
        }
        let thread = std::thread::Builder::new().name("audit-sync".to_owned());
        match thread.spawn(sync) {
            Ok(syncing) => self.syncing = Some(syncing),
            Err(error) => self.note(Err(error)),
        }
    }

    /// How a sync ended. One that failed is tried again.
    fn note(&mut self, synced: io::Result<()>) {
        if let Err(error) = synced {
            tracing::warn!("the audit log may not outlive a failure of power: {error}");
            self.is_dirty = true;
        }
    }

    /// Says whether the log can be written.
    fn tell(&self, written: io::Result<()>) {
        let trouble = written.err().map(|error| {
            format!(
                "the audit log in {} cannot be written: {error}; see that its folder can be written to and that its disk \
                 has room",
                self.folder.display()
            )
        });
        let mut queue = self.shared.queue();
        queue.in_hand = false;
        let before = std::mem::replace(&mut queue.trouble, trouble.clone());
        drop(queue);
        match (before, trouble) {
            (None, Some(trouble)) => tracing::error!("{trouble}"),
            (Some(_), None) => tracing::info!("the audit log can be written again"),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reader;
    use crate::reader::tests::used;

    #[tokio::test]
    async fn lines_are_there_when_somebody_waits_for_them_or_the_log_ends() {
        let folder = tempfile::tempdir().unwrap();
        let log = AuditLog::in_folder(folder.path());
        log.written().await;
        for number in 1..=10 {
            log.write(move || used("ann", number));
        }
        log.written().await;
        assert_eq!(Reader::open(folder.path()).unwrap().count(), 10);
        log.write(|| used("ann", 11));
        drop(log);
        let lines: Vec<_> = Reader::open(folder.path()).unwrap().collect();
        let events = lines.into_iter().map(|line| line.unwrap().line.event);
        assert_eq!(
            events.collect::<Vec<_>>(),
            (1..=11)
                .map(|number| used("ann", number))
                .collect::<Vec<_>>()
        );
    }

    #[tokio::test]
    async fn while_the_log_cannot_be_written_lines_are_kept_and_it_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("audit");
        std::fs::write(&place, "in the way").unwrap();
        let log = AuditLog::in_folder(&place);
        log.write(|| used("ann", 1));
        log.written().await;
        let trouble = log.trouble().unwrap();
        assert!(trouble.contains("audit"), "{trouble}");
        log.write(|| used("ann", 2));
        std::fs::remove_file(&place).unwrap();
        log.write(|| used("ann", 3));
        log.written().await;
        assert_eq!(log.trouble(), None);
        let lines = Reader::open(&place).unwrap().map(Result::unwrap);
        assert_eq!(lines.count(), 3);
    }

    #[test]
    fn of_lines_that_wait_too_long_the_number_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::new(Arc::default(), folder.path());
        let made = |number: usize| -> (SystemTime, Made) {
            let number = i64::try_from(number).unwrap();
            (SystemTime::now(), Box::new(move || used("ann", number)))
        };
        writer.keep((0..KEPT + 3).map(made).collect());
        writer.write().unwrap();
        let mut lines = Reader::open(folder.path()).unwrap().map(Result::unwrap);
        assert_eq!(lines.next().unwrap().line.event, Event::Lost { lines: 3 });
        assert_eq!(lines.next().unwrap().line.event, used("ann", 3));
    }
}
