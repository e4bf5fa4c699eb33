//! The `auth` interface: what a guest may learn of its grants, and never the secret itself.

use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use holster_types::ExposeSecret;
use sha2::{Sha256, Sha512};
use wasmtime::component::Resource;

use crate::bindings::wit_auth::{AuthError, AuthHeader, Host, HostCredential, SignAlgorithm};
use crate::sealing::Sealed;
use crate::state::CallState;

/// The largest payload that is signed.
const PAYLOAD_BYTES: usize = 1 << 20;

/// A guest's handle: the grants of the call, and which of them.
#[allow(unreachable_pub, reason = "named by the generated bindings")]
pub struct Credential {
    grants: Arc<[Sealed]>,
    position: usize,
}

impl Credential {
    fn sealed(&self) -> &Sealed {
        &self.grants[self.position]
    }
}

/// The guest called the host more often than its limit allows.
#[derive(Debug, thiserror::Error)]
#[error("too many host calls")]
pub(crate) struct TooManyHostCalls;

impl CallState {
    fn count_host_call(&mut self) -> wasmtime::Result<()> {
        self.host_calls_left = self
            .host_calls_left
            .checked_sub(1)
            .ok_or(TooManyHostCalls)?;
        Ok(())
    }

    fn credential(&mut self, handle: &Resource<Credential>) -> wasmtime::Result<&Sealed> {
        self.count_host_call()?;
        Ok(self.table().get(handle)?.sealed())
    }
}

impl Host for CallState {
    async fn get(
        &mut self,
        provider: String,
    ) -> wasmtime::Result<Result<Resource<Credential>, AuthError>> {
        self.count_host_call()?;
        let Some(position) = self
            .grants
            .iter()
            .position(|sealed| sealed.grant.provider.as_str() == provider)
        else {
            return Ok(Err(AuthError::NotDeclared(provider)));
        };
        let grants = Arc::clone(&self.grants);
        Ok(Ok(self.table().push(Credential { grants, position })?))
    }
}

impl HostCredential for CallState {
    async fn provider(&mut self, handle: Resource<Credential>) -> wasmtime::Result<String> {
        Ok(self.credential(&handle)?.grant.provider.to_string())
    }

    async fn profile(&mut self, handle: Resource<Credential>) -> wasmtime::Result<String> {
        Ok(self.credential(&handle)?.grant.profile.to_string())
    }

    async fn account(&mut self, handle: Resource<Credential>) -> wasmtime::Result<Option<String>> {
        Ok(self.credential(&handle)?.grant.account.clone())
    }

    async fn scopes(&mut self, handle: Resource<Credential>) -> wasmtime::Result<Vec<String>> {
        Ok(self
            .credential(&handle)?
            .grant
            .scopes
            .iter()
            .map(str::to_owned)
            .collect())
    }

    async fn expires_at(&mut self, handle: Resource<Credential>) -> wasmtime::Result<Option<u64>> {
        Ok(self.credential(&handle)?.grant.expires_at)
    }

    async fn token(&mut self, handle: Resource<Credential>) -> wasmtime::Result<String> {
        Ok(self.credential(&handle)?.shown().to_owned())
    }

    async fn header(&mut self, handle: Resource<Credential>) -> wasmtime::Result<AuthHeader> {
        let sealed = self.credential(&handle)?;
        let header = &sealed.grant.header;
        Ok(AuthHeader {
            name: header.name.clone(),
            value: header.value(sealed.shown()),
        })
    }

    async fn sign(
        &mut self,
        handle: Resource<Credential>,
        algorithm: SignAlgorithm,
        payload: Vec<u8>,
    ) -> wasmtime::Result<Result<Vec<u8>, AuthError>> {
        let grant = &self.credential(&handle)?.grant;
        let Some(secret) = grant.secret.signing() else {
            return Ok(Err(AuthError::Unsupported(format!(
                "the credential of `{}` is not a key pair; it offers token() and header()",
                grant.provider
            ))));
        };
        if payload.len() > PAYLOAD_BYTES {
            return Ok(Err(AuthError::Unsupported(format!(
                "the payload has {} bytes; at most {PAYLOAD_BYTES} are signed",
                payload.len()
            ))));
        }
        let key = secret.expose_secret().as_bytes();
        Ok(Ok(match algorithm {
            SignAlgorithm::HmacSha256 => mac::<Hmac<Sha256>>(key, &payload),
            SignAlgorithm::HmacSha512 => mac::<Hmac<Sha512>>(key, &payload),
        }))
    }

    async fn drop(&mut self, handle: Resource<Credential>) -> wasmtime::Result<()> {
        self.table().delete(handle)?;
        Ok(())
    }
}

fn mac<M: Mac + KeyInit>(key: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut mac = <M as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(payload);
    mac.finalize().into_bytes().to_vec()
}
