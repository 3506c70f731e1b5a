//! A TCP or TLS stream to a relay or a peer: opened beside the task, then read and written by it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

use crate::connection::Roots;

/// Bytes that may wait for a slow stream. What comes on top is dropped, as a full router would.
pub const STREAM_WAITING_MAX: usize = 256 << 10;
/// From the first SYN to the end of the TLS handshake.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// An open stream.
pub struct Stream {
    io: Box<dyn Io>,
    local: SocketAddr,
    remote: SocketAddr,
    waiting: Vec<u8>,
    /// Bytes of `waiting` that are already written.
    written: usize,
    /// TLS keeps records back until it is asked.
    is_flushed: bool,
}

impl Stream {
    /// Connects; with `tls`, for this server name.
    pub async fn open(
        to: SocketAddr,
        from: Option<IpAddr>,
        tls: Option<String>,
        roots: Roots,
    ) -> io::Result<Stream> {
        tokio::time::timeout(OPEN_TIMEOUT, async {
            let tcp = connect(to, from).await?;
            let Some(name) = tls else { return Stream::new(tcp) };
            let name = ServerName::try_from(name).map_err(io::Error::other)?;
            // Reading the system's certificates takes its time.
            let config = tokio::task::spawn_blocking(move || roots.client_config()).await?;
            let (local, remote) = (tcp.local_addr()?, tcp.peer_addr()?);
            let io = TlsConnector::from(config).connect(name, tcp).await?;
            Ok(Stream::over(Box::new(io), local, remote))
        })
        .await?
    }

    /// Over a connected TCP stream.
    pub fn new(tcp: TcpStream) -> io::Result<Stream> {
        tcp.set_nodelay(true)?;
        let (local, remote) = (tcp.local_addr()?, tcp.peer_addr()?);
        Ok(Stream::over(Box::new(tcp), local, remote))
    }

    fn over(io: Box<dyn Io>, local: SocketAddr, remote: SocketAddr) -> Stream {
        Stream { io, local, remote, waiting: Vec::new(), written: 0, is_flushed: true }
    }

    /// Our end.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// The other end.
    pub fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// Reads what is there; ready with 0 at the end of the stream.
    pub fn poll_read(&mut self, buffer: &mut [u8], context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(Pin::new(&mut self.io).poll_read(context, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    /// Writes, or keeps what does not fit yet. `false`: too much waits already, and this was dropped whole.
    pub fn write(&mut self, bytes: &[u8], context: &mut Context<'_>) -> io::Result<bool> {
        if self.waiting.len() - self.written + bytes.len() > STREAM_WAITING_MAX {
            return Ok(false);
        }
        // What is written is not kept.
        if self.written > self.waiting.len() / 2 {
            self.waiting.drain(..self.written);
            self.written = 0;
        }
        self.waiting.extend_from_slice(bytes);
        self.flush(context).map(|()| true)
    }

    /// Goes on writing what waits; wakes this task when there is more to do.
    pub fn flush(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        while let Some(rest) = self.waiting.get(self.written..).filter(|rest| !rest.is_empty()) {
            match Pin::new(&mut self.io).poll_write(context, rest)? {
                Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(written) => self.written += written,
                Poll::Pending => return Ok(()),
            }
            self.is_flushed = false;
        }
        self.waiting.clear();
        self.written = 0;
        if !self.is_flushed {
            self.is_flushed = Pin::new(&mut self.io).poll_flush(context)?.is_ready();
        }
        Ok(())
    }
}

/// Listens on any free port of an address; needs a runtime.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

async fn connect(to: SocketAddr, from: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(ip) = from {
        socket.bind(SocketAddr::new(ip, 0))?;
    }
    let tcp = socket.connect(to).await?;
    tcp.set_nodelay(true)?;
    Ok(tcp)
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::net::Ipv4Addr;

    use super::*;
    use tokio::io::AsyncReadExt as _;

    async fn pair() -> (Stream, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let to = listener.local_addr().unwrap();
        let from = Some(Ipv4Addr::LOCALHOST.into());
        let (stream, accepted) =
            tokio::join!(Stream::open(to, from, None, Roots::system()), listener.accept());
        (stream.unwrap(), accepted.unwrap().0)
    }

    #[tokio::test]
    async fn what_a_slow_reader_leaves_waits_up_to_a_limit_and_arrives_whole() {
        let (mut stream, mut reader) = pair().await;
        let packet: Vec<u8> = (0..1_000).map(|n| n as u8).collect();
        let mut taken = 0;
        while poll_fn(|cx| Poll::Ready(stream.write(&packet, cx).unwrap())).await {
            taken += 1;
            assert!(taken < 100_000, "nothing bounds it");
        }
        assert!(stream.waiting.len() - stream.written <= STREAM_WAITING_MAX);
        let mut got = vec![0; taken * packet.len()];
        let reading = reader.read_exact(&mut got);
        let writing = poll_fn(|cx| {
            stream.flush(cx).unwrap();
            Poll::<()>::Pending
        });
        tokio::select! {
            read = reading => assert_eq!(read.unwrap(), taken * packet.len()),
            () = writing => unreachable!("it never ends"),
        }
        assert!(got.chunks(packet.len()).all(|each| each == packet));
    }

    #[tokio::test]
    async fn a_stream_that_ends_says_so() {
        let (mut stream, accepted) = pair().await;
        drop(accepted);
        let mut buffer = [0; 16];
        assert_eq!(poll_fn(|cx| stream.poll_read(&mut buffer, cx)).await.unwrap(), 0);
    }
}
