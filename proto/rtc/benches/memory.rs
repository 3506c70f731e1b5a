//! Two connections in one process, packets handed over in memory: `cargo bench -p twocan-rtc --bench memory`.
//!
//! What one core does for both ends: ICE's gate, DTLS, SCTP, channels; no sockets.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)] // a tool that prints figures

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use twocan_rtc::{
    Certificate, ChannelId, ChannelInit, Config, Connection, Event, Payload, SendError, SocketId,
};

/// Bytes moved in each run.
const BYTES: usize = 256 << 20;

struct Side {
    connection: Connection,
    at: SocketAddr,
    socket: SocketId,
    channel: ChannelId,
    received: usize,
}

fn side(index: u8, now: Instant) -> Side {
    let config = Config { polite: index == 1, ..Config::new(Certificate::generate()) };
    let mut connection = Connection::new(config, [index; 32], now);
    let at = SocketAddr::from(([192, 0, 2, index], 1_000));
    let socket = connection.add_socket(at, now);
    let channel = connection.open_channel(ChannelInit::new("bulk").negotiated(0), now).unwrap();
    Side { connection, at, socket, channel, received: 0 }
}

/// One round of the loop; whether anything moved.
fn turn(here: &mut Side, there: &mut Side, now: Instant) -> bool {
    let mut has_moved = false;
    if here.connection.poll_timeout().is_some_and(|due| due <= now) {
        here.connection.handle_timeout(now);
    }
    while let Some(sent) = here.connection.poll_transmit() {
        has_moved = true;
        for datagram in sent.bytes.chunks(sent.segment_size.unwrap_or(sent.bytes.len())) {
            let _ = there.connection.handle_datagram(there.socket, here.at, datagram, now);
        }
    }
    while let Some(event) = here.connection.poll_event() {
        match event {
            Event::Signal(signal) => there.connection.handle_signal(signal, now).unwrap(),
            Event::Message { bytes, .. } => here.received += bytes.len(),
            _ => {}
        }
    }
    has_moved
}

/// What this process has cost so far, in steps of 10 ms; unlike the clock it does not mind what else runs.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn main() {
    for message in [64, 1_024, 16 * 1_024, 64 * 1_024, 256 * 1_024] {
        let mut now = Instant::now();
        let (mut a, mut b) = (side(1, now), side(2, now));
        a.connection.negotiate(now);
        let payload = Bytes::from(vec![7; message]);
        let total = if message < 1_024 { BYTES / 16 } else { BYTES };
        let mut sent = 0;
        let (begin, cpu) = (Instant::now(), cpu_seconds());
        while b.received < total {
            while sent < total {
                match a.connection.send(a.channel, Payload::Binary, payload.clone(), now) {
                    Ok(()) => sent += message,
                    Err(SendError::Full) => break,
                    Err(why) => panic!("{why}"),
                }
            }
            // A microsecond where there is work, else whatever is due.
            let has_moved = turn(&mut a, &mut b, now) | turn(&mut b, &mut a, now);
            let due = [a.connection.poll_timeout(), b.connection.poll_timeout()].into_iter().flatten().min();
            now = match due {
                Some(due) if !has_moved => due.max(now),
                _ => now + Duration::from_micros(1),
            };
        }
        let (seconds, cpu) = (begin.elapsed().as_secs_f64(), cpu_seconds() - cpu);
        let (bytes, messages) = (b.received as f64, b.received as f64 / message as f64);
        let (mbit, per_gigabyte) = (bytes * 8.0 / 1e6 / seconds, cpu / bytes * 1e9);
        println!(
            "{message:>6} B: {mbit:>5.0} Mbit/s, {:>8.0} messages/s, {per_gigabyte:.2} CPU s/GB",
            messages / seconds
        );
    }
}
