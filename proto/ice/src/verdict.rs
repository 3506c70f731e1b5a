//! How things stand with a connection, in one word for programs and one sentence for people.

use std::fmt;

/// Why there is no connection, or that there is one. [`fmt::Display`] is one sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// A pair is in use.
    Connected,
    /// Checks are going on.
    Undecided,
    /// The other side's credentials never came.
    NoDescription,
    /// This side has no candidate.
    NoLocalCandidates,
    /// The other side named no candidate, and sent no check.
    NoRemoteCandidates,
    /// Candidates on both sides, and no two of them fit.
    NoPair,
    /// The other side refuses our checks, or we its, since the credentials do not match.
    WrongCredentials,
    /// The other side refuses our checks for another reason.
    Refused,
    /// The two sides never agreed who controls.
    RoleConflict,
    /// Both sides get another port for every destination, and there is no relay.
    BothSymmetric,
    /// Checks of the other side arrive; our own are never answered.
    OneWay,
    /// No check was answered, and there is no relay.
    NoAnswerNoRelay,
    /// No check was answered, not even through a relay.
    NoAnswerDespiteRelay,
    /// The connection stood, and the other side stopped answering.
    ConsentLost,
    /// The connection stood, and its socket was removed.
    SocketLost,
    /// The caller closed the agent.
    Closed,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Connected => "a pair is in use",
            Verdict::Undecided => "checks are going on",
            Verdict::NoDescription => "the other side never said how to reach it",
            Verdict::NoLocalCandidates => "this side has no address to be reached at",
            Verdict::NoRemoteCandidates => "the other side named no address to be reached at",
            Verdict::NoPair => "no address of one side can speak to one of the other: their families or transports differ",
            Verdict::WrongCredentials => "the two sides hold different credentials: one of them has started anew",
            Verdict::Refused => "the other side refused every check",
            Verdict::RoleConflict => "the two sides did not agree who is to choose the path",
            Verdict::BothSymmetric => {
                "both sides are behind NATs that change the port for every destination, and no relay was offered"
            }
            Verdict::OneWay => "the other side's packets arrive here, and none of ours was ever answered",
            Verdict::NoAnswerNoRelay => "no address of the other side answered, and no relay was offered",
            Verdict::NoAnswerDespiteRelay => "no address of the other side answered, not even through a relay",
            Verdict::ConsentLost => "the connection stood, and then the other side stopped answering",
            Verdict::SocketLost => "the connection stood, and then its network interface went away",
            Verdict::Closed => "this side closed the connection",
        })
    }
}
