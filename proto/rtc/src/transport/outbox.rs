//! Datagrams that wait to be sent, in runs of equal size: the kernel takes a run at once (UDP_SEGMENT).

use std::collections::VecDeque;

use super::Datagrams;
use super::limits::{RUN_DATAGRAMS_MAX, RUN_LEN_MAX};

#[derive(Default)]
pub(super) struct Outbox {
    runs: VecDeque<Run>,
}

struct Run {
    bytes: Vec<u8>,
    segment: usize,
}

impl Outbox {
    pub(super) fn push(&mut self, datagram: &[u8]) {
        match self.runs.back_mut() {
            Some(run) if run.takes(datagram.len()) => run.bytes.extend_from_slice(datagram),
            _ => self.runs.push_back(Run { bytes: datagram.to_vec(), segment: datagram.len() }),
        }
    }

    pub(super) fn pop(&mut self) -> Option<Datagrams> {
        let Run { bytes, segment } = self.runs.pop_front()?;
        let segment_size = (bytes.len() > segment).then_some(segment);
        Some(Datagrams { bytes, segment_size })
    }

    /// Runs that wait.
    pub(super) fn len(&self) -> usize {
        self.runs.len()
    }

    pub(super) fn clear(&mut self) {
        self.runs.clear();
    }
}

impl Run {
    /// A shorter datagram ends the run.
    fn takes(&self, len: usize) -> bool {
        let full = self.bytes.len().is_multiple_of(self.segment.max(1));
        let room = self.bytes.len() + len <= RUN_LEN_MAX.min(self.segment * RUN_DATAGRAMS_MAX);
        full && room && len <= self.segment
    }
}
