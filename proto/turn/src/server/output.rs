//! What a server wants done: packets in one arena, commands, events. Polls only pop.

use std::collections::VecDeque;
use std::net::SocketAddr;

use twocan_stun::BuildError;

use crate::address::{ClientAddr, OriginAddr, PeerAddr, RelayAddr, RelayPort};
use crate::news::News;

/// The arena is given back to the allocator when it has grown past this.
const ARENA_BYTES_KEPT: usize = 4 << 20;

/// Which socket sends, and to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// The listener (or the connection) of this client.
    Client(ClientAddr),
    /// A relayed port of ours, to a peer.
    Relay(RelayPort, PeerAddr),
    /// The UDP listener at one of the four addresses of behaviour discovery, to whoever asked (RFC 5780 6.1).
    Discovery(OriginAddr, SocketAddr),
}

/// One packet to send. The packets of one batch lie in one arena in the order in which they are polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit<'a> {
    /// From where, to where.
    pub via: Via,
    /// The whole packet; for a stream client one whole frame, padding included.
    pub bytes: &'a [u8],
    /// The packet must not be fragmented (only with [`crate::Config::dont_fragment`]).
    pub dont_fragment: bool,
}

/// What a server asks for other than sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Open a UDP socket; the answer is [`crate::Server::handle_port_opened`].
    OpenPort(RelayPort),
    /// Close the UDP socket: its allocation ended. Also said of a port still being opened.
    ClosePort(RelayPort),
    /// Close the TCP or TLS connection of this client (never said of UDP).
    CloseClient(ClientAddr),
}

/// Why a port could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// Somebody else has it: another will be tried.
    #[error("the port is in use")]
    InUse,
    /// The system gives no more sockets: trying another is in vain.
    #[error("no more sockets")]
    Exhausted,
}

/// Why an allocation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// The client asked, with a lifetime of 0.
    Freed,
    /// Its lifetime ran out.
    Expired,
    /// The credential ran out.
    CredentialExpired,
    /// The lobby took the credential back.
    Revoked,
    /// The TCP or TLS connection ended.
    ClientClosed,
    /// No port could be opened.
    NoPort,
    /// No port was left for somebody else, and it had no permission for [`crate::Limits::unused`].
    Unused,
    /// Its relayed address is not ours any more: [`crate::Server::handle_external`].
    Moved,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// To be told to the servers of all other threads.
    News(News),
    /// An allocation is there.
    Opened {
        /// Whose.
        client: ClientAddr,
        /// Its first relayed address.
        relayed: RelayAddr,
    },
    /// An allocation is gone.
    Ended {
        /// Whose it was.
        client: ClientAddr,
        /// Why.
        why: EndReason,
    },
}

struct Queued {
    via: Via,
    start: usize,
    end: usize,
    dont_fragment: bool,
}

/// The queues behind the polls.
#[derive(Default)]
pub(crate) struct Output {
    arena: Vec<u8>,
    transmits: Vec<Queued>,
    polled: usize,
    pub commands: VecDeque<Command>,
    pub events: VecDeque<Event>,
}

impl Output {
    /// Queues one packet: `write` appends its bytes to the arena.
    pub fn packet(&mut self, via: Via, dont_fragment: bool, write: impl FnOnce(&mut Vec<u8>)) {
        if self.polled == self.transmits.len() {
            self.reset();
        }
        let start = self.arena.len();
        write(&mut self.arena);
        self.transmits.push(Queued { via, start, end: self.arena.len(), dont_fragment });
    }

    /// Queues one message that `build` writes into `room` bytes, saying how many it took. `false`: it did not fit.
    pub fn message(
        &mut self,
        via: Via,
        room: usize,
        build: impl FnOnce(&mut [u8]) -> Result<usize, BuildError>,
    ) -> bool {
        if self.polled == self.transmits.len() {
            self.reset();
        }
        let start = self.arena.len();
        self.arena.resize(start + room, 0);
        let built = self.arena.get_mut(start..).map_or(Err(BuildError::NoRoom), build);
        let end = start + built.unwrap_or(0);
        self.arena.truncate(end);
        if built.is_ok() {
            self.transmits.push(Queued { via, start, end, dont_fragment: false });
        }
        built.is_ok()
    }

    pub fn poll_transmit(&mut self) -> Option<Transmit<'_>> {
        if self.polled == self.transmits.len() {
            self.reset();
            return None;
        }
        let queued = self.transmits.get(self.polled)?;
        self.polled += 1;
        let bytes = self.arena.get(queued.start..queued.end)?;
        Some(Transmit { via: queued.via, bytes, dont_fragment: queued.dont_fragment })
    }

    fn reset(&mut self) {
        self.polled = 0;
        self.transmits.clear();
        self.arena.clear();
        self.arena.shrink_to(ARENA_BYTES_KEPT);
    }
}
