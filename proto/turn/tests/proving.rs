//! Who is answered, and what is kept of those who have not proved themselves.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod kit;

use std::collections::BTreeSet;

use kit::{Client, PEER, UNIX, World, addr};
use twocan_stun::attribute::{
    Algorithm, Data, ErrorReply, Lifetime, Nonce, PasswordAlgorithm, PasswordAlgorithms, Realm,
    RequestedTransport, Username, XorMappedAddress, XorPeerAddress,
};
use twocan_stun::{AttributeType, Builder, Class, IntegrityKey, Message, Method, TransactionId};
use twocan_turn::{Discard, Transport, credential};

const FROM: &str = "198.51.100.7:4000";

/// An Allocate with the attributes that `add` puts before the integrity.
fn allocate(key: &IntegrityKey, add: impl FnOnce(&mut Builder<'_>)) -> Vec<u8> {
    let mut buffer = [0; 1_024];
    let mut builder =
        Builder::new(&mut buffer, Class::Request, Method::ALLOCATE, TransactionId([3; 12])).unwrap();
    builder.add(&RequestedTransport::UDP).unwrap();
    add(&mut builder);
    builder.integrity(key).unwrap().finish().to_vec()
}

#[test]
fn a_binding_is_answered_in_32_bytes_or_44() {
    let mut world = World::new();
    for (from, len) in [("198.51.100.7:4000", 32), ("[2a00::7]:4000", 44), ("[::ffff:8.8.8.8]:4000", 32)] {
        let mut client = Client::ada(from);
        let packet = client.bare(Class::Request, Method::BINDING, |_| ());
        let reply = client.send_raw(&mut world, &packet).unwrap();
        assert_eq!(reply.bytes.len(), len, "{from}");
        let seen = reply.message().get::<XorMappedAddress>().unwrap().unwrap().0;
        assert_eq!((seen.ip(), seen.port()), (addr(from).ip().to_canonical(), 4_000));
    }
    assert_eq!(world.server.stats().bindings, 3);
}

#[test]
fn a_binding_with_something_unknown_is_420() {
    let mut world = World::new();
    let mut client = Client::ada(FROM);
    let packet = client.bare(Class::Request, Method::BINDING, |builder| {
        builder.add_raw(AttributeType(0x0003), &[0, 0, 0, 2]).unwrap();
    });
    let reply = client.send_raw(&mut world, &packet).unwrap();
    assert_eq!(kit::unknown_of(&reply), [AttributeType(0x0003)]);
}

#[test]
fn nothing_is_answered_but_a_request() {
    let mut world = World::new();
    let mut client = Client::ada(FROM);
    for class in [Class::Indication, Class::Success, Class::Error] {
        for number in [1, 3, 4, 6, 7, 8, 9] {
            let packet = client.bare(class, Method::new(number).unwrap(), |_| ());
            assert!(client.send_raw(&mut world, &packet).is_none(), "{class:?} {number}");
        }
    }
    assert_eq!(world.server.stats().discarded(Discard::NotARequest), 14);
}

#[test]
fn what_is_not_stun_is_counted_and_not_answered() {
    let mut world = World::new();
    let mut client = Client::ada(FROM);
    let packet = client.bare(Class::Request, Method::BINDING, |_| ());
    let mut wrong_cookie = packet.clone();
    wrong_cookie[4] ^= 1;
    let mut fingerprinted = packet.clone();
    fingerprinted[3] = 8;
    fingerprinted.extend_from_slice(&[0x80, 0x28, 0, 4, 1, 2, 3, 4]);
    for (wrong, why) in [
        (&b""[..], Discard::Length),
        (&[0x16, 3, 1], Discard::NotStun),
        (&[0x80, 0, 0, 0], Discard::NotStun),
        (&packet[..19], Discard::Malformed),
        (&wrong_cookie, Discard::Malformed),
        (&fingerprinted, Discard::Fingerprint),
        (&[0x40, 0, 0, 0], Discard::NoAllocation),
    ] {
        let before = world.server.stats().discarded(why);
        assert!(client.send_raw(&mut world, wrong).is_none());
        assert_eq!(world.server.stats().discarded(why), before + 1, "{}", why.name());
    }
}

#[test]
fn a_challenge_has_a_realm_a_nonce_the_algorithms_and_no_word_more() {
    let mut world = World::new();
    let mut client = Client::ada(FROM);
    let reply = client.challenge(&mut world);
    let kinds: Vec<_> = reply.message().attributes().map(|attribute| attribute.kind).collect();
    assert_eq!(
        kinds,
        [
            AttributeType::ERROR_CODE,
            AttributeType::REALM,
            AttributeType::NONCE,
            AttributeType::PASSWORD_ALGORITHMS
        ]
    );
    assert_eq!(reply.message().get::<Realm<'_>>().unwrap().unwrap().0, "twocan");
    assert_eq!(reply.message().get::<ErrorReply<'_>>().unwrap().unwrap().reason, "");
    let features = Nonce(&client.nonce).security_features().unwrap();
    assert!(features.password_algorithms && !features.username_anonymity);
    assert_eq!(reply.bytes.len(), 96);
}

#[test]
fn ten_thousand_forged_sources_leave_nothing_behind() {
    let mut world = World::new();
    for n in 0..10_000_u32 {
        let ip = std::net::Ipv4Addr::from_bits(0x0B00_0000 + n * 257);
        let mut client = Client::ada(&format!("{ip}:{}", 1_024 + n % 60_000));
        client.nonce = b"obMatJos2gAAAforged".to_vec();
        let bare = client.bare(Class::Request, Method::ALLOCATE, |builder| {
            builder.add(&RequestedTransport::UDP).unwrap();
        });
        let signed = client.signed(Method::ALLOCATE, |builder| {
            builder.add(&RequestedTransport::UDP).unwrap();
        });
        let binding = client.bare(Class::Request, Method::BINDING, |_| ());
        for packet in [bare, signed, binding, vec![0x40, 0, 0, 0]] {
            client.send_raw(&mut world, &packet);
        }
    }
    assert_eq!(world.server.stats().bindings, 10_000);
    assert_eq!((world.server.stats().error(401), world.server.stats().error(438)), (10_000, 10_000));
    assert_eq!(world.server.stats().stored.entries(), 0);
    assert_eq!(world.server.poll_timeout(), None, "nor is there anything to wait for");
    assert!(world.commands.is_empty());
}

#[test]
fn a_nonce_from_another_address_port_or_transport_is_stale() {
    let mut world = World::new();
    let mut client = Client::ada(FROM);
    client.challenge(&mut world);
    for other in ["198.51.100.7:4001", "198.51.100.8:4000"] {
        let mut thief = Client::ada(other);
        thief.nonce = client.nonce.clone();
        let reply = thief.allocate_with(&mut world, |_| ());
        assert_eq!(reply.code(), 438, "{other}");
        assert!(reply.message().has(AttributeType::NONCE) && reply.message().has(AttributeType::REALM));
    }
    let mut thief = Client::ada(FROM).over(Transport::Tcp);
    thief.nonce = client.nonce.clone();
    assert_eq!(thief.allocate_with(&mut world, |_| ()).code(), 438);
    client.allocate(&mut world);
}

#[test]
fn a_nonce_is_stale_after_an_hour_and_the_next_one_works() {
    let mut world = World::new();
    let mut client = Client::ada(FROM);
    client.challenge(&mut world);
    world.t(3_599_000);
    assert_eq!(client.allocate_with(&mut world, |_| ()).code(), 0);
    world.t(3_601_000);
    let reply = client.refresh(&mut world, 600);
    assert_eq!(reply.code(), 438);
    client.nonce = reply.message().get::<Nonce<'_>>().unwrap().unwrap().0.to_vec();
    assert_eq!(client.refresh(&mut world, 600).code(), 0);
}

#[test]
fn a_wrong_password_and_an_unknown_user_look_alike() {
    let mut world = World::new();
    let replies = [("ada", "wrong"), ("nobody", "lovelace"), ("ada", "")].map(|(username, password)| {
        let mut client = Client::new(FROM, username, password);
        let reply = client.allocate_with(&mut world, |_| ());
        let kinds: Vec<_> = reply.message().attributes().map(|attribute| attribute.kind).collect();
        (reply.code(), reply.bytes.len(), kinds)
    });
    assert_eq!(replies[0].0, 401);
    assert!(replies[0] == replies[1] && replies[1] == replies[2]);
    assert_eq!(world.server.stats().stored.entries(), 0);
}

#[test]
fn integrity_without_user_name_realm_or_nonce_is_400() {
    let mut world = World::new();
    let mut client = Client::ada(FROM);
    client.challenge(&mut world);
    let (nonce, key) = (client.nonce.clone(), client.key());
    for missing in 0..3 {
        let packet = allocate(&key, |builder| {
            if missing != 0 {
                builder.add(&Username("ada")).unwrap();
            }
            if missing != 1 {
                builder.add(&Realm("twocan")).unwrap();
            }
            if missing != 2 {
                builder.add(&Nonce(&nonce)).unwrap();
            }
        });
        assert_eq!(client.send_raw(&mut world, &packet).unwrap().code(), 400, "without {missing}");
    }
}

#[test]
fn another_realm_is_401() {
    let mut world = World::new();
    let mut client = Client::ada(FROM);
    client.challenge(&mut world);
    let nonce = client.nonce.clone();
    let packet = allocate(&IntegrityKey::long_term("ada", "elsewhere", "lovelace"), |builder| {
        builder.add(&Username("ada")).unwrap().add(&Realm("elsewhere")).unwrap().add(&Nonce(&nonce)).unwrap();
    });
    assert_eq!(client.send_raw(&mut world, &packet).unwrap().code(), 401);
}

#[test]
fn an_attribute_after_the_integrity_is_ignored() {
    let mut world = World::new();
    let mut client = Client::ada(FROM);
    let relayed = client.allocate(&mut world);
    let mut packet = client.signed(Method::REFRESH, |_| ());
    let len = u16::from_be_bytes([packet[2], packet[3]]) + 8;
    packet[2..4].copy_from_slice(&len.to_be_bytes());
    packet.extend_from_slice(&[0x00, 0x0D, 0, 4, 0, 0, 0, 0]);
    let reply = client.send_raw(&mut world, &packet).unwrap();
    assert_eq!(reply.lifetime_s(), 600, "LIFETIME 0 was not obeyed");
    assert_eq!(world.open_ports(), [kit::port_of(relayed)]);
}

#[test]
fn of_two_equal_attributes_the_first_counts() {
    let mut world = World::new();
    let mut client = Client::ada(FROM);
    let reply = client.allocate_with(&mut world, |builder| {
        builder.add(&Lifetime(1_000)).unwrap().add(&Lifetime(2_000)).unwrap();
    });
    assert_eq!(reply.lifetime_s(), 1_000);
}

#[test]
fn a_changed_request_is_401() {
    let mut world = World::new();
    let mut client = Client::ada(FROM);
    client.challenge(&mut world);
    let packet = client.signed(Method::ALLOCATE, |builder| {
        builder.add(&RequestedTransport::UDP).unwrap();
    });
    for at in [packet.len() - 1, 24] {
        let mut changed = packet.clone();
        changed[at] ^= 1;
        assert_eq!(client.send_raw(&mut world, &changed).unwrap().code(), 401, "byte {at}");
    }
    assert!(world.commands.is_empty());
}

#[test]
fn a_time_limited_credential_is_good_until_its_time() {
    let mut world = World::new();
    let code = |world: &mut World, expires, id: &str| {
        Client::timed(FROM, expires, id).allocate_with(world, |_| ()).code()
    };
    assert_eq!(code(&mut world, UNIX, "alice"), 401, "it ends now");
    assert_eq!(code(&mut world, UNIX - 1, "alice"), 401);
    assert_eq!(code(&mut world, UNIX + 49 * 3_600, "alice"), 401, "further than any credential may last");
    assert_eq!(code(&mut world, UNIX + 1, "alice"), 0);
}

#[test]
fn without_a_secret_no_time_limited_credential_is_good() {
    let mut world = World::with(|config| config.secret = None);
    assert_eq!(Client::timed(FROM, UNIX + 60, "alice").allocate_with(&mut world, |_| ()).code(), 401);
}

#[test]
fn the_operators_secret_does_not_open_the_lobbys_names() {
    let mut world = World::new();
    for id in ["lobby.group.peer", "lobby.", "lobby.group"] {
        assert_eq!(Client::timed(FROM, UNIX + 60, id).allocate_with(&mut world, |_| ()).code(), 401, "{id}");
    }
    let username = format!("{}:alice", UNIX + 60);
    let password = credential::password(&credential::grant_key(kit::SECRET), &username);
    let mut client = Client::new(FROM, &username, &password);
    assert_eq!(client.allocate_with(&mut world, |_| ()).code(), 401, "nor the grant key the operator's");
}

#[test]
fn sha_256_is_spoken_with_those_who_choose_it() {
    let mut world = World::new();
    let mut client = Client::ada(FROM);
    client.challenge(&mut world);
    let nonce = client.nonce.clone();
    let key = IntegrityKey::long_term_sha256("ada", "twocan", "lovelace");
    let build = |offered: PasswordAlgorithms<'_>, chosen: u16, id: u8| {
        let mut buffer = [0; 1_024];
        let mut builder =
            Builder::new(&mut buffer, Class::Request, Method::ALLOCATE, TransactionId([id; 12])).unwrap();
        builder.add(&RequestedTransport::UDP).unwrap();
        builder.add(&Username("ada")).unwrap().add(&Realm("twocan")).unwrap().add(&Nonce(&nonce)).unwrap();
        builder.add(&offered).unwrap();
        builder.add(&PasswordAlgorithm { algorithm: Algorithm(chosen), parameters: &[] }).unwrap();
        builder.integrity_sha256(&key).unwrap().finish().to_vec()
    };
    let unknown = build(PasswordAlgorithms::SHA256_THEN_MD5, 9, 4);
    assert_eq!(client.send_raw(&mut world, &unknown).unwrap().code(), 400);
    let packet = build(PasswordAlgorithms::SHA256_THEN_MD5, 2, 5);
    let reply = client.send_raw(&mut world, &packet).unwrap();
    assert_eq!(reply.code(), 0);
    assert!(reply.message().has(AttributeType::MESSAGE_INTEGRITY_SHA256));
    assert!(!reply.message().has(AttributeType::MESSAGE_INTEGRITY));
    assert_eq!(reply.message().verify_integrity(&key), Ok(()));
}

#[test]
fn an_offer_of_algorithms_that_was_changed_on_the_way_is_400() {
    let mut world = World::new();
    let mut client = Client::ada(FROM);
    client.challenge(&mut world);
    let (nonce, key) = (client.nonce.clone(), client.key());
    let packet = |kinds: &[(AttributeType, &[u8])]| {
        allocate(&key, |builder| {
            builder
                .add(&Username("ada"))
                .unwrap()
                .add(&Realm("twocan"))
                .unwrap()
                .add(&Nonce(&nonce))
                .unwrap();
            for (kind, value) in kinds {
                builder.add_raw(*kind, value).unwrap();
            }
        })
    };
    let (offer, choice) = (AttributeType::PASSWORD_ALGORITHMS, AttributeType::PASSWORD_ALGORITHM);
    let md5: &[u8] = &[0, 1, 0, 0];
    for kinds in [&[(offer, md5), (choice, md5)][..], &[(choice, md5)], &[(offer, &[0, 2, 0, 0, 0, 1, 0, 0])]]
    {
        assert_eq!(client.send_raw(&mut world, &packet(kinds)).unwrap().code(), 400);
    }
    let whole = packet(&[(offer, &[0, 2, 0, 0, 0, 1, 0, 0]), (choice, md5)]);
    assert_eq!(client.send_raw(&mut world, &whole).unwrap().code(), 0);
}

#[test]
fn errors_to_a_proved_client_carry_integrity() {
    let mut world = World::new();
    let mut client = Client::ada(FROM);
    // `request` verifies each of these.
    assert_eq!(client.refresh(&mut world, 1).code(), 437);
    client.allocate(&mut world);
    assert_eq!(client.permit(&mut world, &[addr("127.0.0.1:1")]), 403);
    assert_eq!(client.permit(&mut world, &[]), 400);
}

#[test]
fn padding_is_zero_in_everything_that_is_sent() {
    let mut world = World::with(|config| config.realm = "seven77".into());
    let mut client = Client::ada(FROM);
    let reply = client.challenge(&mut world);
    let padded = |bytes: &[u8]| {
        let message = Message::parse(bytes).unwrap();
        let mut gaps = 0;
        for attribute in message.attributes() {
            let end = attribute.offset + 4 + attribute.value.len();
            let padding = &bytes[end..end.next_multiple_of(4)];
            assert!(padding.iter().all(|byte| *byte == 0));
            gaps += padding.len();
        }
        gaps
    };
    assert_eq!(padded(&reply.bytes), 1);

    let mut world = World::new();
    let mut client = Client::ada(FROM);
    let relayed = client.allocate(&mut world);
    client.permit(&mut world, &[addr(PEER)]);
    // Fill the arena with something that a leak would show.
    world.peer_sends(addr(PEER), relayed, &[0xAA; 1_200]);
    world.take_sent();
    world.peer_sends(addr(PEER), relayed, b"x");
    let sent = world.take_sent();
    assert_eq!(padded(&sent[0].bytes), 3);
    assert_eq!(Message::parse(&sent[0].bytes).unwrap().get::<Data<'_>>().unwrap().unwrap().0, b"x");
    assert_eq!(
        Message::parse(&sent[0].bytes).unwrap().get::<XorPeerAddress>().unwrap().unwrap().0,
        addr(PEER)
    );
}

#[test]
fn a_config_that_cannot_be_is_refused() {
    use twocan_turn::{ConfigError, External, Server};
    let refused = |change: &dyn Fn(&mut twocan_turn::Config)| {
        let mut config = kit::config();
        change(&mut config);
        Server::new(config, [1; 32], kit::start()).err()
    };
    assert_eq!(refused(&|_| ()), None);
    assert_eq!(refused(&|c| c.external = External::default()), Some(ConfigError::NoExternalAddress));
    let any = Some("0.0.0.0".parse().unwrap());
    assert_eq!(refused(&|c| c.external.v4 = any), Some(ConfigError::BadExternalAddress));
    let mapped = Some("::ffff:8.8.8.8".parse().unwrap());
    assert_eq!(refused(&|c| c.external.v6 = mapped), Some(ConfigError::BadExternalAddress));
    assert_eq!(refused(&|c| c.relay_ports = 0..=9), Some(ConfigError::BadPorts));
    #[expect(clippy::reversed_empty_ranges, reason = "that is the mistake")]
    let reversed = 9..=8;
    assert_eq!(refused(&|c| c.relay_ports = reversed.clone()), Some(ConfigError::BadPorts));
    assert_eq!(refused(&|c| c.realm = String::new()), Some(ConfigError::BadRealm));
    assert_eq!(refused(&|c| c.realm = "é".repeat(17)), Some(ConfigError::BadRealm));
    assert_eq!(refused(&|c| c.realm = "é".repeat(16)), None);
    assert_eq!(refused(&|c| c.users = vec![(String::new(), "p".into())]), Some(ConfigError::BadUser));
    assert_eq!(refused(&|c| c.users = vec![("12:ada".into(), "p".into())]), Some(ConfigError::AmbiguousUser));
    assert_eq!(refused(&|c| c.secret = Some(vec![])), Some(ConfigError::EmptySecret));
}

#[test]
fn no_answer_to_somebody_unproved_is_more_than_five_times_as_long_as_what_was_asked() {
    for realm in ["twocan", &"r".repeat(32)] {
        let mut world = World::with(|config| config.realm = realm.into());
        let mut client = Client::ada(FROM);
        let mut codes = BTreeSet::new();
        let methods = [
            Method::BINDING,
            Method::ALLOCATE,
            Method::REFRESH,
            Method::CREATE_PERMISSION,
            Method::CHANNEL_BIND,
        ];
        for method in methods {
            for attributes in 0..4_u16 {
                let packet = client.bare(Class::Request, method, |builder| {
                    for n in 0..attributes {
                        builder.add_raw(AttributeType(0x7000 + n), &[]).unwrap();
                    }
                });
                let reply = client.send_raw(&mut world, &packet).unwrap();
                assert!(reply.bytes.len() <= 5 * packet.len(), "{realm} {method:?} {attributes}");
                codes.insert(reply.code());
            }
        }
        // A first Allocate as clients send it is answered as RFC 8489 9.2.4 wants.
        client.challenge(&mut world);
        let bare = client.bare(Class::Request, Method::ALLOCATE, |_| ());
        let code = client.send_raw(&mut world, &bare).unwrap().code();
        assert_eq!(code, if realm == "twocan" { 401 } else { 400 });
        assert!(codes.contains(&401) && codes.contains(&420), "{codes:?}");
    }
}

#[test]
fn whoever_has_no_allocation_says_nothing_long() {
    let mut world = World::new();
    let mut client = Client::ada(FROM);
    let of_len = |client: &mut Client, class, method, len: usize| {
        client.bare(class, method, |builder| {
            builder.add_raw(AttributeType(0xC0DE), &vec![0; len - 24]).unwrap();
        })
    };
    for (len, is_answered) in [(2_048, true), (2_052, false)] {
        let packet = of_len(&mut client, Class::Request, Method::BINDING, len);
        assert_eq!(client.send_raw(&mut world, &packet).is_some(), is_answered, "{len}");
    }
    let long = of_len(&mut client, Class::Indication, Method::SEND, 2_052);
    client.send_raw(&mut world, &long);
    assert_eq!(world.server.stats().discarded(Discard::Length), 2);
    client.allocate(&mut world);
    client.permit(&mut world, &[addr(PEER)]);
    client.send(&mut world, addr(PEER), &[7; 3_000]);
    assert_eq!(world.peer_got(addr(PEER)).unwrap().len(), 3_000);
    let packet = of_len(&mut client, Class::Request, Method::BINDING, 2_052);
    assert!(client.send_raw(&mut world, &packet).is_none(), "only Send does");
    let many = client.bare(Class::Indication, Method::SEND, |builder| {
        builder.add(&XorPeerAddress(addr(PEER))).unwrap();
        for _ in 0..15 {
            builder.add_raw(AttributeType(0xC0DE), &[0; 200]).unwrap();
        }
        builder.add(&Data(b"x")).unwrap();
    });
    client.send_raw(&mut world, &many);
    assert_eq!(world.server.stats().discarded(Discard::BadIndication), 1, "of seventeen attributes");
}
