//! What a browser keeps for this host: that a person signed in with it, or is about to.
//!
//! Both are authenticated encryption, bound to that browser, with an expiry inside. Nothing of it is stored here, so that
//! a restart or another replica makes no difference.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use holster_types::SecretString;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::cipher::Context;
use super::{Digest, Vault, VaultError, lasts, now};
use crate::secret_text::to_bytes;
use crate::visit::User;

/// How long a person stays signed in, in seconds.
const VISIT: u64 = 60 * 60;

/// How long a person may take at the issuer, in seconds.
const DEPARTURE: u64 = 10 * 60;

/// What is in the envelope.
#[derive(Serialize, Deserialize)]
struct Kept<T> {
    /// Seconds since the Unix epoch.
    expires_at: u64,
    what: T,
}

impl Vault {
    /// That this browser's person is that user, for an hour.
    pub(crate) async fn visit(
        &self,
        browser: &Digest,
        user: &User,
    ) -> Result<SecretString, VaultError> {
        self.sealed("visit", browser, VISIT, user).await
    }

    /// The user that this browser's person is; `None` if the visit is over, or was never one.
    pub(crate) async fn visitor(
        &self,
        browser: &Digest,
        visit: &str,
    ) -> Result<Option<User>, VaultError> {
        self.opened("visit", browser, VISIT, visit).await
    }

    /// What is needed when this browser's person is back from an issuer, within 10 minutes.
    pub(crate) async fn departure(
        &self,
        browser: &Digest,
        what: &impl Serialize,
    ) -> Result<SecretString, VaultError> {
        self.sealed("sign-in", browser, DEPARTURE, what).await
    }

    /// The same again; `None` if the time is up, or it was never so.
    pub(crate) async fn departed<T: DeserializeOwned>(
        &self,
        browser: &Digest,
        departure: &str,
    ) -> Result<Option<T>, VaultError> {
        self.opened("sign-in", browser, DEPARTURE, departure).await
    }

    async fn sealed(
        &self,
        purpose: &str,
        browser: &Digest,
        seconds: u64,
        what: &impl Serialize,
    ) -> Result<SecretString, VaultError> {
        let expires_at = now() + seconds;
        let plaintext = to_bytes(&Kept { expires_at, what });
        let sealed = self
            .made()
            .await?
            .seal_at(place(purpose, browser), &plaintext);
        Ok(URL_SAFE_NO_PAD.encode(sealed).into())
    }

    async fn opened<T: DeserializeOwned>(
        &self,
        purpose: &str,
        browser: &Digest,
        seconds: u64,
        text: &str,
    ) -> Result<Option<T>, VaultError> {
        let Some(store) = self.existing().await? else {
            return Ok(None);
        };
        let opened = URL_SAFE_NO_PAD
            .decode(text)
            .ok()
            .and_then(|sealed| store.open_at(place(purpose, browser), &sealed));
        let kept = opened.and_then(|bytes| serde_json::from_slice::<Kept<T>>(&bytes).ok());
        Ok(kept
            .filter(|kept| lasts(kept.expires_at, seconds))
            .map(|kept| kept.what))
    }
}

fn place(purpose: &str, browser: &Digest) -> Context {
    Context::new(purpose).with(browser)
}

#[cfg(test)]
mod tests {
    use holster_types::{ExposeSecret as _, ProfileName, TenantId};

    use tempfile::TempDir;

    use super::*;
    use crate::vault::KeyFile;

    const BROWSER: Digest = [1; 32];
    const OTHER: Digest = [2; 32];

    fn vault() -> (TempDir, Vault) {
        let folder = TempDir::new().unwrap();
        let keeper = Box::new(KeyFile::in_data_folder(folder.path()));
        let vault = Vault::new(folder.path(), keeper);
        (folder, vault)
    }

    fn ann() -> User {
        User {
            tenant: TenantId::new("ann").unwrap(),
            profile: Some(ProfileName::new("work").unwrap()),
        }
    }

    #[tokio::test]
    async fn a_visit_is_that_of_one_browser_in_one_vault() {
        let (_folder, one) = vault();
        let (_other_folder, other) = vault();
        let visit = one.visit(&BROWSER, &ann()).await.unwrap();
        let visit = visit.expose_secret();
        assert!(visit.len() < 400, "{}", visit.len());
        other.visit(&BROWSER, &ann()).await.unwrap();
        for (vault, browser, text, known) in [
            (&one, BROWSER, visit, true),
            (&one, OTHER, visit, false),
            (&other, BROWSER, visit, false),
            (&one, BROWSER, &visit[1..], false),
            (&one, BROWSER, "", false),
            (&one, BROWSER, "no base64: é", false),
        ] {
            let user = vault.visitor(&browser, text).await.unwrap();
            assert_eq!(user, known.then(ann), "{text}");
        }
        for position in 0..visit.len() {
            let mut altered = visit.as_bytes().to_vec();
            altered[position] = if altered[position] == b'A' {
                b'B'
            } else {
                b'A'
            };
            let altered = String::from_utf8(altered).unwrap();
            let user = one.visitor(&BROWSER, &altered).await.unwrap();
            assert_eq!(user, None, "{position}");
        }
    }

    #[tokio::test]
    async fn a_visit_ends_and_is_no_departure() {
        let (_folder, vault) = vault();
        let over = vault.sealed("visit", &BROWSER, 0, &ann()).await.unwrap();
        assert_eq!(
            vault.visitor(&BROWSER, over.expose_secret()).await.unwrap(),
            None
        );
        let visit = vault.visit(&BROWSER, &ann()).await.unwrap();
        let departed = vault
            .departed::<User>(&BROWSER, visit.expose_secret())
            .await;
        assert_eq!(departed.unwrap(), None);
        let departure = vault.departure(&BROWSER, &ann()).await.unwrap();
        let visitor = vault.visitor(&BROWSER, departure.expose_secret()).await;
        assert_eq!(visitor.unwrap(), None);
    }
}
