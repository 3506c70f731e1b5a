//! TCP (RFC 9293): ports and flags are read, the segment stays as it is.

use std::net::IpAddr;

use bytes::Bytes;

use super::checksum::Sum;
use super::{Packet, ParseError, Payload, Reader, number};

const HEADER_LEN: usize = 20;
const CHECKSUM_AT: usize = 16;

/// The flags of a segment: the low byte of its 13th.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// No more data from the sender.
    pub const FIN: TcpFlags = TcpFlags(0x01);
    /// Opens a connection.
    pub const SYN: TcpFlags = TcpFlags(0x02);
    /// Ends a connection at once.
    pub const RST: TcpFlags = TcpFlags(0x04);
    /// Hand it to the application soon.
    pub const PSH: TcpFlags = TcpFlags(0x08);
    /// The acknowledgment number counts.
    pub const ACK: TcpFlags = TcpFlags(0x10);
    /// The answer to a SYN.
    pub const SYN_ACK: TcpFlags = TcpFlags(0x12);

    /// Whether all of these are set.
    pub fn contains(self, flags: TcpFlags) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// Both sets of flags.
    pub fn with(self, flags: TcpFlags) -> TcpFlags {
        TcpFlags(self.0 | flags.0)
    }

    /// A SYN that opens a connection, not one that answers.
    pub fn is_opening(self) -> bool {
        self.contains(TcpFlags::SYN) && !self.contains(TcpFlags::ACK)
    }
}

/// A segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tcp {
    /// The port it is from.
    pub source: u16,
    /// The port it is for.
    pub destination: u16,
    /// Its flags, as they are in the segment.
    flags: TcpFlags,
    /// The segment from the sequence number on; `write` puts ports in front and a checksum in.
    segment: Bytes,
}

impl Tcp {
    /// A segment without options, with a window of 65,535.
    pub fn new(
        source: u16,
        destination: u16,
        flags: TcpFlags,
        sequence: u32,
        acknowledgment: u32,
        data: &[u8],
    ) -> Tcp {
        let mut segment = Vec::with_capacity(HEADER_LEN + data.len());
        segment.extend_from_slice(&sequence.to_be_bytes());
        segment.extend_from_slice(&acknowledgment.to_be_bytes());
        segment.extend_from_slice(&[0x50, flags.0, 0xff, 0xff, 0, 0, 0, 0]);
        segment.extend_from_slice(data);
        Tcp { source, destination, flags, segment: segment.into() }
    }

    /// The flags.
    pub fn flags(&self) -> TcpFlags {
        self.flags
    }

    /// The number of the first byte.
    pub fn sequence(&self) -> u32 {
        self.segment.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes))
    }

    /// The next byte that is expected, if `ACK` is set.
    pub fn acknowledgment(&self) -> u32 {
        self.segment.get(4..).and_then(|bytes| bytes.first_chunk()).map_or(0, |b| u32::from_be_bytes(*b))
    }

    /// What comes after the header and its options.
    pub fn data(&self) -> &[u8] {
        let words = self.segment.get(8).map_or(0, |byte| usize::from(byte >> 4));
        self.segment.get((words * 4).saturating_sub(4)..).unwrap_or_default()
    }

    pub(crate) fn wire_len(&self) -> usize {
        4 + self.segment.len()
    }

    pub(crate) fn parse(bytes: &[u8], source: IpAddr, destination: IpAddr) -> Result<Tcp, ParseError> {
        let mut reader = Reader::new(bytes);
        let (from, to) = (reader.u16()?, reader.u16()?);
        let segment = reader.rest();
        let [_, _, _, _, _, _, _, _, offset, flags, ..] = segment else {
            return Err(ParseError::Truncated);
        };
        let header_len = usize::from(offset >> 4) * 4;
        if header_len < HEADER_LEN || header_len > bytes.len() {
            return Err(ParseError::Length);
        }
        if Sum::pseudo_header(source, destination, number::TCP, bytes.len()).add(bytes).finish() != 0 {
            return Err(ParseError::Checksum);
        }
        let segment = without_checksum(segment);
        Ok(Tcp { source: from, destination: to, flags: TcpFlags(*flags), segment })
    }

    pub(crate) fn write(&self, source: IpAddr, destination: IpAddr, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.source.to_be_bytes());
        out.extend_from_slice(&self.destination.to_be_bytes());
        out.extend_from_slice(&self.segment);
        let Some(written) = out.get_mut(start..) else { return };
        let sum = Sum::pseudo_header(source, destination, number::TCP, written.len()).add(written);
        if let Some(field) = written.get_mut(CHECKSUM_AT..CHECKSUM_AT + 2) {
            field.copy_from_slice(&sum.finish().to_be_bytes());
        }
    }

    /// The RST that refuses `packet` (RFC 9293 3.5.2), as if its destination had sent it. `None` if it is not TCP, or is
    /// an RST itself.
    pub(crate) fn refusal_of(packet: &Packet) -> Option<Packet> {
        let Payload::Tcp(tcp) = &packet.payload else { return None };
        if tcp.flags.contains(TcpFlags::RST) {
            return None;
        }
        let segment = if tcp.flags.contains(TcpFlags::ACK) {
            Tcp::new(tcp.destination, tcp.source, TcpFlags::RST, tcp.acknowledgment(), 0, &[])
        } else {
            let counted = u32::from(tcp.flags.contains(TcpFlags::SYN))
                + u32::from(tcp.flags.contains(TcpFlags::FIN))
                + tcp.data().len() as u32;
            let acknowledgment = tcp.sequence().wrapping_add(counted);
            let flags = TcpFlags::RST.with(TcpFlags::ACK);
            Tcp::new(tcp.destination, tcp.source, flags, 0, acknowledgment, &[])
        };
        Some(Packet::new(packet.destination, packet.source, Payload::Tcp(segment)))
    }
}

/// The segment from the sequence number on, with a checksum of 0, so that equal segments are equal.
fn without_checksum(segment: &[u8]) -> Bytes {
    let mut segment = segment.to_vec();
    if let Some(field) = segment.get_mut(CHECKSUM_AT - 4..CHECKSUM_AT - 2) {
        field.fill(0);
    }
    segment.into()
}
