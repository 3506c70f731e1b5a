//! One pair of a port and an address of theirs: libwebrtc's `Connection`.

use std::cmp::Ordering;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use twocan_ice::{Kind, LocalPreference, Transport, priority};
use twocan_stun::TransactionId;

/// What came so long ago does not count as being heard.
const RECEIVING_TIMEOUT: Duration = Duration::from_millis(2_500);
/// Unanswered checks, and time since the first of them, after which nothing is sent any more.
const UNANSWERED_MAX: usize = 5;
const UNWRITABLE_AFTER: Duration = Duration::from_secs(5);
/// Time since the first unanswered check after which it is given up.
const INACTIVE_AFTER: Duration = Duration::from_secs(15);
/// Nothing came for so long: it is forgotten.
const DEAD_AFTER: Duration = Duration::from_secs(30);
/// The same where nothing ever came, since it was made.
const LIFE_MIN: Duration = Duration::from_secs(10);
/// Between two checks of a selected connection that is well, of one that is not settled, and of those kept besides.
const STABLE_PING: Duration = Duration::from_millis(2_500);
const UNSTABLE_PING: Duration = Duration::from_millis(900);
const QUICK_PING: Duration = Duration::from_millis(48);
const BACKUP_PING: Duration = Duration::from_secs(25);
/// Round trips measured before it counts as settled.
const SETTLED_SAMPLES: u32 = 4;
/// A round trip as long as none was measured.
const UNKNOWN_RTT: Duration = Duration::from_secs(3);
/// No estimate of when an answer ought to have come is shorter.
const RTT_MIN: Duration = Duration::from_millis(100);

/// Whether what is sent is believed to arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum WriteState {
    /// A check was answered.
    Writable,
    /// And none is any more.
    Unreliable,
    /// Nothing was answered yet.
    Init,
    /// It is given up.
    TimedOut,
}

/// A check that is not answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub id: TransactionId,
    pub at: Instant,
}

#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub id: u32,
    pub port: u32,
    /// The generation of the port.
    pub local_generation: usize,
    /// Their user name, and which of their credentials that is: unknown where they asked before they were described.
    pub theirs: String,
    pub generation: Option<usize>,
    /// The generation that it counts as, also while their words are unknown.
    pub age: usize,
    pub network: IpAddr,
    pub remote: SocketAddr,
    pub local_kind: Kind,
    pub remote_kind: Kind,
    /// Of our candidate, of theirs, and of the pair.
    pub own_priority: u32,
    their_priority: u32,
    pub priority: u64,
    pub write: WriteState,
    pub asked: Vec<Asked>,
    pub pings: u32,
    pub was_in_round: bool,
    pub pinged: Option<Instant>,
    /// When they asked us last.
    pub asked_us: Option<Instant>,
    pub answered: Option<Instant>,
    pub data_at: Option<Instant>,
    pub received: u64,
    pub heard: Option<Instant>,
    /// Since when it is heard, or is not.
    was_receiving: bool,
    receiving_since: Instant,
    pub rtt: Duration,
    pub rtt_samples: u32,
    pub nominated_by_them: bool,
    is_pruned: bool,
    created: Instant,
}

impl Connection {
    pub fn new(
        id: u32,
        port: u32,
        local_generation: usize,
        network: IpAddr,
        remote: SocketAddr,
        now: Instant,
    ) -> Connection {
        Connection {
            id,
            port,
            local_generation,
            theirs: String::new(),
            generation: None,
            age: 0,
            network,
            remote,
            local_kind: Kind::Host,
            remote_kind: Kind::PeerReflexive,
            own_priority: 0,
            their_priority: 0,
            priority: 0,
            write: WriteState::Init,
            asked: Vec::new(),
            pings: 0,
            was_in_round: false,
            pinged: None,
            asked_us: None,
            answered: None,
            data_at: None,
            received: 0,
            heard: None,
            was_receiving: false,
            receiving_since: now,
            rtt: UNKNOWN_RTT,
            rtt_samples: 0,
            nominated_by_them: false,
            is_pruned: false,
            created: now,
        }
    }

    /// RFC 8445 section 6.1.2.3.
    pub fn rank(&mut self, controlling: bool, local: u32, remote: u32) {
        (self.own_priority, self.their_priority) = (local, remote);
        let (g, d) = if controlling { (local, remote) } else { (remote, local) };
        let (g, d) = (u64::from(g), u64::from(d));
        self.priority = (g.min(d) << 32) + 2 * g.max(d) + u64::from(g > d);
    }

    pub fn report(&self) -> String {
        let nominated = if self.nominated_by_them { ", nominated" } else { "" };
        format!(
            "port {} {:?} to {:?} {}, {:?}{nominated}, {} checks, {:?}",
            self.port,
            self.local_kind,
            self.remote_kind,
            self.remote,
            self.write,
            self.pings,
            self.worth()
        )
    }

    /// They see us as a candidate of this kind.
    pub fn become_seen(&mut self, controlling: bool, kind: Kind) {
        if std::mem::replace(&mut self.local_kind, kind) != kind {
            let preference = LocalPreference::of(self.network, 0);
            let own = priority(kind, Transport::Udp, preference, 1);
            self.rank(controlling, own, self.their_priority);
        }
    }

    /// What it is worth on its network: priority, then youth.
    pub fn worth(&self) -> (u64, usize) {
        (self.priority, self.local_generation + self.age)
    }

    pub fn is_receiving(&self, now: Instant) -> bool {
        self.heard.is_some_and(|heard| now <= heard + RECEIVING_TIMEOUT)
    }

    pub fn is_weak(&self, now: Instant) -> bool {
        self.write != WriteState::Writable || !self.is_receiving(now)
    }

    /// Something came by it.
    pub fn hear(&mut self, now: Instant) {
        self.heard = Some(now);
        self.note_receiving(now);
    }

    fn note_receiving(&mut self, now: Instant) {
        let is_receiving = self.is_receiving(now);
        if std::mem::replace(&mut self.was_receiving, is_receiving) != is_receiving {
            self.receiving_since = now;
        }
    }

    /// A check was answered.
    pub fn answer(&mut self, asked: Asked, now: Instant) {
        let rtt = now.saturating_duration_since(asked.at);
        self.rtt = if self.rtt_samples == 0 { rtt } else { (self.rtt * 3 + rtt) / 4 };
        self.rtt_samples += 1;
        self.asked.clear();
        self.answered = Some(now);
        self.write = WriteState::Writable;
        self.is_pruned = false;
        self.hear(now);
    }

    pub fn prune(&mut self) {
        if !self.is_pruned || self.write != WriteState::TimedOut {
            self.is_pruned = true;
            self.asked.clear();
            self.write = WriteState::TimedOut;
        }
    }

    /// Time has passed.
    pub fn update(&mut self, now: Instant) {
        self.note_receiving(now);
        let estimate = (self.rtt * 2).max(RTT_MIN);
        let too_many = self.asked.get(UNANSWERED_MAX - 1).is_some_and(|asked| now > asked.at + estimate);
        let silent_for = |limit: Duration| self.asked.first().is_some_and(|asked| now > asked.at + limit);
        if self.write == WriteState::Writable && too_many && silent_for(UNWRITABLE_AFTER) {
            self.write = WriteState::Unreliable;
        }
        let is_open = matches!(self.write, WriteState::Unreliable | WriteState::Init);
        if is_open && silent_for(INACTIVE_AFTER) {
            self.write = WriteState::TimedOut;
        }
    }

    pub fn is_dead(&self, now: Instant) -> bool {
        match self.heard {
            Some(heard) => {
                let is_asked = self.asked.first().is_some_and(|asked| now <= asked.at + DEAD_AFTER);
                now > heard + DEAD_AFTER && !is_asked
            }
            None => self.write == WriteState::TimedOut && now > self.created + LIFE_MIN,
        }
    }

    /// Whether a connection that answers is to be asked again.
    pub fn is_due(&self, now: Instant, is_weak: bool) -> bool {
        let Some(pinged) = self.pinged else { return true };
        let is_settled = self.rtt_samples >= SETTLED_SAMPLES && self.asked.is_empty();
        let pace = match () {
            () if self.pings < super::QUICK_PINGS => QUICK_PING,
            () if !is_weak && is_settled => STABLE_PING,
            () => UNSTABLE_PING,
        };
        now >= pinged + pace
    }

    pub fn is_due_as_backup(&self, now: Instant) -> bool {
        self.rtt_samples == 0 || self.answered.is_none_or(|at| now >= at + BACKUP_PING)
    }

    /// Which is better (`Greater`: this one), and whether it would be the other if only it had been so for longer.
    pub fn compare(
        &self,
        other: &Connection,
        controlled: bool,
        threshold: Option<Instant>,
        now: Instant,
    ) -> (Ordering, bool) {
        let by_state = other.write.cmp(&self.write);
        if by_state.is_ne() {
            return (by_state, false);
        }
        let mut was_too_soon = false;
        match (self.is_receiving(now), other.is_receiving(now)) {
            (true, false) => return (Ordering::Greater, false),
            (false, true) => {
                let lasts = |each: &Connection| threshold.is_none_or(|since| each.receiving_since <= since);
                if lasts(self) && lasts(other) {
                    return (Ordering::Less, false);
                }
                was_too_soon = true;
            }
            _ => {}
        }
        let by_nomination = if controlled {
            let key = |each: &Connection| (each.nominated_by_them, each.data_at);
            key(self).cmp(&key(other))
        } else {
            Ordering::Equal
        };
        let order = by_nomination.then_with(|| self.worth().cmp(&other.worth()));
        (order, was_too_soon)
    }
}
