//! A TURN server in a small world: five clients, some peers, ports that open or not, time that passes. The bytes of the
//! fuzzer tell the story; after each step `oracle` judges what the server wants sent and done.

mod cast;
mod oracle;
mod request;

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use twocan_stun::Class;
use twocan_turn::{Icmp, News, PeerAddr, PortError, RelayPort, Server, Transport};

use crate::input::Input;
use cast::{CLIENTS, Client, PEERS, RELAY_PORTS};

/// Steps of one story; the rest of the bytes is ignored.
const STEPS_MAX: usize = 200;

/// What the server was told last.
#[derive(Clone, Copy, Debug)]
enum Cause {
    /// A packet from a client. The class, if it was a STUN message.
    Client { class: Option<Class>, len: usize },
    /// A datagram or an ICMP error from a peer.
    Peer { from: PeerAddr, len: usize },
    /// Time, news, a port, the end of a connection.
    Other,
}

/// The server and all that the oracle remembers.
struct World {
    server: Server,
    now: Instant,
    clients: Vec<Client>,
    /// Ports that the server asked for and did not close, and whether they are open.
    ports: BTreeMap<RelayPort, bool>,
    /// Which client was told that it has a relayed port.
    owners: BTreeMap<RelayPort, usize>,
    /// Who was let into which group and is not gone, and from where that one is seen.
    members: BTreeMap<(&'static str, &'static str), std::net::IpAddr>,
    /// A token of EVEN-PORT, once one was given.
    token: [u8; 8],
    /// Whether anyone showed a credential.
    anyone_proved_himself: bool,
    /// Whether the lobby told anything.
    lobby_spoke: bool,
    /// How the next ports will open.
    next_port: Result<(), PortError>,
}

/// Tells the story in these bytes; in every second one the server answers behaviour discovery. Panics where the server does what it must not.
pub fn run(bytes: &[u8]) {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = *START.get_or_init(Instant::now);
    let mut world = World {
        server: Server::new(cast::config(bytes.len() % 2 == 1), [7; 32], start)
            .expect("the configuration is right"),
        now: start,
        clients: cast::clients(),
        ports: BTreeMap::new(),
        owners: BTreeMap::new(),
        members: BTreeMap::new(),
        token: [0; 8],
        anyone_proved_himself: false,
        lobby_spoke: false,
        next_port: Ok(()),
    };
    let mut input = Input::new(bytes);
    for _ in 0..STEPS_MAX {
        if world.step(&mut input).is_none() {
            break;
        }
    }
    world.end();
}

impl World {
    /// One step; `None` at the end of the story.
    fn step(&mut self, input: &mut Input<'_>) -> Option<()> {
        let cause = match input.byte()? % 16 {
            0 => {
                let (index, packet) = (self.client(input)?, input.chunk()?);
                self.say(index, packet)
            }
            1..=5 => self.request(input)?,
            6 => self.send(input)?,
            7 => self.channel_data(input)?,
            8 | 9 => {
                let (from, to) = (PeerAddr(self.peer(input)?), self.port(input)?);
                let data = input.chunk()?;
                self.server.handle_peer(data, from, to, self.now);
                Cause::Peer { from, len: data.len() }
            }
            10 => {
                let (from, to) = (PeerAddr(self.peer(input)?), self.port(input)?);
                let error = Icmp { kind: input.byte()?, code: input.byte()?, mtu: u32::from(input.short()?) };
                self.server.handle_icmp(error, from, to, self.now);
                Cause::Peer { from, len: 0 }
            }
            11 => {
                self.now += Duration::from_millis(u64::from(input.short()?) * 50);
                self.server.handle_timeout(self.now);
                self.assert_timers_moved_on();
                Cause::Other
            }
            12 => {
                let index = self.client(input)?;
                let client = CLIENTS[index];
                if client.transport != Transport::Udp {
                    self.server.handle_client_closed(client, self.now);
                }
                Cause::Other
            }
            13 => {
                self.news(input)?;
                Cause::Other
            }
            14 => {
                self.next_port = input.pick(&[Ok(()), Err(PortError::InUse), Err(PortError::Exhausted)])?;
                Cause::Other
            }
            _ => {
                if input.byte()? == 0 {
                    self.server.handle_drain(self.now);
                }
                Cause::Other
            }
        };
        self.judge(cause);
        Some(())
    }

    /// A client says something; the class is what its own parser would say.
    fn say(&mut self, index: usize, packet: &[u8]) -> Cause {
        let class = twocan_stun::Message::parse(packet).ok().map(|message| message.class());
        self.server.handle_client(packet, CLIENTS[index], self.now);
        Cause::Client { class, len: packet.len() }
    }

    fn news(&mut self, input: &mut Input<'_>) -> Option<()> {
        let member = input.pick(&cast::MEMBERS)?;
        let (group, peer) = member;
        let (group, peer) = (twocan_turn::GroupId::new(group), twocan_turn::MemberId::new(peer));
        let news = match input.byte()? % 4 {
            0 | 1 => {
                let address = self.peer(input)?.ip();
                // Seen in IPv6 clothes, it is the same address.
                self.members.insert(member, address.to_canonical());
                let expires = cast::UNIX_NOW + u64::from(input.short()?);
                News::Granted { group, peer, address, expires }
            }
            2 => {
                self.members.remove(&member);
                News::Revoked { group, peer }
            }
            _ => {
                self.members.retain(|(group, _), _| *group != member.0);
                News::GroupClosed { group }
            }
        };
        self.lobby_spoke = true;
        self.server.handle_news(&news, self.now);
        Some(())
    }

    fn client(&self, input: &mut Input<'_>) -> Option<usize> {
        Some(usize::from(input.byte()?) % CLIENTS.len())
    }

    /// An address out of the cast, a relayed one, or any.
    fn peer(&self, input: &mut Input<'_>) -> Option<std::net::SocketAddr> {
        let choice = usize::from(input.byte()?);
        Some(match choice {
            0..200 => PEERS[choice % PEERS.len()],
            200..220 => cast::relayed(RELAY_PORTS.start() + (choice as u16 & 7), false),
            220..240 => cast::relayed(RELAY_PORTS.start() + (choice as u16 & 7), true),
            240..248 => CLIENTS[choice % CLIENTS.len()].remote,
            248..252 => (input.array::<4>()?, input.short()?).into(),
            _ => (input.array::<16>()?, input.short()?).into(),
        })
    }

    fn port(&self, input: &mut Input<'_>) -> Option<RelayPort> {
        let choice = input.byte()?;
        let family = if choice & 8 == 0 { twocan_turn::Family::V4 } else { twocan_turn::Family::V6 };
        Some(RelayPort { family, port: RELAY_PORTS.start() + u16::from(choice & 7) })
    }
}
