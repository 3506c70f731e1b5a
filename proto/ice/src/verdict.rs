//! How things stand with a connection, in one word for programs and one sentence for people.

use std::fmt;

use twocan_stun::ErrorCode;

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

/// What a verdict follows from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub described: bool,
    pub local_candidates: bool,
    pub remote_candidates: bool,
    pub pairs: bool,
    /// An authentic request came.
    pub heard: bool,
    /// A message came that was not authentic.
    pub unauthenticated: bool,
    pub refused: Option<ErrorCode>,
    pub role_conflicts: u64,
    /// Either side offered one.
    pub relay: bool,
    pub symmetric_here: bool,
    pub symmetric_there: bool,
}

/// Role conflicts beyond which it is no accident: the first is resolved by the second message.
const ROLE_CONFLICTS_MAX: u64 = 8;

/// Why nothing is usable, the surest reason first.
pub(crate) fn judge(facts: &Facts) -> Verdict {
    match *facts {
        Facts { local_candidates: false, .. } => Verdict::NoLocalCandidates,
        Facts { described: false, .. } => Verdict::NoDescription,
        Facts { remote_candidates: false, .. } => Verdict::NoRemoteCandidates,
        Facts { pairs: false, .. } => Verdict::NoPair,
        Facts { role_conflicts, .. } if role_conflicts > ROLE_CONFLICTS_MAX => Verdict::RoleConflict,
        Facts { refused: Some(ErrorCode::UNAUTHENTICATED), .. } => Verdict::WrongCredentials,
        Facts { refused: Some(_), .. } => Verdict::Refused,
        Facts { heard: true, .. } => Verdict::OneWay,
        Facts { unauthenticated: true, .. } => Verdict::WrongCredentials,
        Facts { relay: true, .. } => Verdict::NoAnswerDespiteRelay,
        Facts { symmetric_here: true, symmetric_there: true, .. } => Verdict::BothSymmetric,
        _ => Verdict::NoAnswerNoRelay,
    }
}
