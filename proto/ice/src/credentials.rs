//! The two words that each side makes up and tells the other through signaling (RFC 8445 section 5.3).

use std::fmt;

use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore as _, SeedableRng as _};

use crate::ParseError;

/// What the ICE alphabet has: letters, digits, `+` and `/` (RFC 8839 section 5.1).
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// A side's user name fragment and password. `Debug` does not show the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// 4 to 256 letters; ours have 8, which are 48 random bits.
    pub ufrag: String,
    /// 22 to 256 letters; ours have 24, which are 144 random bits.
    pub pwd: String,
}

impl Credentials {
    /// What a side was told of the other.
    ///
    /// # Errors
    /// `Ufrag` or `Pwd`: too short, too long, or other letters.
    pub fn new(ufrag: &str, pwd: &str) -> Result<Credentials, ParseError> {
        if !is_ice_text(ufrag, 4, 256) {
            return Err(ParseError::Ufrag);
        }
        if !is_ice_text(pwd, 22, 256) {
            return Err(ParseError::Pwd);
        }
        Ok(Credentials { ufrag: ufrag.to_owned(), pwd: pwd.to_owned() })
    }

    /// New ones, which nobody can guess who does not know the seed.
    pub fn generate(seed: [u8; 32]) -> Credentials {
        let mut rng = ChaCha20Rng::from_seed(seed);
        let mut text = |len: usize| -> String { (0..len).map(|_| letter(rng.next_u32())).collect() };
        Credentials { ufrag: text(8), pwd: text(24) }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("ufrag", &self.ufrag).finish_non_exhaustive()
    }
}

fn letter(random: u32) -> char {
    let index = (random % 64) as usize;
    char::from(ALPHABET.get(index).copied().unwrap_or(b'A'))
}

/// Whether these are `min` to `max` letters of the ICE alphabet.
pub(crate) fn is_ice_text(text: &str, min: usize, max: usize) -> bool {
    (min..=max).contains(&text.len()) && text.bytes().all(|byte| ALPHABET.contains(&byte))
}
