//! The site that the pages make up: its names, and the broker behind it.

use std::sync::Arc;

use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderName};
use holster_callers::Callers;
use holster_core::broker::{Broker, ConnectAddress};
use holster_core::types::IssuerName;
use url::Url;

/// What every request needs to be answered.
pub(crate) struct Site {
    pub(crate) broker: Arc<Broker>,
    pub(crate) address: ConnectAddress,
    /// Who can show who they are.
    pub(crate) callers: Arc<Callers>,
    /// The values of `Host` that mean this site.
    names: Vec<String>,
}

impl Site {
    pub(crate) fn new(broker: Arc<Broker>, address: ConnectAddress, callers: Arc<Callers>) -> Self {
        let name = |host: &str| match address.url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let own = address.url.host_str().unwrap_or_default();
        let mut names = vec![name(own)];
        if address.url.scheme() == "http" {
            // Plain HTTP is for the loopback interface alone.
            names.extend(["127.0.0.1", "[::1]", "localhost"].map(name));
        }
        Self {
            broker,
            address,
            callers,
            names,
        }
    }

    pub(crate) fn is_https(&self) -> bool {
        self.address.url.scheme() == "https"
    }

    /// The name by which the request calls this site; `None` if it means another one.
    pub(crate) fn name<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let name = only(headers, &HOST)?;
        self.names.iter().any(|own| own == name).then_some(name)
    }

    /// Where an issuer sends the browser back to: under the name by which the request called, since the cookies are for
    /// that name.
    pub(crate) fn redirect(&self, issuer: &IssuerName, headers: &HeaderMap) -> Option<Url> {
        let (scheme, name) = (self.address.url.scheme(), self.name(headers)?);
        Url::parse(&format!("{scheme}://{name}/sign-in/{issuer}/callback")).ok()
    }

    /// Whether a page of this site sent the request, as browsers say with every form.
    pub(crate) fn is_sender(&self, headers: &HeaderMap) -> bool {
        let own = |name| format!("{}://{name}", self.address.url.scheme());
        let origin = only(headers, &ORIGIN);
        origin.is_some_and(|origin| self.name(headers).map(own).as_deref() == Some(origin))
    }
}

/// The value of a header that is there once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}
