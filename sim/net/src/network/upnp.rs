//! A router's UPnP in the network: segments to it, its answers, and when it wants to be asked again.

use std::time::Instant;

use super::queue::Flight;
use super::{Network, Side};
use crate::RouterId;
use crate::event::Place;
use crate::mapping::upnp::{PORT, Server};
use crate::packet::Payload;

impl Network {
    /// Takes a segment from the inside that is for the router's UPnP; `Some`: it was for something else. The server is made by
    /// the first one that comes, and anew when the router has another address.
    pub(super) fn serve_upnp(&mut self, id: RouterId, flight: Flight, now: Instant) -> Option<Flight> {
        let own = self.address_of(self.routers[id].inside, true);
        let is_meant = self.routers[id].services.upnp
            && own == Some(flight.packet.destination)
            && matches!(&flight.packet.payload, Payload::Tcp(segment) if segment.destination == PORT);
        let Some(own) = own.filter(|_| is_meant) else { return Some(flight) };
        let known = self.routers[id].upnp.take().filter(|server| server.address == own);
        let mut server = known.unwrap_or_else(|| Box::new(Server::new(own, self.random.word(), now)));
        match server.handle_packet(&flight.packet, now) {
            Ok(()) => self.stats.consumed += 1,
            Err(why) => self.drop_packet(&flight, Place::Router(id), why, now),
        }
        self.run_upnp(id, server, now);
        None
    }

    /// When the first of the servers is due.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        self.wakes.first().map(|(at, _)| *at)
    }

    /// The first of the servers is due.
    pub(super) fn wake(&mut self, now: Instant) {
        let Some((_, id)) = self.wakes.pop_first() else { return };
        // It may be gone, with the router that was restarted.
        if let Some(mut server) = self.routers[id].upnp.take() {
            server.handle_timeout(now);
            self.run_upnp(id, server, now);
        }
    }

    fn run_upnp(&mut self, id: RouterId, mut server: Box<Server>, now: Instant) {
        server.serve(&mut self.routers[id], now, &mut self.random);
        while let Some(packet) = server.poll_packet() {
            self.originate(id, Side::Inside, Some(packet), now);
        }
        self.wakes.retain(|(_, router)| *router != id);
        self.wakes.extend(server.poll_timeout(now).map(|at| (at, id)));
        self.routers[id].upnp = Some(server);
    }
}
