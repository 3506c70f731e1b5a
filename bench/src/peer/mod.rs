//! One WebRTC connection of each stack, without sockets, behind the same doors.

mod ours;
mod rtc;
mod sctp;
mod str0m;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

/// UDP payload of the largest datagram, for every stack that lets one say.
pub const DATAGRAM_BYTES: usize = 1_200;
/// Bytes a sender keeps buffered before it waits.
pub const SEND_BUFFER_BYTES: usize = 256 * 1_024;
/// The receive window that a peer grants.
pub const RECEIVE_WINDOW_BYTES: u32 = 4 * 1_024 * 1_024;
/// Which channel: where they are negotiated, its SCTP stream.
pub type Lane = u16;
/// The channel that every connection has.
pub const BULK: Lane = 0;
/// A second one, in connections that negotiate theirs.
pub const PING: Lane = 1;
/// The channels of a tuned connection.
pub const LANES: [Lane; 2] = [BULK, PING];

/// How a connection is set up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Profile {
    /// As it comes: a channel announced in band.
    Default,
    /// The fastest that its public interface offers, with a channel negotiated beforehand.
    Tuned,
}

/// Which side of the offer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    Offerer,
    Answerer,
}

/// What makes a connection.
#[derive(Clone, Copy)]
pub struct Setup {
    pub side: Side,
    pub profile: Profile,
    pub addresses: Addresses,
    pub seed: u64,
    pub now: Instant,
}

/// The one address of each end.
#[derive(Clone, Copy)]
pub struct Addresses {
    pub local: SocketAddr,
    pub remote: SocketAddr,
}

impl Addresses {
    /// Of the pretend network.
    pub fn pretend(side: Side) -> Self {
        let [offerer, answerer] =
            [1, 2].map(|last| SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)), 4_000));
        match side {
            Side::Offerer => Self { local: offerer, remote: answerer },
            Side::Answerer => Self { local: answerer, remote: offerer },
        }
    }
}

/// A connection.
pub trait Peer {
    /// Makes the offer.
    fn offer(&mut self, now: Instant);
    /// What to bring to the other side, in order.
    fn poll_signal(&mut self) -> Option<String>;
    fn signal(&mut self, signal: &str, now: Instant);
    fn datagram(&mut self, bytes: &[u8], now: Instant);
    fn timeout(&mut self, now: Instant);
    fn deadline(&mut self) -> Option<Instant>;
    /// Hands every datagram that waits to `wire`.
    fn transmit(&mut self, now: Instant, wire: &mut dyn FnMut(&[u8]));
    /// Is the first channel open for sending?
    fn is_open(&self) -> bool;
    /// Sends a binary message, unless that is too early or too much.
    fn send(&mut self, lane: Lane, bytes: &[u8], now: Instant) -> bool;
    /// Hands every message that has come to `reader`.
    fn receive(&mut self, reader: &mut dyn FnMut(Lane, &[u8]));
}

/// A stack by name, in one of its settings.
#[derive(Clone, Copy)]
pub struct Stack {
    pub name: &'static str,
    /// What the setting is, for the note below a table.
    pub setting: &'static str,
    pub profile: Profile,
    make: fn(&Setup) -> Box<dyn Peer>,
}

impl Stack {
    pub fn make(&self, side: Side, addresses: Addresses, seed: u64, now: Instant) -> Box<dyn Peer> {
        (self.make)(&Setup { side, profile: self.profile, addresses, seed, now })
    }
}

pub const TWOCAN: Stack = Stack {
    name: "twocan",
    setting: "as it comes, channel negotiated",
    profile: Profile::Tuned,
    make: ours::make,
};

pub const TWOCAN_IN_BAND: Stack = Stack {
    name: "twocan, in band",
    setting: "as it comes, channel announced by DCEP",
    profile: Profile::Default,
    make: ours::make,
};

pub const STR0M: Stack = Stack {
    name: "str0m 0.25",
    setting: "as it comes: DTLS 1.2, channel announced by DCEP",
    profile: Profile::Default,
    make: str0m::make,
};

pub const STR0M_TUNED: Stack = Stack {
    name: "str0m, tuned",
    setting: "DTLS 1.3, SNAP, negotiated channel, the offerer is the DTLS client, first STUN retransmission after 100 ms",
    profile: Profile::Tuned,
    make: str0m::make,
};

pub const RTC: Stack = Stack {
    name: "rtc 0.21",
    setting: "as it comes (the core of webrtc 0.21): DTLS 1.2, channel announced by DCEP",
    profile: Profile::Default,
    make: rtc::make,
};

pub const RTC_TUNED: Stack = Stack {
    name: "rtc, tuned",
    setting: "negotiated channel, the offerer is the DTLS client, a check every 20 ms (it has neither DTLS 1.3 nor SNAP)",
    profile: Profile::Tuned,
    make: rtc::make,
};

pub const SCTP_PROTO: Stack = Stack {
    name: "sctp-proto 0.10 alone",
    setting: "no DTLS, no ICE: what str0m has below",
    profile: Profile::Default,
    make: sctp::make_sctp_proto,
};

pub const DCSCTP: Stack = Stack {
    name: "dcsctp 0.1 alone",
    setting: "no DTLS, no ICE: the Rust successor of what Chromium has",
    profile: Profile::Default,
    make: sctp::make_dcsctp,
};
