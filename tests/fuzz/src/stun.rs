//! STUN: a key and an address that the seeds were made with, and every attribute by name.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use twocan_stun::attribute::{
    AdditionalAddressFamily, AddressErrorCode, AlternateDomain, AlternateServer, ChannelNumber, Data,
    DontFragment, ErrorReply, EvenPort, IceControlled, IceControlling, Icmp, Lifetime, MappedAddress, Nonce,
    PasswordAlgorithm, PasswordAlgorithms, Priority, Realm, RequestedAddressFamily, RequestedTransport,
    ReservationToken, Software, UnknownAttributes, UseCandidate, Userhash, Username, XorMappedAddress,
    XorPeerAddress, XorRelayedAddress,
};
use twocan_stun::{Attribute, BuildError, Builder, IntegrityKey, Message};

/// The password of RFC 5769 sections 2.1 to 2.3, whose messages are among the seeds.
pub const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";

/// Where the requests come from.
pub const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 32853);

/// The short-term key of [`PASSWORD`].
pub fn key() -> IntegrityKey {
    IntegrityKey::short_term(PASSWORD)
}

macro_rules! for_every_attribute {
    ($each:ident!($($argument:tt)*)) => {
        for_every_attribute!(@ $each ($($argument)*)
            AdditionalAddressFamily AddressErrorCode AlternateDomain AlternateServer ChannelNumber Data DontFragment
            ErrorReply EvenPort IceControlled IceControlling Icmp Lifetime MappedAddress Nonce PasswordAlgorithm
            PasswordAlgorithms Priority Realm RequestedAddressFamily RequestedTransport ReservationToken Software
            UnknownAttributes UseCandidate Userhash Username XorMappedAddress XorPeerAddress XorRelayedAddress)
    };
    (@ $each:ident $arguments:tt $($name:ident)*) => { $($each!($name $arguments);)* };
}

macro_rules! decode {
    ($name:ident ($message:expr)) => {
        let all: Vec<_> = $message.all::<$name>().collect();
        let first = $message.get::<$name>();
        assert_eq!(first.transpose(), all.first().copied(), "the first duplicate wins");
        assert_eq!(all.is_empty(), !$message.has($name::TYPE));
    };
}

/// Decodes every attribute that we know.
pub fn decode_all(message: &Message<'_>) {
    for_every_attribute!(decode!(message));
    if let Ok(Some(nonce)) = message.get::<Nonce>() {
        let _ = nonce.security_features();
    }
    if let Ok(Some(algorithms)) = message.get::<PasswordAlgorithms>() {
        assert!(algorithms.iter().all(|algorithm| algorithm.parameters.len() <= message.as_bytes().len()));
    }
    if let Ok(Some(unknown)) = message.get::<UnknownAttributes>() {
        assert!(unknown.iter().count() <= message.as_bytes().len() / 2);
    }
}

macro_rules! write_again {
    ($name:ident ($message:expr, $buffer:expr)) => {
        if let Ok(Some(attribute)) = $message.get::<$name>() {
            let again = write_one($message, &attribute, $buffer);
            let again = again.unwrap_or_else(|error| panic!("{attribute:?}: {error}"));
            let again = Message::parse(again).expect("our own message can be read");
            assert_eq!(again.get::<$name>(), Ok(Some(attribute)));
            assert_eq!(again.attributes().count(), 1);
        }
    };
}

fn write_one<'a, 'b>(
    message: &Message<'_>,
    attribute: &impl Attribute<'a>,
    buffer: &'b mut [u8],
) -> Result<&'b mut [u8], BuildError> {
    let mut builder = Builder::new(buffer, message.class(), message.method(), message.transaction_id())?;
    builder.add(attribute)?;
    Ok(builder.finish())
}

/// Whatever could be decoded can be written, and is read as the same value. The buffer must hold the message.
pub fn write_all_again(message: &Message<'_>, buffer: &mut [u8]) {
    // A longer list is cut when it is written: `limits.rs` of the crate has a test for it.
    for_every_attribute!(write_again!(message, buffer));
}
