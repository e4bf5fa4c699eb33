//! A request of a tool in a trace: to which host, by which method, and how it was answered.
//!
//! Nothing else of it is told: paths, queries, fields and bodies hold what the tool was called with. Of a request that
//! does not leave, only that is told.

use holster_types::SPANS;
use http::{Method, Response};
use tracing::field::Empty;
use tracing::{Instrument as _, Span, info_span};

/// The span of one request.
pub(super) struct Traced(Span);

impl Traced {
    fn new() -> Self {
        Self(info_span!(
            target: SPANS,
            "egress",
            otel.kind = "client",
            otel.status_code = Empty,
            http.request.method = Empty,
            http.response.status_code = Empty,
            server.address = Empty,
            "error.type" = Empty,
        ))
    }

    /// A request that does not leave.
    pub(super) fn refused() {
        Self::new().failed("refused");
    }

    /// A request that leaves.
    pub(super) fn sent(method: &Method, host: Option<&str>) -> Self {
        let traced = Self::new();
        traced.0.record("http.request.method", known(method));
        traced.0.record("server.address", host);
        traced
    }

    /// Until the head of the answer is there.
    pub(super) async fn answer<B, T, E>(
        self,
        sent: impl Future<Output = Result<(Response<B>, T), E>>,
    ) -> Result<(Response<B>, T), E> {
        let answer = sent.instrument(self.0.clone()).await;
        match &answer {
            Ok((response, _)) => {
                let status = response.status().as_u16();
                self.0.record("http.response.status_code", status);
            }
            Err(_) => self.failed("no_answer"),
        }
        answer
    }

    fn failed(&self, why: &'static str) {
        self.0.record("error.type", why);
        self.0.record("otel.status_code", "ERROR");
    }
}

/// A guest may make up methods, and write into them what it likes.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        // As the semantic conventions of OpenTelemetry have it.
        _ => "_OTHER",
    }
}
