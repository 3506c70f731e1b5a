//! The link to one other member: when it is up, when it falters, how it is mended, and when it is given up.
//!
//! ```text
//! connecting ── first channel opens ──▶ open ── falters ──▶ mending ── connected ──▶ open
//!     └───────── no way found ──▶ failed ◀── no way found ──┘            any ── close, bye ──▶ closed
//! ```
//!
//! The connection itself is somebody else's; this decides what it is told.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::limits::{
    ALONE_FOR, CONNECT_WITHIN, DESCRIPTIONS_MAX, DESCRIPTIONS_WITHIN, FALTER_AFTER, MEND_WITHIN,
    REPORT_WITHIN, RESTART_EVERY,
};
use super::outside::{Discard, LinkCommand, LinkInput, LinkState};
use super::session::say;
use super::verdict::Evidence;
use crate::wire::names::PeerId;
use crate::wire::{Class, ClientMessage, Failed, Kind, Linked, Path, Reason, Signal};

/// What a link wants of its lobby.
#[derive(Debug)]
pub(super) enum Effect {
    /// To the server, if we are with it.
    Note(String),
    Command(LinkCommand),
    State(LinkState, Option<Duration>),
    Fail(Reason),
    /// The server is needed again, which we have left.
    Return,
}

/// What a link must know of its lobby.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around {
    /// We are with the server, though its socket may be away for a moment.
    pub with_server: bool,
    /// Its socket is there.
    pub online: bool,
    pub relay_only: bool,
}

/// What the two say to each other over the link itself.
#[derive(Deserialize, Serialize)]
struct Control<'a> {
    #[serde(rename = "type")]
    what: std::borrow::Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<Kind>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
}

/// The goodbye, as it goes over the control channel.
pub const BYE: &str = r#"{"type":"bye"}"#;

pub(super) struct Link {
    pub peer: PeerId,
    pub state: LinkState,
    offers: bool,
    began: Instant,
    /// From the beginning to the first open channel.
    took: Option<Duration>,
    deadline: Option<Instant>,
    /// The next restart; before that, a link that only falters is given time.
    restart_at: Option<Instant>,
    /// The ticket is to be used then.
    alone_until: Option<Instant>,
    /// The report waits for the way to be known, at most until then.
    report_at: Option<Instant>,
    path: Option<(Path, Class, Class)>,
    /// An offer of ours has not been answered.
    offered: bool,
    /// When descriptions were taken lately.
    descriptions: VecDeque<Instant>,
    seen: Evidence,
    pub effects: VecDeque<Effect>,
}

impl Link {
    pub fn new(peer: PeerId, offers: bool, now: Instant) -> Self {
        Self {
            peer,
            state: LinkState::Connecting,
            offers,
            began: now,
            took: None,
            deadline: Some(now + CONNECT_WITHIN),
            restart_at: None,
            alone_until: None,
            report_at: None,
            path: None,
            offered: false,
            descriptions: VecDeque::new(),
            seen: Evidence::default(),
            effects: VecDeque::new(),
        }
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.deadline, self.restart_at, self.alone_until, self.report_at].into_iter().flatten().min()
    }

    pub fn handle_timeout(&mut self, around: Around, now: Instant) {
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if due(self.report_at) {
            self.report(around, true);
        }
        if due(self.alone_until) {
            self.alone_until = None;
            if self.state == LinkState::Mending && !around.with_server {
                self.effects.push_back(Effect::Return);
            }
        }
        if due(self.deadline) {
            self.fail(around, None);
        } else if due(self.restart_at) {
            if self.state == LinkState::Open {
                self.mend(true, around, now);
            } else {
                self.restart(now);
            }
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
                self.send(Kind::Description, None, Some(data), around);
            }
            LinkInput::Candidate { class, data } => {
                self.seen.gathered(class);
                self.send(Kind::Candidate, Some(class), Some(data), around);
            }
            LinkInput::EndOfCandidates => {
                self.send(Kind::EndOfCandidates, None, None, around);
                if self.state == LinkState::Connecting && self.seen.local.is_empty() {
                    self.fail(around, None);
                }
            }
            LinkInput::RelayError(code) => self.seen.relay_error(code),
            LinkInput::Path { path, local, remote } => {
                self.seen.paired = true;
                self.path = Some((path, local, remote));
                self.report(around, false);
            }
            LinkInput::Open => self.opened(around, now),
            LinkInput::Connected => match self.state {
                LinkState::Open => self.quiet(),
                // Before the first channel is open, there is nothing to send on.
                _ if self.took.is_some() => self.opened(around, now),
                _ => {}
            },
            LinkInput::Disconnected => {
                if self.state == LinkState::Open && self.restart_at.is_none() {
                    self.restart_at = Some(now + FALTER_AFTER);
                }
            }
            LinkInput::Failed(reason) => match self.state {
                LinkState::Connecting => self.fail(around, Some(reason)),
                LinkState::Open => self.mend(true, around, now),
                LinkState::Mending | LinkState::Failed | LinkState::Closed => {}
            },
            LinkInput::Incompatible => {
                self.seen.incompatible = true;
                if self.state == LinkState::Connecting {
                    self.fail(around, None);
                }
            }
            LinkInput::Control(text) => return self.control(text, around, now),
            LinkInput::ControlClosed => self.gone(around),
        }
        Ok(())
    }

    /// A signal of the other side, by whichever way it came.
    pub fn signal(
        &mut self,
        kind: Kind,
        data: Option<String>,
        around: Around,
        now: Instant,
    ) -> Result<(), Discard> {
        if self.state == LinkState::Closed {
            return Err(Discard::NobodyThere);
        }
        match kind {
            Kind::Description => {
                while self.descriptions.front().is_some_and(|taken| *taken + DESCRIPTIONS_WITHIN <= now) {
                    self.descriptions.pop_front();
                }
                if self.descriptions.len() >= DESCRIPTIONS_MAX {
                    return Err(Discard::TooManyDescriptions);
                }
                self.descriptions.push_back(now);
                self.offered = false;
                if self.state == LinkState::Failed {
                    self.mend(false, around, now);
                }
            }
            Kind::Candidate => self.seen.remote += 1,
            Kind::EndOfCandidates => {}
        }
        self.effects.push_back(Effect::Command(LinkCommand::Signal(kind, data)));
        Ok(())
    }

    /// The server links us again: after it was left, or because someone came back.
    pub fn relink(&mut self, around: Around, now: Instant) {
        if self.state == LinkState::Open {
            self.report_at = Some(now + REPORT_WITHIN);
            self.report(around, false);
        } else {
            self.mend(true, around, now);
        }
    }

    /// Tries a failed link again.
    pub fn retry(&mut self, around: Around, now: Instant) {
        if self.state == LinkState::Failed {
            self.mend(true, around, now);
        }
    }

    /// The other side is gone for good, and said so, or the server did.
    pub fn gone(&mut self, around: Around) {
        self.seen.left = true;
        if matches!(self.state, LinkState::Connecting | LinkState::Mending) {
            self.fail(around, None);
        }
        self.close(false);
    }

    /// Closes the link; with `bye`, the other side hears of it.
    pub fn close(&mut self, bye: bool) {
        if self.state == LinkState::Closed {
            return;
        }
        self.quiet();
        (self.alone_until, self.report_at) = (None, None);
        self.become_state(LinkState::Closed);
        self.effects.push_back(Effect::Command(LinkCommand::Close { bye }));
    }

    /// The server is lost before the other side has answered.
    pub fn orphaned(&mut self, around: Around) {
        if self.state == LinkState::Connecting && self.descriptions.is_empty() {
            self.fail(around, None);
        }
    }

    fn control(&mut self, text: &str, around: Around, now: Instant) -> Result<(), Discard> {
        let control: Control<'_> = serde_json::from_str(text).map_err(|_| Discard::NotControl)?;
        match (&*control.what, control.kind) {
            ("bye", _) => self.gone(around),
            ("signal", Some(kind)) => {
                let data = control.data.map(|raw| raw.get().to_owned());
                self.signal(kind, data, around, now)?;
            }
            _ => return Err(Discard::NotControl),
        }
        Ok(())
    }

    /// Sends a signal: over the server while we are with it, else over the link itself.
    fn send(&mut self, kind: Kind, class: Option<Class>, data: Option<&str>, around: Around) {
        let data: Option<&RawValue> = data.and_then(|data| serde_json::from_str(data).ok());
        self.effects.push_back(if around.with_server {
            let signal = Signal { to: self.peer.as_str().into(), kind, class, data };
            Effect::Note(say(&ClientMessage::Signal(signal)))
        } else {
            let control = Control { what: "signal".into(), kind: Some(kind), data };
            let text = serde_json::to_string(&control).expect("writing to memory does not fail");
            Effect::Command(LinkCommand::Control(text))
        });
    }

    /// A channel opened, or the connection came back.
    fn opened(&mut self, around: Around, now: Instant) {
        if self.state == LinkState::Open {
            return;
        }
        let first = self.took.is_none();
        let took = *self.took.get_or_insert(now.saturating_duration_since(self.began));
        self.quiet();
        self.alone_until = None;
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
    fn mend(&mut self, restart: bool, around: Around, now: Instant) {
        self.quiet();
        self.seen.left = false;
        self.seen.incompatible = false;
        self.seen.paired = false;
        self.seen.relay_silent = false;
        self.seen.relay_refused = false;
        let up_before = self.took.is_some();
        self.become_state(if up_before { LinkState::Mending } else { LinkState::Connecting });
        self.deadline = Some(now + if up_before { MEND_WITHIN } else { CONNECT_WITHIN });
        // An offer of ours that went over the dead link must be made again, or theirs would be passed over for it.
        if restart && (self.offers || self.offered) {
            self.restart(now);
        } else {
            self.restart_at = Some(now + RESTART_EVERY / 2);
        }
        if !around.with_server {
            self.alone_until = Some(now + ALONE_FOR);
        }
    }

    fn restart(&mut self, now: Instant) {
        self.effects.push_back(Effect::Command(LinkCommand::Restart));
        self.restart_at = Some(now + RESTART_EVERY);
    }

    /// Stops the timers of coming up and of mending.
    fn quiet(&mut self) {
        (self.deadline, self.restart_at) = (None, None);
    }

    fn fail(&mut self, around: Around, own: Option<Option<Reason>>) {
        self.quiet();
        let reason = self.seen.verdict(around.online, around.relay_only, own);
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
