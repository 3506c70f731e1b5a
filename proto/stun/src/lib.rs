//! STUN (RFC 8489): messages, attributes, integrity. Called by `turn`, and by whatever gathers or answers; it never
//! opens a socket, reads a clock, allocates to parse, or decides who may do what.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |0 0|    class and method       |    length of what follows     |
//! |                 magic cookie  0x2112A442                      |
//! |                 transaction id, 96 bits                       |
//! |    attribute type             |    length of its value        |   repeated; each value is
//! |    value, padded with zeros to a multiple of four bytes  ...  |   padded, the length is not
//! ```
//!
//! ```
//! use twocan_stun::attribute::Username;
//! use twocan_stun::{Builder, Class, IntegrityKey, Message, Method, TransactionId};
//!
//! let key = IntegrityKey::short_term("VOkJxbRl1RmTxUk/WvJxBt");
//! let mut buffer = [0; 128];
//! let mut builder = Builder::new(&mut buffer, Class::Request, Method::BINDING, TransactionId([7; 12]))?;
//! builder.add(&Username("evtj:h6vY"))?;
//! let bytes = builder.integrity(&key)?.fingerprint()?.finish();
//!
//! let message = Message::parse(bytes).expect("it was just built");
//! assert_eq!(message.get::<Username>(), Ok(Some(Username("evtj:h6vY"))));
//! assert_eq!(message.verify_integrity(&key), Ok(()));
//! # Ok::<(), twocan_stun::BuildError>(())
//! ```

#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

pub mod alternate;
pub mod attribute;
mod builder;
pub mod client;
mod code;
pub mod demux;
pub mod discovery;
mod error;
mod fingerprint;
mod header;
mod integrity;
mod message;
pub mod server;
mod writer;

pub use attribute::{Attribute, AttributeType};
pub use builder::{AfterFingerprint, AfterIntegrity, AfterSha256, Builder, Open};
pub use code::ErrorCode;
pub use error::{AttributeError, BuildError, IntegrityError, ParseError};
pub use header::{Class, HEADER_LEN, Header, MAGIC_COOKIE, Method, TransactionId};
pub use integrity::IntegrityKey;
pub use message::{Attributes, Message, RawAttribute};
pub use writer::Writer;
