//! Work that can wait: compiling, and checks that take their time.
//!
//! It has as many threads as there are cores, and they give way to those that serve calls.

use std::sync::{Arc, LazyLock};

use rayon::{ThreadPool, ThreadPoolBuilder};
use tokio::sync::oneshot;

/// How much less of a core such a thread gets than one that serves calls, where both want it: about a tenth.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

static THREADS: LazyLock<Option<Arc<ThreadPool>>> = LazyLock::new(|| {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let pool = ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|number| format!("holster-work-{number}"))
        .start_handler(|_| give_way())
        .build();
    pool.map(Arc::new)
        .inspect_err(|error| tracing::warn!("no threads for work that can wait: {error}"))
        .ok()
});

/// Does something where it keeps no call waiting. What uses `rayon` spreads over these threads.
pub async fn in_background<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let Some(threads) = THREADS.as_ref() else {
        return ended(tokio::task::spawn_blocking(work).await);
    };
    let (done, result) = oneshot::channel();
    threads.spawn(move || {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        // Whoever waited may have gone.
        let _ = done.send(result);
    });
    match result.await {
        Ok(Ok(value)) => value,
        Ok(Err(panic)) => std::panic::resume_unwind(panic),
        Err(_) => unreachable!("the work sends what comes of it"),
    }
}

fn ended<T>(result: Result<T, tokio::task::JoinError>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// On Linux, niceness is of a thread; elsewhere it is of the process, which is left alone.
fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!("a thread for work that can wait does not give way: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_in_the_background_gives_way_and_gives_back() {
        let niceness = || rustix::process::getpriority_process(None).unwrap();
        let before = niceness();
        assert_eq!(in_background(niceness).await, (before + NICENESS).min(19));
        assert_eq!(niceness(), before, "who waits for it keeps its own");
    }

    #[tokio::test]
    #[should_panic(expected = "as it should")]
    async fn a_panic_in_the_background_reaches_who_waits_for_it() {
        in_background(|| panic!("as it should")).await;
    }
}
