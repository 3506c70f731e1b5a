//! A local base and a remote address, and all that is known of the way between them (RFC 8445 section 6.1.2).

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use twocan_stun::ErrorCode;

use crate::check::Outstanding;
use crate::priority::{LocalPreference, pair_priority, priority};
use crate::{Failure, Kind, PairState, Role, SocketId, Transport};

/// Names a pair as long as the agent lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PairId(pub u32);

/// Counts restarts: a pair belongs to the credentials of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Generation(pub u32);

/// How a packet goes, or came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    pub socket: SocketId,
    pub remote: SocketAddr,
}

/// A socket as checks see it: reflexive candidates are sent from their base, so they make no pairs of their own (RFC 8445
/// section 6.1.2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Base {
    pub socket: SocketId,
    /// Host or relayed.
    pub kind: Kind,
    pub transport: Transport,
    pub address: SocketAddr,
    pub preference: LocalPreference,
    pub priority: u32,
}

impl Base {
    /// What a peer-reflexive candidate found through this base would be worth: PRIORITY in checks (section 7.1.1).
    pub fn reflexive_priority(&self) -> u32 {
        priority(Kind::PeerReflexive, self.transport, self.preference, 1)
    }
}

/// The other end of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Remote {
    pub kind: Kind,
    pub transport: Transport,
    pub address: SocketAddr,
    pub priority: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub id: PairId,
    pub generation: Generation,
    pub base: Base,
    pub remote: Remote,
    pub state: PairState,
    /// To be checked before all others, since the other side was heard on it.
    pub triggered: bool,
    /// It was triggered once since the state last changed: further requests do not make us send more.
    pub was_triggered: bool,
    /// When to ask again, or to give up.
    pub due: Option<Instant>,
    /// Requests sent since the last answer.
    pub unanswered: u32,
    pub outstanding: Outstanding,
    /// Controlling: to be nominated, or controlled: the other side has nominated it.
    pub nomination: Option<Instant>,
    /// The nomination stands: answered, or (controlled) the pair is valid.
    pub nominated: bool,
    /// What the other side sees us as.
    pub local_kind: Kind,
    pub mapped: Option<SocketAddr>,
    pub answered_from_elsewhere: bool,
    pub rtt: Option<Duration>,
    pub first_sent: Option<Instant>,
    pub last_sent: Option<Instant>,
    pub validated: Option<Instant>,
    /// The last answer.
    pub confirmed: Option<Instant>,
    /// The last authentic request.
    pub heard: Option<Instant>,
    pub requests_sent: u32,
    pub answers: u32,
    pub requests_heard: u32,
}

impl Pair {
    pub fn new(id: PairId, generation: Generation, base: Base, remote: Remote) -> Pair {
        Pair {
            id,
            generation,
            base,
            remote,
            state: PairState::Waiting,
            triggered: false,
            was_triggered: false,
            due: None,
            unanswered: 0,
            outstanding: Outstanding::default(),
            nomination: None,
            nominated: false,
            local_kind: base.kind,
            mapped: None,
            answered_from_elsewhere: false,
            rtt: None,
            first_sent: None,
            last_sent: None,
            validated: None,
            confirmed: None,
            heard: None,
            requests_sent: 0,
            answers: 0,
            requests_heard: 0,
        }
    }

    pub fn way(&self) -> Way {
        Way { socket: self.base.socket, remote: self.remote.address }
    }

    /// Usable: an answer came, and consent has not expired.
    pub fn is_valid(&self) -> bool {
        self.state == PairState::Succeeded
    }

    pub fn is_stream(&self) -> bool {
        self.base.transport != Transport::Udp
    }

    pub fn priority(&self, role: Role) -> u64 {
        pair_priority(role, self.base.priority, self.remote.priority)
    }

    /// How many relays are in between; more is worse than anything.
    pub fn relays(&self) -> u8 {
        u8::from(self.base.kind == Kind::Relayed) + u8::from(self.remote.kind == Kind::Relayed)
    }

    /// What makes a way a better one, whatever its round trip: fewer relays, no stream between the two sides, none to our own relay (UDP, then
    /// TCP, then TLS). The least is the best.
    pub fn class(&self) -> (u8, bool, u16) {
        (self.relays(), self.is_stream(), self.base.preference.class())
    }

    pub fn failure(&self) -> Option<Failure> {
        match self.state {
            PairState::Failed(failure) => Some(failure),
            _ => None,
        }
    }

    pub fn refusal(&self) -> Option<ErrorCode> {
        match self.failure() {
            Some(Failure::Refused(code)) => Some(code),
            _ => None,
        }
    }

    /// When the other side was last heard of, in whatever way.
    pub fn last_sign_of_life(&self) -> Option<Instant> {
        self.confirmed.max(self.heard)
    }

    /// Back to where it was before any check; what was counted stays.
    pub fn rewind(&mut self) {
        self.state = PairState::Waiting;
        self.due = None;
        self.unanswered = 0;
        self.was_triggered = false;
    }

    /// Given up. A late answer to what was asked before does not bring it back.
    pub fn fail(&mut self, failure: Failure) {
        self.state = PairState::Failed(failure);
        self.due = None;
        self.triggered = false;
        self.was_triggered = false;
        self.nominated = false;
        self.nomination = None;
        self.outstanding = Outstanding::default();
    }

    /// An answer came after that time.
    pub fn confirm(&mut self, rtt: Duration, now: Instant) {
        self.rtt = Some(match self.rtt {
            Some(smoothed) => (smoothed * 7 + rtt) / 8,
            None => rtt,
        });
        self.state = PairState::Succeeded;
        self.answers += 1;
        self.unanswered = 0;
        self.validated.get_or_insert(now);
        self.confirmed = Some(now);
    }
}
