//! The HTTP clients: pooled connections, and what a guest learns of a failure.

use std::time::Duration;

use holster_http::{Connector, ProhibitedAddress};
use holster_types::Reach;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use wasmtime_wasi_http::{Error, WasiBody};

/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_mins(1);

pub(super) struct Clients(holster_http::Clients<WasiBody>);

impl Clients {
    pub(super) fn new() -> Self {
        Self(holster_http::Clients::new(pooled))
    }

    pub(super) async fn send(
        &self,
        reach: Reach,
        request: Request<WasiBody>,
    ) -> Result<Response<Incoming>, Error> {
        self.0
            .of(reach)
            .request(request)
            .await
            .map_err(|error| guest_error(&error))
    }
}

fn pooled(connector: Connector) -> Client<Connector, WasiBody> {
    Client::builder(TokioExecutor::new())
        .pool_idle_timeout(IDLE)
        .pool_timer(TokioTimer::new())
        .build(connector)
}

/// What the guest learns of a failure: the kind, without addresses.
fn guest_error(error: &ClientError) -> Error {
    tracing::debug!("request failed: {error:?}");
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(cause) = source {
        if cause.is::<ProhibitedAddress>() {
            return Error::DestinationIpProhibited;
        }
        if let Some(own) = cause.downcast_ref::<Error>() {
            return match own {
                Error::HttpRequestBodySize(size) => Error::HttpRequestBodySize(*size),
                Error::HttpRequestDenied => Error::HttpRequestDenied,
                _ => Error::HttpProtocolError,
            };
        }
        if cause.is::<rustls::Error>() {
            return Error::TlsProtocolError;
        }
        source = cause.source();
    }
    if error.is_connect() {
        Error::ConnectionRefused
    } else {
        Error::ConnectionTerminated
    }
}
