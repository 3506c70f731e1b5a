//! Who a packet on a shared port is for, by its first byte (RFC 7983, RFC 9443, RFC 8656 section 12).

/// A protocol that may share the port with STUN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// 0 to 3: STUN.
    Stun,
    /// 16 to 19: ZRTP.
    Zrtp,
    /// 20 to 63: DTLS.
    Dtls,
    /// 64 to 79: a TURN channel.
    ChannelData,
    /// 128 to 191: RTP or RTCP (QUIC too, where RFC 9443 is in use; Twocan speaks neither).
    Rtp,
}

/// The protocol that a packet's first byte announces; `None` for an empty packet and for a byte that nobody owns.
///
/// ```
/// use twocan_stun::demux::{Protocol, protocol};
/// assert_eq!(protocol(&[0x00, 0x01]), Some(Protocol::Stun));
/// assert_eq!(protocol(&[0x40, 0x00]), Some(Protocol::ChannelData));
/// assert_eq!(protocol(&[]), None);
/// ```
pub fn protocol(packet: &[u8]) -> Option<Protocol> {
    match packet.first()? {
        0..=3 => Some(Protocol::Stun),
        16..=19 => Some(Protocol::Zrtp),
        20..=63 => Some(Protocol::Dtls),
        64..=79 => Some(Protocol::ChannelData),
        128..=191 => Some(Protocol::Rtp),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_first_byte_has_the_owner_that_rfc_7983_names() {
        let ranges = [
            (0, 3, Some(Protocol::Stun)),
            (4, 15, None),
            (16, 19, Some(Protocol::Zrtp)),
            (20, 63, Some(Protocol::Dtls)),
            (64, 79, Some(Protocol::ChannelData)),
            (80, 127, None),
            (128, 191, Some(Protocol::Rtp)),
            (192, 255, None),
        ];
        for (first, last, owner) in ranges {
            for byte in first..=last {
                assert_eq!(protocol(&[byte]), owner, "first byte {byte}");
            }
        }
    }
}
