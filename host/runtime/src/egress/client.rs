//! The HTTP clients: pooled connections, TLS, and name resolution that is checked before anything connects.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::task::{Context, Poll};
use std::time::Duration;

use holster_types::Reach;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use tower_service::Service;
use wasmtime_wasi_http::{Error, WasiBody};

use super::BoxFuture;

/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_mins(1);
const CONNECT: Duration = Duration::from_secs(10);

type HttpClient = Client<HttpsConnector<HttpConnector<CheckedResolver>>, WasiBody>;

/// One pool for each reach, so that a connection made under a wider one never serves a narrower one.
pub(super) struct Clients {
    tls: OnceLock<ClientConfig>,
    public: OnceLock<HttpClient>,
    loopback: OnceLock<HttpClient>,
    literal: OnceLock<HttpClient>,
}

impl Clients {
    /// Reads no certificate and opens no connection yet: most runs of the command send no request.
    pub(super) fn new() -> Self {
        Self {
            tls: OnceLock::new(),
            public: OnceLock::new(),
            loopback: OnceLock::new(),
            literal: OnceLock::new(),
        }
    }

    pub(super) async fn send(
        &self,
        reach: Reach,
        request: Request<WasiBody>,
    ) -> Result<Response<Incoming>, Error> {
        let client = match reach {
            Reach::Public => &self.public,
            Reach::Loopback => &self.loopback,
            Reach::Literal => &self.literal,
        };
        let client = client.get_or_init(|| client_for(reach, self.tls.get_or_init(tls).clone()));
        client
            .request(request)
            .await
            .map_err(|error| guest_error(&error))
    }
}

fn tls() -> ClientConfig {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring knows the default TLS versions");
    match builder.clone().with_native_roots() {
        Ok(builder) => builder.with_no_client_auth(),
        Err(error) => {
            tracing::warn!(
                "no trusted certificates on this machine, so every https request will fail: {error}"
            );
            builder
                .with_root_certificates(rustls::RootCertStore::empty())
                .with_no_client_auth()
        }
    }
}

fn client_for(reach: Reach, tls: ClientConfig) -> HttpClient {
    let mut http = HttpConnector::new_with_resolver(CheckedResolver {
        reach,
        system: GaiResolver::new(),
    });
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(CONNECT));
    let https = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_all_versions()
        .wrap_connector(http);
    Client::builder(TokioExecutor::new())
        .pool_idle_timeout(IDLE)
        .pool_timer(TokioTimer::new())
        .build(https)
}

/// Resolves a name once, and hands out only addresses within reach: the check and the connection see the same
/// answer, so that a second answer of the name server changes nothing.
#[derive(Clone)]
struct CheckedResolver {
    reach: Reach,
    system: GaiResolver,
}

/// A name that leads nowhere it may.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` resolves only to addresses that tools may not reach")]
struct ProhibitedAddress(Name);

impl Service<Name> for CheckedResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = BoxFuture<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.system.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let reach = self.reach;
        let resolved = self.system.call(name.clone());
        Box::pin(async move {
            let allowed: Vec<_> = resolved
                .await?
                .filter(|address| reach.allows(address.ip()))
                .collect();
            if allowed.is_empty() {
                Err(ProhibitedAddress(name).into())
            } else {
                Ok(allowed.into_iter())
            }
        })
    }
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
