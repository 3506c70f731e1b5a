//! What can be wrong, by whose fault it is: text that is no candidate, a message that is not for us or not now, and a
//! caller's mistake.

use twocan_stun::ErrorCode;

/// This text is not a candidate, or no credentials (RFC 8839 sections 5.1 and 5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum ParseError {
    /// Longer than [`crate::Candidate::TEXT_LEN_MAX`].
    #[error("longer than a candidate may be")]
    TooLong,
    /// It does not begin with `candidate:` (or `a=candidate:`).
    #[error("not a candidate line")]
    NotACandidate,
    /// It ends before all that a candidate needs was said.
    #[error("the candidate is cut short")]
    Truncated,
    /// Not 1 to 32 letters of the ICE alphabet.
    #[error("malformed foundation")]
    Foundation,
    /// Not a number from 1 to 256.
    #[error("malformed component")]
    Component,
    /// Neither `udp` nor `tcp`: such candidates are to be ignored (RFC 8839 section 5.1).
    #[error("unknown transport")]
    UnknownTransport,
    /// Not a number from 1 to 4,294,967,295.
    #[error("malformed priority")]
    Priority,
    /// Neither an IP address nor a host name.
    #[error("malformed address")]
    Address,
    /// Not a number from 0 to 65,535.
    #[error("malformed port")]
    Port,
    /// The word `typ` is missing.
    #[error("the type is missing")]
    NoKind,
    /// None of host, srflx, prflx, relay: such candidates are to be ignored (RFC 8839 section 5.1).
    #[error("unknown type")]
    UnknownKind,
    /// `tcptype` is missing with TCP, or none of active, passive, so.
    #[error("malformed tcptype")]
    TcpType,
    /// Not 4 to 256 letters of the ICE alphabet.
    #[error("malformed ufrag")]
    Ufrag,
    /// Not 22 to 256 letters of the ICE alphabet.
    #[error("malformed password")]
    Pwd,
}

/// What was received is not for us, or not now. It was answered if that was due, and is counted under its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Discard {
    /// The answer to a request that was not ours: perhaps gathering asked it.
    #[error("the answer to nobody here")]
    NotForUs,
    /// Not a STUN message.
    #[error("not a STUN message")]
    Malformed,
    /// A STUN message of another method than Binding.
    #[error("another method than Binding")]
    OtherMethod,
    /// It came in at a socket that no local candidate has.
    #[error("no candidate has this socket")]
    UnknownSocket,
    /// FINGERPRINT is missing or wrong.
    #[error("the fingerprint is missing or wrong")]
    Fingerprint,
    /// A request without USERNAME, MESSAGE-INTEGRITY or PRIORITY: answered with 400.
    #[error("an incomplete request")]
    Incomplete,
    /// USERNAME or MESSAGE-INTEGRITY is not what it should be; a request is answered with 401.
    #[error("not authentic")]
    Unauthenticated,
    /// A request with attributes that must be understood and are not: answered with 420.
    #[error("unknown attributes that must be understood")]
    UnknownAttributes,
    /// Both sides had the same role, and we keep ours: answered with 487.
    #[error("role conflict")]
    RoleConflict,
    /// A nomination by way of a relay before direct pairs had their time ([`crate::Agent::set_patient`]): not answered.
    #[error("a relay nominated before direct pairs had their time")]
    Hasty,
    /// The answer came from elsewhere than was asked (RFC 8445 7.2.5.2.1).
    #[error("answered from another address")]
    Asymmetric,
    /// The peer refused our request with this code.
    #[error("refused: {0}")]
    Refused(ErrorCode),
    /// A candidate at an address that nobody may be sent to: unspecified, multicast, port 0.
    #[error("not an address to send to")]
    Unreachable,
    /// A candidate of a component that does not exist here: there is only component 1.
    #[error("another component")]
    OtherComponent,
    /// A candidate that says to belong to other credentials (RFC 8838 section 8.2), or a request of the time before a restart by
    /// a way that was not known then: answered, and not followed.
    #[error("of another generation")]
    OtherGeneration,
    /// One candidate more than [`crate::Config::remote_candidates_max`].
    #[error("too many remote candidates")]
    TooManyCandidates,
    /// One kept request, pair or local candidate more than there is room for.
    #[error("no room")]
    Full,
    /// The agent is closed.
    #[error("closed")]
    Closed,
}

/// The caller's mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Misuse {
    /// One candidate more than [`crate::Config::local_candidates_max`].
    #[error("too many local candidates")]
    TooManyCandidates,
    /// There is only component 1.
    #[error("another component than 1")]
    OtherComponent,
    /// The candidate's address is unspecified, or a peer-reflexive one was given, which only checks discover.
    #[error("not a local candidate")]
    NotACandidate,
    /// The value is too long for a Binding request.
    #[error("too long to embed")]
    TooLong,
    /// The agent is closed.
    #[error("closed")]
    Closed,
}
