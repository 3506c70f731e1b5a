//! UDP (RFC 768).

use std::net::IpAddr;

use bytes::Bytes;

use super::checksum::Sum;
use super::{ParseError, Reader, number};

const HEADER_LEN: usize = 8;

/// A datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Udp {
    /// The port it is from.
    pub source: u16,
    /// The port it is for.
    pub destination: u16,
    /// What is in it.
    pub data: Bytes,
}

impl Udp {
    pub(crate) fn wire_len(&self) -> usize {
        HEADER_LEN + self.data.len()
    }

    pub(crate) fn parse(bytes: &[u8], source: IpAddr, destination: IpAddr) -> Result<Udp, ParseError> {
        let mut reader = Reader::new(bytes);
        let (from, to, len, checksum) = (reader.u16()?, reader.u16()?, reader.u16()?, reader.u16()?);
        let data_len = usize::from(len).checked_sub(HEADER_LEN).ok_or(ParseError::Length)?;
        let data = reader.take(data_len)?;
        // IPv4: 0 means that there is none. IPv6 demands one (RFC 8200 section 8.1).
        if checksum != 0 || source.is_ipv6() {
            let datagram = bytes.get(..usize::from(len)).ok_or(ParseError::Truncated)?;
            let sum = Sum::pseudo_header(source, destination, number::UDP, usize::from(len)).add(datagram);
            if checksum == 0 || sum.finish() != 0 {
                return Err(ParseError::Checksum);
            }
        }
        Ok(Udp { source: from, destination: to, data: Bytes::copy_from_slice(data) })
    }

    pub(crate) fn write(&self, source: IpAddr, destination: IpAddr, out: &mut Vec<u8>) {
        let len = u16::try_from(self.wire_len()).unwrap_or(u16::MAX);
        let sum = Sum::pseudo_header(source, destination, number::UDP, self.wire_len())
            .word(self.source)
            .word(self.destination)
            .word(len)
            .add(&self.data);
        out.extend_from_slice(&self.source.to_be_bytes());
        out.extend_from_slice(&self.destination.to_be_bytes());
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(&match sum.finish() {
            0 => u16::MAX.to_be_bytes(),
            checksum => checksum.to_be_bytes(),
        });
        out.extend_from_slice(&self.data);
    }
}
