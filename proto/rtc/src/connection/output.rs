//! What a connection wants done. Polls only pop.

use std::collections::VecDeque;

use crate::event::{Command, Event, Transmit};

/// Queues of a [`Connection`](super::Connection). The transport's datagrams wait in the transport.
#[derive(Default)]
pub(super) struct Output {
    pub(super) transmits: VecDeque<Transmit>,
    pub(super) commands: VecDeque<Command>,
    pub(super) events: VecDeque<Event>,
}

impl Output {
    pub(super) fn event(&mut self, event: Event) {
        self.events.push_back(event);
    }

    pub(super) fn command(&mut self, command: Command) {
        self.commands.push_back(command);
    }
}
