//! The 20 bytes before the attributes (RFC 8489 section 5): class, method, length, magic cookie, transaction id.

use std::fmt;

use crate::ParseError;

/// Length of a header, in bytes.
pub const HEADER_LEN: usize = 20;

/// The fixed value that tells STUN from everything else, and that addresses are hidden with.
pub const MAGIC_COOKIE: u32 = 0x2112_A442;

/// What kind of message it is: the two class bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Wants an answer.
    Request,
    /// Wants none.
    Indication,
    /// The answer to a request that was carried out.
    Success,
    /// The answer to a request that was not; it carries ERROR-CODE.
    Error,
}

/// What is asked for, or was: 12 bits (RFC 8489 section 18.2, RFC 8656 section 17).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Method(u16);

impl Method {
    /// Which address am I seen from?
    pub const BINDING: Method = Method(0x001);
    /// TURN: give me a relayed address.
    pub const ALLOCATE: Method = Method(0x003);
    /// TURN: keep my allocation, or free it.
    pub const REFRESH: Method = Method(0x004);
    /// TURN indication: pass this on to a peer.
    pub const SEND: Method = Method(0x006);
    /// TURN indication: this came from a peer.
    pub const DATA: Method = Method(0x007);
    /// TURN: let these peers reach me.
    pub const CREATE_PERMISSION: Method = Method(0x008);
    /// TURN: name this peer by a channel number.
    pub const CHANNEL_BIND: Method = Method(0x009);

    /// All constants, in order of their numbers.
    pub const ALL: &[Method] = &[
        Method::BINDING,
        Method::ALLOCATE,
        Method::REFRESH,
        Method::SEND,
        Method::DATA,
        Method::CREATE_PERMISSION,
        Method::CHANNEL_BIND,
    ];

    /// The method of that number; `None` if it does not fit 12 bits.
    pub const fn new(number: u16) -> Option<Method> {
        if number <= 0x0FFF { Some(Method(number)) } else { None }
    }

    /// Its number, at most 0xFFF.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// Its name in IANA's registry, if it is one of the constants.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Method::BINDING => "Binding",
            Method::ALLOCATE => "Allocate",
            Method::REFRESH => "Refresh",
            Method::SEND => "Send",
            Method::DATA => "Data",
            Method::CREATE_PERMISSION => "CreatePermission",
            Method::CHANNEL_BIND => "ChannelBind",
            _ => return None,
        })
    }
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "Method({:#05x})", self.0),
        }
    }
}

/// What matches an answer to its request: 96 bits that must not be guessable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId(pub [u8; 12]);

/// A checked header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The kind of message.
    pub class: Class,
    /// What it is about.
    pub method: Method,
    /// Length of all attributes, in bytes: a multiple of four.
    pub attributes_len: u16,
    /// What an answer repeats.
    pub transaction_id: TransactionId,
}

impl Header {
    /// Reads the first 20 bytes; more may follow, or be yet to come (on a stream).
    ///
    /// # Errors
    /// `Truncated` below 20 bytes, and whatever shows that this is not STUN.
    pub fn parse(bytes: &[u8]) -> Result<Header, ParseError> {
        let header: &[u8; HEADER_LEN] = bytes.first_chunk().ok_or(ParseError::Truncated)?;
        let [t0, t1, l0, l1, c0, c1, c2, c3, id @ ..] = *header;
        let message_type = u16::from_be_bytes([t0, t1]);
        if message_type & 0xC000 != 0 {
            return Err(ParseError::NotStun);
        }
        if u32::from_be_bytes([c0, c1, c2, c3]) != MAGIC_COOKIE {
            return Err(ParseError::NoMagicCookie);
        }
        let attributes_len = u16::from_be_bytes([l0, l1]);
        if attributes_len % 4 != 0 {
            return Err(ParseError::UnalignedLength);
        }
        let (class, method) = split_type(message_type);
        Ok(Header { class, method, attributes_len, transaction_id: TransactionId(id) })
    }

    /// Length of the whole message, header included, in bytes.
    pub fn message_len(&self) -> usize {
        HEADER_LEN + usize::from(self.attributes_len)
    }

    /// The header's bytes.
    pub fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let [t0, t1] = join_type(self.class, self.method).to_be_bytes();
        let [l0, l1] = self.attributes_len.to_be_bytes();
        let [c0, c1, c2, c3] = MAGIC_COOKIE.to_be_bytes();
        let [i0, i1, i2, i3, i4, i5, i6, i7, i8, i9, i10, i11] = self.transaction_id.0;
        [t0, t1, l0, l1, c0, c1, c2, c3, i0, i1, i2, i3, i4, i5, i6, i7, i8, i9, i10, i11]
    }
}

/// Class and method share 14 bits: `M11..M7 C1 M6..M4 C0 M3..M0` (RFC 8489 figure 3).
fn split_type(message_type: u16) -> (Class, Method) {
    let class = match (message_type & 0x0100 != 0, message_type & 0x0010 != 0) {
        (false, false) => Class::Request,
        (false, true) => Class::Indication,
        (true, false) => Class::Success,
        (true, true) => Class::Error,
    };
    let method = (message_type & 0x000F) | (message_type & 0x00E0) >> 1 | (message_type & 0x3E00) >> 2;
    (class, Method(method))
}

fn join_type(class: Class, Method(method): Method) -> u16 {
    let class = match class {
        Class::Request => 0,
        Class::Indication => 0x0010,
        Class::Success => 0x0100,
        Class::Error => 0x0110,
    };
    class | (method & 0x000F) | (method & 0x0070) << 1 | (method & 0x0F80) << 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_and_method_survive_being_joined() {
        for number in 0..=0x0FFF {
            for class in [Class::Request, Class::Indication, Class::Success, Class::Error] {
                let joined = join_type(class, Method(number));
                assert_eq!(joined & 0xC000, 0);
                assert_eq!(split_type(joined), (class, Method(number)));
            }
        }
    }

    #[test]
    fn the_types_of_a_binding_are_those_everyone_knows() {
        let types = [Class::Request, Class::Indication, Class::Success, Class::Error]
            .map(|class| join_type(class, Method::BINDING));
        assert_eq!(types, [0x0001, 0x0011, 0x0101, 0x0111]);
        assert_eq!(join_type(Class::Success, Method::CHANNEL_BIND), 0x0109);
    }

    #[test]
    fn a_method_has_twelve_bits() {
        assert_eq!(Method::new(0x0FFF).map(Method::number), Some(0x0FFF));
        assert_eq!(Method::new(0x1000), None);
    }
}
