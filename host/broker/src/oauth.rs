//! The OAuth protocol: what is said to an authorisation server, and what its answers mean.
//!
//! [`AuthorizationServers::open`] makes a provider's file and an account's variables into an [`AuthorizationServer`],
//! which is asked for everything else. It promises that secrets go only to where the operator or the server's checked
//! metadata say, that no answer is believed that does not fit, and that no error repeats a secret. Whose tokens these
//! are, where they are kept and when they are refreshed is left to others.

mod address;
mod authorization;
mod client;
mod device;
mod dpop;
mod error;
mod http;
mod identity;
mod metadata;
mod registration;
mod revocation;
mod server;
#[cfg(test)]
pub(crate) mod tests;
mod tokens;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

pub(crate) use address::Variables;
pub(crate) use authorization::Authorization;
pub(crate) use client::OAuthClient;
pub(crate) use device::{DeviceAuthorization, DevicePoll};
pub(crate) use dpop::DpopKey;
pub use error::OAuthError;
pub(crate) use server::{AuthorizationServer, AuthorizationServers};
pub(crate) use tokens::{TokenType, Tokens};

/// This many random bytes, in base64url.
fn random<const BYTES: usize>() -> String {
    let mut bytes = Zeroizing::new([0; BYTES]);
    getrandom::fill(&mut *bytes).expect("the system has random bytes");
    URL_SAFE_NO_PAD.encode(bytes.as_slice())
}
