//! A host that serves hostile components beside a well-behaved neighbour.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use holster_core::types::ComponentName;
use holster_core::{CatalogueView, Host, Outcome};
use holster_runtime::in_background;
use http::StatusCode;
use loopback_api::{Answer, LoopbackApi, Script};
use serde_json::json;
use tokio::runtime::Handle;

use super::case::{Case, Happened};
use super::neighbour::{Neighbour, PAUSE, Work};
use crate::{Fixture, call, component};

/// How long the neighbour's API takes to answer: about what an API on the internet takes at best.
pub const API_TIME: Duration = Duration::from_millis(20);

/// The time that a hostile call has.
const TIME: Duration = Duration::from_millis(500);

/// How many copies of a case lay siege at the same time.
const AT_ONCE: usize = 4;

/// A host with the neighbour in its plugin directory, and the calls on a runtime of their own, as `holster serve` has them.
pub struct Arena {
    fixture: Arc<Fixture>,
    host: Arc<Host>,
    calls: Handle,
    _api: LoopbackApi,
}

impl Arena {
    /// A host that has taken these in, and runs calls on that runtime.
    pub async fn with(cases: &[Case], calls: Handle) -> Self {
        let api = LoopbackApi::start().await.expect("a port is free");
        let caller = Answer::json(StatusCode::OK, &json!({ "ok": true, "user": "ann" }));
        api.script(
            "/auth.test",
            Script::Delayed(API_TIME, Box::new(Script::Answer(caller))),
        );
        let fixture = Fixture::new(&format!(
            "default_profile = 'work'\n\
             limits.time_ms = {}\n\
             [profiles.work.credentials]\nslack.token = {{ file = 'secret' }}\n\
             [providers]\nslack.hosts = ['{url}']\n\
             [components.parity-rust]\nconfig = {{ base_url = '{url}' }}\nlimits.time_ms = 30000\n",
            TIME.as_millis(),
            url = api.url(),
        ));
        fixture.write_private("secret", "a-token-of-ann");
        fixture.plug_in(&component("parity-rust"));
        for case in cases {
            fixture.plug_in_bytes(&case.bytes, &case.file(0));
        }
        let config = fixture.config();
        let host = calls.spawn(async move {
            let host = Host::open(config).await.expect("the host starts");
            host.watch().expect("the plugin directory is there");
            host
        });
        let host = Arc::new(host.await.expect("the host does not panic"));
        host.settled().await;
        Self {
            fixture: Arc::new(fixture),
            host,
            calls,
            _api: api,
        }
    }

    /// Calls the neighbour from now on.
    pub fn neighbour(&self, work: Work) -> Neighbour {
        Neighbour::start(&self.host, &self.calls, work)
    }

    /// What comes of a case that was taken in.
    pub async fn happens(&self, case: &Case) -> Happened {
        if let Some(reason) = self.problem(&self.host.catalogue(), case, 0) {
            return Happened::Refused(reason);
        }
        // For patterns that take their time with such a text.
        let text = format!("{}!", "a".repeat(60));
        let call = call(case.name, json!({ "text": text }));
        match self.host.call_on(&self.calls, call).await {
            Ok(Outcome::Finished(finished)) => {
                Happened::Answered(format!("{:?}", finished.output.content))
            }
            Ok(Outcome::Failed(failure)) => Happened::Failed {
                kind: failure.kind(),
                reason: failure.to_string(),
            },
            other => panic!("{}: {other:?}", case.name),
        }
    }

    /// Has a case taken in and called, several times at once and again and again, until this time is over; then takes it
    /// away. Says what came of it the first time.
    pub async fn besiege(&self, case: &Arc<Case>, time: Duration) -> Happened {
        let end = Instant::now() + time;
        let mut first = None;
        for round in 0.. {
            self.plug_in(case, round).await;
            self.until(|view| (0..AT_ONCE).all(|copy| self.is_taken_in(view, case, copy)))
                .await;
            let calls = (0..AT_ONCE).map(|_| self.call_until(end, case));
            let happened = futures::future::join_all(calls).await.pop();
            first = first.or(happened);
            for copy in 0..AT_ONCE {
                let gone = std::fs::remove_file(self.plugin(case, copy));
                gone.expect("it was put there");
            }
            self.until(|view| (0..AT_ONCE).all(|copy| self.is_gone(view, case, copy)))
                .await;
            if Instant::now() >= end {
                break;
            }
        }
        first.expect("there was a round")
    }

    /// To write the files is no part of what is measured.
    async fn plug_in(&self, case: &Arc<Case>, round: usize) {
        let (fixture, case) = (Arc::clone(&self.fixture), Arc::clone(case));
        in_background(move || {
            for copy in 0..AT_ONCE {
                case.plug_into(&fixture, copy, &format!("{round} {copy}"));
            }
        })
        .await;
    }

    /// What comes of the first call.
    async fn call_until(&self, end: Instant, case: &Case) -> Happened {
        let first = self.happens(case).await;
        while Instant::now() < end && !matches!(first, Happened::Refused(_)) {
            tokio::time::sleep(PAUSE).await;
            self.happens(case).await;
        }
        first
    }

    async fn until(&self, condition: impl Fn(&CatalogueView) -> bool) {
        let mut changes = self.host.changes();
        while !condition(&self.host.catalogue()) {
            changes.changed().await.expect("the host goes on");
        }
    }

    fn is_taken_in(&self, view: &CatalogueView, case: &Case, copy: usize) -> bool {
        let is_it = |component: &ComponentName| component.as_str() == case.component(copy);
        self.problem(view, case, copy).is_some()
            || view.tools().any(|tool| is_it(tool.component()))
            || view
                .conflicts()
                .iter()
                .any(|conflict| is_it(&conflict.left_out))
    }

    fn is_gone(&self, view: &CatalogueView, case: &Case, copy: usize) -> bool {
        let is_loading = view
            .loading()
            .any(|component| component.as_str() == case.component(copy));
        !is_loading && !self.is_taken_in(view, case, copy)
    }

    /// Why the file of a case is not served.
    fn problem(&self, view: &CatalogueView, case: &Case, copy: usize) -> Option<String> {
        let path = self.plugin(case, copy);
        let mut problems = view.problems().iter();
        let found = problems.find(|problem| problem.path == path);
        found.map(|problem| problem.reason.clone())
    }

    fn plugin(&self, case: &Case, copy: usize) -> PathBuf {
        self.fixture.path("plugins").join(case.file(copy))
    }
}
