//! Error codes (RFC 8489 section 18.4, RFC 8656 section 19, RFC 8445 section 16.2).

use std::fmt;

/// The number of an error, 300 to 699.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode(u16);

macro_rules! error_codes {
    ($($name:ident = $number:literal $text:literal,)*) => {
        impl ErrorCode {
            $(#[doc = concat!(stringify!($number), " ", $text)] pub const $name: ErrorCode = ErrorCode($number);)*

            /// All constants, in order of their numbers.
            pub const ALL: &[ErrorCode] = &[$(ErrorCode::$name),*];

            /// The reason phrase in IANA's registry, if it is one of the constants.
            pub const fn reason(self) -> Option<&'static str> {
                match self {
                    $(ErrorCode::$name => Some($text),)*
                    _ => None,
                }
            }
        }
    };
}

error_codes! {
    TRY_ALTERNATE = 300 "Try Alternate",
    BAD_REQUEST = 400 "Bad Request",
    UNAUTHENTICATED = 401 "Unauthenticated",
    FORBIDDEN = 403 "Forbidden",
    UNKNOWN_ATTRIBUTE = 420 "Unknown Attribute",
    ALLOCATION_MISMATCH = 437 "Allocation Mismatch",
    STALE_NONCE = 438 "Stale Nonce",
    ADDRESS_FAMILY_NOT_SUPPORTED = 440 "Address Family not Supported",
    WRONG_CREDENTIALS = 441 "Wrong Credentials",
    UNSUPPORTED_TRANSPORT_PROTOCOL = 442 "Unsupported Transport Protocol",
    PEER_ADDRESS_FAMILY_MISMATCH = 443 "Peer Address Family Mismatch",
    ALLOCATION_QUOTA_REACHED = 486 "Allocation Quota Reached",
    ROLE_CONFLICT = 487 "Role Conflict",
    SERVER_ERROR = 500 "Server Error",
    INSUFFICIENT_CAPACITY = 508 "Insufficient Capacity",
}

impl ErrorCode {
    /// The code of that number; `None` outside 300 to 699.
    pub const fn new(number: u16) -> Option<ErrorCode> {
        if matches!(number, 300..=699) { Some(ErrorCode(number)) } else { None }
    }

    /// Its number.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// Hundreds and the rest, as they stand on the wire. The five bits above the hundreds are reserved.
    pub(crate) fn from_wire(class: u8, number: u8) -> Option<ErrorCode> {
        if number > 99 {
            return None;
        }
        ErrorCode::new(u16::from(class & 0x07) * 100 + u16::from(number))
    }

    pub(crate) fn to_wire(self) -> [u8; 2] {
        [(self.0 / 100) as u8, (self.0 % 100) as u8]
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason() {
            Some(reason) => write!(f, "{} {reason}", self.0),
            None => write!(f, "{}", self.0),
        }
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
