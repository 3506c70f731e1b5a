//! ECDSA: our key signs, the peer's certificate verifies. Nothing but ECDSA is offered, so nothing else need be read.

use dimpl::crypto::{
    Buf, HashAlgorithm, KeyProvider, NamedGroup, SignatureAlgorithm, SignatureVerifier, SigningKey,
    check_verify_scheme,
};
use dimpl::{CryptoError, CryptoOperation};
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA384_ASN1, ECDSA_P384_SHA256_ASN1,
    ECDSA_P384_SHA384_ASN1, EcdsaKeyPair, EcdsaVerificationAlgorithm, UnparsedPublicKey,
};

use super::der;

#[derive(Debug)]
pub(super) struct Verifier;

#[derive(Debug)]
pub(super) struct Keys;

#[derive(Debug)]
struct Key(EcdsaKeyPair);

impl KeyProvider for Keys {
    fn load_private_key(&self, pkcs8: &[u8]) -> Result<Box<dyn SigningKey>, CryptoError> {
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8, &super::system_random());
        Ok(Box::new(Key(key.map_err(|_| CryptoError::InvalidPrivateKey)?)))
    }
}

impl SigningKey for Key {
    fn sign(&mut self, data: &[u8], hash: HashAlgorithm, out: &mut Buf) -> Result<(), CryptoError> {
        if hash != HashAlgorithm::SHA256 {
            return Err(CryptoError::SigningKeyHashMismatch {
                key_hash: HashAlgorithm::SHA256,
                requested: hash,
            });
        }
        let signature = self.0.sign(&super::system_random(), data);
        let signature = signature.map_err(|_| CryptoError::OperationFailed(CryptoOperation::Sign))?;
        out.clear();
        out.extend_from_slice(signature.as_ref());
        Ok(())
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }

    fn hash_algorithm(&self) -> HashAlgorithm {
        HashAlgorithm::SHA256
    }

    fn supported_hash_algorithms(&self) -> &[HashAlgorithm] {
        &[HashAlgorithm::SHA256]
    }
}

impl SignatureVerifier for Verifier {
    fn check_certificate(&self, certificate: &[u8]) -> Result<(), CryptoError> {
        der::ec_public_key(certificate).map(|_| ())
    }

    fn verify_signature(
        &self,
        certificate: &[u8],
        data: &[u8],
        signature: &[u8],
        hash: HashAlgorithm,
        algorithm: SignatureAlgorithm,
    ) -> Result<(), CryptoError> {
        let key = der::ec_public_key(certificate)?;
        check_verify_scheme(algorithm, hash, key.curve)?;
        let verification: &EcdsaVerificationAlgorithm = match (key.curve, hash) {
            (NamedGroup::Secp256r1, HashAlgorithm::SHA256) => &ECDSA_P256_SHA256_ASN1,
            (NamedGroup::Secp256r1, HashAlgorithm::SHA384) => &ECDSA_P256_SHA384_ASN1,
            (NamedGroup::Secp384r1, HashAlgorithm::SHA256) => &ECDSA_P384_SHA256_ASN1,
            (NamedGroup::Secp384r1, HashAlgorithm::SHA384) => &ECDSA_P384_SHA384_ASN1,
            _ => return Err(CryptoError::UnsupportedEcCurve),
        };
        UnparsedPublicKey::new(verification, key.point).verify(data, signature).map_err(|_| {
            CryptoError::SignatureVerificationFailed { signature: algorithm, hash, group: key.curve }
        })
    }
}
