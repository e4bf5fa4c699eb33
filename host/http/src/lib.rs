//! Outgoing HTTP: TLS, and name resolution that is checked before anything connects.
//!
//! The requests of tools and the broker's own go through clients that are made here, so that it is decided in one
//! place which address a name may lead to. What is sent, and what an answer means, is left to those who ask.

#![forbid(unsafe_code)]

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
use rustls::ClientConfig;
use tower_service::Service;

/// How long a connection may take to be made.
pub const CONNECT: Duration = Duration::from_secs(10);

/// Makes connections, to addresses within a reach alone.
pub type Connector = HttpsConnector<HttpConnector<CheckedResolver>>;

/// One client for each reach, so that a connection made under a wider one never serves a narrower one.
pub struct Clients<B> {
    build: fn(Connector) -> Client<Connector, B>,
    tls: OnceLock<ClientConfig>,
    public: OnceLock<Client<Connector, B>>,
    loopback: OnceLock<Client<Connector, B>>,
    literal: OnceLock<Client<Connector, B>>,
}

impl<B> Clients<B> {
    /// Clients as `build` makes them. Reads no certificate and opens no connection yet: most runs of the command send
    /// no request.
    pub fn new(build: fn(Connector) -> Client<Connector, B>) -> Self {
        Self {
            build,
            tls: OnceLock::new(),
            public: OnceLock::new(),
            loopback: OnceLock::new(),
            literal: OnceLock::new(),
        }
    }

    /// The client for requests of that reach.
    pub fn of(&self, reach: Reach) -> &Client<Connector, B> {
        let client = match reach {
            Reach::Public => &self.public,
            Reach::Loopback => &self.loopback,
            Reach::Literal => &self.literal,
        };
        client.get_or_init(|| (self.build)(connector(reach, self.tls.get_or_init(tls).clone())))
    }
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
        system: GaiResolver::new(),
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
pub struct CheckedResolver {
    reach: Reach,
    system: GaiResolver,
}

/// A name that leads nowhere it may.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` resolves only to addresses that may not be reached by a name")]
pub struct ProhibitedAddress(Name);

impl Service<Name> for CheckedResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_that_leads_to_this_machine_leads_nowhere() {
        let name: Name = "localhost".parse().unwrap();
        let resolve = async |reach| {
            let system = GaiResolver::new();
            CheckedResolver { reach, system }.call(name.clone()).await
        };
        let error = resolve(Reach::Public).await.unwrap_err();
        assert!(error.is::<ProhibitedAddress>(), "{error}");
        assert!(resolve(Reach::Loopback).await.is_ok());
    }
}
