//! ChannelData (RFC 8656 12.4) and the cutting of a stream into messages (RFC 8656 12.5, RFC 8489 6.2.2).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-------------------------------+-------------------------------+
//! | channel number 0x4000..0x7FFF |  length of the data           |
//! +-------------------------------+-------------------------------+
//! | data, in a stream padded with zeros to a multiple of 4        |
//! +---------------------------------------------------------------+
//! ```

/// A channel number, 0x4000 to 0x7FFF. RFC 8656 (12) narrowed RFC 5766's range to 0x4FFF, so that endpoints which share a
/// socket with other protocols can tell them apart. A server's port carries nothing else, and clients still draw from the
/// whole range (coturn's own among them): [`crate::Limits::channel_number_max`] says how far to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelNumber(u16);

impl ChannelNumber {
    /// The first number a client may bind.
    pub const MIN: u16 = 0x4000;
    /// The last number of RFC 5766.
    pub const MAX: u16 = 0x7FFF;
    /// The last number of RFC 8656.
    pub const MAX_RFC_8656: u16 = 0x4FFF;

    /// `None` if `number` is outside the range.
    pub fn new(number: u16) -> Option<ChannelNumber> {
        (Self::MIN..=Self::MAX).contains(&number).then_some(ChannelNumber(number))
    }

    /// The number as it stands on the wire.
    pub fn number(self) -> u16 {
        self.0
    }
}

/// Bytes before the data of ChannelData.
pub const CHANNEL_HEADER_LEN: usize = 4;

/// Bytes before the attributes of a STUN message.
const STUN_HEADER_LEN: usize = 20;

/// The longest STUN message that anybody needs who has no allocation, and the longest request: beyond, a client may send
/// ChannelData and Send indications only.
pub const SHORT_MESSAGE_BYTES: usize = 2_048;

/// The longest frame that a stream can carry: a STUN header and 65,535 bytes, padded.
pub const FRAME_LEN_MAX: usize = STUN_HEADER_LEN + 65_536;

/// Whether a packet that begins with `first` is ChannelData: 64 to 127 (RFC 7983: to 79, see [`ChannelNumber`]).
pub fn is_channel_data(first: u8) -> bool {
    (0x40..=0x7F).contains(&first)
}

/// Whether a packet that begins with `first` can be STUN (RFC 7983: 0 to 3).
pub fn is_stun(first: u8) -> bool {
    first <= 3
}

/// What stands at the beginning of a stream's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Fewer bytes than say how long the frame is: read on.
    Short,
    /// A frame of this many bytes, padding included, begins here (it may not all have come yet).
    Len(usize),
    /// Neither STUN nor ChannelData: the stream cannot be cut any more, close it.
    Garbage,
}

/// How long the STUN message or ChannelData is with which `stream` begins.
pub fn frame_len(stream: &[u8]) -> Frame {
    let Some(&first) = stream.first() else { return Frame::Short };
    if !is_stun(first) && !is_channel_data(first) {
        return Frame::Garbage;
    }
    let &[_, _, high, low, ..] = stream else { return Frame::Short };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if is_channel_data(first) {
        Frame::Len(CHANNEL_HEADER_LEN + length.next_multiple_of(4))
    } else if length.is_multiple_of(4) {
        Frame::Len(STUN_HEADER_LEN + length)
    } else {
        Frame::Garbage
    }
}

/// One ChannelData message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelData<'a> {
    /// On which channel.
    pub channel: ChannelNumber,
    /// What it carries, without padding.
    pub data: &'a [u8],
}

impl<'a> ChannelData<'a> {
    /// Reads one message; padding and whatever else follows the data is ignored. `None` if it is shorter than it says,
    /// or its number is outside 0x4000 to 0x7FFF.
    pub fn parse(packet: &'a [u8]) -> Option<ChannelData<'a>> {
        let (&[n1, n0, l1, l0], rest) = packet.split_first_chunk::<CHANNEL_HEADER_LEN>()?;
        let channel = ChannelNumber::new(u16::from_be_bytes([n1, n0]))?;
        let data = rest.get(..usize::from(u16::from_be_bytes([l1, l0])))?;
        Some(ChannelData { channel, data })
    }
}

/// Appends one ChannelData message, padded with zeros where `is_stream`. Data beyond 65,535 bytes cannot be said;
/// the caller's packets are shorter.
pub(crate) fn write_channel_data(out: &mut Vec<u8>, channel: ChannelNumber, data: &[u8], is_stream: bool) {
    let length = u16::try_from(data.len()).expect("a UDP payload is shorter than 65,536 bytes");
    out.extend_from_slice(&channel.number().to_be_bytes());
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(data);
    if is_stream {
        let padding = data.len().next_multiple_of(4) - data.len();
        out.extend_from_slice(&[0; 3][..padding]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_cut_at_the_padded_length_of_channel_data() {
        assert_eq!(frame_len(&[0x40, 0x00, 0x00, 0x05]), Frame::Len(12));
        assert_eq!(frame_len(&[0x40, 0x00, 0x00, 0x04, 9]), Frame::Len(8));
        assert_eq!(frame_len(&[0x4F, 0xFF, 0x00, 0x00]), Frame::Len(4));
        assert_eq!(frame_len(&[0x40, 0x00, 0xFF, 0xFF]), Frame::Len(4 + 65_536));
    }

    #[test]
    fn a_stream_is_cut_at_the_length_of_a_stun_message() {
        assert_eq!(frame_len(&[0x00, 0x03, 0x00, 0x08]), Frame::Len(28));
        assert_eq!(frame_len(&[0x00, 0x03, 0x00]), Frame::Short);
        assert_eq!(frame_len(&[]), Frame::Short);
    }

    #[test]
    fn a_stream_that_is_neither_cannot_be_cut() {
        assert_eq!(frame_len(b"GET / HTTP/1.1"), Frame::Len(4 + 0x5420));
        assert_eq!(frame_len(&[0x16, 0x03, 0x01, 0x02]), Frame::Garbage);
        assert_eq!(frame_len(&[0x16]), Frame::Garbage);
        assert_eq!(frame_len(&[0x80]), Frame::Garbage);
        assert_eq!(frame_len(&[0x80, 0, 0, 0]), Frame::Garbage);
        assert_eq!(frame_len(&[0x00, 0x03, 0x00, 0x07]), Frame::Garbage);
    }

    #[test]
    fn channel_data_shorter_than_it_says_is_refused() {
        assert_eq!(ChannelData::parse(&[0x40, 0x01, 0x00, 0x03, 1, 2]), None);
        assert_eq!(ChannelData::parse(&[0x40, 0x01, 0x00]), None);
    }

    #[test]
    fn channel_data_may_be_followed_by_padding() {
        let parsed = ChannelData::parse(&[0x40, 0x01, 0x00, 0x02, 1, 2, 0, 0]).unwrap();
        assert_eq!(parsed.data, &[1, 2]);
    }

    #[test]
    fn channel_numbers_lie_between_stun_and_rtp() {
        assert!(ChannelNumber::new(0x7FFF).is_some());
        assert!(ChannelNumber::new(0x8000).is_none());
        assert!(ChannelNumber::new(0x4000).is_some());
        assert!(ChannelNumber::new(0x3FFF).is_none());
    }

    #[test]
    fn channel_data_in_a_stream_is_padded_with_zeros() {
        let mut out = Vec::new();
        write_channel_data(&mut out, ChannelNumber::new(0x4001).unwrap(), &[7; 5], true);
        assert_eq!(out, [0x40, 0x01, 0, 5, 7, 7, 7, 7, 7, 0, 0, 0]);
        out.clear();
        write_channel_data(&mut out, ChannelNumber::new(0x4001).unwrap(), &[7; 5], false);
        assert_eq!(out, [0x40, 0x01, 0, 5, 7, 7, 7, 7, 7]);
    }
}
