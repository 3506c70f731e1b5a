//! A plain loop around one UDP socket, as the examples of str0m have it: one datagram a system call.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use anyhow::Result;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{setsockopt, sockopt};

use super::end::{BULK_BYTES, Meter, PING_INTERVAL, Place, on_signal, signal};
use crate::peer::{Addresses, BULK, PING, Peer, Side, Stack};

const PORT: u16 = 40_000;
const SOCKET_BUFFER: usize = 4 << 20;
/// Signals are looked for this often.
const IDLE: Duration = Duration::from_millis(5);
/// Datagrams taken before the stack may send again.
const BATCH: usize = 64;

pub fn run(stack: &Stack, place: Place, meter: &Arc<Meter>) -> Result<()> {
    let addresses = Addresses {
        local: SocketAddr::new(place.local.into(), PORT),
        remote: SocketAddr::new(place.remote.into(), PORT),
    };
    let socket = UdpSocket::bind(addresses.local)?;
    socket.set_nonblocking(true)?;
    let _ = setsockopt(&socket, sockopt::RcvBuf, &SOCKET_BUFFER);
    let _ = setsockopt(&socket, sockopt::SndBuf, &SOCKET_BUFFER);
    let (signals, heard) = mpsc::channel();
    on_signal(move |signal| drop(signals.send(signal)));
    let mut peer = stack.make(place.side, addresses, u64::from(std::process::id()), Instant::now());
    if place.side == Side::Offerer {
        peer.offer(Instant::now());
    }
    let message = vec![0x5A; BULK_BYTES];
    let mut next_ping = Instant::now();
    let mut buffer = [0; 2_000];
    loop {
        let now = Instant::now();
        while let Ok(signal) = heard.try_recv() {
            peer.signal(&signal, now);
        }
        while let Some(text) = peer.poll_signal() {
            signal(&text);
        }
        if peer.deadline().is_some_and(|at| at <= now) {
            peer.timeout(now);
        }
        exchange(&mut *peer, place.side, meter, &message, &mut next_ping);
        peer.transmit(now, &mut |datagram| send(&socket, datagram, addresses.remote));
        if !take(&mut *peer, &socket, &mut buffer)? {
            let until = peer.deadline().map_or(IDLE, |at| at.saturating_duration_since(Instant::now()));
            wait(&socket, until.min(IDLE), PollFlags::POLLIN);
        }
    }
}

/// What the program does: the offerer sends, the answerer counts and sends pings back.
fn exchange(peer: &mut dyn Peer, side: Side, meter: &Arc<Meter>, message: &[u8], next_ping: &mut Instant) {
    let now = Instant::now();
    let mut echoes = Vec::new();
    peer.receive(&mut |lane, message| match (lane, side) {
        (BULK, _) => meter.bulk(message.len()),
        (_, Side::Offerer) => meter.pong(message),
        (_, Side::Answerer) => echoes.push(message.to_vec()),
    });
    for echo in echoes {
        peer.send(PING, &echo, now);
    }
    if side == Side::Answerer {
        return;
    }
    if now >= *next_ping && peer.send(PING, &meter.ping(), now) {
        *next_ping = now + PING_INTERVAL;
    }
    while peer.send(BULK, message, now) {
        if peer.is_open() {
            meter.begin();
        }
    }
}

fn send(socket: &UdpSocket, datagram: &[u8], to: SocketAddr) {
    while let Err(error) = socket.send_to(datagram, to) {
        if error.kind() != ErrorKind::WouldBlock {
            return;
        }
        wait(socket, IDLE, PollFlags::POLLOUT);
    }
}

/// Takes what has come; `false` if nothing had.
fn take(peer: &mut dyn Peer, socket: &UdpSocket, buffer: &mut [u8]) -> Result<bool> {
    for count in 0..BATCH {
        match socket.recv_from(buffer) {
            Ok((len, _)) => peer.datagram(&buffer[..len], Instant::now()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(count > 0),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

fn wait(socket: &UdpSocket, at_most: Duration, for_what: PollFlags) {
    let timeout = PollTimeout::try_from(at_most).unwrap_or(PollTimeout::ZERO);
    let _ = poll(&mut [PollFd::new(socket.as_fd(), for_what)], timeout);
}
