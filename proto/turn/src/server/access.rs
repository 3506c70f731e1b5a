//! Who is asking: long-term credentials (RFC 8489 9.2) of static users, of the operator's secret, and of the lobby.

use std::collections::BTreeMap;
use std::sync::Arc;

use twocan_stun::attribute::{Algorithm, Nonce, PasswordAlgorithm, PasswordAlgorithms, Realm, Username};
use twocan_stun::{ErrorCode, IntegrityKey, Message};

use super::allocation::{Grant, Seal};
use super::directory::Directory;
use super::nonce::Nonces;
use crate::address::ClientAddr;
use crate::config::Config;
use crate::credential::{self, NotTimeLimited};

/// Who sent a request, proved.
#[derive(Debug)]
pub(super) struct Identity {
    /// What allocations are counted under: the same for a credential and its renewal.
    pub user: Arc<str>,
    pub grant: Option<Grant>,
    /// Unix seconds.
    pub expires: Option<u64>,
    pub seal: Seal,
}

/// The credentials that are good.
pub(super) struct Access {
    realm: String,
    users: BTreeMap<String, String>,
    secret: Option<Vec<u8>>,
    grant_key: [u8; 32],
    nonces: Nonces,
    username_bytes: usize,
    lifetime_max_s: u64,
}

/// What a user name stands for, not proved yet.
struct Claim {
    user: Arc<str>,
    grant: Option<Grant>,
    expires: Option<u64>,
    password: String,
}

impl Access {
    pub fn new(config: &Config) -> Access {
        let limits = &config.limits;
        Access {
            realm: config.realm.clone(),
            users: config.users.iter().cloned().collect(),
            secret: config.secret.clone(),
            grant_key: config.grant_key,
            nonces: Nonces::new(
                &config.nonce_key,
                limits.nonce_lifetime.as_secs(),
                config.unix_now.as_secs(),
            ),
            username_bytes: limits.username_bytes,
            lifetime_max_s: limits.credential_lifetime_max.as_secs(),
        }
    }

    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// A nonce for a 401 or 438.
    pub fn nonce(&mut self, client: &ClientAddr, unix_s: u64) -> String {
        self.nonces.issue(client, unix_s)
    }

    /// Whether a nonce is one of ours for this client.
    pub fn is_good_nonce(&mut self, nonce: &[u8], client: &ClientAddr, unix_s: u64) -> bool {
        self.nonces.is_good(nonce, client, unix_s)
    }

    /// Who sent `message`, or which of 400, 401 and 438 to answer. The nonce is looked at first: what a forged source
    /// sends costs one MAC.
    pub fn identify(
        &mut self,
        message: &Message<'_>,
        from: &ClientAddr,
        directory: &Directory,
        unix_s: u64,
    ) -> Result<Identity, ErrorCode> {
        if !message.has_integrity() {
            return Err(ErrorCode::UNAUTHENTICATED);
        }
        let bad = |_| ErrorCode::BAD_REQUEST;
        let Username(username) = message.get().map_err(bad)?.ok_or(ErrorCode::BAD_REQUEST)?;
        let Realm(realm) = message.get().map_err(bad)?.ok_or(ErrorCode::BAD_REQUEST)?;
        let Nonce(nonce) = message.get().map_err(bad)?.ok_or(ErrorCode::BAD_REQUEST)?;
        if !self.nonces.is_good(nonce, from, unix_s) {
            return Err(ErrorCode::STALE_NONCE);
        }
        let algorithm = chosen_algorithm(message)?;
        if realm != self.realm {
            return Err(ErrorCode::UNAUTHENTICATED);
        }
        let claim = self.claim(username, directory, unix_s).ok_or(ErrorCode::UNAUTHENTICATED)?;
        let is_sha256 = message.has(twocan_stun::AttributeType::MESSAGE_INTEGRITY_SHA256);
        let key = match algorithm {
            Algorithm::SHA256 => IntegrityKey::long_term_sha256(username, &self.realm, &claim.password),
            _ => IntegrityKey::long_term(username, &self.realm, &claim.password),
        };
        message.verify_integrity(&key).map_err(|_| ErrorCode::UNAUTHENTICATED)?;
        let Claim { user, grant, expires, .. } = claim;
        Ok(Identity { user, grant, expires, seal: Seal { key, is_sha256 } })
    }

    fn claim(&self, username: &str, directory: &Directory, unix_s: u64) -> Option<Claim> {
        if username.len() > self.username_bytes {
            return None;
        }
        let named = match credential::parse(username) {
            Ok(named) => named,
            Err(NotTimeLimited::BadGrant) => return None,
            Err(NotTimeLimited::OtherForm) => {
                let password = self.users.get(username)?.clone();
                return Some(Claim {
                    user: format!("static {username}").into(),
                    grant: None,
                    expires: None,
                    password,
                });
            }
        };
        if named.expires <= unix_s || named.expires > unix_s.saturating_add(self.lifetime_max_s) {
            return None;
        }
        let (key, grant) = match named.grant {
            Some((group, member)) => {
                let grant = Grant { group, member, expires: named.expires };
                if !directory.groups.admits(&grant) {
                    return None;
                }
                (&self.grant_key[..], Some(grant))
            }
            None => (self.secret.as_deref()?, None),
        };
        let id = username.split_once(':').map_or("", |(_, id)| id);
        Some(Claim {
            user: format!("timed {id}").into(),
            grant,
            expires: Some(named.expires),
            password: credential::password(key, username),
        })
    }
}

/// The algorithm of the key (RFC 8489 9.2.4): the client repeats what it was offered and says what it chose, or says
/// nothing and means MD5. Since the nonce is ours, it does carry the cookie, and an offer taken out on the way is noticed.
fn chosen_algorithm(message: &Message<'_>) -> Result<Algorithm, ErrorCode> {
    let bad = |_| ErrorCode::BAD_REQUEST;
    let offered = message.get::<PasswordAlgorithms<'_>>().map_err(bad)?;
    let chosen = message.get::<PasswordAlgorithm<'_>>().map_err(bad)?;
    match (offered, chosen) {
        (None, None) => Ok(Algorithm::MD5),
        (Some(offered), Some(PasswordAlgorithm { algorithm, parameters: [] }))
            if offered == PasswordAlgorithms::SHA256_THEN_MD5
                && (algorithm == Algorithm::MD5 || algorithm == Algorithm::SHA256) =>
        {
            Ok(algorithm)
        }
        _ => Err(ErrorCode::BAD_REQUEST),
    }
}
