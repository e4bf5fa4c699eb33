//! `[telemetry]`: who is told how calls go.

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::serve::Wrong;

/// `[telemetry]`
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryConfig {
    /// The collector that `holster serve` and `holster mcp` send spans of calls to (OTLP over HTTP), such as
    /// `http://127.0.0.1:4318`; `/v1/traces` is added. Default: what `OTEL_EXPORTER_OTLP_ENDPOINT` says, or none.
    #[schemars(with = "Option<String>")]
    pub traces: Option<Url>,
}

impl TelemetryConfig {
    pub(super) fn check(&self) -> Result<(), Wrong> {
        match &self.traces {
            Some(url) if !is_collector(url) => {
                Err(("telemetry.traces".to_owned(), NO_COLLECTOR.to_owned()))
            }
            _ => Ok(()),
        }
    }
}

/// What is wrong with an address that is not one of a collector.
pub const NO_COLLECTOR: &str = "it must be the `http://` or `https://` address of a collector, without user, `?` and `#`; \
    headers that it needs stand in the variable OTEL_EXPORTER_OTLP_HEADERS";

/// Whether spans can be sent to an address.
pub fn is_collector(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
}
