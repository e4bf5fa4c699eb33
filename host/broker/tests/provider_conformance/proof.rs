//! The proof that a request comes from who has the key (RFC 9449), as a server checks it.

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, VerifyingKey};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// What a proof says that holds.
pub(crate) struct Proven {
    /// The thumbprint of the key (RFC 7638).
    pub(crate) key: String,
    pub(crate) id: String,
    pub(crate) nonce: Option<String>,
}

/// Checks a proof of a request to `url`; one to an API names the access token.
pub(crate) fn check(proof: &str, method: &str, url: &str, access: Option<&str>) -> Result<Proven> {
    ensure!(!proof.is_empty(), "`DPoP` is missing");
    let parts: Vec<_> = proof.split('.').collect();
    ensure!(parts.len() == 3, "`{proof}` is no JWT");
    let (header, claims) = (document(parts[0])?, document(parts[1])?);
    let text = |document: &Value, pointer: &str| {
        let found = document.pointer(pointer).and_then(Value::as_str);
        found
            .map(str::to_owned)
            .with_context(|| format!("a proof lacks `{pointer}`"))
    };
    let named = |document, pointer, expected: &str| {
        let found = text(document, pointer)?;
        ensure!(
            found == expected,
            "in a proof, `{pointer}` is `{found}`, not `{expected}`"
        );
        anyhow::Ok(())
    };
    named(&header, "/typ", "dpop+jwt")?;
    named(&header, "/alg", "ES256")?;
    named(&header, "/jwk/kty", "EC")?;
    named(&header, "/jwk/crv", "P-256")?;
    ensure!(
        header.pointer("/jwk/d").is_none(),
        "a proof holds the private key"
    );
    let (x, y) = (text(&header, "/jwk/x")?, text(&header, "/jwk/y")?);
    // SEC 1 §2.3.3: a byte 4, and the two coordinates.
    let point = [
        vec![4],
        URL_SAFE_NO_PAD.decode(&x)?,
        URL_SAFE_NO_PAD.decode(&y)?,
    ]
    .concat();
    let signed = format!("{}.{}", parts[0], parts[1]);
    let signature = Signature::from_slice(&URL_SAFE_NO_PAD.decode(parts[2])?)?;
    VerifyingKey::from_sec1_bytes(&point)?
        .verify(signed.as_bytes(), &signature)
        .context("a proof is signed by another key")?;
    named(&claims, "/htm", method)?;
    named(&claims, "/htu", url)?;
    let at = claims["iat"].as_u64().context("a proof has no time")?;
    ensure!(crate::flows::now().abs_diff(at) < 60, "a proof is of {at}");
    match access {
        Some(access) => {
            let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(access));
            named(&claims, "/ath", &hash)?;
        }
        None => ensure!(claims.get("ath").is_none(), "`ath` should not be there"),
    }
    let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    Ok(Proven {
        key: URL_SAFE_NO_PAD.encode(Sha256::digest(canonical)),
        id: text(&claims, "/jti")?,
        nonce: text(&claims, "/nonce").ok(),
    })
}

fn document(part: &str) -> Result<Value> {
    Ok(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part)?)?)
}
