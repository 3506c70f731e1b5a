//! Handshake fragments: how to cut them smaller (RFC 6347 section 4.1.1.1), and messages put together from them by range (RFC 6347 section 4.2.3, RFC 9147 section 5.5): in
//! any order, repeated, overlapping, cut anew at other places. Shared by both versions.

use std::collections::BTreeMap;

/// Bytes of one message.
const MESSAGE_LEN_MAX: u32 = 32 * 1024;
/// Bytes of all messages that are begun, or wait for those before them.
pub(crate) const PENDING_LEN_MAX: usize = 64 * 1024;
/// How far ahead of the next message another one is taken.
const AHEAD_MAX: u16 = 16;
/// Separate ranges of one message.
const RANGES_MAX: usize = 64;

/// Where a fragment belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fragment {
    /// Records of a later epoch prove more about their sender.
    pub epoch: u16,
    pub msg_type: u8,
    pub message_seq: u16,
    /// Of the whole message.
    pub length: u32,
    pub offset: u32,
}

/// What became of a fragment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// No room, or it fits nothing: it may come again.
    Refused,
    /// More is missing.
    Part,
    /// The message's body.
    Whole(Vec<u8>),
}

/// Messages of which some bytes are there, by number.
#[derive(Debug, Default)]
pub(crate) struct Reassembly {
    messages: BTreeMap<u16, Message>,
}

#[derive(Debug)]
struct Message {
    epoch: u16,
    msg_type: u8,
    body: Vec<u8>,
    /// Disjoint, in order, not touching: first byte, and the one behind the last.
    ranges: Vec<(u32, u32)>,
}

impl Reassembly {
    /// Takes a fragment of a message from `expected` on. `waiting`: bytes of whole messages that wait elsewhere.
    pub fn take(&mut self, fragment: Fragment, bytes: &[u8], expected: u16, waiting: usize) -> Taken {
        self.messages.retain(|number, _| *number >= expected);
        let number = fragment.message_seq;
        let start = fragment.offset;
        let Some(end) = u32::try_from(bytes.len()).ok().and_then(|len| start.checked_add(len)) else {
            return Taken::Refused;
        };
        let is_ahead = number
            .checked_sub(expected)
            .is_none_or(|ahead| ahead >= AHEAD_MAX);
        if is_ahead || end > fragment.length || fragment.length > MESSAGE_LEN_MAX {
            return Taken::Refused;
        }
        if !self.make_room(&fragment, expected, waiting) {
            return Taken::Refused;
        }
        let message = self.messages.entry(number).or_insert_with(|| Message {
            epoch: fragment.epoch,
            msg_type: fragment.msg_type,
            body: vec![0; fragment.length as usize],
            ranges: Vec::new(),
        });
        if !message.add(start, end) {
            return Taken::Refused;
        }
        message.body[start as usize..end as usize].copy_from_slice(bytes);
        if !message.is_whole() {
            return Taken::Part;
        }
        match self.messages.remove(&number) {
            Some(message) => Taken::Whole(message.body),
            None => Taken::Part,
        }
    }

    /// Whether a fragment may be kept. What is known of another message under its number, by what proves less or as
    /// little, goes; so does what comes later and takes the room.
    fn make_room(&mut self, fragment: &Fragment, expected: u16, waiting: usize) -> bool {
        if let Some(known) = self.messages.get(&fragment.message_seq) {
            if known.epoch > fragment.epoch {
                return false;
            }
            if known.epoch == fragment.epoch
                && known.msg_type == fragment.msg_type
                && known.body.len() == fragment.length as usize
            {
                return true;
            }
            if known.epoch == fragment.epoch && fragment.epoch > 0 {
                return false;
            }
            self.messages.remove(&fragment.message_seq);
        }
        let needed = fragment.length as usize + waiting;
        let begun = |messages: &BTreeMap<u16, Message>| -> usize {
            messages.values().map(|message| message.body.len()).sum()
        };
        while begun(&self.messages) + needed > PENDING_LEN_MAX {
            match self.messages.last_key_value() {
                Some((&last, _)) if last > fragment.message_seq => self.messages.remove(&last),
                _ => break,
            };
        }
        fragment.message_seq == expected || begun(&self.messages) + needed <= PENDING_LEN_MAX
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.messages.clear();
    }

    /// Whether no message is begun.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Whether something is missing before what is there of the messages from `expected` on.
    pub fn has_gap(&self, expected: u16) -> bool {
        self.messages.first_key_value().is_some_and(|(number, message)| {
            *number != expected || message.ranges.len() > 1 || message.ranges.first().is_some_and(|range| range.0 > 0)
        })
    }
}

impl Message {
    /// Notes that these bytes are there; `false`: too many ranges.
    fn add(&mut self, start: u32, end: u32) -> bool {
        if start == end && !self.body.is_empty() {
            return true;
        }
        let first = self.ranges.partition_point(|range| range.1 < start);
        let last = self.ranges.partition_point(|range| range.0 <= end);
        if first == last && self.ranges.len() >= RANGES_MAX {
            return false;
        }
        let touched = &self.ranges[first..last];
        let merged = (
            touched.first().map_or(start, |range| range.0.min(start)),
            touched.last().map_or(end, |range| range.1.max(end)),
        );
        self.ranges.splice(first..last, [merged]);
        true
    }

    fn is_whole(&self) -> bool {
        self.ranges == [(0, self.body.len() as u32)]
    }
}

/// Bytes of datagrams for a flight that is sent again: after each loss a step down, as the path may let no larger ones
/// through (RFC 6347 section 4.1.1.1). The last step fits into the 576 bytes that any IPv4 host takes.
const MTU_STEPS: [usize; 2] = [972, 520];

/// The next smaller size of datagrams.
pub(crate) fn smaller_mtu(mtu: usize) -> usize {
    MTU_STEPS.into_iter().find(|step| *step < mtu).unwrap_or(mtu)
}

const HEADER_LEN: usize = 12;

/// Cuts a fragment, header and all, into such of at most `max` bytes.
pub(crate) fn pieces(fragment: &[u8], max: usize) -> Vec<Vec<u8>> {
    let Some((header, body)) = fragment.split_at_checked(HEADER_LEN) else {
        return vec![fragment.to_vec()];
    };
    if fragment.len() <= max || max <= HEADER_LEN {
        return vec![fragment.to_vec()];
    }
    let mut offset = u32::from_be_bytes([0, header[6], header[7], header[8]]);
    let mut pieces = Vec::new();
    for chunk in body.chunks(max - HEADER_LEN) {
        let mut piece = header[..6].to_vec();
        piece.extend_from_slice(&offset.to_be_bytes()[1..]);
        piece.extend_from_slice(&(chunk.len() as u32).to_be_bytes()[1..]);
        piece.extend_from_slice(chunk);
        offset += chunk.len() as u32;
        pieces.push(piece);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(reassembly: &mut Reassembly, number: u16, start: u32, end: u32) -> Taken {
        let bytes: Vec<u8> = (start..end).map(|byte| byte as u8).collect();
        let fragment = Fragment { epoch: 0, msg_type: 11, message_seq: number, length: 352, offset: start };
        reassembly.take(fragment, &bytes, 1, 0)
    }

    #[test]
    fn overlapping_ranges_make_a_whole() {
        let mut reassembly = Reassembly::default();
        assert_eq!(take(&mut reassembly, 1, 0, 108), Taken::Part);
        assert_eq!(take(&mut reassembly, 1, 300, 320), Taken::Part);
        assert_eq!(take(&mut reassembly, 1, 0, 231), Taken::Part);
        assert!(reassembly.has_gap(1));
        let whole: Vec<u8> = (0..352u32).map(|byte| byte as u8).collect();
        assert_eq!(take(&mut reassembly, 1, 200, 352), Taken::Whole(whole));
        assert!(reassembly.is_empty());
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut reassembly = Reassembly::default();
        for number in 0..u16::MAX {
            take(&mut reassembly, number, 351, 352);
        }
        assert_eq!(reassembly.messages.len(), usize::from(AHEAD_MAX));
        reassembly.clear();
        let taken = (0..176).filter(|index| take(&mut reassembly, 1, 2 * index, 2 * index + 1) == Taken::Part);
        assert_eq!(taken.count(), RANGES_MAX);
        let mut reassembly = Reassembly::default();
        for number in 1..17 {
            let fragment = Fragment { epoch: 0, msg_type: 1, message_seq: number, length: 32 * 1024, offset: 0 };
            reassembly.take(fragment, &[1], 1, 0);
        }
        assert_eq!(reassembly.messages.values().map(|message| message.body.len()).sum::<usize>(), PENDING_LEN_MAX);
    }
}
