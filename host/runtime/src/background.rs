//! Work that can wait: compiling, taking in files, and checks that take their time.
//!
//! Its threads give way to those that serve calls. What one waits for, another does not: only compiling is spread over as many
//! threads as there are cores.

use std::sync::LazyLock;

use rayon::{ThreadPool, ThreadPoolBuilder};
use tokio::runtime::{Builder, Handle, Runtime};

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
        Err(error) => std::panic::resume_unwind(error.into_panic()),
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
    use rustix::process::getpriority_process;

    use super::*;

    #[tokio::test]
    async fn work_in_the_background_gives_way() {
        let niceness = || getpriority_process(None).unwrap();
        assert_eq!(in_background(niceness).await, NICENESS);
        assert_eq!(compile(niceness), NICENESS);
        assert!(niceness() < NICENESS, "who waits for it keeps its own");
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
