//! The sockets and timers around `twocan_stun::discovery`, for one family of addresses.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::task::Poll;
use std::time::Duration;

use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep_until};
use twocan_stun::discovery::{Behaviour, Config, Discovery, Event, SCHEDULE, SocketId, sockets_for};

use crate::report::{Nat, Network};

/// Room for an answer.
const DATAGRAM_ROOM: usize = 2_048;
/// What is kept back of the time there is, to put the report together.
const RESERVE: Duration = Duration::from_millis(300);

/// Looks what stands between us and the first of `servers`, which are all of one family. The others are asked where the
/// first cannot tell.
pub(crate) async fn look(
    is_ipv4: bool,
    servers: &[SocketAddr],
    lifetimes: &[Duration],
    deadline: Instant,
) -> Network {
    let Some((&server, others)) = servers.split_first() else {
        let has_address = local_address(somewhere(is_ipv4)).is_some();
        return if has_address { Network::NotAsked } else { Network::NoAddress };
    };
    let Some(local) = local_address(server) else { return Network::NoAddress };
    match discover(local, server, others, lifetimes, deadline).await {
        Ok(behaviour) => match behaviour.mapped {
            Some(mapped) => Network::Answered(Box::new(Nat::of(server, mapped, &behaviour))),
            None => Network::Silent { server },
        },
        Err(_) => Network::NoAddress,
    }
}

async fn discover(
    local: IpAddr,
    server: SocketAddr,
    others: &[SocketAddr],
    lifetimes: &[Duration],
    deadline: Instant,
) -> io::Result<Behaviour> {
    let mut sockets = Vec::new();
    for _ in 0..sockets_for(lifetimes.len()) {
        sockets.push(UdpSocket::bind(SocketAddr::new(local, 0)).await?);
    }
    let local: Vec<SocketAddr> = sockets.iter().map(UdpSocket::local_addr).collect::<io::Result<_>>()?;
    let config =
        Config { server, others: others.to_vec(), local, lifetimes: lifetimes.to_vec(), schedule: SCHEDULE };
    let mut seed = [0; 32];
    SystemRandom::new().fill(&mut seed).map_err(|_| io::ErrorKind::Other)?;
    let stop = deadline.checked_sub(RESERVE).unwrap_or(deadline);
    let mut discovery = Discovery::new(config, seed, Instant::now().into_std())
        .expect("there are as many sockets as it asks for");
    loop {
        while let Some(sent) = discovery.poll_transmit() {
            if let Some(socket) = sockets.get(usize::from(sent.socket.0)) {
                // A packet that cannot be sent is a packet that is lost.
                let _ = socket.send_to(&sent.bytes, sent.to).await;
            }
        }
        while let Some(event) = discovery.poll_event() {
            if let Event::Finished(behaviour) = event {
                return Ok(behaviour);
            }
        }
        let due = discovery.poll_timeout().map_or(stop, Instant::from_std).min(stop);
        let mut room = [0; DATAGRAM_ROOM];
        tokio::select! {
            (socket, length, from) = receive(&sockets, &mut room) => {
                let bytes = room.get(..length).unwrap_or_default();
                // What is not for us is not for us.
                let _ = discovery.handle_datagram(bytes, from, socket, Instant::now().into_std());
            }
            () = sleep_until(due) => {
                let now = Instant::now();
                if now >= stop {
                    discovery.handle_stop(now.into_std());
                } else {
                    discovery.handle_timeout(now.into_std());
                }
            }
        }
    }
}

/// The next datagram at any of the sockets.
async fn receive(sockets: &[UdpSocket], room: &mut [u8]) -> (SocketId, usize, SocketAddr) {
    poll_fn(|context| {
        for (index, socket) in (0..).zip(sockets) {
            loop {
                let mut buffer = ReadBuf::new(room);
                match socket.poll_recv_from(context, &mut buffer) {
                    Poll::Ready(Ok(from)) => {
                        return Poll::Ready((SocketId(index), buffer.filled().len(), from));
                    }
                    // An older packet's fate.
                    Poll::Ready(Err(_)) => {}
                    Poll::Pending => break,
                }
            }
        }
        Poll::Pending
    })
    .await
}

/// The address from which this machine would send to `remote`. Connecting a UDP socket sends nothing.
pub(crate) fn local_address(remote: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = match remote {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = std::net::UdpSocket::bind(SocketAddr::new(any, 0)).ok()?;
    socket.connect(remote).ok()?;
    socket.local_addr().ok().map(|address| address.ip()).filter(|ip| !ip.is_unspecified())
}

/// Any address of the Internet will do: nothing is sent there.
fn somewhere(is_ipv4: bool) -> SocketAddr {
    if is_ipv4 {
        (Ipv4Addr::new(198, 41, 0, 4), 53).into()
    } else {
        (Ipv6Addr::new(0x2001, 0x503, 0xba3e, 0, 0, 0, 2, 0x30), 53).into()
    }
}
