//! The adversarial corpus: what must come of every hostile component does, and its neighbour is served meanwhile.

use std::collections::BTreeSet;

use futures::StreamExt;
use holster_tests::corpus::{Arena, Must, Work, cases};
use tokio::runtime::Handle;

/// How many are called at the same time.
const AT_ONCE: usize = 4;

/// How many times a case is called that is answered: no call finds what another left.
const TIMES: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_hostile_component_comes_to_the_end_that_it_must_and_its_neighbour_is_served() {
    let cases = cases();
    let names: BTreeSet<_> = cases.iter().map(|case| case.name).collect();
    assert_eq!(names.len(), cases.len(), "two cases have the same name");
    assert!(cases.len() >= 100, "{} cases", cases.len());

    let arena = Arena::with(&cases, Handle::current()).await;
    let neighbours = [Work::Computes, Work::Asks].map(|work| arena.neighbour(work));
    let calls = cases.iter().map(|case| async {
        let times = if let Must::Answer(_) = case.must {
            TIMES
        } else {
            1
        };
        for _ in 0..times {
            let happened = arena.happens(case).await;
            // Whoever reads it may do so at a terminal.
            let is_clean = !happened.to_string().contains(char::is_control);
            if !is_clean || !case.must.is_met_by(&happened) {
                let must = &case.must;
                return Some(format!("{}: {must:?}, but {happened:?}", case.name));
            }
        }
        None
    });
    let wrong: Vec<_> = futures::stream::iter(calls)
        .buffer_unordered(AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for neighbour in neighbours {
        let seen = neighbour.take();
        assert!(!seen.times.is_empty(), "the neighbour was not called");
        assert!(seen.wrong.is_empty(), "{:?}", seen.wrong);
    }
}
