//! A session at the server: numbered frames over a socket that may be cut and come back.
//!
//! ```text
//! opening ── welcome ──▶ up ── cut ──▶ waiting ── welcome ──▶ up …      any ── final close code, or too long ──▶ ended
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_core::RngCore;

use super::heard::{Answer, Heard, Said, read};
use super::limits::{
    ACK_EVERY, ATTEMPTS_MAX, BACKOFF, BACKOFF_MAX, BURST, DOUBT_WITHIN, FRAME_EVERY, MESSAGE_BYTES_MAX,
    OPEN_WITHIN, OUTBOX_FRAMES_MAX, PING_AFTER, PONG_WITHIN, REPLY_WITHIN, SEATED_ATTEMPTS_MAX,
};
use super::outside::{Discard, Failure, RequestId};
use crate::wire::names::{AppName, PeerId};
use crate::wire::{ClientMessage, Hello, Resume, Welcome, parse_server};

/// Close codes after which nothing is to come back to: done, not understood (two), too long, bad hello, resumed elsewhere.
const FINAL: [u16; 6] = [1000, 1002, 1007, 1009, 4000, RESUMED];
/// The session was resumed on another socket.
const RESUMED: u16 = 4001;
/// Close codes that ask for patience: too many requests, full.
const LATER: [u16; 2] = [4003, 4004];
/// The server, or our share of it, is full.
pub(super) const FULL: u16 = 4004;
/// A socket that ended without a close frame (RFC 6455 7.4.1).
pub(super) const CUT: u16 = 1006;
/// Not coming back.
const GOODBYE: u16 = 1000;

/// What a session wants, or tells.
#[derive(Debug)]
pub(super) enum Output {
    /// Open a socket, for a session that begins with the application in its address.
    Dial(Option<String>),
    Hang(Option<u16>),
    Text(String),
    Opened,
    Down {
        attempt: u32,
        wait: Duration,
    },
    Up {
        kept: bool,
    },
    Ended {
        code: u16,
    },
    Answer(RequestId, Result<Answer, Failure>),
    /// What had no answer to be waited for was refused.
    Refused(String),
    Heard(Heard),
}

enum Line {
    /// No socket until then.
    Waiting {
        until: Instant,
    },
    /// A socket, without a welcome until then.
    Opening {
        until: Instant,
    },
    /// Welcomed. At the time something is due: a ping, or the end of patience.
    Up {
        due: Instant,
        pinged: bool,
    },
    Ended,
}

struct Frame {
    id: u64,
    body: String,
}

struct Pending {
    request: RequestId,
    /// Means the same in a new session.
    portable: bool,
    /// `None` once the asker was told that it took too long.
    until: Option<Instant>,
}

pub(super) struct Session {
    app: AppName,
    /// Our name; `None` before the first welcome.
    pub peer: Option<PeerId>,
    /// The server is about to close; there is nothing to come back to.
    pub done: bool,
    /// It has a seat in a lobby, which waits.
    pub is_seated: bool,
    /// The last socket has gone without a word.
    strays: bool,
    secret: Option<String>,
    line: Line,
    /// From the beginning of the socket to its welcome.
    opened_in: Duration,
    next_id: u64,
    seq: u64,
    acked: u64,
    /// Frames that the server may not have handled yet; the first `sent` of them went out on this socket.
    outbox: VecDeque<Frame>,
    sent: usize,
    pending: BTreeMap<u64, Pending>,
    /// When the burst is whole again: frames may go while it lies less than [`BURST`] frames ahead.
    spent_until: Instant,
    attempt: u32,
    random: ChaCha8Rng,
    out: VecDeque<Output>,
}

impl Session {
    /// A session that asks for its first socket.
    pub fn new(app: AppName, random: ChaCha8Rng, now: Instant) -> Self {
        let mut session = Self {
            app,
            peer: None,
            done: false,
            is_seated: false,
            strays: false,
            secret: None,
            line: Line::Ended,
            opened_in: Duration::ZERO,
            next_id: 1,
            seq: 0,
            acked: 0,
            outbox: VecDeque::new(),
            sent: 0,
            pending: BTreeMap::new(),
            spent_until: now,
            attempt: 0,
            random,
            out: VecDeque::new(),
        };
        session.dial(now);
        session
    }

    pub fn is_up(&self) -> bool {
        matches!(self.line, Line::Up { .. })
    }

    pub fn is_ended(&self) -> bool {
        matches!(self.line, Line::Ended)
    }

    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        let line = match self.line {
            Line::Waiting { until } | Line::Opening { until } | Line::Up { due: until, .. } => until,
            Line::Ended => return None,
        };
        let pump = (self.is_up() && self.sent < self.outbox.len()).then(|| self.may_send_at());
        self.pending.values().filter_map(|pending| pending.until).chain(pump).chain([line]).min()
    }

    /// Sends a request; the answer comes as [`Output::Answer`].
    pub fn request(&mut self, request: RequestId, body: String, portable: bool, now: Instant) {
        let refused = if self.is_ended() {
            Some(Failure::Closed)
        } else if body.len() > MESSAGE_BYTES_MAX {
            Some(Failure::TooLarge)
        } else {
            (self.outbox.len() >= OUTBOX_FRAMES_MAX).then_some(Failure::Backlog)
        };
        if let Some(failure) = refused {
            return self.out.push_back(Output::Answer(request, Err(failure)));
        }
        let until = Some(now + REPLY_WITHIN);
        self.pending.insert(self.next_id, Pending { request, portable, until });
        self.push(body);
        self.pump(now);
    }

    /// Sends a frame that has no reply.
    pub fn note(&mut self, body: String, now: Instant) -> Result<(), Discard> {
        if self.is_ended() || self.outbox.len() >= OUTBOX_FRAMES_MAX || body.len() > MESSAGE_BYTES_MAX {
            return Err(Discard::OutboxFull);
        }
        self.push(body);
        self.pump(now);
        Ok(())
    }

    /// Ends the session without waiting for anything.
    pub fn close(&mut self) {
        self.end(GOODBYE, Failure::Closed);
    }

    /// The socket is open. Where a session begins its address has said hello.
    pub fn handle_open(&mut self) {
        let Some(session) = self.secret.as_deref() else { return };
        let resume = Some(Resume { session: session.into(), seq: self.seq });
        self.out.push_back(Output::Text(hello(self.app.as_str(), resume)));
    }

    /// A text frame has come.
    pub fn handle_text(&mut self, text: &str, now: Instant) -> Result<(), Discard> {
        if let Line::Up { due, pinged } = &mut self.line {
            (*due, *pinged) = (now + PING_AFTER, false);
        }
        let frame = parse_server(text).map_err(|_| Discard::Unreadable)?;
        let said = frame.message.map(read);
        if let Some(Said::Welcome(welcome)) = &said {
            return self.welcome(welcome, now);
        }
        if !self.is_up() {
            // A hello that was refused; the server closes next.
            if let (true, Some(Said::Answer(Err(failure)))) = (self.secret.is_none(), &said) {
                let failure = *failure;
                self.end(GOODBYE, failure);
                return Ok(());
            }
            return Err(Discard::OutOfTurn);
        }
        if frame.seq <= self.seq {
            return Err(Discard::Duplicate);
        }
        if frame.seq != self.seq + 1 {
            // Never said, or lost: the server says it again to whoever comes back.
            self.out.push_back(Output::Hang(None));
            self.handle_closed(CUT, now);
            return Err(Discard::Gap);
        }
        self.seq = frame.seq;
        let result = match (said, frame.id) {
            (Some(Said::Answer(answer)), Some(id)) => {
                self.answer(id, answer, now);
                Ok(())
            }
            (Some(Said::Heard(heard)), _) => {
                self.out.push_back(Output::Heard(heard));
                Ok(())
            }
            _ => Err(Discard::UnknownType),
        };
        if self.seq - self.acked >= ACK_EVERY {
            self.push(say(&ClientMessage::Ping));
            self.pump(now);
        }
        result
    }

    /// The socket is gone.
    pub fn handle_closed(&mut self, code: u16, now: Instant) {
        if self.is_ended() {
            return;
        }
        // A socket that was given up may get through after all, later than the one that took its place, and takes the session back.
        let is_stray = std::mem::replace(&mut self.strays, code == CUT) && code == RESUMED;
        if self.done
            || FINAL.contains(&code) && !is_stray
            || self.secret.is_none()
            || self.attempt >= if self.is_seated { SEATED_ATTEMPTS_MAX } else { ATTEMPTS_MAX }
        {
            return self.end(code, if code == FULL { Failure::ServerFull } else { Failure::Unreachable });
        }
        let longest = if LATER.contains(&code) {
            BACKOFF_MAX
        } else {
            BACKOFF.saturating_mul(1 << self.attempt.min(16)).min(BACKOFF_MAX)
        };
        // From a half to all of it.
        let wait =
            longest / 2 + (longest / 2).mul_f64(f64::from(self.random.next_u32()) / f64::from(u32::MAX));
        self.attempt += 1;
        self.line = Line::Waiting { until: now + wait };
        self.out.push_back(Output::Down { attempt: self.attempt, wait });
    }

    /// The network may be another one: a socket that does not answer soon is given up, and one that is waited for is opened at once.
    pub fn doubt(&mut self, now: Instant) {
        let patience = now + DOUBT_WITHIN + self.opened_in / 2;
        match self.line {
            Line::Up { due, pinged: true } => {
                self.line = Line::Up { due: due.min(patience), pinged: true };
            }
            Line::Up { .. } => {
                self.line = Line::Up { due: patience, pinged: true };
                self.push(say(&ClientMessage::Ping));
                self.pump(now);
            }
            Line::Waiting { .. } => self.dial(now),
            Line::Opening { .. } | Line::Ended => {}
        }
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        for pending in self.pending.values_mut() {
            if pending.until.is_some_and(|until| until <= now) {
                pending.until = None;
                self.out.push_back(Output::Answer(pending.request, Err(Failure::Timeout)));
            }
        }
        match self.line {
            Line::Waiting { until } if until <= now => self.dial(now),
            Line::Opening { until } if until <= now => self.give_up_socket(now),
            Line::Up { due, pinged: true } if due <= now => self.give_up_socket(now),
            Line::Up { due, pinged: false } if due <= now => {
                self.line = Line::Up { due: now + PONG_WITHIN, pinged: true };
                self.push(say(&ClientMessage::Ping));
            }
            _ => {}
        }
        self.pump(now);
    }

    fn dial(&mut self, now: Instant) {
        self.line = Line::Opening { until: now + OPEN_WITHIN };
        let app = self.secret.is_none().then(|| self.app.as_str().to_owned());
        self.out.push_back(Output::Dial(app));
    }

    fn give_up_socket(&mut self, now: Instant) {
        self.out.push_back(Output::Hang(None));
        self.handle_closed(CUT, now);
    }

    fn push(&mut self, body: String) {
        self.outbox.push_back(Frame { id: self.next_id, body });
        self.next_id += 1;
    }

    fn answer(&mut self, id: u64, answer: Result<Answer, Failure>, now: Instant) {
        let pending = self.pending.remove(&id);
        if pending.is_none() && answer.is_err() {
            let said = self.outbox.iter().find(|frame| frame.id == id);
            self.out.extend(said.map(|frame| Output::Refused(frame.body.clone())));
        }
        self.handled(id);
        let Some(pending) = pending else { return };
        if pending.until.is_some() {
            self.out.push_back(Output::Answer(pending.request, answer));
        } else if let Ok(Answer::Joined { .. }) = answer {
            // Nobody waits for this lobby any more.
            let _ = self.note(say(&ClientMessage::Leave), now);
        }
    }

    /// The server has handled everything up to `id`.
    fn handled(&mut self, id: u64) {
        while self.outbox.front().is_some_and(|frame| frame.id <= id) {
            self.outbox.pop_front();
            self.sent = self.sent.saturating_sub(1);
        }
    }

    fn welcome(&mut self, welcome: &Welcome<'_>, now: Instant) -> Result<(), Discard> {
        let Line::Opening { until } = self.line else { return Err(Discard::OutOfTurn) };
        self.opened_in = (now + OPEN_WITHIN).saturating_duration_since(until);
        let first = self.secret.is_none();
        self.line = Line::Up { due: now + PING_AFTER, pinged: false };
        self.attempt = 0;
        self.secret = Some(welcome.session.clone().into_owned());
        self.peer = Some(welcome.peer);
        if !first && !welcome.resumed {
            self.start_over();
        }
        self.handled(welcome.received);
        self.sent = 0;
        self.out.push_back(if first { Output::Opened } else { Output::Up { kept: welcome.resumed } });
        self.pump(now);
        Ok(())
    }

    /// A new session in place of the old one: only what means the same there is asked again.
    fn start_over(&mut self) {
        let old = std::mem::take(&mut self.outbox);
        let pending = std::mem::take(&mut self.pending);
        (self.seq, self.acked, self.next_id, self.sent) = (0, 0, 1, 0);
        for (id, each) in pending {
            let frame = old.iter().find(|frame| frame.id == id);
            match frame.filter(|_| each.portable) {
                Some(frame) => {
                    self.pending.insert(self.next_id, each);
                    self.push(frame.body.clone());
                }
                None if each.until.is_some() => {
                    self.out.push_back(Output::Answer(each.request, Err(Failure::SessionLost)));
                }
                None => {}
            }
        }
    }

    fn may_send_at(&self) -> Instant {
        self.spent_until.checked_sub(FRAME_EVERY * (BURST - 1)).unwrap_or(self.spent_until)
    }

    /// Sends what waits, no faster than the server allows.
    fn pump(&mut self, now: Instant) {
        while self.is_up() && self.may_send_at() <= now {
            let Some(frame) = self.outbox.get(self.sent) else { return };
            let text = number(&frame.body, frame.id, Some(self.seq));
            self.out.push_back(Output::Text(text));
            self.spent_until = self.spent_until.max(now) + FRAME_EVERY;
            self.acked = self.seq;
            self.sent += 1;
        }
    }

    fn end(&mut self, code: u16, why: Failure) {
        if self.is_ended() {
            return;
        }
        let had_socket = !matches!(self.line, Line::Waiting { .. });
        self.line = Line::Ended;
        if had_socket {
            self.out.push_back(Output::Hang(Some(GOODBYE)));
        }
        let why = if self.secret.is_none() { why } else { Failure::Closed };
        for pending in std::mem::take(&mut self.pending).into_values() {
            if pending.until.is_some() {
                self.out.push_back(Output::Answer(pending.request, Err(why)));
            }
        }
        self.out.push_back(Output::Ended { code });
    }

    /// What ended a session that never began; for whoever waits for its opening.
    pub fn never_opened(&self) -> bool {
        self.secret.is_none()
    }
}

/// A message as JSON text, without its numbers.
/// The first frame of a socket; without `resume` it is what `?app=` in the socket's address stands for (docs/protocol.md §1.2).
pub fn hello(app: &str, resume: Option<Resume<'_>>) -> String {
    number(&say(&ClientMessage::Hello(Hello { app: app.into(), resume })), 0, None)
}

pub(super) fn say(message: &ClientMessage<'_>) -> String {
    serde_json::to_string(message).expect("keys are strings and writing to memory does not fail")
}

/// Puts the numbers in front of a rendered message.
fn number(body: &str, id: u64, ack: Option<u64>) -> String {
    let fields = body.strip_prefix('{').unwrap_or(body);
    match ack {
        Some(ack) => format!("{{\"id\":{id},\"ack\":{ack},{fields}"),
        None => format!("{{\"id\":{id},{fields}"),
    }
}
