//! SCTP packets and chunks (RFC 9260 3, RFC 3758, RFC 6525, RFC 9653), read without copying and written into a buffer.
//!
//! ```text
//! source port (2) | destination port (2) | verification tag (4) | CRC-32C (4) | chunk …
//! chunk: type (1) | flags (1) | length (2) | value … | padding to a multiple of four
//! ```

use super::crc32c;

pub(super) const HEADER_LEN: usize = 12;
pub(super) const DATA_HEADER_LEN: usize = 16;

/// Chunk types.
pub(super) mod kind {
    pub const DATA: u8 = 0;
    pub const INIT: u8 = 1;
    pub const INIT_ACK: u8 = 2;
    pub const SACK: u8 = 3;
    pub const HEARTBEAT: u8 = 4;
    pub const HEARTBEAT_ACK: u8 = 5;
    pub const ABORT: u8 = 6;
    pub const SHUTDOWN: u8 = 7;
    pub const SHUTDOWN_ACK: u8 = 8;
    pub const ERROR: u8 = 9;
    pub const COOKIE_ECHO: u8 = 10;
    pub const COOKIE_ACK: u8 = 11;
    pub const SHUTDOWN_COMPLETE: u8 = 14;
    pub const RE_CONFIG: u8 = 130;
    pub const FORWARD_TSN: u8 = 192;
}

/// Flags of a DATA chunk.
pub(super) mod flag {
    pub const END: u8 = 1;
    pub const BEGIN: u8 = 2;
    pub const UNORDERED: u8 = 4;
    /// RFC 7053: acknowledge at once.
    pub const IMMEDIATE: u8 = 8;
    /// Of ABORT and SHUTDOWN COMPLETE: the verification tag is the receiver's own.
    pub const REFLECTED: u8 = 1;
}

/// Parameter types.
pub(super) mod parameter {
    pub const STATE_COOKIE: u16 = 7;
    pub const OUTGOING_RESET: u16 = 13;
    pub const INCOMING_RESET: u16 = 14;
    pub const RESPONSE: u16 = 16;
    pub const ADD_OUTGOING: u16 = 17;
    pub const ADD_INCOMING: u16 = 18;
    pub const ZERO_CHECKSUM: u16 = 0x8001;
    pub const SUPPORTED_EXTENSIONS: u16 = 0x8008;
    pub const FORWARD_TSN: u16 = 0xc000;
}

/// Zero checksum is fine since DTLS finds errors (RFC 9653 4).
const DETECTED_BY_DTLS: u32 = 1;

/// The common header.
#[derive(Clone, Copy)]
pub(super) struct Header {
    pub(super) source: u16,
    pub(super) destination: u16,
    pub(super) tag: u32,
}

/// Not an SCTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ParseError {
    Short,
    Checksum,
}

/// Reads the header, verifies the checksum (zero passes where the peer may leave it out) and returns what follows.
pub(super) fn open(packet: &[u8], zero_checksum: bool) -> Result<(Header, Chunks<'_>), ParseError> {
    let (head, chunks) = packet.split_first_chunk::<HEADER_LEN>().ok_or(ParseError::Short)?;
    let [s0, s1, d0, d1, t0, t1, t2, t3, c0, c1, c2, c3] = *head;
    let checksum = u32::from_le_bytes([c0, c1, c2, c3]);
    if !(checksum == 0 && zero_checksum) && checksum != crc32c::of_packet(packet) {
        return Err(ParseError::Checksum);
    }
    let tag = u32::from_be_bytes([t0, t1, t2, t3]);
    Ok((
        Header { source: u16::from_be_bytes([s0, s1]), destination: u16::from_be_bytes([d0, d1]), tag },
        Chunks(chunks),
    ))
}

/// Begins a packet.
pub(super) fn begin(out: &mut Vec<u8>, header: Header) {
    out.clear();
    out.extend_from_slice(&header.source.to_be_bytes());
    out.extend_from_slice(&header.destination.to_be_bytes());
    out.extend_from_slice(&header.tag.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
}

/// Ends a packet by its checksum.
pub(super) fn finish(out: &mut [u8]) {
    let checksum = crc32c::of_packet(out);
    if let Some(field) = out.get_mut(8..HEADER_LEN) {
        field.copy_from_slice(&checksum.to_le_bytes());
    }
}

/// Writes a chunk: `value` appends what it holds.
pub(super) fn put(out: &mut Vec<u8>, kind: u8, flags: u8, value: impl FnOnce(&mut Vec<u8>)) {
    put_with(out, [kind, flags], value);
}

/// Writes a parameter.
pub(super) fn put_parameter(out: &mut Vec<u8>, kind: u16, value: impl FnOnce(&mut Vec<u8>)) {
    put_with(out, kind.to_be_bytes(), value);
}

fn put_with(out: &mut Vec<u8>, kind: [u8; 2], value: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&kind);
    out.extend_from_slice(&[0; 2]);
    value(out);
    let len = u16::try_from(out.len() - start).unwrap_or(u16::MAX);
    if let Some(field) = out.get_mut(start + 2..start + 4) {
        field.copy_from_slice(&len.to_be_bytes());
    }
    out.resize(out.len().next_multiple_of(4), 0);
}

/// Type, flags and value of each chunk; ends at the first that is malformed.
pub(super) struct Chunks<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Chunks<'a> {
    type Item = (u8, u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let ([kind, flags], value, rest) = tlv(self.0)?;
        self.0 = rest;
        Some((kind, flags, value))
    }
}

/// Type and value of each parameter.
pub(super) struct Parameters<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Parameters<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (kind, value, rest) = tlv(self.0)?;
        self.0 = rest;
        Some((u16::from_be_bytes(kind), value))
    }
}

fn tlv(bytes: &[u8]) -> Option<([u8; 2], &[u8], &[u8])> {
    let (&[k0, k1, l0, l1], _) = bytes.split_first_chunk()?;
    let len = usize::from(u16::from_be_bytes([l0, l1]));
    let value = bytes.get(4..len)?;
    Some(([k0, k1], value, bytes.get(len.next_multiple_of(4)..).unwrap_or_default()))
}

/// A DATA chunk.
#[derive(Clone, Copy)]
pub(super) struct Data<'a> {
    pub(super) flags: u8,
    pub(super) tsn: u32,
    pub(super) stream: u16,
    pub(super) ssn: u16,
    pub(super) ppid: u32,
    pub(super) payload: &'a [u8],
}

impl<'a> Data<'a> {
    /// A chunk without payload is an error (RFC 9260 3.3.1).
    pub(super) fn parse(flags: u8, value: &'a [u8]) -> Option<Self> {
        let (&[t0, t1, t2, t3, s0, s1, n0, n1, p0, p1, p2, p3], payload) = value.split_first_chunk()?;
        (!payload.is_empty()).then_some(Self {
            flags,
            tsn: u32::from_be_bytes([t0, t1, t2, t3]),
            stream: u16::from_be_bytes([s0, s1]),
            ssn: u16::from_be_bytes([n0, n1]),
            ppid: u32::from_be_bytes([p0, p1, p2, p3]),
            payload,
        })
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        put(out, kind::DATA, self.flags, |out| {
            out.extend_from_slice(&self.tsn.to_be_bytes());
            out.extend_from_slice(&self.stream.to_be_bytes());
            out.extend_from_slice(&self.ssn.to_be_bytes());
            out.extend_from_slice(&self.ppid.to_be_bytes());
            out.extend_from_slice(self.payload);
        });
    }
}

/// What INIT and INIT ACK say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Init {
    pub(super) tag: u32,
    pub(super) window: u32,
    pub(super) outbound_streams: u16,
    pub(super) inbound_streams: u16,
    pub(super) tsn: u32,
    pub(super) forward_tsn: bool,
    pub(super) re_config: bool,
    pub(super) zero_checksum: bool,
}

impl Init {
    /// Reads it, and the state cookie if there is one. A tag of zero, or no streams, is an error (RFC 9260 3.3.2).
    pub(super) fn parse(value: &[u8]) -> Option<(Self, Option<&[u8]>)> {
        let (&[t0, t1, t2, t3, w0, w1, w2, w3, o0, o1, i0, i1, n0, n1, n2, n3], rest) =
            value.split_first_chunk()?;
        let mut init = Self {
            tag: u32::from_be_bytes([t0, t1, t2, t3]),
            window: u32::from_be_bytes([w0, w1, w2, w3]),
            outbound_streams: u16::from_be_bytes([o0, o1]),
            inbound_streams: u16::from_be_bytes([i0, i1]),
            tsn: u32::from_be_bytes([n0, n1, n2, n3]),
            forward_tsn: false,
            re_config: false,
            zero_checksum: false,
        };
        let mut cookie = None;
        for (kind, value) in Parameters(rest) {
            match kind {
                parameter::STATE_COOKIE => cookie = Some(value),
                parameter::FORWARD_TSN => init.forward_tsn = true,
                parameter::ZERO_CHECKSUM => init.zero_checksum = value == DETECTED_BY_DTLS.to_be_bytes(),
                parameter::SUPPORTED_EXTENSIONS => {
                    init.re_config |= value.contains(&kind::RE_CONFIG);
                    init.forward_tsn |= value.contains(&kind::FORWARD_TSN);
                }
                _ => {}
            }
        }
        (init.tag != 0 && init.outbound_streams != 0 && init.inbound_streams != 0).then_some((init, cookie))
    }

    /// Writes it as INIT, or with a cookie as INIT ACK; with all that we can do.
    pub(super) fn put(&self, out: &mut Vec<u8>, cookie: Option<&[u8]>) {
        let kind = if cookie.is_some() { kind::INIT_ACK } else { kind::INIT };
        put(out, kind, 0, |out| {
            out.extend_from_slice(&self.tag.to_be_bytes());
            out.extend_from_slice(&self.window.to_be_bytes());
            out.extend_from_slice(&self.outbound_streams.to_be_bytes());
            out.extend_from_slice(&self.inbound_streams.to_be_bytes());
            out.extend_from_slice(&self.tsn.to_be_bytes());
            if let Some(cookie) = cookie {
                put_parameter(out, parameter::STATE_COOKIE, |out| out.extend_from_slice(cookie));
            }
            put_parameter(out, parameter::FORWARD_TSN, |_| {});
            put_parameter(out, parameter::ZERO_CHECKSUM, |out| {
                out.extend_from_slice(&DETECTED_BY_DTLS.to_be_bytes());
            });
            put_parameter(out, parameter::SUPPORTED_EXTENSIONS, |out| {
                out.extend([kind::RE_CONFIG, kind::FORWARD_TSN]);
            });
        });
    }
}

/// A SACK chunk.
pub(super) struct Sack<'a> {
    pub(super) cumulative: u32,
    pub(super) window: u32,
    gaps: &'a [u8],
}

impl<'a> Sack<'a> {
    pub(super) fn parse(value: &'a [u8]) -> Option<Self> {
        let (&[c0, c1, c2, c3, w0, w1, w2, w3, g0, g1, _, _], rest) = value.split_first_chunk()?;
        Some(Self {
            cumulative: u32::from_be_bytes([c0, c1, c2, c3]),
            window: u32::from_be_bytes([w0, w1, w2, w3]),
            gaps: rest.get(..usize::from(u16::from_be_bytes([g0, g1])) * 4)?,
        })
    }

    /// First and last of each block of TSNs received, counted from the cumulative one.
    pub(super) fn gaps(&self) -> impl Iterator<Item = (u16, u16)> + use<'a> {
        let (gaps, _) = self.gaps.as_chunks::<4>();
        gaps.iter().map(|&[s0, s1, e0, e1]| (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([e0, e1])))
    }
}

/// The first 32 bits of a chunk's or parameter's value.
pub(super) fn word(value: &[u8]) -> Option<(u32, &[u8])> {
    let (&bytes, rest) = value.split_first_chunk()?;
    Some((u32::from_be_bytes(bytes), rest))
}

/// A list of 16-bit numbers.
pub(super) fn halves(value: &[u8]) -> impl Iterator<Item = u16> + '_ {
    value.as_chunks::<2>().0.iter().map(|&bytes| u16::from_be_bytes(bytes))
}
