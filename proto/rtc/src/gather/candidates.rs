//! The candidates that stand: made, freed of what is redundant (RFC 8445 5.1.3), and written with what is to be hidden hidden.

use std::net::{IpAddr, SocketAddr};

use twocan_ice::{Candidate, Kind, LocalCandidate, LocalPreference, Named, RelayProtocol, SocketId};

use super::{Command, Event, Gathered, Gatherer, Socket, TransportPolicy, limits};

impl Gatherer {
    pub(super) fn add_host(&mut self, socket: Socket) {
        // Bound to all addresses, it has none to offer: servers say what it is seen at.
        if self.policy == TransportPolicy::Relay || socket.local.ip().is_unspecified() {
            return;
        }
        let preference = LocalPreference::of(socket.local.ip(), socket.interface);
        let local = LocalCandidate::host(&mut self.foundations, socket.id, socket.local, preference);
        let text = if self.hides_hosts {
            let name = self.name_of(socket.local.ip());
            Named::hiding(&local.candidate, &name).to_string()
        } else {
            local.candidate.to_string()
        };
        self.add(Gathered { local, text });
    }

    pub(super) fn add_reflexive(&mut self, socket: SocketId, mapped: SocketAddr, server: IpAddr) {
        let Some(socket) = self.socket(socket).filter(|_| self.policy == TransportPolicy::All) else {
            return;
        };
        let is_usable = mapped.port() != 0 && !mapped.ip().is_unspecified() && !mapped.ip().is_multicast();
        let of_socket = || {
            self.candidates
                .iter()
                .filter(|known| known.local.socket == socket.id)
                .map(|known| &known.local.candidate)
        };
        // A host candidate that is hidden does not make the same address redundant: nobody outside can resolve its name.
        let counts = |known: &&Candidate| known.kind == Kind::ServerReflexive || !self.hides_hosts;
        let is_known = of_socket().filter(counts).any(|known| known.address == mapped);
        let reflexive = of_socket().filter(|known| known.kind == Kind::ServerReflexive).count();
        if !is_usable || is_known || reflexive >= limits::REFLEXIVE_MAX {
            return;
        }
        let preference = LocalPreference::of(socket.local.ip(), socket.interface);
        let local = LocalCandidate::server_reflexive(
            &mut self.foundations,
            socket.id,
            mapped,
            socket.local,
            server,
            preference,
        );
        let text = self.text_of(&local);
        self.add(Gathered { local, text });
    }

    pub(super) fn add_relayed(
        &mut self,
        id: SocketId,
        relayed: SocketAddr,
        mapped: Option<SocketAddr>,
        server: (IpAddr, RelayProtocol),
        interface: u16,
    ) {
        let preference = LocalPreference::of(relayed.ip(), interface);
        let related = mapped.unwrap_or(relayed);
        let local = LocalCandidate::relayed(&mut self.foundations, id, relayed, related, server, preference);
        let text = self.text_of(&local);
        self.add(Gathered { local, text });
    }

    /// The candidate for the other side; its related address is hidden where it would say what the policy hides.
    fn text_of(&self, local: &LocalCandidate) -> String {
        let mut candidate = local.candidate.clone();
        if self.hides_hosts || self.policy == TransportPolicy::Relay {
            candidate.related = None;
        }
        candidate.to_string()
    }

    fn add(&mut self, gathered: Gathered) {
        self.candidates.push(gathered.clone());
        self.events.push_back(Event::Candidate(gathered));
    }

    /// The mDNS name that stands for an address: a random UUID (RFC 9562 5.4), which says nothing.
    fn name_of(&mut self, address: IpAddr) -> String {
        if let Some((_, name)) = self.names.iter().find(|(known, _)| *known == address) {
            return name.clone();
        }
        let bits = u128::from_be_bytes(self.random());
        let bits = bits & !(0xF << 76) | 4 << 76;
        let bits = bits & !(0b11 << 62) | 0b10 << 62;
        let digits = format!("{bits:032x}");
        let mut name = String::new();
        for (index, digit) in digits.chars().enumerate() {
            if matches!(index, 8 | 12 | 16 | 20) {
                name.push('-');
            }
            name.push(digit);
        }
        name.push_str(".local");
        self.names.push((address, name.clone()));
        self.commands.push_back(Command::Announce { name: name.clone(), address });
        name
    }
}
