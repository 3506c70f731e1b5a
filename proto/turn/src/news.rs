//! What servers of several threads tell each other, and what the lobby tells all of them.

use std::net::IpAddr;
use std::sync::Arc;

use crate::address::{RelayAddr, RelayPort};

/// A lobby's one life: the GROUP of a credential `expiry:lobby.GROUP.PEER`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub Arc<str>);

impl GroupId {
    /// From the GROUP of a credential.
    pub fn new(group: &str) -> GroupId {
        GroupId(group.into())
    }
}

/// A member of a group: the PEER of a credential `expiry:lobby.GROUP.PEER`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(pub Arc<str>);

impl MemberId {
    /// From the PEER of a credential.
    pub fn new(peer: &str) -> MemberId {
        MemberId(peer.into())
    }
}

/// The token of a reserved port (RFC 8656 18.9).
pub type ReservationToken = [u8; 8];

/// A fact that every thread's server must know; order matters only between facts about the same thing.
///
/// What comes out as [`crate::Event::News`] goes to [`crate::Server::handle_news`] of all *other* threads, before the
/// packets of the same batch are sent, so that no client is ahead of the news. The last three come from the lobby, for
/// all threads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// A relayed address was allocated.
    Allocated {
        /// Who allocated it.
        user: Arc<str>,
        /// The group of its credential, if the lobby granted it.
        group: Option<GroupId>,
        /// The client's address.
        client: IpAddr,
        /// The relayed address.
        relayed: RelayAddr,
    },
    /// A relayed address is free again.
    Freed {
        /// The relayed address.
        relayed: RelayAddr,
    },
    /// A port is reserved: whichever server sees the token may open it.
    Reserved {
        /// What the client will show.
        token: ReservationToken,
        /// The port, of the teller's range.
        port: RelayPort,
        /// Who may have it.
        user: Arc<str>,
    },
    /// A reservation was used, and its port belongs to the teller until [`News::Freed`].
    Redeemed {
        /// The reservation's token.
        token: ReservationToken,
    },
    /// The lobby granted a credential.
    Granted {
        /// The lobby's life.
        group: GroupId,
        /// The member.
        peer: MemberId,
        /// From where the member is seen.
        address: IpAddr,
        /// When the credential ends, in Unix seconds.
        expires: u64,
    },
    /// The lobby took a credential back: its allocations end.
    Revoked {
        /// The lobby's life.
        group: GroupId,
        /// The member.
        peer: MemberId,
    },
    /// The lobby closed without completing: all its members' allocations end.
    GroupClosed {
        /// The lobby's life.
        group: GroupId,
    },
}
