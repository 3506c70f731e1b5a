//! Attributes (RFC 8489 section 14, RFC 8656 section 18, RFC 8445 section 16.1, RFC 5780 section 7): one
//! a file, all read and written through one trait. Those that end a message are in `integrity` and `fingerprint`.

mod additional_address_family;
mod address_error_code;
mod alternate_domain;
mod alternate_server;
mod change_request;
mod channel_number;
mod data;
mod dont_fragment;
mod error_code;
mod even_port;
mod family;
mod ice_controlled;
mod ice_controlling;
mod icmp;
mod kind;
mod lifetime;
mod mapped_address;
mod nonce;
mod other_address;
mod padding;
mod password_algorithm;
mod priority;
mod realm;
mod requested_address_family;
mod requested_transport;
mod reservation_token;
mod response_origin;
mod response_port;
mod shape;
mod software;
mod unknown_attributes;
mod use_candidate;
mod userhash;
mod username;
mod xor_mapped_address;
mod xor_peer_address;
mod xor_relayed_address;

pub use additional_address_family::AdditionalAddressFamily;
pub use address_error_code::AddressErrorCode;
pub use alternate_domain::AlternateDomain;
pub use alternate_server::AlternateServer;
pub use change_request::ChangeRequest;
pub use channel_number::ChannelNumber;
pub use data::Data;
pub use dont_fragment::DontFragment;
pub use error_code::ErrorReply;
pub use even_port::EvenPort;
pub use family::Family;
pub use ice_controlled::IceControlled;
pub use ice_controlling::IceControlling;
pub use icmp::Icmp;
pub use kind::AttributeType;
pub use lifetime::Lifetime;
pub use mapped_address::MappedAddress;
pub use nonce::{NONCE_COOKIE, Nonce, SecurityFeatures};
pub use other_address::OtherAddress;
pub use padding::Padding;
pub use password_algorithm::{Algorithm, PasswordAlgorithm, PasswordAlgorithms};
pub use priority::Priority;
pub use realm::Realm;
pub use requested_address_family::RequestedAddressFamily;
pub use requested_transport::RequestedTransport;
pub use reservation_token::ReservationToken;
pub use response_origin::ResponseOrigin;
pub use response_port::ResponsePort;
pub use software::Software;
pub use unknown_attributes::UnknownAttributes;
pub use use_candidate::UseCandidate;
pub use userhash::Userhash;
pub use username::Username;
pub use xor_mapped_address::XorMappedAddress;
pub use xor_peer_address::XorPeerAddress;
pub use xor_relayed_address::XorRelayedAddress;

use crate::{BuildError, TransactionId, Writer};

/// The value of one type of attribute. `'a` is how long the message's bytes live.
pub trait Attribute<'a>: Sized {
    /// Its number on the wire.
    const TYPE: AttributeType;

    /// Reads a value, without padding; `None` if it is malformed.
    fn decode(value: &'a [u8], transaction_id: &TransactionId) -> Option<Self>;

    /// Writes the value, without padding.
    ///
    /// # Errors
    /// `NoRoom`, or `Value` if there is no way to write it.
    fn encode(&self, out: &mut Writer<'_>, transaction_id: &TransactionId) -> Result<(), BuildError>;
}
