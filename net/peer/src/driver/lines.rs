//! Channels as the task sees them: the machine's number on one side, the program's handles on the other.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use twocan_rtc::Connection;
use twocan_rtc::transport::{ChannelId, SendError};

use super::shared::{Shared, message_weight, weight};
use crate::connection::{Channel, ConnectionEvent, Line, Message};

/// Every channel that is not gone.
#[derive(Default)]
pub struct Lines(BTreeMap<ChannelId, Held>);

struct Held {
    line: Arc<Line>,
    /// Bytes given to the machine that it has not sent yet, as far as we have told the line.
    in_machine: usize,
    /// What the machine had no room for.
    waiting: VecDeque<Message>,
    /// To be closed once nothing waits.
    is_closing: bool,
}

impl Lines {
    /// The program's channel is the machine's `id` from now on.
    pub fn add(&mut self, id: ChannelId, line: Arc<Line>) {
        let _ = line.id.set(id);
        self.0.insert(id, Held { line, in_machine: 0, waiting: VecDeque::new(), is_closing: false });
    }

    pub fn get(&self, id: ChannelId) -> Option<&Arc<Line>> {
        self.0.get(&id).map(|held| &held.line)
    }

    /// The channel is gone.
    pub fn remove(&mut self, id: ChannelId) -> Option<Arc<Line>> {
        let held = self.0.remove(&id)?;
        held.line.close();
        Some(held.line)
    }

    /// Nothing is sent or received on any of them any more.
    pub fn close_all(&mut self) {
        std::mem::take(&mut self.0).into_values().for_each(|held| held.line.close());
    }

    /// Hands a message to the machine, behind what waits already.
    pub fn send(&mut self, machine: &mut Connection, line: &Arc<Line>, message: Message, now: Instant) {
        let id = line.id.get();
        match id.and_then(|id| Some((*id, self.0.get_mut(id)?))) {
            Some((_, held)) if !held.waiting.is_empty() => held.waiting.push_back(message),
            Some((id, held)) => held.hand_over(machine, id, message, now),
            None => line.release(message.bytes.len()),
        }
    }

    /// Closes a channel behind what waits.
    pub fn close(&mut self, machine: &mut Connection, line: &Arc<Line>, now: Instant) {
        let Some((id, held)) = line.id.get().and_then(|id| Some((*id, self.0.get_mut(id)?))) else { return };
        match held.waiting.is_empty() {
            true => machine.close_channel(id, now),
            false => held.is_closing = true,
        }
    }

    /// After the machine has sent: tells each line what room there is, and hands over what waited. `true`: something was.
    pub fn refill(&mut self, machine: &mut Connection, now: Instant) -> bool {
        let mut handed_over = false;
        for (&id, held) in &mut self.0 {
            if held.in_machine > 0 {
                let sent = held.in_machine.saturating_sub(machine.buffered_amount(id));
                held.in_machine -= sent;
                held.line.release(sent);
            }
            for _ in 0..held.waiting.len() {
                let Some(message) = held.waiting.pop_front() else { break };
                let waiting = held.waiting.len();
                held.hand_over(machine, id, message, now);
                if held.waiting.len() > waiting {
                    held.waiting.rotate_right(1);
                    break;
                }
                handed_over = true;
            }
            if held.is_closing && held.waiting.is_empty() {
                held.is_closing = false;
                machine.close_channel(id, now);
                handed_over = true;
            }
        }
        handed_over
    }

    /// A message for a channel that is read by itself.
    pub fn deliver(&self, id: ChannelId, message: Message, shared: &Shared) {
        let Some(line) = self.get(id) else { return };
        let bytes = message_weight(&message);
        // Counted first: the reader may be quicker than we.
        shared.unread.charge(bytes);
        if Arc::strong_count(line) == 1 || line.received.push(message).is_err() {
            shared.unread.release(bytes);
        }
    }

    /// Drops what waits for channels that have no handle any more.
    pub fn sweep(&self, shared: &Shared) {
        for held in self.0.values().filter(|held| Arc::strong_count(&held.line) == 1) {
            let bytes = held.line.received.clear().iter().map(message_weight).sum();
            shared.unread.release(bytes);
        }
    }
}

impl Held {
    fn hand_over(&mut self, machine: &mut Connection, id: ChannelId, message: Message, now: Instant) {
        let length = message.bytes.len();
        match machine.send(id, message.kind, message.bytes.clone(), now) {
            Ok(()) => self.in_machine += length,
            Err(SendError::Full) => self.waiting.push_back(message),
            Err(SendError::NotOpen) => self.line.release(length),
            // It was accepted before the other side said how much it takes. A hole in a reliable channel would be worse.
            Err(SendError::TooLarge { .. }) => {
                self.line.release(length);
                machine.close_channel(id, now);
            }
        }
    }
}

/// An event, and what it counts for.
pub fn charged(shared: &Shared, event: ConnectionEvent) -> ConnectionEvent {
    shared.unread.charge(weight(&event));
    event
}

/// Another handle of a channel.
pub fn channel(line: &Arc<Line>, shared: &Arc<Shared>) -> Channel {
    Channel { line: line.clone(), shared: shared.clone() }
}
