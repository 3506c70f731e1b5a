//! `web/sdk/src/channel.ts`: what a page has sent and its browser's SCTP has not been given yet, since the link does not carry or its buffer is full.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use bytes::Bytes;
use twocan_rtc::transport::Transport;
use twocan_rtc::{ChannelId, ChannelInit};

use crate::app::{Channels, Line};

const BUFFER_BYTES_MAX: usize = 256 * 1024;

/// What waits, channel by channel.
pub(super) struct Outbox {
    /// The link does not carry: nothing is given on.
    pub is_held: bool,
    control: ChannelId,
    unreliable: ChannelId,
    waiting: BTreeMap<ChannelId, VecDeque<Bytes>>,
}

impl Outbox {
    pub fn new(channels: &Channels) -> Outbox {
        let (control, unreliable) = (channels.control, channels.unreliable);
        Outbox { is_held: false, control, unreliable, waiting: BTreeMap::new() }
    }

    /// Gives on what may go; whether anything did.
    pub fn pump(&mut self, transport: &mut Transport, now: Instant) -> bool {
        let mut has_sent = false;
        for (id, queue) in &mut self.waiting {
            while let (false, Some(bytes)) = (self.is_held, queue.front()) {
                let buffered = transport.buffered_amount(*id);
                let is_full = buffered > 0 && buffered + bytes.len() > BUFFER_BYTES_MAX;
                if is_full || !Line::send(transport, *id, bytes.clone(), now) {
                    break;
                }
                queue.pop_front();
                has_sent = true;
            }
        }
        has_sent
    }

    /// While it is held, what was to be said about the link is not said any more.
    pub fn clear_held_control(&mut self) {
        if self.is_held {
            self.waiting.remove(&self.control);
        }
    }

    fn push(&mut self, id: ChannelId, bytes: Bytes) {
        let is_unreliable = id == self.unreliable;
        let queue = self.waiting.entry(id).or_default();
        queue.push_back(bytes);
        let mut queued: usize = queue.iter().map(Bytes::len).sum();
        while is_unreliable && queued > BUFFER_BYTES_MAX && queue.len() > 1 {
            queued -= queue.pop_front().map_or(0, |oldest| oldest.len());
        }
    }
}

/// The browser's channels, behind what waits for them.
pub(super) struct Sending<'a> {
    pub transport: &'a mut Transport,
    pub outbox: &'a mut Outbox,
}

impl Line for Sending<'_> {
    fn open(&mut self, init: ChannelInit, now: Instant) -> Option<ChannelId> {
        Line::open(self.transport, init, now)
    }

    fn send(&mut self, id: ChannelId, bytes: Bytes, now: Instant) -> bool {
        self.outbox.push(id, bytes);
        self.outbox.pump(self.transport, now);
        true
    }
}
