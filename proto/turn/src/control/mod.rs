//! What the lobby tells a relay of another process: who was let in and who is gone, in STUN requests to the relay's UDP listener.
//!
//! ```text
//! lobby's half                                       relay's half
//!  [`Teller`] ── request 0x0F7: NONCE, DATA, MESSAGE-INTEGRITY-SHA256 ──► [`crate::Server`], any thread ─► News to the others
//!             ◄── 438 with a nonce, or success: DATA, MESSAGE-INTEGRITY-SHA256 ──
//!
//! DATA of a request:  session (8 bytes) | number (8) | facts
//! DATA of a success:  epoch (8): the relay's process. Another one has forgotten everything
//! a fact:             kind (1) | GROUP: length (1), text | PEER: length (1), text | address (16, IPv6) | expires (8, Unix seconds)
//!                     1: let in, 2: gone, both with all; 3: the group has closed, PEER and what follows left away
//! ```
//!
//! A request is good once: its nonce is bound to the sender's address and an hour, and its number is higher than the last one's.

mod teller;

use std::net::{IpAddr, Ipv6Addr};

use ring::hmac;
use twocan_stun::{IntegrityKey, Method};

use crate::news::{GroupId, MemberId, News};

pub use teller::Teller;

/// The number of our own method, of those that experts give out (RFC 8489 18.2).
const METHOD_NUMBER: u16 = 0x0F7;
/// Bytes of one request, at most: it must not be fragmented.
const REQUEST_BYTES: usize = 1_200;
/// Bytes before the facts.
const HEAD_BYTES: usize = 16;
/// Bytes of GROUP and PEER, at most.
const NAME_BYTES: usize = 64;

const LET_IN: u8 = 1;
const GONE: u8 = 2;
const CLOSED: u8 = 3;

/// What both halves know: from the operator's secret.
pub fn key(secret: &[u8]) -> [u8; 32] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    hmac::sign(&key, b"twocan relay control").as_ref().try_into().expect("HMAC-SHA256 has 32 bytes")
}

pub(crate) fn method() -> Method {
    Method::new(METHOD_NUMBER).expect("a method has 12 bits")
}

pub(crate) fn integrity_key(key: &[u8; 32]) -> IntegrityKey {
    use base64::Engine as _;
    IntegrityKey::short_term(&base64::engine::general_purpose::STANDARD.encode(key))
}

/// What the DATA of a request says.
pub(crate) struct Told {
    pub session: [u8; 8],
    pub number: u64,
    pub news: Vec<News>,
}

/// Reads the DATA of a request. `None`: it is none.
pub(crate) fn read(data: &[u8]) -> Option<Told> {
    let (session, rest) = data.split_first_chunk::<8>()?;
    let (number, mut rest) = rest.split_first_chunk::<8>()?;
    let mut news = Vec::new();
    while !rest.is_empty() {
        news.push(read_fact(&mut rest)?);
    }
    Some(Told { session: *session, number: u64::from_be_bytes(*number), news })
}

fn read_fact(rest: &mut &[u8]) -> Option<News> {
    let (&kind, after) = rest.split_first()?;
    *rest = after;
    let group = GroupId::new(read_name(rest)?);
    if kind == CLOSED {
        return Some(News::GroupClosed { group });
    }
    let peer = MemberId::new(read_name(rest)?);
    let (address, after) = rest.split_first_chunk::<16>()?;
    let (expires, after) = after.split_first_chunk::<8>()?;
    *rest = after;
    let address = IpAddr::V6(Ipv6Addr::from(*address)).to_canonical();
    match kind {
        LET_IN => Some(News::Granted { group, peer, address, expires: u64::from_be_bytes(*expires) }),
        GONE => Some(News::Revoked { group, peer }),
        _ => None,
    }
}

fn read_name<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let (&length, after) = rest.split_first()?;
    let (name, after) = after.split_at_checked(usize::from(length))?;
    *rest = after;
    std::str::from_utf8(name).ok()
}

/// Appends a fact. Names longer than [`NAME_BYTES`] are nobody's of ours, and are left away with the fact.
fn write_fact(out: &mut Vec<u8>, news: &News) {
    let (kind, group, member) = match news {
        News::Granted { group, peer, address, expires } => (LET_IN, group, Some((peer, *address, *expires))),
        News::Revoked { group, peer } => (GONE, group, Some((peer, Ipv6Addr::UNSPECIFIED.into(), 0))),
        News::GroupClosed { group } => (CLOSED, group, None),
        _ => return,
    };
    let is_long = |name: &str| name.len() > NAME_BYTES;
    if is_long(&group.0) || member.is_some_and(|(peer, ..)| is_long(&peer.0)) {
        return;
    }
    out.push(kind);
    write_name(out, &group.0);
    let Some((peer, address, expires)) = member else { return };
    write_name(out, &peer.0);
    let address = match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    };
    out.extend_from_slice(&address.octets());
    out.extend_from_slice(&expires.to_be_bytes());
}

fn write_name(out: &mut Vec<u8>, name: &str) {
    out.push(u8::try_from(name.len()).expect("at most NAME_BYTES"));
    out.extend_from_slice(name.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_read_back_as_they_were_written_and_nothing_else_is_read() {
        let (group, peer) = (GroupId::new("group"), MemberId::new("ADA"));
        let facts = ["192.0.2.1", "2001:db8::1"].map(|address| News::Granted {
            group: group.clone(),
            peer: peer.clone(),
            address: address.parse().unwrap(),
            expires: 1_790_000_000,
        });
        let gone = News::Revoked { group: group.clone(), peer };
        let facts = facts.into_iter().chain([gone, News::GroupClosed { group }]);
        let mut data = [7; HEAD_BYTES].to_vec();
        let facts: Vec<News> = facts.inspect(|news| write_fact(&mut data, news)).collect();
        let told = read(&data).unwrap();
        assert_eq!((told.session, told.news), ([7; 8], facts));
        let lengths = (0..data.len()).filter(|length| read(&data[..*length]).is_some());
        assert_eq!(lengths.count(), 4, "after each whole fact, and before the first");
        data[HEAD_BYTES] = 9;
        assert!(read(&data).is_none());
    }
}
