//! Why a link failed, from what was seen of it.

use std::collections::BTreeSet;

use crate::wire::{Class, Reason};

/// No answer from the relay (W3C webrtc, `RTCPeerConnectionIceErrorEvent`); all other codes are the relay's own.
const NO_ANSWER: u16 = 701;

/// What was seen of a link.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    /// The other side said that it leaves.
    pub left: bool,
    /// A description could not be applied.
    pub incompatible: bool,
    /// A pair was found, so what failed came after ICE.
    pub paired: bool,
    /// Kinds of candidates gathered.
    pub local: BTreeSet<u8>,
    /// Candidates received.
    pub remote: usize,
    /// A relay did not answer.
    pub relay_silent: bool,
    /// A relay said no.
    pub relay_refused: bool,
}

impl Evidence {
    pub fn gathered(&mut self, class: Class) {
        self.local.insert(class as u8);
    }

    pub fn relay_error(&mut self, code: u16) {
        if code == NO_ANSWER {
            self.relay_silent = true;
        } else {
            self.relay_refused = true;
        }
    }

    /// `online`: the server can be reached. `own`: the connection gave up before our time ran out, for this reason if it
    /// knows one.
    pub fn verdict(&self, online: bool, relay_only: bool, own: Option<Option<Reason>>) -> Reason {
        if self.left {
            return Reason::PeerLeft;
        }
        if self.incompatible {
            return Reason::Incompatible;
        }
        if let Some(Some(reason)) = own {
            return reason;
        }
        if self.paired {
            return Reason::DtlsFailed;
        }
        if !online {
            return Reason::SignalingLost;
        }
        let relay_missing =
            (self.relay_silent || self.relay_refused) && !self.local.contains(&(Class::Relay as u8));
        if relay_missing && (self.remote > 0 || relay_only) {
            return if self.relay_refused { Reason::TurnRejected } else { Reason::TurnUnreachable };
        }
        if self.local.is_empty() {
            return Reason::NoCandidates;
        }
        if self.remote == 0 {
            return Reason::NoRemoteCandidates;
        }
        if own.is_some() { Reason::ChecksFailed } else { Reason::Timeout }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen() -> Evidence {
        let mut seen = Evidence { remote: 1, ..Evidence::default() };
        seen.gathered(Class::Host);
        seen
    }

    #[test]
    fn each_reason_is_told_from_the_others() {
        let left = Evidence { left: true, incompatible: true, ..seen() };
        assert_eq!(left.verdict(true, false, None), Reason::PeerLeft);
        assert_eq!(
            Evidence { incompatible: true, ..seen() }.verdict(true, false, None),
            Reason::Incompatible
        );
        assert_eq!(Evidence { paired: true, ..seen() }.verdict(false, false, None), Reason::DtlsFailed);
        assert_eq!(seen().verdict(false, false, None), Reason::SignalingLost);
        assert_eq!(Evidence::default().verdict(true, false, None), Reason::NoCandidates);
        assert_eq!(Evidence { remote: 0, ..seen() }.verdict(true, false, None), Reason::NoRemoteCandidates);
        assert_eq!(seen().verdict(true, false, None), Reason::Timeout);
        assert_eq!(seen().verdict(true, false, Some(None)), Reason::ChecksFailed);
        assert_eq!(seen().verdict(true, false, Some(Some(Reason::DtlsFailed))), Reason::DtlsFailed);
    }

    #[test]
    fn a_relay_is_blamed_only_where_it_is_missing() {
        let mut refused = seen();
        refused.relay_error(NO_ANSWER);
        assert_eq!(refused.verdict(true, false, None), Reason::TurnUnreachable);
        refused.relay_error(401);
        assert_eq!(refused.verdict(true, false, None), Reason::TurnRejected);
        refused.gathered(Class::Relay);
        assert_eq!(refused.verdict(true, false, None), Reason::Timeout);
        let mut alone = Evidence::default();
        alone.relay_error(401);
        assert_eq!(alone.verdict(true, false, None), Reason::NoCandidates);
        assert_eq!(alone.verdict(true, true, None), Reason::TurnRejected);
    }
}
