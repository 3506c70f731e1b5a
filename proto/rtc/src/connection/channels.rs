//! Channels: all of it is the transport's, which is there from the beginning.

use std::time::Instant;

use bytes::Bytes;

use super::Connection;
use crate::event::Event;
use crate::stats::{ChannelStats, Stats};
use crate::transport::{ChannelId, ChannelInit, CloseReason, Misuse, Payload, SendError};

/// What is counted of each channel.
#[derive(Default)]
pub(super) struct Counts {
    messages_sent: u64,
    bytes_sent: u64,
    messages_received: u64,
    bytes_received: u64,
}

impl Connection {
    /// Opens a channel; may be called at any time, and messages sent before it is open wait.
    ///
    /// # Errors
    /// What is asked cannot be.
    pub fn open_channel(&mut self, init: ChannelInit, now: Instant) -> Result<ChannelId, Misuse> {
        self.now = now;
        let opened = self.transport.open(init, now);
        if let Ok(id) = opened {
            self.counts.entry(id).or_default();
        }
        self.take_transport_events(now);
        opened
    }

    /// Sends one message.
    ///
    /// # Errors
    /// It was not taken: [`SendError::Full`] means to wait for [`Event::BufferedAmountLow`](crate::Event::BufferedAmountLow).
    pub fn send(
        &mut self,
        id: ChannelId,
        kind: Payload,
        bytes: Bytes,
        now: Instant,
    ) -> Result<(), SendError> {
        self.now = now;
        let len = bytes.len() as u64;
        let sent = self.transport.send(id, kind, bytes, now);
        if let (Ok(()), Some(channel)) = (sent, self.counts.get_mut(&id)) {
            channel.messages_sent += 1;
            channel.bytes_sent += len;
        }
        self.take_transport_events(now);
        sent
    }

    /// Bytes given to [`send`](Self::send) that wait to go out.
    pub fn buffered_amount(&self, id: ChannelId) -> usize {
        self.transport.buffered_amount(id)
    }

    /// When [`buffered_amount`](Self::buffered_amount) falls to this, an event says so. 0 at first.
    pub fn set_buffered_amount_low_threshold(&mut self, id: ChannelId, bytes: usize) {
        self.transport.set_buffered_amount_low_threshold(id, bytes);
    }

    /// Why the connection ended, known before its events are polled: of [`FailReason::DtlsFailed`](crate::FailReason::DtlsFailed) it
    /// says what did not fit. `None`: it has not, or time ran out.
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.lifecycle.close_reason()
    }

    /// The largest message that the other side takes, bytes. Before its description is known: what we take ourselves.
    pub fn max_message_size(&self) -> usize {
        self.transport.max_message_size()
    }

    /// Closes a channel, after what was sent on it.
    pub fn close_channel(&mut self, id: ChannelId, now: Instant) {
        self.now = now;
        self.transport.close_channel(id, now);
        self.take_transport_events(now);
    }

    /// Counts what an event says of its channel.
    pub(super) fn count_channel(&mut self, event: &Event) {
        match event {
            Event::Message { id, bytes, .. } => {
                if let Some(channel) = self.counts.get_mut(id) {
                    channel.messages_received += 1;
                    channel.bytes_received += bytes.len() as u64;
                }
            }
            Event::ChannelOpen { id, .. } => {
                self.counts.entry(*id).or_default();
            }
            Event::ChannelClosed { id } => {
                self.counts.remove(id);
            }
            _ => {}
        }
    }

    pub(super) fn figures(&self) -> Stats {
        let path = self.path_info();
        let channel = |(id, counts): (&ChannelId, &Counts)| ChannelStats {
            id: *id,
            messages_sent: counts.messages_sent,
            bytes_sent: counts.bytes_sent,
            messages_received: counts.messages_received,
            bytes_received: counts.bytes_received,
            buffered_amount: self.transport.buffered_amount(*id),
        };
        Stats {
            path,
            path_since: path.and(self.lifecycle.selected_at),
            rtt: path.and_then(|path| path.rtt),
            connect_time: self.lifecycle.connect_time,
            is_flushed: self.transport.is_flushed(),
            channels: self.counts.iter().map(channel).collect(),
            ..self.stats.clone()
        }
    }
}
