//! Bytes of which there may be many millions.

use std::ops::Deref;

/// So many bytes are given back at once: in a fraction of a millisecond.
const PIECE: usize = 1 << 20;

/// A buffer that is given back to the system piece by piece. The system takes memory back under a lock of the whole process, for
/// which every call waits that begins or needs memory meanwhile, and a thread that gives way may be kept from its core there.
pub(crate) struct Large(Vec<u8>);

impl From<Vec<u8>> for Large {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Deref for Large {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Large {
    fn drop(&mut self) {
        while self.0.len() > PIECE {
            self.0.truncate(self.0.len() - PIECE);
            self.0.shrink_to_fit();
        }
    }
}
