//! A host that serves hostile components beside a well-behaved neighbour.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use holster_core::{Host, Outcome};
use http::StatusCode;
use loopback_api::{Answer, LoopbackApi, Script};
use serde_json::json;
use tokio::runtime::Handle;

use super::case::{Case, Happened};
use super::neighbour::{Neighbour, Work};
use crate::{Fixture, call, component};

/// How long the neighbour's API takes to answer: about what an API on the internet takes at best.
pub const API_TIME: Duration = Duration::from_millis(20);

/// The time that a hostile call has.
const TIME: Duration = Duration::from_millis(500);

/// A host with the neighbour in its plugin directory, and the calls on a runtime of their own, as `holster serve` has them.
pub struct Arena {
    fixture: Fixture,
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
            fixture.plug_in_bytes(&case.bytes, &case.file());
        }
        let host = Arc::new(fixture.host().await);
        host.settled().await;
        Self {
            fixture,
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
        if let Some(reason) = self.problem(case) {
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

    /// Why the file of a case is not served.
    fn problem(&self, case: &Case) -> Option<String> {
        let view = self.host.catalogue();
        let path = self.plugin(case);
        let mut problems = view.problems().iter();
        let found = problems.find(|problem| problem.path == path);
        found.map(|problem| problem.reason.clone())
    }

    fn plugin(&self, case: &Case) -> PathBuf {
        self.fixture.path("plugins").join(case.file())
    }
}
