//! Whatever comes in, nothing breaks, and what can be counted stays countable.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod kit;

use kit::{Client, PEER, World, addr};
use proptest::prelude::*;
use twocan_stun::attribute::RequestedTransport;
use twocan_stun::{AttributeType, Method};

const CREDENTIALS: [AttributeType; 5] = [
    AttributeType::USERNAME,
    AttributeType::REALM,
    AttributeType::NONCE,
    AttributeType::PASSWORD_ALGORITHM,
    AttributeType::PASSWORD_ALGORITHMS,
];

/// Attributes of known and unknown types, with any value.
fn attributes() -> impl Strategy<Value = Vec<(AttributeType, Vec<u8>)>> {
    let kind =
        prop_oneof![prop::sample::select(AttributeType::ALL.to_vec()), any::<u16>().prop_map(AttributeType),]
            .prop_filter("those say who is asking", |kind| {
                !kind.ends_a_message() && !CREDENTIALS.contains(kind)
            });
    prop::collection::vec((kind, prop::collection::vec(any::<u8>(), 0..24)), 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_from_anyone_leave_the_server_standing(
        packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..20),
    ) {
        let mut world = World::new();
        let client = Client::ada("198.51.100.7:4000");
        for packet in &packets {
            world.client_sends(&client, packet);
            world.peer_sends(addr(PEER), addr("192.0.2.5:50000"), packet);
        }
        prop_assert_eq!(world.server.stats().stored.entries(), 0);
    }

    #[test]
    fn any_proved_request_is_answered_once_and_leaves_nothing_when_it_ends(
        requests in prop::collection::vec((0..4_usize, any::<bool>(), attributes(), 0..400_000_u64), 1..30),
    ) {
        let mut world = World::new();
        let mut client = Client::ada("198.51.100.7:4000");
        let methods = [Method::ALLOCATE, Method::REFRESH, Method::CREATE_PERMISSION, Method::CHANNEL_BIND];
        let mut at_ms = 0;
        for (method, with_transport, attributes, wait_ms) in requests {
            client.challenge(&mut world);
            client.request(&mut world, methods[method], |builder| {
                if with_transport {
                    builder.add(&RequestedTransport::UDP).unwrap();
                }
                for (kind, value) in &attributes {
                    builder.add_raw(*kind, value).unwrap();
                }
            });
            at_ms += wait_ms;
            world.t(at_ms);
            prop_assert_eq!(world.open_ports().len(), world.server.stats().stored.ports as usize);
        }
        world.t(at_ms + 3_700_000);
        prop_assert_eq!(world.server.stats().stored.entries(), 0);
        prop_assert_eq!(world.open_ports(), []);
        prop_assert_eq!(world.server.poll_timeout(), None);
        let stats = world.server.stats();
        prop_assert_eq!(stats.allocated, stats.freed);
    }
}
