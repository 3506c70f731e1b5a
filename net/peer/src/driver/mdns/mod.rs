//! Names that browsers give out in place of addresses (`….local`): asked for, and answered, on the local network (RFC 6762).
//!
//! Each question and each responder has a socket of its own on port 5353, which many programs share. A library that
//! discovers services would bring a thread and a cache for what is two packets here.

mod wire;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockRef, Socket, Type};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

pub use wire::is_name;

const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const PORT: u16 = 5353;
/// When a question is asked, and asked again, after its beginning (RFC 6762 5.2: at least a second apart).
const ASK_AFTER: [Duration; 3] = [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(3)];
/// How long a question waits for an answer in all.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of a message (RFC 6762 17).
const MESSAGE_LEN_MAX: usize = 9_000;
/// Interfaces on which a name is asked for.
pub const INTERFACES_MAX: usize = 32;
/// Names that one connection answers for.
const NAMES_MAX: usize = 32;

/// What `name` stands for; nothing where nobody answers.
pub async fn resolve(name: String, interfaces: Vec<Ipv4Addr>) -> Vec<IpAddr> {
    let name = name.to_ascii_lowercase();
    if !is_name(&name) {
        return Vec::new();
    }
    match ask(&name, &interfaces).await {
        Ok(ips) => ips,
        Err(error) => {
            tracing::debug!(%error, "names of the local network cannot be resolved");
            Vec::new()
        }
    }
}

async fn ask(name: &str, interfaces: &[Ipv4Addr]) -> io::Result<Vec<IpAddr>> {
    let socket = bind(interfaces)?;
    let question = wire::query(name);
    let begun = Instant::now();
    let mut buffer = vec![0; MESSAGE_LEN_MAX];
    let mut ends = ASK_AFTER.iter().skip(1).copied().chain([PATIENCE]);
    for _ in ASK_AFTER {
        send(&socket, &question, interfaces);
        let end = begun + ends.next().unwrap_or(PATIENCE);
        while let Ok(received) = timeout_at(end, socket.recv_from(&mut buffer)).await {
            let (length, from) = received?;
            let message = buffer.get(..length).filter(|_| from.port() == PORT).and_then(wire::parse);
            let answers = message.into_iter().flat_map(|message| message.answers);
            let ips: Vec<IpAddr> =
                answers.filter(|(answered, _)| answered == name).map(|(_, ip)| ip).collect();
            if !ips.is_empty() {
                return Ok(ips);
            }
        }
    }
    Ok(Vec::new())
}

/// Answers for the names that come through `names`, until its sender is gone.
pub async fn respond(mut names: mpsc::UnboundedReceiver<(String, IpAddr)>, interfaces: Vec<Ipv4Addr>) {
    let socket = match bind(&interfaces) {
        Ok(socket) => socket,
        Err(error) => {
            tracing::debug!(%error, "names of the local network cannot be answered for");
            return;
        }
    };
    let mut known: Vec<(String, IpAddr)> = Vec::new();
    let mut buffer = vec![0; MESSAGE_LEN_MAX];
    loop {
        tokio::select! {
            name = names.recv() => match name {
                Some((name, ip)) if known.len() < NAMES_MAX => {
                    let name = name.to_ascii_lowercase();
                    // Whoever asked a moment too early need not ask again (RFC 6762 8.3).
                    send(&socket, &wire::answer(&name, ip), &interfaces);
                    known.push((name, ip));
                }
                Some(_) => {}
                None => return,
            },
            received = socket.recv_from(&mut buffer) => {
                // A shared port may report what another program's packet met.
                let Ok((length, _)) = received else { continue };
                let message = buffer.get(..length).and_then(wire::parse).unwrap_or_default();
                for (name, ip) in known.iter().filter(|(name, _)| message.questions.contains(name)) {
                    send(&socket, &wire::answer(name, *ip), &interfaces);
                }
            }
        }
    }
}

/// A socket on the shared port that hears the group on each interface.
fn bind(interfaces: &[Ipv4Addr]) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT)).into())?;
    socket.set_multicast_loop_v4(true)?;
    socket.set_multicast_ttl_v4(255)?;
    let mut joined = 0;
    for interface in interfaces {
        joined += usize::from(
            socket.join_multicast_v4_n(&GROUP, &InterfaceIndexOrAddress::Address(*interface)).is_ok(),
        );
    }
    if joined == 0 {
        return Err(io::ErrorKind::AddrNotAvailable.into());
    }
    UdpSocket::from_std(socket.into())
}

/// To the group, by each interface. What a full queue drops is asked again.
fn send(socket: &UdpSocket, bytes: &[u8], interfaces: &[Ipv4Addr]) {
    for interface in interfaces {
        if SockRef::from(socket).set_multicast_if_v4(interface).is_ok() {
            let sent = SockRef::from(socket).send_to(bytes, &SocketAddr::from((GROUP, PORT)).into());
            tracing::trace!(ok = sent.is_ok(), "asked or answered by mDNS");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: [Ipv4Addr; 1] = [Ipv4Addr::LOCALHOST];

    #[tokio::test]
    async fn a_name_that_is_announced_is_resolved() {
        let name = "f0c7b1a0-7c1d-4a55-9d8e-0e6f5a4b3c21.local";
        let (announce, names) = mpsc::unbounded_channel();
        let responder = tokio::spawn(respond(names, LOOPBACK.to_vec()));
        announce.send((name.to_uppercase(), IpAddr::from([192, 0, 2, 7]))).unwrap();
        assert_eq!(resolve(name.to_owned(), LOOPBACK.to_vec()).await, [IpAddr::from([192, 0, 2, 7])]);
        drop(announce);
        responder.await.unwrap();
    }

    #[tokio::test]
    async fn a_name_that_is_not_one_is_not_asked_for() {
        assert_eq!(resolve("a.b.local".to_owned(), LOOPBACK.to_vec()).await, Vec::<IpAddr>::new());
    }
}
