//! Who may describe what, and when (W3C, perfect negotiation; JSEP, RFC 9429), and of which generation the credentials are.
//!
//! ```text
//!              want_offer                            answer
//!    Stable ───────────────► HaveLocalOffer ────────────────────► Stable
//!      ▲ │                        │ their offer: polite? roll back, and take it
//!      └─┘ their offer, answered  └─ else it is passed over, they will roll back
//! ```
//!
//! Where both sides are of this crate and say the same of themselves, both would wait, or both roll back: then the lesser session yields.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore as _, SeedableRng as _};
use twocan_ice::Credentials;

use crate::limits::{DESCRIPTIONS_MAX, DESCRIPTIONS_WITHIN};
use crate::sdp::{Kind, Session, Setup};
use crate::signal::SignalError;
use crate::transport::{DtlsRole, Fingerprint};

/// The other side, by its last description.
#[derive(Clone, Debug)]
pub(super) struct RemoteSide {
    pub(super) session: Session,
    /// Our part in DTLS, settled by its first description.
    pub(super) role: DtlsRole,
}

/// What is to be done about a description that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    /// The other side's credentials are new.
    pub(super) is_new_generation: bool,
    /// Ours must be renewed too: they were in use with older ones of the other side.
    pub(super) is_renewal_due: bool,
}

/// The state of describing.
pub(super) struct Negotiation {
    is_polite: bool,
    rng: ChaCha20Rng,
    /// When our offer went out that waits for its answer.
    pub(super) offered: Option<Instant>,
    /// Offers of ours that may still be answered: one that was made anew has an answer for each.
    answers_due: u32,
    /// An offer is to be made as soon as there is none under way.
    pub(super) is_wanted: bool,
    /// It has the credentials of the one before, which found no answer.
    pub(super) is_repeated: bool,
    /// Ours, of the newest generation.
    pub(super) credentials: Credentials,
    /// Credentials of the other side answer to them: the next generation needs others.
    is_paired: bool,
    /// The other side was told, or will be, that no more candidates of this generation follow.
    pub(super) is_ended: bool,
    /// Our `o=` line: session and version.
    session: u64,
    version: u64,
    /// The first version with the credentials in force.
    renewed: u64,
    pub(super) remote: Option<RemoteSide>,
    pub(super) rtt_hint: Option<Duration>,
    taken: VecDeque<Instant>,
}

impl Negotiation {
    pub(super) fn new(is_polite: bool, seed: [u8; 32]) -> Negotiation {
        let mut rng = ChaCha20Rng::from_seed(seed);
        let credentials = generate(&mut rng);
        Negotiation {
            is_polite,
            offered: None,
            answers_due: 0,
            is_wanted: false,
            is_repeated: false,
            credentials,
            is_paired: false,
            is_ended: false,
            // RFC 9429 5.2.1: 64 bits, the highest zero.
            session: rng.next_u64() >> 1,
            version: 0,
            renewed: 0,
            remote: None,
            rtt_hint: None,
            taken: VecDeque::new(),
            rng,
        }
    }

    /// Whether we said anything about this generation: candidates found from now on are signaled one by one.
    pub(super) fn is_described(&self) -> bool {
        self.offered.is_some() || self.is_paired
    }

    /// Credentials of the next generation.
    pub(super) fn renew(&mut self) -> Credentials {
        self.credentials = generate(&mut self.rng);
        self.renewed = self.version + 1;
        self.is_paired = false;
        self.is_ended = false;
        self.credentials.clone()
    }

    /// Whether the credentials were in use with the other side.
    pub(super) fn is_paired(&self) -> bool {
        self.is_paired
    }

    /// Our offer goes out.
    pub(super) fn offer(&mut self, now: Instant) {
        self.offered = Some(now);
        self.is_repeated = false;
        self.answers_due += 1;
    }

    /// The other side's credentials are known to ICE.
    pub(super) fn pair(&mut self) {
        self.is_paired = true;
    }

    /// Whether a description of this kind may come now.
    pub(super) fn admit(&mut self, kind: Kind, now: Instant) -> Result<(), SignalError> {
        while self.taken.front().is_some_and(|then| now.duration_since(*then) >= DESCRIPTIONS_WITHIN) {
            self.taken.pop_front();
        }
        if self.taken.len() >= DESCRIPTIONS_MAX {
            return Err(SignalError::TooMany);
        }
        self.taken.push_back(now);
        match kind {
            Kind::Answer if self.answers_due == 0 => Err(SignalError::WrongState),
            Kind::Rollback => Err(SignalError::WrongState),
            Kind::Offer | Kind::Answer => Ok(()),
        }
    }

    /// Whether an offer of which nothing can be read crosses ours, and would not be looked at.
    pub(super) fn is_passed_over(&self, kind: Kind) -> bool {
        kind == Kind::Offer && self.offered.is_some() && !self.is_polite
    }

    /// Whether our offer yields to theirs.
    fn yields_to(&self, theirs: &Session) -> bool {
        if theirs.is_ours && theirs.is_polite == self.is_polite {
            let theirs = (theirs.id, &theirs.credentials.ufrag);
            return (self.session, &self.credentials.ufrag) < theirs;
        }
        self.is_polite
    }

    /// Takes a description that was admitted, an answer with the version of the offer that it says to answer; an offer to which ours yields
    /// rolls it back. The state is as before where that fails.
    pub(super) fn take(
        &mut self,
        (kind, answered): (Kind, Option<u64>),
        session: Session,
        is_secured: bool,
    ) -> Result<Taken, SignalError> {
        if kind == Kind::Offer && self.offered.is_some() && !self.yields_to(&session) {
            return Err(SignalError::WrongState);
        }
        // To an offer before ours: the credentials that it had are not those in force.
        if kind == Kind::Answer
            && answered.is_some_and(|offer| !(self.renewed..=self.version).contains(&offer))
        {
            return Err(SignalError::OtherGeneration);
        }
        let role = match &self.remote {
            Some(RemoteSide { session: known, role }) => {
                if known.id == session.id && session.version < known.version {
                    return Err(SignalError::WrongState);
                }
                if is_secured && known.fingerprints != session.fingerprints {
                    return Err(SignalError::OtherFingerprint);
                }
                *role
            }
            None => dtls_role(kind, session.setup).ok_or(SignalError::BadSetup)?,
        };
        let known = self.remote.as_ref().map(|known| &known.session.credentials);
        let is_new_generation = known != Some(&session.credentials);
        // Our answer to new credentials has new ones; their answer means those that our offer had.
        let is_renewal_due = kind == Kind::Offer && is_new_generation && self.is_paired;
        self.answers_due = if kind == Kind::Answer { self.answers_due.saturating_sub(1) } else { 0 };
        self.offered = None;
        self.is_repeated = false;
        self.remote = Some(RemoteSide { session, role });
        Ok(Taken { is_new_generation, is_renewal_due })
    }

    /// The other side's user name fragment.
    pub(super) fn remote_ufrag(&self) -> Option<&str> {
        self.remote.as_ref().map(|remote| remote.session.credentials.ufrag.as_str())
    }

    /// Our description of this moment, but for its candidates.
    pub(super) fn describe(&mut self, kind: Kind, fingerprint: Fingerprint) -> Session {
        self.version += 1;
        let (id, credentials) = (self.session, self.credentials.clone());
        let session = match (kind, &self.remote) {
            (Kind::Answer, Some(RemoteSide { session, role })) => Session {
                setup: match role {
                    DtlsRole::Client => Setup::Active,
                    DtlsRole::Server => Setup::Passive,
                },
                ..session.answer(id, credentials, fingerprint)
            },
            (_, Some(RemoteSide { session, .. })) => {
                Session { setup: Setup::ActPass, ..session.answer(id, credentials, fingerprint) }
            }
            (_, None) => Session::new(id, credentials, fingerprint, Setup::ActPass),
        };
        Session { version: self.version, is_polite: self.is_polite, ..session }
    }
}

fn generate(rng: &mut ChaCha20Rng) -> Credentials {
    let mut seed = [0; 32];
    rng.fill_bytes(&mut seed);
    Credentials::generate(seed)
}

/// Our part in DTLS by the other side's `a=setup` (RFC 8842 5.1). To `actpass` we answer `passive`, so that the side which offered, and
/// whose checks are answered first, begins.
fn dtls_role(theirs: Kind, setup: Setup) -> Option<DtlsRole> {
    match (theirs, setup) {
        (Kind::Offer, Setup::ActPass | Setup::Active) | (Kind::Answer, Setup::Active) => {
            Some(DtlsRole::Server)
        }
        (Kind::Offer | Kind::Answer, Setup::Passive) => Some(DtlsRole::Client),
        (Kind::Answer, Setup::ActPass) | (Kind::Rollback, _) => None,
    }
}
