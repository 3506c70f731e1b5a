//! What can be wrong with bytes that should be a packet.

/// These bytes are no packet that the model carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum ParseError {
    /// It ends before its headers do, or before the length that they say.
    #[error("the packet is cut short")]
    Truncated,
    /// Neither version 4 nor 6.
    #[error("neither IPv4 nor IPv6")]
    Version,
    /// A length inside does not fit the others.
    #[error("lengths that do not fit each other")]
    Length,
    /// A checksum is wrong.
    #[error("wrong checksum")]
    Checksum,
    /// A fragment of a larger packet: the model puts nothing together again.
    #[error("a fragment")]
    Fragment,
}
