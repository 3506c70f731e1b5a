//! Which addresses have sockets: those that are worth it, and those from which the system sends to whom this connection is to reach.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use twocan_ice::{Candidate, Kind, Parsed};
use twocan_rtc::gather::{IceServer, IceUrl};
use twocan_rtc::sdp::Session;
use twocan_rtc::{Description, Signal};

use super::Driver;
use super::interfaces::{self, ADDRESSES_MAX, SOCKETS_MAX};
use super::routes::source_towards;
use super::udp::Udp;
use crate::connection::Addresses;

/// Addresses of one description for which the system is asked for its way.
const TARGETS_MAX: usize = 64;

impl Driver {
    /// One socket for each address that is wanted. A socket stays as long as its address is of use.
    pub(super) fn bind(&mut self, now: Instant) {
        self.bind_with(&[], now);
    }

    /// The same, and for these if there is room.
    fn bind_with(&mut self, more: &[IpAddr], now: Instant) {
        let usable: Vec<SocketAddr> = self.usable();
        let is_wanted =
            |(index, address): &(usize, &SocketAddr)| *index < ADDRESSES_MAX || more.contains(&address.ip());
        let ips = |wanted: bool| {
            let places = usable.iter().enumerate().filter(move |place| is_wanted(place) == wanted);
            places.map(|(_, address)| address.ip())
        };
        // Those that were bound before stay, if there is room beside the wanted ones.
        let room = SOCKETS_MAX.saturating_sub(ips(true).count());
        let bound = self.local_ips();
        let staying: Vec<IpAddr> =
            ips(true).chain(ips(false).filter(|ip| bound.contains(ip)).take(room)).collect();
        let mut gone = Vec::new();
        self.sockets.retain(|(id, socket)| {
            let stays = staying.contains(&socket.local().ip());
            if !stays {
                gone.push(*id);
            }
            stays
        });
        // Before the new ones are there: whoever knows that its path is dead takes another at once.
        gone.into_iter().for_each(|id| self.machine.remove_socket(id, now));
        // An address that cannot be bound takes no other's place.
        let mut chosen = 0;
        for address in &usable {
            if chosen < ADDRESSES_MAX || more.contains(&address.ip()) {
                chosen += usize::from(self.bind_one(*address, now));
            }
        }
        let bound: Vec<IpAddr> = self.local_ips();
        if let Some(listeners) = &mut self.listeners {
            listeners
                .retain(|(_, listener)| listener.local_addr().is_ok_and(|local| bound.contains(&local.ip())));
        }
    }

    /// Whether this address has a socket now.
    fn bind_one(&mut self, address: SocketAddr, now: Instant) -> bool {
        if self.sockets.iter().any(|(_, socket)| socket.local().ip() == address.ip()) {
            return true;
        }
        if self.sockets.len() >= SOCKETS_MAX {
            return false;
        }
        match Udp::bind(address) {
            Ok(socket) => {
                let id = self.machine.add_socket(socket.local(), now);
                self.sockets.push((id, socket));
                self.listen(address, now);
                true
            }
            Err(error) => {
                tracing::debug!(%address, %error, "an address cannot be used");
                false
            }
        }
    }

    /// All addresses that could have a socket, best first.
    fn usable(&self) -> Vec<SocketAddr> {
        match &self.addresses {
            Addresses::All => interfaces::usable(&self.found, self.loopback),
            Addresses::Only(ips) => ips.iter().take(SOCKETS_MAX).map(|ip| (*ip, 0).into()).collect(),
        }
    }

    /// Those of the local network are asked on all interfaces for the names in it.
    pub(super) fn network_ips(&self) -> Vec<IpAddr> {
        let mut ips = self.local_ips();
        let others = self.usable().into_iter().map(|address| address.ip());
        ips.extend(others.filter(|ip| !self.sockets.iter().any(|(_, socket)| socket.local().ip() == *ip)));
        ips.truncate(super::mdns::INTERFACES_MAX);
        ips
    }

    /// This connection is to reach these. Where addresses of ours have no socket, the one from which the system sends there gets one.
    pub(super) fn reach(&mut self, targets: impl IntoIterator<Item = IpAddr>, now: Instant) {
        let bound = self.local_ips();
        let has_all = || self.usable().iter().all(|address| bound.contains(&address.ip()));
        if bound.len() >= SOCKETS_MAX || matches!(self.addresses, Addresses::Only(_)) || has_all() {
            return;
        }
        let sources = targets.into_iter().take(TARGETS_MAX).filter_map(source_towards);
        let more: Vec<IpAddr> = sources.filter(|ip| !bound.contains(ip)).collect();
        if !more.is_empty() {
            self.bind_with(&more, now);
        }
    }
}

/// The addresses of servers that are given as such.
pub(super) fn servers(servers: &[IceServer]) -> Vec<IpAddr> {
    let urls = servers.iter().flat_map(|server| &server.urls);
    urls.filter_map(IceUrl::address).collect()
}

/// The host addresses that the other side names.
pub(super) fn named(signal: &Signal) -> Vec<IpAddr> {
    let host = |text: &str| match Candidate::parse(text) {
        Ok(Parsed::Candidate(candidate)) if candidate.kind == Kind::Host => Some(candidate.address.ip()),
        _ => None,
    };
    match signal {
        Signal::Description(Description { sdp, .. }) => {
            let session = Session::parse(sdp).ok();
            session
                .into_iter()
                .flat_map(|session| session.candidates)
                .filter_map(|text| host(&text))
                .collect()
        }
        Signal::Candidate(init) => host(&init.candidate).into_iter().collect(),
        Signal::EndOfCandidates => Vec::new(),
    }
}
