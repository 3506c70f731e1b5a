//! Numbers of attributes (RFC 8489 section 18.3, RFC 8656 section 18, RFC 8445 section 16.1, RFC 5780 section 7).

use std::fmt;

/// An attribute's number on the wire. Any is possible; the constants are those that this crate reads and writes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttributeType(pub u16);

macro_rules! attribute_types {
    ($($name:ident = $number:literal $text:literal,)*) => {
        impl AttributeType {
            $(#[doc = $text] pub const $name: AttributeType = AttributeType($number);)*

            /// All constants, in order of their numbers.
            pub const ALL: &[AttributeType] = &[$(AttributeType::$name),*];

            /// Its name in IANA's registry, if it is one of the constants.
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $(AttributeType::$name => Some($text),)*
                    _ => None,
                }
            }
        }
    };
}

attribute_types! {
    MAPPED_ADDRESS = 0x0001 "MAPPED-ADDRESS",
    CHANGE_REQUEST = 0x0003 "CHANGE-REQUEST",
    USERNAME = 0x0006 "USERNAME",
    MESSAGE_INTEGRITY = 0x0008 "MESSAGE-INTEGRITY",
    ERROR_CODE = 0x0009 "ERROR-CODE",
    UNKNOWN_ATTRIBUTES = 0x000A "UNKNOWN-ATTRIBUTES",
    CHANNEL_NUMBER = 0x000C "CHANNEL-NUMBER",
    LIFETIME = 0x000D "LIFETIME",
    XOR_PEER_ADDRESS = 0x0012 "XOR-PEER-ADDRESS",
    DATA = 0x0013 "DATA",
    REALM = 0x0014 "REALM",
    NONCE = 0x0015 "NONCE",
    XOR_RELAYED_ADDRESS = 0x0016 "XOR-RELAYED-ADDRESS",
    REQUESTED_ADDRESS_FAMILY = 0x0017 "REQUESTED-ADDRESS-FAMILY",
    EVEN_PORT = 0x0018 "EVEN-PORT",
    REQUESTED_TRANSPORT = 0x0019 "REQUESTED-TRANSPORT",
    DONT_FRAGMENT = 0x001A "DONT-FRAGMENT",
    MESSAGE_INTEGRITY_SHA256 = 0x001C "MESSAGE-INTEGRITY-SHA256",
    PASSWORD_ALGORITHM = 0x001D "PASSWORD-ALGORITHM",
    USERHASH = 0x001E "USERHASH",
    XOR_MAPPED_ADDRESS = 0x0020 "XOR-MAPPED-ADDRESS",
    RESERVATION_TOKEN = 0x0022 "RESERVATION-TOKEN",
    PRIORITY = 0x0024 "PRIORITY",
    USE_CANDIDATE = 0x0025 "USE-CANDIDATE",
    PADDING = 0x0026 "PADDING",
    RESPONSE_PORT = 0x0027 "RESPONSE-PORT",
    ADDITIONAL_ADDRESS_FAMILY = 0x8000 "ADDITIONAL-ADDRESS-FAMILY",
    ADDRESS_ERROR_CODE = 0x8001 "ADDRESS-ERROR-CODE",
    PASSWORD_ALGORITHMS = 0x8002 "PASSWORD-ALGORITHMS",
    ALTERNATE_DOMAIN = 0x8003 "ALTERNATE-DOMAIN",
    ICMP = 0x8004 "ICMP",
    SOFTWARE = 0x8022 "SOFTWARE",
    ALTERNATE_SERVER = 0x8023 "ALTERNATE-SERVER",
    FINGERPRINT = 0x8028 "FINGERPRINT",
    ICE_CONTROLLED = 0x8029 "ICE-CONTROLLED",
    ICE_CONTROLLING = 0x802A "ICE-CONTROLLING",
    RESPONSE_ORIGIN = 0x802B "RESPONSE-ORIGIN",
    OTHER_ADDRESS = 0x802C "OTHER-ADDRESS",
}

impl AttributeType {
    /// Whether who does not know it must refuse the message (420): numbers below 0x8000.
    pub const fn is_comprehension_required(self) -> bool {
        self.0 < 0x8000
    }

    /// Whether it is one of the three that stand at a message's end.
    pub const fn ends_a_message(self) -> bool {
        matches!(
            self,
            AttributeType::MESSAGE_INTEGRITY
                | AttributeType::MESSAGE_INTEGRITY_SHA256
                | AttributeType::FINGERPRINT
        )
    }
}

impl fmt::Display for AttributeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#06x}", self.0),
        }
    }
}

impl fmt::Debug for AttributeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
