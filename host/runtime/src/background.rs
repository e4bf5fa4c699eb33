//! Work that can wait: compiling, taking in files, checks that take their time, and guests that compute for long.
//!
//! Its threads give way to those that serve short calls. What one waits for, another does not: only compiling is spread over as
//! many threads as there are cores, and so are the guests.

use std::future::poll_fn;
use std::num::NonZero;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::LazyLock;
use std::thread::available_parallelism;

use rayon::{ThreadPool, ThreadPoolBuilder};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinSet;
use tracing::Instrument as _;

/// How much less of a core such a thread gets than one that serves calls, where both want it: about a tenth.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// It runs no tasks, and has threads for what blocks.
static THREADS: LazyLock<Option<Runtime>> = LazyLock::new(|| {
    let threads = Builder::new_current_thread()
        .thread_name("holster-work")
        .on_thread_start(give_way)
        .build();
    threads
        .inspect_err(|error| tracing::warn!("no threads for work that can wait: {error}"))
        .ok()
});

static COMPILERS: LazyLock<Option<ThreadPool>> = LazyLock::new(|| {
    let threads = ThreadPoolBuilder::new()
        .thread_name(|number| format!("holster-compile-{number}"))
        .start_handler(|_| give_way())
        .build();
    threads
        .inspect_err(|error| tracing::warn!("no threads to compile on: {error}"))
        .ok()
});

/// No clocks and no sockets are of these threads: they do nothing but compute.
static GUESTS: LazyLock<Option<Runtime>> = LazyLock::new(|| {
    let threads = Builder::new_multi_thread()
        .worker_threads(cores())
        .thread_name("holster-compute")
        .on_thread_start(give_way)
        .build();
    threads
        .inspect_err(|error| tracing::warn!("no threads for guests that compute: {error}"))
        .ok()
});

/// How many cores this process may use: 1 where the system does not say.
pub fn cores() -> usize {
    available_parallelism().map_or(1, NonZero::get)
}

/// Runs a guest that computes for long where it keeps no other call waiting. What it spawns, and what it waits for, is of the
/// runtime where this was called. Dropping the future ends the guest.
pub(crate) async fn compute<T: Send + 'static>(
    mut guest: Pin<Box<impl Future<Output = T> + Send + 'static>>,
) -> T {
    let Some(threads) = GUESTS.as_ref() else {
        return guest.await;
    };
    let caller = Handle::current();
    let guest = poll_fn(move |context| {
        let _entered = caller.enter();
        guest.as_mut().poll(context)
    });
    let mut task = JoinSet::new();
    task.spawn_on(guest.in_current_span(), threads.handle());
    match task.join_next().await.expect("it was spawned") {
        Ok(value) => value,
        Err(error) => resume_unwind(error.into_panic()),
    }
}

/// Does something where it keeps no call waiting. What it spawns runs where this was called.
pub async fn in_background<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let caller = Handle::current();
    let work = move || {
        let _entered = caller.enter();
        work()
    };
    let done = match THREADS.as_ref() {
        Some(threads) => threads.spawn_blocking(work),
        None => tokio::task::spawn_blocking(work),
    };
    match done.await {
        Ok(value) => value,
        Err(error) => resume_unwind(error.into_panic()),
    }
}

/// Spreads what compiles, which `rayon` can divide, over threads of its own, and waits for it.
pub(crate) fn compile<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    match COMPILERS.as_ref() {
        Some(compilers) => compilers.install(work),
        None => work(),
    }
}

/// On Linux, niceness is of a thread; elsewhere it is of the process, which is left alone.
fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!("a thread for work that can wait does not give way: {error}");
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::future::pending;
    use std::pin::pin;

    use futures::poll;
    use rustix::process::getpriority_process;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn work_in_the_background_gives_way() {
        let niceness = || getpriority_process(None).unwrap();
        assert_eq!(in_background(niceness).await, NICENESS);
        assert_eq!(compile(niceness), NICENESS);
        assert!(niceness() < NICENESS, "who waits for it keeps its own");
    }

    #[tokio::test]
    async fn a_guest_that_computes_gives_way_and_what_it_spawns_does_not() {
        let guest = async {
            let spawned = tokio::spawn(async { Handle::current().id() });
            (getpriority_process(None).unwrap(), spawned.await.unwrap())
        };
        let here = Handle::current().id();
        assert_eq!(compute(Box::pin(guest)).await, (NICENESS, here));
    }

    #[tokio::test]
    async fn a_guest_that_computes_ends_with_its_call() {
        let (held, ended) = oneshot::channel::<()>();
        let guest = Box::pin(async move {
            let _held = held;
            pending::<()>().await;
        });
        assert!(poll!(pin!(compute(guest))).is_pending());
        assert!(ended.await.is_err());
    }

    #[tokio::test]
    async fn what_it_spawns_runs_where_it_was_called() {
        let spawned = in_background(|| tokio::spawn(async { Handle::current().id() })).await;
        assert_eq!(spawned.await.unwrap(), Handle::current().id());
    }

    #[tokio::test]
    #[should_panic(expected = "as it should")]
    async fn a_panic_in_the_background_reaches_who_waits_for_it() {
        in_background(|| panic!("as it should")).await;
    }
}
