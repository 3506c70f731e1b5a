//! What the server may want sent and done, and what must be gone when all is over.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use twocan_stun::attribute::{Nonce, ReservationToken, XorPeerAddress, XorRelayedAddress};
use twocan_stun::{Class, Message, Method};
use twocan_turn::wire::ChannelData;
use twocan_turn::{Command, Family, OriginAddr, Policy, RelayAddr, RelayPort, Via};

use super::cast::{self, ALTERNATE, CLIENTS, EXTERNAL_V4, EXTERNAL_V6, LISTENER, RELAY_PORTS};
use super::{Cause, World};

/// An answer to someone who proved nothing is not longer than this: a 401 with realm and nonce.
const UNPROVED_ANSWER_LEN_MAX: usize = 200;
/// What the relay puts around the data of one packet, at most.
const WRAPPING_LEN_MAX: usize = 20 + 4 + 20 + 4 + 4 + 3;
/// What behaviour discovery adds to a request, at most: three addresses, where an empty one had none.
const DISCOVERY_LEN_MAX: usize = 3 * 24;
/// Timers that may run, one after the other, once nothing happens any more.
const LAST_TIMERS_MAX: usize = 2_000;
/// The clients below this number are static users; the others come from lobbies.
const FIRST_MEMBER: usize = 2;

impl World {
    /// Takes all that the last input caused.
    pub(super) fn judge(&mut self, cause: Cause) {
        let (mut answers, mut relayed) = (0, 0);
        loop {
            while self.server.poll_event().is_some() {}
            if let Some(command) = self.server.poll_command() {
                self.obey(command);
                continue;
            }
            let Some(transmit) = self.server.poll_transmit() else { break };
            let (via, bytes) = (transmit.via, transmit.bytes.to_vec());
            match via {
                Via::Client(client) => {
                    let index =
                        CLIENTS.iter().position(|known| *known == client).expect("a client that spoke");
                    self.judge_to_client(index, &bytes, cause);
                    answers += 1;
                }
                Via::Relay(port, peer) => {
                    self.judge_to_peer(port, peer.0, &bytes, cause);
                    relayed += 1;
                }
                Via::Discovery(from, to) => {
                    judge_discovery(from, to, &bytes, cause);
                    answers += 1;
                }
            }
        }
        assert!(answers <= 1 && relayed <= 1, "one packet in, {answers} + {relayed} out");
        let stored = self.server.stats().stored;
        let limits = cast::limits();
        assert!(stored.allocations <= limits.allocations);
        assert!(stored.permissions <= limits.allocations * limits.permissions_per_allocation);
        assert!(stored.channels <= limits.allocations * limits.channels_per_allocation);
        assert!(stored.reservations <= limits.reservations);
        assert!(u64::from(stored.members) <= limits.members.total);
        if !self.anyone_proved_himself && !self.lobby_spoke {
            assert_eq!(stored.entries(), 0, "nothing is kept of those who proved nothing");
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::OpenPort(port) => {
                assert!(RELAY_PORTS.contains(&port.port), "a port of ours");
                assert_eq!(self.ports.insert(port, self.next_port.is_ok()), None, "asked for twice");
                if self.next_port.is_err() {
                    self.ports.remove(&port);
                }
                self.server.handle_port_opened(port, self.next_port, self.now);
            }
            Command::ClosePort(port) => {
                assert!(self.ports.remove(&port).is_some(), "it was open: {port:?}");
                self.owners.remove(&port);
            }
            Command::CloseClient(client) => assert!(client.transport.is_stream()),
        }
    }

    fn judge_to_client(&mut self, index: usize, bytes: &[u8], cause: Cause) {
        if let Some(channel) = ChannelData::parse(bytes) {
            let Cause::Peer { from, len } = cause else { panic!("ChannelData because of {cause:?}") };
            assert_eq!(channel.data.len(), len);
            assert_may_be_heard(from.0);
            return;
        }
        let message = Message::parse(bytes).expect("what is sent to a client can be read");
        match (message.class(), cause) {
            (Class::Success | Class::Error, Cause::Client { class, .. }) => {
                assert_eq!(class, Some(Class::Request), "only requests are answered");
                if !message.has_integrity() {
                    assert!(bytes.len() <= UNPROVED_ANSWER_LEN_MAX, "{} bytes", bytes.len());
                }
                self.learn(index, &message);
            }
            (Class::Indication, Cause::Peer { from, len }) => {
                assert_eq!(message.method(), Method::DATA);
                assert_eq!(message.get(), Ok(Some(XorPeerAddress(undressed(from.0)))));
                assert!(bytes.len() <= len + WRAPPING_LEN_MAX + 12);
                assert_may_be_heard(from.0);
            }
            (class, cause) => panic!("{class:?} because of {cause:?}"),
        }
    }

    /// What a client reads out of an answer.
    fn learn(&mut self, index: usize, answer: &Message<'_>) {
        if let Ok(Some(nonce)) = answer.get::<Nonce>() {
            self.clients[index].nonce = Some(nonce.0.to_vec());
        }
        if let Ok(Some(token)) = answer.get::<ReservationToken>() {
            self.token = token.0;
        }
        if answer.class() == Class::Success && answer.method() == Method::ALLOCATE {
            assert!(self.anyone_proved_himself);
            for address in answer.all::<XorRelayedAddress>() {
                let port = RelayAddr(address.expect("our own attribute").0).port();
                assert_eq!(self.ports.get(&port), Some(&true), "a relayed address that is open");
                let before = self.owners.insert(port, index);
                assert!(before.is_none_or(|owner| owner == index), "one port, one owner");
            }
        }
    }

    fn judge_to_peer(&self, port: RelayPort, peer: SocketAddr, bytes: &[u8], cause: Cause) {
        let Cause::Client { class, len } = cause else { panic!("sent to a peer because of {cause:?}") };
        assert!(matches!(class, None | Some(Class::Indication)), "requests are not relayed");
        assert!(bytes.len() <= len);
        assert_eq!(self.ports.get(&port), Some(&true), "only open ports send");
        assert_eq!(port.family, Family::of(peer.ip()));
        assert_ne!(peer.port(), 0);
        let owner = *self.owners.get(&port).expect("a port that belongs to someone");
        let is_own = peer.ip() == IpAddr::V4(EXTERNAL_V4) || peer.ip() == IpAddr::V6(EXTERNAL_V6);
        if owner < FIRST_MEMBER {
            assert!(Policy::new().allows(peer.ip()), "{peer} is denied");
        } else if is_own {
            let other = self.owners.get(&RelayAddr(peer).port()).expect("a relayed address that is there");
            assert_eq!(group(*other), group(owner), "of the same lobby");
        } else {
            assert!(Policy::new().allows(peer.ip()), "{peer} is denied");
            assert!(self.is_seen(group(owner), peer.ip()), "nobody of the lobby is at {peer}");
        }
    }

    /// Whether somebody who is in the group now is at `ip`: at the lobby, or as a client with a relayed address.
    fn is_seen(&self, of: Option<&str>, ip: IpAddr) -> bool {
        let mut members = self.members.iter();
        let mut clients = self.owners.values();
        members.any(|((group, _), at)| Some(*group) == of && *at == ip)
            || clients.any(|client| group(*client) == of && CLIENTS[*client].remote.ip() == ip)
    }

    /// A timer that was run is not due any more.
    pub(super) fn assert_timers_moved_on(&self) {
        assert!(self.server.poll_timeout().is_none_or(|at| at > self.now));
    }

    /// Lets all timers run out: nothing must be left.
    pub(super) fn end(mut self) {
        for _ in 0..LAST_TIMERS_MAX {
            let Some(at) = self.server.poll_timeout() else { break };
            self.now = self.now.max(at);
            self.server.handle_timeout(self.now);
            self.judge(Cause::Other);
            self.assert_timers_moved_on();
        }
        // Members of groups are kept without a timer; the next look at them forgets those that ran out.
        self.now += Duration::from_secs(100 * 3_600);
        self.server.handle_timeout(self.now);
        self.judge(Cause::Other);
        let stored = self.server.stats().stored;
        assert_eq!(stored.allocations + stored.permissions + stored.channels, 0, "{stored:?}");
        assert_eq!(stored.ports + stored.reservations, 0, "{stored:?}");
        assert!(self.ports.is_empty(), "every port was closed");
        assert_eq!(self.server.poll_timeout(), None, "nothing is left to wait for");
    }
}

/// Behaviour discovery answers those that ask, from one of four addresses, with little more than they sent.
fn judge_discovery(OriginAddr(from): OriginAddr, to: SocketAddr, bytes: &[u8], cause: Cause) {
    let Cause::Client { class: Some(Class::Request), len } = cause else {
        panic!("an answer because of {cause:?}")
    };
    assert!([LISTENER, ALTERNATE].iter().any(|address| address.ip() == from.ip()));
    assert!([LISTENER, ALTERNATE].iter().any(|address| address.port() == from.port()));
    assert!(CLIENTS.iter().any(|client| client.remote.ip() == to.ip()), "{to} never asked");
    assert_ne!(to.port(), 0);
    let message = Message::parse(bytes).expect("what is sent to a client can be read");
    assert_eq!((message.class(), message.method()), (Class::Success, Method::BINDING));
    assert!(bytes.len() <= len + DISCOVERY_LEN_MAX, "{} bytes for {len}", bytes.len());
}

fn group(client: usize) -> Option<&'static str> {
    Some(cast::MEMBERS[client.checked_sub(FIRST_MEMBER)?].0)
}

/// A socket of both families shows an IPv4 peer in IPv6 clothes; the relay takes them off.
fn undressed(from: SocketAddr) -> SocketAddr {
    SocketAddr::new(from.ip().to_canonical(), from.port())
}

fn assert_may_be_heard(from: SocketAddr) {
    let from = undressed(from);
    let is_own = from.ip() == IpAddr::V4(EXTERNAL_V4) || from.ip() == IpAddr::V6(EXTERNAL_V6);
    assert!(is_own || Policy::new().allows(from.ip()), "{from} is denied, and was heard");
}
