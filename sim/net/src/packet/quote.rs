//! The packet that an ICMP error is about, as much of it as came along.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use super::checksum::{self, Sum};
use super::ip::{self, Header};
use super::{Flow, Packet, ParseError, Protocol, TcpFlags, icmp, number};

/// Bytes of a packet that are quoted, so that the error fits into 576 bytes (RFC 1812 4.3.2.3), or 1280 (RFC 4443 3.1).
const V4_LEN_MAX: usize = 576 - 28;
const V6_LEN_MAX: usize = 1280 - 48;

/// The beginning of a packet. NATs translate it as they do packets, its checksums too (RFC 5508 section 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Its length is that of the packet; fewer bytes may be here.
    header: Header,
    bytes: Bytes,
}

impl Quote {
    /// The beginning of this packet.
    pub fn of(packet: &Packet) -> Quote {
        let header_len = ip::header_len(packet.destination);
        let len_max = if packet.source.is_ipv4() { V4_LEN_MAX } else { V6_LEN_MAX };
        let mut bytes = Vec::new();
        packet.write(&mut bytes);
        bytes.truncate(len_max);
        Quote { header: Header::of(packet), bytes: Bytes::from(bytes).slice(header_len..) }
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Quote, ParseError> {
        let (header, rest) = ip::parse_header(bytes)?;
        let bytes = rest.get(..header.payload_len).unwrap_or(rest);
        Ok(Quote { header, bytes: Bytes::copy_from_slice(bytes) })
    }

    pub(super) fn wire_len(&self) -> usize {
        ip::header_len(self.header.destination) + self.bytes.len()
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        ip::write_header(&self.header, out);
        out.extend_from_slice(&self.bytes);
    }

    /// Who it was from.
    pub fn source(&self) -> IpAddr {
        self.header.source
    }

    /// Who it was for.
    pub fn destination(&self) -> IpAddr {
        self.header.destination
    }

    /// Who sent it to whom, if the quote reaches that far.
    pub fn flow(&self) -> Option<Flow> {
        let is_v4 = self.header.source.is_ipv4();
        let (protocol, source, destination) = match (self.header.protocol, self.bytes.as_ref()) {
            (number::UDP, [a, b, c, d, ..]) => (Protocol::Udp, word(*a, *b), word(*c, *d)),
            (number::TCP, [a, b, c, d, ..]) => (Protocol::Tcp, word(*a, *b), word(*c, *d)),
            (number::ICMP | number::ICMP_V6, [kind, _, _, _, a, b, ..]) => {
                match icmp::is_echo_request(*kind, is_v4)? {
                    true => (Protocol::Icmp, word(*a, *b), 0),
                    false => (Protocol::Icmp, 0, word(*a, *b)),
                }
            }
            _ => return None,
        };
        Some(Flow {
            protocol,
            source: SocketAddr::new(self.header.source, source),
            destination: SocketAddr::new(self.header.destination, destination),
            flags: TcpFlags::default(),
        })
    }

    /// Changes who sent it to whom, from one family to the other if need be.
    pub(crate) fn repoint(&mut self, source: SocketAddr, destination: SocketAddr) {
        let is_v4 = source.is_ipv4();
        let mut bytes = self.bytes.to_vec();
        let before = self.covered(&bytes);
        match self.header.protocol {
            number::UDP | number::TCP => {
                patch(&mut bytes, 0, source.port());
                patch(&mut bytes, 2, destination.port());
            }
            number::ICMP | number::ICMP_V6 => {
                let kind = bytes.first().copied().unwrap_or_default();
                if let Some(is_request) = icmp::is_echo_request(kind, self.header.source.is_ipv4()) {
                    patch(&mut bytes, 4, if is_request { source.port() } else { destination.port() });
                    if let Some(kind) = bytes.first_mut() {
                        *kind = icmp::echo_kind(is_request, is_v4);
                    }
                }
                self.header.protocol = if is_v4 { number::ICMP } else { number::ICMP_V6 };
            }
            _ => {}
        }
        (self.header.source, self.header.destination) = (source.ip(), destination.ip());
        let after = self.covered(&bytes);
        mend(&mut bytes, self.header.protocol, before, after);
        self.bytes = bytes.into();
    }

    /// What changes under the checksum: addresses, ports, an echo's type and identifier.
    fn covered(&self, bytes: &[u8]) -> Sum {
        let first_words = bytes.get(..2).unwrap_or_default();
        match self.header.protocol {
            number::ICMP => Sum::default().add(first_words).add(bytes.get(4..6).unwrap_or_default()),
            number::ICMP_V6 => Sum::pseudo_header(
                self.header.source,
                self.header.destination,
                number::ICMP_V6,
                self.header.payload_len,
            )
            .add(first_words)
            .add(bytes.get(4..6).unwrap_or_default()),
            _ => Sum::default()
                .address(self.header.source)
                .address(self.header.destination)
                .add(bytes.get(..4).unwrap_or_default()),
        }
    }
}

fn word(high: u8, low: u8) -> u16 {
    u16::from_be_bytes([high, low])
}

fn patch(bytes: &mut [u8], at: usize, word: u16) {
    if let Some(field) = bytes.get_mut(at..at + 2) {
        field.copy_from_slice(&word.to_be_bytes());
    }
}

/// The transport's checksum, if the quote reaches that far.
fn mend(bytes: &mut [u8], protocol: u8, before: Sum, after: Sum) {
    let at = match protocol {
        number::UDP => 6,
        number::TCP => 16,
        number::ICMP | number::ICMP_V6 => 2,
        _ => return,
    };
    let Some(Some([high, low])) = bytes.get(at..at + 2).map(<[u8]>::first_chunk::<2>) else { return };
    let checksum = word(*high, *low);
    if protocol != number::UDP || checksum != 0 {
        patch(bytes, at, checksum::mend(checksum, before, after));
    }
}
