//! Outgoing HTTP, through the host.
//!
//! [`get`], [`post`] and their kin begin a [`Request`]; [`Request::send`] waits for the whole [`Response`], of at most
//! [`DEFAULT_BODY_LIMIT`] bytes unless the tool says otherwise. A status is never an error here, redirects are not
//! followed, and which hosts can be reached is the host's to say.
//!
//! ```no_run
//! use holster_sdk::{ToolError, auth, http};
//!
//! fn login() -> Result<String, ToolError> {
//!     let credential = auth::get("github")?;
//!     let response = http::get("https://api.github.com").path(["user"]).authorise(&credential).send()?;
//!     let user: serde_json::Value = response.json()?;
//!     Ok(user["login"].to_string())
//! }
//! ```

mod request;
mod response;
mod transport;
mod url;

pub use request::{Request, delete, get, patch, post, put, request};
pub use response::Response;

/// How many bytes of a response's body are read, unless [`Request::body_limit`] says otherwise: 4 MiB.
pub const DEFAULT_BODY_LIMIT: usize = 4 << 20;

/// Why there is no response, or none that can be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The URL cannot be asked for.
    #[error("`{url}` is no URL for a request: {why}")]
    InvalidUrl {
        /// The URL, as far as it was built.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// HTTP, or the host, does not allow the header. The value is not shown, as it may be a secret.
    #[error(
        "the header `{name}` cannot be sent: it is reserved, or its name or value has a forbidden character"
    )]
    InvalidHeader {
        /// The name of the header.
        name: String,
    },
    /// The host's policy, or a limit, does not allow the request.
    #[error(
        "the request to `{host}` was refused by the policy of this tool, as its operator set it"
    )]
    Refused {
        /// The host's name, as in the URL.
        host: String,
    },
    /// The service took too long.
    #[error("`{host}` did not answer in time")]
    Timeout {
        /// The host's name, as in the URL.
        host: String,
    },
    /// The service could not be reached, or went away.
    #[error("`{host}` cannot be reached: {why}")]
    Unreachable {
        /// The host's name, as in the URL.
        host: String,
        /// What the host said.
        why: String,
    },
    /// The body of the response is too large.
    #[error("the answer of `{host}` is larger than {limit} bytes")]
    TooLarge {
        /// The host's name, as in the URL.
        host: String,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The body that the tool wants to send cannot be written as JSON.
    #[error("the body of the request cannot be written as JSON: {0}")]
    NotWritable(#[source] serde_json::Error),
    /// The body of the response is not the JSON that the tool expects.
    #[error("the answer of `{host}` (status {status}) is not the JSON expected: {source}")]
    UnexpectedJson {
        /// The host's name, as in the URL.
        host: String,
        /// The status of the response.
        status: u16,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}
