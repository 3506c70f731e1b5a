//! USERHASH (RFC 8489 section 14.4).

use super::shape::array;

array!(
    /// SHA-256 of `username:realm`, in place of a USERNAME that everyone could read.
    Userhash = USERHASH, 32
);

impl Userhash {
    /// The hash of that user in that realm. Both are taken as they are.
    pub fn of(username: &str, realm: &str) -> Userhash {
        Userhash(crate::integrity::sha256(&[username, ":", realm]))
    }
}
