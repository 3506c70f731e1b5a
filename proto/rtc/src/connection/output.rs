//! What a connection wants done. Polls only pop.

use std::collections::VecDeque;

use crate::event::{Command, Event, Transmit};
use crate::limits::UNREAD_BYTES_MAX;

/// Queues of a [`Connection`](super::Connection). The transport's datagrams wait in the transport.
#[derive(Default)]
pub(super) struct Output {
    pub(super) transmits: VecDeque<Transmit>,
    pub(super) commands: VecDeque<Command>,
    pub(super) events: VecDeque<Event>,
    /// Bytes of the messages among the events.
    message_bytes: usize,
}

impl Output {
    pub(super) fn event(&mut self, event: Event) {
        self.message_bytes += message_len(&event);
        self.events.push_back(event);
    }

    pub(super) fn next_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        self.message_bytes -= message_len(&event);
        Some(event)
    }

    /// The next event that need not wait for the messages before it.
    pub(super) fn next_news(&mut self) -> Option<Event> {
        let is_news = |event: &Event| {
            matches!(
                event,
                Event::Signal(_)
                    | Event::StateChanged(_)
                    | Event::Path(_)
                    | Event::CandidateError { .. }
                    | Event::Failed { .. }
            )
        };
        self.events.remove(self.events.iter().position(is_news)?)
    }

    /// Whether more messages may wait here: those that may not fill the window that the other side sees.
    pub(super) fn has_room(&self) -> bool {
        self.message_bytes < UNREAD_BYTES_MAX
    }

    pub(super) fn command(&mut self, command: Command) {
        self.commands.push_back(command);
    }
}

/// What an empty message costs, bytes.
const MESSAGE_COST: usize = 64;

fn message_len(event: &Event) -> usize {
    if let Event::Message { bytes, .. } = event { MESSAGE_COST + bytes.len() } else { 0 }
}
