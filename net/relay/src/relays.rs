//! The sockets of relayed ports, one each.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;

use mio::{Interest, Registry};
use twocan_turn::{External, Family, PeerAddr, PortError, RelayPort};

use crate::bind;
use crate::token::Token;
use crate::udp::UdpSocket;

/// Where relayed ports of one family live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Home {
    /// What candidates say.
    pub external: IpAddr,
    /// What the sockets are bound to.
    pub bind: IpAddr,
    /// Whether that was configured; else it is `external`, where this machine has that.
    pub is_chosen: bool,
}

impl Home {
    /// Where a packet between two relayed ports of this machine really goes. Behind a router that translates addresses,
    /// the external one would have to come back from the router, and many do not do that.
    fn inside(&self) -> IpAddr {
        match self.bind {
            bind if !bind.is_unspecified() => bind,
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        }
    }
}

/// The table of one thread.
pub(crate) struct Relays {
    v4: Option<Home>,
    v6: Option<Home>,
    /// The relayed ports of all threads.
    ports: RangeInclusive<u16>,
    sockets: HashMap<RelayPort, UdpSocket>,
}

impl Relays {
    pub(crate) fn new(v4: Option<Home>, v6: Option<Home>, ports: RangeInclusive<u16>) -> Relays {
        Relays { v4, v6, ports, sockets: HashMap::new() }
    }

    /// Ports that are opened from now on are at these addresses.
    pub(crate) fn move_to(&mut self, external: External) {
        let home = |before: Option<Home>, external: Option<IpAddr>| {
            let external = external?;
            let chosen = before.filter(|home| home.is_chosen);
            let bind = chosen.map_or_else(|| bind::relay_address(external), |home| home.bind);
            Some(Home { external, bind, is_chosen: chosen.is_some() })
        };
        self.v4 = home(self.v4, external.v4.map(IpAddr::V4));
        self.v6 = home(self.v6, external.v6.map(IpAddr::V6));
    }

    pub(crate) fn open(&mut self, port: RelayPort, registry: &Registry) -> Result<(), PortError> {
        let home = self.home(port.family).ok_or(PortError::Exhausted)?;
        let open = || -> io::Result<UdpSocket> {
            let mut socket = UdpSocket::new(bind::relayed(SocketAddr::new(home.bind, port.port))?)?;
            socket.keep_icmp_errors()?;
            registry.register(socket.source(), Token::Relay(port).into(), Interest::READABLE)?;
            Ok(socket)
        };
        let socket = open().map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied => PortError::InUse,
            _ => PortError::Exhausted,
        })?;
        self.sockets.insert(port, socket);
        Ok(())
    }

    pub(crate) fn close(&mut self, port: RelayPort, registry: &Registry) {
        if let Some(mut socket) = self.sockets.remove(&port) {
            let _ = registry.deregister(socket.source());
        }
    }

    pub(crate) fn at(&mut self, port: RelayPort) -> Option<&mut UdpSocket> {
        self.sockets.get_mut(&port)
    }

    pub(crate) fn len(&self) -> usize {
        self.sockets.len()
    }

    /// Where to send what is for `peer`.
    pub(crate) fn outward(&self, peer: PeerAddr) -> SocketAddr {
        let PeerAddr(mut address) = peer;
        if let Some(home) = self.home(Family::of(address.ip()))
            && address.ip() == home.external
            && self.ports.contains(&address.port())
        {
            address.set_ip(home.inside());
        }
        address
    }

    /// Who sent what came from `address`: `outward`, the other way round.
    pub(crate) fn inward(&self, mut address: SocketAddr) -> PeerAddr {
        if let Some(home) = self.home(Family::of(address.ip()))
            && address.ip() == home.inside()
            && self.ports.contains(&address.port())
        {
            address.set_ip(home.external);
        }
        PeerAddr(address)
    }

    fn home(&self, family: Family) -> Option<Home> {
        match family {
            Family::V4 => self.v4,
            Family::V6 => self.v6,
        }
    }
}

/// The part of `ports` that thread `index` of `threads` gets. A pair of an even port and the next one (EVEN-PORT) is
/// never cut in two.
pub(crate) fn share(ports: &RangeInclusive<u16>, threads: usize, index: usize) -> RangeInclusive<u16> {
    let (first, last) = (usize::from(*ports.start()), usize::from(*ports.end()));
    let border = |index: usize| match index {
        0 => first,
        _ if index == threads => last + 1,
        _ => (first + (last + 1 - first) * index / threads).next_multiple_of(2),
    };
    let port = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
    port(border(index))..=port(border(index + 1) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_cover_every_port_once_and_cut_no_pair() {
        for (ports, threads) in [(49_152..=65_535, 3), (50_001..=50_010, 4), (1_024..=1_027, 2), (7..=8, 1)] {
            let mut next = *ports.start();
            for index in 0..threads {
                let share = share(&ports, threads, index);
                assert_eq!(*share.start(), next, "{ports:?} {index}");
                assert!(index == 0 || next % 2 == 0);
                next = share.end().wrapping_add(1);
            }
            assert_eq!(next, ports.end().wrapping_add(1));
        }
    }

    #[test]
    fn behind_a_translating_router_relayed_ports_reach_each_other_without_it() {
        let external = "203.0.113.5".parse().unwrap();
        let home = Home { external, bind: Ipv4Addr::UNSPECIFIED.into(), is_chosen: false };
        let relays = Relays::new(Some(home), None, 50_000..=50_099);
        let own = PeerAddr("203.0.113.5:50007".parse().unwrap());
        let inside = relays.outward(own);
        assert_eq!(inside, "127.0.0.1:50007".parse().unwrap());
        assert_eq!(relays.inward(inside), own);
    }

    #[test]
    fn other_peers_are_left_as_they_are() {
        let (external, bind) = ("203.0.113.5".parse().unwrap(), "10.0.0.2".parse().unwrap());
        let home = Home { external, bind, is_chosen: true };
        let relays = Relays::new(Some(home), None, 50_000..=50_099);
        for other in ["203.0.113.5:3478", "203.0.113.6:50007", "[2001:db8::1]:50007", "127.0.0.1:50007"] {
            let other = other.parse().unwrap();
            assert_eq!(relays.outward(PeerAddr(other)), other);
            assert_eq!(relays.inward(other), PeerAddr(other));
        }
    }
}
