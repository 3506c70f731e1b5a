//! Datagrams in and out, in batches: the one file that knows how UDP is really moved.
//! Today one system call a packet; `recvmmsg`, GRO and GSO would change nothing outside of it.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;

use mio::net::UdpSocket as MioSocket;
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, cmsg_space, recvmsg, sendmsg, setsockopt,
    sockopt,
};
use rustix::net::sockopt::{
    Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover,
};

/// Packets taken from one socket before the others get their turn.
pub(crate) const BATCH_PACKETS: usize = 32;
/// Room for one packet: the largest datagram that UDP can carry.
pub(crate) const PACKET_BYTES_MAX: usize = 65_536;
/// ICMP errors taken from one socket's error queue at a time.
const ICMP_BATCH: usize = 16;
/// How often a send is tried again when the kernel reports an older packet's ICMP error instead of sending.
const SEND_ATTEMPTS: usize = 3;

/// A UDP socket that does not block.
#[derive(Debug)]
pub(crate) struct UdpSocket {
    socket: MioSocket,
    local: SocketAddr,
    dont_fragment: bool,
}

/// What `Batch::receive` left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// The socket is empty: the next readiness event will tell.
    Nothing,
    /// The batch was full first: come back without waiting.
    More,
}

/// One datagram of a batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Packet<'a> {
    pub bytes: &'a [u8],
    pub from: SocketAddr,
    /// The address it was sent to: with a wildcard socket, the one that an answer must come from.
    pub to: SocketAddr,
}

/// Datagrams to one destination. (One, today. Equally long ones in a row, once sends are segmented by the kernel.)
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run<'a> {
    pub bytes: &'a [u8],
    pub to: SocketAddr,
    /// Leave from this address of ours; it matters on wildcard sockets only.
    pub from: Option<IpAddr>,
    pub dont_fragment: bool,
}

/// What became of a send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    Yes,
    /// The socket's buffer is full: the packet is dropped.
    Full,
    /// Longer than the path takes, and it must not be cut into fragments.
    TooLong,
    /// The kernel refused for another reason (no route, for one).
    Failed,
}

/// An ICMP error about a packet that this socket had sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IcmpError {
    /// Where that packet went.
    pub peer: SocketAddr,
    pub kind: u8,
    pub code: u8,
    /// The next hop's MTU, with "fragmentation needed" and "packet too big"; else 0.
    pub mtu: u32,
}

impl UdpSocket {
    /// Wraps a bound socket. Packets out may be fragmented on their way, unless one says otherwise.
    pub(crate) fn new(socket: std::net::UdpSocket) -> io::Result<UdpSocket> {
        socket.set_nonblocking(true)?;
        let local = socket.local_addr()?;
        if local.ip().is_unspecified() {
            match local {
                SocketAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?,
                SocketAddr::V6(_) => setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?,
            }
        }
        let mut socket = UdpSocket { socket: MioSocket::from_std(socket), local, dont_fragment: true };
        socket.set_dont_fragment(false)?;
        Ok(socket)
    }

    /// Asks the kernel to keep the ICMP errors that come back, for `icmp_errors`.
    pub(crate) fn keep_icmp_errors(&self) -> io::Result<()> {
        match self.local {
            SocketAddr::V4(_) => setsockopt(&self.socket, sockopt::Ipv4RecvErr, &true)?,
            SocketAddr::V6(_) => setsockopt(&self.socket, sockopt::Ipv6RecvErr, &true)?,
        }
        Ok(())
    }

    /// What to register with a poll.
    pub(crate) fn source(&mut self) -> &mut MioSocket {
        &mut self.socket
    }

    /// The address it is bound to.
    pub(crate) fn local(&self) -> SocketAddr {
        self.local
    }

    /// Sends a run without waiting.
    pub(crate) fn send(&mut self, run: Run<'_>) -> Sent {
        if run.dont_fragment != self.dont_fragment && self.set_dont_fragment(run.dont_fragment).is_err() {
            return Sent::Failed;
        }
        for _ in 0..SEND_ATTEMPTS {
            match self.send_once(run) {
                Ok(()) => return Sent::Yes,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Sent::Full,
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => return Sent::Full,
                Err(error) if error.raw_os_error() == Some(libc::EMSGSIZE) => return Sent::TooLong,
                // Either a signal came, or this is an older packet's fate: the next call starts afresh.
                Err(error) if error.kind() == io::ErrorKind::Interrupted || is_icmp_echo(&error) => {}
                Err(_) => return Sent::Failed,
            }
        }
        Sent::Failed
    }

    fn send_once(&self, run: Run<'_>) -> io::Result<()> {
        let Some(from) = run.from.filter(|_| self.local.ip().is_unspecified()) else {
            return self.socket.send_to(run.bytes, run.to).map(drop);
        };
        let fd = self.socket.as_raw_fd();
        let bytes = [IoSlice::new(run.bytes)];
        let to = SockaddrStorage::from(run.to);
        match from {
            IpAddr::V4(from) => {
                let info = libc::in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: libc::in_addr { s_addr: u32::from_ne_bytes(from.octets()) },
                    ipi_addr: libc::in_addr { s_addr: 0 },
                };
                sendmsg(fd, &bytes, &[ControlMessage::Ipv4PacketInfo(&info)], MsgFlags::empty(), Some(&to))?;
            }
            IpAddr::V6(from) => {
                let info = libc::in6_pktinfo {
                    ipi6_addr: libc::in6_addr { s6_addr: from.octets() },
                    ipi6_ifindex: 0,
                };
                sendmsg(fd, &bytes, &[ControlMessage::Ipv6PacketInfo(&info)], MsgFlags::empty(), Some(&to))?;
            }
        }
        Ok(())
    }

    /// `true` sets the don't-fragment bit (a packet longer than the known path is refused), `false` clears it.
    fn set_dont_fragment(&mut self, on: bool) -> io::Result<()> {
        match self.local {
            SocketAddr::V4(_) => {
                let value = if on { Ipv4PathMtuDiscovery::DO } else { Ipv4PathMtuDiscovery::DONT };
                set_ip_mtu_discover(&self.socket, value)?;
            }
            SocketAddr::V6(_) => {
                let value = if on { Ipv6PathMtuDiscovery::DO } else { Ipv6PathMtuDiscovery::DONT };
                set_ipv6_mtu_discover(&self.socket, value)?;
            }
        }
        self.dont_fragment = on;
        Ok(())
    }

    /// Takes ICMP errors that the kernel kept, at most `ICMP_BATCH`.
    pub(crate) fn icmp_errors(&self) -> Vec<IcmpError> {
        let mut errors = Vec::new();
        let mut control = [0u8; 512];
        for _ in 0..ICMP_BATCH {
            let mut nothing = [0u8; 1];
            let mut buffers = [IoSliceMut::new(&mut nothing)];
            let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
            let fd = self.socket.as_raw_fd();
            let Ok(message) = recvmsg::<SockaddrStorage>(fd, &mut buffers, Some(&mut control), flags) else {
                break;
            };
            let Some(peer) = message.address.as_ref().and_then(socket_addr) else { continue };
            let Ok(controls) = message.cmsgs() else { continue };
            for each in controls {
                let error = match each {
                    ControlMessageOwned::Ipv4RecvErr(error, _)
                        if error.ee_origin == libc::SO_EE_ORIGIN_ICMP =>
                    {
                        error
                    }
                    ControlMessageOwned::Ipv6RecvErr(error, _)
                        if error.ee_origin == libc::SO_EE_ORIGIN_ICMP6 =>
                    {
                        error
                    }
                    _ => continue,
                };
                errors.push(IcmpError { peer, kind: error.ee_type, code: error.ee_code, mtu: error.ee_info });
            }
        }
        errors
    }
}

/// Buffers that a socket's packets are read into, used over and over.
pub(crate) struct Batch {
    buffer: Box<[u8]>,
    packets: Vec<Meta>,
    control: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Meta {
    length: usize,
    from: SocketAddr,
    to: SocketAddr,
}

impl Batch {
    /// The memory is only taken from the system where packets have been.
    pub(crate) fn new() -> Batch {
        Batch {
            buffer: vec![0; BATCH_PACKETS * PACKET_BYTES_MAX].into_boxed_slice(),
            packets: Vec::with_capacity(BATCH_PACKETS),
            control: vec![0; cmsg_space::<libc::in6_pktinfo>() + cmsg_space::<libc::in_pktinfo>()],
        }
    }

    /// Forgets the last batch and reads the next one.
    pub(crate) fn receive(&mut self, socket: &UdpSocket) -> Left {
        self.packets.clear();
        let wildcard = socket.local.ip().is_unspecified();
        // An ICMP error takes a turn as well, so that a socket which only fails cannot hold the thread.
        for _ in 0..BATCH_PACKETS {
            let start = self.packets.len() * PACKET_BYTES_MAX;
            let room = &mut self.buffer[start..start + PACKET_BYTES_MAX];
            let received = if wildcard {
                receive_with_destination(socket, room, &mut self.control)
            } else {
                socket
                    .socket
                    .recv_from(room)
                    .map(|(length, from)| Some(Meta { length, from, to: socket.local }))
            };
            match received {
                Ok(Some(meta)) => self.packets.push(meta),
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted || is_icmp_echo(&error) => {}
                Err(_) => return Left::Nothing,
            }
        }
        Left::More
    }

    /// What the last `receive` read, in order.
    pub(crate) fn packets(&self) -> impl Iterator<Item = Packet<'_>> {
        self.packets.iter().zip(self.buffer.chunks_exact(PACKET_BYTES_MAX)).filter_map(|(meta, room)| {
            Some(Packet { bytes: room.get(..meta.length)?, from: meta.from, to: meta.to })
        })
    }
}

/// Reads one packet and the address it was sent to. `None`: read, but unusable.
fn receive_with_destination(
    socket: &UdpSocket,
    room: &mut [u8],
    control: &mut [u8],
) -> io::Result<Option<Meta>> {
    let mut buffers = [IoSliceMut::new(room)];
    let fd = socket.socket.as_raw_fd();
    let message = recvmsg::<SockaddrStorage>(fd, &mut buffers, Some(control), MsgFlags::MSG_DONTWAIT)?;
    let Some(from) = message.address.as_ref().and_then(socket_addr) else { return Ok(None) };
    let mut to = socket.local;
    for each in message.cmsgs().into_iter().flatten() {
        match each {
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                to.set_ip(IpAddr::from(info.ipi_addr.s_addr.to_ne_bytes()));
            }
            ControlMessageOwned::Ipv6PacketInfo(info) => to.set_ip(IpAddr::from(info.ipi6_addr.s6_addr)),
            _ => {}
        }
    }
    Ok(Some(Meta { length: message.bytes, from, to }))
}

fn socket_addr(address: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(SocketAddr::V4((*v4).into()));
    }
    address.as_sockaddr_in6().map(|v6| SocketAddr::V6((*v6).into()))
}

/// Whether a call failed not on its own account, but to report an ICMP error that came back earlier.
fn is_icmp_echo(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().map(Errno::from_raw),
        Some(
            Errno::ECONNREFUSED
                | Errno::EHOSTUNREACH
                | Errno::ENETUNREACH
                | Errno::EHOSTDOWN
                | Errno::ENONET
                | Errno::EPROTO
                | Errno::ENOPROTOOPT
                | Errno::EACCES
        )
    )
}

#[cfg(test)]
mod tests {
    use rustix::net::sockopt::{ip_mtu_discover, ipv6_mtu_discover};

    use super::*;

    fn socket(address: &str) -> UdpSocket {
        UdpSocket::new(std::net::UdpSocket::bind(address).unwrap()).unwrap()
    }

    fn run(bytes: &[u8], to: SocketAddr, dont_fragment: bool) -> Run<'_> {
        Run { bytes, to, from: None, dont_fragment }
    }

    /// What is on its way to a loopback socket is there as soon as it is sent.
    fn received(socket: &UdpSocket) -> (Vec<(Vec<u8>, SocketAddr, SocketAddr)>, Left) {
        let mut batch = Batch::new();
        let left = batch.receive(socket);
        (batch.packets().map(|packet| (packet.bytes.to_vec(), packet.from, packet.to)).collect(), left)
    }

    #[test]
    fn the_dont_fragment_bit_follows_each_packet() {
        let (mut v4, mut v6) = (socket("127.0.0.1:0"), socket("[::1]:0"));
        let (to4, to6) = (v4.local(), v6.local());
        assert_eq!(ip_mtu_discover(&v4.socket).unwrap(), Ipv4PathMtuDiscovery::DONT);
        assert_eq!(ipv6_mtu_discover(&v6.socket).unwrap(), Ipv6PathMtuDiscovery::DONT);
        assert_eq!((v4.send(run(b"a", to4, true)), v6.send(run(b"a", to6, true))), (Sent::Yes, Sent::Yes));
        assert_eq!(ip_mtu_discover(&v4.socket).unwrap(), Ipv4PathMtuDiscovery::DO);
        assert_eq!(ipv6_mtu_discover(&v6.socket).unwrap(), Ipv6PathMtuDiscovery::DO);
        assert_eq!((v4.send(run(b"b", to4, false)), v6.send(run(b"b", to6, false))), (Sent::Yes, Sent::Yes));
        assert_eq!(ip_mtu_discover(&v4.socket).unwrap(), Ipv4PathMtuDiscovery::DONT);
        assert_eq!(ipv6_mtu_discover(&v6.socket).unwrap(), Ipv6PathMtuDiscovery::DONT);
    }

    #[test]
    fn a_batch_holds_so_many_packets_and_says_that_there_are_more() {
        let (mut from, to) = (socket("127.0.0.1:0"), socket("127.0.0.1:0"));
        for n in 0..=BATCH_PACKETS {
            assert_eq!(from.send(run(&[n as u8; 9], to.local(), false)), Sent::Yes);
        }
        let (packets, left) = received(&to);
        assert_eq!((packets.len(), left), (BATCH_PACKETS, Left::More));
        let (packets, left) = received(&to);
        assert_eq!(packets, vec![(vec![BATCH_PACKETS as u8; 9], from.local(), to.local())]);
        assert_eq!(left, Left::Nothing);
    }

    #[test]
    fn a_wildcard_socket_sees_which_address_was_meant_and_answers_from_it() {
        let mut server = socket("0.0.0.0:0");
        let mut client = socket("127.0.0.1:0");
        let meant = SocketAddr::from(([127, 0, 0, 42], server.local().port()));
        assert_eq!(client.send(run(b"question", meant, false)), Sent::Yes);
        assert_eq!(received(&server).0, vec![(b"question".to_vec(), client.local(), meant)]);
        let answer = Run { from: Some(meant.ip()), ..run(b"answer", client.local(), false) };
        assert_eq!(server.send(answer), Sent::Yes);
        assert_eq!(received(&client).0, vec![(b"answer".to_vec(), meant, client.local())]);
    }

    #[test]
    fn the_longest_datagram_is_received_whole() {
        let (mut from, to) = (socket("127.0.0.1:0"), socket("127.0.0.1:0"));
        let longest = vec![7; 65_507];
        assert_eq!(from.send(run(&longest, to.local(), false)), Sent::Yes);
        assert_eq!(received(&to).0[0].0, longest);
        assert_eq!(from.send(run(&[7; 65_508], to.local(), false)), Sent::TooLong);
    }

    #[test]
    fn an_icmp_error_is_told_and_neither_stops_receiving_nor_sending() {
        let mut socket = socket("127.0.0.1:0");
        socket.keep_icmp_errors().unwrap();
        let gone = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let here = socket.local();
        assert_eq!(socket.send(run(b"to nobody", gone, false)), Sent::Yes);
        assert_eq!(socket.send(run(b"to myself", here, false)), Sent::Yes);
        assert_eq!(received(&socket).0, vec![(b"to myself".to_vec(), here, here)]);
        assert_eq!(socket.icmp_errors(), vec![IcmpError { peer: gone, kind: 3, code: 3, mtu: 0 }]);
        assert_eq!(socket.icmp_errors(), vec![]);
    }
}
