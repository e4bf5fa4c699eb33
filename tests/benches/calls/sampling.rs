//! Samples of both sides, taken in turns, so that what else the machine does falls on both alike.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use holster_tests::figures::{forget_peak, peak_mib};

use crate::sides::{Guest, Kind, Side};

/// Calls of each side, one right after the other in each of its turns: what a side does after its answer, it does while its next
/// call goes on.
const CALLS: usize = 5_000;
const CALLS_IN_TURN: usize = 50;
const LONGEST: Duration = Duration::from_secs(10);
const WARM_UP: usize = 20;
/// Calls of each side at a moderate load, and the pause before each.
const PACED: usize = 200;
const PAUSE: Duration = Duration::from_millis(10);
/// Turns of a second each, for the calls per second.
const TURNS: u32 = 4;
const TASKS: usize = 2;

/// What one side did.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) median: Duration,
    /// The median of calls with a pause before each.
    pub(crate) paced: Duration,
    /// 99 of 100 calls were at least so fast.
    pub(crate) p99: Duration,
    pub(crate) calls_per_second: f64,
    /// The most memory of a process that makes calls and nothing else, in MiB.
    pub(crate) peak_mib: f64,
}

/// What both sides did with one guest.
pub(crate) struct Comparison {
    pub(crate) floor: Figures,
    pub(crate) host: Figures,
    /// The median of what the guest alone took to answer, in an instance that was made before, with a pause before each.
    pub(crate) guest_alone: Duration,
}

/// The figures of both sides.
pub(crate) fn compare(guest: Guest) -> Result<Comparison> {
    let tokio = crate::tokio()?;
    let open = |kind| tokio.block_on(Side::open(kind, guest)).map(Arc::new);
    let sides = [open(Kind::Floor)?, open(Kind::Host)?];
    let answers = sides.each_ref().map(|side| tokio.block_on(side.call()));
    ensure!(answers[0] == answers[1], "the sides disagree: {answers:?}");

    let [floor_times, host_times] = tokio.block_on(latencies(&sides));
    let ([floor_paced, host_paced], guest_alone) = tokio.block_on(paced(&sides));
    let [floor_calls, host_calls] = tokio.block_on(throughputs(&sides));
    drop(sides);
    let figures = |kind, mut times: Vec<Duration>, paced, calls_per_second| -> Result<Figures> {
        times.sort_unstable();
        Ok(Figures {
            median: times[times.len() / 2],
            paced: median(paced),
            p99: times[times.len() * 99 / 100],
            calls_per_second,
            peak_mib: peak(kind, guest)?,
        })
    };
    Ok(Comparison {
        floor: figures(Kind::Floor, floor_times, floor_paced, floor_calls)?,
        host: figures(Kind::Host, host_times, host_paced, host_calls)?,
        guest_alone: median(guest_alone),
    })
}

async fn latencies(sides: &[Arc<Side>; 2]) -> [Vec<Duration>; 2] {
    for _ in 0..WARM_UP {
        for side in sides {
            side.call().await;
        }
    }
    let mut times = [Vec::new(), Vec::new()];
    let start = Instant::now();
    while times[0].len() < CALLS && start.elapsed() < LONGEST {
        for (times, side) in times.iter_mut().zip(sides) {
            for _ in 0..CALLS_IN_TURN {
                times.push(timed(side).await);
            }
        }
    }
    times
}

/// What a load leaves time for, it leaves it here: to clear away, and to make ready. The times of both sides, and of the
/// guest alone.
async fn paced(sides: &[Arc<Side>; 2]) -> ([Vec<Duration>; 2], Vec<Duration>) {
    let (mut times, mut alone) = ([Vec::new(), Vec::new()], Vec::new());
    for _ in 0..PACED {
        for (times, side) in times.iter_mut().zip(sides) {
            alone.extend(side.guest_alone(PAUSE).await);
            tokio::time::sleep(PAUSE).await;
            times.push(timed(side).await);
        }
    }
    (times, alone)
}

async fn timed(side: &Side) -> Duration {
    let prepared = side.prepare();
    let start = Instant::now();
    side.answer(prepared).await;
    start.elapsed()
}

/// Of an odd or even number of times, the one in the middle or after it.
pub(crate) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

async fn throughputs(sides: &[Arc<Side>; 2]) -> [f64; 2] {
    let mut calls = [0; 2];
    for _ in 0..TURNS {
        for (calls, side) in calls.iter_mut().zip(sides) {
            let tasks = [(); TASKS].map(|()| tokio::spawn(call_for_a_second(Arc::clone(side))));
            for task in tasks {
                *calls += task.await.expect("a task ends");
            }
        }
    }
    calls.map(|calls| f64::from(calls) / f64::from(TURNS))
}

async fn call_for_a_second(side: Arc<Side>) -> u32 {
    let end = Instant::now() + Duration::from_secs(1);
    let mut calls = 0;
    while Instant::now() < end {
        side.call().await;
        calls += 1;
    }
    calls
}

/// In a process of its own, since memory that one side has touched stays.
fn peak(kind: Kind, guest: Guest) -> Result<f64> {
    let mut this = Command::new(std::env::current_exe()?);
    this.args(["--peak", &format!("{kind:?}"), &guest.to_string()]);
    let output = this.output()?;
    let printed = String::from_utf8_lossy(&output.stdout);
    printed.trim().parse().with_context(|| {
        format!(
            "no peak of {kind:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        )
    })
}

/// The other end of [`peak`]. The peak counts from the first call: the floor has to compile before that, the host
/// has the code in its cache.
pub(crate) fn print_peak(kind: Kind, guest: Guest) -> Result<()> {
    let tokio = crate::tokio()?;
    let side = Arc::new(tokio.block_on(Side::open(kind, guest))?);
    forget_peak()?;
    tokio.block_on(async {
        let tasks = [(); TASKS].map(|()| tokio::spawn(call_for_a_second(Arc::clone(&side))));
        for task in tasks {
            task.await.expect("a task ends");
        }
    });
    println!("{}", peak_mib("self")?);
    Ok(())
}
