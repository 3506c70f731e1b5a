//! A server on a free loopback port, and what tests wait for.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use twocan::{Client, Connect, Lobby, LobbyEvent, Peer};
use twocan_signaling::{Config, Grant, GroupId, IceProvider, IceServers, PeerId};

/// Longest wait for anything; a test that reaches it has failed.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// No relay, and no STUN server: on loopback nobody needs one.
struct NoIce;

impl IceProvider for NoIce {
    fn grant(&self, grant: &Grant, _: &str) -> IceServers {
        IceServers { servers: Vec::new(), expires: grant.lifetime.as_secs() }
    }

    fn revoke(&self, _: &GroupId, _: &PeerId) {}

    fn close_group(&self, _: &GroupId) {}
}

pub struct Server {
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<Result<(), twocan_signaling::Died>>,
}

impl Server {
    pub async fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap()).await
    }

    pub async fn start_at(address: SocketAddr) -> Self {
        let config = Config::new(vec![address], [7; 32]);
        let signaling = twocan_signaling::bind(config, Arc::new(NoIce), axum::Router::new()).await.unwrap();
        let address = signaling.local_addr();
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(signaling.run(async move {
            let _ = stopped.await;
        }));
        Self { address, stop: Some(stop), running }
    }

    /// Ends it without a word: sockets are cut.
    pub fn kill(&mut self) {
        self.running.abort();
    }

    /// Ends it in good order.
    pub async fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        let _ = (&mut self.running).await;
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn connect(&self) -> Connect {
        Client::connect(self.url()).app("test")
    }

    pub async fn metric(&self, name: &str) -> Option<f64> {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut stream = tokio::net::TcpStream::connect(self.address).await.unwrap();
        let head = format!("GET /metrics HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address);
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// The next event that `wanted` takes; others are dropped.
pub async fn until<T>(lobby: &mut Lobby, mut wanted: impl FnMut(LobbyEvent) -> Option<T>) -> T {
    let mut seen = Vec::new();
    let search = async {
        loop {
            let event = lobby.next().await.expect("more events");
            seen.push(format!("{event:?}"));
            if let Some(found) = wanted(event) {
                return found;
            }
        }
    };
    let found = tokio::time::timeout(PATIENCE, search).await;
    found.unwrap_or_else(|_| panic!("it did not come; what came: {seen:#?}"))
}

pub async fn peer(lobby: &mut Lobby) -> Peer {
    until(lobby, |event| if let LobbyEvent::Peer(peer) = event { Some(peer) } else { None }).await
}

pub async fn soon<T>(future: impl IntoFuture<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future.into_future()).await.expect("patience")
}

/// Two who are linked, each with its handle of the other.
pub struct Pair {
    pub ada: Lobby,
    pub bob: Lobby,
    /// As Ada sees him.
    pub to_bob: Peer,
    /// As Bob sees her.
    pub to_ada: Peer,
}

pub async fn pair(server: &Server) -> Pair {
    pair_with(server.connect(), server.connect()).await
}

pub async fn pair_with(one: Connect, two: Connect) -> Pair {
    let mut ada = soon(one).await.unwrap().create().size(2).await.unwrap();
    let mut bob = soon(two).await.unwrap().join(ada.code().to_string()).await.unwrap();
    let (to_bob, to_ada) = (peer(&mut ada).await, peer(&mut bob).await);
    Pair { ada, bob, to_bob, to_ada }
}

pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
