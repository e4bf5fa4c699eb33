//! Requests to authorisation servers: short, whole, and only to where somebody may send them.
//!
//! An [`Endpoint`] is an address that was let through: the operator named it in a provider's file, or a server named
//! it and it is public. No redirect is followed, since one would carry a secret to where nobody meant it to go.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use holster_http::{Clients, ProhibitedAddress, may_be_asked, unpooled};
use holster_types::{ExposeSecret as _, Reach, SecretString};
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Method, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::{Url, form_urlencoded};
use zeroize::{Zeroize as _, Zeroizing};

use super::error::{OAuthError, Secrets};

/// For the whole of a request, from the look-up of the name to the last byte of the answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The longest answer, in bytes.
const MAX_ANSWER: usize = 1024 * 1024;

const USER_AGENT: &str = concat!("holster/", env!("CARGO_PKG_VERSION"));

/// An address that a request may go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint(Url);

impl Endpoint {
    /// One that the operator named. An address on this machine or in a private network is meant.
    pub(super) fn of_operator(url: Url) -> Self {
        Self(url)
    }

    /// One that a server or an account named: public, or at the very place that named it.
    pub(super) fn of_stranger(url: Url, place: Option<&Url>) -> Result<Self, String> {
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err(format!("{} holds more than an address", origin(&url)));
        }
        if may_be_asked(&url, place) {
            Ok(Self(url))
        } else {
            Err(format!("{} is not `https` to a public host", origin(&url)))
        }
    }

    pub(super) fn url(&self) -> &Url {
        &self.0
    }

    /// For people: the host, without what may be secret in the rest.
    pub(super) fn host(&self) -> String {
        self.0.host_str().unwrap_or_default().to_owned()
    }

    fn reach(&self) -> Reach {
        Reach::of(self.0.host_str().unwrap_or_default())
    }
}

fn origin(url: &Url) -> String {
    format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default())
}

/// The parameters of a request, in order. All of them are zeroed, since any may be secret.
#[derive(Clone, Default)]
pub(super) struct Params {
    pairs: Vec<(String, Zeroizing<String>)>,
    secrets: Secrets,
}

impl Params {
    /// Adds a parameter, or replaces the one of that name.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        let value = Zeroizing::new(value.to_owned());
        match self.pairs.iter_mut().find(|(known, _)| known == name) {
            Some(known) => known.1 = value,
            None => self.pairs.push((name.to_owned(), value)),
        }
    }

    /// The same with a value that no error may repeat.
    pub(super) fn set_secret(&mut self, name: &str, value: &SecretString) {
        self.secrets.add(value.expose_secret());
        self.set(name, value.expose_secret());
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    fn form(&self) -> Zeroizing<Vec<u8>> {
        // Sized at once, for the longest that escaping makes of it: a growing buffer would leave copies behind.
        let size = self
            .iter()
            .map(|(name, value)| 3 * (name.len() + value.len()) + 2);
        let mut text = form_urlencoded::Serializer::new(String::with_capacity(size.sum()));
        text.extend_pairs(self.iter());
        Zeroizing::new(text.finish().into_bytes())
    }

    fn json(&self) -> Zeroizing<Vec<u8>> {
        let size = self
            .iter()
            .map(|(name, value)| 6 * (name.len() + value.len()) + 6);
        let mut body = Zeroizing::new(Vec::with_capacity(size.sum::<usize>() + 2));
        let map: std::collections::BTreeMap<&str, &str> = self.iter().collect();
        serde_json::to_writer(&mut *body, &map).expect("texts are JSON");
        body
    }
}

/// One request.
#[derive(Clone)]
pub(super) struct Request {
    method: Method,
    endpoint: Endpoint,
    headers: HeaderMap,
    body: Zeroizing<Vec<u8>>,
    /// What an error must not repeat.
    pub(super) secrets: Secrets,
}

impl Request {
    pub(super) fn new(method: Method, endpoint: &Endpoint) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(
            http::header::USER_AGENT,
            HeaderValue::from_static(USER_AGENT),
        );
        Self {
            method,
            endpoint: endpoint.clone(),
            headers,
            body: Zeroizing::default(),
            secrets: Secrets::default(),
        }
    }

    /// Sets a header. It is not printed, since any may be secret.
    pub(super) fn header(&mut self, name: &str, value: &str) -> Result<(), OAuthError> {
        let name = HeaderName::from_bytes(name.as_bytes());
        let value = HeaderValue::from_str(value);
        let (Ok(name), Ok(mut value)) = (name, value) else {
            return Err(self.malformed("a header cannot hold what the provider's file asks for"));
        };
        value.set_sensitive(true);
        self.headers.insert(name, value);
        Ok(())
    }

    pub(super) fn form(&mut self, params: &Params) {
        self.secrets.extend(&params.secrets);
        self.body("application/x-www-form-urlencoded", params.form());
    }

    pub(super) fn json(&mut self, params: &Params) {
        self.secrets.extend(&params.secrets);
        self.body("application/json", params.json());
    }

    pub(super) fn body(&mut self, content_type: &'static str, body: Zeroizing<Vec<u8>>) {
        self.headers
            .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        self.body = body;
    }

    pub(super) fn method(&self) -> &Method {
        &self.method
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    fn malformed(&self, reason: &str) -> OAuthError {
        OAuthError::Malformed {
            host: self.endpoint.host(),
            reason: reason.to_owned(),
        }
    }

    fn transient(&self, reason: impl Into<String>, may_have_arrived: bool) -> OAuthError {
        OAuthError::Transient {
            host: self.endpoint.host(),
            reason: reason.into(),
            may_have_arrived,
            retry_after: None,
        }
    }
}

/// A whole answer.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    body: Zeroizing<Vec<u8>>,
    host: String,
    secrets: Secrets,
}

impl Answer {
    /// A header, if it is there and text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Refuses what says nothing about the request itself: the server is busy or broken, or points elsewhere.
    pub(super) fn settled(self) -> Result<Self, OAuthError> {
        let status = self.status;
        let busy = status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::REQUEST_TIMEOUT;
        if status.is_server_error() || busy {
            return Err(OAuthError::Transient {
                reason: format!("HTTP {}", status.as_u16()),
                may_have_arrived: true,
                retry_after: self
                    .header(RETRY_AFTER.as_str())
                    .and_then(|text| text.trim().parse().ok()),
                host: self.host,
            });
        }
        if status.is_redirection() {
            return Err(self.malformed("a redirect, which is not followed"));
        }
        Ok(self)
    }

    /// The JSON document, or what a form says as one.
    pub(super) fn document(&self) -> Result<Document, OAuthError> {
        if let Ok(document) = serde_json::from_slice(&self.body) {
            return Ok(Document(document));
        }
        let content_type = self.header(CONTENT_TYPE.as_str()).unwrap_or_default();
        let form = ["application/x-www-form-urlencoded", "text/plain"]
            .iter()
            .any(|known| content_type.starts_with(known));
        if form && self.body.contains(&b'=') {
            let pairs = form_urlencoded::parse(&self.body)
                .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())));
            return Ok(Document(Value::Object(pairs.collect())));
        }
        Err(self.malformed(&format!(
            "HTTP {} without a JSON document",
            self.status.as_u16()
        )))
    }

    /// The JSON document as something that holds no secret.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }

    pub(super) fn malformed(&self, reason: &str) -> OAuthError {
        OAuthError::Malformed {
            host: self.host.clone(),
            reason: reason.to_owned(),
        }
    }

    pub(super) fn refused(&self, error: &str, description: Option<&str>) -> OAuthError {
        OAuthError::Refused {
            host: self.host.clone(),
            error: self.secrets.clean(error),
            description: description
                .map(|text| self.secrets.clean(text))
                .filter(|text| !text.is_empty()),
        }
    }

    pub(super) fn transient(&self, reason: &str) -> OAuthError {
        OAuthError::Transient {
            host: self.host.clone(),
            reason: self.secrets.clean(reason),
            may_have_arrived: true,
            retry_after: None,
        }
    }
}

/// A JSON document that may hold tokens, and is zeroed.
pub(super) struct Document(Value);

impl Document {
    pub(super) fn get(&self, pointer: &str) -> Option<&Value> {
        self.0.pointer(pointer).filter(|value| !value.is_null())
    }

    pub(super) fn text(&self, pointer: &str) -> Option<&str> {
        self.get(pointer).and_then(Value::as_str)
    }
}

impl Drop for Document {
    fn drop(&mut self) {
        fn wipe(value: &mut Value) {
            match value {
                Value::String(text) => text.zeroize(),
                Value::Array(values) => values.iter_mut().for_each(wipe),
                Value::Object(values) => values.values_mut().for_each(wipe),
                _ => {}
            }
        }
        wipe(&mut self.0);
    }
}

/// The client of the process. A copy is the same client.
#[derive(Clone)]
pub(crate) struct HttpClient {
    timeout: Duration,
    clients: Arc<Clients<Full<Bytes>>>,
}

impl HttpClient {
    /// Reads no certificate and opens no connection yet.
    pub(crate) fn new() -> Self {
        Self::with_timeout(TIMEOUT)
    }

    pub(super) fn with_timeout(timeout: Duration) -> Self {
        Self {
            timeout,
            clients: Arc::new(Clients::new(unpooled)),
        }
    }

    /// The answer, whatever its status.
    pub(super) async fn send(&self, request: &Request) -> Result<Answer, OAuthError> {
        match tokio::time::timeout(self.timeout, self.exchange(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(request.transient(
                format!("no whole answer within {} s", self.timeout.as_secs()),
                true,
            )),
        }
    }

    async fn exchange(&self, request: &Request) -> Result<Answer, OAuthError> {
        let client = self.clients.of(request.endpoint.reach());
        let uri: Uri = request
            .endpoint
            .url()
            .as_str()
            .parse()
            .map_err(|_| request.malformed("its address cannot be asked"))?;
        // The body is zeroed when the connection lets go of it.
        let body = Full::new(Bytes::from_owner(request.body.clone()));
        let mut outgoing = http::Request::new(body);
        *outgoing.method_mut() = request.method.clone();
        *outgoing.uri_mut() = uri;
        *outgoing.headers_mut() = request.headers.clone();

        let answer = client.request(outgoing).await.map_err(|error| {
            tracing::debug!("request to {} failed: {error:?}", request.endpoint.host());
            let connect = error.is_connect();
            request.transient(failure(&error, connect), !connect)
        })?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, MAX_ANSWER)
            .collect()
            .await
            .map_err(|error| {
                if error.is::<LengthLimitError>() {
                    request.malformed(&format!("an answer of more than {MAX_ANSWER} bytes"))
                } else {
                    request.transient("the connection broke off", true)
                }
            })?;
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body: Zeroizing::new(body.to_bytes().into()),
            host: request.endpoint.host(),
            secrets: request.secrets.clone(),
        })
    }
}

/// What went wrong on the way, without addresses.
fn failure(error: &(dyn std::error::Error + 'static), connect: bool) -> &'static str {
    let mut source = Some(error);
    while let Some(cause) = source {
        if cause.is::<ProhibitedAddress>() {
            return "its name leads to no public address";
        }
        if cause.is::<rustls::Error>() {
            return "its certificate is not trusted, or TLS failed otherwise";
        }
        source = cause.source();
    }
    if connect {
        "it cannot be reached"
    } else {
        "the connection broke off"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_sized_before_they_are_written() {
        let mut params = Params::default();
        params.set("a b", "\u{1}\u{1}ä");
        params.set("c", "1");
        params.set("c", "2");
        assert_eq!(&**params.form(), b"a+b=%01%01%C3%A4&c=2");
        assert_eq!(
            &**params.json(),
            "{\"a b\":\"\\u0001\\u0001ä\",\"c\":\"2\"}".as_bytes()
        );
    }
}
