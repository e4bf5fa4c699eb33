//! Resumptions: what a client brings back when an interrupted call goes on.
//!
//! A resumption is authenticated encryption of a number and an expiry, bound to whatever the call consists of. It opens
//! for the same call only, until it expires, and once: the numbers of those that were used are kept till then. It
//! authorises nothing by itself; the call that goes on is judged like any other.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::cipher::Context;
use super::store::Store;
use super::{Vault, VaultError, lasts, now, seconds};
use crate::random;

/// Longer than a connection lives, so that whoever connects in the last minute can still go on.
const LIFETIME: u64 = 15 * 60;

/// Bytes of the number.
const ID: usize = 16;

/// Why a call does not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotResumable {
    /// Altered, or of another call.
    #[error(
        "this request state was altered, or belongs to another user, tool, version of the tool or other arguments; call \
         the tool again without it"
    )]
    Foreign,
    /// Too old.
    #[error("this request state has expired; call the tool again without it")]
    Expired,
    /// It was there before.
    #[error("this request state was used already; call the tool again without it")]
    Used,
}

impl Vault {
    /// A resumption of the call that `call` describes, field by field.
    pub(crate) async fn resumption(&self, call: &[impl AsRef<[u8]>]) -> Result<String, VaultError> {
        Ok(self.made().await?.resumption(call, now() + LIFETIME))
    }

    /// Uses a resumption up.
    pub(crate) async fn resume(
        &self,
        resumption: &str,
        call: &[impl AsRef<[u8]>],
    ) -> Result<Result<(), NotResumable>, VaultError> {
        let Some(store) = self.existing().await? else {
            return Ok(Err(NotResumable::Foreign));
        };
        let opened = URL_SAFE_NO_PAD
            .decode(resumption)
            .ok()
            .and_then(|sealed| store.open_at(place(call), &sealed));
        let Some((id, expires_at)) = opened.as_deref().and_then(|opened| parts(opened)) else {
            return Ok(Err(NotResumable::Foreign));
        };
        if !lasts(expires_at, LIFETIME) {
            return Ok(Err(NotResumable::Expired));
        }
        Ok(if store.use_up(id, expires_at).await? {
            Ok(())
        } else {
            Err(NotResumable::Used)
        })
    }
}

fn place(call: &[impl AsRef<[u8]>]) -> Context {
    call.iter().fold(Context::new("resumption"), Context::with)
}

fn parts(opened: &[u8]) -> Option<(&[u8; ID], u64)> {
    let (id, expires_at) = opened.split_first_chunk::<ID>()?;
    Some((id, u64::from_le_bytes(expires_at.try_into().ok()?)))
}

impl Store {
    fn resumption(&self, call: &[impl AsRef<[u8]>], expires_at: u64) -> String {
        let mut plaintext = [0; ID + 8];
        random::fill(&mut plaintext[..ID]);
        plaintext[ID..].copy_from_slice(&expires_at.to_le_bytes());
        URL_SAFE_NO_PAD.encode(self.seal_at(place(call), &plaintext))
    }

    /// Whether nobody had used it.
    async fn use_up(&self, id: &[u8; ID], expires_at: u64) -> Result<bool, VaultError> {
        let over = sqlx::query("DELETE FROM resumption WHERE expires_at <= ?").bind(seconds(now()));
        self.change(over).await?;
        let used = sqlx::query("INSERT OR IGNORE INTO resumption (id, expires_at) VALUES (?, ?)")
            .bind(id.as_slice())
            .bind(seconds(expires_at));
        self.change(used).await
    }
}

#[cfg(test)]
mod tests;
