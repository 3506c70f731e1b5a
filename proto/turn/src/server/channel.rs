//! Channels: a number that stands for a peer in both directions (RFC 8656 12).

use std::net::SocketAddr;
use std::time::Instant;

use crate::wire::ChannelNumber;

/// One binding.
#[derive(Clone, Copy, Debug)]
pub(super) struct Channel {
    pub number: ChannelNumber,
    pub peer: SocketAddr,
    expires: Instant,
}

/// Why a binding is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Conflict {
    /// The number is another peer's, or the peer has another number.
    Taken,
    /// There are as many as there may be.
    Full,
}

/// The channels of one allocation, sorted by number; and their numbers, sorted by peer.
#[derive(Debug, Default)]
pub(super) struct Channels {
    by_number: Vec<Channel>,
    by_peer: Vec<ChannelNumber>,
}

impl Channels {
    /// The peer behind a number.
    pub fn peer(&self, number: ChannelNumber, now: Instant) -> Option<SocketAddr> {
        let index = self.by_number.binary_search_by_key(&number, |channel| channel.number).ok()?;
        self.by_number.get(index).filter(|channel| channel.expires > now).map(|channel| channel.peer)
    }

    /// The number of a peer.
    pub fn number(&self, peer: SocketAddr, now: Instant) -> Option<ChannelNumber> {
        let index = self.place_of(peer).ok()?;
        let number = *self.by_peer.get(index)?;
        self.peer(number, now).map(|_| number)
    }

    fn place_of(&self, peer: SocketAddr) -> Result<usize, usize> {
        let peer_of = |number: &ChannelNumber| {
            let index = self.by_number.binary_search_by_key(number, |channel| channel.number);
            index.ok().and_then(|index| self.by_number.get(index)).map(|channel| channel.peer)
        };
        self.by_peer.binary_search_by_key(&Some(peer), peer_of)
    }

    /// Whether `number` may be bound to `peer`; then [`Channels::bind`] is sure to work.
    pub fn check(
        &mut self,
        number: ChannelNumber,
        peer: SocketAddr,
        max: u32,
        now: Instant,
    ) -> Result<(), Conflict> {
        self.sweep(now);
        match (self.peer(number, now), self.number(peer, now)) {
            (Some(bound), Some(known)) if bound == peer && known == number => Ok(()),
            (None, None) if self.len() < max => Ok(()),
            (None, None) => Err(Conflict::Full),
            _ => Err(Conflict::Taken),
        }
    }

    /// Binds or refreshes what [`Channels::check`] allowed.
    pub fn bind(&mut self, number: ChannelNumber, peer: SocketAddr, expires: Instant) {
        let channel = Channel { number, peer, expires };
        match self.by_number.binary_search_by_key(&number, |channel| channel.number) {
            Ok(index) => {
                if let Some(known) = self.by_number.get_mut(index) {
                    *known = channel;
                }
            }
            Err(index) => {
                if let Err(place) = self.place_of(peer) {
                    self.by_peer.insert(place, number);
                }
                self.by_number.insert(index, channel);
            }
        }
    }

    /// Forgets those that ran out.
    pub fn sweep(&mut self, now: Instant) {
        let before = self.by_number.len();
        self.by_number.retain(|channel| channel.expires > now);
        if self.by_number.len() < before {
            let Self { by_number, by_peer } = self;
            by_peer.retain(|number| by_number.binary_search_by_key(number, |channel| channel.number).is_ok());
        }
    }

    pub fn len(&self) -> u32 {
        u32::try_from(self.by_number.len()).unwrap_or(u32::MAX)
    }
}
