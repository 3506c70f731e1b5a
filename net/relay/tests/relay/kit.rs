//! A relay on loopback, and the smallest client that can talk to it: blocking sockets, one request at a time.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned};
use twocan_relay::{Config, Relay};
use twocan_stun::attribute::{
    ChannelNumber, Data, DontFragment, ErrorReply, Family, Icmp, Lifetime, Nonce, Realm,
    RequestedAddressFamily, RequestedTransport, Username, XorMappedAddress, XorPeerAddress,
    XorRelayedAddress,
};
use twocan_stun::{Builder, Class, IntegrityKey, Message, Method, TransactionId};
use twocan_turn::wire::{Frame, frame_len};
use twocan_turn::{External, Policy, Transport};

/// Longer than anything here takes; a test that waits so long has failed.
pub const PATIENCE: Duration = Duration::from_secs(10);
pub const USER: &str = "ada";
pub const PASSWORD: &str = "analytical engine";
pub const GRANT_KEY: [u8; 32] = [7; 32];
pub const LOCAL4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
pub const LOCAL6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// A relay on any free ports of both loopback addresses, with one static user, for whom loopback peers are allowed.
pub fn config() -> Config {
    let cidr = |text: &str| text.parse().unwrap();
    Config {
        turn: vec![SocketAddr::new(LOCAL4, 0), SocketAddr::new(LOCAL6, 0)],
        turns: vec![SocketAddr::new(LOCAL4, 0), SocketAddr::new(LOCAL6, 0)],
        tls: Some(tls().server.clone()),
        external: External { v4: Some(Ipv4Addr::LOCALHOST), v6: Some(Ipv6Addr::LOCALHOST) },
        relay_ports: 20_000..=29_999,
        users: vec![(USER.to_owned(), PASSWORD.to_owned())],
        policy: Policy::new().allow(cidr("127.0.0.0/8")).allow(cidr("::1/128")),
        ..Config::new(GRANT_KEY)
    }
}

pub fn start(config: Config) -> Relay {
    Relay::start(config).unwrap()
}

/// Where `relay` listens.
pub fn address(relay: &Relay, transport: Transport, ip: IpAddr) -> SocketAddr {
    relay.local_addrs(transport).find(|address| address.ip() == ip).unwrap()
}

/// Asks until the answer is yes. For what the relay does by itself and no packet tells.
#[track_caller]
pub fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < PATIENCE, "{what}: not in {PATIENCE:?}");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

pub struct Tls {
    pub server: Arc<ServerConfig>,
    pub client: Arc<ClientConfig>,
}

/// One self-signed certificate for all tests.
pub fn tls() -> &'static Tls {
    static TLS: OnceLock<Tls> = OnceLock::new();
    TLS.get_or_init(|| {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let certificate = made.cert.der().clone();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server =
            ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).unwrap();
        let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        Tls {
            server: Arc::new(
                server.unwrap().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap(),
            ),
            client: Arc::new(client.unwrap().with_root_certificates(roots).with_no_client_auth()),
        }
    })
}

/// A UDP socket of a peer.
pub fn peer(ip: IpAddr) -> UdpSocket {
    let socket = UdpSocket::bind(SocketAddr::new(ip, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// A TCP connection from one of this machine's addresses.
pub fn connect_from(from: IpAddr, to: SocketAddr) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::for_address(to), socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(from, 0).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    socket.into()
}

/// The first message of a TLS handshake, as anybody can record and send it again.
pub fn client_hello() -> Vec<u8> {
    let name = ServerName::try_from("localhost").unwrap();
    let mut hello = Vec::new();
    ClientConnection::new(tls().client.clone(), name).unwrap().write_tls(&mut hello).unwrap();
    hello
}

/// Bytes that have come and were not read.
pub fn unread(socket: &TcpStream) -> usize {
    socket.set_nonblocking(true).unwrap();
    socket.peek(&mut [0; 65_536]).unwrap_or(0)
}

/// The next datagram and where it came from.
pub fn receive_from(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = vec![0; 65_536];
    let (length, from) = socket.recv_from(&mut buffer).unwrap();
    buffer.truncate(length);
    (buffer, from)
}

enum Pipe {
    Udp(UdpSocket),
    Tcp(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// What came from a peer.
#[derive(Debug, PartialEq, Eq)]
pub enum Came {
    Data(SocketAddr, Vec<u8>),
    Channel(u16, Vec<u8>),
    Icmp(SocketAddr, u8, u16),
}

/// An answer with an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused(pub u16);

pub struct Client {
    pipe: Pipe,
    received: Vec<u8>,
    waiting: VecDeque<Vec<u8>>,
    user: String,
    password: String,
    challenge: Option<(String, Vec<u8>)>,
    next_id: u64,
}

impl Client {
    /// A client of `relay`, over `transport`, from the same loopback address.
    pub fn new(relay: &Relay, transport: Transport, ip: IpAddr) -> Client {
        Client::at(address(relay, transport, ip), transport, ip)
    }

    pub fn at(server: SocketAddr, transport: Transport, from: IpAddr) -> Client {
        if transport == Transport::Udp {
            let socket = UdpSocket::bind(SocketAddr::new(from, 0)).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            // Connected: an answer from another address than we asked does not reach us.
            socket.connect(server).unwrap();
            return Client::over(Pipe::Udp(socket));
        }
        let socket = TcpStream::connect(server).unwrap();
        Client::on_stream(socket, transport)
    }

    pub fn on_stream(socket: TcpStream, transport: Transport) -> Client {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_nodelay(true).unwrap();
        if transport == Transport::Tcp {
            return Client::over(Pipe::Tcp(socket));
        }
        let name = ServerName::try_from("localhost").unwrap();
        let connection = ClientConnection::new(tls().client.clone(), name).unwrap();
        Client::over(Pipe::Tls(Box::new(StreamOwned::new(connection, socket))))
    }

    /// The same from another address of this machine: another household.
    pub fn from(relay: &Relay, transport: Transport, from: IpAddr) -> Client {
        let socket = connect_from(from, address(relay, transport, LOCAL4));
        Client::on_stream(socket, transport)
    }

    fn over(pipe: Pipe) -> Client {
        Client {
            pipe,
            received: Vec::new(),
            waiting: VecDeque::new(),
            user: USER.to_owned(),
            password: PASSWORD.to_owned(),
            challenge: None,
            next_id: 1,
        }
    }

    pub fn with_credentials(mut self, user: &str, password: &str) -> Client {
        (self.user, self.password) = (user.to_owned(), password.to_owned());
        self
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).unwrap();
    }

    pub fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.pipe {
            Pipe::Udp(socket) => socket.send(bytes).map(drop),
            Pipe::Tcp(socket) => socket.write_all(bytes),
            Pipe::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
        }
    }

    /// The next message, one frame of a stream.
    pub fn receive(&mut self) -> Vec<u8> {
        self.try_receive().unwrap().expect("the relay closed the connection")
    }

    /// `None`: the relay closed the connection.
    pub fn try_receive(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut buffer = vec![0; 65_536];
        loop {
            match frame_len(&self.received) {
                Frame::Len(length) if self.received.len() >= length => {
                    return Ok(Some(self.received.drain(..length).collect()));
                }
                Frame::Garbage => panic!("not a frame: {:02x?}", self.received),
                Frame::Len(_) | Frame::Short => {}
            }
            let read = match &mut self.pipe {
                Pipe::Udp(socket) => {
                    let length = socket.recv(&mut buffer)?;
                    buffer.truncate(length);
                    return Ok(Some(buffer));
                }
                Pipe::Tcp(socket) => socket.read(&mut buffer),
                Pipe::Tls(stream) => stream.read(&mut buffer),
            };
            match read {
                Ok(0) => return Ok(None),
                Ok(length) => self.received.extend_from_slice(&buffer[..length]),
                Err(error)
                    if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof) =>
                {
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// What the next TLS record holds that holds anything for us.
    pub fn receive_record(&mut self) -> Vec<u8> {
        let Pipe::Tls(stream) = &mut self.pipe else { panic!("only TLS has records") };
        loop {
            let mut record = vec![0; 5];
            stream.sock.read_exact(&mut record).unwrap();
            let length = usize::from(u16::from_be_bytes([record[3], record[4]]));
            record.resize(5 + length, 0);
            stream.sock.read_exact(&mut record[5..]).unwrap();
            stream.conn.read_tls(&mut record.as_slice()).unwrap();
            stream.conn.process_new_packets().unwrap();
            let mut held = vec![0; length];
            if let Ok(length) = stream.conn.reader().read(&mut held) {
                held.truncate(length);
                return held;
            }
        }
    }

    fn new_id(&mut self) -> TransactionId {
        self.next_id += 1;
        let mut id = [0x2C; 12];
        id[4..].copy_from_slice(&self.next_id.to_be_bytes());
        TransactionId(id)
    }

    /// A Binding request as it goes over the wire.
    pub fn binding_request(&mut self) -> Vec<u8> {
        let mut buffer = [0; 64];
        let builder = Builder::new(&mut buffer, Class::Request, Method::BINDING, self.new_id()).unwrap();
        builder.finish().to_vec()
    }

    /// Our address as the relay sees it.
    pub fn binding(&mut self) -> SocketAddr {
        let request = self.binding_request();
        self.send(&request);
        let answer = self.answer_to(&request);
        Message::parse(&answer).unwrap().get::<XorMappedAddress>().unwrap().unwrap().0
    }

    /// The answer to `request`; what else comes meanwhile is kept for `came`.
    pub fn answer_to(&mut self, request: &[u8]) -> Vec<u8> {
        loop {
            let message = self.receive();
            if message.get(8..20) == request.get(8..20) && message[0] < 0x40 {
                return message;
            }
            self.waiting.push_back(message);
        }
    }

    /// Asks without credentials.
    pub fn request_bare(&mut self, method: Method) -> Result<Vec<u8>, Refused> {
        let mut buffer = [0; 64];
        let mut builder = Builder::new(&mut buffer, Class::Request, method, self.new_id()).unwrap();
        builder.add(&RequestedTransport::UDP).unwrap();
        let request = builder.finish().to_vec();
        self.send(&request);
        let answer = self.answer_to(&request);
        self.result(answer)
    }

    /// Asks, with credentials; a challenge is answered once.
    pub fn request(&mut self, method: Method, add: impl Fn(&mut Builder<'_>)) -> Result<Vec<u8>, Refused> {
        if self.challenge.is_none() {
            assert_eq!(self.request_bare(Method::ALLOCATE), Err(Refused(401)));
        }
        let (realm, nonce) = self.challenge.clone().expect("a 401 brings a challenge");
        let mut buffer = [0; 2048];
        let mut builder = Builder::new(&mut buffer, Class::Request, method, self.new_id()).unwrap();
        add(&mut builder);
        builder.add(&Username(&self.user)).unwrap();
        builder.add(&Realm(&realm)).unwrap();
        builder.add(&Nonce(&nonce)).unwrap();
        let key = IntegrityKey::long_term(&self.user, &realm, &self.password);
        let request = builder.integrity(&key).unwrap().finish().to_vec();
        self.send(&request);
        let answer = self.answer_to(&request);
        self.result(answer)
    }

    fn result(&mut self, answer: Vec<u8>) -> Result<Vec<u8>, Refused> {
        let message = Message::parse(&answer).unwrap();
        if message.class() == Class::Success {
            return Ok(answer);
        }
        if let (Ok(Some(Realm(realm))), Ok(Some(Nonce(nonce)))) = (message.get(), message.get()) {
            self.challenge = Some((realm.to_owned(), nonce.to_owned()));
        }
        Err(Refused(message.get::<ErrorReply<'_>>().unwrap().unwrap().code.number()))
    }

    /// A relayed address of the family of `like`.
    pub fn allocate(&mut self, like: IpAddr) -> Result<SocketAddr, Refused> {
        let family = if like.is_ipv4() { Family::V4 } else { Family::V6 };
        let answer = self.request(Method::ALLOCATE, |builder| {
            builder.add(&RequestedTransport::UDP).unwrap();
            builder.add(&RequestedAddressFamily(family)).unwrap();
        })?;
        Ok(Message::parse(&answer).unwrap().get::<XorRelayedAddress>().unwrap().unwrap().0)
    }

    pub fn refresh(&mut self, lifetime: u32) -> Result<(), Refused> {
        self.request(Method::REFRESH, |builder| {
            builder.add(&Lifetime(lifetime)).unwrap();
        })
        .map(drop)
    }

    pub fn permit(&mut self, peer: SocketAddr) -> Result<(), Refused> {
        self.request(Method::CREATE_PERMISSION, |builder| {
            builder.add(&XorPeerAddress(peer)).unwrap();
        })
        .map(drop)
    }

    pub fn bind(&mut self, channel: u16, peer: SocketAddr) -> Result<(), Refused> {
        self.request(Method::CHANNEL_BIND, |builder| {
            builder.add(&ChannelNumber(channel)).unwrap();
            builder.add(&XorPeerAddress(peer)).unwrap();
        })
        .map(drop)
    }

    /// Sends `data` to `peer` in a Send indication.
    pub fn send_to(&mut self, peer: SocketAddr, data: &[u8], dont_fragment: bool) {
        let mut buffer = vec![0; data.len() + 100];
        let mut builder = Builder::new(&mut buffer, Class::Indication, Method::SEND, self.new_id()).unwrap();
        builder.add(&XorPeerAddress(peer)).unwrap();
        builder.add_optional(dont_fragment.then_some(&DontFragment)).unwrap();
        builder.add(&Data(data)).unwrap();
        let bytes = builder.finish().to_vec();
        self.send(&bytes);
    }

    /// Sends `data` as ChannelData, padded on a stream.
    pub fn send_channel(&mut self, channel: u16, data: &[u8]) {
        let stream = !matches!(self.pipe, Pipe::Udp(_));
        let bytes = channel_data(channel, data, stream);
        self.send(&bytes);
    }

    /// The next that came from a peer.
    pub fn came(&mut self) -> Came {
        let message = self.waiting.pop_front().unwrap_or_else(|| self.receive());
        read(&message)
    }

    /// The next that came from a peer while an answer was waited for.
    pub fn came_already(&mut self) -> Option<Came> {
        self.waiting.pop_front().map(|message| read(&message))
    }
}

fn read(message: &[u8]) -> Came {
    if (0x40..=0x4F).contains(&message[0]) {
        let length = usize::from(u16::from_be_bytes([message[2], message[3]]));
        let channel = u16::from_be_bytes([message[0], message[1]]);
        return Came::Channel(channel, message[4..4 + length].to_vec());
    }
    let message = Message::parse(message).unwrap();
    assert_eq!((message.class(), message.method()), (Class::Indication, Method::DATA));
    let XorPeerAddress(peer) = message.get().unwrap().unwrap();
    if let Some(Icmp { kind, code, .. }) = message.get().unwrap() {
        return Came::Icmp(peer, kind, code);
    }
    let Data(data) = message.get().unwrap().unwrap();
    Came::Data(peer, data.to_vec())
}

pub fn channel_data(channel: u16, data: &[u8], stream: bool) -> Vec<u8> {
    let mut bytes = channel.to_be_bytes().to_vec();
    bytes.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
    bytes.extend(data);
    if stream {
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    bytes
}
