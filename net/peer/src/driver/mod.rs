//! The task of one connection: it owns the state machine and its sockets, and nothing else touches them.
//!
//! ```text
//!  program ──► commands ──►┐                 ┌──► UDP sockets, one per address
//!                          │  Driver ──► rtc::Connection
//!  program ◄── events  ◄───┘                 └──► streams, names: helpers beside it
//! ```
//!
//! One turn takes everything that has come, lets the machine work, and sends everything that it has to say. So a burst of
//! datagrams costs one wake-up, and is answered once.

mod helpers;
pub(crate) mod interfaces;
mod lines;
mod mdns;
mod queue;
mod reach;
mod routes;
mod shared;
mod stream;
#[cfg(test)]
mod tests;
mod udp;
pub(crate) mod watch;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future as _;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::net::TcpListener;
use tokio::time::Sleep;
use twocan_ice::SocketId;
use twocan_rtc::gather::IceServer;
use twocan_rtc::transport::Certificate;
use twocan_rtc::{Connection, Event};

pub use queue::Queue;
pub use shared::{Command, Shared, message_weight};

use crate::connection::{Addresses, ConnectionConfig, ConnectionEvent, Line, Message, Receive, Roots};
use helpers::{Done, Helpers};
use interfaces::Found;
use lines::{Lines, channel, charged};
use stream::Stream;
use udp::{Buffers, Udp};

/// Turns in a row, before other tasks get theirs.
const TURNS_MAX: usize = 16;
/// How long the end of a connection may take: the other side's answer, and the relays'.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a socket may stay blocked before what waits in it is dropped.
const BLOCKED_MAX: Duration = Duration::from_millis(500);

thread_local! {
    /// Shared by all connections of this thread: a buffer is in use only within one turn.
    static BUFFERS: RefCell<Buffers> = RefCell::new(Buffers::new());
}

/// The task of one connection.
pub struct Driver {
    machine: Connection,
    shared: Arc<Shared>,
    receive: Receive,
    addresses: Addresses,
    loopback: bool,
    roots: Roots,
    found: Arc<[Found]>,
    sockets: Vec<(SocketId, Udp)>,
    /// Where TCP candidates are wanted: one for each address.
    listeners: Option<Vec<(SocketId, TcpListener)>>,
    streams: Vec<(SocketId, Stream)>,
    helpers: Helpers,
    lines: Lines,
    commands: VecDeque<Command>,
    events: VecDeque<ConnectionEvent>,
    timer: Pin<Box<Sleep>>,
    /// When the timer goes off; it may be too early, and is then set anew.
    timer_at: Instant,
    /// Since when nothing could be sent.
    blocked_since: Option<Instant>,
    /// When a connection that is being closed ends, answered or not.
    ends_at: Option<Instant>,
    is_over: bool,
}

impl Driver {
    /// Binds a socket to each address. Must be called within a runtime.
    pub fn new(config: ConnectionConfig, shared: Arc<Shared>) -> io::Result<Self> {
        let watching: std::sync::Weak<Shared> = Arc::downgrade(&shared);
        let found = match &config.addresses {
            Addresses::All => watch::watch(watching)?,
            Addresses::Only(_) => Arc::default(),
        };
        let now = Instant::now();
        let certificate = config.certificate.unwrap_or_else(Certificate::generate);
        let loopback = config.loopback || any_on_loopback(&config.servers);
        let servers = reach::servers(&config.servers);
        let machine = Connection::new(
            twocan_rtc::Config {
                servers: config.servers,
                policy: config.policy,
                polite: config.polite,
                hide_host_addresses: config.hide_addresses,
                ice: config.ice,
                is_tcp: config.tcp,
                connect_timeout: config.connect_timeout,
                mend_timeout: config.mend_timeout,
                ..twocan_rtc::Config::new(certificate)
            },
            seed()?,
            now,
        );
        let mut driver = Self {
            machine,
            shared,
            receive: config.receive,
            addresses: config.addresses,
            loopback,
            roots: config.roots,
            found,
            sockets: Vec::new(),
            listeners: config.tcp.then(Vec::new),
            streams: Vec::new(),
            helpers: Helpers::default(),
            lines: Lines::default(),
            commands: VecDeque::new(),
            events: VecDeque::new(),
            timer: Box::pin(tokio::time::sleep_until(now.into())),
            timer_at: now,
            blocked_since: None,
            ends_at: None,
            is_over: false,
        };
        driver.bind(now);
        driver.reach(servers, now);
        Ok(driver)
    }

    /// A TCP listener beside a UDP socket, where TCP is wanted.
    fn listen(&mut self, address: SocketAddr, now: Instant) {
        let Some(listeners) = &mut self.listeners else { return };
        match stream::listen(address).and_then(|listener| Ok((listener.local_addr()?, listener))) {
            Ok((local, listener)) => listeners.push((self.machine.add_listener(local, now), listener)),
            Err(error) => tracing::debug!(%error, "an address cannot be listened on"),
        }
    }

    /// Whoever connects to a listener of ours.
    fn accept(&mut self, context: &mut Context<'_>, now: Instant) -> bool {
        let mut progress = false;
        for (id, listener) in self.listeners.iter().flatten() {
            while let Poll::Ready(Ok((tcp, remote))) = listener.poll_accept(context) {
                progress = true;
                // One that is of no use, or of too many, is closed by being dropped.
                let Some(socket) = self.machine.add_stream(*id, remote, now) else { continue };
                match Stream::new(tcp) {
                    Ok(stream) => self.streams.push((socket, stream)),
                    Err(_) => self.machine.handle_stream_closed(socket, now),
                }
            }
        }
        progress
    }

    fn obey_program(&mut self, context: &Context<'_>, now: Instant) -> bool {
        let mut commands = std::mem::take(&mut self.commands);
        self.shared.commands.take_all(&mut commands, context);
        let progress = !commands.is_empty();
        for command in commands.drain(..) {
            self.obey_one(command, now);
        }
        // A burst's memory is not kept.
        commands.shrink_to(64);
        self.commands = commands;
        progress
    }

    fn obey_one(&mut self, command: Command, now: Instant) {
        match command {
            Command::Send { line, message } => self.lines.send(&mut self.machine, &line, message, now),
            Command::OpenChannel(line) => self.open_channel(line, now),
            Command::CloseChannel(line) => self.lines.close(&mut self.machine, &line, now),
            Command::Signal(signal) => {
                self.reach(reach::named(&signal), now);
                if let Err(why) = self.machine.handle_signal(signal, now) {
                    self.tell(ConnectionEvent::SignalRefused(why));
                }
            }
            Command::Negotiate => self.machine.negotiate(now),
            Command::RestartIce => self.machine.restart_ice(now),
            Command::SetServers(servers) => {
                if any_on_loopback(&servers) && !self.loopback {
                    self.loopback = true;
                    self.bind(now);
                }
                self.reach(reach::servers(&servers), now);
                self.machine.set_servers(servers, now);
            }
            Command::SetRttHint(rtt) => self.machine.set_rtt_hint(rtt),
            Command::SetSignaling(is_up) => self.machine.handle_signaling(is_up),
            Command::Addresses(found) => {
                self.found = found;
                self.bind(now);
            }
            // Whoever asked may have gone away meanwhile.
            Command::Stats(reply) => drop(reply.send(self.machine.stats())),
            Command::Report(reply) => drop(reply.send(self.machine.report())),
            Command::Close => {
                if self.ends_at.is_none() {
                    self.ends_at = Some(now + CLOSE_TIMEOUT);
                    self.machine.close(now);
                }
            }
        }
    }

    fn open_channel(&mut self, line: Arc<Line>, now: Instant) {
        match self.machine.open_channel(line.init.clone(), now) {
            Ok(id) => self.lines.add(id, line),
            Err(why) => {
                line.close();
                let channel = channel(&line, &self.shared);
                self.tell(ConnectionEvent::ChannelClosed { channel, why: Some(why) });
            }
        }
    }

    fn tell(&mut self, event: ConnectionEvent) {
        self.events.push_back(charged(&self.shared, event));
    }

    /// One batch from each socket and each stream.
    fn receive(&mut self, buffers: &mut Buffers, context: &mut Context<'_>, now: Instant) -> bool {
        let mut progress = false;
        let machine = &mut self.machine;
        for (id, socket) in &self.sockets {
            let take = |from, bytes: &[u8]| {
                // What it is of no use for, the machine counts by name.
                let _ = machine.handle_datagram(*id, from, bytes, now);
            };
            match socket.poll_receive(buffers, context, take) {
                Poll::Ready(Ok(_)) => progress = true,
                Poll::Ready(Err(error)) => socket_error(&error),
                Poll::Pending => {}
            }
        }
        self.streams.retain_mut(|(id, stream)| {
            let _ = stream.flush(context);
            match stream.poll_read(buffers.bytes(), context) {
                Poll::Pending => return true,
                Poll::Ready(Ok(length @ 1..)) => {
                    let bytes = buffers.bytes().get(..length).unwrap_or_default();
                    let _ = machine.handle_stream(*id, bytes, now);
                    progress = true;
                    return true;
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => tracing::debug!(%error, "a stream broke"),
            }
            machine.handle_stream_closed(*id, now);
            progress = true;
            false
        });
        progress
    }

    /// What helpers beside this task have come to.
    fn take_help(&mut self, context: &mut Context<'_>, now: Instant) -> bool {
        let mut progress = false;
        while let Some(done) = self.helpers.poll_done(context) {
            progress = true;
            match done {
                Done::Stream { socket, opened: Ok(stream) } => {
                    self.machine.handle_stream_open(socket, stream.local(), stream.remote(), now);
                    self.streams.push((socket, stream));
                }
                Done::Stream { socket, opened: Err(error) } => {
                    tracing::debug!(%error, "a stream could not be opened");
                    self.machine.handle_stream_closed(socket, now);
                }
                Done::Resolved { query, ips } => {
                    self.reach(ips.iter().copied(), now);
                    self.machine.handle_resolved(query, &ips, now);
                }
                Done::Nothing => {}
            }
        }
        progress
    }

    /// What the machine asks for besides sending.
    fn obey_machine(&mut self) -> bool {
        let mut progress = false;
        while let Some(command) = self.machine.poll_command() {
            progress = true;
            match command {
                twocan_rtc::Command::OpenStream { socket, to, tls, from } => {
                    self.helpers.open_stream(socket, to, tls, from, self.roots.clone());
                }
                twocan_rtc::Command::CloseSocket(id) => {
                    self.helpers.close_stream(id);
                    self.streams.retain(|(socket, _)| *socket != id);
                }
                twocan_rtc::Command::Resolve { query, name } => {
                    self.helpers.resolve(query, name, self.network_ips());
                }
                twocan_rtc::Command::Announce { name, ip } => {
                    self.helpers.announce(name, ip, self.local_ips());
                }
            }
        }
        progress
    }

    fn local_ips(&self) -> Vec<IpAddr> {
        self.sockets.iter().map(|(_, socket)| socket.local().ip()).collect()
    }

    /// What happened, as far as the program keeps up with reading.
    fn tell_program(&mut self, context: &Context<'_>, now: Instant) -> bool {
        let mut progress = false;
        let is_ending = self.ends_at.is_some() || self.shared.is_abandoned();
        loop {
            let has_room = self.shared.unread.has_room(context);
            // Signals and states do not wait for whoever reads messages.
            let event =
                if has_room || is_ending { self.machine.poll_event() } else { self.machine.poll_news() };
            let Some(event) = event else { break };
            progress = true;
            // Nor does the end.
            if has_room || !matches!(event, Event::Message { .. }) {
                self.tell_one(event);
            }
        }
        self.shared.events.append(&mut self.events);
        if self.is_over && progress {
            self.end_for_program(now);
        }
        if !self.shared.unread.has_room(context) {
            self.lines.sweep(&self.shared);
        }
        progress
    }

    fn tell_one(&mut self, event: Event) {
        let event = match event {
            Event::Signal(signal) => ConnectionEvent::Signal(signal),
            Event::StateChanged(state) => {
                self.shared.set_max_message_size(self.machine.max_message_size());
                tracing::debug!(%state, "connection");
                ConnectionEvent::StateChanged(state)
            }
            Event::Path(path) => ConnectionEvent::Path(path),
            Event::ChannelOpen { id, init } => {
                if self.lines.get(id).is_none() {
                    self.lines.add(id, Line::new(init));
                }
                let Some(line) = self.lines.get(id) else { return };
                ConnectionEvent::ChannelOpen(channel(line, &self.shared))
            }
            Event::Message { id, kind, bytes } => {
                let message = Message { kind, bytes };
                if self.receive == Receive::Channels {
                    return self.lines.deliver(id, message, &self.shared);
                }
                let Some(line) = self.lines.get(id) else { return };
                ConnectionEvent::Message { channel: channel(line, &self.shared), message }
            }
            Event::BufferedAmountLow { .. } => return,
            Event::ChannelClosed { id } => {
                let Some(line) = self.lines.remove(id) else { return };
                ConnectionEvent::ChannelClosed { channel: channel(&line, &self.shared), why: None }
            }
            Event::CandidateError { url, code, text } => ConnectionEvent::CandidateError { url, code, text },
            Event::Failed { reason, verdict } => {
                let why = self.machine.close_reason();
                why.into_iter().for_each(|why| self.shared.set_close_reason(why));
                tracing::debug!(reason = reason.word(), why = why.map(tracing::field::display), "connection");
                ConnectionEvent::Failed { reason, verdict }
            }
            Event::Closed { why } => {
                self.is_over = true;
                ConnectionEvent::Closed { why }
            }
        };
        self.tell(event);
    }

    /// The program has been told the last: it need not wait while relays are given back.
    fn end_for_program(&mut self, now: Instant) {
        self.ends_at.get_or_insert(now + CLOSE_TIMEOUT);
        self.shared.commands.close();
        self.lines.close_all();
        self.shared.events.close();
    }

    /// Whether there is nothing left to do.
    fn is_done(&self, now: Instant) -> bool {
        let has_said_all =
            self.is_over && self.machine.poll_timeout().is_none() && self.blocked_since.is_none();
        has_said_all || self.ends_at.is_some_and(|at| at <= now)
    }

    /// Everything that the machine has to send, unless the kernel has no room.
    fn transmit(&mut self, context: &mut Context<'_>, now: Instant) {
        for (_, socket) in &mut self.sockets {
            if let Err(error) = socket.unblock(context) {
                socket_error(&error);
            }
        }
        let is_blocked = self.sockets.iter().any(|(_, socket)| socket.is_blocked());
        if is_blocked {
            let since = *self.blocked_since.get_or_insert(now);
            if now - since < BLOCKED_MAX {
                return;
            }
            self.sockets.iter_mut().for_each(|(_, socket)| socket.give_up());
        }
        self.blocked_since = None;
        while let Some(packet) = self.machine.poll_transmit() {
            if let Some((_, socket)) = self.sockets.iter_mut().find(|(id, _)| *id == packet.socket) {
                if let Err(error) =
                    socket.send(packet.to, packet.bytes, packet.segment_size, packet.ttl, context)
                {
                    socket_error(&error);
                }
                if socket.is_blocked() {
                    self.blocked_since = Some(now);
                    return;
                }
            } else if let Some((_, stream)) = self.streams.iter_mut().find(|(id, _)| *id == packet.socket) {
                // A stream that breaks is seen when it is read.
                let _ = stream.write(&packet.bytes, context);
            }
        }
    }

    /// Runs what is due. `true`: something was.
    fn run_timers(&mut self, context: &mut Context<'_>, now: Instant) -> bool {
        let due = self.machine.poll_timeout().is_some_and(|at| at <= now);
        if due {
            self.machine.handle_timeout(now);
        }
        let blocked = self.blocked_since.map(|since| since + BLOCKED_MAX);
        let next = [self.machine.poll_timeout(), self.ends_at, blocked].into_iter().flatten().min();
        let Some(next) = next else { return due };
        // A timer that goes off too early costs a wake-up, setting it each time costs more.
        if next < self.timer_at || self.timer_at <= now {
            // Whatever the machine says, it does not keep this task busy by itself.
            self.timer_at = next.max(now + Duration::from_micros(100));
            self.timer.as_mut().reset(self.timer_at.into());
        }
        due | self.timer.as_mut().poll(context).is_ready()
    }

    fn turn(&mut self, buffers: &mut Buffers, context: &mut Context<'_>, now: Instant) -> bool {
        let mut progress = self.obey_program(context, now);
        progress |= self.take_help(context, now);
        progress |= self.accept(context, now);
        progress |= self.receive(buffers, context, now);
        progress |= self.run_timers(context, now);
        progress |= self.tell_program(context, now);
        // Before streams are closed: the last words go by them.
        self.transmit(context, now);
        progress |= self.obey_machine();
        progress | self.lines.refill(&mut self.machine, now)
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        BUFFERS.with_borrow_mut(|buffers| {
            for _ in 0..TURNS_MAX {
                let now = Instant::now();
                let progress = self.turn(buffers, context, now);
                if self.is_done(now) {
                    return Poll::Ready(());
                }
                if !progress {
                    return Poll::Pending;
                }
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
    }
}

impl Drop for Driver {
    /// However the task ends, nobody waits for it in vain.
    fn drop(&mut self) {
        self.shared.events.append(&mut self.events);
        self.end_for_program(self.timer_at);
        for command in self.shared.commands.clear() {
            if let Command::OpenChannel(line) = command {
                line.close();
            }
        }
    }
}

/// What is wrong with one packet is for ICE to find out; what is wrong with an interface, the watcher sees.
fn socket_error(error: &io::Error) {
    tracing::trace!(%error, "a datagram was not sent");
    let kinds = [
        io::ErrorKind::AddrNotAvailable,
        io::ErrorKind::NetworkDown,
        io::ErrorKind::NetworkUnreachable,
        io::ErrorKind::HostUnreachable,
        io::ErrorKind::InvalidInput,
    ];
    if kinds.contains(&error.kind()) {
        watch::look_soon();
    }
}

fn any_on_loopback(servers: &[IceServer]) -> bool {
    servers.iter().flat_map(|server| &server.urls).any(|url| interfaces::is_loopback_host(&url.host))
}

fn seed() -> io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    SystemRandom::new().fill(&mut seed).map_err(|_| io::Error::other("the system has no randomness"))?;
    Ok(seed)
}
