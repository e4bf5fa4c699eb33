//! The server of the connect pages.
//!
//! One listener, bounded in connections and in the time each of them may take, on the loopback interface unless the
//! pages have a public https address (a proxy in front of this host ends the TLS).

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use holster_callers::Callers;
use holster_core::broker::{Broker, ConnectAddress, SignIn};
use holster_core::types::TenantId;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::JoinSet;
use url::Url;

use crate::ConnectError;
use crate::routes::whole_site;

/// Where the pages are unless the operator says otherwise.
pub(crate) const USUAL: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 4657);

/// More connections wait to be accepted.
const MAX_CONNECTIONS: usize = 64;

/// How long a client may take to send the head of a request.
const HEAD_TIME: Duration = Duration::from_secs(10);

/// How long a connection may last: long enough for a provider that answers slowly.
const CONNECTION_TIME: Duration = Duration::from_mins(2);

/// How long answers under way may take when the server ends.
const GRACE: Duration = Duration::from_secs(5);

/// The head of a request, and what is read of a body at once.
const MAX_BUFFER: usize = 64 * 1024;

/// What the operator decides about the connect pages.
#[derive(Debug, Clone, Default)]
pub struct ConnectSettings {
    /// Where to listen. Without it: `127.0.0.1:4657`, or any free port of 127.0.0.1 if that one is taken.
    pub listen: Option<SocketAddr>,
    /// The https address under which browsers find the pages. Without it they are for this machine alone.
    pub public_url: Option<Url>,
    /// Who can show who they are there.
    pub callers: Arc<Callers>,
}

/// The connect pages, served by this process until [`shutdown`](Self::shutdown), or until this is dropped.
#[derive(Debug)]
pub struct ConnectServer {
    address: ConnectAddress,
    listens_on: SocketAddr,
    /// Ends the server when it is dropped.
    stop: oneshot::Sender<()>,
    /// The server alone; a set, since dropping it ends what is in it.
    task: JoinSet<()>,
}

impl ConnectServer {
    /// Serves the pages, as a task of the current runtime.
    pub async fn start(
        broker: Arc<Broker>,
        settings: ConnectSettings,
    ) -> Result<Self, ConnectError> {
        Self::start_at(None, broker, &settings).await
    }

    /// As [`start`](Self::start), but at `first` if the operator chose no address and it is free.
    pub(crate) async fn start_at(
        first: Option<SocketAddr>,
        broker: Arc<Broker>,
        settings: &ConnectSettings,
    ) -> Result<Self, ConnectError> {
        let listener = listen(first, settings).await?;
        let listens_on = listener
            .local_addr()
            .map_err(|error| ConnectError::Listen {
                address: settings.listen.unwrap_or(USUAL),
                error,
            })?;
        let address = address(settings, listens_on);
        let (stop, stopped) = oneshot::channel();
        let mut task = JoinSet::new();
        task.spawn(serve(
            listener,
            whole_site(broker, address.clone(), Arc::clone(&settings.callers)),
            stopped,
        ));
        Ok(Self {
            address,
            listens_on,
            stop,
            task,
        })
    }

    /// Where browsers find the pages.
    pub fn address(&self) -> &ConnectAddress {
        &self.address
    }

    /// Where the server listens.
    pub(crate) fn listens_on(&self) -> SocketAddr {
        self.listens_on
    }

    /// Ends the server. Answers that are under way are finished, if that takes no more than 5 seconds.
    pub async fn shutdown(mut self) {
        drop(self.stop);
        self.task.join_next().await;
    }
}

fn address(settings: &ConnectSettings, listens_on: SocketAddr) -> ConnectAddress {
    let own = || {
        format!("http://{listens_on}/")
            .parse()
            .expect("an address and a port")
    };
    ConnectAddress {
        url: settings.public_url.clone().unwrap_or_else(own),
        // A port that the system picks cannot be registered.
        chosen: settings.public_url.is_some()
            || settings.listen.is_some_and(|listen| listen.port() != 0),
        sign_in: sign_in(settings.public_url.as_ref(), &settings.callers),
    }
}

/// Who reaches pages that are on this machine alone is its user. At a public address they may be anybody, and show that
/// they are that user where they have a way to.
pub(crate) fn sign_in(public_url: Option<&Url>, callers: &Callers) -> SignIn {
    if public_url.is_some() && callers.have_key_of(&TenantId::local()) {
        SignIn::Everybody
    } else {
        SignIn::Others
    }
}

async fn listen(
    first: Option<SocketAddr>,
    settings: &ConnectSettings,
) -> Result<TcpListener, ConnectError> {
    if let Some(url) = &settings.public_url {
        check_public(url)?;
    }
    let address = settings.listen.unwrap_or(USUAL);
    if settings.public_url.is_none() && !address.ip().is_loopback() {
        return Err(ConnectError::Exposed { address });
    }
    // A proxy, or a provider, knows one address only.
    let may_move = settings.listen.is_none() && settings.public_url.is_none();
    if let Some(first) = first.filter(|first| may_move && first.ip().is_loopback())
        && let Ok(listener) = TcpListener::bind(first).await
    {
        return Ok(listener);
    }
    match TcpListener::bind(address).await {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && may_move => {
            let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            TcpListener::bind(any).await
        }
        bound => bound,
    }
    .map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => ConnectError::Taken { address },
        _ => ConnectError::Listen { address, error },
    })
}

fn check_public(url: &Url) -> Result<(), ConnectError> {
    let plain = url.scheme() == "https"
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none();
    if plain {
        Ok(())
    } else {
        Err(ConnectError::PublicUrl { url: url.clone() })
    }
}

async fn serve(listener: TcpListener, site: Router, mut stopped: oneshot::Receiver<()>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    loop {
        let next = tokio::select! {
            _ = &mut stopped => break,
            next = accept(&listener, &places) => next,
        };
        match next {
            Ok((stream, place)) => {
                connections.spawn(serve_one(stream, place, site.clone(), graceful.watcher()));
            }
            Err(error) => {
                tracing::warn!("a connection to the connect pages was not accepted: {error}");
                // Where there are no file handles left, there are none at once either.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    // What is not finished by then ends with the set.
    let _ = tokio::time::timeout(GRACE, graceful.shutdown()).await;
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(places)
        .acquire_owned()
        .await
        .expect("nobody closes it");
    let (stream, _) = listener.accept().await?;
    Ok((stream, place))
}

async fn serve_one(
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
    site: Router,
    watcher: Watcher,
) {
    let site = TowerToHyperService::new(site);
    let connection = protocol(HEAD_TIME).serve_connection(TokioIo::new(stream), site);
    // It fails when the browser goes away.
    let _ = tokio::time::timeout(CONNECTION_TIME, watcher.watch(connection)).await;
}

fn protocol(head_time: Duration) -> http1::Builder {
    let mut protocol = http1::Builder::new();
    protocol
        .timer(TokioTimer::new())
        .header_read_timeout(head_time)
        .max_buf_size(MAX_BUFFER)
        // A page is two requests, and idle connections would only hold places.
        .keep_alive(false);
    protocol
}

#[cfg(test)]
mod tests;
