//! `web/sdk/src/link.ts`: the link to the other member, perfect negotiation, and mending.
//!
//! ```text
//!  connecting ── first channel opens ──► open ── falters ──► mending ── connected, answered, heard ──► open
//!      └──────── no way found ──► failed ◄── no way found ──┘             any ── close, bye ──► closed
//! ```

mod beat;
mod crowd;

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use twocan_rtc::sdp::Kind;
use twocan_rtc::{CandidateInit, FailReason};

use beat::BEAT;

use super::connection::{Event, PeerConnection, Signaling, State};
use super::gate::{Gate, candidates_in};
use super::neighbours::Neighbours;
use super::outbox::{Outbox, Sending};
use crate::app::{App, Channels};
use crate::player::Planted;

const CONNECT: Duration = Duration::from_secs(20);
const FALTER: Duration = Duration::from_secs(2);
const MEND: Duration = Duration::from_secs(90);
const SECOND: Duration = Duration::from_secs(1);
const RESTART: Duration = Duration::from_secs(8);
const WITHIN: Duration = Duration::from_secs(3);
const ALONE: Duration = Duration::from_millis(200);
const LOOK: Duration = Duration::from_millis(200);
const BYE: Duration = Duration::from_millis(100);
const STEPS_MAX: usize = 256;
const UNREACHABLE: u16 = 701;

/// What Chromium takes from a call to the end of its promise, as measured from a page's events: making and setting a
/// description of ours, setting theirs, adding a candidate.
const SET_LOCAL: Duration = Duration::from_millis(7);
const SET_REMOTE: Duration = Duration::from_millis(3);
const ADD_CANDIDATE: Duration = Duration::from_millis(2);

/// Where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// A way is sought.
    Connecting,
    /// It carries.
    Open,
    /// It carried, and is being mended.
    Mending,
    /// No way was found.
    Failed,
    /// It is over.
    Closed,
}

/// What it wants of its lobby.
#[derive(Clone, Debug)]
pub(super) enum Effect {
    /// To the server.
    Note(Value),
    /// Its socket may be dead.
    Doubt,
    /// We are needed at the server again.
    Return,
    Opened,
    /// Another connection is to take the place of this one, by relays alone.
    Anew,
    State(LinkState),
    Failed(FailReason),
    Closed,
    /// Chromium did not take a description.
    Refused,
}

/// What it must know of its lobby.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Around {
    /// There is a session at the server.
    pub session: bool,
    /// Its socket is up.
    pub online: bool,
    /// Relays alone are wanted.
    pub relay_only: bool,
}

enum Step {
    Offer,
    /// The offer that stands, once more.
    Repeat,
    Description(Value),
    /// Their offer is set: ours is the answer to this version.
    Answer(u64),
    Candidate(Value),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Restarting {
    Falter,
    Again,
}

/// The link: see the module.
pub struct Link {
    /// Where it stands.
    pub state: LinkState,
    /// What the browser has of it.
    pub pc: PeerConnection,
    /// The application's messages.
    pub app: App,
    pub(super) peer: String,
    pub(super) channels: Channels,
    outbox: Outbox,
    pub(super) around: Around,
    pub(super) named: bool,
    pub(super) effects: VecDeque<Effect>,
    planted: Option<Planted>,
    offers: bool,
    pub(super) polite: bool,
    is_channel_open: bool,
    was_open: bool,
    began: Instant,
    /// When a restart began, ours or theirs, that has not brought us together yet.
    renewed: Option<Instant>,
    /// The same of the one before.
    renewed_before: Option<Instant>,
    /// Of the last input.
    now: Instant,
    took: Option<Duration>,
    origin: (String, u64),
    gate: Gate,
    /// Signals that were passed over.
    pub discarded: u32,
    steps: VecDeque<Step>,
    step: Option<(Instant, Step)>,
    local: BTreeSet<String>,
    remote: u32,
    turn_error: u16,
    has_ice: bool,
    is_incompatible: bool,
    has_left: bool,
    came: bool,
    carries: bool,
    beat: Duration,
    /// What had come, and when, when it was first asked whether the link carries.
    asked: Option<(u64, Instant)>,
    /// When it was last asked.
    pinged: Option<Instant>,
    /// The last round trip that the browser told of.
    rtt: Duration,
    /// The way that the browser takes while the link is mended, and how often it is still to be asked there.
    way: Option<Option<u32>>,
    probes: u32,
    wait: Duration,
    deadline: Option<Instant>,
    restarting: Option<(Instant, Restarting)>,
    beat_at: Option<Instant>,
    /// When it is looked whether anything came by the selected pair since what it was then.
    suspicions: VecDeque<Instant>,
    /// When it is looked whether candidates come without end.
    crowd_at: Option<Instant>,
    /// How often it has begun anew.
    pub(super) generation: u64,
    alone_at: Option<Instant>,
    report_at: Option<(Instant, u32)>,
    bye_at: Option<Instant>,
}

impl Link {
    pub(super) fn new(
        peer: String,
        (offers, polite): (bool, bool),
        (pc, channels): (PeerConnection, Channels),
        (app, planted): (App, Option<Planted>),
        now: Instant,
    ) -> Link {
        let mut link = Link {
            state: LinkState::Connecting,
            pc,
            app,
            peer,
            outbox: Outbox::new(&channels),
            channels,
            around: Around::default(),
            named: true,
            effects: VecDeque::new(),
            planted,
            offers,
            polite,
            is_channel_open: false,
            was_open: false,
            began: now,
            renewed: None,
            renewed_before: None,
            now,
            took: None,
            origin: (String::new(), 0),
            gate: Gate::default(),
            discarded: 0,
            steps: VecDeque::new(),
            step: None,
            local: BTreeSet::new(),
            remote: 0,
            turn_error: 0,
            has_ice: false,
            is_incompatible: false,
            has_left: false,
            came: false,
            carries: false,
            beat: BEAT,
            asked: None,
            pinged: None,
            rtt: Duration::ZERO,
            way: None,
            probes: 0,
            wait: SECOND,
            deadline: Some(now + CONNECT),
            restarting: None,
            beat_at: None,
            suspicions: VecDeque::new(),
            crowd_at: None,
            generation: 0,
            alone_at: None,
            report_at: None,
            bye_at: None,
        };
        if offers {
            link.push(Step::Offer, now);
        }
        link.look_for_a_crowd(now);
        link
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let times = [
            self.pc.poll_timeout(),
            self.app.poll_timeout(),
            self.step.as_ref().map(|(at, _)| *at),
            self.deadline,
            self.restarting.map(|(at, _)| at),
            self.beat_at,
            self.suspicions.front().copied(),
            self.crowd_at,
            self.alone_at,
            self.report_at.map(|(at, _)| at),
            self.bye_at,
        ];
        times.into_iter().flatten().min()
    }

    pub(super) fn handle_timeout(&mut self, neighbours: &Neighbours, now: Instant) {
        self.now = now;
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if due(self.pc.poll_timeout()) {
            self.pc.handle_timeout(now);
        }
        if due(self.bye_at.take_if(|at| *at <= now)) {
            self.pc.close(now);
        }
        if due(self.step.as_ref().map(|(at, _)| *at)) {
            self.run_step(neighbours, now);
        }
        if due(self.beat_at.take_if(|at| *at <= now)) {
            self.beat(now);
        }
        self.look_at_suspicions(now);
        if due(self.crowd_at.take_if(|at| *at <= now)) {
            self.uncrowd(now);
        }
        if due(self.alone_at.take_if(|at| *at <= now)) && self.state == LinkState::Mending {
            if self.around.session {
                self.alone_at = Some(now + ALONE);
            } else {
                self.effects.push_back(Effect::Return);
            }
        }
        if let Some((_, what)) = self.restarting.take_if(|(at, _)| *at <= now) {
            match what {
                Restarting::Falter => self.mend(true, now),
                Restarting::Again => self.again(false, now),
            }
        }
        if let Some((_, tries)) = self.report_at.take_if(|(at, _)| *at <= now) {
            self.report(tries, now);
        }
        if due(self.deadline.take_if(|at| *at <= now)) {
            self.fail(false, now);
        }
        if self.is_usable() {
            let mut sending = Sending { transport: self.pc.transport(), outbox: &mut self.outbox };
            self.app.handle_timeout(&mut sending, &self.channels, now);
        } else {
            self.app.pass(now);
        }
        self.work(now);
    }

    /// The application may send.
    fn is_usable(&self) -> bool {
        matches!(self.state, LinkState::Open | LinkState::Mending)
    }

    /// What the connection says.
    pub(super) fn work(&mut self, now: Instant) {
        self.now = now;
        self.pc.work(now);
        while let Some(event) = self.pc.poll_event() {
            match event {
                Event::Candidate(candidate) => self.gathered(candidate, now),
                Event::TurnError(code) => {
                    if self.turn_error == 0 || code != UNREACHABLE {
                        self.turn_error = code;
                    }
                }
                Event::Changed => self.watch(now),
                Event::Open(id) => {
                    self.is_channel_open = true;
                    if self.channels.opened(id) {
                        self.app.begin(now);
                    }
                    self.opened(now);
                }
                Event::Message(id, bytes) => self.message(id, &bytes, now),
                Event::Closed(_) => self.gone(now),
            }
            self.pc.work(now);
        }
        if self.outbox.pump(self.pc.transport(), now) {
            self.pc.work(now);
        }
    }

    fn message(&mut self, id: twocan_rtc::ChannelId, bytes: &[u8], now: Instant) {
        if self.state == LinkState::Closed {
            return;
        }
        self.came = true;
        if self.planted == Some(Planted::SwallowsAMessage) {
            self.planted = None;
            return;
        }
        let Some(text) = self.channels.received(id, bytes, &mut self.app, now) else { return };
        let Ok(control) = serde_json::from_str::<Value>(&text) else { return };
        match control["type"].as_str() {
            Some("bye") => self.gone(now),
            Some("ping") if control["reply"] == true => self.pong(now),
            Some("pong") => self.answered(now),
            Some("signal") => {
                if !self.around.online && control["kind"] == "description" {
                    self.suspect(now);
                }
                self.signal(&control["kind"], control["data"].clone(), now);
            }
            _ => {}
        }
    }

    /// The server links us again.
    pub(super) fn relink(&mut self, now: Instant) {
        self.now = now;
        self.named = true;
        if self.state == LinkState::Open {
            self.report(5, now);
        } else {
            self.mend(true, now);
        }
    }

    /// A signal of the other side, by whichever way.
    pub(super) fn signal(&mut self, kind: &Value, data: Value, now: Instant) {
        self.now = now;
        let word = kind.as_str().unwrap_or_default();
        if self.steps.len() >= STEPS_MAX || !self.gate.admits(word, &data, now) {
            self.discarded += 1;
            return;
        }
        let step = match kind.as_str() {
            Some("description") => Step::Description(data),
            _ => Step::Candidate(data),
        };
        self.push(step, now);
    }

    /// The other side is gone for good.
    pub(super) fn gone(&mut self, now: Instant) {
        self.now = now;
        if self.state == LinkState::Closed {
            return;
        }
        self.has_left = true;
        if matches!(self.state, LinkState::Connecting | LinkState::Mending) {
            self.fail(false, now);
        }
        self.close(now);
    }

    pub(super) fn close(&mut self, now: Instant) {
        self.now = now;
        if self.state == LinkState::Closed {
            return;
        }
        self.quiet();
        (self.beat_at, self.report_at, self.alone_at, self.crowd_at) = (None, None, None, None);
        self.suspicions.clear();
        self.hold(false, now);
        self.app.stop();
        self.become_state(LinkState::Closed);
        self.bye_at = Some(now + BYE);
        self.effects.push_back(Effect::Closed);
    }

    fn push(&mut self, step: Step, now: Instant) {
        self.steps.push_back(step);
        self.next_step(now);
    }

    /// Begins the next step: what it looks at is looked at now, what it does takes its time.
    fn next_step(&mut self, now: Instant) {
        while self.step.is_none() {
            let Some(step) = self.steps.pop_front() else { return };
            let takes = match &step {
                Step::Offer | Step::Answer(_) => SET_LOCAL,
                Step::Repeat => Duration::ZERO,
                Step::Candidate(_) => ADD_CANDIDATE,
                Step::Description(description) => {
                    if self.state == LinkState::Closed || !self.takes(&description.clone(), now) {
                        continue;
                    }
                    SET_REMOTE
                }
            };
            self.step = Some((now + takes, step));
        }
    }

    fn run_step(&mut self, neighbours: &Neighbours, now: Instant) {
        let Some((_, step)) = self.step.take() else { return };
        if self.state != LinkState::Closed {
            match step {
                Step::Offer => {
                    self.pc.set_local_description(now);
                    self.describe(None);
                }
                Step::Repeat => self.describe(None),
                Step::Answer(version) => {
                    self.pc.set_local_description(now);
                    self.describe(Some(version));
                }
                Step::Description(description) => self.set_remote(&description, now),
                Step::Candidate(data) => self.add_candidate(data, neighbours, now),
            }
        }
        self.next_step(now);
        self.work(now);
    }

    /// Whether a description is for this moment.
    fn takes(&mut self, description: &Value, now: Instant) -> bool {
        let is_offer = description["type"] == "offer";
        let (session, version) = origin(description["sdp"].as_str().unwrap_or_default());
        if session == self.origin.0 && version <= self.origin.1 {
            // Whoever says an offer again has no answer.
            let is_answered = self.pc.local_description().is_some_and(|(kind, _)| *kind == Kind::Answer);
            if is_offer && version == self.origin.1 && is_answered {
                self.describe(Some(version));
            }
            return false;
        }
        let is_out_of_turn = if is_offer {
            !self.polite && self.pc.signaling != Signaling::Stable
        } else {
            self.pc.signaling != Signaling::HaveLocalOffer
        };
        let own = self.pc.local_description().map_or(0, |(_, sdp)| origin(sdp).1);
        let is_of_other = description["offer"].as_u64().is_some_and(|offer| offer != own);
        if is_out_of_turn || !is_offer && is_of_other {
            return false;
        }
        self.origin = (session, version);
        if self.state == LinkState::Failed {
            self.mend(false, now);
        }
        true
    }

    fn set_remote(&mut self, description: &Value, now: Instant) {
        let is_offer = description["type"] == "offer";
        let kind = if is_offer { Kind::Offer } else { Kind::Answer };
        let sdp = description["sdp"].as_str().unwrap_or_default();
        if self.pc.set_remote_description(kind, sdp, now).is_err() {
            self.effects.push_back(Effect::Refused);
            self.is_incompatible = true;
            if self.state == LinkState::Connecting {
                self.fail(false, now);
            }
            return;
        }
        self.gate.taken(sdp);
        self.remote += u32::try_from(candidates_in(sdp)).unwrap_or(u32::MAX);
        if is_offer {
            self.renewed_before = self.renewed.replace(now);
            self.step = Some((now + SET_LOCAL, Step::Answer(origin(sdp).1)));
        }
    }

    fn add_candidate(&mut self, data: Value, neighbours: &Neighbours, now: Instant) {
        let Ok(init) = serde_json::from_value::<CandidateInit>(data) else { return };
        let mut words = init.candidate.split_ascii_whitespace();
        let address = words.nth(4).and_then(|word| neighbours.address_of(word));
        self.remote += u32::from(words.nth(2).is_some());
        self.pc.add_ice_candidate(&init, address, now);
    }

    fn describe(&mut self, offer: Option<u64>) {
        let Some((kind, sdp)) = self.pc.local_description() else { return };
        let mut data = json!({ "type": kind.as_str(), "sdp": sdp });
        if let Some(offer) = offer {
            data["offer"] = json!(offer);
        }
        if self.generation > 0 {
            data["anew"] = json!(self.generation);
        }
        // What waits in the link belongs to the description before.
        self.outbox.clear_held_control();
        self.send("description", data, None);
    }

    fn gathered(&mut self, candidate: Option<CandidateInit>, now: Instant) {
        let Some(init) = candidate else {
            self.send("end-of-candidates", Value::Null, None);
            if self.state == LinkState::Connecting && self.local.is_empty() && self.generation == 0 {
                self.fail(false, now);
            }
            return;
        };
        let class = init.candidate.split_ascii_whitespace().nth(7).unwrap_or_default().to_owned();
        self.local.insert(class.clone());
        self.send("candidate", serde_json::to_value(&init).unwrap_or_default(), Some(&class));
    }

    /// Over the server where both are with it, else over the link; both ways while it is mended.
    fn send(&mut self, kind: &str, data: Value, class: Option<&str>) {
        let signal = json!({ "type": "signal", "kind": kind, "data": data });
        let by_server = self.named && self.around.session;
        if by_server {
            let mut note = signal.clone();
            note["to"] = json!(self.peer);
            if let Some(class) = class {
                note["class"] = json!(class);
            }
            self.effects.push_back(Effect::Note(note));
        }
        // A server whose socket is away may never be back, while the link carries.
        let is_alone = self.state != LinkState::Connecting && !self.around.online;
        let both =
            (self.state == LinkState::Mending || is_alone) && self.planted != Some(Planted::SignalsToNobody);
        if !by_server || both {
            self.control(&signal);
        }
    }

    /// The server did not pass a signal on.
    pub(super) fn refused(&mut self, said: &Value, now: Instant) {
        self.now = now;
        if self.planted == Some(Planted::SignalsToNobody) {
            return;
        }
        self.named = false;
        if self.state != LinkState::Connecting {
            let signal = json!({ "type": "signal", "kind": said["kind"], "data": said["data"] });
            self.control(&signal);
        }
    }

    /// The server does not link us with the other side any more.
    pub(super) fn unname(&mut self) {
        self.named = self.planted == Some(Planted::SignalsToNobody);
    }

    /// Says something on the control channel, as far as that can be said.
    pub(super) fn control(&mut self, message: &Value) {
        let mut sending = Sending { transport: self.pc.transport(), outbox: &mut self.outbox };
        self.channels.control(&mut sending, &message.to_string(), self.now);
    }

    fn watch(&mut self, now: Instant) {
        self.has_ice |= self.pc.ice_is_connected();
        match self.pc.state() {
            State::Connected => {
                let trusts = self.planted == Some(Planted::TrustsConnected);
                if self.pc.signaling != Signaling::Stable && !trusts {
                    // Nobody else makes it anew, and theirs are passed over for it.
                    if self.state == LinkState::Open {
                        self.restarting.get_or_insert((now + RESTART, Restarting::Falter));
                    }
                    return;
                }
                if self.state == LinkState::Open {
                    self.quiet();
                } else if self.state == LinkState::Connecting || self.carries || trusts {
                    self.opened(now);
                }
            }
            State::Failed if self.state == LinkState::Connecting => self.fail(true, now),
            State::Failed if self.state == LinkState::Open => self.mend(true, now),
            State::Disconnected if self.state == LinkState::Open => {
                self.restarting.get_or_insert((now + FALTER, Restarting::Falter));
            }
            _ => {}
        }
    }

    fn opened(&mut self, now: Instant) {
        if matches!(self.state, LinkState::Open | LinkState::Closed) || !self.is_channel_open {
            return;
        }
        self.quiet();
        (self.renewed, self.renewed_before) = (None, None);
        self.took.get_or_insert(now.saturating_duration_since(self.began));
        self.become_state(LinkState::Open);
        self.beat = BEAT;
        self.asked = None;
        self.listen(now);
        if !std::mem::replace(&mut self.was_open, true) {
            self.effects.push_back(Effect::Opened);
        }
        self.report(5, now);
    }

    /// Tells the server by which way we are linked.
    fn report(&mut self, tries: u32, now: Instant) {
        if !self.around.session {
            return;
        }
        let path = self.pc.ice.path();
        if path.is_none() && tries > 0 {
            self.report_at = Some((now + LOOK / 2, tries - 1));
        } else if self.state == LinkState::Open {
            let is_relayed =
                |path: super::ice::Selected| [path.local, path.remote].contains(&twocan_ice::Kind::Relayed);
            let word = if path.is_some_and(is_relayed) { "relayed" } else { "direct" };
            let ms = self.took.unwrap_or_default().as_millis() as u64;
            let [local, remote] = path.map_or(["host"; 2], |path| [path.local, path.remote].map(class));
            let what = json!({
                "type": "linked", "peer": self.peer, "path": word, "local": local, "remote": remote, "ms": ms,
            });
            self.effects.push_back(Effect::Note(what));
        }
    }

    /// The link falters, or is tried once more.
    fn mend(&mut self, restart: bool, now: Instant) {
        self.quiet();
        (self.has_ice, self.is_incompatible, self.has_left, self.turn_error) = (false, false, false, 0);
        self.become_state(if self.was_open { LinkState::Mending } else { LinkState::Connecting });
        self.carries = false;
        self.hold(true, now);
        (self.way, self.probes) = (None, 0);
        self.beat = BEAT;
        self.asked = None;
        self.listen(now);
        self.look_for_a_crowd(now);
        self.effects.push_back(Effect::Doubt);
        self.deadline = Some(now + if self.state == LinkState::Mending { MEND } else { CONNECT });
        self.wait = SECOND + 4 * self.rtt;
        // An offer of ours that went over the dead link must be made again, or theirs would be passed over for it.
        if restart && (self.offers || self.pc.signaling != Signaling::Stable) {
            self.again(true, now);
        } else {
            self.restarting = Some((now + RESTART / 2, Restarting::Again));
        }
        self.alone_at = Some(now + ALONE);
    }

    fn again(&mut self, is_first: bool, now: Instant) {
        let is_young = self.renewed_before.is_some_and(|then| now < then + WITHIN);
        if is_first && is_young && self.pc.signaling != Signaling::Stable {
            self.push(Step::Repeat, now);
        } else {
            self.renewed_before = self.renewed.replace(now);
            self.pc.restart_ice();
            self.push(Step::Offer, now);
        }
        self.restarting = Some((now + self.wait, Restarting::Again));
        self.wait = self.wait.mul_f64(2.5).min(RESTART);
    }

    fn quiet(&mut self) {
        (self.deadline, self.restarting) = (None, None);
    }

    pub(super) fn fail(&mut self, gave_up: bool, now: Instant) {
        self.now = now;
        self.quiet();
        let reason = self.verdict(gave_up);
        self.become_state(LinkState::Failed);
        let what = json!({ "type": "failed", "peer": self.peer, "reason": reason.word() });
        self.effects.push_back(Effect::Note(what));
        self.effects.push_back(Effect::Failed(reason));
    }

    /// `web/sdk/src/verdict.ts`.
    fn verdict(&self, gave_up: bool) -> FailReason {
        let is_relay_missing = self.turn_error != 0 && !self.local.contains("relay");
        match () {
            () if self.has_left => FailReason::PeerLeft,
            () if self.is_incompatible => FailReason::Incompatible,
            () if self.has_ice => FailReason::DtlsFailed,
            () if !self.around.online => FailReason::SignalingLost,
            () if is_relay_missing && (self.remote > 0 || self.around.relay_only) => {
                if self.turn_error == UNREACHABLE {
                    FailReason::TurnUnreachable
                } else {
                    FailReason::TurnRejected
                }
            }
            () if self.local.is_empty() => FailReason::NoCandidates,
            () if self.remote == 0 => FailReason::NoRemoteCandidates,
            () if gave_up => FailReason::ChecksFailed,
            () => FailReason::Timeout,
        }
    }

    fn become_state(&mut self, state: LinkState) {
        if std::mem::replace(&mut self.state, state) != state {
            self.effects.push_back(Effect::State(state));
        }
    }

    pub(super) fn is_hopeful(&self) -> bool {
        matches!(self.state, LinkState::Mending | LinkState::Connecting)
    }
}

fn class(kind: twocan_ice::Kind) -> &'static str {
    match kind {
        twocan_ice::Kind::Host => "host",
        twocan_ice::Kind::ServerReflexive => "srflx",
        twocan_ice::Kind::PeerReflexive => "prflx",
        twocan_ice::Kind::Relayed => "relay",
    }
}

/// The `o=` line of a description, as session and version.
fn origin(sdp: &str) -> (String, u64) {
    let line = sdp.lines().find(|line| line.starts_with("o=")).unwrap_or_default();
    let mut words = line.split(' ').skip(1);
    let session = words.next().unwrap_or_default().to_owned();
    (session, words.next().and_then(|word| word.parse().ok()).unwrap_or(0))
}
