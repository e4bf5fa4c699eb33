//! Signatures, as *ring* checks them: the cryptography that TLS uses here too.

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::signature::{Error as Mismatch, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, EncodingKey};
use ring::error::Unspecified;
use ring::signature::{self as scheme, RsaParameters, VerificationAlgorithm};

static RING: CryptoProvider = CryptoProvider {
    signer_factory: signer,
    verifier_factory: verifier,
    // They are asked for only where keys are made into JWKs.
    key_utils: KeyUtils::new_unimplemented(),
};

/// Lets *ring* check the signatures of this process.
pub(super) fn install() {
    // It is there already where this was called before.
    let _ = RING.install_default();
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the library wants it so")]
fn signer(_: &Algorithm, _: &EncodingKey) -> Result<Box<dyn JwtSigner>, Error> {
    Err(ErrorKind::UnsupportedAlgorithm.into())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the library wants it so")]
fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    if key.family() != algorithm.family() {
        return Err(ErrorKind::InvalidKeyFormat.into());
    }
    Ok(Box::new(Ring {
        algorithm: *algorithm,
        key: key.clone(),
    }))
}

struct Ring {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl JwtVerifier for Ring {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl Verifier<Vec<u8>> for Ring {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), Mismatch> {
        let point = |algorithm: &'static dyn VerificationAlgorithm| match self.key.kind() {
            DecodingKeyKind::SecretOrDer(key) => {
                scheme::UnparsedPublicKey::new(algorithm, key).verify(message, signature)
            }
            DecodingKeyKind::RsaModulusExponent { .. } => Err(Unspecified),
        };
        let rsa = |parameters: &RsaParameters| match self.key.kind() {
            DecodingKeyKind::RsaModulusExponent { n, e } => scheme::RsaPublicKeyComponents {
                n: without_zeros(n),
                e: without_zeros(e),
            }
            .verify(parameters, message, signature),
            DecodingKeyKind::SecretOrDer(_) => Err(Unspecified),
        };
        match self.algorithm {
            Algorithm::RS256 => rsa(&scheme::RSA_PKCS1_2048_8192_SHA256),
            Algorithm::RS384 => rsa(&scheme::RSA_PKCS1_2048_8192_SHA384),
            Algorithm::RS512 => rsa(&scheme::RSA_PKCS1_2048_8192_SHA512),
            Algorithm::PS256 => rsa(&scheme::RSA_PSS_2048_8192_SHA256),
            Algorithm::PS384 => rsa(&scheme::RSA_PSS_2048_8192_SHA384),
            Algorithm::PS512 => rsa(&scheme::RSA_PSS_2048_8192_SHA512),
            Algorithm::ES256 => point(&scheme::ECDSA_P256_SHA256_FIXED),
            Algorithm::ES384 => point(&scheme::ECDSA_P384_SHA384_FIXED),
            Algorithm::EdDSA => point(&scheme::ED25519),
            // Who checks such a signature can make one.
            _ => Err(Unspecified),
        }
        .map_err(|_| Mismatch::new())
    }
}

/// Some servers write a number with zeros before it, which *ring* takes for a mistake.
fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}
