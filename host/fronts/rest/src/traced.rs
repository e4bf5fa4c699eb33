//! A request in a trace: what a call that came with it is within.
//!
//! Nothing of a request is told but its route, and how it was answered. Whether it goes on with a trace of its client, who
//! collects traces decides.

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use holster_core::GoOn;
use holster_core::types::SPANS;
use tracing::field::Empty;
use tracing::{Instrument as _, info_span};

/// Makes a span for a request that may call a tool, and puts it among the request's extensions.
pub(crate) async fn trace(State(go_on): State<GoOn>, mut request: Request, next: Next) -> Response {
    // What only asks is not worth one.
    if request.method() != Method::POST {
        return next.run(request).await;
    }
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map(MatchedPath::as_str).unwrap_or_default();
    let span = info_span!(
        target: SPANS,
        "request",
        otel.kind = "server",
        otel.name = %format_args!("POST {route}"),
        http.request.method = "POST",
        http.route = route,
        http.response.status_code = Empty,
    );
    if span.is_disabled() {
        return next.run(request).await;
    }
    go_on(&span, request.headers());
    request.extensions_mut().insert(span.clone());
    let response = next.run(request).instrument(span.clone()).await;
    let status = response.status().as_u16();
    span.record("http.response.status_code", status);
    response
}
