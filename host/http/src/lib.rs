//! Outgoing HTTP: TLS, and name resolution that is checked before anything connects.
//!
//! The requests of tools and the broker's own go through clients that are made here, so that it is decided in one
//! place which address a name may lead to. What is sent, and what an answer means, is left to those who ask.

#![forbid(unsafe_code)]

mod discovery;

pub use discovery::{may_be_asked, metadata_places};

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use holster_types::Reach;
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use hyper_util::rt::TokioExecutor;
use rustls::ClientConfig;
use tower_service::Service;

/// How long a connection may take to be made.
pub const CONNECT: Duration = Duration::from_secs(10);

/// Makes connections, to addresses within a reach alone.
pub type Connector = HttpsConnector<HttpConnector<CheckedResolver>>;

/// What all connections of a process have in common: which certificates are trusted.
///
/// Over TLS, HTTP/2 is offered before HTTP/1.1 (ALPN, RFC 9113 §3.2); without TLS, HTTP/1.1 is spoken.
#[derive(Clone, Default)]
pub struct Connectors(Arc<OnceLock<ClientConfig>>);

impl Connectors {
    /// Reads no certificate yet: most runs of the command send no request.
    pub fn new() -> Self {
        Self::default()
    }

    fn of(&self, reach: Reach) -> Connector {
        connector(reach, self.0.get_or_init(tls).clone())
    }
}

/// One client for each reach, so that a connection made under a wider one never serves a narrower one.
pub struct Clients<B> {
    build: fn(Connector) -> Client<Connector, B>,
    connectors: Connectors,
    public: OnceLock<Client<Connector, B>>,
    loopback: OnceLock<Client<Connector, B>>,
    literal: OnceLock<Client<Connector, B>>,
    anywhere: OnceLock<Client<Connector, B>>,
}

impl<B> Clients<B> {
    /// Clients as `build` makes them. Opens no connection yet.
    pub fn new(build: fn(Connector) -> Client<Connector, B>) -> Self {
        Self::with(&Connectors::new(), build)
    }

    /// The same, with what connections have in common.
    pub fn with(connectors: &Connectors, build: fn(Connector) -> Client<Connector, B>) -> Self {
        Self {
            build,
            connectors: connectors.clone(),
            public: OnceLock::new(),
            loopback: OnceLock::new(),
            literal: OnceLock::new(),
            anywhere: OnceLock::new(),
        }
    }

    /// The client for requests of that reach.
    pub fn of(&self, reach: Reach) -> &Client<Connector, B> {
        let client = match reach {
            Reach::Public => &self.public,
            Reach::Loopback => &self.loopback,
            Reach::Literal => &self.literal,
            Reach::Anywhere => &self.anywhere,
        };
        client.get_or_init(|| (self.build)(self.connectors.of(reach)))
    }
}

/// A client that keeps no connection: for requests that are rare, where one that dies on an old connection leaves open
/// whether it arrived.
pub fn unpooled<B>(connector: Connector) -> Client<Connector, B>
where
    B: http_body::Body<Data: Send> + Send,
{
    Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(0)
        .build(connector)
}

fn tls() -> ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
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

fn connector(reach: Reach, tls: ClientConfig) -> Connector {
    let mut http = HttpConnector::new_with_resolver(CheckedResolver {
        reach,
        resolver: GaiResolver::new(),
    });
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(CONNECT));
    HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_all_versions()
        .wrap_connector(http)
}

/// Resolves a name once, and hands out only addresses within reach: the check and the connection see the same
/// answer, so that a second answer of the name server changes nothing.
#[derive(Clone)]
pub struct CheckedResolver<R = GaiResolver> {
    reach: Reach,
    resolver: R,
}

/// A name that leads nowhere it may.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` resolves only to addresses that may not be reached by a name")]
pub struct ProhibitedAddress(Name);

impl<R> Service<Name> for CheckedResolver<R>
where
    R: Service<Name, Response: Iterator<Item = SocketAddr>, Future: Send + 'static>,
    R::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.resolver.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let reach = self.reach;
        let resolved = self.resolver.call(name.clone());
        Box::pin(async move {
            let allowed: Vec<_> = resolved
                .await
                .map_err(Into::into)?
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

#[cfg(test)]
mod tests {
    use std::future::{Ready, ready};
    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::Mutex;

    use http::Uri;
    use tokio::net::TcpListener;

    use super::*;

    /// A name server that says something else each time.
    #[derive(Clone)]
    struct Changing(Arc<Mutex<std::vec::IntoIter<Vec<IpAddr>>>>);

    impl Changing {
        fn answers<const N: usize>(answers: [Vec<IpAddr>; N]) -> Self {
            Self(Arc::new(Mutex::new(Vec::from(answers).into_iter())))
        }

        fn left(&self) -> usize {
            self.0.lock().unwrap().len()
        }
    }

    impl Service<Name> for Changing {
        type Response = std::vec::IntoIter<SocketAddr>;
        type Error = std::io::Error;
        type Future = Ready<Result<Self::Response, Self::Error>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Name) -> Self::Future {
            let answer = self.0.lock().unwrap().next().expect("it is asked no more");
            let addresses: Vec<_> = answer.into_iter().map(|ip| (ip, 0).into()).collect();
            ready(Ok(addresses.into_iter()))
        }
    }

    #[tokio::test]
    async fn a_connection_goes_to_the_address_that_was_checked_whatever_the_name_server_says_next()
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let metadata: IpAddr = [169, 254, 169, 254].into();
        let here = IpAddr::from(Ipv4Addr::LOCALHOST);
        let names = Changing::answers([vec![metadata, here], vec![metadata], vec![here, metadata]]);
        let mut http = HttpConnector::new_with_resolver(CheckedResolver {
            reach: Reach::Loopback,
            resolver: names.clone(),
        });
        let port = listener.local_addr().unwrap().port();
        let uri: Uri = format!("http://rebinding.example:{port}/").parse().unwrap();

        let connected = http.call(uri.clone()).await.unwrap();
        let peer = connected.inner().peer_addr().unwrap();
        assert_eq!(
            (peer.ip(), names.left()),
            (here, 2),
            "asked once, and checked"
        );

        let error = http.call(uri.clone()).await.unwrap_err();
        let source = std::error::Error::source(&error).unwrap();
        assert!(source.is::<ProhibitedAddress>(), "{error:?}");

        let connected = http.call(uri).await.unwrap();
        assert_eq!(connected.inner().peer_addr().unwrap().ip(), here);
    }

    #[tokio::test]
    async fn of_several_addresses_only_those_within_reach_are_handed_out() {
        let public: IpAddr = [93, 184, 215, 14].into();
        let private: IpAddr = [10, 0, 0, 1].into();
        let mapped: IpAddr = Ipv4Addr::LOCALHOST.to_ipv6_mapped().into();
        let mut resolver = CheckedResolver {
            reach: Reach::Public,
            resolver: Changing::answers([vec![private, public, mapped], vec![private, mapped]]),
        };
        let name: Name = "mixed.example".parse().unwrap();
        let found = resolver.call(name.clone()).await.unwrap();
        assert_eq!(found.map(|found| found.ip()).collect::<Vec<_>>(), [public]);
        let error = resolver.call(name).await.unwrap_err();
        assert!(error.is::<ProhibitedAddress>(), "{error}");
    }

    #[tokio::test]
    async fn a_name_that_leads_to_this_machine_leads_nowhere() {
        let name: Name = "localhost".parse().unwrap();
        let resolve = async |reach| {
            let resolver = GaiResolver::new();
            CheckedResolver { reach, resolver }.call(name.clone()).await
        };
        let error = resolve(Reach::Public).await.unwrap_err();
        assert!(error.is::<ProhibitedAddress>(), "{error}");
        assert!(resolve(Reach::Loopback).await.is_ok());
    }
}
