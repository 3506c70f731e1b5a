//! The one task that owns the lobbies: inputs in, frames and commands out.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio_tungstenite::tungstenite::Utf8Bytes;
use twocan_base::{FairQueue, Household, Price, Rate, Spent};
use twocan_lobby::{ClientId, Close, Command, Door, Ended, Event, HashId, Lobbies, wire};

use crate::hashing::Hasher;
use crate::ice::IceProvider;
use crate::metrics::Metrics;
use crate::queue::Queue;
use crate::server::unix_now;

/// Inputs that wait for the machine; beyond it sockets are read no further.
pub(crate) const INPUTS_MAX: usize = 1024;
/// Time between two foldings of samples.
const FOLD_EVERY: Duration = Duration::from_secs(10);

/// Whoever takes a five-hundredth of the time comes as one who takes none; whoever takes more comes later.
const PRICE: Price = Price { times: 500, most: Duration::from_secs(10), free: Duration::from_millis(100) };
/// What a frame to a socket takes besides, in its task and in the kernel, about: one entry into a lobby of 64 makes 126 of them.
const FRAME_TIME: Duration = Duration::from_micros(10);
/// Frames a second for each core, and at once: a tenth of its time. Beyond, only those are served who do not have to come later.
const FRAMES_PER_CORE: u32 = 10_000;
/// Inputs handled before other tasks of this runtime thread have their turn.
const TURN_INPUTS: usize = 32;

pub(crate) enum Input {
    Client { client: ClientId, whose: Household, said: Said },
    Hashed { id: HashId, hash: Option<[u8; 32]> },
    Drain { done: oneshot::Sender<()> },
}

/// What one socket's task says.
pub(crate) enum Said {
    Connected {
        door: Door,
        queue: Arc<Queue>,
    },
    /// The permit, here and below, is what lets the socket be read on.
    Text {
        text: Utf8Bytes,
        permit: OwnedSemaphorePermit,
    },
    Written {
        bytes: usize,
    },
    /// It is answered by the library, but takes a turn like everything that comes.
    Ping {
        permit: OwnedSemaphorePermit,
    },
    /// The client has received all up to this, if it says so.
    Pong {
        seq: Option<u64>,
        permit: OwnedSemaphorePermit,
    },
    Disconnected {
        how: Ended,
    },
}

pub(crate) struct Machine {
    pub lobbies: Lobbies,
    pub inputs: mpsc::Receiver<Input>,
    pub hasher: Hasher,
    pub ice: Arc<dyn IceProvider>,
    pub metrics: Arc<Metrics>,
    /// What sockets said: whose household has taken the least time goes first, so that nobody waits for a crowd that he is not part of.
    waiting: FairQueue<(ClientId, Said)>,
    /// Frames given out to sockets.
    frames: Spent,
    frames_rate: Rate,
    queues: HashMap<ClientId, Arc<Queue>>,
    folded: Instant,
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
        Self {
            lobbies,
            inputs,
            hasher,
            ice,
            metrics,
            waiting: FairQueue::new(PRICE),
            frames: Spent::nothing(Instant::now()),
            frames_rate: frames_rate(),
            queues: HashMap::new(),
            folded: Instant::now(),
            drained: None,
        }
    }

    /// Runs until every sender of inputs is gone.
    pub async fn run(mut self) {
        self.metrics.levels(&self.lobbies);
        loop {
            for _ in 0..TURN_INPUTS {
                while let Ok(input) = self.inputs.try_recv() {
                    self.take(input);
                }
                self.handle_due();
                let begun = Instant::now();
                if self.held_until(begun).is_some() {
                    break;
                }
                let Some((whose, (client, said))) = self.waiting.pop(begun) else { break };
                let pongs = u32::from(matches!(said, Said::Ping { .. }));
                self.handle(client, said, begun);
                let frames = self.flush() + pongs;
                let done = Instant::now();
                self.frames.spend_surely(frames, self.frames_rate, done);
                self.waiting.took(whose, done - begun + FRAME_TIME * frames, done);
            }
            let held = self.held_until(Instant::now());
            if held.is_none() && !self.waiting.is_empty() {
                tokio::task::yield_now().await;
                continue;
            }
            let due = [self.lobbies.poll_timeout(), held].into_iter().flatten().min();
            tokio::select! {
                input = self.inputs.recv() => match input {
                    Some(input) => self.take(input),
                    None => return,
                },
                () = until(due) => {}
                () = until(Some(self.folded + FOLD_EVERY)) => {}
            }
        }
    }

    /// Where more goes out than may: until when whoever is next has to wait, because its household has had its share.
    fn held_until(&self, now: Instant) -> Option<Instant> {
        let refilled = now + self.frames.check(1, self.frames_rate, now).err()?;
        self.waiting.next_turn().map(|turn| turn.min(refilled)).filter(|until| *until > now)
    }

    fn handle_due(&mut self) {
        let now = Instant::now();
        if self.folded + FOLD_EVERY <= now {
            self.folded = now;
            self.metrics.fold();
            self.lobbies.handle_clock(unix_now(), now);
        }
        if self.lobbies.poll_timeout().is_some_and(|due| due <= now) {
            self.lobbies.handle_timeout(now);
            self.flush();
        }
    }

    fn handle(&mut self, client: ClientId, said: Said, now: Instant) {
        match said {
            Said::Connected { door, queue } => {
                self.queues.insert(client, queue);
                self.lobbies.handle_connected(client, door, now);
            }
            Said::Text { text, permit } => {
                self.lobbies.handle_message(client, &text, now);
                drop(permit);
            }
            Said::Ping { permit } => drop(permit),
            Said::Pong { seq, permit } => {
                if let Some(seq) = seq {
                    self.lobbies.handle_seen(client, seq, now);
                }
                drop(permit);
            }
            Said::Written { bytes } => self.lobbies.handle_written(client, bytes, now),
            Said::Disconnected { how } => {
                self.queues.remove(&client);
                self.lobbies.handle_disconnected(client, how, now);
            }
        }
    }

    /// What concerns nobody in particular is done at once, the rest in turns.
    fn take(&mut self, input: Input) {
        let now = Instant::now();
        match input {
            Input::Client { client, whose, said } => return self.waiting.push(whose, (client, said), now),
            Input::Hashed { id, hash } => self.lobbies.handle_hashed(id, hash, now),
            Input::Drain { done } => {
                self.drained = Some(done);
                self.lobbies.handle_drain(now);
            }
        }
        self.flush();
    }

    /// Does what the machine asks for, and what comes of that, until it is quiet; says how many frames went out.
    fn flush(&mut self) -> u32 {
        let mut frames = 0;
        loop {
            while let Some((client, frame)) = self.lobbies.poll_transmit() {
                frames += 1;
                if let Some(queue) = self.queues.get(&client) {
                    queue.push(frame);
                }
            }
            let Some(command) = self.lobbies.poll_command() else { break };
            self.command(command);
        }
        while let Some(event) = self.lobbies.poll_event() {
            self.event(&event);
        }
        self.metrics.levels(&self.lobbies);
        frames
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Close { client, why } => {
                self.metrics.closed(why.code());
                if let Some(queue) = self.queues.get(&client) {
                    queue.close(why);
                }
            }
            Command::Ping { client, seq } => {
                if let Some(queue) = self.queues.get(&client) {
                    queue.ping(seq);
                }
            }
            Command::Hash(job) => self.hasher.hash(job),
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
            Event::LobbyClosed { why, lived, life } => {
                let failed =
                    life.failed.iter().map(|(reason, count)| format!("{count} {}", wire::word(reason)));
                tracing::info!(
                    code = %life.code,
                    app = life.app.as_str(),
                    why = wire::word(why),
                    seconds = lived.as_secs(),
                    entered = life.entered,
                    direct = life.direct,
                    relayed = life.relayed,
                    failed = failed.collect::<Vec<_>>().join(", "),
                    "a lobby is gone"
                );
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

/// Over all cores.
fn frames_rate() -> Rate {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let frames = FRAMES_PER_CORE.saturating_mul(u32::try_from(cores).unwrap_or(u32::MAX)).min(1_000_000);
    Rate::per_second(frames, frames)
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
