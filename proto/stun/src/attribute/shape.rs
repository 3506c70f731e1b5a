//! The shapes that several attributes share, each written once: text, bytes, a number, a flag, an address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::Family;
use crate::{BuildError, MAGIC_COOKIE, TransactionId, Writer};

/// UTF-8 of at most a given number of bytes.
macro_rules! text {
    ($(#[$doc:meta])* $name:ident = $kind:ident, at most $max:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name<'a>(pub &'a str);

        impl $name<'_> {
            /// The longest that is written or read, in bytes.
            pub const MAX_LEN: usize = $max;
        }

        impl<'a> $crate::Attribute<'a> for $name<'a> {
            const TYPE: $crate::AttributeType = $crate::AttributeType::$kind;

            fn decode(value: &'a [u8], _: &$crate::TransactionId) -> Option<Self> {
                if value.len() > Self::MAX_LEN {
                    return None;
                }
                std::str::from_utf8(value).ok().map($name)
            }

            fn encode(
                &self,
                out: &mut $crate::Writer<'_>,
                _: &$crate::TransactionId,
            ) -> Result<(), $crate::BuildError> {
                if self.0.len() > Self::MAX_LEN {
                    return Err($crate::BuildError::Value(Self::TYPE));
                }
                out.put(self.0.as_bytes())
            }
        }
    };
}

/// Bytes of at most a given number.
macro_rules! bytes {
    ($(#[$doc:meta])* $name:ident = $kind:ident, at most $max:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name<'a>(pub &'a [u8]);

        impl $name<'_> {
            /// The longest that is written or read, in bytes.
            pub const MAX_LEN: usize = $max;
        }

        impl<'a> $crate::Attribute<'a> for $name<'a> {
            const TYPE: $crate::AttributeType = $crate::AttributeType::$kind;

            fn decode(value: &'a [u8], _: &$crate::TransactionId) -> Option<Self> {
                (value.len() <= Self::MAX_LEN).then_some($name(value))
            }

            fn encode(
                &self,
                out: &mut $crate::Writer<'_>,
                _: &$crate::TransactionId,
            ) -> Result<(), $crate::BuildError> {
                if self.0.len() > Self::MAX_LEN {
                    return Err($crate::BuildError::Value(Self::TYPE));
                }
                out.put(self.0)
            }
        }
    };
}

/// A fixed number of bytes.
macro_rules! array {
    ($(#[$doc:meta])* $name:ident = $kind:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl $crate::Attribute<'_> for $name {
            const TYPE: $crate::AttributeType = $crate::AttributeType::$kind;

            fn decode(value: &[u8], _: &$crate::TransactionId) -> Option<Self> {
                value.try_into().ok().map($name)
            }

            fn encode(
                &self,
                out: &mut $crate::Writer<'_>,
                _: &$crate::TransactionId,
            ) -> Result<(), $crate::BuildError> {
                out.put(&self.0)
            }
        }
    };
}

/// An unsigned number, then a given number of reserved bytes: zero when written, not looked at when read.
macro_rules! number {
    ($(#[$doc:meta])* $name:ident = $kind:ident, $int:ty $(, then $reserved:literal)?) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $int);

        impl $name {
            const RESERVED: usize = 0 $(+ $reserved)?;
        }

        impl $crate::Attribute<'_> for $name {
            const TYPE: $crate::AttributeType = $crate::AttributeType::$kind;

            fn decode(value: &[u8], _: &$crate::TransactionId) -> Option<Self> {
                let (number, reserved) = value.split_first_chunk()?;
                (reserved.len() == Self::RESERVED).then(|| $name(<$int>::from_be_bytes(*number)))
            }

            fn encode(
                &self,
                out: &mut $crate::Writer<'_>,
                _: &$crate::TransactionId,
            ) -> Result<(), $crate::BuildError> {
                out.put(&self.0.to_be_bytes())?;
                out.put(&[0; Self::RESERVED])
            }
        }
    };
}

/// One byte that names an address family, then three reserved ones.
macro_rules! family {
    ($(#[$doc:meta])* $name:ident = $kind:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $crate::attribute::Family);

        impl $crate::Attribute<'_> for $name {
            const TYPE: $crate::AttributeType = $crate::AttributeType::$kind;

            fn decode(value: &[u8], _: &$crate::TransactionId) -> Option<Self> {
                let &[family, _, _, _] = value else { return None };
                Some($name($crate::attribute::Family(family)))
            }

            fn encode(
                &self,
                out: &mut $crate::Writer<'_>,
                _: &$crate::TransactionId,
            ) -> Result<(), $crate::BuildError> {
                out.put(&[self.0.0, 0, 0, 0])
            }
        }
    };
}

/// Nothing: being there is the message.
macro_rules! flag {
    ($(#[$doc:meta])* $name:ident = $kind:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name;

        impl $crate::Attribute<'_> for $name {
            const TYPE: $crate::AttributeType = $crate::AttributeType::$kind;

            fn decode(value: &[u8], _: &$crate::TransactionId) -> Option<Self> {
                value.is_empty().then_some($name)
            }

            fn encode(
                &self,
                _: &mut $crate::Writer<'_>,
                _: &$crate::TransactionId,
            ) -> Result<(), $crate::BuildError> {
                Ok(())
            }
        }
    };
}

/// An address and a port, plain or hidden by XOR from routers that rewrite what looks like an address.
macro_rules! address {
    ($(#[$doc:meta])* $name:ident = $kind:ident, $hiding:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub std::net::SocketAddr);

        impl $crate::Attribute<'_> for $name {
            const TYPE: $crate::AttributeType = $crate::AttributeType::$kind;

            fn decode(value: &[u8], id: &$crate::TransactionId) -> Option<Self> {
                super::shape::decode_address(value, super::shape::Hiding::$hiding, id).map($name)
            }

            fn encode(
                &self,
                out: &mut $crate::Writer<'_>,
                id: &$crate::TransactionId,
            ) -> Result<(), $crate::BuildError> {
                super::shape::encode_address(self.0, super::shape::Hiding::$hiding, out, id)
            }
        }
    };
}

pub(crate) use {address, array, bytes, family, flag, number, text};

/// Whether an address is written as it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Hiding {
    Plain,
    Xor,
}

impl Hiding {
    /// What the port and the address are XORed with: the magic cookie, then the transaction id.
    fn mask(self, TransactionId(id): &TransactionId) -> (u16, u32, u128) {
        if self == Hiding::Plain {
            return (0, 0, 0);
        }
        let [i0, i1, i2, i3, i4, i5, i6, i7, i8, i9, i10, i11] = *id;
        let id = u128::from_be_bytes([0, 0, 0, 0, i0, i1, i2, i3, i4, i5, i6, i7, i8, i9, i10, i11]);
        let cookie = MAGIC_COOKIE.to_be_bytes();
        (u16::from_be_bytes([cookie[0], cookie[1]]), MAGIC_COOKIE, u128::from(MAGIC_COOKIE) << 96 | id)
    }
}

/// RFC 8489 sections 14.1 and 14.2: a reserved byte, the family, the port, the address.
pub(super) fn decode_address(value: &[u8], hiding: Hiding, id: &TransactionId) -> Option<SocketAddr> {
    let (&[_, family, p0, p1], address) = value.split_first_chunk()?;
    let (port_mask, v4_mask, v6_mask) = hiding.mask(id);
    let address = match Family(family) {
        Family::V4 => IpAddr::V4(Ipv4Addr::from_bits(u32::from_be_bytes(address.try_into().ok()?) ^ v4_mask)),
        Family::V6 => {
            IpAddr::V6(Ipv6Addr::from_bits(u128::from_be_bytes(address.try_into().ok()?) ^ v6_mask))
        }
        _ => return None,
    };
    Some(SocketAddr::new(address, u16::from_be_bytes([p0, p1]) ^ port_mask))
}

pub(super) fn encode_address(
    address: SocketAddr,
    hiding: Hiding,
    out: &mut Writer<'_>,
    id: &TransactionId,
) -> Result<(), BuildError> {
    let (port_mask, v4_mask, v6_mask) = hiding.mask(id);
    let [p0, p1] = (address.port() ^ port_mask).to_be_bytes();
    out.put(&[0, Family::of(address.ip()).0, p0, p1])?;
    match address.ip() {
        IpAddr::V4(ip) => out.put(&(ip.to_bits() ^ v4_mask).to_be_bytes()),
        IpAddr::V6(ip) => out.put(&(ip.to_bits() ^ v6_mask).to_be_bytes()),
    }
}
