//! Traces for a collector: the spans of calls, by OTLP over HTTP.
//!
//! Everything else of the program knows `tracing` alone, and makes spans with the target [`SPANS`]; these and nothing else
//! go out, no events among them. A thread of its own sends them: a collector that does not answer costs spans, never a
//! call, and holds up the end of the program for 3 seconds at most.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::http::{HeaderMap, Request, Response};
use bytes::Bytes;
use holster_core::Config;
use holster_core::config::{NO_COLLECTOR, is_collector};
use holster_core::types::{Reach, SPANS};
use holster_http::{Clients, unpooled};
use http_body_util::{BodyExt as _, Full, Limited};
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{HeaderExtractor, HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Handle;
use tracing::{Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::registry::LookupSpan;
use url::Url;

use crate::exit::Exit;

/// Names the collector where the configuration does not.
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// Where a collector takes spans, below its address.
const PATH: &str = "v1/traces";

/// How long one attempt to send spans may take, and all attempts for the same ones.
const SENDING: Duration = Duration::from_secs(5);

/// How long the program waits at its end for spans that are still to be sent.
const FLUSH: Duration = Duration::from_secs(3);

/// More of an answer is not read. What a collector has to say is short.
const MAX_ANSWER: usize = 64 << 10;

/// Spans on their way to a collector.
pub(crate) struct Traces(SdkTracerProvider);

impl Traces {
    /// Sends spans from now on to where the configuration or the environment says, as tasks of `runtime`; `None` where
    /// neither does.
    pub(crate) fn start(config: &Config, runtime: &Handle) -> Result<Option<Self>, Exit> {
        let named = config.telemetry.traces.clone();
        let Some(collector) = named.map_or_else(from_environment, |url| Ok(Some(url)))? else {
            return Ok(None);
        };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Collector::at(&collector, runtime))
            .with_endpoint(endpoint(&collector))
            .with_timeout(SENDING)
            .build()
            .map_err(Exit::usage)?;
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource())
            .build();
        Ok(Some(Self(provider)))
    }

    /// What takes the spans.
    pub(crate) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer("holster"))
            .with_context_activation(false)
            .with_tracked_inactivity(false)
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_level(false)
            // Events are for the log: they may say what a tool was called with.
            .with_filter(
                filter_fn(|of| of.is_span() && of.target() == SPANS)
                    .with_max_level_hint(LevelFilter::INFO),
            )
    }

    /// Sends what is left.
    pub(crate) fn end(self) {
        if let Err(error) = self.0.shutdown_with_timeout(FLUSH) {
            tracing::warn!("not all spans were sent: {error}");
        }
    }
}

/// Makes a span go on with the trace of a client, where it names one (W3C Trace Context: `traceparent`).
pub(crate) fn go_on(span: &Span, headers: &HeaderMap) {
    if headers.contains_key("traceparent") {
        let parent = TraceContextPropagator::new().extract(&HeaderExtractor(headers));
        // It fails where nobody takes spans.
        let _ = span.set_parent(parent);
    }
}

fn from_environment() -> Result<Option<Url>, Exit> {
    let named = std::env::var(ENDPOINT).unwrap_or_default();
    if named.is_empty() {
        return Ok(None);
    }
    let url = named.parse().ok().filter(is_collector);
    let invalid = || Exit::usage(format!("{ENDPOINT}: {NO_COLLECTOR}"));
    url.map(Some).ok_or_else(invalid)
}

/// Below the address, whether or not that ends with a slash.
fn endpoint(collector: &Url) -> String {
    format!("{}/{PATH}", collector.as_str().trim_end_matches('/'))
}

/// What all spans have in common. The environment may name the service otherwise.
fn resource() -> Resource {
    let is_named = |variable| std::env::var_os(variable).is_some_and(|value| !value.is_empty());
    let version = opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let resource = Resource::builder().with_attribute(version);
    if is_named("OTEL_SERVICE_NAME") {
        resource.build()
    } else {
        resource.with_service_name("holster").build()
    }
}

/// The collector, by the client that sends all other requests too.
struct Collector {
    clients: Arc<Clients<Full<Bytes>>>,
    runtime: Handle,
    /// For the log: without what a path may hold.
    origin: String,
    is_lost: AtomicBool,
}

impl Collector {
    fn at(url: &Url, runtime: &Handle) -> Self {
        Self {
            clients: Arc::new(Clients::new(unpooled)),
            runtime: runtime.clone(),
            origin: url.origin().ascii_serialization(),
            is_lost: AtomicBool::new(false),
        }
    }

    /// Says when the collector goes, and when it comes back, and not each time in between.
    fn note(&self, answer: &Result<Response<Bytes>, HttpError>) {
        let problem = match answer {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(format!("it answers {}", response.status())),
            Err(error) => Some(error.to_string()),
        };
        let was_lost = self.is_lost.swap(problem.is_some(), Ordering::Relaxed);
        match problem {
            Some(problem) if !was_lost => tracing::warn!(
                "the collector of traces at {} takes no spans, so they are lost: {problem}",
                self.origin
            ),
            None if was_lost => tracing::warn!("{} takes spans again", self.origin),
            _ => {}
        }
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Collector").field(&self.origin).finish()
    }
}

#[async_trait]
impl HttpClient for Collector {
    /// Whoever asks is a thread without a runtime.
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let clients = Arc::clone(&self.clients);
        let sending = async move { tokio::time::timeout(SENDING, send(&clients, request)).await };
        let answer = match self.runtime.spawn(sending).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(format!("it did not answer in {} s", SENDING.as_secs()).into()),
            Err(error) => Err(error.into()),
        };
        self.note(&answer);
        answer
    }
}

async fn send(
    clients: &Clients<Full<Bytes>>,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, HttpError> {
    // A collector is the operator's own, and mostly in a private network.
    let client = clients.of(Reach::Anywhere);
    let (head, body) = client.request(request.map(Full::new)).await?.into_parts();
    let body = Limited::new(body, MAX_ANSWER).collect().await?.to_bytes();
    Ok(Response::from_parts(head, body))
}

#[cfg(test)]
mod tests {
    #[test]
    fn spans_go_below_the_address_of_the_collector() {
        for (collector, endpoint) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("http://collector/", "http://collector/v1/traces"),
            ("https://a.example/otlp", "https://a.example/otlp/v1/traces"),
            (
                "https://a.example/otlp/",
                "https://a.example/otlp/v1/traces",
            ),
        ] {
            assert_eq!(super::endpoint(&collector.parse().unwrap()), endpoint);
        }
    }
}
