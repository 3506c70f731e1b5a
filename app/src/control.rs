//! Tells a relay of another process whom the lobby has let in and who is gone: a socket and a task around
//! [`twocan_turn::control::Teller`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use tokio::net::UdpSocket;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tracing::warn;
use twocan_turn::control::Teller;
use twocan_turn::{Limits, News};

/// News that may wait for the task, which only notes them: so many wait only if it hangs.
const QUEUE: usize = 65_536;
/// No answer of the relay is longer.
const PACKET_BYTES_MAX: usize = 2_048;

/// The task's queue. It ends when this is dropped.
pub struct Control(Sender<News>);

impl Control {
    /// Begins to tell the relay that listens for UDP at `relay`. `key`: of the secret that both halves have.
    pub async fn start(relay: SocketAddr, key: [u8; 32], seed: [u8; 32]) -> anyhow::Result<Control> {
        let any: IpAddr =
            if relay.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind((any, 0)).await.context("cannot open a socket to the relay")?;
        socket.connect(relay).await.with_context(|| format!("the relay at {relay} cannot be reached"))?;
        let (news, queue) = channel(QUEUE);
        let teller = Teller::new(&key, Limits::default().members, seed, Instant::now());
        tokio::spawn(run(teller, socket, queue));
        Ok(Control(news))
    }

    /// Takes note, and tells the relay soon.
    pub fn tell(&self, news: News) {
        if self.0.try_send(news).is_err() {
            warn!("the relay was not told of a credential: too many wait");
        }
    }
}

async fn run(mut teller: Teller, socket: UdpSocket, mut queue: Receiver<News>) {
    let mut buffer = [0; PACKET_BYTES_MAX];
    loop {
        while let Some(packet) = teller.poll_transmit() {
            // What cannot be sent is lost, as it might be on its way: it is sent again.
            let _ = socket.send(&packet).await;
        }
        let due = tokio::time::Instant::from_std(teller.poll_timeout());
        tokio::select! {
            news = queue.recv() => match news {
                Some(news) => teller.handle_news(&news, unix_s(), Instant::now()),
                None => return,
            },
            received = socket.recv(&mut buffer) => if let Ok(length) = received {
                teller.handle_packet(&buffer[..length], Instant::now());
            },
            () = tokio::time::sleep_until(due) => teller.handle_timeout(unix_s(), Instant::now()),
        }
    }
}

fn unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
