//! The engine's clock: when a guest that computes lets others go first.
//!
//! A thread advances the epoch, and a guest that sees this yields to tokio. So a guest that spins shares the machine, and its
//! deadline can end it. Each epoch gives as many turns as there are cores to guests that have computed for a whole one, in the
//! order in which they ask: however many compute for long, whoever has little to do does not queue behind all of them.
//! While no guest runs, the clock stands still.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use wasmtime::{Engine, Store, UpdateDeadline};

use crate::state::CallState;

/// How long an epoch is.
const EPOCH: Duration = Duration::from_millis(1);
/// A guest yields for the first time after one whole epoch: most calls are over then.
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
    /// One permit for each guest that may compute on in this epoch.
    turns: Arc<Semaphore>,
    /// How many turns an epoch has.
    cores: usize,
}

impl Clock {
    /// The clock of an engine on a machine with so many cores.
    pub(crate) fn start(engine: &Engine, cores: usize) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            has_ended: AtomicBool::new(false),
            guests: AtomicUsize::new(0),
            turns: Arc::new(Semaphore::new(cores)),
            cores,
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

    /// Has the guest of a store, which begins now, yield at the end of every epoch.
    pub(crate) fn preempt(&self, store: &mut Store<CallState>) {
        let turns = Arc::clone(&self.shared.turns);
        let let_on = Arc::new(Mutex::new(Instant::now()));
        store.epoch_deadline_callback(move |_| {
            let turn = next_turn(Arc::clone(&turns), Arc::clone(&let_on));
            Ok(UpdateDeadline::YieldCustom(1, Box::pin(turn)))
        });
        store.set_epoch_deadline(FIRST);
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

/// Lets everybody go first who is ready, and then, if the guest has computed since it was let on, waits for a turn.
async fn next_turn(turns: Arc<Semaphore>, let_on: Arc<Mutex<Instant>>) {
    let last = *let_on.lock().unwrap_or_else(PoisonError::into_inner);
    let has_waited = last.elapsed() > WAITED;
    tokio::task::yield_now().await;
    if !has_waited && let Ok(turn) = turns.acquire().await {
        turn.forget();
    }
    *let_on.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
}

/// Advances the epoch, and gives the turns of the next one, until the clock has ended.
fn tick(clock: &Shared, engine: &Engine) {
    let mut idle = 0;
    while !clock.has_ended.load(Ordering::SeqCst) {
        // A turn that nobody took is not saved.
        let taken = clock.cores.saturating_sub(clock.turns.available_permits());
        clock.turns.add_permits(taken);
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
