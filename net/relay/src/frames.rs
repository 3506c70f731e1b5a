//! Cuts a stream of bytes into STUN messages and ChannelData messages (RFC 8656 12.5).

use twocan_turn::wire::{Frame, SHORT_MESSAGE_BYTES, frame_len, is_channel_data};

/// The stream cannot be understood from here on: there is no way to find the next frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// What a client may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// STUN alone, and short: it cannot have a channel, and must not cost much memory.
    Unproved,
    /// Whatever TURN allows.
    Proved,
}

/// Holds the beginning of a frame until the rest arrives; most of the time it holds nothing, and costs nothing.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    partial: Vec<u8>,
}

impl Frames {
    /// Takes what came off the stream, and hands on each frame that is now whole.
    pub(crate) fn take(
        &mut self,
        mut bytes: &[u8],
        trust: Trust,
        mut each: impl FnMut(&[u8]),
    ) -> Result<(), Malformed> {
        while !self.partial.is_empty() {
            let have = self.partial.len();
            let Some(whole) = length(&self.partial, trust)? else {
                // Too short to tell its length. Byte by byte: this is rare, and at most a handful.
                let Some((first, rest)) = bytes.split_first() else { return Ok(()) };
                self.partial.push(*first);
                bytes = rest;
                continue;
            };
            let missing = whole.saturating_sub(have);
            let (more, rest) = bytes.split_at(missing.min(bytes.len()));
            self.partial.extend_from_slice(more);
            bytes = rest;
            if self.partial.len() < whole {
                return Ok(());
            }
            each(&self.partial);
            self.partial = Vec::new();
        }
        while let Some(whole) = length(bytes, trust)? {
            let Some((frame, rest)) = bytes.split_at_checked(whole) else { break };
            each(frame);
            bytes = rest;
        }
        self.partial.extend_from_slice(bytes);
        Ok(())
    }

    /// Bytes of a frame that is not whole.
    pub(crate) fn partial_len(&self) -> usize {
        self.partial.len()
    }

    /// Whether a frame has begun and not ended.
    pub(crate) fn is_partial(&self) -> bool {
        !self.partial.is_empty()
    }
}

/// `None`: too short to tell.
fn length(stream: &[u8], trust: Trust) -> Result<Option<usize>, Malformed> {
    let channel = stream.first().is_some_and(|first| is_channel_data(*first));
    match frame_len(stream) {
        _ if channel && trust == Trust::Unproved => Err(Malformed),
        Frame::Short => Ok(None),
        Frame::Len(length) if length > SHORT_MESSAGE_BYTES && trust == Trust::Unproved => Err(Malformed),
        Frame::Len(length) => Ok(Some(length)),
        Frame::Garbage => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANNEL: [u8; 12] = [0x40, 0, 0, 5, 1, 2, 3, 4, 5, 0, 0, 0];
    const BINDING: [u8; 20] = [0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];

    fn cut(pieces: &[&[u8]]) -> Result<Vec<Vec<u8>>, Malformed> {
        let mut frames = Frames::default();
        let mut whole = Vec::new();
        for piece in pieces {
            frames.take(piece, Trust::Proved, |frame| whole.push(frame.to_vec()))?;
        }
        Ok(whole)
    }

    #[test]
    fn frames_are_found_wherever_the_stream_is_cut() {
        let stream = [&BINDING[..], &CHANNEL, &CHANNEL, &BINDING].concat();
        let expected = vec![BINDING.to_vec(), CHANNEL.to_vec(), CHANNEL.to_vec(), BINDING.to_vec()];
        for first in 0..=stream.len() {
            for second in first..=stream.len() {
                let pieces = [&stream[..first], &stream[first..second], &stream[second..]];
                assert_eq!(cut(&pieces).unwrap(), expected, "cut at {first} and {second}");
            }
        }
    }

    #[test]
    fn frames_are_found_byte_by_byte() {
        let stream = [&CHANNEL[..], &BINDING].concat();
        let pieces: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(cut(&pieces).unwrap(), vec![CHANNEL.to_vec(), BINDING.to_vec()]);
    }

    #[test]
    fn a_frame_that_has_begun_is_seen_and_one_that_has_ended_is_not_kept() {
        let mut frames = Frames::default();
        frames.take(&BINDING[..7], Trust::Unproved, |_| unreachable!()).unwrap();
        assert!(frames.is_partial());
        frames.take(&BINDING[7..], Trust::Unproved, |_| {}).unwrap();
        assert!(!frames.is_partial());
        assert_eq!(frames.partial.capacity(), 0);
    }

    #[test]
    fn garbage_ends_the_stream_also_behind_good_frames() {
        assert_eq!(cut(&[&[0x16, 3, 1, 2, 0]]), Err(Malformed));
        assert_eq!(cut(&[&[&CHANNEL[..], &[0x80; 4]].concat()]), Err(Malformed));
        assert_eq!(cut(&[&BINDING[..2], &[0, 3]]), Err(Malformed));
    }

    #[test]
    fn before_it_has_proved_who_it_is_a_client_sends_short_requests_only() {
        let unproved = |bytes: &[u8]| Frames::default().take(bytes, Trust::Unproved, |_| {});
        assert_eq!(unproved(&BINDING), Ok(()));
        assert_eq!(unproved(&CHANNEL), Err(Malformed));
        let length = u16::try_from(SHORT_MESSAGE_BYTES - 20).unwrap();
        let longest = [&[0, 1], &length.to_be_bytes()[..]].concat();
        assert_eq!(unproved(&longest), Ok(()));
        let longer = [&[0, 1], &(length + 4).to_be_bytes()[..]].concat();
        assert_eq!(unproved(&longer), Err(Malformed));
        assert!(cut(&[&longer]).is_ok());
    }
}
