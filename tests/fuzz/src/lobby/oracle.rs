//! What the machine may say and ask for, and what must be gone when everyone is.

use std::collections::BTreeMap;

use serde_json::Value;
use twocan_lobby::{ClientId, Close, Command, Ended};

use super::{World, limits};

/// Bytes of the longest frame: a list has 48 KiB, a lobby of 64 members with the largest `me` less.
const FRAME_BYTES_MAX: usize = 64 << 10;
/// Timers that may run, one after the other, once everyone has gone.
const LAST_TIMERS_MAX: usize = 2_000;

impl World {
    /// Takes all that waits to be polled.
    pub(super) fn settle(&mut self) {
        loop {
            while self.lobbies.poll_event().is_some() {}
            if let Some((client, frame)) = self.lobbies.poll_transmit() {
                self.deliver(client, &frame);
                self.lobbies.handle_written(client, twocan_lobby::frame_cost(&frame), self.now);
                continue;
            }
            let Some(command) = self.lobbies.poll_command() else { break };
            self.obey(command);
        }
        let limits = limits();
        assert!(self.lobbies.sessions() as u64 <= limits.sessions.total);
        assert!(self.lobbies.lobbies() as u64 <= limits.lobbies.total);
        assert_eq!(self.lobbies.clients(), self.sockets.len());
        assert!(self.hashes.len() <= limits.hashes_at_once);
    }

    fn deliver(&mut self, client: ClientId, frame: &str) {
        assert!(frame.len() <= FRAME_BYTES_MAX, "{} bytes", frame.len());
        let who = *self.sockets.get(&client).expect("a socket that is there");
        assert!(!self.closing.contains(&client), "nothing is said on a socket that is to be closed");
        let frame: Value = serde_json::from_str(frame).expect("JSON");
        if let Some(code) = frame["lobby"]["code"].as_str() {
            self.codes.push(code.to_owned());
            self.codes.dedup();
        }
        self.players[who].hear(&frame);
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Close { client, why } => {
                assert!(self.sockets.contains_key(&client), "a socket that is there");
                assert!(self.closing.insert(client), "closed twice");
                let who = self.sockets[&client];
                if why == Close::Complete {
                    assert!(!self.players[who].ticket.is_empty(), "complete, and no ticket");
                }
                self.disconnect(client, Ended::Goodbye);
            }
            Command::Ping { client, seq } => self.lobbies.handle_seen(client, seq, self.now),
            Command::Hash(job) if self.holds => self.hashes.push(job),
            Command::Hash(job) => self.hash(&job),
            Command::Grant(grant) if self.holds => self.grants.push(grant),
            Command::Grant(grant) => self.grant(&grant),
            Command::Revoke { .. } | Command::CloseGroup { .. } => {}
        }
    }

    /// Everyone goes, all that was held is answered, all timers run out: nothing must be left.
    pub(super) fn end(mut self) {
        let unanswered: BTreeMap<_, _> =
            self.sockets.iter().map(|(client, who)| (*client, self.players[*who].asked.len())).collect();
        assert!(unanswered.values().all(|count| *count <= 200 * 30), "{unanswered:?}");
        let sockets: Vec<_> = self.sockets.keys().copied().collect();
        for client in sockets {
            if self.sockets.contains_key(&client) {
                self.disconnect(client, Ended::Goodbye);
                self.settle();
            }
        }
        self.holds = false;
        while let Some(job) = self.hashes.pop() {
            self.hash(&job);
            self.settle();
        }
        for grant in std::mem::take(&mut self.grants) {
            self.grant(&grant);
        }
        self.settle();
        for _ in 0..LAST_TIMERS_MAX {
            let Some(at) = self.lobbies.poll_timeout() else { break };
            self.now = self.now.max(at);
            self.lobbies.handle_timeout(self.now);
            self.settle();
        }
        let left = (self.lobbies.sessions(), self.lobbies.lobbies(), self.lobbies.clients());
        assert_eq!(left, (0, 0, 0), "sessions, lobbies and sockets");
        assert_eq!(self.lobbies.poll_timeout(), None, "nothing is left to wait for");
    }
}
