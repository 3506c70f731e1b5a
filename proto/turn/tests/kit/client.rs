//! A TURN client of a few lines, and what it is answered.

use std::net::SocketAddr;

use twocan_stun::attribute::{
    ChannelNumber, Data, ErrorReply, Lifetime, Nonce, Realm, RequestedTransport, Username, XorPeerAddress,
    XorRelayedAddress,
};
use twocan_stun::{
    AttributeType, Builder, Class, ErrorCode, IntegrityKey, Message, Method, Open, TransactionId,
};
use twocan_turn::{ClientAddr, Transport, Via, credential};

use super::{LISTENER, SECRET, UNIX, World, addr};

pub struct Client {
    pub addr: ClientAddr,
    pub username: String,
    pub password: String,
    pub nonce: Vec<u8>,
    /// Of the last request, and of the next one if `repeat`.
    pub id: u64,
    pub repeat: bool,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    pub bytes: Vec<u8>,
}

impl Reply {
    pub fn message(&self) -> Message<'_> {
        Message::parse(&self.bytes).unwrap()
    }

    /// 0 for success.
    pub fn code(&self) -> u16 {
        match self.message().class() {
            Class::Success => 0,
            Class::Error => self.message().get::<ErrorReply<'_>>().unwrap().unwrap().code.number(),
            Class::Request | Class::Indication => panic!("not an answer"),
        }
    }

    pub fn relayed(&self) -> Vec<SocketAddr> {
        self.message().all::<XorRelayedAddress>().map(|address| address.unwrap().0).collect()
    }

    pub fn lifetime_s(&self) -> u32 {
        self.message().get::<Lifetime>().unwrap().unwrap().0
    }
}

impl Client {
    pub fn new(from: &str, username: &str, password: &str) -> Client {
        let addr = ClientAddr { remote: addr(from), local: addr(LISTENER), transport: Transport::Udp };
        let (username, password) = (username.into(), password.into());
        Client { addr, username, password, nonce: vec![], id: 0, repeat: false }
    }

    /// A static user.
    pub fn ada(from: &str) -> Client {
        Client::new(from, "ada", "lovelace")
    }

    /// Whoever has a credential of the operator's secret.
    pub fn timed(from: &str, expires: u64, id: &str) -> Client {
        let username = format!("{expires}:{id}");
        let password = credential::password(SECRET, &username);
        Client::new(from, &username, &password)
    }

    /// A member of a lobby's group, with a credential of an hour.
    pub fn member(from: &str, group: &str, peer: &str) -> Client {
        let username = credential::username(UNIX + 3_600, group, peer);
        let password = credential::password(&credential::grant_key(SECRET), &username);
        Client::new(from, &username, &password)
    }

    pub fn over(mut self, transport: Transport) -> Client {
        self.addr.transport = transport;
        self
    }

    pub fn key(&self) -> IntegrityKey {
        IntegrityKey::long_term(&self.username, "twocan", &self.password)
    }

    fn next_id(&mut self) -> TransactionId {
        self.id += u64::from(!self.repeat);
        let mut id = [0x5A; 12];
        id[..8].copy_from_slice(&self.id.to_be_bytes());
        TransactionId(id)
    }

    /// A message without credentials.
    pub fn bare(
        &mut self,
        class: Class,
        method: Method,
        add: impl FnOnce(&mut Builder<'_, Open>),
    ) -> Vec<u8> {
        let mut buffer = [0; 4_096];
        let mut builder = Builder::new(&mut buffer, class, method, self.next_id()).unwrap();
        add(&mut builder);
        builder.finish().to_vec()
    }

    /// A request with credentials and integrity, as it goes on the wire.
    pub fn signed(&mut self, method: Method, add: impl FnOnce(&mut Builder<'_, Open>)) -> Vec<u8> {
        let mut buffer = [0; 4_096];
        let id = self.next_id();
        let mut builder = Builder::new(&mut buffer, Class::Request, method, id).unwrap();
        add(&mut builder);
        builder.add(&Username(&self.username)).unwrap();
        builder.add(&Realm("twocan")).unwrap();
        builder.add(&Nonce(&self.nonce)).unwrap();
        builder.integrity(&self.key()).unwrap().finish().to_vec()
    }

    /// Sends bytes and returns what came back to this client, if anything.
    pub fn send_raw(&mut self, world: &mut World, packet: &[u8]) -> Option<Reply> {
        world.take_sent();
        world.client_sends(self, packet);
        let mut mine = world.take_sent().into_iter().filter(|sent| sent.via == Via::Client(self.addr));
        let reply = mine.next().map(|sent| Reply { bytes: sent.bytes });
        assert!(mine.next().is_none(), "at most one answer to one packet");
        reply
    }

    /// Asks for a nonce, as every client begins.
    pub fn challenge(&mut self, world: &mut World) -> Reply {
        let packet = self.bare(Class::Request, Method::ALLOCATE, |builder| {
            builder.add(&RequestedTransport::UDP).unwrap();
        });
        let reply = self.send_raw(world, &packet).unwrap();
        assert_eq!(reply.code(), 401);
        self.nonce = reply.message().get::<Nonce<'_>>().unwrap().unwrap().0.to_vec();
        reply
    }

    /// A request with credentials, and its answer, whose integrity is checked.
    pub fn request(
        &mut self,
        world: &mut World,
        method: Method,
        add: impl FnOnce(&mut Builder<'_, Open>),
    ) -> Reply {
        if self.nonce.is_empty() {
            self.challenge(world);
        }
        let packet = self.signed(method, add);
        let reply = self.send_raw(world, &packet).expect("every request is answered");
        if !matches!(reply.code(), 401 | 438) {
            reply
                .message()
                .verify_integrity(&self.key())
                .expect("a proved request is answered with integrity");
        }
        reply
    }

    pub fn allocate_with(&mut self, world: &mut World, add: impl FnOnce(&mut Builder<'_, Open>)) -> Reply {
        self.request(world, Method::ALLOCATE, |builder| {
            builder.add(&RequestedTransport::UDP).unwrap();
            add(builder);
        })
    }

    /// Allocates, and returns the first relayed address.
    pub fn allocate(&mut self, world: &mut World) -> SocketAddr {
        let reply = self.allocate_with(world, |_| ());
        assert_eq!(reply.code(), 0);
        reply.relayed()[0]
    }

    pub fn refresh(&mut self, world: &mut World, lifetime_s: u32) -> Reply {
        self.request(world, Method::REFRESH, |builder| {
            builder.add(&Lifetime(lifetime_s)).unwrap();
        })
    }

    pub fn permit(&mut self, world: &mut World, peers: &[SocketAddr]) -> u16 {
        let reply = self.request(world, Method::CREATE_PERMISSION, |builder| {
            for peer in peers {
                builder.add(&XorPeerAddress(*peer)).unwrap();
            }
        });
        reply.code()
    }

    pub fn bind(&mut self, world: &mut World, number: u16, peer: SocketAddr) -> u16 {
        let reply = self.request(world, Method::CHANNEL_BIND, |builder| {
            builder.add(&ChannelNumber(number)).unwrap();
            builder.add(&XorPeerAddress(peer)).unwrap();
        });
        reply.code()
    }

    /// A Send indication.
    pub fn send(&mut self, world: &mut World, peer: SocketAddr, data: &[u8]) {
        let packet = self.bare(Class::Indication, Method::SEND, |builder| {
            builder.add(&XorPeerAddress(peer)).unwrap();
            builder.add(&Data(data)).unwrap();
        });
        assert!(self.send_raw_keeping(world, &packet).is_none(), "an indication is not answered");
    }

    /// As `send_raw`, but what went to peers stays in `world.sent`.
    fn send_raw_keeping(&mut self, world: &mut World, packet: &[u8]) -> Option<Reply> {
        world.take_sent();
        world.client_sends(self, packet);
        let mine = world.sent.iter().find(|sent| sent.via == Via::Client(self.addr));
        mine.map(|sent| Reply { bytes: sent.bytes.clone() })
    }

    pub fn send_channel(&mut self, world: &mut World, number: u16, data: &[u8]) {
        let mut packet = number.to_be_bytes().to_vec();
        packet.extend_from_slice(&u16::try_from(data.len()).unwrap().to_be_bytes());
        packet.extend_from_slice(data);
        if self.addr.transport.is_stream() {
            packet.resize(packet.len().next_multiple_of(4), 0);
        }
        assert!(self.send_raw_keeping(world, &packet).is_none(), "ChannelData is not answered");
    }
}

/// The types that a 420 lists.
pub fn unknown_of(reply: &Reply) -> Vec<AttributeType> {
    use twocan_stun::attribute::UnknownAttributes;
    assert_eq!(reply.code(), ErrorCode::UNKNOWN_ATTRIBUTE.number());
    reply.message().get::<UnknownAttributes<'_>>().unwrap().unwrap().iter().collect()
}
