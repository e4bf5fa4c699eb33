//! What a tool can ask of the context of its call.

use crate::Context;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// For how long a person was asked, in milliseconds. An instance serves one call, so that it is the time of that.
static ASKED: AtomicU64 = AtomicU64::new(0);

impl Context {
    /// The time until the host ends the call; zero if that is overdue. `deadline` is as it was when the call began, and the
    /// host ends the call later by the time for which a person was asked, which is counted here.
    #[must_use]
    pub fn time_left(&self) -> Duration {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let asked = ASKED.load(Ordering::Relaxed);
        Duration::from_millis(self.deadline.saturating_add(asked)).saturating_sub(now)
    }
}

/// Asks a person, while the time of the call stands still.
pub(crate) fn asking<T>(ask: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let answer = ask();
    let asked = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    ASKED.fetch_add(asked, Ordering::Relaxed);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(deadline: u64) -> Context {
        Context {
            thread: "t".into(),
            profile: "work".into(),
            deadline,
        }
    }

    #[test]
    fn the_time_left_ends_at_zero() {
        assert_eq!(context(0).time_left(), Duration::ZERO);
        assert!(context(u64::MAX).time_left() > Duration::from_hours(1));
    }

    #[test]
    fn the_time_left_is_as_long_after_a_question_as_before() {
        let since_epoch = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let deadline = u64::try_from(since_epoch().as_millis()).unwrap() + 60_000;
        let thought = Duration::from_millis(300);
        let answer = asking(|| {
            std::thread::sleep(thought);
            "yes"
        });
        assert_eq!(answer, "yes");
        let left = context(deadline).time_left();
        let end = Duration::from_millis(deadline) + thought;
        assert!(since_epoch() + left >= end, "{left:?}, {end:?}");
        assert!(left <= Duration::from_mins(1), "{left:?}");
    }
}
