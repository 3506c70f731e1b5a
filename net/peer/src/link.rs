//! The task of one link: between its connection, which carries, and the client, which knows the lobby.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use twocan_lobby::PeerId;
use twocan_lobby::client::{BYE, RoomId};
use twocan_lobby::wire::Kind as SignalKind;

use crate::client::{Input, Report};
use crate::connection::{
    Channel, ChannelInit, CloseReason, Connection, ConnectionConfig, ConnectionEvent, FailReason, IceServer,
    Message, Payload, Reliability,
};
use crate::error::Error;
use crate::event::LobbyEvent;
use crate::framing::{CONTROL_BYTES_MAX, Encoded, PIECE_BYTES_MIN, Reassembler, Whole};
use crate::halves::{Halves, Share};
use crate::peer::{Outlet, Peer, PeerStats, piece_max};
use crate::signals::Gate;

/// Bytes of received messages that may wait for the program in one lobby, in memory once they are read; or one message. Past that the
/// other sides are told to wait.
const EVENT_BYTES_MAX: usize = 4 << 20;
/// What an event counts beside its bytes.
const EVENT_BYTES: usize = 128;
/// Events other than messages that may wait for the program; what comes then is lost, and [`Lobby`](crate::Lobby)'s own view
/// still tells how things stand.
const EVENTS_MAX: usize = 4_096;
/// How long the goodbye waits for what was sent before it to arrive.
const FLUSH_WITHIN: Duration = Duration::from_secs(1);
/// From the goodbye to the end of the connection, at most.
const BYE_WITHIN: Duration = Duration::from_millis(100);
/// Between two looks whether everything has arrived.
const FLUSH_EVERY: Duration = Duration::from_millis(5);
/// The channel by which two peers speak of the link itself.
const CONTROL: &str = "twocan";
/// Channels that every link has, by id.
pub(crate) const BUILT_IN: [&str; 3] = [CONTROL, "reliable", "unreliable"];

/// How an application's own channel behaves. Both sides must declare the same names in the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelOptions {
    /// Messages arrive in the order in which they were sent.
    pub ordered: bool,
    /// What a lost message means.
    pub reliability: Reliability,
}

impl Default for ChannelOptions {
    fn default() -> Self {
        Self { ordered: true, reliability: Reliability::Reliable }
    }
}

impl ChannelOptions {
    /// Messages that are late or lost are given up: only the newest counts.
    pub const UNRELIABLE: Self = Self { ordered: false, reliability: Reliability::MaxRetransmits(0) };

    fn joins(self) -> bool {
        self.ordered && self.reliability == Reliability::Reliable
    }
}

/// What the task is told.
pub(crate) enum ToLink {
    Signal(SignalKind, Option<String>),
    Servers(Vec<IceServer>),
    Signaling(bool),
    Restart,
    Control(String),
    /// The program knows of the peer: messages may follow.
    Go,
    Stats(oneshot::Sender<PeerStats>),
    Close {
        bye: bool,
    },
}

/// An event that waits for the program, and the room that it takes.
pub(crate) type Waiting = (LobbyEvent, OwnedSemaphorePermit);

/// The way to the program, with a limit on the bytes of messages.
#[derive(Clone)]
pub(crate) struct Events {
    queue: mpsc::UnboundedSender<Waiting>,
    room: Arc<Semaphore>,
    /// For what is not a message.
    places: Arc<Semaphore>,
    /// For messages that are not whole.
    halves: Arc<Halves>,
}

impl Events {
    /// `message_max`: content bytes of one message.
    pub fn new(message_max: usize) -> (Self, mpsc::UnboundedReceiver<Waiting>) {
        let (queue, waiting) = mpsc::unbounded_channel();
        let room = Arc::new(Semaphore::new(EVENT_BYTES_MAX));
        let places = Arc::new(Semaphore::new(EVENTS_MAX));
        (Self { queue, room, places, halves: Halves::new(message_max) }, waiting)
    }

    /// What is not a message.
    pub fn push(&self, event: LobbyEvent) {
        match self.places.clone().try_acquire_owned() {
            // A program that let its lobby go hears nothing of it.
            Ok(place) => drop(self.queue.send((event, place))),
            Err(_) => tracing::debug!("an event is lost: nobody reads"),
        }
    }
}

/// What a link is made of.
pub(crate) struct Start {
    pub room: RoomId,
    pub peer: PeerId,
    pub me: serde_json::Value,
    pub offers: bool,
    pub config: ConnectionConfig,
    pub channels: Arc<[(Arc<str>, ChannelOptions)]>,
    /// Content bytes of one message: the option `max_message`.
    pub message_max: usize,
    /// Within which a message must be whole.
    pub whole_within: Duration,
    pub events: Events,
    pub inputs: mpsc::Sender<Input>,
    pub asks: mpsc::WeakUnboundedSender<crate::client::Ask>,
}

/// All channels of a link, in the order of their ids.
pub(crate) fn channels(own: &[(String, ChannelOptions)]) -> Arc<[(Arc<str>, ChannelOptions)]> {
    let built_in = BUILT_IN.into_iter().zip([
        ChannelOptions::default(),
        ChannelOptions::default(),
        ChannelOptions::UNRELIABLE,
    ]);
    let mut own = own.to_vec();
    // By UTF-16 code unit, as a page sorts.
    own.sort_by(|(one, _), (two, _)| one.encode_utf16().cmp(two.encode_utf16()));
    built_in
        .map(|(name, options)| (Arc::from(name), options))
        .chain(own.into_iter().map(|(name, options)| (Arc::from(name), options)))
        .collect()
}

/// Makes the connection and its channels, and the task that looks after them.
///
/// # Errors
/// The system does not say which addresses it has.
pub(crate) fn start(start: Start) -> Result<Peer, Error> {
    let connection = Connection::new(start.config).map_err(|_| Error::LinkClosed)?;
    let (link, told) = mpsc::unbounded_channel();
    let share = start.events.halves.share();
    let underway = Arc::new(Semaphore::new(start.message_max));
    let mut lines = Vec::new();
    let mut outlets = Vec::new();
    for (id, (name, options)) in start.channels.iter().enumerate() {
        let ChannelOptions { ordered, reliability } = *options;
        let init = ChannelInit { ordered, reliability, ..ChannelInit::new(&**name) };
        let channel = connection.open_channel(init.negotiated(id as u16));
        let max = if id == 0 { CONTROL_BYTES_MAX } else { start.message_max };
        lines.push(Line {
            name: name.clone(),
            channel: channel.clone(),
            reassembler: Reassembler::new(options.joins(), max, start.whole_within),
        });
        if id > 0 {
            outlets.push(Outlet::new(name.clone(), channel, options.joins(), max, underway.clone()));
        }
    }
    if start.offers {
        connection.negotiate();
    }
    let peer = Peer::new((start.room, start.peer), start.me, outlets, link, start.asks);
    let link = Link {
        room: start.room,
        peer: peer.clone(),
        connection,
        lines,
        events: start.events,
        inputs: start.inputs,
        share,
        signals: Gate::default(),
        control: Gate::default(),
        discarded: 0,
        may_deliver: false,
        held: None,
    };
    tokio::spawn(link.run(told));
    Ok(peer)
}

struct Line {
    name: Arc<str>,
    channel: Channel,
    reassembler: Reassembler,
}

struct Link {
    room: RoomId,
    peer: Peer,
    connection: Connection,
    lines: Vec<Line>,
    events: Events,
    inputs: mpsc::Sender<Input>,
    /// What is kept of messages that are not whole.
    share: Share,
    /// Of all signals, by whichever way they come.
    signals: Gate,
    /// Of those that come over the link itself: before the client, which all links share, hears of them.
    control: Gate,
    /// Signals that were passed over.
    discarded: u64,
    /// The program knows of the peer.
    may_deliver: bool,
    /// A message that waits for room, on the channel of this name, before it is read; no other is taken meanwhile.
    held: Option<(Arc<str>, Whole)>,
}

impl Link {
    async fn run(mut self, mut told: mpsc::UnboundedReceiver<ToLink>) {
        loop {
            let room = self.events.room.clone();
            let need = self.held.as_ref().filter(|_| self.may_deliver).map(|(_, whole)| need(whole));
            let due = self.lines.iter().filter_map(|line| line.reassembler.poll_timeout()).min();
            tokio::select! {
                biased;
                what = told.recv() => match what {
                    Some(ToLink::Close { bye }) => return self.close(bye).await,
                    Some(what) => self.obey(what).await,
                    None => return self.close(true).await,
                },
                permit = room.acquire_many_owned(need.unwrap_or(0)), if need.is_some() => {
                    if let (Some((channel, whole)), Ok(permit)) = (self.held.take(), permit) {
                        self.deliver(channel, whole, permit);
                    }
                }
                () = self.share.overdrawn() => {
                    self.lines.iter_mut().for_each(|line| line.reassembler.spoil(&self.share));
                }
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now).into()), if due.is_some() => {
                    let now = Instant::now();
                    self.lines.iter_mut().for_each(|line| line.reassembler.handle_timeout(&self.share, now));
                }
                // Mending does not wait for a program that does not read.
                event = next(&mut self.connection, self.held.is_some()) => match event {
                    Some(event) => self.happened(event).await,
                    None => return self.report(Report::Gone).await,
                },
            }
        }
    }

    async fn report(&self, report: Report) {
        // Where the client is gone, so is this task soon.
        let _ = self.inputs.send(Input::Link(self.room, self.peer.clone(), report)).await;
    }

    async fn obey(&mut self, what: ToLink) {
        match what {
            ToLink::Signal(kind, data) => match self.signals.admit(kind, data.as_deref(), Instant::now()) {
                Some(signal) => self.connection.signal(signal),
                None => self.discarded += 1,
            },
            ToLink::Servers(servers) => self.connection.set_servers(servers),
            ToLink::Signaling(is_up) => self.connection.set_signaling(is_up),
            ToLink::Restart => self.connection.restart_ice(),
            ToLink::Control(text) => self.control(&text),
            ToLink::Go => self.may_deliver = true,
            ToLink::Stats(reply) => {
                // Whoever asked may have gone.
                let _ = reply.send(self.stats().await);
            }
            ToLink::Close { .. } => {}
        }
    }

    /// Says something on the control channel. What finds no room there is lost with the link it speaks of.
    fn control(&self, text: &str) {
        let Some(line) = self.lines.first() else { return };
        let max = piece_max(self.connection.max_message_size());
        for piece in Encoded::json_text(text).pieces(max) {
            let _ = line.channel.try_send(Message::binary(piece));
        }
    }

    async fn stats(&self) -> PeerStats {
        let discarded =
            self.lines.iter().map(|line| line.reassembler.discarded).sum::<u64>() + self.discarded;
        let Ok(stats) = self.connection.stats().await else {
            return PeerStats { discarded, ..PeerStats::default() };
        };
        let path = stats.path;
        PeerStats {
            path: path.map(|path| path.path),
            path_age: stats.path_since.map(|since| since.elapsed()),
            local: path.map(|path| path.local),
            remote: path.map(|path| path.remote),
            protocol: path.map(|path| path.protocol),
            relay_protocol: path.and_then(|path| path.relay_protocol),
            rtt: stats.rtt.or(path.and_then(|path| path.rtt)),
            bytes_sent: stats.channels.iter().map(|channel| channel.bytes_sent).sum(),
            bytes_received: stats.channels.iter().map(|channel| channel.bytes_received).sum(),
            discarded,
        }
    }

    async fn happened(&mut self, event: ConnectionEvent) {
        match event {
            ConnectionEvent::Signal(signal) => self.report(Report::Signal(signal)).await,
            ConnectionEvent::SignalRefused(why) => tracing::debug!(%why, "a signal was refused"),
            ConnectionEvent::StateChanged(state) => self.report(Report::State(state)).await,
            ConnectionEvent::Path(path) => self.report(Report::Path(path)).await,
            // Both sides declare their channels: one that is opened besides is nobody's.
            ConnectionEvent::ChannelOpen(channel)
                if self.lines.iter().all(|line| line.channel != channel) =>
            {
                channel.close();
            }
            ConnectionEvent::ChannelOpen(_) => {
                if piece_max(self.connection.max_message_size()) < PIECE_BYTES_MIN {
                    self.report(Report::Failed(FailReason::Incompatible)).await;
                    return self.report(Report::Unfit).await;
                }
                self.report(Report::Open).await;
            }
            ConnectionEvent::Message { channel, message } => self.received(&channel, message).await,
            ConnectionEvent::ChannelClosed { channel, .. } => {
                // Only the other side, or its end, closes a channel of a link that is up.
                if self.lines.iter().any(|line| line.channel == channel) {
                    self.report(Report::Gone).await;
                }
            }
            ConnectionEvent::CandidateError { url, code, text } => {
                tracing::debug!(url, code, text, "a STUN or TURN server did not do what was asked");
            }
            ConnectionEvent::Failed { reason, verdict } => {
                if let Some(verdict) = verdict {
                    tracing::debug!(%verdict, "a link failed");
                }
                self.report(Report::Failed(reason)).await;
            }
            ConnectionEvent::Closed { why: CloseReason::Local } => {}
            ConnectionEvent::Closed { .. } => self.report(Report::Gone).await,
        }
    }

    async fn received(&mut self, channel: &Channel, message: Message) {
        let Some(at) = self.lines.iter().position(|line| line.channel == *channel) else { return };
        let line = &mut self.lines[at];
        // Text frames are not ours; they count as unreadable.
        let piece = if message.kind == Payload::Binary { message.bytes } else { bytes::Bytes::new() };
        let Some(whole) = line.reassembler.push(piece, &self.share, Instant::now()) else { return };
        if at == 0 {
            match whole.json_text() {
                Some(text) if self.control.admits_control(&text, Instant::now()) => {
                    self.report(Report::Control(text)).await;
                }
                _ => self.discarded += 1,
            }
            return;
        }
        let channel = line.name.clone();
        match self.events.room.clone().try_acquire_many_owned(need(&whole)) {
            Ok(permit) if self.may_deliver => self.deliver(channel, whole, permit),
            _ => self.held = Some((channel, whole)),
        }
    }

    /// Reads a message for which there is room, and hands it to the program.
    fn deliver(&mut self, channel: Arc<str>, whole: Whole, permit: OwnedSemaphorePermit) {
        match whole.read() {
            Some(data) => {
                let event = LobbyEvent::Message { peer: self.peer.clone(), channel, data };
                let _ = self.events.queue.send((event, permit));
            }
            None => self.discarded += 1,
        }
    }

    async fn close(mut self, bye: bool) {
        if bye {
            // The other side closes when it hears it: what was sent before has to be there.
            let _ = tokio::time::timeout(FLUSH_WITHIN, self.flushed()).await;
            self.control(BYE);
            let _ = tokio::time::timeout(BYE_WITHIN, self.flushed()).await;
        }
        self.connection.close().await;
    }

    /// Waits until the other side has all that was sent.
    async fn flushed(&self) {
        while let Ok(stats) = self.connection.stats().await
            && !(stats.is_flushed && self.lines.iter().all(|line| line.channel.buffered_amount() == 0))
        {
            tokio::time::sleep(FLUSH_EVERY).await;
        }
    }
}

/// The next event; past messages, if none of those can be taken.
async fn next(connection: &mut Connection, only_news: bool) -> Option<ConnectionEvent> {
    if only_news { Some(connection.next_news().await) } else { connection.next().await }
}

/// The room that a message takes: all there is, if it is larger.
fn need(whole: &Whole) -> u32 {
    (whole.weight() + EVENT_BYTES).min(EVENT_BYTES_MAX) as u32
}

#[cfg(test)]
mod hostile;
#[cfg(test)]
pub(crate) use hostile::room;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::MESSAGE_BYTES;

    #[test]
    fn channels_have_the_ids_that_a_page_gives_them() {
        let own = ["voice", "Zoo", "ä", "\u{1F600}", "\u{FFFD}"];
        let own: Vec<_> = own.iter().map(|name| ((*name).to_owned(), ChannelOptions::default())).collect();
        let all = channels(&own);
        let names: Vec<&str> = all.iter().map(|(name, _)| &**name).collect();
        // JavaScript: ['voice','Zoo','ä','😀','\uFFFD'].sort()
        assert_eq!(names, ["twocan", "reliable", "unreliable", "Zoo", "voice", "ä", "\u{1F600}", "\u{FFFD}"]);
    }

    #[test]
    fn events_that_nobody_reads_are_limited() {
        let (events, mut waiting) = Events::new(MESSAGE_BYTES);
        for _ in 0..EVENTS_MAX + 5 {
            events.push(LobbyEvent::Update);
        }
        assert_eq!(waiting.len(), EVENTS_MAX);
        assert!(waiting.try_recv().is_ok());
        events.push(LobbyEvent::Complete);
        assert_eq!(waiting.len(), EVENTS_MAX, "what was read makes room");
    }
}
