//! What each kind of packet costs with the tables as full as the limits let them be, in one thread: `cargo bench -p twocan-turn
//! --bench full`. The machine's other work shows in `max`; the promise is 50 µs.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)] // a tool that measures and prints

#[path = "../tests/kit/mod.rs"]
mod kit;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use kit::{Client, UNIX, World, addr, port_of};
use twocan_stun::attribute::{ChannelNumber, Data, EvenPort, Lifetime, RequestedTransport, XorPeerAddress};
use twocan_stun::{AttributeType, Class, Method};
use twocan_turn::{GroupId, MemberId, News, PeerAddr, Rate, RelayAddr};

const SAMPLES: usize = 4_000;
const GROUP: &str = "the group that is measured";
/// Households that fill the tables.
const HOUSEHOLDS: u32 = 2_000;

fn main() {
    let mut full = Full::new();
    let stored = full.world.server.stats().stored;
    println!("{stored:?}\n{:<58} {:>8} {:>8} {:>8} {:>8}", "µs a packet", "p50", "p99", "p99.9", "max");
    full.unproved();
    full.data();
    full.requests();
    full.news();
}

struct Full {
    world: World,
    /// Members of the group, each with an allocation, 256 permissions and 256 channels for the first.
    members: Vec<(Client, SocketAddr)>,
    /// Operator's users, each with an allocation.
    users: Vec<(Client, SocketAddr)>,
}

fn household(n: u32) -> IpAddr {
    Ipv4Addr::from_bits(0x0B00_0000 + (n << 8)).into()
}

fn group(n: usize) -> GroupId {
    GroupId::new(&format!("group of twenty-two {n:06}"))
}

impl Full {
    fn new() -> Full {
        let world = World::with(|config| {
            config.relay_ports = 49_152..=65_535;
            config.relay_range = 49_152..=65_535;
            let fast = Rate { per_second: u32::MAX, burst: u32::MAX };
            let limits = &mut config.limits;
            (limits.bytes, limits.packets, limits.bytes_of_member, limits.packets_of_member) =
                (fast, fast, fast, fast);
            (limits.new_peers, limits.answers) = (fast, fast);
            limits.unanswered_per_user = fast;
            limits.unanswered_per_peer = fast;
        });
        let mut full = Full { world, members: Vec::new(), users: Vec::new() };
        let mut before = resident_kib();
        let mut grown = |what: &str| {
            let now = resident_kib();
            println!("{what}: {} KiB more", now - before);
            before = now;
        };
        full.fill_group();
        full.fill_ports();
        grown("ports, here and elsewhere (with the clients that hold them, in this process as well)");
        full.fill_members();
        grown("groups and members");
        full.world.take_sent();
        full
    }

    /// 128 members from 128 households, 64 of them with allocations; the first may send to all of their addresses.
    fn fill_group(&mut self) {
        for n in 0..128 {
            let ip = household(100_000 + n);
            self.world.granted(GROUP, &format!("M{n}"), &ip.to_string());
        }
        for n in 0..64 {
            let from = SocketAddr::new(household(100_000 + n), 4_000).to_string();
            let mut client = Client::member(&from, GROUP, &format!("M{n}"));
            let relayed = client.allocate(&mut self.world);
            self.members.push((client, relayed));
        }
        let (first, _) = &mut self.members[0];
        for n in 0..128_u16 {
            let peer = SocketAddr::new(household(100_000 + u32::from(n)), 9);
            assert_eq!(first.bind(&mut self.world, 0x4000 + n, peer), 0);
            assert_eq!(first.bind(&mut self.world, 0x4080 + n, SocketAddr::new(peer.ip(), 10)), 0);
        }
    }

    fn fill_ports(&mut self) {
        let mut pair = Client::timed("203.0.1.1:1", UNIX + 3_600, "pairs");
        for n in 0..100_u16 {
            pair.addr.remote.set_port(1_000 + n);
            pair.allocate_with(&mut self.world, |builder| {
                builder.add(&EvenPort { reserve_next: true }).unwrap();
            });
        }
        // Ten each, so that all are taken in the end; one in two hundred is left free.
        for n in 0..HOUSEHOLDS {
            for port in 0..10 {
                let from = SocketAddr::new(household(n), 5_000 + port);
                let mut client = Client::timed(&from.to_string(), UNIX + 3_600, &from.to_string());
                let reply = client.allocate_with(&mut self.world, |_| ());
                if reply.code() == 0 && self.world.server.stats().stored.ports < 16_300 {
                    self.users.push((client, reply.relayed()[0]));
                } else {
                    break;
                }
            }
        }
        // As many again on other threads, of the other family.
        for n in 0..16_384_u32 {
            let relayed = RelayAddr(addr(&format!("[2001:db8::5]:{}", 49_152 + n)));
            let client = household(n % HOUSEHOLDS);
            let group = (n % 4 == 0).then(|| group(n as usize));
            self.world.news(&News::Allocated {
                user: format!("foreign {}", n / 8).into(),
                group,
                client,
                relayed,
            });
        }
    }

    /// Groups with two members, from as many households as it takes.
    fn fill_members(&mut self) {
        for n in 0..200_000 {
            let ip = household((n % HOUSEHOLDS as usize) as u32);
            self.grant(group(n), "ADA", ip, UNIX + 40_000 + n as u64 % 7);
            self.grant(group(n), "BOB", ip, UNIX + 40_000 + n as u64 % 7);
        }
    }

    fn grant(&mut self, group: GroupId, peer: &str, address: IpAddr, expires: u64) {
        let news = News::Granted { group, peer: MemberId::new(peer), address, expires };
        self.world.server.handle_news(&news, self.world.now);
    }

    fn unproved(&mut self) {
        let mut client = Client::ada("1.2.3.4:5");
        let from = |n: usize| SocketAddr::new(household(200_000 + n as u32), 7);
        let binding = client.bare(Class::Request, Method::BINDING, |_| ());
        let many = client.bare(Class::Request, Method::BINDING, |builder| {
            for _ in 0..500 {
                builder.add_raw(AttributeType(0xC000), &[]).unwrap();
            }
        });
        let first = client.bare(Class::Request, Method::ALLOCATE, |builder| {
            builder.add(&RequestedTransport::UDP).unwrap();
        });
        client.nonce = vec![b'x'; 40];
        let made_up = client.signed(Method::ALLOCATE, |_| ());
        let kinds = [
            ("Binding", binding),
            ("Binding, 500 attributes", many),
            ("Allocate, first", first),
            ("Allocate, made-up nonce", made_up),
            ("junk", vec![0xFF; 1_000]),
            ("ChannelData", vec![0x40; 1_000]),
        ];
        for (name, packet) in kinds {
            measure(&format!("unproved: {name}"), &mut self.world, |world, n| {
                let from = twocan_turn::ClientAddr { remote: from(n), ..client.addr };
                world.server.handle_client(&packet, from, world.now);
            });
        }
        let mut wrong = Client::new("1.2.3.4:6", "ada", "wrong");
        wrong.challenge(&mut self.world);
        let packet = wrong.signed(Method::ALLOCATE, |_| ());
        measure("unproved: Allocate, wrong password", &mut self.world, |world, _| {
            world.server.handle_client(&packet, wrong.addr, world.now);
        });
    }

    fn data(&mut self) {
        let Full { world, members, users } = self;
        let (member, relayed) = (members[0].0.addr, members[0].1);
        let peer = |n: usize| SocketAddr::new(household(100_000 + n as u32 % 128), 9);
        let send = |peer: SocketAddr, data: &[u8]| {
            let mut client = Client::ada("1.2.3.4:5");
            client.bare(Class::Indication, Method::SEND, |builder| {
                builder.add(&XorPeerAddress(peer)).unwrap().add(&Data(data)).unwrap();
            })
        };
        let sends: Vec<Vec<u8>> = (0..128).map(|n| send(peer(n), &[7; 160])).collect();
        measure("member: Send, one of 128 permissions", world, |world, n| {
            world.server.handle_client(&sends[n % 128], member, world.now);
        });
        let denied = send(addr("8.8.8.8:53"), &[7; 160]);
        measure("member: Send without a permission", world, |world, _| {
            world.server.handle_client(&denied, member, world.now);
        });
        let mut channel = [&[0x40, 0, 0, 160][..], &[7; 160]].concat();
        measure("member: ChannelData, one of 256 channels", world, |world, n| {
            channel[1] = (n % 256) as u8;
            world.server.handle_client(&channel, member, world.now);
        });
        measure("member: ChannelData after somebody has left", world, |world, n| {
            if n % 2 == 0 {
                world.granted(GROUP, "M127", &household(300_000 + n as u32).to_string());
            }
            channel[1] = (n % 100) as u8;
            world.server.handle_client(&channel, member, world.now);
        });
        measure("member: from a peer", world, |world, n| {
            world.server.handle_peer(&[7; 1_200], PeerAddr(peer(n % 100)), port_of(relayed), world.now);
        });
        measure("from a stranger to any relayed port", world, |world, n| {
            let (_, relayed) = users[n * 7 % users.len()];
            world.server.handle_peer(&[7; 1_200], PeerAddr(peer(n)), port_of(relayed), world.now);
        });
        let (other, at) = (&members[1].0, members[1].1);
        let mut first = Client::member(&member.remote.to_string(), GROUP, "M0");
        assert_eq!(first.bind(world, 0x4FFF, at), 508, "256 are enough");
        let mut other = Client::member(&other.addr.remote.to_string(), GROUP, "M1");
        assert_eq!(other.bind(world, 0x4000, relayed), 0);
        measure("member: ChannelData to a relayed address", world, |world, _| {
            world.server.handle_client(&[0x40, 0, 0, 4, 1, 2, 3, 4], other.addr, world.now);
        });
    }

    fn requests(&mut self) {
        let Full { world, members, users } = self;
        let (first, _) = &mut members[0];
        let peers: Vec<SocketAddr> = (0..32).map(|n| SocketAddr::new(household(100_000 + n), 9)).collect();
        let all = first.signed(Method::CREATE_PERMISSION, |builder| {
            for peer in &peers {
                builder.add(&XorPeerAddress(*peer)).unwrap();
            }
        });
        let from = first.addr;
        measure("member: CreatePermission, 32 peers", world, |world, _| {
            world.server.handle_client(&all, from, world.now);
        });
        let bind = first.signed(Method::CHANNEL_BIND, |builder| {
            builder.add(&ChannelNumber(0x4007)).unwrap();
            builder.add(&XorPeerAddress(SocketAddr::new(household(100_007), 9))).unwrap();
        });
        measure("member: ChannelBind, 256 channels", world, |world, _| {
            world.server.handle_client(&bind, from, world.now);
        });
        let refreshes: Vec<_> = users
            .iter_mut()
            .step_by(4)
            .map(|(client, _)| {
                let packet = client.signed(Method::REFRESH, |builder| {
                    builder.add(&Lifetime(3_600)).unwrap();
                });
                (client.addr, packet)
            })
            .collect();
        measure("user: Refresh", world, |world, n| {
            let (from, packet) = &refreshes[n % refreshes.len()];
            world.server.handle_client(packet, *from, world.now);
        });
        let mut asking: Vec<_> = (0..SAMPLES as u32)
            .map(|n| {
                let from = SocketAddr::new(household(400_000 + n), 1).to_string();
                let mut client = Client::timed(&from, UNIX + 3_600, &from);
                client.challenge(world);
                let ask = client.signed(Method::ALLOCATE, |builder| {
                    builder.add(&RequestedTransport::UDP).unwrap();
                });
                let end = client.signed(Method::REFRESH, |builder| {
                    builder.add(&Lifetime(0)).unwrap();
                });
                (client.addr, ask, end)
            })
            .collect();
        measure_and(
            "user: Allocate, one port in 200 is free",
            world,
            |world, n| {
                world.server.handle_client(&asking[n].1, asking[n].0, world.now);
            },
            |world, n| world.server.handle_client(&asking[n].2, asking[n].0, world.now),
        );
        measure("user: Allocate until nothing is free, then 508", world, |world, n| {
            world.server.handle_client(&asking[n].1, asking[n].0, world.now);
        });
        // A minute later, whoever uses nothing gives way.
        asking.reverse();
        world.now += std::time::Duration::from_secs(61);
        measure("user: Allocate, and somebody gives way", world, |world, n| {
            world.server.handle_client(&asking[n].1, asking[n].0, world.now);
        });
    }

    fn news(&mut self) {
        let world = &mut self.world;
        let granted = |group: GroupId, peer: String, n: u32| News::Granted {
            group,
            peer: MemberId::new(&peer),
            address: household(n),
            expires: UNIX + 50_000,
        };
        measure("news: let into a group that is full", world, |world, n| {
            world.server.handle_news(
                &granted(GroupId::new(GROUP), format!("N{n}"), 500_000 + n as u32 % 64),
                world.now,
            );
        });
        measure("news: a new group", world, |world, n| {
            world
                .server
                .handle_news(&granted(group(900_000 + n), "ADA".into(), 600_000 + n as u32), world.now);
        });
        measure("news: taken back", world, |world, n| {
            let news = News::Revoked { group: group(n), peer: MemberId::new("ADA") };
            world.server.handle_news(&news, world.now);
        });
        let close = |world: &mut World| {
            let news = News::GroupClosed { group: GroupId::new(GROUP) };
            world.server.handle_news(&news, world.now);
        };
        let mut again = Vec::new();
        for _ in 0..200 {
            for n in 0..128 {
                let news = granted(GroupId::new(GROUP), format!("N{n}"), 500_000 + n);
                world.server.handle_news(&news, world.now);
            }
            let begun = Instant::now();
            close(world);
            again.push(begun.elapsed().as_secs_f64() * 1e6);
            world.drain();
        }
        print("news: a group of 128 closes", again);
        let relayed = |n: usize| RelayAddr(addr(&format!("[2001:db8::5]:{}", 49_152 + n)));
        measure("news: freed on another thread", world, |world, n| {
            world.server.handle_news(&News::Freed { relayed: relayed(n) }, world.now);
        });
        world.now += std::time::Duration::from_secs(60_000);
        let mut turns = Vec::new();
        while turns.len() < 20_000 && world.server.poll_timeout().is_some() {
            world.now = world.now.max(world.server.poll_timeout().unwrap());
            let begun = Instant::now();
            world.server.handle_timeout(world.now);
            turns.push(begun.elapsed().as_secs_f64() * 1e6);
            world.drain();
        }
        print(&format!("timers: each of {} turns, all runs out at once", turns.len()), turns);
    }
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn measure(name: &str, world: &mut World, packet: impl FnMut(&mut World, usize)) {
    measure_and(name, world, packet, |_, _| ());
}

/// `packet` is measured, `undo` is not.
fn measure_and(
    name: &str,
    world: &mut World,
    mut packet: impl FnMut(&mut World, usize),
    undo: impl Fn(&mut World, usize),
) {
    let mut samples = Vec::with_capacity(SAMPLES);
    for n in 0..SAMPLES {
        let begun = Instant::now();
        packet(world, n);
        samples.push(begun.elapsed().as_secs_f64() * 1e6);
        world.drain();
        undo(world, n);
        world.drain();
        world.take_sent();
        world.events.clear();
        world.commands.clear();
    }
    print(name, samples);
}

fn print(name: &str, mut samples: Vec<f64>) {
    samples.sort_by(f64::total_cmp);
    let at = |part: f64| samples[((samples.len() - 1) as f64 * part) as usize];
    println!("{name:<58} {:>8.2} {:>8.2} {:>8.2} {:>8.2}", at(0.5), at(0.99), at(0.999), at(1.0));
}
