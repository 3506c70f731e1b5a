//! Measures a NAT from inside: what it maps, what it filters, which ports it takes. UDP sockets here, helpers in the middle
//! at two addresses with two ports each.
//!
//!     probe help-out ADDRESS ADDRESS          in the middle: answers, from where it is asked to
//!     probe measure ADDRESS ADDRESS           behind the NAT: one line of JSON
//!     probe latency ADDRESS                   round trips to the helper, in microseconds
//!     probe flood ADDRESS PACKETS LEN         as fast as they arrive

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The helper's ports, at each of its addresses.
const PORTS: [u16; 2] = [4_000, 4_001];

/// Where [`flood`] goes, and where it asks how many came.
const SINK: u16 = 4_002;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_millis(700);

/// Questions that are asked before there is no answer.
const TRIES: usize = 3;

/// Packets that are on their way at one time, at most.
const BURST: u64 = 64;

/// Sockets whose ports are compared.
const SOCKETS: usize = 8;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["help-out", one, other] => help_out([one.parse()?, other.parse()?]),
        ["measure", one, other] => measure([one.parse()?, other.parse()?]),
        ["latency", helper] => latency(helper.parse()?),
        ["flood", helper, packets, len] => flood(helper.parse()?, packets.parse()?, len.parse()?),
        _ => Err("help-out | measure | latency | flood: see the file's beginning".into()),
    }
}

/// Answers `NAME from N`: to whoever asks, its address, from the Nth of our sockets.
fn help_out(addresses: [IpAddr; 2]) -> Outcome<()> {
    let spots = addresses.iter().flat_map(|address| PORTS.map(|port| SocketAddr::new(*address, port)));
    let sockets: Vec<UdpSocket> = spots.map(UdpSocket::bind).collect::<io::Result<_>>()?;
    let sockets = Arc::new(sockets);
    let came = Arc::new(AtomicU64::new(0));
    let sink = UdpSocket::bind(SocketAddr::new(addresses[0], SINK))?;
    std::thread::spawn({
        let came = Arc::clone(&came);
        move || count(&sink, &came)
    });
    for at in 1..sockets.len() {
        let sockets = Arc::clone(&sockets);
        std::thread::spawn(move || answer(&sockets, at));
    }
    say("ready")?;
    answer(&sockets, 0)
}

fn count(sink: &UdpSocket, came: &AtomicU64) -> io::Result<()> {
    let mut buffer = [0; 2_048];
    loop {
        let (len, from) = sink.recv_from(&mut buffer)?;
        match len {
            // A question.
            1 => drop(sink.send_to(&came.load(Ordering::Relaxed).to_be_bytes(), from)?),
            _ => drop(came.fetch_add(1, Ordering::Relaxed)),
        }
    }
}

fn answer(sockets: &[UdpSocket], at: usize) -> Outcome<()> {
    let mut buffer = [0; 256];
    loop {
        let (len, from) = sockets[at].recv_from(&mut buffer)?;
        let question = std::str::from_utf8(&buffer[..len]).unwrap_or_default();
        let Some((name, place)) = question.rsplit_once(' ') else { continue };
        let Some(socket) = place.parse().ok().and_then(|place: usize| sockets.get(place)) else { continue };
        socket.send_to(format!("{name} {from}").as_bytes(), from)?;
    }
}

/// Asks the helper at `to` to answer from its `place`th socket: how it sees us, if we hear of it.
fn ask(socket: &UdpSocket, to: SocketAddr, place: usize) -> io::Result<Option<SocketAddr>> {
    socket.set_read_timeout(Some(PATIENCE))?;
    let name = format!("{to}-{place}");
    for _ in 0..TRIES {
        socket.send_to(format!("{name} {place}").as_bytes(), to)?;
        let mut buffer = [0; 256];
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            let Ok((len, _)) = socket.recv_from(&mut buffer) else { break };
            let said = std::str::from_utf8(&buffer[..len]).unwrap_or_default();
            if let Some(seen) = said.strip_prefix(&name).and_then(|rest| rest.trim().parse().ok()) {
                return Ok(Some(seen));
            }
        }
    }
    Ok(None)
}

fn measure(helper: [IpAddr; 2]) -> Outcome<()> {
    let here = "0.0.0.0:0";
    let at = |address: usize, port: usize| SocketAddr::new(helper[address], PORTS[port]);
    // Mapping (RFC 4787 section 4.1): one socket, three destinations.
    let socket = UdpSocket::bind(here)?;
    let seen = [at(0, 0), at(0, 1), at(1, 0)].map(|to| ask(&socket, to, place_of(helper, to)));
    let [first, port, address] = seen.map(|seen| seen.ok().flatten());
    let (Some(first), Some(port), Some(address)) = (first, port, address) else {
        return Ok(say(r#"{"udp":false}"#)?);
    };
    let mapping = behavior(first == address && first == port, first == port);
    // Filtering (section 5): a socket that has spoken to one endpoint alone is answered from others.
    let fresh = || UdpSocket::bind(here);
    let from_address = ask(&fresh()?, at(0, 0), 2)?.is_some();
    let from_port = ask(&fresh()?, at(0, 0), 1)?.is_some();
    let filtering = behavior(from_address, from_port);
    // Ports (section 4.2): are those of fresh sockets kept, to one destination and to others?
    let (mut kept, mut external) = (0, BTreeSet::new());
    for _ in 0..SOCKETS {
        let socket = fresh()?;
        let seen = ask(&socket, at(0, 0), 0)?.ok_or("the helper is gone")?;
        kept += usize::from(seen.port() == socket.local_addr()?.port());
        external.insert(seen.port());
    }
    let ports: Vec<u16> = external.into_iter().collect();
    let is_sequential = ports.windows(2).all(|pair| pair[1] - pair[0] <= 4);
    let allocation = match kept {
        SOCKETS => "preserving",
        _ if is_sequential => "sequential",
        _ => "random",
    };
    let nat = !is_own(first.ip());
    Ok(say(&format!(
        r#"{{"udp":true,"nat":{nat},"mapping":"{mapping}","filtering":"{filtering}","allocation":"{allocation}"}}"#
    ))?)
}

/// RFC 4787's words.
fn behavior(is_independent: bool, is_by_address: bool) -> &'static str {
    match (is_independent, is_by_address) {
        (true, _) => "endpoint-independent",
        (false, true) => "address-dependent",
        (false, false) => "address-and-port-dependent",
    }
}

/// Which of the helper's sockets this is.
fn place_of(helper: [IpAddr; 2], to: SocketAddr) -> usize {
    usize::from(to.ip() == helper[1]) * 2 + usize::from(to.port() == PORTS[1])
}

/// Whether an address is this machine's own.
fn is_own(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

fn latency(helper: IpAddr) -> Outcome<()> {
    let socket = UdpSocket::bind(if helper.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
    let to = SocketAddr::new(helper, PORTS[0]);
    let mut times = Vec::new();
    for _ in 0..2_000 {
        let start = Instant::now();
        ask(&socket, to, 0)?.ok_or("no answer")?;
        times.push(start.elapsed().as_nanos() as f64 / 1_000.0);
    }
    times.sort_by(f64::total_cmp);
    let share = |percent: usize| times[times.len() * percent / 100];
    Ok(say(&format!(r#"{{"median_us":{:.0},"p99_us":{:.0}}}"#, share(50), share(99)))?)
}

fn flood(helper: IpAddr, packets: u64, len: usize) -> Outcome<()> {
    let socket = UdpSocket::bind(if helper.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
    socket.connect(SocketAddr::new(helper, SINK))?;
    let asked = |socket: &UdpSocket| -> io::Result<u64> {
        let mut count = [0; 8];
        socket.set_read_timeout(Some(Duration::from_secs(1)))?;
        loop {
            socket.send(&[0])?;
            if socket.recv(&mut count).is_ok() {
                return Ok(u64::from_be_bytes(count));
            }
        }
    };
    let before = asked(&socket)?;
    let (data, start) = (vec![1; len.max(2)], Instant::now());
    let mut came = 0;
    for _ in 0..packets / BURST {
        for _ in 0..BURST {
            socket.send(&data)?;
        }
        came = asked(&socket)? - before;
    }
    let rate = came as f64 / start.elapsed().as_secs_f64();
    Ok(say(&format!(r#"{{"sent":{packets},"came":{came},"per_second":{rate:.0}}}"#))?)
}

fn say(line: &str) -> io::Result<()> {
    use std::io::Write as _;
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
