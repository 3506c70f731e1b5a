//! What an idle session costs in memory, and a signal in time: `cargo bench -p twocan-signaling`.
//!
//! Clients are bare sockets in the same process, so that what grows is the server.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a tool that prints figures

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use twocan_base::Rate;
use twocan_lobby::{ClientId, Command, Door, Keys, Limits, Lobbies, frame_cost};
use twocan_signaling::{Config, Grant, GroupId, IceProvider, IceServers, PeerId, Quota, bind};

struct NoIce;

impl IceProvider for NoIce {
    fn grant(&self, grant: &Grant, _: &str) -> IceServers {
        IceServers { servers: Vec::new(), expires: grant.lifetime.as_secs() }
    }
    fn revoke(&self, _: &GroupId, _: &PeerId) {}
    fn close_group(&self, _: &GroupId) {}
}

fn main() {
    signal_cost();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut config = Config::new(vec!["127.0.0.1:0".parse().unwrap()], [7; 32]);
    config.connections = EVERYTHING;
    config.limits = roomy();
    let signaling = runtime.block_on(bind(config, Arc::new(NoIce), axum::Router::new())).unwrap();
    let address = signaling.local_addr();
    runtime.spawn(signaling.run(std::future::pending()));
    // The first few pay for what is there once.
    let warm: Vec<TcpStream> = (0..200).map(|_| open(address)).collect();
    std::thread::sleep(Duration::from_millis(500));
    for count in [500, 1_500] {
        let before = resident_kib();
        let clients: Vec<TcpStream> = (0..count).map(|_| open(address)).collect();
        std::thread::sleep(Duration::from_millis(500));
        let per_client = (resident_kib() - before) as f64 / count as f64;
        println!("{count} idle sessions: {per_client:.2} KiB each");
        std::mem::forget(clients);
    }
    drop(warm);
}

const EVERYTHING: Quota = Quota { total: 1 << 40, household: 1 << 40, site: 1 << 40, floor: 1 << 40 };

fn roomy() -> Limits {
    Limits {
        sockets: EVERYTHING,
        sessions: EVERYTHING,
        bytes: EVERYTHING,
        session_starts: Rate::per_second(1_000_000, 1_000_000),
        signal_bytes: Rate { interval: Duration::from_nanos(1), burst: u32::MAX },
        frames_burst: 10_000_000,
        ..Limits::default()
    }
}

fn open(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!(
        "GET /v1 HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: twocan.v1\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    read_until(&mut stream, b"\r\n\r\n");
    let hello = br#"{"type":"hello","id":0,"app":"bench"}"#;
    let mut frame = vec![0x81, 0x80 | hello.len() as u8, 0, 0, 0, 0];
    frame.extend_from_slice(hello);
    stream.write_all(&frame).unwrap();
    read_until(&mut stream, b"}");
    stream
}

fn read_until(stream: &mut TcpStream, end: &[u8]) {
    let mut read = Vec::new();
    let mut byte = [0];
    while !read.ends_with(end) {
        stream.read_exact(&mut byte).unwrap();
        read.push(byte[0]);
    }
}

fn resident_kib() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Time of the machine alone for one signal of about 1 KB, from text to text.
fn signal_cost() {
    let start = Instant::now();
    let mut lobbies = Lobbies::new(roomy(), Keys::new([1; 32], [2; 32]), [3; 32], 0, start);
    let mut peers = Vec::new();
    let mut code = String::new();
    for n in 1..=2 {
        let client = ClientId(n);
        lobbies.handle_connected(
            client,
            Door { address: IpAddr::from([127, 0, 0, 1]), host: "x".into() },
            start,
        );
        lobbies.handle_message(client, r#"{"type":"hello","id":0,"app":"bench"}"#, start);
        peers.push(field(&lobbies.poll_transmit().unwrap().1, "peer"));
        let enter = if n == 1 {
            r#"{"type":"create","id":1}"#.to_owned()
        } else {
            format!(r#"{{"type":"join","id":1,"code":"{code}"}}"#)
        };
        lobbies.handle_message(client, &enter, start);
        code = field(&lobbies.poll_transmit().unwrap().1, "code");
        while let Some(Command::Grant(grant)) = lobbies.poll_command() {
            lobbies.handle_granted(&grant, IceServers { servers: Vec::new(), expires: 3600 }, start);
        }
        while lobbies.poll_transmit().is_some() {}
    }
    let sdp = "a=candidate:1 1 udp 2122260223 192.0.2.1 50000 typ host\\r\\n".repeat(16);
    let count = 100_000;
    let mut written = 0;
    let begun = Instant::now();
    for id in 2..count + 2 {
        let to = &peers[1];
        let text = format!(
            r#"{{"type":"signal","id":{id},"ack":{id},"to":"{to}","kind":"description","data":{{"type":"offer","sdp":"{sdp}"}}}}"#
        );
        lobbies.handle_message(ClientId(1), &text, start);
        while let Some((client, frame)) = lobbies.poll_transmit() {
            // As sockets tell it: once for many.
            written += frame_cost(&frame);
            if written >= 16_384 {
                lobbies.handle_written(client, std::mem::take(&mut written), start);
            }
        }
        while let Some(command) = lobbies.poll_command() {
            if let Command::Ping { client, seq } = command {
                lobbies.handle_seen(client, seq, start);
            }
        }
    }
    println!(
        "one signal of 1 KB through the machine: {:.2} µs",
        begun.elapsed().as_secs_f64() * 1e6 / count as f64
    );
}

fn field(frame: &str, name: &str) -> String {
    let at = frame.find(&format!("\"{name}\":\"")).unwrap() + name.len() + 4;
    frame[at..].split('"').next().unwrap().to_owned()
}
