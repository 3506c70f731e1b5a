//! Why a connection failed, from what was seen of it: the same table as the SDK's (`web/sdk/src/verdict.ts`).

use crate::event::FailReason;

/// No answer from the server (W3C webrtc, `RTCPeerConnectionIceErrorEvent`). All others are STUN error codes.
const UNREACHABLE: u16 = 701;

/// What TURN servers said against us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TurnTrouble {
    /// Nothing.
    #[default]
    None,
    /// Those that said nothing at all.
    Unreachable,
    /// At least one refused.
    Rejected,
}

impl TurnTrouble {
    /// One more error of a TURN server.
    pub(super) fn add(&mut self, code: u16) {
        let trouble = if code == UNREACHABLE { TurnTrouble::Unreachable } else { TurnTrouble::Rejected };
        *self = trouble.max(*self);
    }
}

/// What was seen of a connection that failed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Evidence {
    /// A description could not be applied.
    pub(super) is_incompatible: bool,
    /// A pair was found, so what failed came after ICE.
    pub(super) has_pair: bool,
    /// Signals could be sent when it failed.
    pub(super) is_signaling_up: bool,
    /// Any candidate was gathered.
    pub(super) has_local: bool,
    /// A relayed one among them.
    pub(super) has_relayed: bool,
    /// Any candidate came from the other side.
    pub(super) has_remote: bool,
    /// Only relayed candidates are wanted.
    pub(super) is_relay_only: bool,
    /// What TURN servers said.
    pub(super) turn: TurnTrouble,
    /// ICE gave up by itself, before our time ran out.
    pub(super) gave_up: bool,
}

impl Evidence {
    /// The reason to give.
    pub(super) fn reason(self) -> FailReason {
        if self.is_incompatible {
            return FailReason::Incompatible;
        }
        if self.has_pair {
            return FailReason::DtlsFailed;
        }
        if !self.is_signaling_up {
            return FailReason::SignalingLost;
        }
        if !self.has_relayed && (self.has_remote || self.is_relay_only) {
            match self.turn {
                TurnTrouble::None => {}
                TurnTrouble::Unreachable => return FailReason::TurnUnreachable,
                TurnTrouble::Rejected => return FailReason::TurnRejected,
            }
        }
        if !self.has_local {
            return FailReason::NoCandidates;
        }
        if !self.has_remote {
            return FailReason::NoRemoteCandidates;
        }
        if self.gave_up { FailReason::ChecksFailed } else { FailReason::Timeout }
    }
}
