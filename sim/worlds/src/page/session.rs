//! `web/sdk/src/session.ts`: numbered frames over a socket that may be cut and come back.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_core::RngCore as _;
use serde_json::{Value, json};

const OPEN: Duration = Duration::from_secs(10);
const PING: Duration = Duration::from_secs(15);
const PONG: Duration = Duration::from_secs(10);
const DOUBT: Duration = Duration::from_millis(500);
const ATTEMPTS_MAX: u32 = 16;
const BACKOFF: Duration = Duration::from_millis(250);
const BACKOFF_MAX: Duration = Duration::from_secs(5);
const ACK_EVERY: u64 = 64;
/// Close codes after which nothing is to come back to.
const FINAL: [u16; 6] = [1_000, 1_002, 1_007, 1_009, 4_000, RESUMED];
/// The session was resumed on another socket.
const RESUMED: u16 = 4_001;
const LATER: [u16; 2] = [4_003, 4_004];

/// What it wants, or tells.
#[derive(Clone, Debug)]
pub(super) enum Output {
    Dial,
    /// The socket is let go of; with a code it is told.
    Hang(Option<u16>),
    Text(String),
    /// The first welcome.
    Opened,
    /// What answers a request, or refuses it.
    Answer(Asked, Result<Value, String>),
    /// A signal was not passed on.
    Refused(Value),
    Happening(Value),
    /// A socket is back; `false`: the server has forgotten us.
    Up(bool),
    Ended,
}

/// What an answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Enter,
    Return,
    Plain,
}

pub(super) struct Session {
    pub peer: String,
    pub is_up: bool,
    pub is_ended: bool,
    /// The server is about to close.
    pub is_done: bool,
    /// The last socket has gone without a word.
    strays: bool,
    has_socket: bool,
    is_doubted: bool,
    /// From hello to welcome, and when hello was said.
    rtt: Duration,
    hello_at: Instant,
    secret: Option<String>,
    next_id: u64,
    seq: u64,
    acked: u64,
    outbox: VecDeque<(u64, Value)>,
    sent: usize,
    pending: BTreeMap<u64, Asked>,
    attempt: u32,
    due: Option<Instant>,
    timer: Timer,
    random: ChaCha8Rng,
    pub outputs: VecDeque<Output>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Timer {
    /// Patience with the socket ends.
    Patience,
    /// It is pinged.
    Rest,
    /// It is dialed anew.
    Dial,
}

impl Session {
    pub fn open(random: ChaCha8Rng, now: Instant) -> Session {
        let mut session = Session {
            peer: String::new(),
            is_up: false,
            is_ended: false,
            is_done: false,
            strays: false,
            has_socket: false,
            is_doubted: false,
            rtt: Duration::ZERO,
            hello_at: now,
            secret: None,
            next_id: 1,
            seq: 0,
            acked: 0,
            outbox: VecDeque::new(),
            sent: 0,
            pending: BTreeMap::new(),
            attempt: 0,
            due: None,
            timer: Timer::Dial,
            random,
            outputs: VecDeque::new(),
        };
        session.dial(now);
        session
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.due.filter(|_| !self.is_ended)
    }

    pub fn request(&mut self, frame: Value, asked: Asked) {
        if self.is_ended {
            return self.outputs.push_back(Output::Answer(asked, Err("closed".into())));
        }
        self.pending.insert(self.next_id, asked);
        self.note(frame);
    }

    pub fn note(&mut self, frame: Value) {
        if !self.is_ended {
            self.outbox.push_back((self.next_id, frame));
            self.next_id += 1;
            self.pump();
        }
    }

    pub fn close(&mut self) {
        self.end();
    }

    fn dial(&mut self, now: Instant) {
        self.has_socket = true;
        self.outputs.push_back(Output::Dial);
        self.after(OPEN, Timer::Patience, now);
    }

    fn after(&mut self, wait: Duration, timer: Timer, now: Instant) {
        (self.due, self.timer) = (Some(now + wait), timer);
    }

    pub fn handle_open(&mut self, now: Instant) {
        self.hello_at = now;
        let mut hello = json!({ "type": "hello", "id": 0, "app": "sim" });
        if let Some(secret) = &self.secret {
            hello["resume"] = json!({ "session": secret, "seq": self.seq });
        }
        self.outputs.push_back(Output::Text(hello.to_string()));
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_none_or(|due| due > now) {
            return;
        }
        self.due = None;
        match self.timer {
            Timer::Patience => {
                self.outputs.push_back(Output::Hang(None));
                self.cut(1_006, now);
            }
            Timer::Rest => {
                self.after(PONG, Timer::Patience, now);
                self.note(json!({ "type": "ping" }));
            }
            Timer::Dial => self.dial(now),
        }
    }

    /// The network may be another one.
    pub fn doubt(&mut self, now: Instant) {
        if self.is_up {
            if !std::mem::replace(&mut self.is_doubted, true) {
                self.after(DOUBT + 2 * self.rtt, Timer::Patience, now);
                self.note(json!({ "type": "ping" }));
            }
        } else if self.secret.is_some() && !self.has_socket && !self.is_ended {
            self.dial(now);
        }
    }

    pub fn handle_text(&mut self, text: &str, now: Instant) {
        self.is_doubted = false;
        self.after(PING, Timer::Rest, now);
        let Ok(frame) = serde_json::from_str::<Value>(text) else { return };
        let what = frame["type"].as_str().unwrap_or_default();
        if what == "welcome" {
            return self.welcome(&frame, now);
        }
        let seq = frame["seq"].as_u64().unwrap_or_default();
        if self.secret.is_none() || seq <= self.seq {
            return;
        }
        self.seq = seq;
        match frame["id"].as_u64() {
            None => self.outputs.push_back(Output::Happening(frame)),
            Some(id) => self.answer(id, frame),
        }
        if self.seq - self.acked >= ACK_EVERY {
            self.note(json!({ "type": "ping" }));
        }
    }

    fn answer(&mut self, id: u64, reply: Value) {
        let said = self.outbox.iter().find(|(known, _)| *known == id).map(|(_, frame)| frame.clone());
        self.handled(id);
        let is_error = reply["type"] == "error";
        match (self.pending.remove(&id), said) {
            (Some(asked), _) if is_error => {
                let code = reply["code"].as_str().unwrap_or_default().to_owned();
                self.outputs.push_back(Output::Answer(asked, Err(code)));
            }
            (Some(asked), _) => self.outputs.push_back(Output::Answer(asked, Ok(reply))),
            (None, Some(said)) if is_error && said.get("to").is_some() => {
                self.outputs.push_back(Output::Refused(said));
            }
            _ => {}
        }
    }

    fn handled(&mut self, id: u64) {
        let before = self.outbox.len();
        self.outbox.retain(|(known, _)| *known > id);
        self.sent = self.sent.saturating_sub(before - self.outbox.len());
    }

    fn welcome(&mut self, frame: &Value, now: Instant) {
        self.rtt = now.saturating_duration_since(self.hello_at);
        let is_first = self.secret.is_none();
        let is_resumed = frame["resumed"] == true;
        (self.is_up, self.attempt) = (true, 0);
        self.secret = frame["session"].as_str().map(str::to_owned);
        self.peer = frame["peer"].as_str().unwrap_or_default().to_owned();
        if !is_first && !is_resumed {
            self.start_over();
        }
        self.handled(frame["received"].as_u64().unwrap_or_default());
        self.sent = 0;
        self.outputs.push_back(if is_first { Output::Opened } else { Output::Up(is_resumed) });
        self.pump();
    }

    /// A new session: what was asked in the old one has no answer, but for what enters, which is asked again.
    fn start_over(&mut self) {
        let old: BTreeMap<u64, Value> = std::mem::take(&mut self.outbox).into_iter().collect();
        (self.seq, self.acked, self.next_id) = (0, 0, 1);
        for (id, asked) in std::mem::take(&mut self.pending) {
            match old.get(&id) {
                Some(frame) if asked == Asked::Enter => {
                    self.pending.insert(self.next_id, asked);
                    self.outbox.push_back((self.next_id, frame.clone()));
                    self.next_id += 1;
                }
                _ => self.outputs.push_back(Output::Answer(asked, Err("session-lost".into()))),
            }
        }
    }

    fn pump(&mut self) {
        while let (true, Some((id, frame))) = (self.is_up, self.outbox.get(self.sent)) {
            let mut frame = frame.clone();
            (frame["id"], frame["ack"]) = (json!(id), json!(self.seq));
            self.outputs.push_back(Output::Text(frame.to_string()));
            (self.acked, self.sent) = (self.seq, self.sent + 1);
        }
    }

    /// The socket is gone, with this code.
    pub fn cut(&mut self, code: u16, now: Instant) {
        if self.is_ended {
            return;
        }
        (self.is_up, self.has_socket, self.due) = (false, false, None);
        let is_stray = std::mem::replace(&mut self.strays, code == 1_006) && code == RESUMED;
        if self.is_done
            || FINAL.contains(&code) && !is_stray
            || self.secret.is_none()
            || self.attempt >= ATTEMPTS_MAX
        {
            return self.end();
        }
        let longest = if LATER.contains(&code) {
            BACKOFF_MAX
        } else {
            BACKOFF.saturating_mul(1 << self.attempt.min(16)).min(BACKOFF_MAX)
        };
        let wait = longest.mul_f64(0.5 + f64::from(self.random.next_u32()) / f64::from(u32::MAX) / 2.0);
        self.attempt += 1;
        self.after(wait, Timer::Dial, now);
    }

    fn end(&mut self) {
        if std::mem::replace(&mut self.is_ended, true) {
            return;
        }
        self.is_up = false;
        if std::mem::replace(&mut self.has_socket, false) {
            self.outputs.push_back(Output::Hang(Some(1_000)));
        }
        for asked in std::mem::take(&mut self.pending).into_values() {
            self.outputs.push_back(Output::Answer(asked, Err("closed".into())));
        }
        self.outputs.push_back(Output::Ended);
    }
}
