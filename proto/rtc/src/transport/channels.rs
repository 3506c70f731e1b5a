//! The table of channels: which stream is whose, how they open (RFC 8832) and close (RFC 8831 6.7), and how messages travel on them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use bytes::Bytes;

use super::dcep::{self, ppid};
use super::limits::{CHANNELS_MAX, LABEL_LEN_MAX, MESSAGE_LEN_MAX, SEND_BUFFER_MAX};
use super::sctp::{Association, Delivery, Message};
use super::{ChannelId, ChannelInit, Discard, DtlsRole, Event, Misuse, Payload, Reliability, SendError};

#[derive(Default)]
pub(super) struct Channels {
    table: BTreeMap<ChannelId, Channel>,
    by_stream: BTreeMap<u16, ChannelId>,
    next_id: u32,
    role: Option<DtlsRole>,
    /// Those whose buffered amount is above its threshold.
    watched: BTreeSet<ChannelId>,
    /// Those that were refused for what others have buffered: they hear of it when half of the room is free.
    refused: BTreeSet<ChannelId>,
    /// Bytes of messages that wait for a stream.
    waiting: usize,
    /// Bytes of messages of which the last piece has not come.
    partial: usize,
}

struct Channel {
    init: ChannelInit,
    /// Known once roles are.
    stream: Option<u16>,
    state: State,
    threshold: usize,
    /// Messages sent before the stream was known.
    waiting: Vec<(Payload, Bytes)>,
    /// The beginning of a message sent in the old way, in pieces.
    partial: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Opening,
    Open,
    /// Which directions are closed.
    Closing {
        ours: bool,
        theirs: bool,
    },
}

/// What the table needs of its surroundings.
pub(super) struct Context<'a> {
    pub(super) association: &'a mut Association,
    pub(super) events: &'a mut VecDeque<Event>,
    pub(super) now: Instant,
}

impl Channels {
    pub(super) fn open(&mut self, init: ChannelInit, context: &mut Context<'_>) -> Result<ChannelId, Misuse> {
        if self.table.len() >= CHANNELS_MAX {
            return Err(Misuse::TooManyChannels);
        }
        if init.label.len() > LABEL_LEN_MAX || init.protocol.len() > LABEL_LEN_MAX {
            return Err(Misuse::LabelTooLong);
        }
        let stream = init.negotiated;
        if stream.is_some_and(|stream| stream == u16::MAX || self.is_taken(stream, context.association)) {
            return Err(Misuse::StreamTaken);
        }
        let id = self.insert(init, stream);
        if stream.is_none() {
            self.announce(id, context);
        } else if context.association.is_established() {
            self.opened(id, context.events);
        }
        Ok(id)
    }

    fn insert(&mut self, init: ChannelInit, stream: Option<u16>) -> ChannelId {
        let id = ChannelId(self.next_id);
        self.next_id += 1;
        if let Some(stream) = stream {
            self.by_stream.insert(stream, id);
        }
        let (waiting, partial) = (Vec::new(), Vec::new());
        self.table
            .insert(id, Channel { init, stream, state: State::Opening, threshold: 0, waiting, partial });
        id
    }

    fn is_taken(&self, stream: u16, association: &Association) -> bool {
        self.by_stream.contains_key(&stream) || association.is_resetting(stream)
    }

    /// Roles are known: channels get their streams.
    pub(super) fn start(&mut self, role: DtlsRole, context: &mut Context<'_>) {
        self.role = Some(role);
        let ids: Vec<ChannelId> = self.table.keys().copied().collect();
        ids.into_iter().for_each(|id| self.announce(id, context));
    }

    /// Gives a channel its stream, and says so to the peer; what waited follows right behind.
    fn announce(&mut self, id: ChannelId, context: &mut Context<'_>) {
        let Some(first) = self.role.map(first_stream) else { return };
        let mut free = (first..u16::MAX).step_by(2);
        let free = free.find(|&stream| !self.is_taken(stream, context.association));
        let Some(channel) = self.table.get_mut(&id) else { return };
        // There are fewer channels than streams.
        if let (None, Some(stream)) = (channel.stream, free) {
            channel.stream = Some(stream);
            self.by_stream.insert(stream, id);
            let open = dcep::Message::Open(channel.init.clone()).write();
            let message = Message { stream, ppid: ppid::DCEP, bytes: open.into() };
            context.association.send(message, Delivery::default());
        }
        let waiting = std::mem::take(&mut channel.waiting);
        for (kind, bytes) in waiting {
            self.waiting -= bytes.len();
            channel.send(kind, bytes, context);
        }
    }

    fn opened(&mut self, id: ChannelId, events: &mut VecDeque<Event>) {
        if let Some(channel) = self.table.get_mut(&id).filter(|channel| channel.state == State::Opening) {
            channel.state = State::Open;
            events.push_back(Event::ChannelOpen { id, init: channel.init.clone() });
        }
    }

    /// The association is up: negotiated channels are open.
    pub(super) fn connected(&mut self, events: &mut VecDeque<Event>) {
        let agreed = self.table.iter().filter(|(_, channel)| channel.init.negotiated.is_some());
        let ids: Vec<ChannelId> = agreed.map(|(&id, _)| id).collect();
        ids.into_iter().for_each(|id| self.opened(id, events));
    }

    pub(super) fn send(
        &mut self,
        id: ChannelId,
        kind: Payload,
        bytes: Bytes,
        max: usize,
        context: &mut Context<'_>,
    ) -> Result<(), SendError> {
        let channel = self.table.get_mut(&id).ok_or(SendError::NotOpen)?;
        if matches!(channel.state, State::Closing { .. }) {
            return Err(SendError::NotOpen);
        }
        if bytes.len() > max {
            return Err(SendError::TooLarge { max });
        }
        if channel.stream.is_some() {
            if !context.association.has_room(bytes.len()) {
                return Err(self.refuse(id));
            }
            channel.send(kind, bytes, context);
        } else {
            if self.waiting + bytes.len() > SEND_BUFFER_MAX {
                return Err(self.refuse(id));
            }
            self.waiting += bytes.len();
            channel.waiting.push((kind, bytes));
        }
        self.watch(id, context.association);
        Ok(())
    }

    pub(super) fn buffered(&self, id: ChannelId, association: &Association) -> usize {
        let Some(channel) = self.table.get(&id) else { return 0 };
        let waiting: usize = channel.waiting.iter().map(|(_, bytes)| bytes.len()).sum();
        waiting + channel.stream.map_or(0, |stream| association.buffered(stream))
    }

    pub(super) fn set_threshold(&mut self, id: ChannelId, bytes: usize, association: &Association) {
        if let Some(channel) = self.table.get_mut(&id) {
            channel.threshold = bytes;
            self.watch(id, association);
        }
    }

    /// There is no room: the channel hears of it when there is, by its own buffer's running low or by everyone's.
    fn refuse(&mut self, id: ChannelId) -> SendError {
        if !self.watched.contains(&id) {
            self.refused.insert(id);
        }
        SendError::Full
    }

    /// Bytes of messages of which the last piece has not come.
    pub(super) fn partial_bytes(&self) -> usize {
        self.partial
    }

    /// Nothing waits for a stream.
    pub(super) fn is_flushed(&self) -> bool {
        self.waiting == 0
    }

    fn watch(&mut self, id: ChannelId, association: &Association) {
        let threshold = self.table.get(&id).map_or(0, |channel| channel.threshold);
        if self.buffered(id, association) > threshold {
            self.watched.insert(id);
        }
    }

    /// After something was sent: whose buffer ran low?
    pub(super) fn tell_low(&mut self, association: &Association, events: &mut VecDeque<Event>) {
        let is_low = |id: &ChannelId| {
            self.table.get(id).is_none_or(|channel| self.buffered(*id, association) <= channel.threshold)
        };
        let mut low: BTreeSet<ChannelId> = self.watched.iter().copied().filter(is_low).collect();
        self.watched.retain(|id| !low.contains(id));
        if !self.refused.is_empty() && association.has_room(SEND_BUFFER_MAX / 2 + self.waiting) {
            low.append(&mut self.refused);
        }
        for id in low {
            if self.table.contains_key(&id) {
                events.push_back(Event::BufferedAmountLow { id });
            }
        }
    }

    /// Closes our direction; the channel is gone when the peer has closed its own.
    pub(super) fn close(&mut self, id: ChannelId, context: &mut Context<'_>) {
        let Some(channel) = self.table.get_mut(&id) else { return };
        if matches!(channel.state, State::Closing { .. }) {
            return;
        }
        channel.state = State::Closing { ours: false, theirs: false };
        match channel.stream.filter(|_| context.association.can_reset()) {
            Some(stream) => context.association.reset_stream(stream),
            None => self.remove(id, context.events),
        }
    }

    fn remove(&mut self, id: ChannelId, events: &mut VecDeque<Event>) {
        let Some(channel) = self.table.remove(&id) else { return };
        self.waiting -= channel.waiting.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
        self.partial -= channel.partial.len();
        if let Some(stream) = channel.stream {
            self.by_stream.remove(&stream);
        }
        events.push_back(Event::ChannelClosed { id });
    }

    /// A direction of a stream is closed: the peer's, or `ours`.
    pub(super) fn stream_reset(&mut self, stream: u16, is_ours: bool, context: &mut Context<'_>) {
        let Some(&id) = self.by_stream.get(&stream) else { return };
        let Some(channel) = self.table.get_mut(&id) else { return };
        let (mut ours, mut theirs) = match channel.state {
            State::Closing { ours, theirs } => (ours, theirs),
            // The peer closes it, and so do we.
            State::Opening | State::Open => {
                context.association.reset_stream(stream);
                (false, false)
            }
        };
        ours |= is_ours;
        theirs |= !is_ours;
        channel.state = State::Closing { ours, theirs };
        if ours && theirs {
            self.remove(id, context.events);
        }
    }

    pub(super) fn handle_message(
        &mut self,
        message: Message,
        context: &mut Context<'_>,
    ) -> Result<(), Discard> {
        let Message { stream, ppid, bytes } = message;
        if ppid == ppid::DCEP {
            return self.handle_dcep(stream, &bytes, context);
        }
        let id = *self.by_stream.get(&stream).ok_or(Discard::NoChannel)?;
        // Data is as good as an ACK, which travels in order on the same stream, but may be lost with an old peer.
        self.opened(id, context.events);
        let channel = self.table.get_mut(&id).ok_or(Discard::NoChannel)?;
        if channel.state != State::Open {
            return Ok(());
        }
        if channel.partial.len() + bytes.len() > MESSAGE_LEN_MAX {
            self.partial -= std::mem::take(&mut channel.partial).len();
            return Err(Discard::NotAMessage);
        }
        let (kind, bytes) = match ppid {
            ppid::TEXT_PARTIAL | ppid::BINARY_PARTIAL => {
                self.partial += bytes.len();
                channel.partial.extend_from_slice(&bytes);
                return Ok(());
            }
            ppid::TEXT => (Payload::Text, bytes),
            ppid::BINARY => (Payload::Binary, bytes),
            ppid::TEXT_EMPTY => (Payload::Text, Bytes::new()),
            ppid::BINARY_EMPTY => (Payload::Binary, Bytes::new()),
            _ => return Err(Discard::NotAMessage),
        };
        self.partial -= channel.partial.len();
        let bytes = channel.whole(bytes);
        if kind == Payload::Text && std::str::from_utf8(&bytes).is_err() {
            return Err(Discard::NotAMessage);
        }
        context.events.push_back(Event::Message { id, kind, bytes });
        Ok(())
    }

    fn handle_dcep(&mut self, stream: u16, bytes: &[u8], context: &mut Context<'_>) -> Result<(), Discard> {
        match dcep::Message::parse(bytes) {
            None => Err(Discard::NotAMessage),
            Some(dcep::Message::Ack) => {
                let id = *self.by_stream.get(&stream).ok_or(Discard::NoChannel)?;
                self.opened(id, context.events);
                Ok(())
            }
            Some(dcep::Message::Open(init)) => self.opened_by_peer(stream, init, context),
        }
    }

    /// What is refused is closed at once (RFC 8832 6). A stream of the wrong parity is taken all the same if it is free, as browsers do: some
    /// stacks choose theirs before they know their role in DTLS (werift does).
    fn opened_by_peer(
        &mut self,
        stream: u16,
        init: ChannelInit,
        context: &mut Context<'_>,
    ) -> Result<(), Discard> {
        if self.by_stream.contains_key(&stream) {
            return Err(Discard::StreamTaken);
        }
        let too_long = init.label.len() > LABEL_LEN_MAX || init.protocol.len() > LABEL_LEN_MAX;
        let is_free = stream != u16::MAX && !context.association.is_resetting(stream);
        if !is_free || too_long || self.table.len() >= CHANNELS_MAX {
            context.association.reset_stream(stream);
            return Err(if is_free { Discard::ChannelRefused } else { Discard::StreamTaken });
        }
        let ack = Message { stream, ppid: ppid::DCEP, bytes: dcep::Message::Ack.write().into() };
        context.association.send(ack, Delivery::default());
        let id = self.insert(init, Some(stream));
        self.opened(id, context.events);
        Ok(())
    }
}

impl Channel {
    /// Until the peer has acknowledged the channel, all messages travel in order behind its announcement (RFC 8832 6).
    fn delivery(&self, now: Instant) -> Delivery {
        let unordered = !self.init.ordered && (self.state == State::Open || self.init.negotiated.is_some());
        match self.init.reliability {
            Reliability::Reliable => Delivery { unordered, ..Delivery::default() },
            Reliability::MaxRetransmits(times) => {
                Delivery { unordered, max_retransmits: Some(times), expires: None }
            }
            Reliability::MaxPacketLifeTime(time) => {
                Delivery { unordered, max_retransmits: None, expires: Some(now + time) }
            }
        }
    }

    /// Queues a message, if the stream is known.
    fn send(&self, kind: Payload, bytes: Bytes, context: &mut Context<'_>) {
        let Some(stream) = self.stream else { return };
        let ppid = match (kind, bytes.is_empty()) {
            (Payload::Text, false) => ppid::TEXT,
            (Payload::Text, true) => ppid::TEXT_EMPTY,
            (Payload::Binary, false) => ppid::BINARY,
            (Payload::Binary, true) => ppid::BINARY_EMPTY,
        };
        let bytes = if bytes.is_empty() { Bytes::from_static(&[0]) } else { bytes };
        context.association.send(Message { stream, ppid, bytes }, self.delivery(context.now));
    }

    /// A message's last piece, with those before it.
    fn whole(&mut self, last: Bytes) -> Bytes {
        if self.partial.is_empty() {
            return last;
        }
        let mut bytes = std::mem::take(&mut self.partial);
        bytes.extend_from_slice(&last);
        bytes.into()
    }
}

/// RFC 8832 6: the DTLS client opens even streams, the server odd ones.
fn first_stream(role: DtlsRole) -> u16 {
    match role {
        DtlsRole::Client => 0,
        DtlsRole::Server => 1,
    }
}
