//! Whether the system has somewhere to move memory to.

use std::fs::File;
use std::io::{self, Read};
use std::sync::{Mutex, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;

/// A system that had no swap space when this was made.
pub(crate) struct NoSwap {
    /// The list of places, which says at no cost that it has changed: once for each change.
    places: File,
    has_changed: Mutex<bool>,
}

impl NoSwap {
    /// `None` if the system has some, or does not say.
    pub(crate) fn so_far() -> Option<Self> {
        let mut places = File::open("/proc/swaps").ok()?;
        let mut list = String::new();
        places.read_to_string(&mut list).ok()?;
        // Below a heading, one line for each place.
        (list.lines().count() <= 1).then(|| Self::listed_in(places))
    }

    fn listed_in(places: File) -> Self {
        Self {
            places,
            has_changed: Mutex::new(false),
        }
    }

    /// Whether there has been none since. Some that is gone again counts: what was moved there comes back late.
    pub(crate) fn is_true_still(&self) -> bool {
        // Whoever asks next must not miss what the list has told once.
        let mut has_changed = self
            .has_changed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *has_changed |= self.changes().unwrap_or(true);
        !*has_changed
    }

    fn changes(&self) -> io::Result<bool> {
        let mut places = [PollFd::new(&self.places, PollFlags::PRI)];
        let at_once = Timespec::default();
        // A signal that comes in between says nothing of swap space.
        Ok(retry_on_intr(|| poll(&mut places, Some(&at_once)))? > 0)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener, TcpStream};
    use std::os::fd::OwnedFd;
    use std::time::{Duration, Instant};

    use rustix::net::{RecvFlags, SendFlags, recv, send};

    use super::*;

    #[test]
    fn a_change_of_the_list_counts_for_good() {
        // A socket tells of urgent data as the list does of a change.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let sender = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (receiver, _) = listener.accept().unwrap();
        let changed = receiver.try_clone().unwrap();
        let swap = NoSwap::listed_in(File::from(OwnedFd::from(receiver)));
        assert!(swap.is_true_still());

        send(&sender, b"!", SendFlags::OOB).unwrap();
        let patience = Instant::now() + Duration::from_secs(30);
        while swap.is_true_still() {
            assert!(Instant::now() < patience, "the change is not seen");
        }
        recv(&changed, &mut [0; 1], RecvFlags::OOB).unwrap();
        assert!(!swap.changes().unwrap());
        assert!(!swap.is_true_still());
    }
}
