//! The link to one other member: what its connection is told, what is told of it, and when the server is needed again.
//!
//! ```text
//! connecting ── first channel opens ──▶ open ── falters ──▶ mending ── connected ──▶ open
//!     └───────── no way found ──▶ failed ◀── no way found ──┘            any ── close, bye ──▶ closed
//! ```
//!
//! The connection itself is somebody else's. It finds its way, restarts ICE where it falters, and gives up when its
//! time is over; this carries its signals, over the server or over the link itself.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::limits::{
    ALONE_FOR, ANEW_DOUBLINGS, ANEW_EVERY, AWAY_WITHIN, FALTER_AFTER, HEAR_WITHIN, RECENT_MAX, RELOAD_WITHIN,
    REPORT_WITHIN,
};
use super::outside::{Discard, LinkCommand, LinkInput, LinkState};
use super::session::say;
use crate::wire::names::PeerId;
use crate::wire::{Class, ClientMessage, Failed, Kind, Linked, Path, Reason, Signal};

/// What a link wants of its lobby.
#[derive(Debug)]
pub(super) enum Effect {
    /// To the server, if we are with it.
    Note(String),
    /// A connection is to be made.
    Connect {
        offers: bool,
        polite: bool,
    },
    Command(LinkCommand),
    State(LinkState, Option<Duration>),
    Fail(Reason),
    /// The server is needed again, which we have left.
    Return,
    /// The other side has closed its page, or could not be reached for long: it may come back.
    Away,
    /// Nothing comes: it may be the network, and with it the socket to the server.
    Doubt,
}

/// What a link must know of its lobby.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around {
    /// We are with the server, though its socket may be away for a moment.
    pub with_server: bool,
    /// Its socket is there.
    pub online: bool,
}

/// What the two say to each other over the link itself.
#[derive(Deserialize, Serialize)]
struct Control<'a> {
    #[serde(rename = "type")]
    what: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<Kind>,
    /// A `ping` that is to be answered.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    reply: bool,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
}

/// What a description says besides what a browser takes.
#[derive(Default, Deserialize)]
struct Generation {
    #[serde(default)]
    anew: u64,
}

/// The answer to a `ping` that wants one.
const PONG: &str = r#"{"type":"pong"}"#;

/// The goodbye, as it goes over the control channel.
pub const BYE: &str = r#"{"type":"bye"}"#;

pub(super) struct Link {
    pub peer: PeerId,
    pub state: LinkState,
    offers: bool,
    polite: bool,
    /// Which run of the other side's program it is with.
    pub run: Option<u64>,
    /// It is waited for until then, at the server.
    away_until: Option<Instant>,
    /// How often the link has begun anew, with another connection.
    generation: u64,
    /// The server links us with the other side in the session we have there: signals over it arrive.
    pub named: bool,
    began: Instant,
    /// From the beginning to the first open channel.
    took: Option<Duration>,
    /// A description of the other side has come.
    heard: bool,
    /// An offer of ours has not been answered.
    offered: bool,
    /// It has said that its page is closed or reloaded.
    has_said_away: bool,
    /// Nothing was heard of the other side by then.
    hear_until: Option<Instant>,
    /// A link that falters is said to be mended then.
    falter_until: Option<Instant>,
    /// The ticket is to be used then.
    alone_until: Option<Instant>,
    /// The report waits for the way to be known, at most until then.
    report_at: Option<Instant>,
    path: Option<(Path, Class, Class)>,
    /// What of ours went over the server last: a description of a link that had been open before, and the candidates since.
    recent: Vec<(Kind, Option<String>)>,
    pub effects: VecDeque<Effect>,
}

impl Link {
    pub fn new(peer: PeerId, run: Option<u64>, (offers, polite): (bool, bool), now: Instant) -> Self {
        Self {
            peer,
            state: LinkState::Connecting,
            offers,
            polite,
            run,
            away_until: None,
            generation: 0,
            named: true,
            began: now,
            took: None,
            heard: false,
            offered: false,
            has_said_away: false,
            hear_until: Some(now + HEAR_WITHIN),
            falter_until: None,
            alone_until: None,
            report_at: None,
            path: None,
            recent: Vec::new(),
            effects: VecDeque::new(),
        }
    }

    /// What is to be said may not reach the other side over the link.
    pub fn needs_server(&self) -> bool {
        match self.state {
            LinkState::Mending | LinkState::Connecting => true,
            LinkState::Open => self.offered || self.falter_until.is_some(),
            LinkState::Failed => self.away_until.is_some(),
            LinkState::Closed => false,
        }
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        let times = [self.hear_until, self.falter_until, self.alone_until, self.report_at, self.away_until];
        times.into_iter().flatten().min()
    }

    pub fn handle_timeout(&mut self, around: Around, now: Instant) {
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if due(self.report_at) {
            self.report(around, true);
        }
        if due(self.alone_until) {
            // The server may let go while the link is mended.
            self.alone_until = around.with_server.then_some(now + ALONE_FOR);
            if !around.with_server {
                self.effects.push_back(Effect::Return);
            }
        }
        if due(self.falter_until) {
            self.mend(now);
        }
        if due(self.away_until) {
            self.away_until = None;
            if self.has_said_away {
                self.gone(around, now);
            }
        }
        if due(self.hear_until) {
            self.fail(
                if around.online { Reason::NoRemoteCandidates } else { Reason::SignalingLost },
                around,
                now,
            );
        }
    }

    /// Something happened to the connection.
    pub fn handle(&mut self, input: LinkInput<'_>, around: Around, now: Instant) -> Result<(), Discard> {
        if self.state == LinkState::Closed {
            return Err(Discard::NobodyThere);
        }
        match input {
            LinkInput::Description { offer, data } => {
                self.offered = offer;
                // The other side may send by a way that is gone, and its answer with it.
                if offer && !around.with_server && self.took.is_some() {
                    self.alone_until.get_or_insert(now + ALONE_FOR);
                }
                self.send(Kind::Description, None, Some(data), around);
            }
            LinkInput::Candidate { class, data } => self.send(Kind::Candidate, class, Some(data), around),
            LinkInput::EndOfCandidates => self.send(Kind::EndOfCandidates, None, None, around),
            LinkInput::Path { path, local, remote } => {
                self.path = Some((path, local, remote));
                self.report(around, false);
            }
            LinkInput::Open => self.opened(around, now),
            // Before the first channel is open, there is nothing to send on.
            LinkInput::Connected if self.took.is_some() => self.opened(around, now),
            LinkInput::Connected => {}
            LinkInput::Connecting if self.state == LinkState::Failed => self.mend(now),
            LinkInput::Connecting => {}
            LinkInput::Disconnected => match self.state {
                LinkState::Open if self.falter_until.is_none() => {
                    self.falter_until = Some(now + FALTER_AFTER);
                    self.effects.push_back(Effect::Doubt);
                    // Checks have gone unanswered by every pair: whatever mends it goes by the server, which takes some round trips to be back at.
                    if !around.with_server {
                        self.effects.push_back(Effect::Return);
                    }
                }
                LinkState::Failed => self.mend(now),
                _ => {}
            },
            LinkInput::Failed(reason) => {
                // It may give up sooner than a link that falters is said to be mended.
                if self.falter_until.is_some() {
                    self.mend(now);
                }
                self.fail(reason, around, now);
            }
            LinkInput::Control(text) => return self.control(text, around, now),
            // As a page that is closed or reloaded does behind its word.
            LinkInput::ControlClosed if self.has_said_away => {}
            LinkInput::ControlClosed => self.gone(around, now),
        }
        Ok(())
    }

    /// A signal of the other side, by whichever way it came.
    pub fn signal(&mut self, kind: Kind, data: Option<String>, now: Instant) -> Result<(), Discard> {
        if self.state == LinkState::Closed {
            return Err(Discard::NobodyThere);
        }
        if kind == Kind::Description {
            let said: Generation =
                data.as_deref().and_then(|data| serde_json::from_str(data).ok()).unwrap_or_default();
            match said.anew.cmp(&self.generation) {
                Ordering::Greater
                    if now < self.began + ANEW_EVERY * (1 << self.generation.min(ANEW_DOUBLINGS)) =>
                {
                    return Err(Discard::NobodyThere);
                }
                Ordering::Greater => self.begin_anew(said.anew, now),
                // Of a connection that is no more.
                Ordering::Less => return Err(Discard::NobodyThere),
                Ordering::Equal => {}
            }
            (self.heard, self.offered, self.hear_until) = (true, false, None);
            if self.state == LinkState::Open {
                self.alone_until = None;
            }
        }
        self.effects.push_back(Effect::Command(LinkCommand::Signal(kind, data)));
        Ok(())
    }

    /// The server links us again: after it was left, or because someone came back.
    pub fn relink(&mut self, around: Around, now: Instant) {
        self.named = true;
        if self.state == LinkState::Open && self.falter_until.is_none() {
            self.report_at = Some(now + REPORT_WITHIN);
            if self.offered {
                self.effects.push_back(Effect::Command(LinkCommand::Restart));
            }
            return self.report(around, false);
        }
        let had_failed = self.state == LinkState::Failed;
        self.mend(now);
        // One side is enough. But an offer of ours that went over the dead link must be made again, or theirs would be
        // passed over for it; and a connection that gave up has no end to its mending unless it begins anew.
        if self.offers || self.offered || had_failed {
            self.effects.push_back(Effect::Command(LinkCommand::Restart));
        }
    }

    /// The other side's connection is another one, and its offer follows: ours is of no use any more.
    fn begin_anew(&mut self, generation: u64, now: Instant) {
        self.close(false);
        let effects = std::mem::take(&mut self.effects);
        let connection = (false, self.polite);
        let alone_until = Some(now + ALONE_FOR);
        *self = Self {
            generation,
            effects,
            named: self.named,
            alone_until,
            ..Self::new(self.peer, self.run, connection, now)
        };
        self.effects.push_back(Effect::Connect { offers: self.offers, polite: self.polite });
    }

    /// The other side's program is another one now, and knows nothing of our connection.
    pub fn meet_another_run(&mut self, connection: (bool, bool), run: Option<u64>, now: Instant) {
        self.close(false);
        let effects = std::mem::take(&mut self.effects);
        *self = Self { effects, ..Self::new(self.peer, run, connection, now) };
        self.effects.push_back(Effect::Connect { offers: self.offers, polite: self.polite });
    }

    /// Tries a failed link again.
    pub fn retry(&mut self, now: Instant) {
        if self.state == LinkState::Failed {
            self.mend(now);
            self.effects.push_back(Effect::Command(LinkCommand::Restart));
        }
    }

    /// The other side is gone for good, and said so, or the server did.
    pub fn gone(&mut self, around: Around, now: Instant) {
        self.fail(Reason::PeerLeft, around, now);
        self.close(false);
    }

    /// Closes the link; with `bye`, the other side hears of it.
    pub fn close(&mut self, bye: bool) {
        if self.state == LinkState::Closed {
            return;
        }
        self.quiet();
        self.report_at = None;
        self.become_state(LinkState::Closed);
        self.effects.push_back(Effect::Command(LinkCommand::Close { bye }));
    }

    /// The server is lost: whoever has not been heard of never will be.
    pub fn orphaned(&mut self, around: Around, now: Instant) {
        if !self.heard {
            self.fail(Reason::SignalingLost, around, now);
        }
    }

    fn control(&mut self, text: &str, around: Around, now: Instant) -> Result<(), Discard> {
        let control: Control<'_> = serde_json::from_str(text).map_err(|_| Discard::NotControl)?;
        match (&*control.what, control.kind) {
            ("bye", _) => {
                self.gone(around, now);
                Ok(())
            }
            ("away", _) => {
                self.goes_away(around, now);
                Ok(())
            }
            // Whoever asks whether the link carries has its answer by the acknowledgement, if it can see that.
            ("ping", _) => {
                if control.reply {
                    self.effects.push_back(Effect::Command(LinkCommand::Control(PONG.into())));
                }
                Ok(())
            }
            ("pong", _) => Ok(()),
            ("signal", Some(kind)) => self.signal(kind, control.data.map(|raw| raw.get().to_owned()), now),
            _ => Err(Discard::NotControl),
        }
    }

    /// The other side's page is closed or reloaded: it may be back in a moment, as another run.
    fn goes_away(&mut self, around: Around, now: Instant) {
        self.has_said_away = true;
        self.away_until = Some(now + RELOAD_WITHIN);
        self.effects.push_back(Effect::Away);
        self.mend(now);
        if !around.with_server {
            self.effects.push_back(Effect::Return);
        }
    }

    /// The server did not pass a signal on: the other side is not there. What went over the link as well is known there.
    pub fn refused(&mut self, kind: Kind, data: Option<&RawValue>) {
        self.named = false;
        if self.took.is_some() {
            self.send_over_link(kind, data);
        }
    }

    /// Sends a signal: over the server where both are with it, else over the link itself; both ways while it is mended, or the server's socket away, for either may be cut.
    fn send(&mut self, kind: Kind, class: Option<Class>, data: Option<&str>, around: Around) {
        if kind == Kind::Description {
            self.recent.clear();
        }
        // The first description has come, or nothing would be open.
        let has_come = kind == Kind::Description && self.took.is_none();
        if around.with_server && !has_come && self.recent.len() < RECENT_MAX {
            self.recent.push((kind, data.map(str::to_owned)));
        }
        let marked =
            (kind == Kind::Description && self.generation > 0).then(|| data.and_then(|data| self.mark(data)));
        let data = marked.as_ref().map_or(data, |marked| marked.as_deref());
        let data: Option<&RawValue> = data.and_then(|data| serde_json::from_str(data).ok());
        let by_server = around.with_server && self.named;
        if by_server {
            let signal = Signal { to: self.peer.as_str().into(), kind, class, data };
            self.effects.push_back(Effect::Note(say(&ClientMessage::Signal(signal))));
        }
        // A server whose socket is away may never be back, while the link carries.
        let is_alone = self.took.is_some() && !around.online;
        if !by_server || self.state == LinkState::Mending || is_alone {
            self.send_over_link(kind, data);
        }
    }

    /// A description that says to which of the link's connections it belongs.
    fn mark(&self, description: &str) -> Option<String> {
        let mut description: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(description).ok()?;
        description.insert("anew".to_owned(), self.generation.into());
        serde_json::to_string(&description).ok()
    }

    fn send_over_link(&mut self, kind: Kind, data: Option<&RawValue>) {
        let control = Control { what: "signal".into(), kind: Some(kind), reply: false, data };
        let text = serde_json::to_string(&control).expect("writing to memory does not fail");
        self.effects.push_back(Effect::Command(LinkCommand::Control(text)));
    }

    /// The server lets go of us. What was said over it in the last moments may not have reached the other side, which may have left a moment
    /// before: it is said again over the link.
    pub fn released(&mut self, around: Around) {
        self.named = false;
        for (kind, data) in std::mem::take(&mut self.recent) {
            if self.state == LinkState::Open {
                self.send(kind, None, data.as_deref(), around);
            }
        }
    }

    /// A channel opened, or the connection came back.
    fn opened(&mut self, around: Around, now: Instant) {
        self.quiet();
        if self.state == LinkState::Open {
            return;
        }
        (self.away_until, self.has_said_away) = (None, false);
        let first = self.took.is_none();
        let took = *self.took.get_or_insert(now.saturating_duration_since(self.began));
        self.state = LinkState::Open;
        self.effects.push_back(Effect::State(LinkState::Open, first.then_some(took)));
        self.report_at = Some(now + REPORT_WITHIN);
        self.report(around, false);
    }

    /// Tells the server by which way we are linked.
    fn report(&mut self, around: Around, late: bool) {
        if self.report_at.is_none() || !(late || self.path.is_some()) {
            return;
        }
        self.report_at = None;
        if self.state != LinkState::Open || !around.with_server {
            return;
        }
        let (path, local, remote) = self.path.unwrap_or((Path::Direct, Class::Host, Class::Host));
        let linked = Linked {
            peer: self.peer.as_str().into(),
            path,
            local: Some(local),
            remote: Some(remote),
            ms: self.took.unwrap_or_default().as_millis() as u64,
        };
        self.effects.push_back(Effect::Note(say(&ClientMessage::Linked(linked))));
    }

    /// The link falters, or is tried once more.
    fn mend(&mut self, now: Instant) {
        self.quiet();
        let up_before = self.took.is_some();
        self.become_state(if up_before { LinkState::Mending } else { LinkState::Connecting });
        // The link's own channels are given a moment before the ticket is used.
        if up_before {
            self.alone_until = Some(now + ALONE_FOR);
        }
    }

    /// Stops the timers of coming up and of mending.
    fn quiet(&mut self) {
        (self.hear_until, self.falter_until, self.alone_until) = (None, None, None);
    }

    fn fail(&mut self, reason: Reason, around: Around, now: Instant) {
        if !matches!(self.state, LinkState::Connecting | LinkState::Mending) {
            return;
        }
        self.quiet();
        if self.took.is_some() && !self.has_said_away && reason != Reason::PeerLeft {
            // Its device may sleep, or have no network.
            self.away_until = Some(now + AWAY_WITHIN);
            self.effects.push_back(Effect::Away);
            if !around.with_server {
                self.effects.push_back(Effect::Return);
            }
        }
        self.become_state(LinkState::Failed);
        if around.with_server {
            let failed = Failed { peer: self.peer.as_str().into(), reason };
            self.effects.push_back(Effect::Note(say(&ClientMessage::Failed(failed))));
        }
        self.effects.push_back(Effect::Fail(reason));
    }

    fn become_state(&mut self, state: LinkState) {
        if self.state != state {
            self.state = state;
            self.effects.push_back(Effect::State(state, None));
        }
    }
}
