//! The engine's clock: when a guest that computes lets others go first.
//!
//! A thread advances the epoch, and a guest that sees this yields to tokio. So a guest that spins shares the machine, and its
//! deadline can end it. Who has computed for a whole epoch needs a turn to compute on, and there are as many as cores: however
//! many guests compute for long, even in instructions that nothing interrupts, threads are left for those that have little to
//! do. While no guest runs, the clock stands still.
//!
//! Guests that have begun go first: what many calls at once take of memory is that of a few, unless they wait for the host.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::{Engine, Store, UpdateDeadline};

use crate::state::CallState;

/// How long an epoch is.
const EPOCH: Duration = Duration::from_millis(1);
/// A guest yields for the first time after one whole epoch: most calls are over then, and a tool whose calls are is not
/// taken for one that computes.
const FIRST: u64 = 2;
/// Who has had less of a core than this, from the end of its first epoch on, does not compute for long: others had the core,
/// or what it reads was in no cache.
const COMPUTED: Duration = Duration::from_millis(3);
/// How much of a core a guest that has begun has had, or how long it waits for a turn, until others begin beside it.
const PATIENCE: Duration = Duration::from_millis(10);
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
    /// One permit for each guest that has begun a moment ago, has not waited for the host since, and whose instance is there.
    /// There are as many as cores: one more would take memory, and have to wait. Those of tools that compute for long have
    /// permits of their own, so that they keep no others from beginning.
    beginnings: [Arc<Semaphore>; 2],
}

impl Clock {
    /// The clock of an engine on a machine with so many cores.
    pub(crate) fn start(engine: &Engine, cores: usize) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            has_ended: AtomicBool::new(false),
            guests: AtomicUsize::new(0),
            turns: Arc::new(Semaphore::new(cores)),
            beginnings: [(); 2].map(|()| Arc::new(Semaphore::new(cores))),
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

    /// Waits until one more guest may begin. `computes` is whether it is taken for one that does so for long.
    pub(crate) async fn begin(&self, computes: bool) -> Beginning {
        let beginnings = Arc::clone(&self.shared.beginnings[usize::from(computes)]);
        beginnings.acquire_owned().await.ok()
    }

    /// Has one more guest begin if it need not wait for that.
    pub(crate) fn begin_at_once(&self) -> Beginning {
        let beginnings = Arc::clone(&self.shared.beginnings[0]);
        beginnings.try_acquire_owned().ok()
    }

    /// Has the guest of a store, which begins now, yield at the end of every epoch. `computes` is whether the guest
    /// before, in a call of the same tool, did so for long.
    pub(crate) fn preempt(
        &self,
        store: &mut Store<CallState>,
        computes: &Arc<AtomicBool>,
        beginning: Beginning,
    ) -> Arc<Turns> {
        let turns = self.turns(computes, beginning);
        let yielding = Arc::clone(&turns);
        store.epoch_deadline_callback(move |_| {
            let turns = Arc::clone(&yielding);
            let let_on = Box::pin(async move { turns.next_turn().await });
            Ok(UpdateDeadline::YieldCustom(1, let_on))
        });
        store.set_epoch_deadline(FIRST);
        turns
    }

    fn turns(&self, computes: &Arc<AtomicBool>, beginning: Beginning) -> Arc<Turns> {
        Arc::new(Turns {
            permits: Arc::clone(&self.shared.turns),
            computes: Arc::clone(computes),
            patience: PATIENCE,
            stand: Mutex::new(Stand {
                beginning,
                turn: None,
                wants_on: false,
                on_since: None,
                had: Duration::ZERO,
                took_turns: false,
            }),
        })
    }
}

/// Whether a tool computes for long, as long as nothing is known of it: it is taken for one that does, since its first
/// instruction may be one that takes long and that nothing interrupts.
pub(crate) fn unknown() -> Arc<AtomicBool> {
    Arc::new(AtomicBool::new(true))
}

/// Held from before the guest has an instance until it waits for the host or the instance is gone, or until it has computed for
/// a moment.
pub(crate) type Beginning = Option<OwnedSemaphorePermit>;

/// The turns of one guest.
pub(crate) struct Turns {
    permits: Arc<Semaphore>,
    computes: Arc<AtomicBool>,
    patience: Duration,
    stand: Mutex<Stand>,
}

struct Stand {
    beginning: Beginning,
    /// Held while the guest computes by it.
    turn: Option<OwnedSemaphorePermit>,
    /// The guest would compute if it were let on.
    wants_on: bool,
    /// How much of a core its thread had had, all in all, when the guest was let on; until it stops.
    on_since: Option<Duration>,
    /// How much of a core the guest itself has had since it waited for the host, when it was asked to let others go first.
    had: Duration,
    took_turns: bool,
}

impl Stand {
    /// The guest computes from now on, by this turn if it needs one.
    fn let_on(&mut self, turn: Option<OwnedSemaphorePermit>) {
        self.wants_on = false;
        self.turn = turn;
        self.on_since = Some(thread_time());
    }
}

impl Turns {
    /// Whether the guest is taken for one that computes for long.
    pub(crate) fn computes(&self) -> bool {
        self.computes.load(Ordering::Relaxed)
    }

    /// Runs a guest from its beginning. It gives back its turn whenever it stops, be it to let others go first or because it
    /// waits for the host.
    pub(crate) async fn keep<T>(&self, guest: impl Future<Output = T>) -> T {
        let guest = async {
            if self.computes() {
                self.take_turn().await;
            }
            guest.await
        };
        let mut guest = pin!(guest);
        let ended = std::future::poll_fn(|context| {
            let polled = guest.as_mut().poll(context);
            let mut stand = self.stand();
            stand.turn = None;
            stand.on_since = None;
            if polled.is_pending() {
                let waits = !stand.wants_on;
                // However long ago it began: others may have had its core, and its memory is only that of one more.
                if waits || stand.had >= self.patience {
                    stand.beginning = None;
                }
                if waits {
                    stand.had = Duration::ZERO;
                }
            }
            polled
        });
        let ended = ended.await;
        if !self.stand().took_turns {
            self.computes.store(false, Ordering::Relaxed);
        }
        ended
    }

    /// Keeps no others from beginning any more, though this guest's instance stays.
    pub(crate) fn let_others_begin(&self) {
        drop(self.hand_over());
    }

    /// What whoever goes on with this guest's instance keeps others from beginning by, unless this has let them.
    pub(crate) fn hand_over(&self) -> Beginning {
        self.stand().beginning.take()
    }

    /// Lets everybody go first who is ready, and then, if the guest has computed for long, waits for a turn.
    async fn next_turn(&self) {
        let has_computed = {
            let mut stand = self.stand();
            stand.wants_on = true;
            if let Some(since) = stand.on_since {
                stand.had += thread_time().saturating_sub(since);
            }
            stand.had >= COMPUTED
        };
        tokio::task::yield_now().await;
        if has_computed {
            self.computes.store(true, Ordering::Relaxed);
            self.stand().took_turns = true;
            self.take_turn().await;
        } else {
            self.stand().let_on(None);
        }
    }

    async fn take_turn(&self) {
        if self.permits.available_permits() == 0 {
            // More compute than there are cores: a front of this process may wait for one.
            std::thread::yield_now();
        }
        let keeps_others = {
            let mut stand = self.stand();
            stand.wants_on = true;
            stand.beginning.is_some()
        };
        let mut turn = pin!(Arc::clone(&self.permits).acquire_owned());
        let mut soon = None;
        // Whoever computes for long keeps away from the timers of those who do not, as soon as it can: its thread, which gives
        // way, may be stopped with them locked.
        if keeps_others {
            soon = tokio::time::timeout(self.patience, turn.as_mut())
                .await
                .ok();
            if soon.is_none() {
                self.let_others_begin();
            }
        }
        let turn = match soon {
            Some(turn) => turn,
            None => turn.await,
        };
        self.stand().let_on(turn.ok());
    }

    fn stand(&self) -> MutexGuard<'_, Stand> {
        self.stand.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How much of a core this thread has had.
fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
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

/// Advances the epoch until the clock has ended, and every guest: one that nobody waits for any more ends when it next yields.
fn tick(clock: &Shared, engine: &Engine) {
    let mut idle = 0;
    loop {
        engine.increment_epoch();
        let guests = clock.guests.load(Ordering::SeqCst);
        if guests == 0 && clock.has_ended.load(Ordering::SeqCst) {
            return;
        }
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
    use std::future::pending;
    use std::time::Instant;

    use futures::poll;

    use super::*;

    /// The turns of a guest that has begun, of a tool that did not compute for long before. Others wait so long until they begin.
    async fn a_guest(clock: &Clock, patience: Duration) -> Arc<Turns> {
        let beginning = clock.begin(false).await;
        let mut turns = clock.turns(&Arc::default(), beginning);
        Arc::get_mut(&mut turns).unwrap().patience = patience;
        turns
    }

    /// What a guest does that computes, until its second epoch is over.
    async fn compute(turns: &Turns) {
        turns.next_turn().await;
        let end = thread_time() + COMPUTED * 2;
        while thread_time() < end {}
        turns.next_turn().await;
    }

    #[tokio::test]
    async fn guests_that_wait_for_the_host_keep_none_from_beginning() {
        let clock = Clock::start(&Engine::default(), 1).unwrap();
        let mut guests = Vec::new();
        for _ in 0..10 {
            let turns = a_guest(&clock, Duration::from_hours(1)).await;
            let mut guest = Box::pin(async move { turns.keep(pending::<()>()).await });
            assert!(poll!(&mut guest).is_pending());
            guests.push(guest);
        }
        assert!(poll!(pin!(clock.begin(false))).is_ready());
    }

    #[tokio::test]
    async fn a_guest_keeps_others_from_beginning_until_its_instance_is_gone() {
        let clock = Clock::start(&Engine::default(), 2).unwrap();
        let an_hour = Duration::from_hours(1);
        let first = [
            a_guest(&clock, an_hour).await,
            a_guest(&clock, an_hour).await,
        ];
        for turns in &first {
            turns.keep(async {}).await;
        }
        let mut late = pin!(clock.begin(false));
        assert!(poll!(late.as_mut()).is_pending());
        drop(first);
        assert!(poll!(late).is_ready());
    }

    #[tokio::test]
    async fn whoever_goes_on_with_an_instance_keeps_others_from_beginning() {
        let clock = Clock::start(&Engine::default(), 1).unwrap();
        let turns = a_guest(&clock, PATIENCE).await;
        let handed_over = turns.hand_over();
        drop(turns);
        let mut late = pin!(clock.begin(false));
        assert!(poll!(late.as_mut()).is_pending());
        drop(handed_over);
        assert!(poll!(late).is_ready());
    }

    /// Whether a guest begins while two compute on a machine with two cores, which others have all turns of.
    async fn begins_beside_computing_ones(patience: Duration) -> bool {
        let clock = Clock::start(&Engine::default(), 2).unwrap();
        let turns = Arc::clone(&clock.shared.turns).acquire_many_owned(2);
        let others = turns.await.unwrap();
        let turns = [
            a_guest(&clock, patience).await,
            a_guest(&clock, patience).await,
        ];
        let mut guests = turns
            .each_ref()
            .map(|turns| Box::pin(turns.keep(compute(turns))));
        // They stop at the end of each epoch, and then for want of a turn.
        for _ in 0..3 {
            for guest in &mut guests {
                assert!(poll!(guest).is_pending());
            }
        }
        let begins = poll!(pin!(clock.begin(false))).is_ready();
        drop(others);
        for guest in guests {
            guest.await;
        }
        begins
    }

    #[tokio::test]
    async fn guests_that_compute_keep_others_from_beginning_for_a_moment() {
        let an_hour = Duration::from_hours(1);
        assert!(!begins_beside_computing_ones(an_hour).await);
        assert!(begins_beside_computing_ones(Duration::ZERO).await);
    }

    #[tokio::test]
    async fn a_guest_whose_core_others_had_needs_no_turn() {
        let clock = Clock::start(&Engine::default(), 1).unwrap();
        let _turn = Arc::clone(&clock.shared.turns).acquire_owned().await;
        let turns = a_guest(&clock, PATIENCE).await;
        let sleep = || std::thread::sleep(COMPUTED * 2);
        let guest = turns.keep(async {
            for _ in 0..3 {
                turns.next_turn().await;
                sleep();
            }
        });
        guest.await;
        assert!(!turns.computes.load(Ordering::Relaxed));
    }

    #[test]
    fn a_clock_that_stands_still_ends_with_its_engine_and_one_that_runs_with_its_last_guest() {
        let clock = Clock::start(&Engine::default(), 1).unwrap();
        let ticking = Arc::downgrade(&clock.shared);
        std::thread::sleep(EPOCH * 2 * LINGER);
        let running = clock.run();
        drop(clock);
        std::thread::sleep(EPOCH * 2 * LINGER);
        assert_eq!(ticking.strong_count(), 2, "of the thread and the guest");
        drop(running);
        let patience = Instant::now() + Duration::from_secs(30);
        while ticking.strong_count() > 0 {
            assert!(Instant::now() < patience, "its thread goes on");
            std::thread::sleep(EPOCH);
        }
    }
}
