//! Plain counters of what the relay did and what it dropped, each drop under its name.

/// Why a packet, a request or a piece of news was dropped without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Discard {
    /// Longer than [`crate::Limits::message_bytes`], or empty.
    Length,
    /// Neither STUN nor ChannelData.
    NotStun,
    /// Begins like STUN, but cannot be parsed.
    Malformed,
    /// A response or an error: a server sends those.
    NotARequest,
    /// A request or an indication of a method that this server does not know.
    UnknownMethod,
    /// An indication with an attribute that must be understood, and is not, or that is malformed or missing.
    BadIndication,
    /// FINGERPRINT does not match.
    Fingerprint,
    /// ChannelData or Send from a 5-tuple without an allocation.
    NoAllocation,
    /// ChannelData on a channel that is not bound.
    NoChannel,
    /// No permission for the peer's address.
    NoPermission,
    /// The policy, or the grant, does not allow the peer's address.
    PeerDenied,
    /// A peer of a family for which the allocation has no relayed address.
    PeerFamily,
    /// From a peer to a port that is nobody's.
    NoPort,
    /// ChannelData shorter than its length field says.
    ChannelDataLength,
    /// Over [`crate::Limits::bytes`].
    ByteRate,
    /// Over [`crate::Limits::packets`].
    PacketRate,
    /// Over [`crate::Limits::unanswered_per_user`] or [`crate::Limits::unanswered_per_peer`].
    Unanswered,
    /// Over [`crate::Limits::answers`].
    AnswerRate,
    /// Asks for DONT-FRAGMENT, which the sockets cannot do.
    DontFragment,
    /// Over [`crate::Limits::members`] or [`crate::Limits::members_per_group`].
    DirectoryFull,
    /// What a lobby told before what it told last: somebody has recorded it.
    Replay,
    /// A second Allocate while the port of the first is being opened.
    Pending,
    /// An ICMP error that is not one to pass on (RFC 8656 11.5).
    Icmp,
}

impl Discard {
    /// Every reason, in the order of the counters.
    pub const ALL: [Discard; 23] = [
        Discard::Length,
        Discard::NotStun,
        Discard::Malformed,
        Discard::NotARequest,
        Discard::UnknownMethod,
        Discard::BadIndication,
        Discard::Fingerprint,
        Discard::NoAllocation,
        Discard::NoChannel,
        Discard::NoPermission,
        Discard::PeerDenied,
        Discard::PeerFamily,
        Discard::NoPort,
        Discard::ChannelDataLength,
        Discard::ByteRate,
        Discard::PacketRate,
        Discard::Unanswered,
        Discard::AnswerRate,
        Discard::DontFragment,
        Discard::DirectoryFull,
        Discard::Replay,
        Discard::Pending,
        Discard::Icmp,
    ];

    /// The name it is counted under.
    pub fn name(self) -> &'static str {
        match self {
            Discard::Length => "length",
            Discard::NotStun => "not-stun",
            Discard::Malformed => "malformed",
            Discard::NotARequest => "not-a-request",
            Discard::UnknownMethod => "unknown-method",
            Discard::BadIndication => "bad-indication",
            Discard::Fingerprint => "fingerprint",
            Discard::NoAllocation => "no-allocation",
            Discard::NoChannel => "no-channel",
            Discard::NoPermission => "no-permission",
            Discard::PeerDenied => "peer-denied",
            Discard::PeerFamily => "peer-family",
            Discard::NoPort => "no-port",
            Discard::ChannelDataLength => "channel-data-length",
            Discard::ByteRate => "byte-rate",
            Discard::PacketRate => "packet-rate",
            Discard::Unanswered => "unanswered",
            Discard::AnswerRate => "answer-rate",
            Discard::DontFragment => "dont-fragment",
            Discard::DirectoryFull => "directory-full",
            Discard::Replay => "replay",
            Discard::Pending => "pending",
            Discard::Icmp => "icmp",
        }
    }
}

/// Packets and payload bytes of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// Packets relayed.
    pub packets: u64,
    /// Bytes of their payload.
    pub bytes: u64,
}

impl Flow {
    fn add(&mut self, other: Flow) {
        self.packets += other.packets;
        self.bytes += other.bytes;
    }
}

/// What is stored at this moment. All zero: nobody has proved himself, nothing is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Allocations, those being opened included.
    pub allocations: u32,
    /// Permissions, those that ran out but were not yet swept included.
    pub permissions: u32,
    /// Channels, likewise.
    pub channels: u32,
    /// Relayed ports that are open or being opened.
    pub ports: u32,
    /// Reserved ports, over all threads.
    pub reservations: u32,
    /// Relayed addresses that other threads told of.
    pub foreign: u32,
    /// Groups that the lobby spoke of, and members that it has let in.
    pub members: u32,
}

impl Stored {
    fn add(&mut self, other: &Stored) {
        self.allocations += other.allocations;
        self.permissions += other.permissions;
        self.channels += other.channels;
        self.ports += other.ports;
        self.reservations = self.reservations.max(other.reservations);
        self.foreign += other.foreign;
        self.members = self.members.max(other.members);
    }

    /// All of it together.
    pub fn entries(&self) -> u64 {
        [
            self.allocations,
            self.permissions,
            self.channels,
            self.ports,
            self.reservations,
            self.foreign,
            self.members,
        ]
        .into_iter()
        .map(u64::from)
        .sum()
    }
}

/// Counters since the server was made, and what it holds now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Binding requests answered.
    pub bindings: u64,
    /// Requests answered with success, Binding aside.
    pub successes: u64,
    /// Requests answered with an error, by code: see [`Stats::errors`].
    errors: Vec<(u16, u64)>,
    /// Allocations made.
    pub allocated: u64,
    /// Allocations ended.
    pub freed: u64,
    /// Data from clients to peers.
    pub to_peers: Flow,
    /// Data from peers to clients.
    pub to_clients: Flow,
    /// What is stored now.
    pub stored: Stored,
    discards: [u64; Discard::ALL.len()],
}

impl Stats {
    /// How often `why` was the reason to drop something.
    pub fn discarded(&self, why: Discard) -> u64 {
        self.discards.get(why as usize).copied().unwrap_or(0)
    }

    /// Error answers by code, in the order in which the codes first occurred.
    pub fn errors(&self) -> impl Iterator<Item = (u16, u64)> + '_ {
        self.errors.iter().copied()
    }

    /// How often `code` was answered.
    pub fn error(&self, code: u16) -> u64 {
        self.errors.iter().find(|(known, _)| *known == code).map_or(0, |(_, count)| *count)
    }

    /// Adds another thread's counters. What is known to all threads (reservations, members) is counted once.
    pub fn add(&mut self, other: &Stats) {
        self.bindings += other.bindings;
        self.successes += other.successes;
        self.allocated += other.allocated;
        self.freed += other.freed;
        self.to_peers.add(other.to_peers);
        self.to_clients.add(other.to_clients);
        self.stored.add(&other.stored);
        for (mine, theirs) in self.discards.iter_mut().zip(other.discards) {
            *mine += theirs;
        }
        for (code, count) in other.errors() {
            match self.errors.iter_mut().find(|(known, _)| *known == code) {
                Some((_, sum)) => *sum += count,
                None => self.errors.push((code, count)),
            }
        }
    }

    pub(crate) fn discard(&mut self, why: Discard) {
        if let Some(count) = self.discards.get_mut(why as usize) {
            *count += 1;
        }
    }

    pub(crate) fn count_error(&mut self, code: u16) {
        match self.errors.iter_mut().find(|(known, _)| *known == code) {
            Some((_, count)) => *count += 1,
            None => self.errors.push((code, 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_discard_has_its_own_counter_and_name() {
        let mut stats = Stats::default();
        for (index, why) in Discard::ALL.into_iter().enumerate() {
            assert_eq!(why as usize, index);
            stats.discard(why);
            assert_eq!(stats.discarded(why), 1);
            assert!(Discard::ALL.iter().filter(|other| other.name() == why.name()).count() == 1);
        }
    }
}
