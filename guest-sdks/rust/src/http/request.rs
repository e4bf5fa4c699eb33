//! What to ask for.

use super::url::Url;
use super::{DEFAULT_BODY_LIMIT, Error, Response, transport};
use crate::auth::Credential;
use serde::Serialize;
use std::time::Duration;

/// A request that is being built. A mistake on the way is reported when it is sent.
#[must_use = "a request does nothing until it is sent"]
pub struct Request {
    pub(super) method: String,
    pub(super) url: Url,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    pub(super) timeout: Option<Duration>,
    pub(super) body_limit: usize,
    error: Option<Error>,
}

/// A GET request to a URL such as `https://api.example.com/v1`.
pub fn get(url: impl AsRef<str>) -> Request {
    request("GET", url)
}

/// A POST request.
pub fn post(url: impl AsRef<str>) -> Request {
    request("POST", url)
}

/// A PUT request.
pub fn put(url: impl AsRef<str>) -> Request {
    request("PUT", url)
}

/// A PATCH request.
pub fn patch(url: impl AsRef<str>) -> Request {
    request("PATCH", url)
}

/// A DELETE request.
pub fn delete(url: impl AsRef<str>) -> Request {
    request("DELETE", url)
}

/// A request with any method, in capitals.
pub fn request(method: impl Into<String>, url: impl AsRef<str>) -> Request {
    Request {
        method: method.into(),
        url: Url::parse(url.as_ref()),
        headers: Vec::new(),
        body: Vec::new(),
        timeout: None,
        body_limit: DEFAULT_BODY_LIMIT,
        error: None,
    }
}

impl Request {
    /// Appends segments to the path of the URL. They are percent-encoded, so that each stays one segment.
    pub fn path<S: AsRef<str>>(mut self, segments: impl IntoIterator<Item = S>) -> Self {
        self.url.push(segments);
        self
    }

    /// Appends a parameter to the query of the URL, percent-encoded.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "numbers and texts read best without `&`"
    )]
    pub fn query(mut self, name: &str, value: impl ToString) -> Self {
        self.url.query(name, &value.to_string());
        self
    }

    /// Adds a header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Adds the header by which the provider knows the account.
    pub fn authorise(self, credential: &Credential) -> Self {
        let header = credential.header();
        self.header(header.name, header.value)
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets the body to a value as JSON, and the `content-type` accordingly.
    pub fn json(mut self, value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => self.header("content-type", "application/json").body(body),
            Err(error) => {
                self.error = Some(Error::NotWritable(error));
                self
            }
        }
    }

    /// How long to wait for a connection, for the first byte, and between any two parts of the body. Unless it is set,
    /// only the deadline of the call ends the waiting.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// How many bytes the body of the response may have.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// Sends the request, and waits for the whole response.
    pub fn send(self) -> Result<Response, Error> {
        if let Some(error) = self.error {
            return Err(error);
        }
        self.url.check()?;
        transport::send(&self)
    }
}
