//! Time-limited credentials: user name `expiry:id`, password = base64(HMAC-SHA1(key, user name)).
//!
//! The lobby's have the id `lobby.GROUP.PEER` and a key of their own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

use crate::news::{GroupId, MemberId};

/// What an id begins with that the lobby granted.
const LOBBY: &str = "lobby.";

/// The user name of a member's credential, good until `expires_unix` (Unix seconds).
pub fn username(expires_unix: u64, group: &str, peer: &str) -> String {
    format!("{expires_unix}:{LOBBY}{group}.{peer}")
}

/// The password that belongs to `username` under `key`: the operator's secret, or the [`grant_key`].
pub fn password(key: &[u8], username: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
    STANDARD.encode(hmac::sign(&key, username.as_bytes()))
}

/// The key of the lobby's credentials, from the operator's secret, so that all nodes agree on it.
pub fn grant_key(secret: &[u8]) -> [u8; 32] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let tag = hmac::sign(&key, b"twocan lobby grant");
    tag.as_ref().try_into().expect("HMAC-SHA256 has 32 bytes")
}

/// What a user name of the form `expiry:id` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TimeLimited {
    /// Unix seconds.
    pub expires: u64,
    /// Whom the lobby granted it; `None`: the operator's.
    pub grant: Option<(GroupId, MemberId)>,
}

/// Why a user name is not one of a time-limited credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotTimeLimited {
    /// It has another form: a static user's, perhaps.
    OtherForm,
    /// It begins with `expiry:lobby.`, but names no group or no member: nobody's.
    BadGrant,
}

/// Reads `expiry:id`.
pub(crate) fn parse(username: &str) -> Result<TimeLimited, NotTimeLimited> {
    let (expiry, id) = username.split_once(':').ok_or(NotTimeLimited::OtherForm)?;
    if expiry.is_empty() || !expiry.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NotTimeLimited::OtherForm);
    }
    let expires = expiry.parse().map_err(|_| NotTimeLimited::OtherForm)?;
    let Some(grant) = id.strip_prefix(LOBBY) else {
        return Ok(TimeLimited { expires, grant: None });
    };
    match grant.split_once('.') {
        Some((group, peer)) if !group.is_empty() && !peer.is_empty() => {
            Ok(TimeLimited { expires, grant: Some((GroupId::new(group), MemberId::new(peer))) })
        }
        _ => Err(NotTimeLimited::BadGrant),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_the_base64_of_an_hmac_sha1() {
        // printf 1790000000:alice | openssl dgst -sha1 -hmac north -binary | base64
        assert_eq!(password(b"north", "1790000000:alice"), "bkNQAGOiGcDMDatOUuHbbdAqDKY=");
    }

    #[test]
    fn a_lobby_user_name_is_read_back_as_it_was_written() {
        let parsed = parse(&username(1_790_000_000, "grp", "7HQK2M9D")).unwrap();
        assert_eq!(parsed.expires, 1_790_000_000);
        assert_eq!(parsed.grant, Some((GroupId::new("grp"), MemberId::new("7HQK2M9D"))));
    }

    #[test]
    fn an_id_that_begins_with_lobby_is_never_the_operators() {
        for name in ["1:lobby.", "1:lobby.x", "1:lobby..y", "1:lobby.x."] {
            assert_eq!(parse(name), Err(NotTimeLimited::BadGrant), "{name}");
        }
    }

    #[test]
    fn a_name_without_digits_before_the_colon_is_not_time_limited() {
        for name in ["alice", ":alice", "12a:alice", "-1:alice", "+1:alice", "99999999999999999999:alice"] {
            assert_eq!(parse(name), Err(NotTimeLimited::OtherForm), "{name}");
        }
    }
}
