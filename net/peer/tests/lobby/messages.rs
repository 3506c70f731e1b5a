//! What two say to each other: every kind, any size, in order, and no faster than the other reads.

use serde_json::json;
use twocan::{ChannelOptions, Data, Error, Lobby, LobbyEvent};

use crate::kit::{Server, pair, pair_with, soon, until};

async fn message(lobby: &mut Lobby) -> (String, Data) {
    until(lobby, |event| match event {
        LobbyEvent::Message { channel, data, .. } => Some((channel.to_string(), data)),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn every_kind_and_size_arrives_whole_and_in_order() {
    let server = Server::start().await;
    let mut pair = pair(&server).await;
    let sizes = [0, 1, 65_534, 65_535, 65_536, 262_144, 1_000_003];
    let mut all: Vec<Data> =
        sizes.map(|size| Data::from((0..size).map(|i| (i % 251) as u8).collect::<Vec<u8>>())).into();
    all.extend([Data::from("héllo"), Data::from(""), Data::from("é".repeat(100_000))]);
    all.extend([Data::from(json!(null)), Data::json(&("shot", 12)), Data::from(json!({"a":[1,{"b":"é"}]}))]);
    let sent = all.clone();
    let to_bob = pair.to_bob.clone();
    let sending = tokio::spawn(async move {
        for data in sent {
            to_bob.send("reliable", data).await.unwrap();
        }
    });
    for data in all {
        let (channel, arrived) = message(&mut pair.bob).await;
        assert_eq!(channel, "reliable");
        assert!(arrived == data, "{arrived:?} is not {data:?}");
    }
    soon(sending).await.unwrap();
    assert_eq!(pair.to_ada.stats().await.unwrap().discarded, 0);
}

#[tokio::test]
async fn the_unreliable_channel_and_ones_own_carry_too() {
    let server = Server::start().await;
    let options = ChannelOptions::default();
    let connect = || server.connect().channel("voice", ChannelOptions::UNRELIABLE).channel("Files", options);
    let mut pair = pair_with(connect(), connect()).await;
    for channel in ["unreliable", "voice", "Files"] {
        pair.ada.all().send(channel, channel).await.unwrap();
        assert_eq!(message(&mut pair.bob).await, (channel.to_owned(), Data::from(channel)));
    }
    let large = vec![0; 65_536];
    assert_eq!(pair.to_bob.send("voice", large.clone()).await, Err(Error::TooLarge { max: 65_535 }));
    assert_eq!(pair.to_bob.send("nothing", large).await, Err(Error::NoChannel));
}

#[tokio::test]
async fn a_long_message_goes_out_whole_though_its_future_is_dropped() {
    let server = Server::start().await;
    let mut pair = pair(&server).await;
    let long = vec![7; 3_000_000];
    {
        let mut send = Box::pin(pair.to_bob.send("reliable", long.clone()));
        // One look: it has begun.
        let look =
            std::future::poll_fn(|context| std::task::Poll::Ready(send.as_mut().poll(context).is_pending()));
        assert!(look.await);
    }
    soon(pair.to_bob.send("reliable", "after")).await.unwrap();
    assert!(message(&mut pair.bob).await.1 == Data::from(long));
    assert_eq!(message(&mut pair.bob).await.1, Data::from("after"));
}

#[tokio::test]
async fn a_sender_feels_a_reader_that_does_not_read() {
    let server = Server::start().await;
    let mut pair = pair(&server).await;
    let mut sent = 0;
    let piece = vec![0; 60_000];
    // Nobody reads: queues fill, then `try_send` says so for good.
    let mut refusals = 0;
    while refusals < 100 {
        match pair.to_bob.try_send("reliable", piece.clone()) {
            Ok(()) => (sent, refusals) = (sent + 1, 0),
            Err(error) => {
                assert_eq!(error.code(), "backlog");
                refusals += 1;
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        }
        assert!(sent < 1_000, "60 MB wait somewhere: {:?}", pair.to_ada.stats().await);
    }
    for _ in 0..sent {
        assert!(message(&mut pair.bob).await.1 == Data::from(piece.clone()));
    }
    soon(pair.to_bob.send("reliable", "room again")).await.unwrap();
    assert_eq!(message(&mut pair.bob).await.1, Data::from("room again"));
}
