//! Inputs that nobody thought of.
//!
//! [`Fuzz::run`] gives a target each input of a corpus, and then inputs of the corpus that were altered at random, until its
//! time is over: half a minute, or as many seconds as `HOLSTER_FUZZ_SECONDS` says. What makes a target panic is kept in a
//! file, and belongs into the corpus with what mends it.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mutatis::Session;

use crate::repository;

const SECONDS: u64 = 30;

/// No input grows beyond this.
const LARGEST: usize = 256 << 10;

/// An input is altered so many times at most.
const CHANGES: usize = 6;

/// A corpus, and the session that alters what is in it.
pub struct Fuzz {
    name: &'static str,
    corpus: Vec<Vec<u8>>,
    seed: u64,
    session: Session,
    end: Instant,
}

impl Fuzz {
    /// With the files of `tests/corpora/<name>`.
    pub fn corpus(name: &'static str) -> Self {
        let folder = repository().join("tests/corpora").join(name);
        let mut files: Vec<_> = fs::read_dir(&folder)
            .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
            .map(|file| file.expect("the folder can be read").path())
            .collect();
        files.sort();
        let read = |file: &PathBuf| fs::read(file).expect("the file can be read");
        Self::with(name, files.iter().map(read).collect())
    }

    /// With these inputs.
    pub fn with(name: &'static str, corpus: Vec<Vec<u8>>) -> Self {
        assert!(!corpus.is_empty(), "there is nothing to alter");
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let seed = now.map_or(0, |now| u64::from(now.subsec_nanos()));
        let seconds = std::env::var("HOLSTER_FUZZ_SECONDS")
            .ok()
            .and_then(|seconds| seconds.parse().ok());
        let time = Duration::from_secs(seconds.unwrap_or(SECONDS));
        Self {
            name,
            corpus,
            seed,
            session: Session::new().seed(seed),
            end: Instant::now() + time,
        }
    }

    /// Gives the target one input after the other. Panics, with the input in a file, where the target does.
    pub fn run(mut self, mut target: impl FnMut(&[u8])) {
        for (index, input) in self.corpus.iter().enumerate() {
            self.give(&format!("corpus-{index}"), input, &mut target);
        }
        let mut altered = 0_u64;
        while Instant::now() < self.end {
            let input = self.altered();
            self.give(&format!("{}-{altered}", self.seed), &input, &mut target);
            altered += 1;
        }
        println!(
            "{}: {} inputs, and {altered} that were altered",
            self.name,
            self.corpus.len()
        );
    }

    fn give(&self, which: &str, input: &[u8], target: &mut impl FnMut(&[u8])) {
        let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(input))) else {
            return;
        };
        let folder = repository().join("tests/corpora/.found");
        fs::create_dir_all(&folder).expect("the folder is writable");
        let kept = folder.join(format!("{}-{which}", self.name));
        fs::write(&kept, input).expect("the folder is writable");
        eprintln!("the input is kept in {}", kept.display());
        resume_unwind(panic);
    }

    /// One of the corpus, altered.
    fn altered(&mut self) -> Vec<u8> {
        let mut input = self.any().to_vec();
        for _ in 0..=self.below(CHANGES) {
            match self.below(8) {
                0 => {
                    let piece = self.piece_of_any();
                    let at = self.below(input.len() + 1);
                    input.splice(at..at, piece);
                }
                1 => {
                    let piece = self.piece_of_any();
                    let at = self.below(input.len() + 1);
                    let end = (at + piece.len()).min(input.len());
                    input.splice(at..end, piece);
                }
                2 => {
                    let (start, end) = self.range(input.len());
                    input.drain(start..end);
                }
                3 => {
                    let (start, end) = self.range(input.len());
                    let piece = input[start..end].to_vec();
                    let times = 1 + self.below(16);
                    input.splice(end..end, piece.repeat(times));
                }
                // It may have nothing to offer for an empty input.
                _ => drop(self.session.mutate(&mut input)),
            }
            input.truncate(LARGEST);
        }
        input
    }

    fn any(&mut self) -> &[u8] {
        let index = self.below(self.corpus.len());
        &self.corpus[index]
    }

    fn piece_of_any(&mut self) -> Vec<u8> {
        let from = self.any().to_vec();
        let (start, end) = self.range(from.len());
        from[start..end].to_vec()
    }

    /// A range within so many bytes, mostly a short one.
    fn range(&mut self, length: usize) -> (usize, usize) {
        let start = self.below(length + 1);
        let longest = if self.below(4) == 0 { length } else { 32 };
        let end = (start + self.below(longest + 1)).min(length);
        (start, end)
    }

    fn below(&mut self, end: usize) -> usize {
        let number = self.session.generate::<u32>().expect("it makes any number");
        usize::try_from(number).expect("it has 32 bits") % end
    }
}
