//! Instances that are made before somebody calls.
//!
//! An instance takes about as long to make, and to clear away, as a short call of it. So a component that is called again and
//! again has some waiting, and what a call leaves is cleared away after its answer. Each serves one call and is thrown away:
//! nothing of a call is in an instance that has yet to serve one. Where all cores are busy, or too much was left already, a call
//! does all of this itself.
//!
//! An instance of an interpreter that still waits when calls have paused lists its tools meanwhile: what an interpreter does for
//! the first time takes longer, and its memory is given to it page by page.

use std::collections::VecDeque;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::oneshot::{self, error::TryRecvError};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use wasmtime::Store;
use wasmtime_wasi::WasiCtxBuilder;

use crate::Runtime;
use crate::bindings::Plugin;
use crate::call::{Instance, Sandbox, within};
use crate::clock::{Beginning, Turns, unknown};
use crate::egress::Visits;
use crate::leak::LeakWatch;
use crate::limits::Limits;
use crate::loaded::LoadedComponent;
use crate::state::{CallState, Surroundings};

/// How many wait for each component: those of an interpreter hold megabytes.
const WAITING: usize = 1;

/// Those that begin with no more pages of 64 KiB than this, as no interpreter's do, hold little, and are there sooner than a thread
/// that makes one can be woken: no call waits for it, and one waits for calls while the next is on its way.
const SMALL: u64 = 32;
const WAITING_SMALL: usize = 2;

/// How many wait for all components of a process: what they hold is bounded with them.
pub(crate) const SPARES: u32 = 32;

/// How many instances of ended calls are left for later, for each component.
const LEFT: usize = 2;

/// After how long without a call the instances that wait are given up.
const IDLE: Duration = Duration::from_secs(5);

/// After how long without a call calls have paused.
const PAUSE: Duration = Duration::from_millis(2);

/// How long an instance may take to list its tools while it waits. Who takes longer does not do so again.
const LISTING: Duration = Duration::from_millis(100);

/// An instance that has yet to serve a call.
pub(crate) struct Spare {
    pub(crate) store: Store<CallState>,
    pub(crate) plugin: Plugin,
    /// The place that it takes in the engine.
    pub(crate) place: OwnedSemaphorePermit,
    /// Those by which it was made. A call that waited for it has begun with them.
    pub(crate) turns: Arc<Turns>,
}

/// One that is there, or on its way.
struct Coming {
    spare: oneshot::Receiver<Spare>,
    /// Whether a call waits for it.
    is_awaited: Arc<AtomicBool>,
}

impl Coming {
    /// With what brings it.
    fn promised() -> (oneshot::Sender<Spare>, Self) {
        let (promised, spare) = oneshot::channel();
        let is_awaited = Arc::default();
        (promised, Self { spare, is_awaited })
    }
}

/// What it takes to make one.
struct Promise {
    place: OwnedSemaphorePermit,
    beginning: Beginning,
    promised: oneshot::Sender<Spare>,
    is_awaited: Arc<AtomicBool>,
}

/// What a call has left.
struct Left {
    used: Instance,
    sandbox: Sandbox,
    component: Arc<LoadedComponent>,
    runtime: Runtime,
}

/// An instance that a call has taken.
pub(crate) enum Taken {
    There(Spare),
    OnItsWay(oneshot::Receiver<Spare>),
}

/// The spares of one component.
pub(crate) struct Spares {
    waiting: Mutex<Waiting>,
    /// Whether its instances are no larger than [`SMALL`].
    is_small: bool,
    /// Its instances hold something of the host as soon as they are made, which no other call may get.
    unfit: AtomicBool,
    /// Its instances list no tools while they wait: they are soon warm, or hold something of the host afterwards.
    stays_cold: AtomicBool,
}

#[derive(Default)]
struct Waiting {
    spares: VecDeque<Coming>,
    /// What the component was allowed when they were made.
    sandbox: Option<Sandbox>,
    /// How many calls asked for one.
    calls: u64,
    /// To the task that clears away and makes the next, as long as calls leave something to it.
    maker: Option<mpsc::Sender<Left>>,
}

impl Spares {
    /// None yet, of a component whose instances begin with so many pages, if that is known.
    pub(crate) fn of(pages: Option<u64>) -> Self {
        let is_small = pages.is_some_and(|pages| pages <= SMALL);
        Self {
            waiting: Mutex::default(),
            is_small,
            unfit: AtomicBool::new(false),
            stays_cold: AtomicBool::new(is_small),
        }
    }

    /// The instance that waited longest, or that comes first. `None` if there is none for this sandbox.
    pub(crate) fn take(&self, sandbox: &Sandbox) -> Option<Taken> {
        let mut waiting = self.lock();
        waiting.calls += 1;
        if waiting.sandbox.as_ref() != Some(sandbox) {
            waiting.spares.clear();
        }
        let mut first = waiting.spares.pop_front()?;
        match first.spare.try_recv() {
            Ok(spare) => Some(Taken::There(spare)),
            Err(TryRecvError::Empty) if self.is_small => {
                waiting.spares.push_front(first);
                None
            }
            Err(TryRecvError::Empty) => {
                first.is_awaited.store(true, Ordering::Relaxed);
                Some(Taken::OnItsWay(first.spare))
            }
            Err(TryRecvError::Closed) => None,
        }
    }

    /// The instance that waits for calls in this sandbox, which no call gets meanwhile.
    fn take_back(&self, sandbox: &Sandbox) -> Option<Spare> {
        let mut waiting = self.lock();
        if waiting.sandbox.as_ref() != Some(sandbox) {
            return None;
        }
        waiting.spares.pop_front()?.spare.try_recv().ok()
    }

    /// Has an instance wait that was taken back, if calls are still in this sandbox.
    fn put_back(&self, spare: Spare, sandbox: &Sandbox) {
        let (promised, coming) = Coming::promised();
        let mut waiting = self.lock();
        if waiting.sandbox.as_ref() == Some(sandbox) && promised.send(spare).is_ok() {
            waiting.spares.push_front(coming);
        }
    }

    /// Whether one more is to wait.
    fn wants(&self, waiting: &Waiting) -> bool {
        let most = if self.is_small {
            WAITING_SMALL
        } else {
            WAITING
        };
        // A component that was called once may not be called again.
        waiting.calls >= 2 && waiting.spares.len() < most
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Runtime {
    /// Clears the instance of a call that has ended away, and makes the next one for its component: after the answer, where
    /// there is time for it.
    pub(crate) fn clear_away(
        &self,
        component: &Arc<LoadedComponent>,
        sandbox: &Sandbox,
        used: Instance,
    ) {
        if component.spares.unfit.load(Ordering::Relaxed) || self.engine.is_busy() {
            return;
        }
        let mut waiting = component.spares.lock();
        waiting.maker.take_if(|maker| maker.is_closed());
        let maker = waiting.maker.get_or_insert_with(|| {
            let (maker, left) = mpsc::channel(LEFT);
            tokio::spawn(make_while_called(Arc::downgrade(component), left));
            maker
        });
        if let Ok(room) = maker.try_reserve() {
            if component.spares.is_small {
                // What little it holds keeps no others from beginning.
                used.turns.let_others_begin();
            }
            room.send(Left {
                used,
                sandbox: sandbox.clone(),
                component: Arc::clone(component),
                runtime: self.clone(),
            });
        }
    }

    async fn make_spares(&self, component: &Arc<LoadedComponent>, sandbox: &Sandbox) {
        // Its variables are those of the accounts of each call, its folders are opened by each call.
        if !sandbox.environment.is_empty() || !sandbox.folders.is_empty() {
            return;
        }
        while let Some(Promise {
            place,
            beginning,
            promised,
            is_awaited,
        }) = self.promise(component, sandbox)
        {
            let made = self.make(component, sandbox, place, beginning).await;
            let Some(spare) = made else {
                component.spares.unfit.store(true, Ordering::Relaxed);
                return;
            };
            // A call that comes meanwhile finds it on its way or there, and what it begins by with it.
            let waiting = component.spares.lock();
            if !is_awaited.load(Ordering::Relaxed) {
                spare.turns.let_others_begin();
            }
            let unwanted = promised.send(spare);
            drop(waiting);
            drop(unwanted);
        }
    }

    /// One more, if one is wanted, there is a place for it, and no call waits until it may begin.
    fn promise(&self, component: &Arc<LoadedComponent>, sandbox: &Sandbox) -> Option<Promise> {
        let mut waiting = component.spares.lock();
        if waiting.sandbox.as_ref() != Some(sandbox) {
            waiting.spares.clear();
            waiting.sandbox = Some(sandbox.clone());
        }
        if !component.spares.wants(&waiting) {
            return None;
        }
        let place = Arc::clone(&self.engine.spare_slots);
        let place = place.try_acquire_owned().ok()?;
        let beginning = Some(self.engine.clock.begin_at_once()?);
        let (promised, coming) = Coming::promised();
        let is_awaited = Arc::clone(&coming.is_awaited);
        waiting.spares.push_back(coming);
        Some(Promise {
            place,
            beginning,
            promised,
            is_awaited,
        })
    }

    /// `None` if it cannot be made without a call.
    async fn make(
        &self,
        component: &LoadedComponent,
        sandbox: &Sandbox,
        place: OwnedSemaphorePermit,
        beginning: Beginning,
    ) -> Option<Spare> {
        // It sends nothing: no call would answer for that.
        let sandbox = Sandbox {
            hosts: Vec::new(),
            limits: Limits {
                requests: 0,
                time: Limits::DISCOVERY.time,
                ..sandbox.limits.clone()
            },
            ..sandbox.clone()
        };
        let nobody = LeakWatch::new(Arc::new([]), &self.needles);
        let visits = Arc::new(Visits::default());
        let state = CallState::new(Surroundings {
            tool: &component.hash().short(),
            watch: &nobody,
            sandbox: &sandbox,
            wasi: WasiCtxBuilder::new(),
            egress: self
                .egress
                .for_call(None, &nobody, &sandbox, Arc::clone(&visits)),
        });
        let (mut store, turns) = self.store(state, &unknown(), beginning, &sandbox.limits);
        let instantiate =
            async |store: &mut Store<CallState>| component.pre.instantiate_async(store).await;
        let made = within(
            &self.engine,
            &mut store,
            &turns,
            &sandbox.limits,
            instantiate,
        );
        let plugin = made.await.ok()?;
        let is_fit = store.data().is_untouched() && visits.take().is_empty();
        is_fit.then_some(Spare {
            store,
            plugin,
            place,
            turns,
        })
    }

    /// Has the instance that waits for a call list its tools, if that does not keep a call from beginning.
    async fn warm(&self, component: &Arc<LoadedComponent>, sandbox: &Sandbox) {
        let spares = &component.spares;
        if spares.stays_cold.load(Ordering::Relaxed) {
            return;
        }
        let Some(beginning) = self.engine.clock.begin_at_once() else {
            return;
        };
        let Some(mut spare) = spares.take_back(sandbox) else {
            return;
        };
        let Spare { store, plugin, .. } = &mut spare;
        let limits = Limits {
            time: LISTING,
            ..sandbox.limits.clone()
        };
        let turns = self.limit(store, &Arc::default(), Some(beginning), &limits);
        let list = async |store: &mut Store<CallState>| {
            plugin.holster_plugin_tool().call_list_tools(store).await
        };
        let listed = within(&self.engine, store, &turns, &limits, list).await;
        turns.let_others_begin();
        if listed.is_ok() && spare.store.data().is_untouched() {
            spares.put_back(spare, sandbox);
        } else {
            spares.stays_cold.store(true, Ordering::Relaxed);
            drop(spare);
            self.make_spares(component, sandbox).await;
        }
    }
}

/// Clears away what calls have left, and makes the next instances, until no call has left anything for a while.
async fn make_while_called(component: Weak<LoadedComponent>, mut left: mpsc::Receiver<Left>) {
    let mut next = left.recv().await;
    while let Some(call) = next {
        let Left {
            used,
            sandbox,
            component,
            runtime,
        } = call;
        drop(used);
        runtime.make_spares(&component, &sandbox).await;
        let mut received = tokio::time::timeout(PAUSE, left.recv()).await;
        if received.is_err() {
            runtime.warm(&component, &sandbox).await;
            drop((component, sandbox, runtime));
            received = tokio::time::timeout(IDLE, left.recv()).await;
        }
        next = received.ok().flatten();
    }
    if let Some(component) = component.upgrade() {
        let mut waiting = component.spares.lock();
        waiting.maker = None;
        let given_up = mem::take(&mut waiting.spares);
        drop(waiting);
        drop(given_up);
    }
}
