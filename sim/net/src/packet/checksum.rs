//! The checksum of the internet (RFC 1071), and how to mend one when words under it change (RFC 1624).

use std::net::IpAddr;

/// A sum of 16-bit words in ones' complement, of any number of parts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum(u32);

impl Sum {
    /// Adds bytes; an odd last one counts as if a zero followed. Only the last part may be odd.
    pub(crate) fn add(self, bytes: &[u8]) -> Sum {
        let (words, rest) = bytes.as_chunks::<2>();
        let mut sum = u64::from(self.0);
        for word in words {
            sum += u64::from(u16::from_be_bytes(*word));
        }
        if let [last] = rest {
            sum += u64::from(*last) << 8;
        }
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        Sum(sum as u32)
    }

    /// Adds one word.
    pub(crate) fn word(self, word: u16) -> Sum {
        self.add(&word.to_be_bytes())
    }

    /// Adds an address.
    pub(crate) fn address(self, address: IpAddr) -> Sum {
        match address {
            IpAddr::V4(address) => self.add(&address.octets()),
            IpAddr::V6(address) => self.add(&address.octets()),
        }
    }

    /// The pseudo header of UDP, TCP and ICMPv6 (RFC 768, RFC 8200 section 8.1); both versions sum up alike.
    pub(crate) fn pseudo_header(source: IpAddr, destination: IpAddr, protocol: u8, len: usize) -> Sum {
        let len = (len as u32).to_be_bytes();
        Sum::default().address(source).address(destination).word(u16::from(protocol)).add(&len)
    }

    /// What is written into the checksum's field.
    pub(crate) fn finish(self) -> u16 {
        !(self.0 as u16)
    }
}

/// A written checksum when what it covers changes from `before` to `after` (RFC 1624 section 3).
pub(crate) fn mend(checksum: u16, before: Sum, after: Sum) -> u16 {
    Sum::default().word(!checksum).word(!(before.0 as u16)).word(after.0 as u16).finish()
}
