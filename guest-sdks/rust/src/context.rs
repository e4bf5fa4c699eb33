//! What a tool can ask of the context of its call.

use crate::Context;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

impl Context {
    /// The time until the host ends the call, less any for which a person was asked; zero if that is overdue.
    #[must_use]
    pub fn time_left(&self) -> Duration {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Duration::from_millis(self.deadline).saturating_sub(now)
    }
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
}
