//! How connections end: closed, dropped, without anybody there; and what their handles say then.

use twocan::connection::{
    ChannelInit, CloseReason, Closed, Connection, ConnectionError, ConnectionEvent, Misuse, SendError,
};

use crate::kit::*;

/// Until the connection has said everything; why it ended.
async fn end(connection: &mut Connection) -> CloseReason {
    let last = async {
        let mut last = None;
        while let Some(event) = connection.next().await {
            last = Some(event);
        }
        last
    };
    match within("the end", last).await {
        Some(ConnectionEvent::Closed { why }) => why,
        other => panic!("the last event is {other:?}"),
    }
}

#[tokio::test]
async fn closing_tells_the_other_side_and_ends_both() {
    let mut pair = Pair::on_loopback();
    let [ada, bob] = pair.channel(ChannelInit::new("data").negotiated(0));
    pair.connect().await;
    within("closed", pair.ada.close()).await;
    assert_eq!(end(&mut pair.ada).await, CloseReason::Local);
    assert_eq!(end(&mut pair.bob).await, CloseReason::PeerClosed);
    for channel in [ada, bob] {
        assert!(channel.is_closed());
        assert_eq!(channel.send("too late").await, Err(SendError::Closed));
        assert_eq!(channel.try_send("too late"), Err(SendError::Closed));
    }
    assert_eq!(pair.bob.stats().await.unwrap_err(), Closed);
    let late = pair.bob.open_channel(ChannelInit::new("late"));
    assert_eq!(late.send("too late").await, Err(SendError::Closed));
    // Once more does no harm.
    within("closed again", pair.ada.close()).await;
}

#[tokio::test]
async fn dropping_a_connection_closes_it_for_the_other_side() {
    let mut pair = Pair::on_loopback();
    let [ada, _] = pair.channel(ChannelInit::new("data").negotiated(0));
    pair.connect().await;
    drop(pair.ada);
    assert_eq!(end(&mut pair.bob).await, CloseReason::PeerClosed);
    assert_eq!(ada.send("too late").await, Err(SendError::Closed));
}

#[tokio::test]
async fn what_was_sent_before_the_close_arrives() {
    let mut pair = Pair::on_loopback();
    let [ada, _] = pair.channel(ChannelInit::new("data").negotiated(0));
    pair.connect().await;
    for number in 0..20 {
        ada.try_send(pattern(10_000, number)).unwrap();
    }
    let Pair { ada: mut connection, bob, .. } = pair;
    let closing = tokio::spawn(async move { connection.close().await });
    let mut bob = bob;
    let mut got = 0;
    let all = async {
        while let Some(event) = bob.next().await {
            if let ConnectionEvent::Message { message, .. } = event {
                assert!(message.bytes == pattern(10_000, got));
                got += 1;
            }
        }
    };
    within("the end", all).await;
    assert_eq!(got, 20);
    closing.await.unwrap();
}

#[tokio::test]
async fn a_channel_is_closed_by_either_side_for_both() {
    let mut pair = Pair::on_loopback();
    let [one, _] = pair.channel(ChannelInit::new("one").negotiated(1));
    let [_, two] = pair.channel(ChannelInit::new("two").negotiated(2));
    pair.connect().await;
    one.close();
    two.close();
    assert_eq!(one.send("too late").await, Err(SendError::Closed));
    let mut closed = Vec::new();
    let all = pair.run(|side, event| {
        if let ConnectionEvent::ChannelClosed { channel, why: None } = event {
            closed.push(format!("{side:?} {}", channel.label()));
        }
        (closed.len() == 4).then_some(())
    });
    within("both are closed on both sides", all).await;
    closed.sort();
    assert_eq!(closed, ["Ada one", "Ada two", "Bob one", "Bob two"]);
}

#[tokio::test]
async fn a_channel_on_a_stream_that_is_taken_says_so() {
    let mut pair = Pair::on_loopback();
    let _first = pair.ada.open_channel(ChannelInit::new("first").negotiated(7));
    let second = pair.ada.open_channel(ChannelInit::new("second").negotiated(7));
    let refused = pair.run(|_, event| match event {
        ConnectionEvent::ChannelClosed { channel, why } => Some((channel, why)),
        _ => None,
    });
    assert_eq!(within("it is refused", refused).await, (second.clone(), Some(Misuse::StreamTaken)));
    assert_eq!(second.send("lost").await, Err(SendError::Closed));
}

#[tokio::test]
async fn closing_without_anybody_there_ends_too() {
    let mut alone = Connection::new(config()).unwrap();
    alone.negotiate();
    within("closed", alone.close()).await;
    assert_eq!(end(&mut alone).await, CloseReason::Local);
}

#[test]
fn without_a_runtime_there_is_no_connection() {
    assert!(matches!(Connection::new(config()), Err(ConnectionError::NoRuntime)));
}

#[test]
fn handles_outlive_their_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (channel, mut connection) = runtime.block_on(async {
        let connection = Connection::new(config()).unwrap();
        (connection.open_channel(ChannelInit::new("data")), connection)
    });
    drop(runtime);
    assert_eq!(channel.try_send("too late"), Err(SendError::Closed));
    while connection.poll_event().is_some() {}
}
