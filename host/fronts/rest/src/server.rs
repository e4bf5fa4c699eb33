//! The listener: bounded in connections and in the time that a head may take, and graceful at its end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// More connections wait to be accepted.
const MAX_CONNECTIONS: usize = 4096;

/// How long a client may take to send the head of a request.
const HEAD_TIME: Duration = Duration::from_secs(10);

/// How long answers under way may take when the server ends.
const GRACE: Duration = Duration::from_secs(30);

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum ServeError {
    #[error("{address} is taken; end what listens there, or choose another one with `--listen`")]
    Taken { address: SocketAddr },
    #[error("cannot listen on {address}: {error}")]
    Listen {
        address: SocketAddr,
        error: io::Error,
    },
}

/// A listener that waits to be served.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    listens_on: SocketAddr,
}

impl Server {
    /// Takes the address.
    pub async fn bind(address: SocketAddr) -> Result<Self, ServeError> {
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::AddrInUse => ServeError::Taken { address },
            _ => ServeError::Listen { address, error },
        };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let listens_on = listener.local_addr().map_err(failed)?;
        Ok(Self {
            listener,
            listens_on,
        })
    }

    /// Where it listens.
    pub fn listens_on(&self) -> SocketAddr {
        self.listens_on
    }

    /// Answers until `stopped`; then no more connections are accepted, `ending` is told, and answers that are under way
    /// are finished, if that takes no more than 30 seconds.
    pub async fn serve(
        self,
        site: Router,
        stopped: impl Future<Output = ()>,
        ending: impl FnOnce(),
    ) {
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let graceful = GracefulShutdown::new();
        let mut connections = JoinSet::new();
        let mut stopped = std::pin::pin!(stopped);
        loop {
            let place = Arc::clone(&places).acquire_owned();
            let accepted = tokio::select! {
                () = &mut stopped => break,
                accepted = async { (place.await, self.listener.accept().await) } => accepted,
            };
            match accepted {
                (place, Ok((stream, _))) => {
                    // Small answers go out at once.
                    let _ = stream.set_nodelay(true);
                    let site = TowerToHyperService::new(site.clone());
                    let connection = protocol().serve_connection(TokioIo::new(stream), site);
                    let connection = graceful.watch(connection);
                    connections.spawn(async move {
                        // It fails when the client goes away.
                        let _ = connection.await;
                        drop(place);
                    });
                }
                (_, Err(error)) => {
                    tracing::warn!("a connection was not accepted: {error}");
                    // Where there are no file handles left, there are none at once either.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
            while connections.try_join_next().is_some() {}
        }
        drop(self.listener);
        ending();
        // What is not finished by then ends with the set.
        if tokio::time::timeout(GRACE, graceful.shutdown())
            .await
            .is_err()
        {
            tracing::warn!("some answers were not finished in {} s", GRACE.as_secs());
        }
    }
}

fn protocol() -> http1::Builder {
    let mut protocol = http1::Builder::new();
    protocol
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME);
    protocol
}
