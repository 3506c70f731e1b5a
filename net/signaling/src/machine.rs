//! The one task that owns the lobbies: inputs in, frames and commands out.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::ws::Utf8Bytes;
use tokio::sync::{mpsc, oneshot};
use twocan_lobby::{ClientId, Close, Command, Door, Ended, Event, HashId, Lobbies};

use crate::hashing::Hasher;
use crate::ice::IceProvider;
use crate::metrics::Metrics;
use crate::queue::{Overflow, Queue};

/// Inputs that wait for the machine; beyond it sockets are read no further.
pub(crate) const INPUTS_MAX: usize = 1024;
/// Time between two foldings of samples.
const FOLD_EVERY: Duration = Duration::from_secs(10);

pub(crate) enum Input {
    Connected { client: ClientId, door: Door, queue: Arc<Queue> },
    Text { client: ClientId, text: Utf8Bytes },
    Disconnected { client: ClientId, how: Ended },
    Hashed { id: HashId, hash: Option<[u8; 32]> },
    Drain { done: oneshot::Sender<()> },
}

pub(crate) struct Machine {
    pub lobbies: Lobbies,
    pub inputs: mpsc::Receiver<Input>,
    pub hasher: Hasher,
    pub ice: Arc<dyn IceProvider>,
    pub metrics: Arc<Metrics>,
    queues: HashMap<ClientId, Arc<Queue>>,
    drained: Option<oneshot::Sender<()>>,
}

impl Machine {
    pub fn new(
        lobbies: Lobbies,
        inputs: mpsc::Receiver<Input>,
        hasher: Hasher,
        ice: Arc<dyn IceProvider>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { lobbies, inputs, hasher, ice, metrics, queues: HashMap::new(), drained: None }
    }

    /// Runs until every sender of inputs is gone.
    pub async fn run(mut self) {
        let mut fold = tokio::time::interval(FOLD_EVERY);
        self.metrics.levels(&self.lobbies);
        loop {
            let due = self.lobbies.poll_timeout();
            tokio::select! {
                input = self.inputs.recv() => match input {
                    Some(input) => self.handle(input),
                    None => return,
                },
                () = until(due) => self.lobbies.handle_timeout(Instant::now()),
                _ = fold.tick() => self.metrics.fold(),
            }
            self.flush();
        }
    }

    fn handle(&mut self, input: Input) {
        let now = Instant::now();
        match input {
            Input::Connected { client, door, queue } => {
                self.queues.insert(client, queue);
                self.lobbies.handle_connected(client, door, now);
            }
            Input::Text { client, text } => self.lobbies.handle_message(client, &text, now),
            Input::Disconnected { client, how } => {
                self.queues.remove(&client);
                self.lobbies.handle_disconnected(client, how, now);
            }
            Input::Hashed { id, hash } => self.lobbies.handle_hashed(id, hash, now),
            Input::Drain { done } => {
                self.drained = Some(done);
                self.lobbies.handle_drain(now);
            }
        }
    }

    /// Does what the machine asks for, and what comes of that, until it is quiet.
    fn flush(&mut self) {
        loop {
            let mut slow = Vec::new();
            while let Some((client, frame)) = self.lobbies.poll_transmit() {
                if let Some(queue) = self.queues.get(&client)
                    && queue.push(frame) == Err(Overflow)
                {
                    slow.push(client);
                }
            }
            let quiet = slow.is_empty();
            for client in slow {
                self.queues.remove(&client);
                self.metrics.closed(Close::TooSlow);
                self.lobbies.handle_disconnected(client, Ended::Cut, Instant::now());
            }
            match self.lobbies.poll_command() {
                Some(command) => self.command(command),
                None if quiet => break,
                None => {}
            }
        }
        while let Some(event) = self.lobbies.poll_event() {
            self.event(&event);
        }
        self.metrics.levels(&self.lobbies);
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Close { client, why } => {
                self.metrics.closed(why);
                if let Some(queue) = self.queues.get(&client) {
                    queue.close(why);
                }
            }
            Command::Hash(job) => self.hasher.start(job),
            Command::Grant(grant) => {
                let servers = self.ice.grant(&grant, &grant.host);
                self.lobbies.handle_granted(&grant, servers, Instant::now());
            }
            Command::Revoke { group, peer } => self.ice.revoke(&group, &peer),
            Command::CloseGroup { group } => self.ice.close_group(&group),
        }
    }

    fn event(&mut self, event: &Event) {
        self.metrics.event(event);
        match event {
            Event::LobbyOpened => tracing::debug!("a lobby is opened"),
            Event::LobbyClosed { why, lived } => {
                tracing::info!(
                    why = twocan_lobby::wire::word(why),
                    seconds = lived.as_secs(),
                    "a lobby is gone"
                );
            }
            Event::Failed(reason) => {
                tracing::info!(reason = twocan_lobby::wire::word(reason), "a link failed");
            }
            Event::Drained => {
                if let Some(done) = self.drained.take() {
                    // Nobody waits any longer: the limit has passed.
                    let _ = done.send(());
                }
            }
            _ => {}
        }
    }
}

impl Drop for Machine {
    /// However the machine ends, its sockets do not outlive it.
    fn drop(&mut self) {
        for queue in self.queues.values() {
            queue.close(Close::GoingAway);
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
