//! What became of packets: who sent how many to whom, by which way, and where the others ended.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use twocan_sim::{Drop, Event, HostId, PacketId, Place, Step};

use crate::Way;

/// Packets on their way whose sender is remembered, at most; what takes longer arrives from nobody.
const REMEMBERED_MAX: usize = 1 << 16;

/// After so long, a packet counts half of what it did.
const HALF_LIFE: Duration = Duration::from_secs(2);

/// Packets that went the same way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Traffic {
    /// How many.
    pub packets: u64,
    /// How long they were together, IP headers and all.
    pub bytes: u64,
    /// When the last one came.
    pub last: Instant,
    /// How many, those of long ago counted less, as of `last`.
    weight: f64,
}

impl Traffic {
    fn new(now: Instant) -> Traffic {
        Traffic { packets: 0, bytes: 0, last: now, weight: 0.0 }
    }

    fn add(&mut self, len: usize, now: Instant) {
        self.weight = self.weight(now) + 1.0;
        self.packets += 1;
        self.bytes += len as u64;
        self.last = now;
    }

    /// How many packets there were of late.
    pub fn weight(&self, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(self.last).as_secs_f64();
        self.weight * (-passed / HALF_LIFE.as_secs_f64()).exp2()
    }
}

/// Why packets ended, and how many for each reason.
pub type Drops = BTreeMap<Drop, u64>;

/// The account of a lab so far. Its size is bounded by the hosts that there are, not by packets.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    delivered: BTreeMap<(HostId, HostId, Way), Traffic>,
    dropped: BTreeMap<(HostId, Place), Drops>,
    journeys: Vec<Option<Journey>>,
}

/// A packet that set out.
#[derive(Clone, Copy, Debug)]
struct Journey {
    packet: PacketId,
    from: HostId,
    way: Way,
}

impl Ledger {
    /// A step of the model's trace. `way`: of the packet that is setting out right now.
    pub(crate) fn note(&mut self, event: &Event, way: Way) {
        let slot = event.packet.0 as usize % REMEMBERED_MAX;
        match event.step {
            Step::Sent { by: Place::Host(from), .. } => {
                if self.journeys.is_empty() {
                    self.journeys = vec![None; REMEMBERED_MAX];
                }
                if let Some(journey) = self.journeys.get_mut(slot) {
                    *journey = Some(Journey { packet: event.packet, from, way });
                }
            }
            Step::Delivered { to, summary, .. } => {
                if let Some(Journey { from, way, .. }) = self.journey(slot, event.packet) {
                    let traffic =
                        self.delivered.entry((from, to, way)).or_insert_with(|| Traffic::new(event.at));
                    traffic.add(summary.len, event.at);
                }
            }
            Step::Dropped { at, why, .. } => {
                if let Some(Journey { from, way, .. }) = self.journey(slot, event.packet)
                    && way != Way::Multicast
                {
                    *self.dropped.entry((from, at)).or_default().entry(why).or_default() += 1;
                }
            }
            Step::Sent { .. } | Step::Translated { .. } => {}
        }
    }

    fn journey(&self, slot: usize, packet: PacketId) -> Option<Journey> {
        self.journeys.get(slot).copied().flatten().filter(|journey| journey.packet == packet)
    }

    /// A copy of what was counted.
    pub(crate) fn copy(&self) -> Ledger {
        Ledger { delivered: self.delivered.clone(), dropped: self.dropped.clone(), journeys: Vec::new() }
    }

    /// Forgets what was counted about a host, in either direction.
    pub(crate) fn forget(&mut self, host: HostId) {
        self.delivered.retain(|(from, to, _), _| *from != host && *to != host);
        self.dropped.retain(|(from, _), _| *from != host);
    }

    /// What arrived: from whom, at whom, which way.
    pub fn delivered(&self) -> impl Iterator<Item = (HostId, HostId, Way, &Traffic)> {
        self.delivered.iter().map(|((from, to, way), traffic)| (*from, *to, *way, traffic))
    }

    /// What ended on its way: from whom, where, and why. Multicast does not count.
    pub fn dropped(&self) -> impl Iterator<Item = (HostId, Place, &Drops)> {
        self.dropped.iter().map(|((from, at), drops)| (*from, *at, drops))
    }
}
