//! Why one side refuses the other's handshake: in a fatal alert (RFC 8446 6), or in words of ours.

use std::fmt;

use dimpl::{CertificateError, CryptoError, Error, SecurityError};

/// The description of an alert, as sent by the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Alert(pub u8);

impl Alert {
    /// Handshake parameters that do not fit: no suite, group or kind of certificate that both have.
    pub const HANDSHAKE_FAILURE: Alert = Alert(40);
    /// The certificate is not the one that is expected (RFC 8122 5).
    pub const BAD_CERTIFICATE: Alert = Alert(42);
    /// A certificate of a kind that cannot be used.
    pub const UNSUPPORTED_CERTIFICATE: Alert = Alert(43);
    /// A choice that was not offered.
    pub const ILLEGAL_PARAMETER: Alert = Alert(47);
    /// A version that is not spoken.
    pub const PROTOCOL_VERSION: Alert = Alert(70);
    /// No certificate, where one is needed.
    pub const CERTIFICATE_REQUIRED: Alert = Alert(116);

    /// Its name in RFC 8446 6, and RFC 5246 7.2 before it.
    pub fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0 => "close_notify",
            10 => "unexpected_message",
            20 => "bad_record_mac",
            21 => "decryption_failed",
            22 => "record_overflow",
            30 => "decompression_failure",
            40 => "handshake_failure",
            41 => "no_certificate",
            42 => "bad_certificate",
            43 => "unsupported_certificate",
            44 => "certificate_revoked",
            45 => "certificate_expired",
            46 => "certificate_unknown",
            47 => "illegal_parameter",
            48 => "unknown_ca",
            49 => "access_denied",
            50 => "decode_error",
            51 => "decrypt_error",
            52 => "too_many_cids_requested",
            60 => "export_restriction",
            70 => "protocol_version",
            71 => "insufficient_security",
            80 => "internal_error",
            86 => "inappropriate_fallback",
            90 => "user_canceled",
            100 => "no_renegotiation",
            109 => "missing_extension",
            110 => "unsupported_extension",
            111 => "certificate_unobtainable",
            112 => "unrecognized_name",
            113 => "bad_certificate_status_response",
            114 => "bad_certificate_hash_value",
            115 => "unknown_psk_identity",
            116 => "certificate_required",
            120 => "no_application_protocol",
            _ => return None,
        })
    }
}

impl fmt::Display for Alert {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => formatter.write_str(name),
            None => write!(formatter, "alert {}", self.0),
        }
    }
}

/// What does not fit in the peer's handshake, so that we ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Refusal {
    /// It speaks no version of DTLS that we do.
    #[error("it speaks another version of DTLS")]
    Version,
    /// It has no suite that we have, or chose one that we did not offer.
    #[error("it has no cipher suite that we have")]
    CipherSuite,
    /// It has no group that we have, or chose one that we did not offer.
    #[error("it has no key exchange that we have")]
    KeyExchange,
    /// It cannot do the extended master secret (RFC 7627).
    #[error("it lacks the extended master secret")]
    MasterSecret,
    /// It sent no certificate: perhaps it has none of a kind that we asked for, which is ECDSA.
    #[error("it has no certificate that we can use, which is ECDSA on P-256 or P-384")]
    NoCertificate,
    /// Its certificate is RSA, or another that we cannot verify.
    #[error("its certificate is not ECDSA on P-256 or P-384")]
    CertificateKind,
    /// It signed in a way that we did not offer.
    #[error("it signs in a way that we did not offer")]
    Signature,
}

impl Refusal {
    /// What an error of the handshake means, if it says that the two do not fit. All others may be a stranger's doing.
    pub(super) fn of(error: &Error) -> Option<Refusal> {
        Some(match error {
            Error::CertificateError(
                CertificateError::NoServerCertificateReceived | CertificateError::NoClientCertificateReceived,
            ) => Refusal::NoCertificate,
            Error::CertificateError(_)
            | Error::CryptoError(
                CryptoError::UnsupportedPublicKeyAlgorithm
                | CryptoError::UnsupportedEcCurve
                | CryptoError::CertificateParseFailed
                | CryptoError::MissingEcCurveParameter
                | CryptoError::InvalidEcCurveParameter
                | CryptoError::InvalidSubjectPublicKey,
            ) => Refusal::CertificateKind,
            Error::CryptoError(
                CryptoError::SignatureAlgorithmNotOfferedByClient
                | CryptoError::SignatureAlgorithmMismatch { .. }
                | CryptoError::UnsupportedSignaturePair { .. }
                | CryptoError::UnsupportedSignatureVerification { .. },
            ) => Refusal::Signature,
            Error::CryptoError(
                CryptoError::KeyExchangeGroupNotFound(_)
                | CryptoError::UnsupportedKeyExchangeGroup(_)
                | CryptoError::UnsupportedEcdheNamedGroup(_),
            ) => Refusal::KeyExchange,
            Error::SecurityError(error) => Refusal::of_security(error)?,
            _ => return None,
        })
    }

    fn of_security(error: &SecurityError) -> Option<Refusal> {
        use SecurityError as E;
        Some(match error {
            E::UnsupportedHelloVerifyRequestVersion(_)
            | E::UnsupportedServerVersion(_)
            | E::UnsupportedClientVersion(_)
            | E::ClientHelloLegacyVersionNotDtls12
            | E::ServerHelloLegacyVersionNotDtls12
            | E::ClientHelloMissingDtls13SupportedVersions
            | E::ServerDidNotNegotiateDtls13
            | E::HrrDidNotSelectDtls13 => Refusal::Version,
            E::ServerSelectedUnknownCipherSuite
            | E::ServerSelectedIncompatibleCipherSuite(_)
            | E::ServerSelectedDisallowedCipherSuite(_)
            | E::ServerSelectedDisallowedDtls13CipherSuite(_)
            | E::HrrSelectedDisallowedCipherSuite
            | E::NoMutuallyAcceptableCipherSuite
            | E::NoCommonCipherSuite => Refusal::CipherSuite,
            E::NoCommonKeyExchangeGroup
            | E::UnsupportedKeyExchangeAlgorithm
            | E::ServerMissingKeyShare
            | E::ServerKeyShareGroupMismatch { .. } => Refusal::KeyExchange,
            E::ExtendedMasterSecretNotNegotiated => Refusal::MasterSecret,
            E::SignatureSchemeNotOffered(_)
            | E::SignatureAlgorithmMismatch { .. }
            | E::UnsupportedSignatureScheme(_)
            | E::SignatureSchemeCertificateCurveMismatch { .. } => Refusal::Signature,
            _ => return None,
        })
    }

    /// How the peer is told.
    pub fn alert(self) -> Alert {
        match self {
            Refusal::Version => Alert::PROTOCOL_VERSION,
            Refusal::CipherSuite | Refusal::KeyExchange | Refusal::MasterSecret => Alert::HANDSHAKE_FAILURE,
            Refusal::NoCertificate => Alert::CERTIFICATE_REQUIRED,
            Refusal::CertificateKind => Alert::UNSUPPORTED_CERTIFICATE,
            Refusal::Signature => Alert::ILLEGAL_PARAMETER,
        }
    }
}
