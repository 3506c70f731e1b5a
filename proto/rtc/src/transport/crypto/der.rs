//! As much of X.509 as fingerprints need (RFC 5280 4.1): a self-signed certificate is written, and the key is read from
//! the peer's. Nobody vouches for it but the signaled fingerprint, so nothing else in it is looked at.

use dimpl::CryptoError;
use dimpl::crypto::NamedGroup;

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTF8_STRING: u8 = 0x0c;
const UTC_TIME: u8 = 0x17;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const VERSION: u8 = 0xa0;

const ID_EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const SECP256R1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const SECP384R1: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const ECDSA_WITH_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

/// The public key of a certificate.
pub(super) struct EcPublicKey<'a> {
    pub(super) curve: NamedGroup,
    /// Uncompressed.
    pub(super) point: &'a [u8],
}

/// Reads the SubjectPublicKeyInfo of a certificate.
pub(super) fn ec_public_key(certificate: &[u8]) -> Result<EcPublicKey<'_>, CryptoError> {
    let (certificate, _) = expect(certificate, SEQUENCE).ok_or(CryptoError::CertificateParseFailed)?;
    let (mut fields, _) = expect(certificate, SEQUENCE).ok_or(CryptoError::CertificateParseFailed)?;
    if let Some((_, rest)) = expect(fields, VERSION) {
        fields = rest;
    }
    for tag in [INTEGER, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE] {
        (_, fields) = expect(fields, tag).ok_or(CryptoError::CertificateParseFailed)?;
    }
    let (info, _) = expect(fields, SEQUENCE).ok_or(CryptoError::CertificateParseFailed)?;
    let (algorithm, info) = expect(info, SEQUENCE).ok_or(CryptoError::CertificateParseFailed)?;
    let (kind, parameters) =
        expect(algorithm, OBJECT_IDENTIFIER).ok_or(CryptoError::CertificateParseFailed)?;
    if kind != ID_EC_PUBLIC_KEY {
        return Err(CryptoError::UnsupportedPublicKeyAlgorithm);
    }
    let (curve, _) = expect(parameters, OBJECT_IDENTIFIER).ok_or(CryptoError::MissingEcCurveParameter)?;
    let curve = match curve {
        SECP256R1 => NamedGroup::Secp256r1,
        SECP384R1 => NamedGroup::Secp384r1,
        _ => return Err(CryptoError::UnsupportedEcCurve),
    };
    match expect(info, BIT_STRING) {
        Some(([0, point @ ..], _)) => Ok(EcPublicKey { curve, point }),
        _ => Err(CryptoError::InvalidSubjectPublicKey),
    }
}

/// A value with this tag, and what follows it.
fn expect(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[first, len], rest) = bytes.split_first_chunk()?;
    if first != tag {
        return None;
    }
    let (len, rest) = match len {
        0..=0x7f => (usize::from(len), rest),
        0x81 => rest.split_first().map(|(&len, rest)| (usize::from(len), rest))?,
        0x82 => rest.split_first_chunk().map(|(&len, rest)| (usize::from(u16::from_be_bytes(len)), rest))?,
        _ => return None,
    };
    rest.split_at_checked(len)
}

/// A version 3 certificate for an uncompressed P-256 point; `sign` signs what it is given with ECDSA and SHA-256.
///
/// It is valid from 2020 to 2049: peers look at the fingerprint, and we have no clock.
pub(in super::super) fn self_signed<E>(
    point: &[u8],
    serial: [u8; 16],
    sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, E>,
) -> Result<Vec<u8>, E> {
    let mut serial = serial;
    // Positive, and without a leading zero.
    serial[0] = serial[0] & 0x7f | 0x40;
    let algorithm = value(SEQUENCE, &[&value(OBJECT_IDENTIFIER, &[ECDSA_WITH_SHA256])]);
    let common_name = [value(OBJECT_IDENTIFIER, &[COMMON_NAME]), value(UTF8_STRING, &[b"twocan"])].concat();
    let name = value(SEQUENCE, &[&value(SET, &[&value(SEQUENCE, &[&common_name])])]);
    let validity =
        value(SEQUENCE, &[&value(UTC_TIME, &[b"200101000000Z"]), &value(UTC_TIME, &[b"491231235959Z"])]);
    let key_kind =
        [value(OBJECT_IDENTIFIER, &[ID_EC_PUBLIC_KEY]), value(OBJECT_IDENTIFIER, &[SECP256R1])].concat();
    let key = value(SEQUENCE, &[&value(SEQUENCE, &[&key_kind]), &value(BIT_STRING, &[&[0], point])]);
    let version = value(VERSION, &[&value(INTEGER, &[&[2]])]);
    let serial = value(INTEGER, &[&serial]);
    let fields = value(SEQUENCE, &[&version, &serial, &algorithm, &name, &validity, &name, &key]);
    let signature = sign(&fields)?;
    Ok(value(SEQUENCE, &[&fields, &algorithm, &value(BIT_STRING, &[&[0], &signature])]))
}

fn value(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    let mut bytes = vec![tag];
    match u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes() {
        [0, len @ 0..=0x7f] => bytes.push(len),
        [0, len] => bytes.extend([0x81, len]),
        [high, low] => bytes.extend([0x82, high, low]),
    }
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    bytes
}
