//! Every limit of the relay, by name. `tests/limits.rs` reaches each.

use std::time::Duration;

use twocan_base::Quota;

use crate::wire::{ChannelNumber, FRAME_LEN_MAX};

/// A token bucket's measure: what flows in each second, and how much it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Tokens that come back each second.
    pub per_second: u32,
    /// Tokens in a full bucket.
    pub burst: u32,
}

/// The limits of one [`crate::Server`]. Those "over all threads" count what the others' [`crate::News`] told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Allocations of this server; beyond: 508.
    pub allocations: u32,
    /// Relayed addresses of one operator's user, over all threads; beyond: 486. A name may be shared by all of an application.
    pub allocations_per_user: u32,
    /// The same of one lobby's credential. A browser allocates three for each peer that it connects to (UDP, TCP, TLS).
    pub allocations_per_member: u32,
    /// Relayed addresses of each family of one household (an IPv4 address, an IPv6 /56), over all threads, while all of 16,384
    /// ports are free; beyond: 486. It shrinks as the ports fill ([`twocan_base::Ledger`]), and is the same part of fewer
    /// ports, but 64 or half of them at least. A school of 200 behind one address needs 600.
    pub allocations_per_household: u32,
    /// The same of one site (an IPv6 /48).
    pub allocations_per_site: u32,
    /// Relayed addresses of one family that a household may have as long as any is free.
    pub allocations_floor: u32,
    /// When no port is left for somebody, an allocation that has had no permission for so long gives its own up.
    pub unused: Duration,
    /// Permissions of one allocation; beyond: 508.
    pub permissions_per_allocation: u32,
    /// Channels of one allocation; beyond: 508.
    pub channels_per_allocation: u32,
    /// Permissions and channels of one household's allocations, over all threads, each of which has its part; beyond: 508. An entry takes
    /// at most 100 bytes (measured); an allocation of a browser's has about ten.
    pub peers: Quota,
    /// The highest channel number that may be bound, from 0x4000 on; beyond: 400. 0x4FFF is as RFC 8656 has it, the
    /// default 0x7FFF as RFC 5766 had it: see [`crate::wire::ChannelNumber`].
    pub channel_number_max: u16,
    /// XOR-PEER-ADDRESS in one CreatePermission; beyond: 400.
    pub peers_per_request: u32,
    /// Ports reserved for a RESERVATION-TOKEN, over all threads; beyond: 508. A household has a sixteenth on each, shrinking.
    pub reservations: u32,
    /// Ports tried for one Allocate; then: 508.
    pub port_attempts: u32,
    /// Payload bytes of one allocation of an operator's user, both directions together; beyond: dropped.
    pub bytes: Rate,
    /// The same of one allocation of a lobby's credential.
    pub bytes_of_member: Rate,
    /// Packets of one allocation of an operator's user, both directions together; beyond: dropped.
    pub packets: Rate,
    /// The same of one allocation of a lobby's credential.
    pub packets_of_member: Rate,
    /// Payload bytes that one user's allocations on one thread together send to a household from which nothing has come back,
    /// each packet counted as 128 at least; beyond: dropped. A connectivity check has about 100. Relayed addresses of our own
    /// need no answer: whoever has one has agreed to it.
    pub unanswered_per_user: Rate,
    /// The same of all users, over all threads.
    pub unanswered_per_peer: Rate,
    /// New permissions of one allocation; beyond: 508.
    pub new_peers: Rate,
    /// Unauthenticated answers (Binding, 401, 438, 400, 420) to one /24 or /56, over all threads; beyond: dropped. Also to
    /// sources that are not public, where no external address is public either: a relay of a private network.
    pub answers: Rate,
    /// The same to one /24 or /56 that is not public (private, link-local), of a relay with a public address: such a source may be
    /// forged from anywhere, and lies in the operator's own network; or it is a router or a container's bridge that hides all
    /// clients, of whom each takes about six answers.
    pub answers_local: Rate,
    /// The same to loopback. The kernel takes no such source from a network, so it is nobody's victim.
    pub answers_loopback: Rate,
    /// What a client gets that asks for no LIFETIME.
    pub lifetime_default: Duration,
    /// The longest lifetime a client gets.
    pub lifetime_max: Duration,
    /// How long a permission lasts (RFC 8656 9: 300 s).
    pub permission_lifetime: Duration,
    /// How long a channel lasts (RFC 8656 12: 600 s).
    pub channel_lifetime: Duration,
    /// How long a port waits for its RESERVATION-TOKEN (RFC 8656 7.2: 30 s).
    pub reservation_lifetime: Duration,
    /// How long a nonce is good; the key of the nonces changes as often.
    pub nonce_lifetime: Duration,
    /// The furthest expiry that a time-limited credential may have; beyond: refused.
    pub credential_lifetime_max: Duration,
    /// Groups that the lobby spoke of whose credentials may be good, and members that it has let in, by the household of each
    /// group's first member and of each member; beyond: the member is not let in. An entry takes 440 bytes in each thread (measured).
    pub members: Quota,
    /// Members of one group (a lobby has 64 at a time). Beyond, whose credential ends first gives way, of the household that
    /// has the most.
    pub members_per_group: u32,
    /// Bytes in a user name (RFC 8489 14.3: 508).
    pub username_bytes: usize,
    /// Bytes of one message from a client or a peer; beyond: dropped.
    pub message_bytes: usize,
}

impl Limits {
    /// Bytes and packets of one allocation, of a lobby's credential or of an operator's user.
    pub(crate) fn data_rates(&self, is_member: bool) -> [Rate; 2] {
        if is_member { [self.bytes_of_member, self.packets_of_member] } else { [self.bytes, self.packets] }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            allocations: 16_384,
            allocations_per_user: 128,
            allocations_per_member: 192,
            allocations_per_household: 768,
            allocations_per_site: 1_536,
            allocations_floor: 4,
            unused: Duration::from_secs(60),
            permissions_per_allocation: 256,
            channels_per_allocation: 256,
            peers: Quota { total: 262_144, household: 16_384, site: 32_768, floor: 64 },
            channel_number_max: ChannelNumber::MAX,
            peers_per_request: 32,
            reservations: 1_024,
            port_attempts: 8,
            bytes: Rate { per_second: 64 << 20, burst: 64 << 20 },
            bytes_of_member: Rate { per_second: 4 << 20, burst: 4 << 20 },
            packets: Rate { per_second: 100_000, burst: 100_000 },
            packets_of_member: Rate { per_second: 10_000, burst: 10_000 },
            unanswered_per_user: Rate { per_second: 64 << 10, burst: 64 << 10 },
            unanswered_per_peer: Rate { per_second: 512 << 10, burst: 512 << 10 },
            new_peers: Rate { per_second: 10, burst: 64 },
            answers: Rate { per_second: 2_000, burst: 4_000 },
            answers_local: Rate { per_second: 200, burst: 1_000 },
            answers_loopback: Rate { per_second: 500_000, burst: 500_000 },
            lifetime_default: Duration::from_secs(600),
            lifetime_max: Duration::from_secs(3_600),
            permission_lifetime: Duration::from_secs(300),
            channel_lifetime: Duration::from_secs(600),
            reservation_lifetime: Duration::from_secs(30),
            nonce_lifetime: Duration::from_secs(3_600),
            credential_lifetime_max: Duration::from_secs(48 * 3_600),
            members: Quota { total: 65_536, household: 4_096, site: 16_384, floor: 64 },
            members_per_group: 128,
            username_bytes: 508,
            message_bytes: FRAME_LEN_MAX,
        }
    }
}
