//! NONCE (RFC 8489 section 14.10), and what the nonce cookie says (section 9.2).

use super::shape::bytes;

bytes!(
    /// What the server wants to see again in the next request: fewer than 128 characters, at most 763 bytes. Bytes, since
    /// a client only repeats them.
    Nonce = NONCE, at most 763
);

/// What a nonce begins with if its server follows RFC 8489; four characters of base64 come next.
pub const NONCE_COOKIE: &[u8; 9] = b"obMatJos2";

/// The security features that a server announces in its nonce (RFC 8489 section 18.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SecurityFeatures {
    /// Bit 0: PASSWORD-ALGORITHMS are offered.
    pub password_algorithms: bool,
    /// Bit 1: USERHASH is understood.
    pub username_anonymity: bool,
}

impl Nonce<'_> {
    /// The features announced; `None` if there is no nonce cookie. Unknown bits are ignored.
    pub fn security_features(&self) -> Option<SecurityFeatures> {
        let (first, _) = self.0.strip_prefix(NONCE_COOKIE)?.split_first_chunk::<4>()?;
        let mut bits = 0_u32;
        for &character in first {
            bits = bits << 6 | base64_value(character)?;
        }
        let bit = |n: u32| bits >> (23 - n) & 1 == 1;
        Some(SecurityFeatures { password_algorithms: bit(0), username_anonymity: bit(1) })
    }
}

/// The six bits of a character of base64 (RFC 4648 section 4).
fn base64_value(character: u8) -> Option<u32> {
    Some(u32::from(match character {
        b'A'..=b'Z' => character - b'A',
        b'a'..=b'z' => character - b'a' + 26,
        b'0'..=b'9' => character - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nonce_cookie_says_which_features_the_server_has() {
        let features = |nonce: &[u8]| Nonce(nonce).security_features();
        let of = |password_algorithms, username_anonymity| {
            Some(SecurityFeatures { password_algorithms, username_anonymity })
        };
        assert_eq!(features(b"obMatJos2AAAAf//499k"), of(false, false));
        assert_eq!(features(b"obMatJos2gAAAf//499k"), of(true, false));
        assert_eq!(features(b"obMatJos2QAAA"), of(false, true));
        assert_eq!(features(b"obMatJos2wAAA"), of(true, true));
        assert_eq!(features(b"obMatJos2AAA"), None, "cut short");
        assert_eq!(features(b"obMatJos2A=AA"), None, "not base64");
        assert_eq!(features(b"a nonce of RFC 5389"), None);
    }
}
