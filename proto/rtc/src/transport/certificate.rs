//! The certificate of one end, and fingerprints by which the other knows it (RFC 8122).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use ring::error::Unspecified;
use ring::rand;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};

use super::crypto;

/// A self-signed ECDSA P-256 certificate and its key. Cloning shares both.
#[derive(Clone)]
pub struct Certificate(Arc<Inner>);

struct Inner {
    certificate: Vec<u8>,
    private_key: Vec<u8>,
}

impl Certificate {
    /// Makes a new key, from the system's random generator, and a certificate of it.
    pub fn generate() -> Self {
        Self::try_generate().expect("the system's random generator works")
    }

    fn try_generate() -> Result<Self, Unspecified> {
        let random = crypto::system_random();
        let private_key =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random)?.as_ref().to_vec();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &private_key, &random)
            .map_err(|_| Unspecified)?;
        let serial = rand::generate(&random)?.expose();
        let certificate = crypto::der::self_signed(key.public_key().as_ref(), serial, |bytes| {
            Ok::<_, Unspecified>(key.sign(&random, bytes)?.as_ref().to_vec())
        })?;
        Ok(Self(Arc::new(Inner { certificate, private_key })))
    }

    /// SHA-256 over the certificate.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::sha256(&self.0.certificate)
    }

    /// The certificate (X.509, DER).
    pub fn der(&self) -> &[u8] {
        &self.0.certificate
    }

    pub(super) fn private_key(&self) -> &[u8] {
        &self.0.private_key
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Certificate").field(&self.fingerprint()).finish()
    }
}

/// A certificate's fingerprint, as in SDP: `sha-256 AB:CD:…`. Hash functions that we do not know are kept, so that they can
/// be passed over in favour of one that we do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    hash: String,
    bytes: Vec<u8>,
}

impl Fingerprint {
    /// SHA-256 over a certificate (DER).
    pub fn sha256(certificate: &[u8]) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, certificate);
        Self { hash: "sha-256".into(), bytes: digest.as_ref().to_vec() }
    }

    /// The hash function's name in lower case.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The digest.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether this certificate (DER) has this fingerprint; no, where the hash function is unknown.
    pub fn matches(&self, certificate: &[u8]) -> bool {
        let algorithm = match self.hash.as_str() {
            "sha-256" => &ring::digest::SHA256,
            "sha-384" => &ring::digest::SHA384,
            "sha-512" => &ring::digest::SHA512,
            _ => return false,
        };
        ring::digest::digest(algorithm, certificate).as_ref() == self.bytes
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ", self.hash)?;
        for (index, byte) in self.bytes.iter().enumerate() {
            let colon = if index == 0 { "" } else { ":" };
            write!(formatter, "{colon}{byte:02X}")?;
        }
        Ok(())
    }
}

/// Not a fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a fingerprint")]
pub struct FingerprintError;

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    /// `sha-256 AB:CD:…`, in either case (RFC 8122 5).
    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        const DIGEST_LEN_MAX: usize = 64;
        let (hash, digits) = text.trim().split_once(' ').ok_or(FingerprintError)?;
        let token = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if hash.is_empty() || hash.len() > 32 || !hash.bytes().all(token) {
            return Err(FingerprintError);
        }
        let mut bytes = Vec::new();
        for pair in digits.trim().split(':') {
            if pair.len() != 2
                || !pair.bytes().all(|byte| byte.is_ascii_hexdigit())
                || bytes.len() == DIGEST_LEN_MAX
            {
                return Err(FingerprintError);
            }
            bytes.push(u8::from_str_radix(pair, 16).map_err(|_| FingerprintError)?);
        }
        Ok(Self { hash: hash.to_ascii_lowercase(), bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_as_it_is_written() {
        let fingerprint = Certificate::generate().fingerprint();
        assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint.clone()));
        assert_eq!(fingerprint.to_string().to_lowercase().parse(), Ok(fingerprint));
    }

    #[test]
    fn a_fingerprint_matches_its_certificate_alone() {
        let [one, other] = [Certificate::generate(), Certificate::generate()];
        assert!(one.fingerprint().matches(one.der()));
        assert!(!one.fingerprint().matches(other.der()));
        let sha512 = ring::digest::digest(&ring::digest::SHA512, one.der());
        let digits: Vec<String> = sha512.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let sha512: Fingerprint = format!("SHA-512 {}", digits.join(":")).parse().unwrap();
        assert!(sha512.matches(one.der()) && !sha512.matches(other.der()));
    }

    #[test]
    fn what_is_no_fingerprint_is_refused() {
        let long = format!("sha-256 {}", ["00"; 65].join(":"));
        for text in
            ["", "sha-256", "sha-256 ", "sha-256 0", "sha-256 0g", "sha-256 00:", "sha 256 00", "ß 00", &long]
        {
            assert_eq!(text.parse::<Fingerprint>(), Err(FingerprintError), "{text}");
        }
    }
}
