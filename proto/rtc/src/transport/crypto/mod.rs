//! What DTLS needs of cryptography, from `ring` (docs/decisions/0008).
//!
//! Ephemeral keys and signatures draw from the system's random generator: `ring` offers no other way, and keys that a
//! seed could replay would be a danger. All other randomness of the transport comes from its seed.

use dimpl::crypto::CryptoProvider;
use ring::rand::SystemRandom;

pub(super) mod der;
mod digest;
mod exchange;
mod signature;
mod suite;

/// The provider that every DTLS instance of ours uses.
pub(super) fn provider() -> CryptoProvider {
    CryptoProvider {
        kx_groups: exchange::GROUPS,
        signature_verification: &signature::Verifier,
        key_provider: &signature::Keys,
        secure_random: &digest::Random,
        hash_provider: &digest::Hashes,
        hmac_provider: &digest::Hmacs,
        cipher_suites: suite::DTLS_12,
        dtls13_cipher_suites: suite::DTLS_13,
    }
}

/// The system's random generator: see the module.
#[expect(clippy::disallowed_methods, reason = "keys come from the system, never from a seed")]
pub(super) fn system_random() -> SystemRandom {
    SystemRandom::new()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_provider_passes_the_known_answers_of_dimpl() {
        super::provider().validate().expect("known answers");
    }
}
