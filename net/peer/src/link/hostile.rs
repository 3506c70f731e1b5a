//! One peer that means no good, linked for real over loopback: the other links of the lobby go on as if it were not there.

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde_json::json;

use super::*;
use crate::connection::Signal;
use crate::data::Data;
use crate::framing::{Encoded, MESSAGE_BYTES, PIECE_BYTES_MAX, WHOLE_WITHIN, encode};
use crate::halves::HALF_MESSAGES_PEER_MAX;
use crate::signals::CANDIDATES_MAX;

/// Longest wait for anything; a test that reaches it has failed.
const PATIENCE: Duration = Duration::from_secs(30);
/// Links beside the hostile one.
const FRIENDS: usize = 62;

/// Our side of a lobby, whose others are connections in the hands of the test; the first is hostile.
struct Crowd {
    peers: Vec<Peer>,
    /// The channels of each other, by id.
    others: Vec<Vec<Channel>>,
    waiting: mpsc::UnboundedReceiver<Waiting>,
    events: Events,
    /// What links have told the client, as words.
    reports: Arc<Mutex<Vec<&'static str>>>,
    /// Keep the channel to the client.
    _asks: mpsc::UnboundedSender<crate::client::Ask>,
}

fn config() -> ConnectionConfig {
    let addresses = crate::connection::Addresses::Only(vec![std::net::Ipv4Addr::LOCALHOST.into()]);
    ConnectionConfig { loopback: true, addresses, ..ConnectionConfig::default() }
}

/// Two more channels than every link has: 3 and 4.
fn own() -> Arc<[(Arc<str>, ChannelOptions)]> {
    channels(&["more", "most"].map(|name| (name.to_owned(), ChannelOptions::default())))
}

/// A piece that is not the last of its message.
fn half(bytes: usize) -> Message {
    let mut piece = vec![0; 1 + bytes];
    piece[0] = 0x80;
    Message::binary(piece)
}

impl Crowd {
    async fn meet() -> Self {
        Self::meet_with(MESSAGE_BYTES, WHOLE_WITHIN).await
    }

    async fn meet_with(message_max: usize, whole_within: Duration) -> Self {
        let room = room();
        let (inputs, mut input) = mpsc::channel(256);
        let (asks, _) = mpsc::unbounded_channel();
        let (events, waiting) = Events::new(message_max);
        let (mut peers, mut others) = (Vec::new(), Vec::new());
        let mut ways = BTreeMap::new();
        let (opened, mut open) = mpsc::unbounded_channel();
        for index in 0..=FRIENDS {
            let id = peer_id(index);
            let start = Start {
                room,
                peer: id,
                me: json!({}),
                offers: true,
                config: config(),
                channels: own(),
                message_max,
                whole_within,
                events: events.clone(),
                inputs: inputs.clone(),
                asks: asks.downgrade(),
            };
            let peer = super::start(start).unwrap();
            let (lines, signals) = other(peer.clone(), opened.clone());
            others.push(lines);
            ways.insert(id, signals);
            peer.tell(ToLink::Go);
            peers.push(peer);
        }
        let reports = Arc::new(Mutex::new(Vec::new()));
        let heard = reports.clone();
        tokio::spawn(async move {
            while let Some(input) = input.recv().await {
                let Input::Link(_, peer, report) = input else { continue };
                heard.lock().unwrap().push(match report {
                    Report::Signal(signal) => {
                        let _ = ways[&peer.id()].send(signal);
                        "signal"
                    }
                    Report::Control(_) => "control",
                    Report::Open => "open",
                    Report::Gone => "gone",
                    Report::Failed(_) => "failed",
                    _ => "other",
                });
            }
        });
        for _ in 0..=FRIENDS {
            tokio::time::timeout(PATIENCE, open.recv()).await.expect("patience");
        }
        Self { peers, others, waiting, events, reports, _asks: asks }
    }

    /// How often links have told this.
    fn told(&self, what: &str) -> usize {
        self.reports.lock().unwrap().iter().filter(|report| **report == what).count()
    }

    /// Each friend says something, and each is heard; what the hostile one says is passed over.
    async fn all_friends_are_heard(&mut self) {
        for friend in &self.others[1..] {
            say(&friend[1], Data::from("hi")).await;
        }
        let mut heard = 0;
        while heard < FRIENDS {
            let (event, _) =
                tokio::time::timeout(PATIENCE, self.waiting.recv()).await.expect("patience").unwrap();
            if let LobbyEvent::Message { peer, data, .. } = event
                && peer != self.peers[0]
            {
                assert_eq!(data, Data::from("hi"));
                heard += 1;
            }
        }
        assert_eq!((self.told("gone"), self.told("failed")), (0, 0));
    }

    async fn discarded(&self) -> u64 {
        self.peers[0].stats().await.unwrap().discarded
    }
}

/// A lobby's number, as only the client's machine gives one.
pub(crate) fn room() -> RoomId {
    use twocan_lobby::client::{Client, Command, Config, Event, Outcome};
    let now = Instant::now();
    let mut client = Client::new(Config { app: twocan_lobby::AppName::parse("test").unwrap() }, [7; 32]);
    client.open(now);
    let Some(Command::Dial(socket, Some(_))) = client.poll_command() else { panic!("it dials") };
    client.handle_open(socket, now);
    let welcome = r#"{"type":"welcome","id":0,"seq":0,"session":"secret","peer":"PEER2222","resumed":false,"received":0}"#;
    client.handle_text(socket, welcome, now);
    client.enter(&twocan_lobby::wire::ClientMessage::Create(twocan_lobby::wire::Create::default()), now);
    let joined = r#"{"type":"joined","id":1,"seq":1,"peer":"PEER2222","lobby":{"code":"ED84","public":false,"password":false,"locked":false,"sealed":false,"size":2,"owner":"PEER2222","data":{},"members":[]}}"#;
    client.handle_text(socket, joined, now);
    loop {
        if let Event::Reply(_, Ok(Outcome::Entered { room, .. })) = client.poll_event().expect("an answer") {
            return room;
        }
    }
}

fn peer_id(index: usize) -> PeerId {
    let letter = |digit: usize| char::from(b"23456789"[digit % 8]);
    PeerId::parse(&format!("PEER22{}{}", letter(index / 8), letter(index))).unwrap()
}

/// The other end: what it is told and what it signals travel through the test.
fn other(peer: Peer, opened: mpsc::UnboundedSender<()>) -> (Vec<Channel>, mpsc::UnboundedSender<Signal>) {
    let mut connection = Connection::new(ConnectionConfig { polite: true, ..config() }).unwrap();
    let all = own();
    let inits = all.iter().enumerate().map(|(id, (name, options))| {
        let ChannelOptions { ordered, reliability } = *options;
        ChannelInit { ordered, reliability, ..ChannelInit::new(&**name) }.negotiated(id as u16)
    });
    let lines = inits.map(|init| connection.open_channel(init)).collect();
    let (signals, mut signaled) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                Some(signal) = signaled.recv() => connection.signal(signal),
                event = connection.next() => match event {
                    Some(ConnectionEvent::Signal(signal)) => tell(&peer, &signal),
                    Some(ConnectionEvent::ChannelOpen(channel)) if channel.label() == "reliable" => {
                        let _ = opened.send(());
                    }
                    Some(_) => {}
                    None => return,
                },
            }
        }
    });
    (lines, signals)
}

fn tell(peer: &Peer, signal: &Signal) {
    let (kind, data) = match signal {
        Signal::Description(description) => {
            (SignalKind::Description, serde_json::to_string(description).ok())
        }
        Signal::Candidate(init) => (SignalKind::Candidate, serde_json::to_string(init).ok()),
        Signal::EndOfCandidates => (SignalKind::EndOfCandidates, None),
    };
    peer.tell(ToLink::Signal(kind, data));
}

async fn say(channel: &Channel, data: Data) {
    say_encoded(channel, encode(data)).await;
}

async fn say_encoded(channel: &Channel, message: Encoded) {
    for piece in message.pieces(PIECE_BYTES_MAX) {
        channel.send(Message::binary(piece)).await.unwrap();
    }
}

async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn floods_of_signals_on_the_control_channel_are_cut_before_the_client_that_all_links_share() {
    let mut crowd = Crowd::meet().await;
    let candidate = json!({"candidate":"candidate:1 1 udp 1 192.0.2.1 9 typ host"});
    let flood = json!({"type":"signal","kind":"candidate","data":candidate}).to_string();
    for _ in 0..2_000 {
        say_encoded(&crowd.others[0][0], Encoded::json_text(&flood)).await;
    }
    let odd = ["7", "[]", r#"{"type":"signal","kind":"other"}"#, "{"];
    for text in odd {
        say_encoded(&crowd.others[0][0], Encoded::json_text(text)).await;
    }
    let large = json!({"type":"bye","fill":"x".repeat(70_000)});
    say(&crowd.others[0][0], Data::from(large)).await;
    eventually("all are counted", async || {
        crowd.discarded().await > 2_000 - CANDIDATES_MAX as u64 + odd.len() as u64
    })
    .await;
    assert!(crowd.told("control") <= CANDIDATES_MAX, "{}", crowd.told("control"));
    // Those that come over the server are counted too, with the others.
    let before = crowd.discarded().await;
    (0..1_000).for_each(|_| tell(&crowd.peers[0], &Signal::EndOfCandidates));
    eventually("all are counted", async || crowd.discarded().await >= before + 1_000 - CANDIDATES_MAX as u64)
        .await;
    crowd.all_friends_are_heard().await;
}

#[tokio::test]
async fn halves_of_messages_are_kept_up_to_a_limit() {
    let mut crowd = Crowd::meet().await;
    let most = HALF_MESSAGES_PEER_MAX * MESSAGE_BYTES;
    for channel in [1, 3, 4] {
        // Less than a message each.
        for _ in 0..240 {
            crowd.others[0][channel].send(half(PIECE_BYTES_MAX)).await.unwrap();
            assert!(crowd.events.halves.kept() <= most + PIECE_BYTES_MAX + 1_024);
        }
    }
    eventually("one is dropped", async || crowd.discarded().await == 1).await;
    assert!(crowd.events.halves.kept() > MESSAGE_BYTES, "the others are kept");
    // One that is larger than any may be.
    for _ in 0..20 {
        crowd.others[0][1].send(half(PIECE_BYTES_MAX)).await.unwrap();
    }
    eventually("it is dropped", async || crowd.discarded().await == 2).await;
    crowd.all_friends_are_heard().await;
}

#[tokio::test]
async fn a_message_that_does_not_come_whole_is_dropped_in_the_end() {
    let mut crowd = Crowd::meet_with(MESSAGE_BYTES, Duration::from_millis(50)).await;
    crowd.others[0][1].send(half(1_000)).await.unwrap();
    eventually("it is dropped", async || crowd.discarded().await == 1).await;
    assert_eq!(crowd.events.halves.kept(), 0);
    crowd.all_friends_are_heard().await;
}

#[tokio::test]
async fn where_all_keep_too_much_the_one_with_the_most_loses_it() {
    let mut crowd = Crowd::meet_with(1_000_000, WHOLE_WITHIN).await;
    for _ in 0..15 {
        crowd.others[0][1].send(half(60_000)).await.unwrap();
    }
    eventually("it is kept", async || crowd.events.halves.kept() > 900_000).await;
    for friend in &crowd.others[1..] {
        friend[3].send(half(60_000)).await.unwrap();
        friend[3].send(half(60_000)).await.unwrap();
    }
    eventually("it is dropped", async || crowd.discarded().await == 1).await;
    for friend in &crowd.others[1..] {
        friend[3].send(Message::binary(vec![0; 2])).await.unwrap();
    }
    let mut whole = 0;
    while whole < FRIENDS {
        let (event, _) =
            tokio::time::timeout(PATIENCE, crowd.waiting.recv()).await.expect("patience").unwrap();
        whole += usize::from(matches!(event, LobbyEvent::Message { data: Data::Bytes(_), .. }));
    }
    crowd.all_friends_are_heard().await;
}

#[tokio::test]
async fn giant_json_is_not_read_and_what_is_small_waits_for_room_before_it_is_read() {
    let mut crowd = Crowd::meet().await;
    let hostile = crowd.others[0][1].clone();
    let giants = [
        format!("[{}0]", "0,".repeat(500_000)),
        "[".repeat(500_000),
        format!("[{}{{}}]", "{},".repeat(300_000)),
    ];
    for giant in &giants {
        say_encoded(&hostile, Encoded::json_text(giant)).await;
    }
    // Each as large in memory as all that may wait.
    let small = format!("[{}0]", "{},".repeat(30_000));
    for _ in 0..20 {
        say_encoded(&hostile, Encoded::json_text(&small)).await;
    }
    eventually("the giants are counted", async || crowd.discarded().await == giants.len() as u64).await;
    // Nobody reads: one has all the room there is, and one waits for it, not read yet.
    eventually("one waits", async || crowd.waiting.len() == 1).await;
    assert_eq!(crowd.events.room.available_permits(), 0);
    crowd.all_friends_are_heard().await;
}

#[tokio::test]
async fn channels_that_the_other_side_opens_besides_are_closed() {
    let mut crowd = Crowd::meet().await;
    let shared = crowd.others[0][1].shared.clone();
    let more: Vec<Channel> = (0..20)
        .map(|index| {
            let line = crate::connection::Line::new(ChannelInit::new(format!("more {index}")));
            assert!(shared.commands.push(crate::driver::Command::OpenChannel(line.clone())).is_ok());
            Channel { line, shared: shared.clone() }
        })
        .collect();
    eventually("they are closed", async || more.iter().all(Channel::is_closed)).await;
    assert!(crowd.told("open") <= (FRIENDS + 1) * own().len(), "nobody hears of them");
    crowd.all_friends_are_heard().await;
}
