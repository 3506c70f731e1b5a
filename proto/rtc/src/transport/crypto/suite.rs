//! Cipher suites: AES-128-GCM, which every peer must have (RFC 8446 9.1, RFC 8827 6.5), and ChaCha20-Poly1305.

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use dimpl::crypto::{
    Aad, Buf, Cipher, Dtls12CipherSuite, Dtls13CipherSuite, HashAlgorithm, Nonce, SupportedDtls12CipherSuite,
    SupportedDtls13CipherSuite, TmpBuf,
};
use dimpl::{CryptoError, CryptoOperation};
use ring::aead::{self, AES_128_GCM, CHACHA20_POLY1305, LessSafeKey, UnboundKey, quic};

const TAG_LEN: usize = 16;

pub(super) static DTLS_12: &[&dyn SupportedDtls12CipherSuite] =
    &[&Suite12(Algorithm::Aes128Gcm), &Suite12(Algorithm::ChaCha20Poly1305)];

pub(super) static DTLS_13: &[&dyn SupportedDtls13CipherSuite] =
    &[&Suite13(Algorithm::Aes128Gcm), &Suite13(Algorithm::ChaCha20Poly1305)];

#[derive(Clone, Copy, Debug)]
enum Algorithm {
    Aes128Gcm,
    ChaCha20Poly1305,
}

#[derive(Debug)]
struct Suite12(Algorithm);

#[derive(Debug)]
struct Suite13(Algorithm);

#[derive(Debug)]
struct Sealed(LessSafeKey);

impl Algorithm {
    fn key_len(self) -> usize {
        match self {
            Self::Aes128Gcm => 16,
            Self::ChaCha20Poly1305 => 32,
        }
    }

    fn cipher(self, key: &[u8]) -> Result<Box<dyn Cipher>, CryptoError> {
        let algorithm = match self {
            Self::Aes128Gcm => &AES_128_GCM,
            Self::ChaCha20Poly1305 => &CHACHA20_POLY1305,
        };
        let failed = |_| CryptoError::OperationFailed(CryptoOperation::CreateCipher);
        Ok(Box::new(Sealed(LessSafeKey::new(UnboundKey::new(algorithm, key).map_err(failed)?))))
    }
}

impl Cipher for Sealed {
    fn encrypt(&mut self, plaintext: &mut Buf, aad: Aad, nonce: Nonce) -> Result<(), CryptoError> {
        let nonce = aead::Nonce::assume_unique_for_key(nonce.0);
        let tag = self.0.seal_in_place_separate_tag(nonce, aead::Aad::from(&aad[..]), plaintext.as_mut());
        let tag = tag.map_err(|_| CryptoError::OperationFailed(CryptoOperation::Encrypt))?;
        plaintext.extend_from_slice(tag.as_ref());
        Ok(())
    }

    fn decrypt(&mut self, ciphertext: &mut TmpBuf, aad: Aad, nonce: Nonce) -> Result<(), CryptoError> {
        let nonce = aead::Nonce::assume_unique_for_key(nonce.0);
        let plaintext = self.0.open_in_place(nonce, aead::Aad::from(&aad[..]), ciphertext.as_mut());
        let len = plaintext.map_err(|_| CryptoError::OperationFailed(CryptoOperation::Decrypt))?.len();
        ciphertext.truncate(len);
        Ok(())
    }
}

impl SupportedDtls12CipherSuite for Suite12 {
    fn suite(&self) -> Dtls12CipherSuite {
        match self.0 {
            Algorithm::Aes128Gcm => Dtls12CipherSuite::ECDHE_ECDSA_AES128_GCM_SHA256,
            Algorithm::ChaCha20Poly1305 => Dtls12CipherSuite::ECDHE_ECDSA_CHACHA20_POLY1305_SHA256,
        }
    }

    fn hash_algorithm(&self) -> HashAlgorithm {
        HashAlgorithm::SHA256
    }

    fn key_lengths(&self) -> (usize, usize, usize) {
        let fixed_iv_len = match self.0 {
            Algorithm::Aes128Gcm => 4,
            Algorithm::ChaCha20Poly1305 => 12,
        };
        (0, self.0.key_len(), fixed_iv_len)
    }

    fn explicit_nonce_len(&self) -> usize {
        match self.0 {
            Algorithm::Aes128Gcm => 8,
            Algorithm::ChaCha20Poly1305 => 0,
        }
    }

    fn tag_len(&self) -> usize {
        TAG_LEN
    }

    fn create_cipher(&self, key: &[u8]) -> Result<Box<dyn Cipher>, CryptoError> {
        self.0.cipher(key)
    }
}

impl SupportedDtls13CipherSuite for Suite13 {
    fn suite(&self) -> Dtls13CipherSuite {
        match self.0 {
            Algorithm::Aes128Gcm => Dtls13CipherSuite::AES_128_GCM_SHA256,
            Algorithm::ChaCha20Poly1305 => Dtls13CipherSuite::CHACHA20_POLY1305_SHA256,
        }
    }

    fn hash_algorithm(&self) -> HashAlgorithm {
        HashAlgorithm::SHA256
    }

    fn key_len(&self) -> usize {
        self.0.key_len()
    }

    fn iv_len(&self) -> usize {
        12
    }

    fn tag_len(&self) -> usize {
        TAG_LEN
    }

    fn create_cipher(&self, key: &[u8]) -> Result<Box<dyn Cipher>, CryptoError> {
        self.0.cipher(key)
    }

    /// RFC 9147 4.2.3. `ring` yields five bytes of a mask, which is more than a record's number has; for AES the whole
    /// block is asked for, and `ring` has no plain AES.
    fn encrypt_sn(&self, key: &[u8], sample: &[u8; 16]) -> [u8; 16] {
        let mut mask = [0; 16];
        match self.0 {
            Algorithm::Aes128Gcm => {
                let Ok(cipher) = Aes128::new_from_slice(key) else { return mask };
                let mut block = (*sample).into();
                cipher.encrypt_block(&mut block);
                mask = block.into();
            }
            Algorithm::ChaCha20Poly1305 => {
                let Ok(key) = quic::HeaderProtectionKey::new(&quic::CHACHA20, key) else { return mask };
                if let (Ok(bytes), Some(room)) = (key.new_mask(sample), mask.first_chunk_mut()) {
                    *room = bytes;
                }
            }
        }
        mask
    }
}
