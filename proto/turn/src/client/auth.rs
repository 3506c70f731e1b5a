//! The long-term credential (RFC 8489 9.2): what the server asked for, and how requests are signed for it.

use twocan_stun::attribute::{Algorithm, Nonce, PasswordAlgorithm, PasswordAlgorithms, Realm, Username};
use twocan_stun::{AttributeType, BuildError, Builder, IntegrityKey, Message};

use super::output::Discard;

/// A user name, its password, and the server's challenge once it came.
pub(super) struct Auth {
    user: User,
    /// The credential before a renewal that the server has not accepted yet.
    former: Option<User>,
    challenge: Option<Challenge>,
}

#[derive(Clone, PartialEq, Eq)]
struct User {
    name: String,
    password: String,
}

struct Challenge {
    realm: String,
    nonce: Vec<u8>,
    /// PASSWORD-ALGORITHMS as they stood, to be repeated; `None` for a server before RFC 8489.
    algorithms: Option<Vec<u8>>,
    algorithm: Algorithm,
    key: IntegrityKey,
}

impl Auth {
    pub fn new(name: String, password: String) -> Auth {
        Auth { user: User { name, password }, former: None, challenge: None }
    }

    /// Whether this is another credential than before; the former is kept until [`Auth::settle`].
    pub fn replace(&mut self, name: &str, password: &str) -> bool {
        let user = User { name: name.into(), password: password.into() };
        if user == self.user {
            return false;
        }
        self.former = Some(std::mem::replace(&mut self.user, user));
        self.derive();
        true
    }

    /// The server has accepted the credential.
    pub fn settle(&mut self) {
        self.former = None;
    }

    /// Goes back to the former credential, if there is one.
    pub fn fall_back(&mut self) -> bool {
        let Some(former) = self.former.take() else { return false };
        self.user = former;
        self.derive();
        true
    }

    /// The key that requests are signed with; `None` before the first challenge.
    pub fn key(&self) -> Option<&IntegrityKey> {
        Some(&self.challenge.as_ref()?.key)
    }

    /// Whether this nonce is the one in use.
    pub fn has_nonce(&self, nonce: &[u8]) -> bool {
        self.challenge.as_ref().is_some_and(|challenge| challenge.nonce == nonce)
    }

    /// Takes REALM, NONCE and PASSWORD-ALGORITHMS from a 401 or 438.
    pub fn challenged(&mut self, answer: &Message<'_>) -> Result<(), Discard> {
        let Realm(realm) = answer.get()?.ok_or(Discard::Missing)?;
        let nonce = answer.get::<Nonce<'_>>()?.ok_or(Discard::Missing)?;
        let has_algorithms = nonce.security_features().is_some_and(|features| features.password_algorithms);
        let offered = answer.get::<PasswordAlgorithms<'_>>()?;
        let (algorithms, algorithm) = match offered {
            Some(offered) if has_algorithms => {
                let algorithm = offered.iter().find(is_known).ok_or(Discard::BidDown)?.algorithm;
                let raw = answer.attribute(AttributeType::PASSWORD_ALGORITHMS).ok_or(Discard::Missing)?;
                (Some(raw.value.to_vec()), algorithm)
            }
            None if has_algorithms => return Err(Discard::BidDown),
            Some(_) | None => (None, Algorithm::MD5),
        };
        let key = key_of(&self.user, realm, algorithm);
        self.challenge =
            Some(Challenge { realm: realm.into(), nonce: nonce.0.into(), algorithms, algorithm, key });
        Ok(())
    }

    /// Signs a request, if the server has asked for it; returns its length.
    pub fn seal(&self, mut builder: Builder<'_>) -> Result<usize, BuildError> {
        let Some(challenge) = &self.challenge else { return Ok(builder.finish().len()) };
        builder
            .add(&Username(&self.user.name))?
            .add(&Realm(&challenge.realm))?
            .add(&Nonce(&challenge.nonce))?;
        let Some(algorithms) = &challenge.algorithms else {
            return Ok(builder.integrity(&challenge.key)?.finish().len());
        };
        builder.add_raw(AttributeType::PASSWORD_ALGORITHMS, algorithms)?;
        builder.add(&PasswordAlgorithm { algorithm: challenge.algorithm, parameters: &[] })?;
        Ok(builder.integrity_sha256(&challenge.key)?.finish().len())
    }

    fn derive(&mut self) {
        if let Some(challenge) = &mut self.challenge {
            challenge.key = key_of(&self.user, &challenge.realm, challenge.algorithm);
        }
    }
}

fn is_known(offered: &PasswordAlgorithm<'_>) -> bool {
    offered.parameters.is_empty() && [Algorithm::MD5, Algorithm::SHA256].contains(&offered.algorithm)
}

fn key_of(user: &User, realm: &str, algorithm: Algorithm) -> IntegrityKey {
    match algorithm {
        Algorithm::SHA256 => IntegrityKey::long_term_sha256(&user.name, realm, &user.password),
        _ => IntegrityKey::long_term(&user.name, realm, &user.password),
    }
}
