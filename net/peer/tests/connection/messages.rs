//! Messages arrive whole, in order where that was asked for, and no faster than they are read.

use std::time::Instant;

use twocan::connection::{
    ChannelInit, Connection, ConnectionConfig, ConnectionEvent, Message, Path, Payload, Protocol, Receive,
    Reliability, SendError, UNREAD_MAX, WATERMARK,
};

use crate::kit::*;

const SIZES: [usize; 9] = [0, 1, 15, 1_200, 16_384, 65_535, 65_536, 200_000, 256 * 1024];

#[tokio::test]
async fn messages_of_every_size_arrive_whole_and_in_order_both_ways() {
    let mut pair = Pair::on_loopback();
    let [ada, bob] = pair.channel(ChannelInit::new("data").negotiated(0));
    assert_eq!(pair.connect().await.map(|path| path.path), [Path::Direct; 2]);
    for (channel, receiver) in [(ada, Side::Bob), (bob, Side::Ada)] {
        let sent: Vec<Message> = SIZES.iter().map(|&size| Message::binary(pattern(size, size))).collect();
        let sending = tokio::spawn({
            let sent = sent.clone();
            async move {
                for message in sent {
                    channel.send(message).await.unwrap();
                }
            }
        });
        let got = pair.messages(receiver, SIZES.len()).await;
        assert!(
            got == sent,
            "{receiver:?} got {:?}",
            got.iter().map(|each| each.bytes.len()).collect::<Vec<_>>()
        );
        sending.await.unwrap();
    }
}

#[tokio::test]
async fn where_udp_leads_nowhere_tcp_does() {
    // UDP candidates are taken out of the signals: only those for TCP arrive.
    let tcp = || ConnectionConfig { tcp: true, ..config() };
    let mut pair = Pair::new(tcp(), tcp());
    pair.without = Some(" udp ");
    let [ada, bob] = pair.channel(ChannelInit::new("data").negotiated(0));
    for path in pair.connect().await {
        assert_eq!((path.path, path.protocol), (Path::Direct, Protocol::Tcp));
    }
    for (channel, receiver) in [(ada, Side::Bob), (bob, Side::Ada)] {
        channel.send(pattern(200_000, 1)).await.unwrap();
        assert!(pair.messages(receiver, 1).await[0].bytes == pattern(200_000, 1));
    }
}

#[tokio::test]
async fn an_unordered_channel_delivers_everything_once() {
    let mut pair = Pair::on_loopback();
    let [ada, _] = pair.channel(ChannelInit::new("data").negotiated(0).unordered());
    pair.connect().await;
    let sending = tokio::spawn(async move {
        for number in 0..500_usize {
            ada.send(pattern(number * 37, number)).await.unwrap();
        }
    });
    let mut got: Vec<Vec<u8>> =
        pair.messages(Side::Bob, 500).await.into_iter().map(|message| message.bytes.to_vec()).collect();
    got.sort_by_key(Vec::len);
    assert!(got == (0..500).map(|number| pattern(number * 37, number)).collect::<Vec<_>>());
    sending.await.unwrap();
}

#[tokio::test]
async fn a_channel_that_one_side_opens_is_announced_with_its_promises() {
    let mut pair = Pair::on_loopback();
    let init = ChannelInit {
        protocol: "twenty-questions".to_owned(),
        ..ChannelInit::new("moves").unordered().reliability(Reliability::MaxRetransmits(3))
    };
    let ada = pair.ada.open_channel(init.clone());
    // Before anything is connected: it waits.
    ada.send("Is it an animal?").await.unwrap();
    pair.ada.negotiate();
    let asked = pair.run(|side, event| match event {
        ConnectionEvent::Message { channel, message } => Some((side, channel, message)),
        _ => None,
    });
    let (side, bob, message) = within("the question", asked).await;
    assert_eq!((side, bob.init(), message), (Side::Bob, &init, Message::text("Is it an animal?")));
    bob.send("Yes.").await.unwrap();
    let answer = pair.messages(Side::Ada, 1).await;
    assert_eq!((answer[0].kind, answer[0].as_text()), (Payload::Text, Ok("Yes.")));
}

#[tokio::test]
async fn each_channel_can_be_read_for_itself() {
    let by_channel = || ConnectionConfig { receive: Receive::Channels, ..config() };
    let mut pair = Pair::new(by_channel(), by_channel());
    let [ada_one, bob_one] = pair.channel(ChannelInit::new("one").negotiated(1));
    let [ada_two, bob_two] = pair.channel(ChannelInit::new("two").negotiated(2));
    pair.connect().await;
    ada_one.send("first").await.unwrap();
    ada_two.send("second").await.unwrap();
    assert_eq!(within("second", bob_two.recv()).await, Some(Message::text("second")));
    assert_eq!(within("first", bob_one.recv()).await, Some(Message::text("first")));
    assert_eq!(bob_one.try_recv(), None);
    within("closed", pair.ada.close()).await;
    assert_eq!(within("the end", bob_one.recv()).await, None);
}

#[tokio::test]
async fn a_slow_reader_makes_the_sender_wait_and_loses_nothing() {
    let mut pair = Pair::on_loopback();
    let [ada, _] = pair.channel(ChannelInit::new("data").negotiated(0));
    pair.connect().await;
    // Nobody reads at Bob's: everything on the way fills, and then it stands still.
    let mut sent = 0;
    let mut still_since = Instant::now();
    while still_since.elapsed() < std::time::Duration::from_secs(1) {
        match ada.try_send(pattern(10_000, sent)) {
            Ok(()) => (sent, still_since) = (sent + 1, Instant::now()),
            Err(SendError::Full) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
    let waiting = sent * 10_000;
    // What Bob's program may leave unread, SCTP's window, what SCTP holds at Ada's, and her channel.
    let limit = UNREAD_MAX + (4 << 20) + (1 << 20) + WATERMARK + 100_000;
    assert!(waiting > UNREAD_MAX && waiting < limit, "{waiting} bytes were taken");
    for (number, message) in pair.messages(Side::Bob, sent).await.into_iter().enumerate() {
        assert!(message.bytes == pattern(10_000, number), "message {number}");
    }
    assert_eq!(ada.try_send("and on it goes"), Ok(()));
}

#[tokio::test]
async fn channels_that_want_more_than_may_wait_in_all_get_their_turns() {
    let mut pair = Pair::on_loopback();
    let channels: Vec<_> =
        (0..10).map(|stream| pair.channel(ChannelInit::new("data").negotiated(stream))).collect();
    pair.connect().await;
    for [ada, _] in &channels {
        let ada = ada.clone();
        tokio::spawn(async move {
            for number in 0..10 {
                ada.send(pattern(100_000, number)).await.unwrap();
            }
        });
    }
    let mut numbers = [0; 10];
    let run = pair.run(|_, event| {
        if let ConnectionEvent::Message { channel, message } = event {
            let stream = usize::from(channel.init().negotiated.unwrap());
            assert!(message.bytes == pattern(100_000, numbers[stream]), "{stream}: {}", numbers[stream]);
            numbers[stream] += 1;
        }
        (numbers == [10; 10]).then_some(())
    });
    within("all messages of all channels", run).await;
}

#[tokio::test]
async fn a_channel_that_nobody_can_read_any_more_does_not_hold_up_the_others() {
    let by_channel = || ConnectionConfig { receive: Receive::Channels, ..config() };
    let mut pair = Pair::new(by_channel(), by_channel());
    let [ada_one, bob_one] = pair.channel(ChannelInit::new("one").negotiated(1));
    let [ada_two, bob_two] = pair.channel(ChannelInit::new("two").negotiated(2));
    pair.connect().await;
    drop(bob_one);
    let sending = async {
        for number in 0..100 {
            ada_one.send(pattern(100_000, number)).await.unwrap();
        }
        ada_two.send("at last").await.unwrap();
        bob_two.recv().await
    };
    // Events hold handles too: they are read.
    let last = async {
        tokio::select! {
            last = sending => last,
            () = pair.run(|_, _| None) => None,
        }
    };
    assert_eq!(within("the other channel", last).await, Some(Message::text("at last")));
}

#[tokio::test]
async fn a_message_that_the_other_side_does_not_take_is_refused() {
    let mut pair = Pair::on_loopback();
    let [ada, _] = pair.channel(ChannelInit::new("data").negotiated(0));
    pair.connect().await;
    let max = pair.ada.max_message_size();
    assert_eq!(ada.try_send(vec![0; max + 1]), Err(SendError::TooLarge { max }));
    assert_eq!(ada.send(vec![0; max + 1]).await, Err(SendError::TooLarge { max }));
}

#[test]
fn a_program_without_async_polls_once_a_frame() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let entered = runtime.enter();
    let mut sides = [
        Connection::new(config()).unwrap(),
        Connection::new(ConnectionConfig { polite: true, ..config() }).unwrap(),
    ];
    let channel = sides[0].open_channel(ChannelInit::new("data"));
    channel.try_send("tick").unwrap();
    sides[0].negotiate();
    let begun = Instant::now();
    let got = 'frames: loop {
        assert!(begun.elapsed() < PATIENCE, "no message");
        for at in 0..2 {
            while let Some(event) = sides[at].poll_event() {
                match event {
                    ConnectionEvent::Signal(signal) => sides[1 - at].signal(signal),
                    ConnectionEvent::Message { message, .. } => break 'frames message,
                    _ => {}
                }
            }
        }
        std::thread::park_timeout(std::time::Duration::from_millis(1));
    };
    assert_eq!(got, Message::text("tick"));
    drop(entered);
}
