//! What a TCP or TLS connection costs whose client reads nothing, in the process and in the kernel: `cargo bench -p twocan-relay
//! --bench connections`. Each client is a household of its own (an address of 127/8), so none is refused.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)] // a tool that measures and prints

#[path = "../tests/relay/kit.rs"]
#[allow(dead_code, reason = "the tests' kit")]
mod kit;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use kit::{Client, LOCAL4};
use socket2::{Domain, Socket, Type};
use twocan_base::Quota;
use twocan_relay::{Config, Relay, StreamLimits};
use twocan_turn::Transport;

const CONNECTIONS: u32 = 400;

fn main() {
    println!("KiB for each of {CONNECTIONS} connections that read nothing   process  kernel (send, receive)");
    for transport in [Transport::Tcp, Transport::Tls] {
        for proved in [false, true] {
            measure(transport, proved);
        }
    }
}

/// As many as are wanted, and no byte shared.
fn relay() -> Relay {
    let roomy = |total| Quota { total, household: total, site: total, floor: total };
    let streams = StreamLimits {
        connections: roomy(1 << 20),
        buffer_bytes: roomy(1 << 40),
        stalled: Duration::from_secs(600),
        ..StreamLimits::default()
    };
    let mut config = Config { streams, ..kit::config() };
    config.limits.allocations_per_user = u32::MAX;
    kit::start(config)
}

fn measure(transport: Transport, proved: bool) {
    let relay = relay();
    let server = kit::address(&relay, transport, LOCAL4);
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    let before = resident_kib();
    let mut clients: Vec<(Client, Option<SocketAddr>)> = (0..CONNECTIONS)
        .map(|n| {
            let mut client = Client::on_stream(connect(server, n), transport);
            let relayed = proved.then(|| {
                let relayed = client.allocate(LOCAL4).unwrap();
                client.bind(0x4001, peer.local_addr().unwrap()).unwrap();
                relayed
            });
            client.binding();
            (client, relayed)
        })
        .collect();
    let idle = resident_kib() - before;
    // Answers, or data, until the socket and what may wait beside it are full.
    for round in 0..100 {
        for (client, relayed) in &mut clients {
            match relayed {
                Some(relayed) => drop(peer.send_to(&[7; 8_000], *relayed)),
                // Eight KiB of answers may wait, so it stays open.
                None if round < 8 => {
                    let requests = client.binding_request().repeat(50);
                    drop(client.try_send(&requests));
                }
                None => {}
            }
        }
    }
    std::thread::sleep(Duration::from_secs(2));
    let each = |kib: u64| kib as f64 / f64::from(CONNECTIONS);
    let (sent, received, open) = kernel_bytes(server.port());
    println!(
        "{transport:?}, {:<10} {open:>4} open  idle {:>6.1}  full {:>6.1}  {:>6.1} {:>6.1}",
        if proved { "proved" } else { "unproved" },
        each(idle),
        each(resident_kib() - before),
        each(sent >> 10),
        each(received >> 10),
    );
}

fn connect(server: SocketAddr, n: u32) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(2_048).unwrap();
    let address = IpAddr::V4(Ipv4Addr::from_bits(0x7F01_0000 + n));
    socket.bind(&SocketAddr::new(address, 0).into()).unwrap();
    socket.connect(&server.into()).unwrap();
    socket.into()
}

/// What the kernel holds of the relay's ends: sent and not taken, received and not read; and how many ends there are.
fn kernel_bytes(port: u16) -> (u64, u64, usize) {
    let filter = ["-tmnH", "state", "established", "sport", "=", &format!(":{port}")].map(str::to_owned);
    let out = std::process::Command::new("ss").args(filter).output().expect("`ss` of iproute2");
    let text = String::from_utf8(out.stdout).unwrap();
    let mut sums = (0, 0, 0);
    for memory in text.split("skmem:(").skip(1) {
        let of = |name: &str| -> u64 {
            let fields = memory.split([',', ')']);
            let mut values = fields.filter_map(|field| field.strip_prefix(name)?.parse().ok());
            values.next().unwrap_or(0)
        };
        sums = (sums.0 + of("w") + of("f"), sums.1 + of("r"), sums.2 + 1);
    }
    sums
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
