//! The two messages of DCEP (RFC 8832 5).

use std::time::Duration;

use super::{ChannelInit, Reliability};

/// Payload protocol identifiers (RFC 8831 8).
pub(super) mod ppid {
    pub const DCEP: u32 = 50;
    pub const TEXT: u32 = 51;
    pub const BINARY_PARTIAL: u32 = 52;
    pub const BINARY: u32 = 53;
    pub const TEXT_PARTIAL: u32 = 54;
    pub const TEXT_EMPTY: u32 = 56;
    pub const BINARY_EMPTY: u32 = 57;
}

const ACK: u8 = 2;
const OPEN: u8 = 3;

const UNORDERED: u8 = 0x80;
const RELIABLE: u8 = 0;
const MAX_RETRANSMITS: u8 = 1;
const MAX_LIFE_TIME: u8 = 2;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Message {
    Ack,
    Open(ChannelInit),
}

impl Message {
    /// `None`: no message that we know, or its text is no UTF-8.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (&[kind], rest) = bytes.split_first_chunk()?;
        match kind {
            ACK => return Some(Self::Ack),
            OPEN => {}
            _ => return None,
        }
        let (&[channel, _, _, r0, r1, r2, r3, l0, l1, p0, p1], text) = rest.split_first_chunk()?;
        let parameter = u32::from_be_bytes([r0, r1, r2, r3]);
        let (label, rest) = text.split_at_checked(u16::from_be_bytes([l0, l1]).into())?;
        let protocol = rest.get(..u16::from_be_bytes([p0, p1]).into())?;
        let reliability = match channel & !UNORDERED {
            RELIABLE => Reliability::Reliable,
            MAX_RETRANSMITS => Reliability::MaxRetransmits(parameter.try_into().unwrap_or(u16::MAX)),
            MAX_LIFE_TIME => Reliability::MaxPacketLifeTime(Duration::from_millis(parameter.into())),
            _ => return None,
        };
        let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(String::from);
        Some(Self::Open(ChannelInit {
            label: text(label)?,
            protocol: text(protocol)?,
            ordered: channel & UNORDERED == 0,
            reliability,
            negotiated: None,
        }))
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let Self::Open(init) = self else { return vec![ACK] };
        let (kind, parameter) = match init.reliability {
            Reliability::Reliable => (RELIABLE, 0),
            Reliability::MaxRetransmits(times) => (MAX_RETRANSMITS, times.into()),
            Reliability::MaxPacketLifeTime(time) => {
                (MAX_LIFE_TIME, time.as_millis().try_into().unwrap_or(u32::MAX))
            }
        };
        let order = if init.ordered { 0 } else { UNORDERED };
        let mut bytes = vec![OPEN, kind | order, 0, 0];
        bytes.extend_from_slice(&parameter.to_be_bytes());
        // Both are shorter than `limits::LABEL_LEN_MAX`.
        bytes.extend_from_slice(&(init.label.len() as u16).to_be_bytes());
        bytes.extend_from_slice(&(init.protocol.len() as u16).to_be_bytes());
        bytes.extend_from_slice(init.label.as_bytes());
        bytes.extend_from_slice(init.protocol.as_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_as_the_same() {
        let reliabilities = [
            Reliability::Reliable,
            Reliability::MaxRetransmits(7),
            Reliability::MaxPacketLifeTime(Duration::from_millis(90)),
        ];
        for reliability in reliabilities {
            let init =
                ChannelInit { protocol: "p".into(), ..ChannelInit::new("läbel") }.reliability(reliability);
            for init in [init.clone().unordered(), init] {
                let message = Message::Open(init);
                assert_eq!(Message::parse(&message.write()), Some(message));
            }
        }
        assert_eq!(Message::parse(&Message::Ack.write()), Some(Message::Ack));
    }

    #[test]
    fn a_message_cut_short_is_none() {
        let message = Message::Open(ChannelInit::new("label")).write();
        for len in 0..message.len() {
            assert_eq!(Message::parse(&message[..len]), None, "{len}");
        }
    }
}
