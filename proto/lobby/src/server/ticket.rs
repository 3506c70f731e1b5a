//! Tickets: what lets a member come back to its seat, on any node that has the key (`docs/protocol.md` §3).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde::{Deserialize, Serialize};

use super::limits::{SIZE_MAX, SIZE_MIN};
use super::secrets::KeptPassword;
use crate::wire::names::{AppName, GroupId, LobbyCode, PeerId};

/// What a ticket says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    pub app: AppName,
    pub code: LobbyCode,
    pub group: GroupId,
    pub peer: PeerId,
    pub members: Vec<PeerId>,
    /// Whose the lobby was. Tickets of older servers do not say.
    pub owner: Option<PeerId>,
    /// Unix seconds.
    pub expires: u64,
    /// The lobby had not completed: how it is opened again, should it be gone.
    pub open: Option<Opened>,
}

/// What a lobby was opened as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Opened {
    pub size: usize,
    pub public: bool,
    pub password: Option<KeptPassword>,
}

#[derive(Serialize, Deserialize)]
struct OpenClaims {
    size: usize,
    public: bool,
    /// Salt and tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    password: Option<(String, String)>,
}

impl OpenClaims {
    fn of(opened: Opened) -> Self {
        let Opened { size, public, password } = opened;
        let password =
            password.map(|kept| (URL_SAFE_NO_PAD.encode(kept.salt), URL_SAFE_NO_PAD.encode(kept.tag)));
        Self { size, public, password }
    }

    fn read(&self) -> Option<Opened> {
        let password = match &self.password {
            None => None,
            Some((salt, tag)) => Some(KeptPassword {
                salt: URL_SAFE_NO_PAD.decode(salt).ok()?.try_into().ok()?,
                tag: URL_SAFE_NO_PAD.decode(tag).ok()?.try_into().ok()?,
            }),
        };
        let fits = (SIZE_MIN..=SIZE_MAX).contains(&(self.size as i64));
        fits.then_some(Opened { size: self.size, public: self.public, password })
    }
}

#[derive(Serialize, Deserialize)]
struct Claims {
    v: u32,
    app: String,
    code: String,
    group: String,
    peer: String,
    members: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    expires: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    open: Option<OpenClaims>,
}

impl Ticket {
    pub fn sign(&self, key: &hmac::Key) -> String {
        let claims = Claims {
            v: 1,
            app: self.app.as_str().into(),
            code: self.code.as_str().into(),
            group: self.group.as_str().into(),
            peer: self.peer.as_str().into(),
            members: self.members.iter().map(|peer| peer.as_str().into()).collect(),
            owner: self.owner.map(|peer| peer.as_str().into()),
            expires: self.expires,
            open: self.open.map(OpenClaims::of),
        };
        let json = serde_json::to_vec(&claims).expect("strings and numbers");
        let body = URL_SAFE_NO_PAD.encode(json);
        let tag = hmac::sign(key, body.as_bytes());
        format!("{body}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()))
    }

    /// Reads a ticket that `key` signed and that is still good at `unix` seconds.
    pub fn verify(text: &str, key: &hmac::Key, unix: u64) -> Option<Self> {
        let (body, tag) = text.split_once('.')?;
        let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
        hmac::verify(key, body.as_bytes(), &tag).ok()?;
        let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).ok()?).ok()?;
        let members = claims.members.iter().map(|peer| PeerId::parse(peer)).collect::<Option<Vec<_>>>()?;
        let owner = match &claims.owner {
            Some(peer) => Some(PeerId::parse(peer)?),
            None => None,
        };
        let ticket = Self {
            app: AppName::parse(&claims.app)?,
            code: LobbyCode::parse(&claims.code)?,
            group: GroupId::parse(&claims.group)?,
            peer: PeerId::parse(&claims.peer)?,
            members,
            owner,
            expires: claims.expires,
            open: match &claims.open {
                Some(open) => Some(open.read()?),
                None => None,
            },
        };
        (claims.v == 1 && unix < ticket.expires && ticket.members.contains(&ticket.peer)).then_some(ticket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket() -> Ticket {
        let peer = |text| PeerId::parse(text).unwrap();
        Ticket {
            app: AppName::parse("chess").unwrap(),
            code: LobbyCode::parse("ED84").unwrap(),
            group: GroupId::parse("AAAAAAAAAAAAAAAAAAAAAA").unwrap(),
            peer: peer("7HRK2M9D"),
            members: vec![peer("7HRK2M9D"), peer("K2V8RT4N")],
            owner: Some(peer("7HRK2M9D")),
            expires: 1_000,
            open: Some(Opened {
                size: 64,
                public: true,
                password: Some(KeptPassword { salt: [7; 16], tag: [8; 32] }),
            }),
        }
    }

    fn key(byte: u8) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &[byte; 32])
    }

    #[test]
    fn a_ticket_is_good_until_it_expires_and_under_its_key_alone() {
        let text = ticket().sign(&key(1));
        assert_eq!(Ticket::verify(&text, &key(1), 999), Some(ticket()));
        assert_eq!(Ticket::verify(&text, &key(1), 1_000), None);
        assert_eq!(Ticket::verify(&text, &key(2), 999), None);
    }

    #[test]
    fn a_ticket_with_any_byte_changed_is_refused() {
        let text = ticket().sign(&key(1));
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            // The last character of a base64 text may hold bits that mean nothing; those must be zero.
            assert_eq!(Ticket::verify(&changed, &key(1), 999), None, "byte {at}");
        }
    }

    #[test]
    fn a_ticket_of_the_largest_lobby_fits_its_limit() {
        let mut large = ticket();
        large.app = AppName::parse(&"a".repeat(64)).unwrap();
        large.members = vec![large.peer; 64];
        large.expires = u64::MAX;
        assert!(large.sign(&key(1)).len() <= crate::server::limits::TICKET_BYTES_MAX);
    }
}
