//! The well-behaved neighbour: it is called all the time, and every call must be answered as if it were alone.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use holster_core::{Call, Host, Outcome};
use serde_json::json;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::{call, report};

/// How long whoever calls a tool again and again waits between two calls.
pub(super) const PAUSE: Duration = Duration::from_millis(2);

/// What a neighbour does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// It computes, for some microseconds.
    Computes,
    /// It asks an API, which takes [`super::arena::API_TIME`] to answer.
    Asks,
}

/// Tasks that call the neighbour until this is dropped.
pub struct Neighbour {
    seen: Arc<Mutex<Seen>>,
    _tasks: JoinSet<()>,
}

/// What the calls of a neighbour came to.
#[derive(Debug, Default)]
pub struct Seen {
    /// How long each took.
    pub times: Vec<Duration>,
    /// The outcomes that were not the right answer.
    pub wrong: Vec<String>,
}

impl Seen {
    fn note(&mut self, took: Duration, wrong: Option<String>) {
        self.times.push(took);
        self.wrong.extend(wrong);
    }
}

impl Neighbour {
    /// Calls it from so many tasks, on the runtime of all calls.
    pub(super) fn start(host: &Arc<Host>, calls: &Handle, work: Work) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let mut tasks = JoinSet::new();
        for _ in 0..work.tasks() {
            let (host, calls, seen) = (Arc::clone(host), calls.clone(), Arc::clone(&seen));
            tasks.spawn(async move {
                loop {
                    let start = Instant::now();
                    let outcome = host.call_on(&calls, work.call()).await;
                    let took = start.elapsed();
                    let wrong = match outcome {
                        Ok(outcome) => work.wrong(&outcome),
                        Err(lost) => Some(lost.to_string()),
                    };
                    seen.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .note(took, wrong);
                    tokio::time::sleep(PAUSE).await;
                }
            });
        }
        Self {
            seen,
            _tasks: tasks,
        }
    }

    /// What its calls came to since this was last asked.
    pub fn take(&self) -> Seen {
        mem::take(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Work {
    fn tasks(self) -> usize {
        match self {
            Self::Computes => 1,
            Self::Asks => 8,
        }
    }

    fn call(self) -> Call {
        match self {
            Self::Computes => report(),
            Self::Asks => call("fetch", json!({})),
        }
    }

    fn wrong(self, outcome: &Outcome) -> Option<String> {
        let right = match self {
            Self::Computes => json!({
                "summary": "Tides [high] by Ann", "total": 5.0, "tags": ["sea"], "author": "Ann",
            }),
            Self::Asks => json!({ "status": 200, "user": "ann" }),
        };
        match outcome {
            Outcome::Finished(finished) if finished.output.structured() == Some(&right) => None,
            other => Some(format!("{other:?}")),
        }
    }
}
