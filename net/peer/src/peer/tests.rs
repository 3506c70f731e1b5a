//! Sending to who does not read: on channels whose other end is the test, and on a clock that it tells.

use serde_json::json;
use tokio::time::Instant;
use twocan_rtc::transport::ChannelInit;

use super::*;
use crate::connection::Line;
use crate::driver::{Command, Shared};
use crate::framing::{JSON_DEPTH_MAX, JSON_VALUES_MAX, MESSAGE_BYTES, TEXT_BYTES_MAX};
use crate::lobby::All;

/// A link with one channel.
struct Rig {
    peer: Peer,
    line: Arc<Line>,
    shared: Arc<Shared>,
    _told: mpsc::UnboundedReceiver<ToLink>,
}

impl Rig {
    fn new() -> Self {
        let shared = Arc::new(Shared::new());
        let line = Line::new(ChannelInit::new("reliable"));
        let channel = Channel { line: line.clone(), shared: shared.clone() };
        let underway = Arc::new(Semaphore::new(MESSAGE_BYTES));
        let outlet = Outlet::new("reliable".into(), channel, true, MESSAGE_BYTES, underway);
        let (link, told) = mpsc::unbounded_channel();
        let (asks, _) = mpsc::unbounded_channel();
        let id = PeerId::parse("PEER2222").unwrap();
        let peer = Peer::new((crate::link::room(), id), json!({}), vec![outlet], link, asks.downgrade());
        peer.become_state(PeerState::Open, None);
        Self { peer, line, shared, _told: told }
    }

    /// Takes what has been sent, as the connection does: pieces.
    fn take(&self) -> Vec<bytes::Bytes> {
        let mut pieces = Vec::new();
        while let Some(command) = self.shared.commands.try_pop() {
            if let Command::Send { message, .. } = command {
                self.line.release(message.bytes.len());
                pieces.push(message.bytes);
            }
        }
        pieces
    }

    async fn take_all(&self) -> Vec<bytes::Bytes> {
        let mut all = Vec::new();
        loop {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            let pieces = self.take();
            if pieces.is_empty() {
                return all;
            }
            all.extend(pieces);
        }
    }

    async fn fill(&self) {
        self.peer.send("reliable", vec![0; PIECE_BYTES_MAX]).await.unwrap();
        while self.peer.try_send("reliable", vec![0; PIECE_BYTES_MAX]).is_ok() {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_to_all_does_not_wait_for_who_does_not_read_and_names_it_once_it_misses_some() {
    let rigs = [Rig::new(), Rig::new(), Rig::new()];
    let all = All::of(rigs.iter().map(|rig| rig.peer.clone()).collect());
    let slow = &rigs[0];
    slow.fill().await;
    let start = Instant::now();
    assert_eq!(all.send("reliable", vec![1; 60_000]).await, Ok(vec![]));
    assert_eq!(start.elapsed(), SLOW_AFTER);
    let mut sent = 1;
    loop {
        rigs[1..].iter().for_each(|rig| assert_eq!(rig.take().len(), 1));
        let missed = all.send("reliable", vec![sent as u8 + 1; 60_000]).await.unwrap();
        if !missed.is_empty() {
            assert_eq!(missed, std::slice::from_ref(&slow.peer));
            break;
        }
        sent += 1;
    }
    assert_eq!(start.elapsed(), SLOW_AFTER, "nobody waits any more");
    assert_eq!(sent, SLOW_BYTES_MAX / 60_000);

    // One that closes is passed over.
    rigs[1..].iter().for_each(|rig| drop(rig.take()));
    rigs[2].line.close();
    assert_eq!(all.send("reliable", "closing").await, Ok(vec![]));

    // What it got comes in order, and then it is as good as any.
    let pieces = slow.take_all().await;
    let first: Vec<u8> = pieces.iter().filter(|piece| piece.len() == 60_001).map(|piece| piece[1]).collect();
    assert_eq!(first, (1..=sent as u8).collect::<Vec<_>>());
    assert_eq!(all.send("reliable", "again").await, Ok(vec![]));
    slow.fill().await;
    let start = Instant::now();
    assert_eq!(all.send("reliable", "waits").await, Ok(vec![]));
    assert_eq!(start.elapsed(), SLOW_AFTER / 2, "half as long as the first time");
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_too_long_on_its_way_is_given_up_and_the_other_side_told_so() {
    let rig = Rig::new();
    let start = Instant::now();
    assert_eq!(rig.peer.send("reliable", vec![7; 10 * PIECE_BYTES_MAX]).await, Err(Error::TooSlow));
    assert_eq!(start.elapsed(), SEND_WITHIN);
    let pieces = rig.take_all().await;
    assert_eq!(pieces.last().map(|piece| &piece[..]), Some(&[3][..]));
    rig.peer.send("reliable", "next").await.unwrap();
    assert_eq!(rig.take()[0][0], 1);
}

#[tokio::test(start_paused = true)]
async fn what_the_other_side_would_drop_is_refused() {
    let rig = Rig::new();
    let deep = |levels| (0..levels).fold(json!(0), |inner, _| json!([inner]));
    let refused = [
        (Data::from(vec![0; MESSAGE_BYTES + 1]), Error::TooLarge { max: MESSAGE_BYTES }),
        (Data::from("x".repeat(TEXT_BYTES_MAX + 1)), Error::TooLarge { max: TEXT_BYTES_MAX }),
        (Data::from(json!(["x".repeat(TEXT_BYTES_MAX)])), Error::TooLarge { max: TEXT_BYTES_MAX }),
        (Data::from(json!(vec![0; JSON_VALUES_MAX + 1])), Error::TooComplex),
        (Data::from(deep(JSON_DEPTH_MAX + 1)), Error::TooComplex),
    ];
    for (data, error) in refused {
        assert_eq!(error.code(), "too-large");
        assert_eq!(rig.peer.try_send("reliable", data.clone()), Err(error.clone()));
        assert_eq!(rig.peer.send("reliable", data).await, Err(error));
    }
    for data in [Data::from(json!(vec![0; JSON_VALUES_MAX])), Data::from(deep(JSON_DEPTH_MAX))] {
        rig.peer.send("reliable", data).await.unwrap();
        rig.take_all().await;
    }
}
