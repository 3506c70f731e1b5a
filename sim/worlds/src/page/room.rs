//! `web/sdk/src/lobby.ts` and `net.ts`: the lobby, the way out of the server, and the return by ticket.

use std::time::{Duration, Instant};

use rand_core::RngCore as _;
use serde_json::{Value, json};
use twocan_rtc::gather::{IceServer, IceUrl};

use super::Page;
use super::link::LinkState;
use super::session::{Asked, Output};
use crate::player::News;

/// From one return to the server to the next.
const RETURN: Duration = Duration::from_secs(4);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// No lobby is entered yet.
    #[default]
    Outside,
    Open,
    Sealed,
    Complete,
    Gone,
}

/// The lobby, as the page has it.
#[derive(Debug, Default)]
pub(super) struct Room {
    state: State,
    /// What we asked to enter, until there is a session.
    entering: Option<Value>,
    /// The session that the lobby hangs on.
    pub session: Option<usize>,
    /// The one that was opened to return.
    returning: Option<usize>,
    ticket: Option<String>,
    servers: Value,
    settle_at: Option<Instant>,
    return_at: Option<Instant>,
}

impl Room {
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.settle_at.into_iter().chain(self.return_at).min()
    }
}

impl Page {
    pub(super) fn enter(&mut self, frame: Value, now: Instant) {
        let session = self.open_session(now);
        self.room.session = Some(session);
        self.room.entering = Some(frame);
        self.work(now);
    }

    pub(super) fn seal(&mut self) {
        if let (State::Open, Some(session)) = (self.room.state, self.room.session) {
            self.sessions[session].request(json!({ "type": "seal" }), Asked::Plain);
        }
    }

    pub(super) fn servers(&self) -> Vec<IceServer> {
        let word = self.settings.only_urls;
        let Some(all) = self.room.servers.as_array() else { return Vec::new() };
        let read = |server: &Value| {
            let urls = server["urls"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let wanted = urls.filter(|url| word.is_none_or(|word| url.contains(word)));
            IceServer {
                urls: wanted.filter_map(|url| IceUrl::parse(url).ok()).collect(),
                username: server["username"].as_str().unwrap_or_default().to_owned(),
                credential: server["credential"].as_str().unwrap_or_default().to_owned(),
            }
        };
        all.iter().map(read).filter(|server| !server.urls.is_empty()).collect()
    }

    pub(super) fn handle_room_timeout(&mut self, now: Instant) {
        if self.room.settle_at.take_if(|at| *at <= now).is_some() {
            self.settle();
        }
        if self.room.return_at.take_if(|at| *at <= now).is_some() {
            self.return_to_server(now);
        }
    }

    pub(super) fn session_event(&mut self, index: usize, output: Output, now: Instant) {
        let is_ours = self.room.session == Some(index);
        let is_return = self.room.returning == Some(index);
        match output {
            Output::Opened if is_return => {
                let ticket = self.room.ticket.clone().unwrap_or_default();
                let frame = json!({ "type": "return", "ticket": ticket });
                self.sessions[index].request(frame, Asked::Return);
            }
            Output::Opened => {
                if let Some(frame) = self.room.entering.take() {
                    self.sessions[index].request(frame, Asked::Enter);
                }
            }
            Output::Answer(asked, result) => self.answered(index, asked, result, now),
            Output::Refused(said) if is_ours => {
                if let Some(link) = &mut self.link {
                    link.refused(&said, now);
                }
            }
            Output::Happening(frame) if is_ours || is_return => self.happening(&frame, now),
            Output::Up(kept) if !kept && is_return => self.sessions[index].close(),
            Output::Up(kept) if !kept && is_ours => self.removed("session-lost", now),
            Output::Ended if is_return => self.return_ended(index, now),
            Output::Ended if is_ours => match self.room.state {
                State::Complete => self.room.session = None,
                State::Gone => {}
                State::Outside => self.tell(News::Refused("unreachable".into()), now),
                State::Open | State::Sealed => self.removed("session-lost", now),
            },
            _ => {}
        }
        self.tell_around();
    }

    fn answered(&mut self, index: usize, asked: Asked, result: Result<Value, String>, now: Instant) {
        match (asked, result) {
            (Asked::Enter, Ok(reply)) => {
                self.room.state = State::Open;
                let code = reply["lobby"]["code"].as_str().unwrap_or_default().to_owned();
                self.tell(News::Entered(code), now);
            }
            (Asked::Enter, Err(why)) => self.tell(News::Refused(why), now),
            (Asked::Return, Ok(_)) => {
                self.room.session = Some(index);
                self.settle();
            }
            (Asked::Return, Err(why)) => {
                if why == "bad-ticket" {
                    self.room.ticket = None;
                }
                self.sessions[index].close();
            }
            (Asked::Plain, _) => {}
        }
    }

    /// Something happened at the server.
    fn happening(&mut self, frame: &Value, now: Instant) {
        match frame["type"].as_str().unwrap_or_default() {
            "ice" => self.renew(frame),
            "link" => {
                self.tell_around();
                if let Some(link) = &mut self.link {
                    return link.relink(now);
                }
                let peer = frame["peer"].as_str().unwrap_or_default().to_owned();
                self.connect(peer, frame["role"] == "offer", frame["polite"] == true, now);
            }
            "signal" => self.signaled(frame, now),
            "left" => self.member_left(frame, now),
            "sealed" if self.room.state == State::Open => self.room.state = State::Sealed,
            "unsealed" if self.room.state == State::Sealed => self.room.state = State::Open,
            "removed" => {
                let why = if frame["why"] == "kicked" { "kicked" } else { "lobby-closed" };
                self.removed(why, now);
            }
            "complete" => self.complete(frame, now),
            _ => {}
        }
    }

    fn member_left(&mut self, frame: &Value, now: Instant) {
        let Some(link) = &mut self.link else { return };
        link.unname();
        // In a lobby that we returned to, whoever is done with mending leaves; the links stay.
        if self.room.state == State::Complete && frame["why"] != "kicked" {
            return;
        }
        if frame["why"] != "lost" || link.state != LinkState::Open {
            link.gone(now);
        }
    }

    fn renew(&mut self, frame: &Value) {
        self.room.servers = frame["servers"].clone();
        let servers = self.servers();
        if let Some(link) = &mut self.link {
            link.pc.set_configuration(servers);
        }
    }

    fn complete(&mut self, frame: &Value, now: Instant) {
        self.room.ticket = frame["ticket"].as_str().map(str::to_owned);
        self.renew(&frame["ice"]);
        if let Some(link) = &mut self.link {
            link.unname();
        }
        if let Some(session) = self.room.session.take() {
            self.sessions[session].is_done = true;
        }
        if self.room.returning.is_none() {
            self.room.state = State::Complete;
            self.tell(News::Complete, now);
        }
    }

    /// We are out; links that are up stay up.
    fn removed(&mut self, why: &'static str, now: Instant) {
        if self.room.state == State::Gone {
            return;
        }
        self.room.state = State::Gone;
        self.room.ticket = None;
        if let Some(session) = self.room.returning {
            self.sessions[session].close();
        }
        self.room.session = None;
        self.tell_around();
        match &mut self.link {
            None => self.tell(News::GaveUp(why), now),
            Some(link) if link.state == LinkState::Connecting && !link.pc.has_remote() => {
                link.fail(false, now);
            }
            Some(_) => {}
        }
    }

    /// Back to the server by ticket, for as long as the link is down.
    pub(super) fn return_to_server(&mut self, now: Instant) {
        let is_wanted = self.link.as_ref().is_some_and(super::Link::is_hopeful);
        if self.room.returning.is_none() && self.room.ticket.is_some() && is_wanted {
            let session = self.open_session(now);
            self.room.returning = Some(session);
        }
    }

    fn return_ended(&mut self, index: usize, now: Instant) {
        if self.room.session == Some(index) {
            self.room.session = None;
        }
        self.room.returning = None;
        let chance = f64::from(self.random.next_u32()) / f64::from(u32::MAX);
        self.room.return_at = Some(now + RETURN.mul_f64(1.0 + chance));
    }

    /// Where the link stands is another.
    pub(super) fn link_state(&mut self, state: LinkState, now: Instant) {
        if state == LinkState::Open && self.room.returning.is_some() {
            self.room.settle_at = Some(now + RETURN);
        }
    }

    /// Nothing is left to mend: whoever came back to the server for that leaves it again.
    pub(super) fn settle(&mut self) {
        let is_wanted = self.link.as_ref().is_some_and(super::Link::is_hopeful);
        if let (Some(_), Some(session), false) = (self.room.returning, self.room.session, is_wanted) {
            self.sessions[session].close();
        }
    }

    /// The link hears how we stand with the server.
    pub(super) fn tell_around(&mut self) {
        let session = self.room.session;
        let online = session.is_some_and(|session| self.sessions[session].is_up);
        let relay_only = self.settings.relay_only;
        if let Some(link) = &mut self.link {
            link.around = super::link::Around { session: session.is_some(), online, relay_only };
        }
    }
}
