//! The time of a call, which stands still while a person is asked.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// What is left of a call's time.
pub(crate) struct CallClock {
    time: Mutex<Time>,
    /// One waits for it.
    changed: Notify,
}

#[derive(Clone, Copy)]
enum Time {
    Runs { until: Instant },
    Stands { left: Duration },
}

impl CallClock {
    pub(crate) fn start(time: Duration) -> Self {
        Self {
            time: Mutex::new(Time::Runs {
                until: Instant::now() + time,
            }),
            changed: Notify::new(),
        }
    }

    /// Waits until the time is over.
    pub(crate) async fn over(&self) {
        loop {
            let time = *self.time();
            match time {
                Time::Stands { .. } => self.changed.notified().await,
                Time::Runs { until } => tokio::select! {
                    () = sleep_until(until) => return,
                    () = self.changed.notified() => {}
                },
            }
        }
    }

    /// Stops the time until what this gives is dropped.
    pub(crate) fn stop(self: &Arc<Self>) -> Standing {
        let mut time = self.time();
        if let Time::Runs { until } = *time {
            *time = Time::Stands {
                left: until.saturating_duration_since(Instant::now()),
            };
        }
        drop(time);
        self.changed.notify_one();
        Standing(Arc::clone(self))
    }

    fn go_on(&self) {
        let mut time = self.time();
        if let Time::Stands { left } = *time {
            *time = Time::Runs {
                until: Instant::now() + left,
            };
        }
        drop(time);
        self.changed.notify_one();
    }

    fn time(&self) -> MutexGuard<'_, Time> {
        self.time.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// While it is there, the time stands still.
pub(crate) struct Standing(Arc<CallClock>);

impl Drop for Standing {
    fn drop(&mut self) {
        self.0.go_on();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_time_in_which_it_stands_does_not_count() {
        let start = std::time::Instant::now();
        let clock = Arc::new(CallClock::start(Duration::from_millis(100)));
        let standing = clock.stop();
        let stood = Duration::from_millis(300);
        assert!(tokio::time::timeout(stood, clock.over()).await.is_err());
        drop(standing);
        clock.over().await;
        assert!(start.elapsed() >= Duration::from_millis(390));
    }
}
