//! Any bytes: a stream is cut into frames that lie inside it and make progress; ChannelData carries what it says.

#![no_main]

use libfuzzer_sys::fuzz_target;
use twocan_stun::{Header, demux};
use twocan_turn::wire::{CHANNEL_HEADER_LEN, ChannelData, FRAME_LEN_MAX, Frame, frame_len, is_channel_data};

fuzz_target!(|bytes: &[u8]| {
    let mut stream = bytes;
    loop {
        match frame_len(stream) {
            Frame::Short => {
                assert!(stream.len() < CHANNEL_HEADER_LEN);
                break;
            }
            Frame::Garbage => {
                // Of STUN's methods only those that RFC 7983 leaves room for: first bytes 0 to 3.
                let is_stun =
                    Header::parse(stream).is_ok() && demux::protocol(stream) == Some(demux::Protocol::Stun);
                assert!(!is_stun, "a header is no garbage");
                assert!(ChannelData::parse(stream).is_none(), "nor is ChannelData");
                break;
            }
            Frame::Len(len) => {
                assert!((CHANNEL_HEADER_LEN..=FRAME_LEN_MAX).contains(&len) && len % 4 == 0);
                if let Ok(header) = Header::parse(stream) {
                    assert_eq!(len, header.message_len());
                }
                let Some((frame, rest)) = stream.split_at_checked(len) else { break };
                assert_frame(frame);
                stream = rest;
            }
        }
    }
    if let Some(channel) = ChannelData::parse(bytes) {
        assert_frame(bytes);
        assert!(bytes[CHANNEL_HEADER_LEN..].starts_with(channel.data));
    }
});

fn assert_frame(frame: &[u8]) {
    let Some(channel) = ChannelData::parse(frame) else { return };
    assert!(is_channel_data(frame[0]));
    assert_eq!(channel.channel.number(), u16::from_be_bytes([frame[0], frame[1]]));
    assert_eq!(channel.data.len(), usize::from(u16::from_be_bytes([frame[2], frame[3]])));
}
