//! How long a NAT or a firewall remembers that two endpoints talk, TCP by its SYN, FIN and RST (RFC 5382, RFC 7857).

use std::time::{Duration, Instant};

use crate::packet::{Protocol, TcpFlags};

/// How long what was seen is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// UDP (RFC 4787 REQ-5: at least two minutes).
    pub udp: Duration,
    /// A TCP connection that was opened (RFC 5382 REQ-5: at least two hours and four minutes).
    pub tcp_established: Duration,
    /// One that is being opened or closed (RFC 5382 REQ-5: at least four minutes).
    pub tcp_transitory: Duration,
    /// ICMP echo (RFC 5508 REQ-2: at least a minute).
    pub icmp: Duration,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts {
            udp: Duration::from_secs(120),
            tcp_established: Duration::from_secs(7_440),
            tcp_transitory: Duration::from_secs(240),
            icmp: Duration::from_secs(60),
        }
    }
}

/// Which way a packet goes through a NAT or a firewall.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Way {
    /// From the inside.
    Out,
    /// To the inside.
    In,
}

/// What is known of a TCP connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tcp {
    /// This side sent a SYN (or something in the middle of a connection that is not known).
    Opening(Way),
    Established,
    /// This side sent a FIN.
    HalfClosed(Way),
    /// Both did, or one an RST.
    Closed,
}

/// Two endpoints that talk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Session {
    tcp: Tcp,
    pub(crate) expires: Instant,
}

impl Session {
    pub(crate) fn new(
        protocol: Protocol,
        way: Way,
        flags: TcpFlags,
        timeouts: &Timeouts,
        now: Instant,
    ) -> Session {
        let mut session = Session { tcp: Tcp::Opening(way), expires: now };
        session.see(protocol, way, flags, timeouts, now);
        session
    }

    /// A packet passes.
    pub(crate) fn see(
        &mut self,
        protocol: Protocol,
        way: Way,
        flags: TcpFlags,
        timeouts: &Timeouts,
        now: Instant,
    ) {
        let lifetime = match protocol {
            Protocol::Udp => timeouts.udp,
            Protocol::Icmp => timeouts.icmp,
            Protocol::Tcp => {
                self.tcp = self.tcp.after(way, flags);
                match self.tcp {
                    Tcp::Established | Tcp::HalfClosed(_) => timeouts.tcp_established,
                    Tcp::Opening(_) | Tcp::Closed => timeouts.tcp_transitory,
                }
            }
        };
        self.expires = now + lifetime;
    }

    pub(crate) fn is_alive(&self, now: Instant) -> bool {
        now < self.expires
    }
}

impl Tcp {
    fn after(self, way: Way, flags: TcpFlags) -> Tcp {
        if flags.contains(TcpFlags::RST) {
            return Tcp::Closed;
        }
        let (syn, fin) = (flags.contains(TcpFlags::SYN), flags.contains(TcpFlags::FIN));
        match self {
            Tcp::Opening(by) if syn && by != way => Tcp::Established,
            Tcp::Established if fin => Tcp::HalfClosed(way),
            Tcp::HalfClosed(by) if fin && by != way => Tcp::Closed,
            Tcp::Closed if flags.is_opening() => Tcp::Opening(way),
            same => same,
        }
    }
}
