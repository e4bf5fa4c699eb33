//! The engine's clock: when a guest that computes lets others go first.
//!
//! A thread advances the epoch, and a guest that sees this yields to tokio. So a guest that spins shares the machine, and its
//! deadline can end it. Who has computed for a whole epoch needs a turn to compute on, and there are as many as cores: however
//! many guests compute for long, even in instructions that nothing interrupts, threads are left for those that have little to
//! do. While no guest runs, the clock stands still.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::{Engine, Store, UpdateDeadline};

use crate::state::CallState;

/// How long an epoch is.
const EPOCH: Duration = Duration::from_millis(1);
/// A guest yields for the first time after one whole epoch: most calls are over then, and a tool whose calls are is not
/// taken for one that computes.
const FIRST: u64 = 2;
/// A guest that was let on longer ago than this has waited for the host since, rather than computed.
const WAITED: Duration = Duration::from_millis(5);
/// How many epochs pass without a guest before the clock stops.
const LINGER: u32 = 20;

/// It ends with this.
pub(crate) struct Clock {
    shared: Arc<Shared>,
    thread: Thread,
}

struct Shared {
    has_ended: AtomicBool,
    /// How many guests run, or could.
    guests: AtomicUsize,
    /// One permit for each guest that may compute for long at the same time.
    turns: Arc<Semaphore>,
}

impl Clock {
    /// The clock of an engine on a machine with so many cores.
    pub(crate) fn start(engine: &Engine, cores: usize) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            has_ended: AtomicBool::new(false),
            guests: AtomicUsize::new(0),
            turns: Arc::new(Semaphore::new(cores)),
        });
        let (ticking, engine) = (Arc::clone(&shared), engine.clone());
        let thread = std::thread::Builder::new()
            .name("holster-epoch".into())
            .spawn(move || tick(&ticking, &engine))?;
        Ok(Self {
            shared,
            thread: thread.thread().clone(),
        })
    }

    /// The clock runs as long as this is kept, which is for as long as a guest does.
    pub(crate) fn run(&self) -> Running {
        if self.shared.guests.fetch_add(1, Ordering::SeqCst) == 0 {
            self.thread.unpark();
        }
        Running(Arc::clone(&self.shared))
    }

    /// Has the guest of a store, which begins now, yield at the end of every epoch. `computes` is whether the guest
    /// before, in a call of the same tool, did so for long.
    pub(crate) fn preempt(
        &self,
        store: &mut Store<CallState>,
        computes: &Arc<AtomicBool>,
    ) -> Arc<Turns> {
        let turns = Arc::new(Turns {
            permits: Arc::clone(&self.shared.turns),
            computes: Arc::clone(computes),
            stand: Mutex::new(Stand {
                turn: None,
                let_on: Instant::now(),
                took_turns: false,
            }),
        });
        let yielding = Arc::clone(&turns);
        store.epoch_deadline_callback(move |_| {
            let turns = Arc::clone(&yielding);
            let let_on = Box::pin(async move { turns.next_turn().await });
            Ok(UpdateDeadline::YieldCustom(1, let_on))
        });
        store.set_epoch_deadline(FIRST);
        turns
    }
}

/// The turns of one guest.
pub(crate) struct Turns {
    permits: Arc<Semaphore>,
    computes: Arc<AtomicBool>,
    stand: Mutex<Stand>,
}

struct Stand {
    /// Held while the guest computes by it.
    turn: Option<OwnedSemaphorePermit>,
    let_on: Instant,
    took_turns: bool,
}

impl Turns {
    /// Runs a guest from its beginning. It gives back its turn whenever it stops, be it to let others go first or because it
    /// waits for the host.
    pub(crate) async fn keep<T>(&self, guest: impl Future<Output = T>) -> T {
        let guest = async {
            if self.computes.load(Ordering::Relaxed) {
                // Not on the thread of whoever calls, who has something else to do.
                tokio::task::yield_now().await;
                self.take_turn().await;
            }
            guest.await
        };
        let mut guest = pin!(guest);
        let ended = std::future::poll_fn(|context| {
            let polled = guest.as_mut().poll(context);
            self.stand().turn = None;
            polled
        });
        let ended = ended.await;
        if !self.stand().took_turns {
            self.computes.store(false, Ordering::Relaxed);
        }
        ended
    }

    /// Lets everybody go first who is ready, and then, if the guest has computed since it was let on, waits for a turn.
    async fn next_turn(&self) {
        let has_waited = self.stand().let_on.elapsed() > WAITED;
        tokio::task::yield_now().await;
        if !has_waited {
            self.computes.store(true, Ordering::Relaxed);
            self.stand().took_turns = true;
            self.take_turn().await;
        }
        self.stand().let_on = Instant::now();
    }

    async fn take_turn(&self) {
        if self.permits.available_permits() == 0 {
            // More compute than there are cores: a front of this process may wait for one.
            std::thread::yield_now();
        }
        let turn = Arc::clone(&self.permits).acquire_owned().await;
        self.stand().turn = turn.ok();
    }

    fn stand(&self) -> MutexGuard<'_, Stand> {
        self.stand.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.shared.has_ended.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

/// One guest, for as long as the clock runs for it.
pub(crate) struct Running(Arc<Shared>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.guests.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Advances the epoch until the clock has ended.
fn tick(clock: &Shared, engine: &Engine) {
    let mut idle = 0;
    while !clock.has_ended.load(Ordering::SeqCst) {
        engine.increment_epoch();
        let guests = clock.guests.load(Ordering::SeqCst);
        idle = if guests == 0 { idle + 1 } else { 0 };
        if idle > LINGER {
            // Whoever begins meanwhile has left a token, and this returns at once.
            std::thread::park();
        } else {
            std::thread::sleep(EPOCH);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_stands_still_ends_with_its_engine() {
        let clock = Clock::start(&Engine::default(), 1).unwrap();
        let ticking = Arc::downgrade(&clock.shared);
        std::thread::sleep(EPOCH * 2 * LINGER);
        drop(clock);
        let patience = Instant::now() + Duration::from_secs(30);
        while ticking.strong_count() > 0 {
            assert!(Instant::now() < patience, "its thread goes on");
            std::thread::sleep(EPOCH);
        }
    }
}
