//! Channels of all kinds: they open, carry messages, hold back, give up, close, and their streams are used again.

mod transport;

use std::time::Duration;

use bytes::Bytes;
use transport::{Pair, Path};
use twocan_rtc::transport::{
    ChannelId, ChannelInit, CloseReason, DtlsVersions, Event, Misuse, Payload, Reliability, SendError, limits,
};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn bytes(len: usize, first: u8) -> Bytes {
    (0..len).map(|index| (index as u8).wrapping_mul(31).wrapping_add(first)).collect::<Vec<u8>>().into()
}

fn opened(pair: &Pair, end: usize) -> Vec<(ChannelId, ChannelInit)> {
    let open = pair.events[end].iter().filter_map(|(_, event)| match event {
        Event::ChannelOpen { id, init } => Some((*id, init.clone())),
        _ => None,
    });
    open.collect()
}

fn is_gone(pair: &Pair, end: usize, id: ChannelId) -> bool {
    pair.events[end].iter().any(|(_, event)| *event == Event::ChannelClosed { id })
}

#[test]
fn an_announced_channel_opens_on_both_sides_as_it_was_asked_for() {
    let inits = [
        ChannelInit { protocol: "chess".into(), ..ChannelInit::new("moves") },
        ChannelInit::new("state").unordered().reliability(Reliability::MaxRetransmits(0)),
        ChannelInit::new("voice").unordered().reliability(Reliability::MaxPacketLifeTime(ms(150))),
        ChannelInit::new(""),
    ];
    let mut pair = Pair::started(Path::lossy(40, 100), 1);
    for (index, init) in inits.iter().enumerate() {
        pair.ends[index % 2].open(init.clone(), pair.now).unwrap();
    }
    pair.run_until("open", |pair| opened(pair, 0).len() == 4 && opened(pair, 1).len() == 4);
    for end in 0..2 {
        let mut labels: Vec<ChannelInit> = opened(&pair, end).into_iter().map(|(_, init)| init).collect();
        labels.sort_by_key(|init| inits.iter().position(|other| other == init).unwrap());
        assert_eq!(labels, inits);
    }
}

#[test]
fn data_follows_right_behind_the_announcement() {
    let mut pair = Pair::started(Path::perfect(50), 2);
    let channel = pair.ends[0].open(ChannelInit::new("early").unordered(), pair.now).unwrap();
    for index in 0..3 {
        pair.ends[0].send(channel, Payload::Binary, bytes(10, index), pair.now).unwrap();
    }
    pair.run_until("messages", |pair| pair.messages(1).len() == 3);
    assert_eq!(pair.messages(1)[0].0, ms(125));
    assert!(opened(&pair, 0).is_empty(), "its acknowledgement is still underway");
}

#[test]
fn messages_of_every_size_arrive_whole_and_in_order_both_ways() {
    let sizes = [0, 1, 2, 3, 4, 1_131, 1_132, 1_133, 16_384, 65_535, 65_536, 262_143, 262_144];
    for (seed, loss) in [(3, 0), (4, 50)] {
        let path = Path { duplicated: loss, late: loss, ..Path::lossy(30, loss) };
        let (mut pair, channel) = Pair::connected(path, seed, &ChannelInit::new("all").negotiated(7));
        for end in 0..2 {
            pair.ends[end].set_buffered_amount_low_threshold(channel, limits::SEND_BUFFER_MAX / 2);
        }
        let mut sent = [0, 0];
        let all: Vec<(Payload, Bytes)> = sizes
            .iter()
            .flat_map(|&size| {
                [(Payload::Text, vec![b'x'; size].into()), (Payload::Binary, bytes(size, size as u8))]
            })
            .collect();
        pair.run_until("all", |pair| pair.is_connected(0));
        while pair.messages(0).len() < all.len() || pair.messages(1).len() < all.len() {
            for (end, sent) in sent.iter_mut().enumerate() {
                while let Some((kind, message)) = all.get(*sent)
                    && pair.ends[end].send(channel, *kind, message.clone(), pair.now).is_ok()
                {
                    *sent += 1;
                }
            }
            assert!(pair.step() && pair.elapsed() < Duration::from_secs(100), "seed {seed}");
        }
        for end in 0..2 {
            let arrived: Vec<(Payload, Bytes)> =
                pair.messages(end).into_iter().map(|(_, kind, bytes)| (kind, bytes)).collect();
            assert!(arrived == all, "seed {seed}");
            assert!(pair.discards[end].is_empty(), "{:?}", pair.discards[end]);
        }
    }
}

#[test]
fn an_unreliable_channel_keeps_its_latency_where_one_in_ten_is_lost() {
    let init =
        ChannelInit::new("state").unordered().reliability(Reliability::MaxRetransmits(0)).negotiated(2);
    let (mut pair, channel) = Pair::connected(Path::lossy(50, 100), 5, &init);
    let mut sent = Vec::new();
    for index in 0..1_000_u32 {
        pair.ends[0].send(channel, Payload::Binary, index.to_be_bytes().to_vec().into(), pair.now).unwrap();
        sent.push(pair.elapsed());
        pair.flush();
        pair.run_for(ms(10));
    }
    pair.run_for(ms(1_000));
    let arrived = pair.messages(1);
    assert!((850..950).contains(&arrived.len()), "{}", arrived.len());
    for (at, _, bytes) in arrived {
        let index = u32::from_be_bytes(bytes[..].try_into().unwrap());
        assert_eq!(at - sent[index as usize], ms(25), "message {index}");
    }
}

#[test]
fn an_ordered_unreliable_channel_goes_on_after_a_loss() {
    let init = ChannelInit::new("ticks").reliability(Reliability::MaxRetransmits(0)).negotiated(2);
    let (mut pair, channel) = Pair::connected(Path::lossy(50, 100), 6, &init);
    for index in 0..500_u32 {
        pair.ends[0].send(channel, Payload::Binary, index.to_be_bytes().to_vec().into(), pair.now).unwrap();
        pair.flush();
        pair.run_for(ms(10));
    }
    pair.run_for(ms(2_000));
    let arrived: Vec<Bytes> = pair.messages(1).into_iter().map(|(_, _, bytes)| bytes).collect();
    assert!((400..500).contains(&arrived.len()), "{}", arrived.len());
    assert!(arrived.is_sorted(), "in order");
}

#[test]
fn what_outlived_its_time_is_given_up_and_the_next_gets_through() {
    let init = ChannelInit::new("voice").reliability(Reliability::MaxPacketLifeTime(ms(100))).negotiated(2);
    let (mut pair, channel) = Pair::connected(Path::perfect(50), 7, &init);
    pair.path.loss = 1_000;
    pair.ends[0].send(channel, Payload::Text, Bytes::from_static(b"old"), pair.now).unwrap();
    pair.flush();
    pair.run_for(ms(500));
    pair.path.loss = 0;
    pair.ends[0].send(channel, Payload::Text, Bytes::from_static(b"new"), pair.now).unwrap();
    pair.run_for(ms(3_000));
    let arrived: Vec<Bytes> = pair.messages(1).into_iter().map(|(_, _, bytes)| bytes).collect();
    assert_eq!(arrived, ["new"]);
}

#[test]
fn a_full_buffer_says_so_and_tells_when_it_is_low() {
    let (mut pair, channel) = Pair::connected(Path::perfect(50), 8, &ChannelInit::new("bulk").negotiated(0));
    pair.ends[0].set_buffered_amount_low_threshold(channel, 100_000);
    pair.events[0].clear();
    let mut sent = 0;
    while pair.ends[0].send(channel, Payload::Binary, bytes(50_000, 0), pair.now).is_ok() {
        sent += 1;
    }
    assert_eq!(sent, limits::SEND_BUFFER_MAX / 50_000);
    let refused = pair.ends[0].send(channel, Payload::Binary, bytes(50_000, 0), pair.now);
    assert_eq!(refused, Err(SendError::Full));
    assert_eq!(pair.ends[0].buffered_amount(channel), sent * 50_000);
    let low = Event::BufferedAmountLow { id: channel };
    pair.run_until("low", |pair| pair.events[0].iter().any(|(_, event)| *event == low));
    assert!(pair.ends[0].buffered_amount(channel) <= 100_000);
    pair.run_until("all", |pair| pair.messages(1).len() == sent);
    assert_eq!(pair.events[0].iter().filter(|(_, event)| *event == low).count(), 1);
}

#[test]
fn who_is_refused_for_what_others_buffer_hears_of_the_room() {
    let (mut pair, bulk) = Pair::connected(Path::perfect(50), 8, &ChannelInit::new("bulk").negotiated(0));
    let [chat, _] =
        [0, 1].map(|end| pair.ends[end].open(ChannelInit::new("chat").negotiated(1), pair.now).unwrap());
    while pair.ends[0].send(bulk, Payload::Binary, bytes(50_000, 0), pair.now).is_ok() {}
    pair.events[0].clear();
    let low = Event::BufferedAmountLow { id: chat };
    let refused = pair.ends[0].send(chat, Payload::Binary, bytes(100_000, 0), pair.now);
    assert_eq!(refused, Err(SendError::Full));
    pair.run_until("low", |pair| pair.events[0].iter().any(|(_, event)| *event == low));
    assert_eq!(pair.ends[0].send(chat, Payload::Binary, bytes(100_000, 0), pair.now), Ok(()));
}

#[test]
fn a_message_larger_than_the_peer_takes_is_refused() {
    let (mut pair, channel) = Pair::connected(Path::perfect(10), 9, &ChannelInit::new("bulk").negotiated(0));
    let max = 262_144;
    assert_eq!(pair.ends[0].max_message_size(), max);
    let refused = pair.ends[0].send(channel, Payload::Binary, bytes(max + 1, 0), pair.now);
    assert_eq!(refused, Err(SendError::TooLarge { max }));
}

#[test]
fn a_channel_closes_behind_its_last_message_and_its_stream_is_used_again() {
    let (mut pair, _) =
        Pair::connected(Path::lossy(40, 50), 10, &ChannelInit::new("other").negotiated(1_000));
    for round in 0..5 {
        let closer = round % 2;
        let channel = pair.ends[0].open(ChannelInit::new(format!("round {round}")), pair.now).unwrap();
        pair.ends[0].send(channel, Payload::Binary, bytes(100_000, 1), pair.now).unwrap();
        if closer == 0 {
            pair.ends[0].close_channel(channel, pair.now);
            let refused = pair.ends[0].send(channel, Payload::Text, Bytes::new(), pair.now);
            assert_eq!(refused, Err(SendError::NotOpen));
        }
        pair.run_until("message", |pair| pair.messages(1).len() == round + 1);
        let (there, _) = opened(&pair, 1).pop().unwrap();
        if closer == 1 {
            pair.ends[1].close_channel(there, pair.now);
        }
        pair.run_until("closed", |pair| is_gone(pair, 0, channel) && is_gone(pair, 1, there));
    }
    // Each round had the same stream, or it would not have been given out by the lowest free number.
    let negotiated = ChannelInit::new("the first").negotiated(0);
    assert!(pair.ends[0].open(negotiated, pair.now).is_ok(), "stream 0 is free again");
}

#[test]
fn a_close_in_good_order_delivers_what_was_sent() {
    let (mut pair, channel) =
        Pair::connected(Path::lossy(40, 50), 11, &ChannelInit::new("bulk").negotiated(0));
    for _ in 0..3 {
        pair.ends[0].send(channel, Payload::Binary, bytes(100_000, 0), pair.now).unwrap();
    }
    pair.ends[0].close(pair.now);
    pair.run_until("closed", |pair| pair.closed(0).is_some() && pair.closed(1).is_some());
    assert_eq!((pair.closed(0), pair.closed(1)), (Some(CloseReason::Local), Some(CloseReason::PeerClosed)));
    assert_eq!(pair.messages(1).len(), 3);
    assert!(pair.ends.iter().all(|end| end.poll_timeout().is_none()));
}

#[test]
fn both_may_close_at_once_at_any_moment() {
    for after in (0..300).step_by(5) {
        let mut pair = Pair::started(Path::lossy(50, 100), after);
        let channel = pair.ends[0].open(ChannelInit::new("some"), pair.now).unwrap();
        pair.ends[0].send(channel, Payload::Binary, bytes(50_000, 0), pair.now).unwrap();
        pair.run_for(ms(after));
        pair.ends[0].close(pair.now);
        if after % 2 == 0 {
            pair.ends[1].close(pair.now);
        }
        pair.run_for(Duration::from_secs(61));
        assert_eq!(pair.closed(0), Some(CloseReason::Local), "after {after} ms");
        assert!(pair.closed(1).is_some(), "after {after} ms");
        assert!(matches!(pair.events[0].last(), Some((_, Event::Closed { .. }))), "nothing follows");
        assert_eq!(pair.ends[0].open(ChannelInit::new("late"), pair.now), Err(Misuse::Closed));
        assert!(pair.ends[0].poll_transmit().is_none());
    }
}

#[test]
fn channels_have_their_limits() {
    let mut pair = Pair::started(Path::perfect(20), 12);
    let long = "x".repeat(limits::LABEL_LEN_MAX + 1);
    assert_eq!(pair.ends[0].open(ChannelInit::new(long), pair.now), Err(Misuse::LabelTooLong));
    let taken = [ChannelInit::new("no").negotiated(u16::MAX), ChannelInit::new("no").negotiated(3)];
    pair.ends[0].open(ChannelInit::new("three").negotiated(3), pair.now).unwrap();
    for init in taken {
        assert_eq!(pair.ends[0].open(init, pair.now), Err(Misuse::StreamTaken));
    }
    for index in 1..limits::CHANNELS_MAX {
        pair.ends[0].open(ChannelInit::new(format!("{index}")), pair.now).unwrap();
    }
    assert_eq!(pair.ends[0].open(ChannelInit::new("more"), pair.now), Err(Misuse::TooManyChannels));
    pair.run_until("open", |pair| opened(pair, 0).len() == limits::CHANNELS_MAX);
    assert_eq!(opened(&pair, 1).len(), limits::CHANNELS_MAX - 1, "all that were announced");
}

#[test]
fn a_cut_path_is_a_pause_and_then_goes_on() {
    let (mut pair, channel) = Pair::connected(Path::perfect(50), 13, &ChannelInit::new("bulk").negotiated(0));
    pair.path.loss = 1_000;
    pair.ends[0].send(channel, Payload::Binary, bytes(200_000, 0), pair.now).unwrap();
    pair.flush();
    pair.run_for(Duration::from_secs(30));
    pair.path.loss = 0;
    let mended = pair.elapsed();
    for end in 0..2 {
        pair.ends[end].path_changed(Some(pair.path.rtt), pair.now);
    }
    pair.run_until("message", |pair| pair.messages(1).len() == 1);
    assert!(pair.elapsed() - mended < ms(1_000), "{:?}", pair.elapsed() - mended);
}

#[test]
fn a_path_cut_for_ten_minutes_ends_it() {
    let (mut pair, channel) = Pair::connected(Path::perfect(50), 14, &ChannelInit::new("bulk").negotiated(0));
    pair.path.loss = 1_000;
    pair.ends[0].send(channel, Payload::Text, Bytes::from_static(b"hello?"), pair.now).unwrap();
    pair.flush();
    pair.run_for(limits::ACKNOWLEDGE_WITHIN + Duration::from_secs(5));
    assert_eq!(pair.closed(0), Some(CloseReason::Timeout));
}

#[test]
fn messages_that_nobody_takes_hold_the_sender_back() {
    let (mut pair, channel) = Pair::connected(Path::perfect(20), 16, &ChannelInit::new("bulk").negotiated(0));
    pair.unheard = Some(1);
    let mut sent = 0;
    for _ in 0..2_000 {
        while pair.ends[0].send(channel, Payload::Binary, bytes(60_000, 0), pair.now).is_ok() {
            sent += 60_000;
        }
        pair.run_for(ms(10));
    }
    assert!(sent < 2 * limits::RECEIVE_WINDOW + limits::SEND_BUFFER_MAX, "{sent}");
    pair.unheard = None;
    pair.run_until("all", |pair| pair.messages(1).len() * 60_000 == sent);
}

#[test]
fn a_full_buffer_keeps_no_channel_from_opening_and_loses_nothing() {
    let mut pair = Pair::new(Path::perfect(20), 17, [DtlsVersions::Any; 2]);
    let first = pair.ends[0].open(ChannelInit::new("bulk"), pair.now).unwrap();
    let quarter = limits::SEND_BUFFER_MAX / 4;
    for _ in 0..4 {
        pair.ends[0].send(first, Payload::Binary, bytes(quarter, 0), pair.now).unwrap();
    }
    assert_eq!(pair.ends[0].send(first, Payload::Text, "x".into(), pair.now), Err(SendError::Full));
    pair.start();
    let second = pair.ends[0].open(ChannelInit::new("second"), pair.now).unwrap();
    assert_eq!(pair.ends[0].send(second, Payload::Text, "x".into(), pair.now), Err(SendError::Full));
    pair.run_until("open", |pair| opened(pair, 1).len() == 2 && pair.messages(1).len() == 4);
}
