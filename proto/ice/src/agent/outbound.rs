//! Checks out: which are sent now, and what each says (RFC 8445 sections 6.1.4.2 and 7.2).

use std::time::{Duration, Instant};

use rand_core::RngCore as _;
use twocan_stun::TransactionId;

use super::Agent;
use crate::check::{self, Asked, Keyed, Request, rto, wait};
use crate::pair::{Generation, Pair, PairId};
use crate::{Command, Config, Credentials, Failure, Kind, PairState, Role, Transmit, consent};

/// Requests on a stream, which loses none: the other side may not know our credentials at first.
const STREAM_REQUESTS_MAX: u32 = 4;

/// Routers that an opener passes: those of a home and of its provider, and none of the other side's (HyperDHT takes 5 as well).
pub const OPENER_TTL: u8 = 5;

/// From an opener to the check that goes all the way. The other side's check mostly comes before, and is answered by one at once.
const OPENER_WAIT: Duration = Duration::from_millis(150);

/// How long a TCP connection may take to be opened.
const OPENING_MAX: Duration = Duration::from_secs(10);

impl Agent {
    /// Sends what is due: triggered checks, then what is asked again, then what was never tried.
    pub(super) fn send_due(&mut self, now: Instant) {
        while let Some(&id) = self.triggered.front() {
            let wanted = self.checklist.get(id).is_some_and(|pair| pair.triggered);
            if wanted {
                if !self.triggered_pacer.take(now) {
                    break;
                }
                self.send_check(id, now);
            }
            self.triggered.pop_front();
        }
        let due: Vec<PairId> =
            self.checklist.iter().filter(|pair| is_due(pair, now)).map(|pair| pair.id).collect();
        for id in due {
            let in_use = self.checklist.get(id).is_some_and(Pair::is_valid);
            if !in_use && !self.repeat_pacer.take(now) {
                continue;
            }
            self.send_check(id, now);
        }
        while self.can_check()
            && let Some(id) = self.checklist.next_waiting(self.role)
            && self.pacer.take(now)
        {
            self.send_check(id, now);
        }
    }

    /// When [`Agent::send_due`] has something to do.
    pub(super) fn next_send(&self) -> Option<Instant> {
        let wanted = |id: &PairId| self.checklist.get(*id).is_some_and(|pair| pair.triggered);
        let triggered = self.triggered.iter().any(wanted).then(|| self.triggered_pacer.ready_at());
        let waiting = self.can_check() && self.checklist.has_waiting();
        let ordinary = waiting.then(|| self.pacer.ready_at());
        let again = self.checklist.iter().filter_map(|pair| match pair.state {
            PairState::InProgress => pair.due.map(|due| due.max(self.repeat_pacer.ready_at())),
            PairState::Succeeded => pair.due,
            _ => None,
        });
        again.chain(triggered).chain(ordinary).min()
    }

    fn can_check(&self) -> bool {
        self.remote.is_some() && self.is_working()
    }

    /// Sends one request on a pair, or opens the stream it needs.
    fn send_check(&mut self, id: PairId, now: Instant) {
        let claim = self.claim();
        let transaction_id = self.new_transaction_id();
        let Some(pair) = self.checklist.get(id) else { return };
        if pair.is_stream() && !self.streams.contains(&pair.way()) {
            return self.open_stream(id, now);
        }
        // Said with every request, for the other side may see us at a new address meanwhile.
        let nominate = self.role == Role::Controlling && pair.nomination.is_some();
        let bytes = self.sides(pair.generation).and_then(|(local, remote)| {
            let request = Request {
                id: transaction_id,
                local,
                remote,
                claim,
                priority: pair.base.reflexive_priority(),
                nominate,
                embedded: &self.embedded,
            };
            check::request(&request).ok()
        });
        let opens = self.opens && is_for_opener(pair);
        let rto = rto(&self.config, pair.rtt.or(self.rtt_hint));
        let regular = consent::interval(&self.config, self.selected == Some(id), &mut self.rng);
        let Some(pair) = self.checklist.get_mut(id) else { return };
        pair.triggered = false;
        let Some(bytes) = bytes else {
            pair.fail(Failure::NoAnswer);
            return;
        };
        if pair.state != PairState::Succeeded {
            pair.state = PairState::InProgress;
        }
        pair.outstanding.push(Asked { id: transaction_id, at: now, role: self.role, nominating: nominate });
        pair.requests_sent += 1;
        pair.unanswered += u32::from(!opens);
        pair.first_sent.get_or_insert(now);
        pair.last_sent = Some(now);
        let is_urgent = nominate && !pair.nominated;
        let wait = if opens { OPENER_WAIT } else { wait_after(pair, &self.config, rto, regular, is_urgent) };
        pair.due = Some(now + wait);
        self.counts.requests_sent += 1;
        let way = pair.way();
        let ttl = opens.then_some(OPENER_TTL);
        self.transmits.push_back(Transmit { socket: way.socket, to: way.remote, bytes, ttl });
    }

    fn open_stream(&mut self, id: PairId, now: Instant) {
        let Some(pair) = self.checklist.get_mut(id) else { return };
        pair.triggered = false;
        pair.state = PairState::Opening;
        pair.due = Some(now + OPENING_MAX);
        let way = pair.way();
        self.commands.push_back(Command::OpenStream { socket: way.socket, to: way.remote });
    }

    /// The credentials that messages of that generation are made with.
    fn sides(&self, generation: Generation) -> Option<(&Credentials, &Keyed)> {
        if generation == self.generation {
            return Some((&self.local.credentials, self.remote.as_ref()?));
        }
        let previous = self.previous.as_ref().filter(|previous| previous.generation == generation)?;
        Some((&previous.local.credentials, &previous.remote))
    }

    fn new_transaction_id(&mut self) -> TransactionId {
        let mut id = [0; 12];
        self.rng.fill_bytes(&mut id);
        TransactionId(id)
    }
}

/// How often a pair is asked in a row before it is given up.
pub(super) fn requests_max(pair: &Pair, config: &Config) -> u32 {
    if pair.is_stream() { STREAM_REQUESTS_MAX } else { config.requests_max }
}

/// Whether the first check is to open our own NAT, and not to get as far as the other side's: a Linux router that a check comes to
/// before its own host's has left gives that one another port (docs/nat.md, the race). IPv6 has no such routers.
fn is_for_opener(pair: &Pair) -> bool {
    pair.requests_sent == 0
        && pair.requests_heard == 0
        && !pair.is_stream()
        && pair.base.kind == Kind::Host
        && pair.remote.kind == Kind::ServerReflexive
        && pair.remote.address.is_ipv4()
}

/// Whether a request is to be sent again, or a consent check.
fn is_due(pair: &Pair, now: Instant) -> bool {
    matches!(pair.state, PairState::InProgress | PairState::Succeeded)
        && pair.due.is_some_and(|due| due <= now)
}

fn wait_after(pair: &Pair, config: &Config, rto: Duration, regular: Duration, nominating: bool) -> Duration {
    let fast = if pair.is_stream() { config.rto_max } else { wait(config, rto, pair.unanswered) };
    match pair.state {
        PairState::Succeeded if nominating && pair.unanswered < config.requests_max => fast,
        PairState::Succeeded => consent::follow_up(pair.unanswered, rto).unwrap_or(regular),
        _ => fast,
    }
}
