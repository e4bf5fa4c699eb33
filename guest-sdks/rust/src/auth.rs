//! The accounts of the caller's profile.
//!
//! A tool declares what it needs, `#[tool(auth(provider = "github", scopes = ["repo"]))]`, and asks for it by
//! [`get`]. What it gets is a handle: the secret stays with the host, which puts it into the requests that go to the
//! provider's own hosts.

use crate::bindings::holster::plugin::auth;

pub use auth::{AuthError as Error, AuthHeader as Header, Credential, SignAlgorithm as Algorithm};

/// The credential for a provider that the tool declared.
pub fn get(provider: &str) -> Result<Credential, Error> {
    if !crate::host_is_there() {
        return Err(Error::Unavailable(crate::NO_HOST.to_owned()));
    }
    auth::get(provider)
}
