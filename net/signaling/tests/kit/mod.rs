//! A server on a free loopback port, and a client that speaks to it over a real socket.

#![allow(dead_code)] // each test file uses a part

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{self, Message, http};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use twocan_signaling::{
    Config, Died, Grant, GroupId, IceProvider, IceServer, IceServers, PeerId, Signaling, bind,
};

/// Longest wait for anything; a test that reaches it has failed.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Grants whatever is asked for, and remembers what it was told.
#[derive(Default)]
pub struct Ice {
    pub told: Mutex<Vec<String>>,
}

impl IceProvider for Ice {
    fn grant(&self, grant: &Grant, host: &str) -> IceServers {
        self.told.lock().unwrap().push(format!("grant {} {}", grant.peer, grant.lifetime.as_secs()));
        let urls = vec![format!("turn:{host}:3478?transport=udp")];
        let username = Some(format!("1:lobby.{}.{}", grant.group, grant.peer));
        let server = IceServer { urls, username, credential: Some("secret".into()) };
        IceServers { servers: vec![server], expires: grant.lifetime.as_secs() }
    }

    fn revoke(&self, _: &GroupId, peer: &PeerId) {
        self.told.lock().unwrap().push(format!("revoke {peer}"));
    }

    fn close_group(&self, _: &GroupId) {
        self.told.lock().unwrap().push("close".into());
    }
}

pub struct Server {
    pub address: std::net::SocketAddr,
    pub ice: Arc<Ice>,
    stop: Option<oneshot::Sender<()>>,
    pub running: JoinHandle<Result<(), Died>>,
}

pub fn config() -> Config {
    Config::new(vec!["127.0.0.1:0".parse().unwrap()], [7; 32])
}

impl Server {
    pub async fn start() -> Self {
        Self::start_with(config()).await
    }

    pub async fn start_with(config: Config) -> Self {
        let ice = Arc::new(Ice::default());
        let pages = axum::Router::new().route("/", axum::routing::get(|| async { "the page" }));
        let signaling: Signaling =
            bind(config, Arc::clone(&ice) as Arc<dyn IceProvider>, pages).await.unwrap();
        let address = signaling.local_addr();
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(signaling.run(async move {
            let _ = stopped.await;
        }));
        Self { address, ice, stop: Some(stop), running }
    }

    /// A server that somebody else runs.
    pub fn at(address: std::net::SocketAddr) -> Self {
        Self { address, ice: Arc::default(), stop: None, running: tokio::spawn(async { Ok(()) }) }
    }

    pub fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// One plain HTTP request; the whole answer.
    pub async fn get(&self, path: &str) -> String {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address);
        exchange(self.address, head.as_bytes()).await
    }

    pub async fn metric(&self, name: &str) -> Option<f64> {
        let text = self.get("/metrics").await;
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
    }

    pub fn request(&self) -> http::Request<()> {
        let mut request = format!("ws://{}/v1", self.address).into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", "twocan.v1".parse().unwrap());
        request
    }
}

pub async fn exchange(address: std::net::SocketAddr, bytes: &[u8]) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    String::from_utf8(answer).unwrap()
}

pub struct Client {
    pub socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    pub session: String,
    pub peer: String,
    pub id: u64,
    pub seen: u64,
}

impl Client {
    pub async fn open(server: &Server) -> Self {
        let (socket, _) = tokio_tungstenite::connect_async(server.request()).await.unwrap();
        Self { socket, session: String::new(), peer: String::new(), id: 0, seen: 0 }
    }

    pub async fn hello(server: &Server) -> Self {
        let mut client = Self::open(server).await;
        client.raw(json!({"type":"hello","id":0,"app":"test"})).await;
        let welcome = client.next().await;
        assert_eq!(welcome["type"], "welcome");
        client.session = welcome["session"].as_str().unwrap().into();
        client.peer = welcome["peer"].as_str().unwrap().into();
        client
    }

    pub async fn raw(&mut self, value: Value) {
        self.socket.send(Message::text(value.to_string())).await.unwrap();
    }

    pub async fn say(&mut self, mut value: Value) -> u64 {
        self.id += 1;
        value["id"] = self.id.into();
        self.raw(value).await;
        self.id
    }

    /// Says something, unless the connection is gone.
    pub async fn try_say(&mut self, mut value: Value) -> bool {
        self.id += 1;
        value["id"] = self.id.into();
        self.socket.send(Message::text(value.to_string())).await.is_ok()
    }

    /// A request and its reply; what comes in between is dropped.
    pub async fn ask(&mut self, value: Value) -> Value {
        let id = self.say(value).await;
        loop {
            let reply = self.next().await;
            if reply["id"] == id {
                return reply;
            }
        }
    }

    pub async fn next(&mut self) -> Value {
        loop {
            match self.message().await {
                Some(Message::Text(text)) => {
                    let value: Value = serde_json::from_str(&text).unwrap();
                    if value["type"] != "welcome" {
                        assert_eq!(value["seq"], self.seen + 1, "one after another: {value}");
                        self.seen += 1;
                    }
                    return value;
                }
                Some(Message::Ping(_) | Message::Pong(_)) => {}
                other => panic!("expected a frame, got {other:?}"),
            }
        }
    }

    pub async fn wait(&mut self, kind: &str) -> Value {
        loop {
            let value = self.next().await;
            if value["type"] == kind {
                return value;
            }
        }
    }

    /// Reads to the end; the close frame, if one comes.
    pub async fn closed(&mut self) -> Option<CloseFrame> {
        loop {
            match self.message().await {
                Some(Message::Close(frame)) => {
                    // The answer to the close goes out with the next poll.
                    let _ = self.message().await;
                    return frame;
                }
                Some(_) => {}
                None => return None,
            }
        }
    }

    pub async fn message(&mut self) -> Option<Message> {
        tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("patience")?.ok()
    }
}

pub async fn refused(request: http::Request<()>) -> (u16, String) {
    match tokio_tungstenite::connect_async(request).await {
        Err(tungstenite::Error::Http(response)) => {
            let body = response.body().clone().unwrap_or_default();
            (response.status().as_u16(), String::from_utf8(body).unwrap())
        }
        other => panic!("expected a refusal, got {other:?}"),
    }
}

/// Two clients in one lobby of two, linked as far as the server goes.
pub async fn pair(server: &Server) -> (Client, Client, String) {
    let mut ada = Client::hello(server).await;
    let mut bob = Client::hello(server).await;
    let joined = ada.ask(json!({"type":"create","size":2})).await;
    let code = joined["lobby"]["code"].as_str().unwrap().to_owned();
    assert_eq!(bob.ask(json!({"type":"join","code":code})).await["type"], "joined");
    bob.wait("link").await;
    ada.wait("link").await;
    (ada, bob, code)
}

pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
