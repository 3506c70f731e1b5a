//! What one part says is carried to the others, until none has anything left to say.

use std::time::Instant;

use twocan_ice::{Agent, Kind, Selected, State};

use super::Connection;
use super::inbound::DTLS_IN_STUN;
use super::lifecycle::Phase;
use crate::event::{Command, Event, Path, PathInfo, Protocol};
use crate::transport::{self, Remote};

use crate::gather;

impl Connection {
    /// After every input but DTLS, which concerns the transport alone.
    pub(super) fn settle(&mut self, now: Instant) {
        loop {
            let mut is_quiet = true;
            while let Some(event) = self.gatherer.poll_event() {
                is_quiet = false;
                self.take_gather_event(event, now);
            }
            while let Some(command) = self.gatherer.poll_command() {
                self.take_gather_command(command);
            }
            while let Some(event) = self.agent.as_mut().and_then(Agent::poll_event) {
                is_quiet = false;
                self.take_ice_event(event, now);
            }
            while let Some(command) = self.agent.as_mut().and_then(Agent::poll_command) {
                is_quiet = false;
                self.take_ice_command(command, now);
            }
            self.release_early(now);
            self.take_transport_events(now);
            is_quiet &= !self.offer_if_wanted(now);
            if is_quiet {
                break;
            }
        }
        // No application byte goes where consent has expired.
        if self.selected.is_some() && self.agent.as_ref().is_some_and(|agent| agent.selected().is_none()) {
            self.selected = None;
        }
        self.queue_transmits(now);
    }

    fn take_gather_event(&mut self, event: gather::Event, now: Instant) {
        match event {
            gather::Event::Candidate(gathered) => self.gathered(gathered, now),
            gather::Event::CandidateError(gather::CandidateError { url, code, text }) => {
                if url.starts_with("turn") {
                    self.lifecycle.turn.add(code);
                }
                self.output.event(Event::CandidateError { url, code, text: text.into() });
            }
            gather::Event::Done => self.all_gathered(now),
            gather::Event::SocketLost(socket) => self.forget_socket(socket, now),
            gather::Event::Closed => {}
        }
    }

    fn take_gather_command(&mut self, command: gather::Command) {
        match command {
            gather::Command::Resolve { query, name } => self.ask_server(query, name),
            gather::Command::OpenStream { socket, to, tls } => {
                self.output.command(Command::OpenStream { socket, to, tls, from: None });
            }
            gather::Command::CloseStream(socket) => self.output.command(Command::CloseSocket(socket)),
            gather::Command::Announce { name, address } => {
                self.output.command(Command::Announce { name, ip: address });
            }
        }
    }

    fn take_ice_command(&mut self, command: twocan_ice::Command, now: Instant) {
        match command {
            twocan_ice::Command::OpenStream { socket, to } => self.open_ice_stream(socket, to, now),
            twocan_ice::Command::CloseStream { socket, to } => self.close_ice_stream(socket, to),
        }
    }

    fn take_ice_event(&mut self, event: twocan_ice::Event, now: Instant) {
        use twocan_ice::Event;
        match event {
            // One that went with its socket meanwhile is none.
            Event::Selected(selected)
                if self.agent.as_ref().is_some_and(|agent| agent.selected().is_some()) =>
            {
                self.select(selected, now);
            }
            Event::StateChanged(State::Connected | State::Completed) => self.path_found(now),
            Event::StateChanged(State::Disconnected) => self.falter(now),
            Event::Failed(verdict) => self.gave_up(verdict, now),
            Event::Embedded { kind: DTLS_IN_STUN, bytes } => self.embedded(&bytes, now),
            Event::Selected(_) | Event::StateChanged(_) | Event::RoleChanged(_) | Event::Embedded { .. } => {}
        }
    }

    /// Data goes this way from now on; the first time the transport begins.
    fn select(&mut self, selected: Selected, now: Instant) {
        let selected = Selected { remote_kind: self.remote_kind(&selected), ..selected };
        let before = self.path_info();
        let is_other_way = self
            .selected
            .is_none_or(|known| (known.socket, known.remote) != (selected.socket, selected.remote));
        self.selected = Some(selected);
        if is_other_way {
            self.lifecycle.selected_at = Some(now);
        }
        if !self.is_started {
            self.start_transport(selected, now);
        } else if is_other_way {
            self.transport.path_changed(selected.rtt, now);
        } else if let Some(rtt) = selected.rtt {
            self.transport.set_rtt(rtt);
        }
        let after = self.path_info();
        self.direct_search.follow(selected.is_relayed(), self.lifecycle.renewed, now);
        let known = |path: Option<PathInfo>| path.map(|path| PathInfo { rtt: None, ..path });
        if is_other_way || known(before) != known(after) {
            self.stats.path_changes += u32::from(before.is_some());
            after.map(Event::Path).into_iter().for_each(|event| self.output.event(event));
        }
        self.maybe_up(now);
    }

    /// What the other side's end is. One that was never signaled, and is where our own relay has its addresses, is relayed too, unless one of
    /// us lives on the relay's machine.
    fn remote_kind(&self, selected: &Selected) -> Kind {
        let ip = selected.remote.ip();
        let is_theirs = || self.agent.as_ref().is_some_and(|agent| agent.is_named(ip));
        let is_hidden =
            selected.remote_kind == Kind::PeerReflexive && self.local.is_on_relay(ip) && !is_theirs();
        if is_hidden { Kind::Relayed } else { selected.remote_kind }
    }

    fn start_transport(&mut self, selected: Selected, now: Instant) {
        let Some(remote) = &self.negotiation.remote else { return };
        let session = &remote.session;
        let remote = Remote {
            role: remote.role,
            fingerprints: session.fingerprints.clone(),
            sctp_port: session.sctp_port,
            max_message_size: session.max_message_size,
            // Some echo whatever they do not know: ours is not theirs.
            sctp_init: session
                .sctp_init
                .clone()
                .filter(|init| Some(init) != self.transport.sctp_init().as_ref()),
        };
        self.is_started = true;
        self.transport.start(remote, selected.rtt, now);
    }

    /// The way that data goes.
    pub(super) fn path_info(&self) -> Option<PathInfo> {
        let selected = self.selected?;
        Some(PathInfo {
            path: if selected.is_relayed() { Path::Relayed } else { Path::Direct },
            local: selected.local_kind,
            remote: selected.remote_kind,
            protocol: match selected.transport {
                twocan_ice::Transport::Udp => Protocol::Udp,
                twocan_ice::Transport::Tcp(_) => Protocol::Tcp,
            },
            relay_protocol: self.gatherer.relay_protocol(selected.socket).map(Protocol::from),
            rtt: selected.rtt,
        })
    }

    /// Datagrams that came before their pair was validated.
    fn release_early(&mut self, now: Instant) {
        if self.early.is_empty() || !self.is_started {
            return;
        }
        let Some(agent) = &self.agent else { return };
        for bytes in self.early.release(|socket, from| agent.is_validated(socket, from)) {
            let taken = self.secured(&bytes, now);
            // Counted: whoever sent it learns nothing of it.
            let _ = self.counted(taken);
        }
    }

    /// The transport's events are the connection's, as far as they are read.
    pub(super) fn take_transport_events(&mut self, now: Instant) {
        while self.output.has_room() {
            let Some(event) = self.transport.poll_event() else { break };
            let event = match event {
                transport::Event::Connected => {
                    self.lifecycle.is_secured = true;
                    self.maybe_up(now);
                    continue;
                }
                transport::Event::Closed { why } => {
                    if self.lifecycle.phase != Phase::Closed {
                        self.transport_closed(why, now);
                    }
                    continue;
                }
                transport::Event::ChannelOpen { id, init } => Event::ChannelOpen { id, init },
                transport::Event::Message { id, kind, bytes } => Event::Message { id, kind, bytes },
                transport::Event::BufferedAmountLow { id } => Event::BufferedAmountLow { id },
                transport::Event::ChannelClosed { id } => Event::ChannelClosed { id },
            };
            self.count_channel(&event);
            self.output.event(event);
        }
    }
}
