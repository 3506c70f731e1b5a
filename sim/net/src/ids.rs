//! Ids, each of its own type. One network's id means nothing in another.

/// Defines an id by number, and how it is shown.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $word:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub(crate) u32);

        impl $name {
            /// Its place in the order in which they were added.
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(formatter, "{} {}", $word, self.0)
            }
        }

        impl From<$name> for usize {
            fn from(id: $name) -> usize {
                id.index()
            }
        }

        impl From<usize> for $name {
            fn from(index: usize) -> $name {
                $name(u32::try_from(index).expect("fewer than four thousand million of anything"))
            }
        }
    };
}

id!(
    /// A program's machine: where packets begin and end.
    HostId,
    "host"
);
id!(
    /// A box with an inside and an outside.
    RouterId,
    "router"
);
id!(
    /// A broadcast domain, or the internet.
    SegmentId,
    "segment"
);
id!(
    /// Where a host or a router is plugged into a segment, by an access link of its own.
    InterfaceId,
    "interface"
);
id!(
    /// A rule of [`crate::Network::block`].
    BlockId,
    "block"
);

/// A packet on its way: copies, and what a translation makes of it, have the number of the one that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PacketId(pub u64);
