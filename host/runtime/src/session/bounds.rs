//! How much a guest may say: whatever is beyond is dropped, and costs the listener nothing.

use std::time::{Duration, Instant};

/// Messages of a call.
const MESSAGES: u32 = 1_000;
/// Reports of progress that may come at once.
const BURST: u32 = 20;
/// The time after which one more may come.
const PACE: Duration = Duration::from_millis(100);

/// What is left for one call.
pub(super) struct Bounds {
    messages: u32,
    bytes: u64,
    done: f64,
    /// When the next report of progress would be due, had all come at their pace.
    due: Option<Instant>,
}

impl Bounds {
    pub(super) fn new(bytes: u64) -> Self {
        Self {
            messages: MESSAGES,
            bytes,
            done: f64::NEG_INFINITY,
            due: None,
        }
    }

    /// Whether a message of so many bytes may go out.
    pub(super) fn take_message(&mut self, bytes: usize) -> bool {
        let fits = self.messages > 0 && bytes as u64 <= self.bytes;
        if fits {
            self.messages -= 1;
            self.bytes -= bytes as u64;
        }
        fits
    }

    /// Whether a report of `done` may go out: it grows, is finite, and does not come too fast.
    pub(super) fn take_progress(&mut self, done: f64, now: Instant) -> bool {
        let due = self.due.unwrap_or(now).max(now);
        if !done.is_finite() || done <= self.done || due > now + PACE * (BURST - 1) {
            return false;
        }
        self.done = done;
        self.due = Some(due + PACE);
        true
    }
}

/// Takes the beginning of a text, in whole characters.
pub(super) fn cut(text: &mut String, bytes: usize) {
    if text.len() > bytes {
        text.truncate(text.floor_char_boundary(bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_end_with_their_number_or_with_their_bytes() {
        let mut bounds = Bounds::new(10);
        assert!(bounds.take_message(6));
        assert!(!bounds.take_message(5));
        assert!(bounds.take_message(4));
        let mut bounds = Bounds::new(u64::MAX);
        let taken = (0..2 * MESSAGES).filter(|_| bounds.take_message(1)).count();
        assert_eq!(taken, MESSAGES as usize);
    }

    #[test]
    fn progress_grows_is_finite_and_keeps_its_pace() {
        let now = Instant::now();
        let mut bounds = Bounds::new(0);
        for (done, taken) in [
            (0.0, true),
            (0.0, false),
            (-1.0, false),
            (f64::NAN, false),
            (f64::INFINITY, false),
            (0.5, true),
        ] {
            assert_eq!(bounds.take_progress(done, now), taken, "{done}");
        }
        let at = |bounds: &mut Bounds, from: u32, now| {
            let reports = from..from + 1_000;
            reports
                .filter(|done| bounds.take_progress(f64::from(*done), now))
                .count()
        };
        assert_eq!(at(&mut bounds, 1, now), 18);
        assert_eq!(at(&mut bounds, 2_000, now + PACE * 3), 3);
        assert_eq!(at(&mut bounds, 4_000, now + PACE * 1_000), 20);
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        let mut text = "aé".to_owned();
        cut(&mut text, 2);
        assert_eq!(text, "a");
        cut(&mut text, 1);
        assert_eq!(text, "a");
    }
}
