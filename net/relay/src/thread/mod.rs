//! One thread of the relay: a poll, its sockets, its server. This file is the loop and what comes due;
//! `inbound` is packets in, `outbound` is what the server wants done.

mod inbound;
mod outbound;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mio::{Events, Interest, Poll};
use twocan_turn::{RelayPort, Server, Transport};

use crate::admission::Admission;
use crate::config::StreamLimits;
use crate::inbox::{Message, Outbox};
use crate::relays::Relays;
use crate::stats::{Board, SocketStats};
use crate::stream::Ended;
use crate::streams::Streams;
use crate::token::{Place, Token};
use crate::turns::Turns;
use crate::udp::{Batch, UdpSocket};

/// Readiness events taken at a time.
const EVENTS: usize = 1_024;
/// Bytes read from a connection at a time; as many end its turn.
const READ_BYTES: usize = 16 << 10;
/// Connections that ran out of time, closed before other sources get their turn.
const ENDS_PER_PASS: usize = 32;
/// How soon counters are published after something happened.
const PUBLISH_WITHIN: Duration = Duration::from_secs(1);
/// How soon `accept` is tried again after the system had no more file descriptors.
/// Between two looks at the wall clock, where there is anything to do.
const CLOCK_EVERY: Duration = Duration::from_secs(1);
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// A listener for TCP or TLS.
pub(crate) struct Acceptor {
    pub listener: mio::net::TcpListener,
    /// For TLS.
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

impl Acceptor {
    fn transport(&self) -> Transport {
        if self.tls.is_some() { Transport::Tls } else { Transport::Tcp }
    }
}

/// What a thread is made of.
pub(crate) struct Parts {
    pub poll: Poll,
    pub inbox: Receiver<Message>,
    pub others: Vec<Outbox>,
    pub server: Server,
    pub udp: Vec<UdpSocket>,
    pub acceptors: Vec<Acceptor>,
    pub relays: Relays,
    pub admission: Admission,
    pub limits: StreamLimits,
    pub board: Board,
}

/// Why a thread ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It was told to.
    Asked,
    /// The system does not let it go on.
    Failed,
}

/// Something to close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Close {
    Port(RelayPort),
    /// And why: `None` if the server wanted it.
    Stream(Place, Option<Ended>),
}

/// The thread.
pub(crate) struct Thread {
    poll: Poll,
    inbox: Receiver<Message>,
    others: Vec<Outbox>,
    server: Server,
    udp: Vec<UdpSocket>,
    acceptors: Vec<Acceptor>,
    relays: Relays,
    admission: Admission,
    streams: Streams,
    turns: Turns,
    batch: Batch,
    scratch: Box<[u8]>,
    /// Sources, other than connections, that had more than their turn allowed.
    again: VecDeque<Token>,
    /// Acceptors are asked again then.
    accept_at: Option<Instant>,
    /// What `drain` still has to close, after the packets of its pass.
    closing: Vec<Close>,
    sockets: SocketStats,
    board: Board,
    publish_at: Option<Instant>,
    /// When the wall clock is looked at next.
    clock_at: Instant,
    stopping: bool,
}

impl Thread {
    /// Registers every listener.
    pub(crate) fn new(parts: Parts) -> io::Result<Thread> {
        let Parts { poll, inbox, others, server, mut udp, mut acceptors, relays, admission, limits, board } =
            parts;
        for (index, socket) in (0..).zip(&mut udp) {
            poll.registry().register(socket.source(), Token::Udp(index).into(), Interest::READABLE)?;
        }
        for (index, acceptor) in (0..).zip(&mut acceptors) {
            poll.registry().register(
                &mut acceptor.listener,
                Token::Acceptor(index).into(),
                Interest::READABLE,
            )?;
        }
        Ok(Thread {
            poll,
            inbox,
            others,
            server,
            udp,
            acceptors,
            relays,
            admission,
            streams: Streams::new(limits),
            turns: Turns::new(Instant::now()),
            batch: Batch::new(),
            scratch: vec![0; READ_BYTES].into_boxed_slice(),
            again: VecDeque::new(),
            accept_at: None,
            closing: Vec::new(),
            sockets: SocketStats::default(),
            board,
            publish_at: None,
            clock_at: Instant::now(),
            stopping: false,
        })
    }

    /// Serves until it is told to stop. While nothing happens, it sleeps.
    pub(crate) fn run(mut self) -> End {
        let mut events = Events::with_capacity(EVENTS);
        let end = loop {
            if let Err(error) = self.poll.poll(&mut events, self.wait(Instant::now())) {
                if error.kind() == io::ErrorKind::Interrupted {
                    continue;
                }
                tracing::error!(%error, "a relay thread cannot wait for packets any more and ends");
                break End::Failed;
            }
            let now = Instant::now();
            self.read_inbox(now);
            self.look_at_the_clock(now);
            self.handle_due(now);
            for token in std::mem::take(&mut self.again) {
                self.handle_ready(token);
            }
            for event in &events {
                if let Some(token) = Token::read(event.token()) {
                    self.handle_ready(token);
                }
            }
            self.serve_streams(now);
            if self.stopping {
                break End::Asked;
            }
            if !events.is_empty() {
                self.publish_at.get_or_insert(now + PUBLISH_WITHIN);
            }
        };
        self.end();
        end
    }

    /// How long to sleep; `None`: until something comes.
    fn wait(&self, now: Instant) -> Option<Duration> {
        if !self.again.is_empty() {
            return Some(Duration::ZERO);
        }
        let due = [
            self.server.poll_timeout(),
            self.streams.next_deadline(),
            self.turns.next_due(now),
            self.accept_at,
            self.publish_at,
        ];
        due.into_iter().flatten().min().map(|due| due.saturating_duration_since(now))
    }

    /// The wall clock may have been put right since, or the machine may have slept.
    fn look_at_the_clock(&mut self, now: Instant) {
        if self.clock_at <= now {
            self.clock_at = now + CLOCK_EVERY;
            let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            self.server.handle_clock(unix, now);
        }
    }

    /// Whatever the clock has brought.
    fn handle_due(&mut self, now: Instant) {
        let is_due = |due: Option<Instant>| due.is_some_and(|due| due <= now);
        if is_due(self.server.poll_timeout()) {
            self.server.handle_timeout(now);
            self.drain(now);
            self.publish_at.get_or_insert(now + PUBLISH_WITHIN);
        }
        for _ in 0..ENDS_PER_PASS {
            let Some(place) = self.streams.expired(now) else { break };
            self.end_stream(place, Ended::TimedOut, now);
            self.publish_at.get_or_insert(now + PUBLISH_WITHIN);
        }
        if is_due(self.accept_at) {
            self.accept_at = None;
            self.again.extend((0..).map(Token::Acceptor).take(self.acceptors.len()));
        }
        if is_due(self.publish_at) {
            self.publish_at = None;
            self.publish();
        }
    }

    /// Hears what others have to say. Asked before each batch of packets is handled: a packet that another thread's
    /// news made possible must not be ahead of the news.
    fn read_inbox(&mut self, now: Instant) {
        let mut heard = false;
        while let Ok(message) = self.inbox.try_recv() {
            heard = true;
            match message {
                Message::News(news) => self.server.handle_news(&news, now),
                Message::OwnAddresses(addresses) => self.server.handle_own_addresses(&addresses, now),
                Message::External(external) => {
                    // What is at the addresses of before is closed there.
                    self.server.handle_external(external, now);
                    self.drain(now);
                    self.relays.move_to(external);
                }
                Message::Drain => self.server.handle_drain(now),
                Message::Stop => self.stopping = true,
                #[cfg(debug_assertions)]
                Message::Panic => panic!("asked to, by a test"),
            }
        }
        if heard {
            self.drain(now);
        }
    }

    /// Closes a connection, and does what the server then wants.
    fn end_stream(&mut self, place: Place, why: Ended, now: Instant) {
        self.remove_stream(place, Some(why), now);
        self.drain(now);
    }

    /// Closes a connection and tells the server. `why` is `None` if the server wanted it.
    fn remove_stream(&mut self, place: Place, why: Option<Ended>, now: Instant) {
        let Some(client) = self.streams.remove(place, self.poll.registry()) else { return };
        let count = match why {
            None => &mut self.sockets.ended_by_server,
            Some(Ended::ByClient) => &mut self.sockets.ended_by_client,
            Some(Ended::Malformed) => &mut self.sockets.ended_malformed,
            Some(Ended::Tls) => &mut self.sockets.ended_tls,
            Some(Ended::TooSlow) => &mut self.sockets.ended_too_slow,
            Some(Ended::TimedOut) => &mut self.sockets.ended_timed_out,
        };
        *count += 1;
        self.server.handle_client_closed(client, now);
    }

    fn publish(&mut self) {
        self.sockets.connections = self.streams.len() as u64;
        self.sockets.relay_ports = self.relays.len() as u64;
        self.board.publish(self.server.stats(), self.sockets);
    }

    /// Says goodbye to the connections. The sockets close as the thread's state is dropped.
    fn end(mut self) {
        self.streams.close_all(self.poll.registry());
        self.publish();
    }
}
