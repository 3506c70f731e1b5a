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

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(lens: &[usize]) -> Vec<(usize, Option<usize>)> {
        let mut outbox = Outbox::default();
        lens.iter().for_each(|&len| outbox.push(&vec![0; len]));
        std::iter::from_fn(|| outbox.pop()).map(|run| (run.bytes.len(), run.segment_size)).collect()
    }

    #[test]
    fn datagrams_of_equal_size_make_a_run_and_a_shorter_one_ends_it() {
        assert_eq!(runs(&[]), []);
        assert_eq!(runs(&[100]), [(100, None)]);
        assert_eq!(runs(&[100, 100, 100]), [(300, Some(100))]);
        assert_eq!(runs(&[100, 100, 40, 40, 100]), [(240, Some(100)), (40, None), (100, None)]);
        assert_eq!(runs(&[40, 100]), [(40, None), (100, None)]);
    }

    #[test]
    fn a_run_has_no_more_than_the_kernel_takes() {
        let small = runs(&[10; RUN_DATAGRAMS_MAX + 1]);
        assert_eq!(small, [(10 * RUN_DATAGRAMS_MAX, Some(10)), (10, None)]);
        let large = runs(&[1_200; 60]);
        assert_eq!(large[0].0, RUN_LEN_MAX / 1_200 * 1_200);
        assert_eq!(large.iter().map(|run| run.0).sum::<usize>(), 60 * 1_200);
    }
}
