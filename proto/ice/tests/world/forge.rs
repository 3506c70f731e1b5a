//! Messages that are made by hand: what an attacker sends, or a peer that is not ours.

use std::net::SocketAddr;

use twocan_ice::Credentials;
use twocan_stun::attribute::{
    ErrorReply, IceControlled, IceControlling, Priority, UseCandidate, Username, XorMappedAddress,
};
use twocan_stun::{AttributeType, Builder, Class, ErrorCode, IntegrityKey, Message, Method, TransactionId};

/// A Binding request, part by part; what is `None` is left out.
#[derive(Clone, Debug)]
pub struct Forged<'a> {
    pub id: u64,
    pub username: Option<String>,
    pub pwd: Option<&'a str>,
    pub priority: Option<u32>,
    pub controlling: Option<u64>,
    pub controlled: Option<u64>,
    pub nominate: bool,
    pub unknown: Option<u16>,
    pub fingerprint: bool,
}

impl<'a> Forged<'a> {
    /// What a controlling peer with credentials `theirs` sends to who has `ours`.
    pub fn request(ours: &'a Credentials, theirs: &str, id: u64) -> Forged<'a> {
        Forged {
            id,
            username: Some(format!("{}:{theirs}", ours.ufrag)),
            pwd: Some(&ours.pwd),
            priority: Some(0x6E00_01FF),
            controlling: Some(0),
            controlled: None,
            nominate: false,
            unknown: None,
            fingerprint: true,
        }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut buffer = [0; 1024];
        let mut builder =
            Builder::new(&mut buffer, Class::Request, Method::BINDING, transaction_id(self.id)).unwrap();
        if let Some(username) = &self.username {
            builder.add(&Username(username)).unwrap();
        }
        builder.add_optional(self.priority.map(Priority).as_ref()).unwrap();
        builder.add_optional(self.controlling.map(IceControlling).as_ref()).unwrap();
        builder.add_optional(self.controlled.map(IceControlled).as_ref()).unwrap();
        builder.add_optional(self.nominate.then_some(&UseCandidate)).unwrap();
        if let Some(unknown) = self.unknown {
            builder.add_raw(AttributeType(unknown), b"?").unwrap();
        }
        match (self.pwd.map(IntegrityKey::short_term), self.fingerprint) {
            (Some(key), true) => builder.integrity(&key).unwrap().fingerprint().unwrap().finish().to_vec(),
            (Some(key), false) => builder.integrity(&key).unwrap().finish().to_vec(),
            (None, true) => builder.fingerprint().unwrap().finish().to_vec(),
            (None, false) => builder.finish().to_vec(),
        }
    }
}

/// The answer to a request; without a password, not authentic.
pub fn answer(request: &[u8], mapped: SocketAddr, pwd: Option<&str>) -> Vec<u8> {
    let request = Message::parse(request).unwrap();
    let mut buffer = [0; 256];
    let mut builder = Builder::success(&mut buffer, &request).unwrap();
    builder.add(&XorMappedAddress(mapped)).unwrap();
    match pwd.map(IntegrityKey::short_term) {
        Some(key) => builder.integrity(&key).unwrap().fingerprint().unwrap().finish().to_vec(),
        None => builder.fingerprint().unwrap().finish().to_vec(),
    }
}

pub fn refusal(request: &[u8], code: ErrorCode, pwd: Option<&str>) -> Vec<u8> {
    let request = Message::parse(request).unwrap();
    let mut buffer = [0; 256];
    let builder = Builder::error(&mut buffer, &request, ErrorReply::bare(code)).unwrap();
    match pwd.map(IntegrityKey::short_term) {
        Some(key) => builder.integrity(&key).unwrap().fingerprint().unwrap().finish().to_vec(),
        None => builder.fingerprint().unwrap().finish().to_vec(),
    }
}

/// The code of an error, `None` for a success.
pub fn code_of(answer: &[u8]) -> Option<ErrorCode> {
    let answer = Message::parse(answer).unwrap();
    answer.get::<ErrorReply<'_>>().unwrap().map(|reply| reply.code)
}

pub fn is_request(bytes: &[u8]) -> bool {
    Message::parse(bytes).unwrap().class() == Class::Request
}

fn transaction_id(id: u64) -> TransactionId {
    let mut bytes = [0xF0; 12];
    bytes[4..].copy_from_slice(&id.to_be_bytes());
    TransactionId(bytes)
}
