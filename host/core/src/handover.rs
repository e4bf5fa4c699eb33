//! From a front's runtime to that of the guests.
//!
//! A guest that computes must not keep a front from its other clients, so calls run on another runtime. But to wake one of
//! its threads, and to be woken by that, takes longer than a short call. So a call that comes alone begins on the front's
//! own thread. A short one ends there; what has to wait, or computes until the engine's clock ticks, goes on where it
//! belongs.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use holster_runtime::cores;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::call::CallLost;

/// How many threads a runtime should have that runs guests: those that compute for long take as many as there are cores, and one
/// more is left for all others.
pub fn guest_threads() -> usize {
    1 + cores()
}

/// How long after calls that came together the next ones are not taken for lone ones: between two of a stream, too, one is
/// alone for a moment.
const COMPANY: Duration = Duration::from_millis(5);

/// The calls that fronts hand over, counted.
#[derive(Debug)]
pub(crate) struct Handover {
    underway: AtomicUsize,
    since: Instant,
    /// Nanoseconds from `since` to the end of the time in which no call counts as a lone one.
    company_until: AtomicU64,
}

impl Default for Handover {
    fn default() -> Self {
        Self {
            underway: AtomicUsize::new(0),
            since: Instant::now(),
            company_until: AtomicU64::new(0),
        }
    }
}

impl Handover {
    /// Runs a call, on `runtime` unless it comes alone and is short. Dropping the future ends the call.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        runtime: &Handle,
        call: BoxFuture<'static, T>,
    ) -> Result<T, CallLost> {
        let _underway = Underway::begin(&self.underway);
        // Whatever the front has read together with this is counted afterwards.
        tokio::task::yield_now().await;
        let mut call = AssertUnwindSafe(call).catch_unwind().boxed();
        if self.is_alone() {
            let begun = std::future::poll_fn(|context| {
                // What it spawns, and the clocks that it waits for, are of the runtime on which it goes on.
                let _entered = runtime.enter();
                Poll::Ready(call.as_mut().poll(context))
            });
            if let Poll::Ready(ended) = begun.await {
                return ended.map_err(|_| CallLost);
            }
        }
        let mut task = JoinSet::new();
        task.spawn_on(call, runtime);
        match task.join_next().await {
            Some(Ok(ended)) => ended.map_err(|_| CallLost),
            Some(Err(_)) | None => Err(CallLost),
        }
    }

    /// Whether the call that asks is the only one, and was not one of many a moment ago.
    fn is_alone(&self) -> bool {
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let now = self.since.elapsed();
        if self.underway.load(Ordering::Relaxed) > 1 {
            let until = nanoseconds(now + COMPANY);
            self.company_until.fetch_max(until, Ordering::Relaxed);
            return false;
        }
        nanoseconds(now) >= self.company_until.load(Ordering::Relaxed)
    }
}

/// One call, for as long as it is counted.
struct Underway<'a>(&'a AtomicUsize);

impl<'a> Underway<'a> {
    fn begin(counter: &'a AtomicUsize) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(counter)
    }
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread::ThreadId;

    use super::*;

    fn guests() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap()
    }

    fn front<T>(served: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(served)
    }

    fn where_it_runs() -> BoxFuture<'static, ThreadId> {
        async { std::thread::current().id() }.boxed()
    }

    #[test]
    fn a_short_call_that_comes_alone_ends_on_the_fronts_thread() {
        let guests = guests();
        let ran = front(Handover::default().run(guests.handle(), where_it_runs()));
        assert_eq!(ran.unwrap(), std::thread::current().id());
    }

    #[test]
    fn a_call_that_has_to_wait_goes_on_elsewhere_by_the_clock_of_there() {
        let guests = guests();
        let waiting = async {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            where_it_runs().await
        };
        let ran = front(Handover::default().run(guests.handle(), waiting.boxed()));
        assert_ne!(ran.unwrap(), std::thread::current().id());
    }

    #[test]
    fn calls_that_come_together_run_elsewhere() {
        let guests = guests();
        let handover = Arc::new(Handover::default());
        let ran = front(async {
            let all = (0..3).map(|_| handover.run(guests.handle(), where_it_runs()));
            futures::future::join_all(all).await
        });
        for thread in ran {
            assert_ne!(thread.unwrap(), std::thread::current().id());
        }
    }

    #[test]
    fn a_call_shortly_after_such_is_not_taken_for_a_lone_one() {
        let guests = guests();
        let handover = Handover::default();
        front(async {
            let together = (0..2).map(|_| handover.run(guests.handle(), where_it_runs()));
            futures::future::join_all(together).await;
            assert!(!handover.is_alone());
            while !handover.is_alone() {
                tokio::time::sleep(COMPANY).await;
            }
        });
    }

    #[test]
    fn a_call_that_panics_is_lost_and_the_next_one_is_not() {
        let guests = guests();
        let handover = Handover::default();
        front(async {
            let broken = async { panic!("on the front's thread") };
            let lost: Result<(), _> = handover.run(guests.handle(), broken.boxed()).await;
            lost.unwrap_err();
            let late = async {
                tokio::task::yield_now().await;
                panic!("on a guest's thread")
            };
            let lost: Result<(), _> = handover.run(guests.handle(), late.boxed()).await;
            lost.unwrap_err();
            handover
                .run(guests.handle(), where_it_runs())
                .await
                .unwrap();
        });
    }
}
