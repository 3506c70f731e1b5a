//! One UDP socket: batches of datagrams in, runs of equal segments out.

use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{SocketAddr, SocketAddrV6};
use std::task::{Context, Poll, ready};

use quinn_udp::{RecvMeta, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// What we ask of the kernel for each direction, bytes; it gives what its own limits allow. Bulk fills whatever there is, and what
/// else is sent waits behind it: over veth this carries as much as 1 MiB does, at half the round trip (3 ms in place of 6).
const SOCKET_BUFFER: usize = 256 << 10;
/// What one receive may bring: as many runs of datagrams as this.
const BATCH: usize = 8;
/// Bytes of one run at most: the kernel joins no more (`UDP_GRO`).
const RUN_LEN_MAX: usize = 65_536;
/// Bytes of one run that we send: an IPv4 datagram's payload limit holds for the whole run.
const RUN_SENT_LEN_MAX: usize = 65_000;

/// Where datagrams are received. One per thread is enough: it is used only within a call.
pub struct Buffers(Box<[u8]>);

impl Buffers {
    /// The kernel lends memory for what is touched, so idle slots cost nothing.
    pub fn new() -> Self {
        Self(vec![0; BATCH * RUN_LEN_MAX].into_boxed_slice())
    }

    /// One slot, for what is not datagrams.
    pub fn bytes(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

/// A run of datagrams that the kernel had no room for.
struct Blocked {
    to: SocketAddr,
    bytes: Vec<u8>,
    segment_size: Option<usize>,
    /// Routers that it may pass, where those are fewer than of others.
    ttl: Option<u8>,
    /// Bytes of it that are already sent.
    sent: usize,
}

/// A socket on one address of one interface.
pub struct Udp {
    socket: UdpSocket,
    state: UdpSocketState,
    local: SocketAddr,
    blocked: Option<Blocked>,
}

impl Udp {
    /// Binds to any free port of an address; needs a runtime.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        // Less than was asked for still works.
        let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
        let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
        let socket = UdpSocket::from_std(socket.into())?;
        let state = UdpSocketState::new((&socket).into())?;
        let local = bare(socket.local_addr()?);
        Ok(Self { socket, state, local, blocked: None })
    }

    /// The address it is bound to, without an IPv6 scope.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Receives one batch and gives each datagram to `each`, with where it came from. Ready with their number.
    pub fn poll_receive(
        &self,
        buffers: &mut Buffers,
        context: &mut Context<'_>,
        mut each: impl FnMut(SocketAddr, &[u8]),
    ) -> Poll<io::Result<usize>> {
        let mut metas = [RecvMeta::default(); BATCH];
        let mut received = 0;
        while received == 0 {
            ready!(self.socket.poll_recv_ready(context))?;
            let mut slots = buffers.0.chunks_exact_mut(RUN_LEN_MAX);
            let mut slices: [IoSliceMut<'_>; BATCH] =
                std::array::from_fn(|_| IoSliceMut::new(slots.next().unwrap_or_default()));
            let receive = || {
                received = self.state.recv((&self.socket).into(), &mut slices, &mut metas)?;
                // Fewer than there is room for: the socket is empty now. To say so saves the call that would find it out.
                if received < BATCH { Err(ErrorKind::WouldBlock.into()) } else { Ok(()) }
            };
            match self.socket.try_io(Interest::READABLE, receive) {
                Err(error) if error.kind() != ErrorKind::WouldBlock => return Poll::Ready(Err(error)),
                Ok(()) | Err(_) => {}
            }
        }
        let mut datagrams = 0;
        for (meta, slot) in metas.iter().zip(buffers.0.chunks_exact(RUN_LEN_MAX)).take(received) {
            let run = slot.get(..meta.len).unwrap_or(slot);
            for datagram in run.chunks(meta.stride.max(1)) {
                each(bare(meta.addr), datagram);
                datagrams += 1;
            }
        }
        Poll::Ready(Ok(datagrams))
    }

    /// Whether something waits for the kernel to have room: then nothing else should be sent here.
    pub fn is_blocked(&self) -> bool {
        self.blocked.is_some()
    }

    /// Drops what waits.
    pub fn give_up(&mut self) {
        self.blocked = None;
    }

    /// Sends a run of datagrams, or keeps it until the kernel has room and wakes this task then.
    pub fn send(
        &mut self,
        to: SocketAddr,
        bytes: Vec<u8>,
        segment_size: Option<usize>,
        ttl: Option<u8>,
        context: &mut Context<'_>,
    ) -> io::Result<()> {
        self.blocked = Some(Blocked { to, bytes, segment_size, ttl, sent: 0 });
        self.unblock(context)
    }

    /// Goes on with what was kept. An error drops it.
    pub fn unblock(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let Some(mut run) = self.blocked.take() else { return Ok(()) };
        while run.sent < run.bytes.len() {
            let segments = self.state.max_gso_segments();
            match self.send_some(&run) {
                Ok(sent) => run.sent += sent,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if self.socket.poll_send_ready(context)?.is_pending() {
                        self.blocked = Some(run);
                        break;
                    }
                }
                // One datagram of another size, and the kernel says that it is too large for the path: a probe, or lost.
                Err(error) if quinn_udp::is_msg_size_err(&error) => break,
                // It has just been found out that this way cannot take runs: once more, one by one.
                Err(_) if self.state.max_gso_segments() < segments => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// One system call: as many segments as it takes.
    fn send_some(&self, run: &Blocked) -> io::Result<usize> {
        let rest = run.bytes.get(run.sent..).unwrap_or_default();
        let length = match run.segment_size {
            Some(size) if size < rest.len() => {
                let segments = self.state.max_gso_segments().min(RUN_SENT_LEN_MAX / size.max(1)).max(1);
                rest.len().min(segments * size)
            }
            _ => rest.len(),
        };
        let contents = rest.get(..length).unwrap_or(rest);
        let transmit = quinn_udp::Transmit {
            destination: run.to,
            ecn: None,
            contents,
            segment_size: run.segment_size,
            src_ip: None,
        };
        let send = || {
            self.socket.try_io(Interest::WRITABLE, || self.state.try_send((&self.socket).into(), &transmit))
        };
        match run.ttl {
            None => send()?,
            // It is the socket's, not the packet's: one that has another for good would reach nobody, so this must work.
            Some(ttl) => {
                let usual = self.socket.ttl()?;
                self.socket.set_ttl(ttl.into())?;
                let sent = send();
                self.socket.set_ttl(usual)?;
                sent?;
            }
        }
        Ok(length)
    }
}

/// An address as ICE compares it: IPv6 without scope and flow label.
fn bare(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V6(v6) => SocketAddrV6::new(*v6.ip(), v6.port(), 0, 0).into(),
        v4 @ SocketAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;

    async fn receive(socket: &Udp, datagrams: usize) -> Vec<Vec<u8>> {
        let (mut got, mut buffers) = (Vec::new(), Buffers::new());
        while got.len() < datagrams {
            let batch =
                poll_fn(|cx| socket.poll_receive(&mut buffers, cx, |_, bytes| got.push(bytes.to_vec())));
            tokio::time::timeout(Duration::from_secs(5), batch).await.unwrap().unwrap();
        }
        got
    }

    async fn send(
        socket: &mut Udp,
        to: SocketAddr,
        bytes: Vec<u8>,
        segment_size: Option<usize>,
        ttl: Option<u8>,
    ) {
        let mut bytes = Some(bytes);
        poll_fn(|cx| {
            match bytes.take() {
                Some(bytes) => socket.send(to, bytes, segment_size, ttl, cx).unwrap(),
                None => socket.unblock(cx).unwrap(),
            }
            if socket.is_blocked() { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }

    #[tokio::test]
    async fn one_datagram_with_fewer_hops_leaves_the_others_theirs() {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (mut one, two) = (Udp::bind(any).unwrap(), Udp::bind(any).unwrap());
        let usual = one.socket.ttl().unwrap();
        send(&mut one, two.local(), vec![1], None, Some(1)).await;
        assert_eq!(one.socket.ttl().unwrap(), usual);
        assert_eq!(receive(&two, 1).await, [[1]]);
    }

    #[tokio::test]
    async fn a_run_arrives_as_the_datagrams_it_was_made_of() {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (mut one, two) = (Udp::bind(any).unwrap(), Udp::bind(any).unwrap());
        // More than one system call takes: 100 segments, the last one shorter.
        let bytes: Vec<u8> = (0..99 * 1_200 + 7).map(|n: usize| (n / 1_200) as u8).collect();
        send(&mut one, two.local(), bytes.clone(), Some(1_200), None).await;
        let got = receive(&two, 100).await;
        assert_eq!(got.iter().map(Vec::len).collect::<Vec<_>>(), [vec![1_200; 99], vec![7]].concat());
        assert_eq!(got.concat(), bytes);
    }

    #[tokio::test]
    async fn single_datagrams_keep_their_sizes() {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (mut one, two) = (Udp::bind(any).unwrap(), Udp::bind(any).unwrap());
        for length in [1, 20, 1_200, 1_472] {
            send(&mut one, two.local(), vec![7; length], None, None).await;
        }
        let got = receive(&two, 4).await;
        assert_eq!(got.iter().map(Vec::len).collect::<Vec<_>>(), [1, 20, 1_200, 1_472]);
    }
}
