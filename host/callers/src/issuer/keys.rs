//! The keys of an issuer, as it publishes them (RFC 7517).
//!
//! They are asked for when they are first needed, when they have become old, and when a token names a key that is not
//! among them; by one request at a time, and not again at once. While the issuer cannot be asked, the keys that are known
//! go on for a while.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use holster_core::types::ServerUrl;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::{Mutex, OwnedMutexGuard};
use url::Url;

use super::fetch::Http;
use super::token::TokenError;

/// No issuer has more at once.
const MAX_KEYS: usize = 100;

/// The ways in which an RSA key signs.
const RSA: [Algorithm; 6] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// How often an issuer is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// Keys that are older are asked for anew.
    pub(super) fresh: Duration,
    /// After this time, and no sooner, the issuer is asked again: because it did not answer, or for another key.
    pub(super) again: Duration,
    /// Keys that are older are not used, even if the issuer does not answer.
    pub(super) oldest: Duration,
}

impl Pace {
    pub(super) const USUAL: Self = Self {
        fresh: Duration::from_mins(5),
        again: Duration::from_secs(5),
        oldest: Duration::from_hours(6),
    };
}

/// Where the keys are.
pub(super) enum KeyPlace {
    /// Where the operator says.
    At(Url),
    /// Where the issuer says.
    OfIssuer(ServerUrl),
}

/// The keys of one issuer.
pub(super) struct KeySet {
    shared: Arc<Shared>,
    pace: Pace,
}

struct Shared {
    place: KeyPlace,
    algorithms: Vec<Algorithm>,
    http: Arc<Http>,
    known: RwLock<Known>,
    asking: Arc<Mutex<()>>,
}

#[derive(Clone, Default)]
struct Known {
    keys: Arc<[Key]>,
    /// When the issuer said so.
    since: Option<Instant>,
    /// When it was last asked.
    asked: Option<Instant>,
}

/// A key that signatures may be checked with.
struct Key {
    id: Option<String>,
    /// In which ways it may have signed.
    algorithms: Vec<Algorithm>,
    public: DecodingKey,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl KeySet {
    pub(super) fn new(
        at: KeyPlace,
        algorithms: Vec<Algorithm>,
        http: Arc<Http>,
        pace: Pace,
    ) -> Self {
        let shared = Shared {
            place: at,
            algorithms,
            http,
            known: RwLock::default(),
            asking: Arc::default(),
        };
        Self {
            shared: Arc::new(shared),
            pace,
        }
    }

    /// The key of that id, or the only one where the token names none.
    pub(super) async fn find(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<DecodingKey, TokenError> {
        let known = self.shared.known();
        let key = known.find(id, algorithm);
        if let Some(key) = &key
            && known.is_younger(self.pace.fresh)
        {
            return Ok(key.clone());
        }
        match (Arc::clone(&self.shared.asking).try_lock_owned(), key) {
            (Ok(turn), _) => self.ask(turn).await,
            // Somebody asks already, and this key is there.
            (Err(_), Some(_)) => {}
            (Err(_), None) => {
                let turn = Arc::clone(&self.shared.asking).lock_owned().await;
                self.ask(turn).await;
            }
        }
        let known = self.shared.known();
        if !known.is_younger(self.pace.oldest) {
            return Err(TokenError::NoKeys);
        }
        known.find(id, algorithm).ok_or(TokenError::Key)
    }

    /// Asks the issuer, unless that was done just now.
    async fn ask(&self, turn: OwnedMutexGuard<()>) {
        let asked = self.shared.known().asked;
        if asked.is_some_and(|asked| asked.elapsed() < self.pace.again) {
            return;
        }
        let shared = Arc::clone(&self.shared);
        // It goes on when the client goes away, or else a client could keep the others from ever getting keys.
        let asking = tokio::spawn(async move {
            shared.change(|known| known.asked = Some(Instant::now()));
            match shared.fetch().await {
                Ok(keys) => shared.change(|known| {
                    known.keys = keys;
                    known.since = Some(Instant::now());
                }),
                Err(reason) => tracing::warn!("the keys of an issuer cannot be had: {reason}"),
            }
            drop(turn);
        });
        let _ = asking.await;
    }
}

impl Shared {
    fn known(&self) -> Known {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.clone()
    }

    fn change(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.known.write().unwrap_or_else(PoisonError::into_inner));
    }

    async fn fetch(&self) -> Result<Arc<[Key]>, String> {
        let place = match &self.place {
            KeyPlace::At(url) => url.clone(),
            KeyPlace::OfIssuer(issuer) => self.http.key_place(issuer).await?,
        };
        let document: Option<Document> = self.http.document(&place).await?;
        let document = document.ok_or_else(|| format!("there is no JWK set at {place}"))?;
        if document.keys.len() > MAX_KEYS {
            return Err(format!("there are more than {MAX_KEYS} keys at {place}"));
        }
        let keys = document.keys.into_iter();
        let keys: Arc<[Key]> = keys
            .filter_map(|key| Key::of(key, &self.algorithms))
            .collect();
        if keys.is_empty() {
            return Err(format!(
                "there is no key at {place} that could have signed in a way that is accepted"
            ));
        }
        Ok(keys)
    }
}

impl Known {
    fn is_younger(&self, age: Duration) -> bool {
        self.since.is_some_and(|since| since.elapsed() < age)
    }

    fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<DecodingKey> {
        let fits = |key: &&Key| {
            key.algorithms.contains(&algorithm) && (id.is_none() || key.id.as_deref() == id)
        };
        let mut fitting = self.keys.iter().filter(fits);
        let first = fitting.next()?;
        // Without a name, it is the only one or none.
        (id.is_some() || fitting.next().is_none()).then(|| first.public.clone())
    }
}

impl Key {
    /// A key of a document; `None` if it is for something else, or is not understood.
    fn of(value: Value, accepted: &[Algorithm]) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value).ok()?;
        let common = &jwk.common;
        let signs = matches!(common.public_key_use, None | Some(PublicKeyUse::Signature));
        let verifies = common
            .key_operations
            .as_ref()
            .is_none_or(|operations| operations.contains(&KeyOperations::Verify));
        if !signs || !verifies {
            return None;
        }
        let able: &[Algorithm] = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => &RSA,
            AlgorithmParameters::EllipticCurve(point) => match point.curve {
                EllipticCurve::P256 => &[Algorithm::ES256],
                EllipticCurve::P384 => &[Algorithm::ES384],
                _ => &[],
            },
            AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
                &[Algorithm::EdDSA]
            }
            // A key that both sides have is none that is published.
            _ => &[],
        };
        let named = |algorithm: &Algorithm| {
            common.key_algorithm.is_none_or(|named| {
                Algorithm::try_from(named).is_ok_and(|named| named == *algorithm)
            })
        };
        let algorithms: Vec<_> = able
            .iter()
            .filter(|algorithm| named(algorithm) && accepted.contains(algorithm))
            .copied()
            .collect();
        if algorithms.is_empty() {
            return None;
        }
        Some(Self {
            id: common.key_id.clone(),
            algorithms,
            public: DecodingKey::from_jwk(&jwk).ok()?,
        })
    }
}
