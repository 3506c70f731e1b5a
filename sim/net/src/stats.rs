//! Why packets end before they arrive, and how many.

use crate::packet::ParseError;

/// Defines the reasons and the list of all of them, which cannot differ so.
macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident: $text:literal,)*) => {
        /// Why a packet was dropped.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
        pub enum Drop {
            $($(#[$doc])* #[error($text)] $name,)*
        }

        impl Drop {
            /// All reasons.
            pub const ALL: [Drop; [$(Drop::$name),*].len()] = [$(Drop::$name),*];
        }
    };
}

reasons! {
    /// No packet at all, its addresses are of two families, or it is too long.
    Malformed: "not a packet",
    /// A fragment: the model puts nothing together again.
    Fragment: "a fragment",
    /// The host has no interface with this source address.
    UnknownSource: "no interface has this source address",
    /// The interface is down, or plugged in nowhere.
    InterfaceDown: "the interface is down",
    /// Lost in a link.
    Lost: "lost on the way",
    /// A link's queue was full.
    QueueFull: "the queue was full",
    /// A link damaged it, and the receiver saw a wrong checksum.
    Corrupted: "damaged on the way",
    /// Longer than the MTU, and its sender was told.
    TooBig: "longer than the link carries",
    /// Longer than the MTU, and nobody was told.
    Blackhole: "longer than the link carries, and nobody said so",
    /// Nobody has this address, and no router leads there.
    NoRoute: "no route",
    /// The address belongs into this segment, and nobody has it.
    NoNeighbour: "nobody in the segment has this address",
    /// Link-local addresses are for one segment.
    LinkLocal: "a link-local address does not leave its segment",
    /// Its hop limit was used up.
    HopLimit: "the hop limit was used up",
    /// A rule of `Network::block`.
    Blocked: "blocked",
    /// A NAT has no mapping at this external endpoint.
    NoMapping: "no mapping",
    /// A NAT has a mapping, but this sender is filtered.
    Filtered: "filtered",
    /// A table of a NAT or a firewall was full, or a router's server had no place for one more connection.
    TableFull: "the table was full",
    /// A NAT, or the subscriber's port block, had no port left.
    PortsExhausted: "no port was left",
    /// To the NAT's own outside from its inside, and it does not hairpin.
    NoHairpin: "no hairpinning",
    /// A NAT cannot translate this protocol, or this ICMP message.
    NotTranslatable: "cannot be translated",
    /// A firewall lets nothing out to there.
    FirewallOutbound: "a firewall does not let it out",
    /// A firewall lets only replies in.
    FirewallInbound: "a firewall does not let it in",
    /// It was for a router itself, which has nothing there.
    NoService: "the router has no such service",
}

impl From<ParseError> for Drop {
    fn from(error: ParseError) -> Drop {
        match error {
            ParseError::Fragment => Drop::Fragment,
            ParseError::Checksum => Drop::Corrupted,
            ParseError::Truncated | ParseError::Version | ParseError::Length => Drop::Malformed,
        }
    }
}

/// How many packets went how far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// From hosts.
    pub sent: u64,
    /// Made by routers and links themselves: errors, answers.
    pub originated: u64,
    /// Copies for several receivers, or by a link that doubles.
    pub copied: u64,
    /// Translations by NATs.
    pub translated: u64,
    /// To hosts.
    pub delivered: u64,
    /// To routers themselves: answered, or multicast of no interest.
    pub consumed: u64,
    dropped: [u64; Drop::ALL.len()],
}

impl Default for Stats {
    fn default() -> Stats {
        Stats {
            sent: 0,
            originated: 0,
            copied: 0,
            translated: 0,
            delivered: 0,
            consumed: 0,
            dropped: [0; Drop::ALL.len()],
        }
    }
}

impl Stats {
    /// How many were dropped for this reason.
    pub fn dropped(&self, why: Drop) -> u64 {
        self.dropped.get(why as usize).copied().unwrap_or_default()
    }

    /// How many were dropped.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.iter().sum()
    }

    pub(crate) fn count(&mut self, why: Drop) {
        if let Some(count) = self.dropped.get_mut(why as usize) {
            *count += 1;
        }
    }
}
