//! Packets in flight, by when something happens to them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use crate::packet::Packet;
use crate::{InterfaceId, PacketId, SegmentId};

/// Where a packet in flight is next.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stage {
    /// In a segment, from this interface if it is from one.
    Segment(SegmentId, Option<InterfaceId>),
    /// At this interface's node.
    Interface(InterfaceId),
}

#[derive(Clone, Debug)]
pub(super) struct Flight {
    pub(super) id: PacketId,
    pub(super) packet: Packet,
    pub(super) stage: Stage,
    /// A bit was flipped on the way: whoever looks at the checksum drops it.
    pub(super) is_corrupted: bool,
}

/// The heap holds only times and places, the packets stay where they are.
#[derive(Debug, Default)]
pub(super) struct Queue {
    heap: BinaryHeap<Reverse<(Instant, u64, usize)>>,
    flights: Vec<Option<Flight>>,
    vacant: Vec<usize>,
    pushed: u64,
}

impl Queue {
    pub(super) fn push(&mut self, at: Instant, flight: Flight) {
        let index = self.vacant.pop().unwrap_or_else(|| {
            self.flights.push(None);
            self.flights.len() - 1
        });
        if let Some(place) = self.flights.get_mut(index) {
            *place = Some(flight);
        }
        self.pushed += 1;
        self.heap.push(Reverse((at, self.pushed, index)));
    }

    pub(super) fn next_at(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, ..))| *at)
    }

    /// The next one of those that are due by `until`; of the same time, the one that was pushed first.
    pub(super) fn pop(&mut self, until: Instant) -> Option<(Instant, Flight)> {
        if self.next_at()? > until {
            return None;
        }
        let Reverse((at, _, index)) = self.heap.pop()?;
        self.vacant.push(index);
        Some((at, self.flights.get_mut(index)?.take()?))
    }

    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }
}
