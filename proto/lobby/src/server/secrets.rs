//! Keys, and comparing in constant time: every secret is checked as an HMAC tag, by `ring`.

use ring::hmac;

/// The keys of the machine.
pub struct Keys {
    /// Signs tickets; the same on every node.
    pub(super) tickets: hmac::Key,
    /// Of this process alone: password tags, session secrets.
    pub(super) local: hmac::Key,
    /// Tags passwords; the same on every node, for a tag is in the tickets of a lobby.
    passwords: hmac::Key,
}

impl Keys {
    /// `tickets` signs tickets (`docs/protocol.md` §3); `local` never leaves the process and should be random.
    #[must_use]
    pub fn new(tickets: [u8; 32], local: [u8; 32]) -> Self {
        let tickets = hmac::Key::new(hmac::HMAC_SHA256, &tickets);
        Self {
            passwords: hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&tickets, b"passwords").as_ref()),
            tickets,
            local: hmac::Key::new(hmac::HMAC_SHA256, &local),
        }
    }

    /// A short name for these bytes that only this process can work out.
    pub(super) fn tag(&self, bytes: &[u8]) -> u64 {
        let tag = hmac::sign(&self.local, bytes);
        u64::from_be_bytes(*tag.as_ref().first_chunk().expect("a SHA-256 tag has 32 bytes"))
    }

    /// Whether `given` is `kept`, in a time that does not depend on either.
    pub(super) fn same(&self, kept: &[u8], given: &[u8]) -> bool {
        let tag = hmac::sign(&self.local, kept);
        hmac::verify(&self.local, given, tag.as_ref()).is_ok()
    }
}

/// A lobby's password, as the server and the lobby's tickets keep it: salted, hashed slowly, and tagged under a key of the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeptPassword {
    pub salt: [u8; 16],
    pub tag: [u8; 32],
}

impl KeptPassword {
    pub fn new(keys: &Keys, salt: [u8; 16], hash: &[u8; 32]) -> Self {
        let tag = hmac::sign(&keys.passwords, hash);
        Self { salt, tag: tag.as_ref().try_into().expect("a SHA-256 tag has 32 bytes") }
    }

    pub fn matches(&self, keys: &Keys, hash: &[u8; 32]) -> bool {
        hmac::verify(&keys.passwords, hash, &self.tag).is_ok()
    }
}
