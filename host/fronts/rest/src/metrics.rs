//! `/metrics`: the numbers of this host, for whoever watches over it.
//!
//! They tell of the calls of all users, so a key has to be meant for it. Labels are words of this program, its routes, and
//! the tools and providers that the operator chose: no address that a client asks for is one, and no user.

use std::fs;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Router, middleware};
use holster_core::Host;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabelSet, EncodeMetric as _, prometheus_text, text,
};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::gate::Gate;
use crate::problem::Problem;

/// What names a scraper asks for that prefers the newer format.
const OPEN_METRICS: &str = "application/openmetrics-text";

/// All numbers of the process.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<OfRequest, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfRequest {
    method: &'static str,
    route: String,
    status: u16,
}

impl Metrics {
    /// The numbers of a host and of what is sent to it; `None` where the configuration does not ask for them.
    pub(crate) fn of(host: &Host) -> Option<Self> {
        if !host.config().serve.metrics {
            return None;
        }
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Process));
        let own = registry.sub_registry_with_prefix("holster");
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        own.register("build", "This program", version);
        host.register_metrics(own);
        let requests = Family::<OfRequest, Counter>::default();
        let help = "Requests to this host that were answered, by their route";
        own.register("http_requests", help, requests.clone());
        Some(Self { registry, requests })
    }

    /// The numbers as they are now, in the format that is asked for, and what that is called.
    fn written(&self, headers: &HeaderMap) -> Result<(&'static str, String), std::fmt::Error> {
        let mut accepted = headers.get_all(ACCEPT).iter();
        let is_open = accepted.any(|value| {
            let value = value.to_str().unwrap_or_default();
            value.contains(OPEN_METRICS)
        });
        let mut written = String::new();
        if is_open {
            text::encode(&mut written, &self.registry)?;
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            Ok((kind, written))
        } else {
            prometheus_text::encode(&mut written, &self.registry)?;
            Ok((prometheus_text::CONTENT_TYPE, written))
        }
    }
}

/// What `/metrics` answers with.
#[derive(Clone)]
struct Endpoint {
    metrics: Option<Arc<Metrics>>,
    gate: Arc<Gate>,
}

/// `/metrics`, to be put behind the gate.
pub(crate) fn routes(metrics: Option<Arc<Metrics>>, gate: Arc<Gate>) -> Router {
    Router::new()
        .route("/metrics", get(show))
        .with_state(Endpoint { metrics, gate })
}

async fn show(State(endpoint): State<Endpoint>, headers: HeaderMap) -> Result<Response, Problem> {
    let Some(metrics) = &endpoint.metrics else {
        let detail = "this host keeps no metrics; `metrics = true` in `[serve]` makes it";
        return Err(Problem::not_found(detail));
    };
    if !endpoint.gate.may_watch(&headers) {
        let detail = "metrics tell of the calls of all users; only a key with `metrics = true` may read them";
        return Err(Problem::new(StatusCode::FORBIDDEN, "no_metrics", detail));
    }
    let (kind, written) = metrics.written(&headers).map_err(Problem::internal)?;
    Ok(([(CONTENT_TYPE, kind)], written).into_response())
}

/// Routes whose requests are counted, where numbers are kept.
pub(crate) fn counted(routes: Router, metrics: Option<Arc<Metrics>>) -> Router {
    match metrics {
        Some(metrics) => routes.layer(middleware::from_fn_with_state(metrics, count)),
        None => routes,
    }
}

async fn count(State(metrics): State<Arc<Metrics>>, request: Request, next: Next) -> Response {
    let method = known(request.method());
    // What nobody answers to has no route, and clients can ask for much of that.
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or_else(|| "none".to_owned(), |route| route.as_str().to_owned());
    let response = next.run(request).await;
    let request = OfRequest {
        method,
        route,
        status: response.status().as_u16(),
    };
    metrics.requests.get_or_create(&request).inc();
    response
}

/// Clients can make up methods.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        _ => "other",
    }
}

/// What the system says of this process.
#[derive(Debug)]
struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let Some(bytes) = resident_bytes() else {
            return Ok(());
        };
        let memory = ConstGauge::new(bytes);
        let (name, help) = ("process_resident_memory", "Memory of this process");
        let kind = memory.metric_type();
        memory.encode(encoder.encode_descriptor(name, help, Some(&Unit::Bytes), kind)?)
    }
}

/// Linux alone says it in a file.
fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_that_a_client_made_up_are_one_label() {
        for made_up in ["BREW", "get", "GETGET"] {
            let method = Method::from_bytes(made_up.as_bytes()).unwrap();
            assert_eq!(known(&method), "other");
        }
        assert_eq!(known(&Method::POST), "POST");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_memory_of_this_process_is_known() {
        assert!(resident_bytes().unwrap() > 1 << 20);
    }
}
