//! The HTTP clients: pooled connections, and what a guest learns of a failure.
//!
//! A connection is kept for the next request, of the same call or another one, and serves whom it served before alone: a
//! [`Speaker`]. It leads to an address that was checked when it was made, and is found again under the reach, scheme, host
//! and port that it was made for. Over TLS, HTTP/2 is spoken with whoever speaks it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use holster_http::{Connector, Connectors, ProhibitedAddress};
use holster_types::{ComponentHash, ProfileName, ProviderId, Reach, TenantId};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use wasmtime_wasi_http::{Error, WasiBody};

use crate::sealing::Sealed;

/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_mins(1);

/// How many idle connections are kept of one speaker to one host.
const IDLE_CONNECTIONS: usize = 8;

/// Of how many speakers connections are kept.
const SPEAKERS: usize = 256;

/// After how long without a word from the server a connection with open requests is asked whether it still lives, and how
/// long it may take to say so. Over HTTP/1.1, each request notices by itself.
const PING: Duration = Duration::from_secs(20);

/// Whom a connection speaks for: one component, for one user, with the same accounts.
///
/// A server may know a client again by its connection (once it has authenticated with NTLM, say), and over HTTP/2 whoever
/// does not read what was sent holds up all that share a connection. So nobody gets a connection of somebody else's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Speaker {
    component: ComponentHash,
    tenant: TenantId,
    /// With the state of the credential: what a token that was renewed since has opened is not used any more.
    accounts: Vec<(ProviderId, ProfileName, i64)>,
}

impl Speaker {
    /// A call of a component, for a user.
    pub(crate) fn new(component: ComponentHash, tenant: TenantId, grants: &[Sealed]) -> Self {
        let account = |Sealed { grant, .. }: &Sealed| {
            let (provider, profile) = (grant.provider.clone(), grant.profile.clone());
            (provider, profile, grant.generation)
        };
        Self {
            component,
            tenant,
            accounts: grants.iter().map(account).collect(),
        }
    }
}

/// The clients of one speaker.
pub(super) struct Clients(holster_http::Clients<WasiBody>);

impl Clients {
    pub(super) fn new(connectors: &Connectors) -> Self {
        Self(holster_http::Clients::with(connectors, pooled))
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

/// The clients of all speakers of late.
#[derive(Default)]
pub(super) struct Speakers {
    connectors: Connectors,
    /// The latest used first.
    latest: Mutex<VecDeque<(Speaker, Arc<Clients>)>>,
}

impl Speakers {
    /// The clients of that speaker. Its connections are closed once 256 others have spoken since.
    pub(super) fn clients_of(&self, speaker: &Speaker) -> Arc<Clients> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let known = latest.iter().position(|(known, _)| known == speaker);
        let (speaker, clients) = known
            .and_then(|position| latest.remove(position))
            .unwrap_or_else(|| (speaker.clone(), Arc::new(Clients::new(&self.connectors))));
        latest.push_front((speaker, Arc::clone(&clients)));
        latest.truncate(SPEAKERS);
        clients
    }
}

fn pooled(connector: Connector) -> Client<Connector, WasiBody> {
    Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .http2_keep_alive_interval(PING)
        .http2_keep_alive_timeout(PING)
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
