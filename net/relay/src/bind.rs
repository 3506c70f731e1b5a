//! Opens sockets: listeners that several threads share a port with, and relayed ports, which nobody shares.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use twocan_turn::Transport;

use crate::error::Error;

/// Connections that may wait for `accept`.
const BACKLOG: i32 = 1024;
/// What we ask of the kernel for each UDP listener, each way, in bytes. It may give less.
const LISTENER_BUFFER_BYTES: usize = 4 << 20;
/// What the kernel may keep of what goes to a TCP client that has not proved itself: the smallest buffer in which answers go
/// out well. It counts twice as many.
const STREAM_SEND_BYTES: usize = 8 << 10;
/// What the kernel may keep of what came from a TCP client and was not read yet. It counts twice as many.
const STREAM_RECEIVE_BYTES: usize = 32 << 10;
/// What the kernel takes before it is sent; the rest waits with us, where a slow reader's data can be dropped.
const STREAM_UNSENT_BYTES: u32 = 16 << 10;
/// Tries to find one number that is free for both UDP and TCP, where any port will do.
const ANY_PORT_ATTEMPTS: usize = 32;

/// Finds out whether addresses can be had, alone, and holds them meanwhile. Drop it before opening the listeners.
///
/// A listener of ours shares its port with the other threads (`SO_REUSEPORT`), and would as gladly share it with
/// another relay on the same machine, or with another listener of its own. So this asks first, without sharing.
#[derive(Default)]
pub(crate) struct Probe {
    held: Vec<Socket>,
}

impl Probe {
    /// `address`, if it is free for all of `transports`: with a real port where 0, any port, was asked for.
    pub(crate) fn settle(
        &mut self,
        address: SocketAddr,
        transports: &[Transport],
    ) -> Result<SocketAddr, Error> {
        let mut attempts = if address.port() == 0 { ANY_PORT_ATTEMPTS } else { 1 };
        loop {
            attempts -= 1;
            match self.settle_once(address, transports) {
                Err(Error::PortTaken { .. }) if attempts > 0 => {}
                settled => return settled,
            }
        }
    }

    fn settle_once(
        &mut self,
        mut address: SocketAddr,
        transports: &[Transport],
    ) -> Result<SocketAddr, Error> {
        let mut held = Vec::new();
        for &transport in transports {
            let socket =
                bind(address, transport, false).map_err(|error| Error::listen(address, transport, error))?;
            if address.port() == 0 {
                let bound = socket.local_addr().ok().and_then(|bound| bound.as_socket());
                address.set_port(bound.map_or(0, |bound| bound.port()));
            }
            held.push(socket);
        }
        self.held.append(&mut held);
        Ok(address)
    }
}

/// A UDP listener. `shared`: other threads have one on the same port.
pub(crate) fn udp(address: SocketAddr, shared: bool) -> Result<UdpSocket, Error> {
    let open = || {
        let socket = bind(address, Transport::Udp, shared)?;
        // Less than we ask for is no reason not to start.
        let _ = socket.set_recv_buffer_size(LISTENER_BUFFER_BYTES);
        let _ = socket.set_send_buffer_size(LISTENER_BUFFER_BYTES);
        Ok(UdpSocket::from(socket))
    };
    open().map_err(|error| Error::listen(address, Transport::Udp, error))
}

/// A TCP listener, for TCP or TLS. `shared`: other threads have one on the same port.
pub(crate) fn tcp(
    address: SocketAddr,
    transport: Transport,
    shared: bool,
    stalled: Duration,
) -> Result<TcpListener, Error> {
    let open = || {
        let socket = bind(address, transport, shared)?;
        // Accepted connections inherit all of these.
        socket.set_send_buffer_size(STREAM_SEND_BYTES)?;
        socket.set_recv_buffer_size(STREAM_RECEIVE_BYTES)?;
        socket.set_tcp_user_timeout(Some(stalled))?;
        socket.set_tcp_notsent_lowat(STREAM_UNSENT_BYTES)?;
        socket.listen(BACKLOG)?;
        Ok(TcpListener::from(socket))
    };
    open().map_err(|error| Error::listen(address, transport, error))
}

/// A relayed port, shared with nobody. Its buffers have the kernel's default size (net.core.rmem_default, 208 KiB with what the
/// kernel counts for itself), as any program's: a burst of 90 datagrams of 1,200 bytes. They are full only where a thread cannot
/// keep up: 156 MiB for all ports that one household gets. What all UDP sockets hold together the kernel bounds as well
/// (net.ipv4.udp_mem, a tenth of the memory).
pub(crate) fn relayed(address: SocketAddr) -> io::Result<UdpSocket> {
    Ok(bind(address, Transport::Udp, false)?.into())
}

/// Where the sockets of relayed ports should be bound, so that packets leave from `external` if this machine has it
/// (it has not, behind a router that translates addresses: then from any).
pub(crate) fn relay_address(external: IpAddr) -> IpAddr {
    match relayed(SocketAddr::new(external, 0)) {
        Ok(_) => external,
        Err(_) => any(external),
    }
}

/// The wildcard address of the same family.
pub(crate) fn any(like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    }
}

fn bind(address: SocketAddr, transport: Transport, shared: bool) -> io::Result<Socket> {
    let (kind, protocol) = match transport {
        Transport::Udp => (Type::DGRAM, Protocol::UDP),
        Transport::Tcp | Transport::Tls => (Type::STREAM, Protocol::TCP),
    };
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if kind == Type::STREAM {
        // Not for sharing: it lets a restarted server have its port while old connections are in TIME_WAIT.
        socket.set_reuse_address(true)?;
    }
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    if kind == Type::STREAM && !shared {
        // Two sockets that allow each other's reuse can both bind: only listening tells that the port is taken.
        socket.listen(1)?;
    }
    Ok(socket)
}
