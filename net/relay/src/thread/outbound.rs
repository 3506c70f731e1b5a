//! What the server wants done: news to other threads, ports and connections opened and closed, packets out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use twocan_turn::{ClientAddr, Command, Event, News, OriginAddr, Transport, Via};

use super::{Close, Thread};
use crate::inbox::Message;
use crate::stats::SocketStats;
use crate::stream::Queued;
use crate::udp::{Run, Sent, UdpSocket};

impl Thread {
    /// Does all that the server asks for, until it asks for nothing. News first: no client may be ahead of it.
    /// Closing last: a port or a connection carries its last packets before it goes.
    pub(super) fn drain(&mut self, now: Instant) {
        loop {
            let mut busy = false;
            // Opening a port makes news as well, and with it the answer that must not be ahead of it.
            while self.tell_events() | self.do_commands(now) {
                busy = true;
            }
            busy |= self.send_packets(now);
            busy |= self.close(now);
            if !busy {
                return;
            }
        }
    }

    fn tell_events(&mut self) -> bool {
        let (mut any, mut news) = (false, false);
        while let Some(event) = self.server.poll_event() {
            any = true;
            match event {
                Event::News(fact) => {
                    news = true;
                    self.tell_others(fact);
                }
                Event::Opened { client, relayed } => {
                    tracing::debug!(?client, ?relayed, "allocated");
                }
                Event::Ended { client, why } => tracing::debug!(?client, ?why, "allocation ended"),
            }
        }
        if news {
            for other in &self.others {
                other.ring();
            }
        }
        any
    }

    fn tell_others(&mut self, fact: News) {
        let fact = Arc::new(fact);
        for other in &self.others {
            if !other.put(Message::News(fact.clone())) {
                self.sockets.news_lost += 1;
            }
        }
    }

    fn do_commands(&mut self, now: Instant) -> bool {
        let mut any = false;
        while let Some(command) = self.server.poll_command() {
            any = true;
            match command {
                Command::OpenPort(port) => {
                    if self.closing.contains(&Close::Port(port)) {
                        self.close(now);
                    }
                    let opened = self.relays.open(port, self.poll.registry());
                    self.server.handle_port_opened(port, opened, now);
                }
                Command::ClosePort(port) => self.closing.push(Close::Port(port)),
                Command::CloseClient(client) => {
                    self.closing
                        .extend(self.streams.place_of(&client).map(|place| Close::Stream(place, None)));
                }
            }
        }
        any
    }

    fn send_packets(&mut self, now: Instant) -> bool {
        let Thread { server, udp, relays, streams, sockets, closing, .. } = self;
        let mut any = false;
        while let Some(transmit) = server.poll_transmit() {
            any = true;
            let (bytes, dont_fragment) = (transmit.bytes, transmit.dont_fragment);
            match transmit.via {
                Via::Client(ClientAddr { transport: Transport::Udp, remote: to, local })
                | Via::Discovery(OriginAddr(local), to) => {
                    let Some(socket) = listener(udp, local) else {
                        sockets.dropped_gone += 1;
                        continue;
                    };
                    let run = Run { bytes, to, from: Some(local.ip()), dont_fragment };
                    count_sent(socket.send(run), sockets);
                }
                Via::Client(client) => match streams.push(&client, bytes, now) {
                    Some(Ok(Queued::Yes)) => {}
                    Some(Ok(Queued::Dropped)) => sockets.dropped_slow_reader += 1,
                    Some(Err((place, why))) => closing.push(Close::Stream(place, Some(why))),
                    None => sockets.dropped_gone += 1,
                },
                Via::Relay(port, peer) => {
                    let to = relays.outward(peer);
                    let Some(socket) = relays.at(port) else {
                        sockets.dropped_gone += 1;
                        continue;
                    };
                    count_sent(socket.send(Run { bytes, to, from: None, dont_fragment }), sockets);
                }
            }
        }
        let over = streams.flush(now);
        closing.extend(over.into_iter().map(|(place, why)| Close::Stream(place, Some(why))));
        any
    }

    fn close(&mut self, now: Instant) -> bool {
        let mut closing = std::mem::take(&mut self.closing);
        let any = !closing.is_empty();
        for close in closing.drain(..) {
            match close {
                Close::Port(port) => self.relays.close(port, self.poll.registry()),
                Close::Stream(place, why) => self.remove_stream(place, why, now),
            }
        }
        // Nothing above adds to the list: this only keeps its memory.
        self.closing = closing;
        any
    }
}

/// The listener with this address, or the one that has it among all.
fn listener(udp: &mut [UdpSocket], address: SocketAddr) -> Option<&mut UdpSocket> {
    let position = udp.iter().position(|socket| socket.local() == address).or_else(|| {
        udp.iter().position(|socket| {
            let local = socket.local();
            local.ip().is_unspecified()
                && local.port() == address.port()
                && local.is_ipv4() == address.is_ipv4()
        })
    });
    udp.get_mut(position?)
}

fn count_sent(sent: Sent, sockets: &mut SocketStats) {
    match sent {
        Sent::Yes => {}
        Sent::Full => sockets.dropped_full += 1,
        Sent::TooLong => sockets.dropped_too_long += 1,
        Sent::Failed => sockets.dropped_failed += 1,
    }
}
