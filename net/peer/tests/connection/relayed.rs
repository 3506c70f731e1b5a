//! By way of our own relay: over UDP, TCP and TLS, with relays alone, and when the relay dies.

use twocan::connection::{
    ChannelInit, ConnectionConfig, ConnectionEvent, ConnectionState, Kind, Message, Path, Protocol,
};
use twocan_turn::Transport;

use crate::kit::*;

async fn exchange(transport: Transport, protocol: Protocol) {
    let relay = relay();
    let mut pair = Pair::new(relayed(&relay, transport), relayed(&relay, transport));
    let channels = pair.channel(ChannelInit::new("data").negotiated(0));
    for path in pair.connect().await {
        assert_eq!(
            (path.path, path.local, path.relay_protocol),
            (Path::Relayed, Kind::Relayed, Some(protocol))
        );
    }
    for (channel, receiver) in channels.into_iter().zip([Side::Bob, Side::Ada]) {
        let sent: Vec<Message> =
            [0, 1, 1_200, 65_536, 256 * 1024].map(|size| Message::binary(pattern(size, size))).into();
        for message in &sent {
            channel.send(message.clone()).await.unwrap();
        }
        assert!(pair.messages(receiver, sent.len()).await == sent);
    }
    within("closed", pair.ada.close()).await;
    within("closed", pair.bob.close()).await;
    eventually("both allocations are given back", || relay.handle().stats().sockets.relay_ports == 0).await;
}

async fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let asking = async {
        while !done() {
            tokio::task::yield_now().await;
        }
    };
    within(what, asking).await;
}

#[tokio::test]
async fn data_goes_by_a_relay_over_udp() {
    exchange(Transport::Udp, Protocol::Udp).await;
}

#[tokio::test]
async fn data_goes_by_a_relay_over_tcp() {
    exchange(Transport::Tcp, Protocol::Tcp).await;
}

#[tokio::test]
async fn data_goes_by_a_relay_over_tls() {
    exchange(Transport::Tls, Protocol::Tls).await;
}

#[tokio::test]
async fn a_direct_way_is_taken_where_there_is_one_and_outlives_the_server() {
    let relay = relay();
    let with_server =
        || ConnectionConfig { servers: vec![server(&relay, Transport::Udp)], ..ConnectionConfig::default() };
    let mut pair = Pair::new(with_server(), with_server());
    let [ada, _] = pair.channel(ChannelInit::new("data").negotiated(0));
    assert_eq!(pair.connect().await.map(|path| path.path), [Path::Direct; 2]);
    drop(relay);
    ada.send("still here").await.unwrap();
    assert_eq!(pair.messages(Side::Bob, 1).await, [Message::text("still here")]);
}

#[tokio::test]
async fn a_relay_that_dies_under_a_connection_is_noticed() {
    let relay = relay();
    let mut pair = Pair::new(relayed(&relay, Transport::Tcp), relayed(&relay, Transport::Tcp));
    let _channels = pair.channel(ChannelInit::new("data").negotiated(0));
    pair.connect().await;
    drop(relay);
    let lost = pair.run(|_, event| {
        matches!(
            event,
            ConnectionEvent::StateChanged(ConnectionState::Disconnected | ConnectionState::Failed)
        )
        .then_some(())
    });
    within("the loss is said", lost).await;
}
