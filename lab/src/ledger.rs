//! What became of packets: who sent how many to whom, by which way, and where the others ended.

use std::collections::BTreeMap;
use std::time::Instant;

use twocan_sim::{Drop, Event, HostId, PacketId, Place, Step};

use crate::way::{Look, Way};

/// Packets on their way whose sender is remembered, at most; what takes longer arrives from nobody.
const REMEMBERED_MAX: usize = 1 << 16;

/// Packets that went the same way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// How many.
    pub packets: u64,
    /// How long they were together, IP headers and all.
    pub bytes: u64,
    /// When the last one came that shows that this way is in use: somebody's data, or a check that nominates it.
    pub used: Option<Instant>,
}

impl Traffic {
    fn add(&mut self, len: usize, is_use: bool, now: Instant) {
        self.packets += 1;
        self.bytes += len as u64;
        if is_use {
            self.used = Some(now);
        }
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
    look: Look,
}

impl Ledger {
    /// A step of the model's trace. `look`: of the packet that is setting out right now.
    pub(crate) fn note(&mut self, event: &Event, look: Look) {
        let slot = event.packet.0 as usize % REMEMBERED_MAX;
        match event.step {
            Step::Sent { by: Place::Host(from), .. } => {
                if self.journeys.is_empty() {
                    self.journeys = vec![None; REMEMBERED_MAX];
                }
                if let Some(journey) = self.journeys.get_mut(slot) {
                    *journey = Some(Journey { packet: event.packet, from, look });
                }
            }
            Step::Delivered { to, summary, .. } => {
                if let Some(Journey { from, look, .. }) = self.journey(slot, event.packet) {
                    let traffic = self.delivered.entry((from, to, look.way)).or_default();
                    traffic.add(summary.len, look.is_use, event.at);
                }
            }
            Step::Dropped { at, why, .. } => {
                if let Some(Journey { from, look, .. }) = self.journey(slot, event.packet)
                    && look.way != Way::Multicast
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
