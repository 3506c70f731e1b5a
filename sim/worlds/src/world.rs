//! A world: a server, two players, what is between them, and what happens. Each step is the next thing in virtual time.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore as _, SeedableRng as _};
use twocan_rtc::ConnectionState;
use twocan_sim::{
    Access, Attachment, Chance, HostId, InterfaceId, Kind, Link, Network, Packet, RouterId, SegmentConfig,
    SegmentId, Site, SiteConfig, packet::Payload, packet::Protocol,
};

use crate::app::App;
use crate::checks::{self, Checks};
use crate::page::Neighbours;
use crate::plan::{At, GUEST, HOST, Plan, What};
use crate::player::{News, Player, Seat};
use crate::server::Server;
use crate::table::{self, Line, Names};

/// How long two may take until they are linked, or know why not.
pub const SETTLE_MAX: Duration = Duration::from_secs(45);
/// How long a fault may take to be mended, or to be given up.
pub const MEND_MAX: Duration = Duration::from_secs(100);
/// How long the rest may take: a session that was cut without a goodbye is kept for half a minute.
const LEAVE_MAX: Duration = Duration::from_secs(60);
/// Ports that players' sockets begin with, and how long somebody else has them where they are given away.
const PORTS: std::ops::Range<u16> = 50_000..50_008;
const MAPPED_FOR: Duration = Duration::from_secs(3_600);
/// Steps without time passing: more is a loop.
const STEPS_MAX: u32 = 100_000;

/// A world that runs.
pub struct World {
    /// What it is like.
    pub plan: Plan,
    /// What is between everyone.
    pub network: Network,
    /// The server.
    pub server: Server,
    /// The one who opens the lobby, and the one who joins.
    pub players: [Player; 2],
    /// What is checked of each packet and at the end.
    pub checks: Checks,
    internet: SegmentId,
    sites: [Site; 2],
    now: Instant,
    start: Instant,
    due: BTreeMap<(Instant, usize), What>,
    joined: Option<Instant>,
    linked: Option<Instant>,
    restore: Vec<(Instant, InterfaceId, Access)>,
    /// No UDP passes between this player's host and its network.
    udp_blocked: [bool; 2],
    /// This player's machine stands still until then.
    asleep: [Option<Instant>; 2],
    /// Since when both say that the link is open, with nobody asleep.
    both_open: Option<Instant>,
    /// The longest time in which nothing reached this player, while both said that the link is open, and the other played.
    pub frozen: [Duration; 2],
}

impl World {
    /// As planned, before anything happens.
    pub fn new(plan: Plan) -> World {
        #[expect(clippy::disallowed_methods, reason = "an Instant has no other origin")]
        let start = Instant::now();
        let mut rng = ChaCha20Rng::seed_from_u64(plan.seed);
        let mut seed = || {
            let mut bytes = [0; 32];
            rng.fill_bytes(&mut bytes);
            bytes
        };
        let mut network = Network::new(seed(), start);
        let internet = network.add_segment(SegmentConfig::internet());
        let host = network.add_host();
        let middle = Attachment::new(internet);
        let at = |n: u8, middle: Attachment| {
            middle.address(IpAddr::from([80, 80, 0, 200 + n])).address(IpAddr::from([
                0x2a05,
                0x80,
                0,
                0,
                0,
                0,
                0,
                0x200 + u16::from(n),
            ]))
        };
        for n in 0..2 {
            network.add_interface(host, at(n, middle.clone()));
        }
        let server = Server::new(&network, host, plan.holds, seed(), start);
        let config = |side: usize| SiteConfig {
            kind: plan.kinds[side],
            access: plan.access[side],
            ipv6: plan.ipv6[side],
        };
        let first = network.add_site(internet, config(HOST));
        let second = if plan.together { first.clone() } else { network.add_site(internet, config(GUEST)) };
        let sites = [first, second];
        let players = [HOST, GUEST].map(|side| {
            let host = network.add_host_at(&sites[side]);
            let name = ["host", "guest"][side];
            let seat = Seat { host, server: server.first };
            Player::new(&network, name, seat, plan.settings[side].clone(), seed(), start)
        });
        World {
            checks: Checks::new(&server, &plan),
            plan,
            network,
            server,
            players,
            internet,
            sites,
            now: start,
            start,
            due: BTreeMap::new(),
            joined: None,
            linked: None,
            restore: Vec::new(),
            udp_blocked: [false; 2],
            asleep: [None; 2],
            both_open: None,
            frozen: [Duration::ZERO; 2],
        }
    }

    /// From now on each step of each packet is kept for [`World::table`].
    pub fn trace(&mut self) {
        self.network.set_tracing(true);
    }

    /// What happened, for a person: all packets, and what the players learned.
    pub fn table(&mut self) -> String {
        let hosts = [(self.server.host, "server")];
        let players = self.players.iter().map(|player| (player.host, player.name));
        let mut addresses = Vec::new();
        for (host, name) in hosts.into_iter().chain(players.clone()) {
            addresses.extend(self.network.host_addresses(host).map(|address| (address, name.to_owned())));
        }
        let names = Names::new(hosts.into_iter().chain(players).collect(), addresses);
        let mut lines: Vec<Line> = self.players.iter().flat_map(table::news).collect();
        while let Some(event) = self.network.poll_event() {
            lines.push(names.line(self.start, &event));
        }
        table::print(lines)
    }

    /// Virtual time since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.now.saturating_duration_since(self.start)
    }

    /// The same of another moment.
    pub fn since_start(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.start)
    }

    /// From the second player's wish to join until both could send, if they could.
    pub fn time_to_link(&self) -> Option<Duration> {
        Some(self.linked?.saturating_duration_since(self.joined?))
    }

    /// Lives through the whole plan.
    pub fn run(&mut self) {
        self.schedule(|at| (at == At::Start).then_some(Duration::ZERO));
        self.players[HOST].create(self.now);
        self.flush();
        let is_open = |world: &World| world.players[HOST].code().is_some();
        if !self.run_until(Duration::from_secs(30), is_open) {
            return;
        }
        let code = self.players[HOST].code().unwrap_or_default().to_owned();
        self.players[GUEST].join(&code, self.now);
        self.joined = Some(self.now);
        self.schedule(|at| if let At::Join(after) = at { Some(after) } else { None });
        self.flush();
        let is_decided = |world: &World| world.is_linked() || world.has_failed();
        self.run_until(SETTLE_MAX, is_decided);
        if !self.is_linked() {
            // The other side comes to the same end.
            self.run_until(SETTLE_MAX, |world| world.players.iter().all(has_ended));
            return;
        }
        self.linked = Some(self.now);
        self.schedule(|at| if let At::Linked(after) = at { Some(after) } else { None });
        if self.plan.leaves {
            self.players[HOST].start(self.now);
            self.flush();
        }
        self.play();
    }

    fn play(&mut self) {
        self.run_for(self.plan.play);
        self.run_until(MEND_MAX, |world| {
            world.due.is_empty() && world.restore.is_empty() && world.asleep == [None; 2]
        });
        for player in &mut self.players {
            if let Some(app) = player.app_mut() {
                app.stop();
            }
        }
        let all_there = |world: &World| {
            let sent = |side: usize| world.players[side].app().map_or(0, |app| app.sent);
            let came = |side: usize| world.players[side].app().map_or(0, |app| app.expected);
            came(HOST) == sent(GUEST) && came(GUEST) == sent(HOST) && world.players.iter().all(is_well)
        };
        self.run_until(MEND_MAX, |world| all_there(world) || world.players.iter().any(has_ended));
        if self.players.iter().any(has_ended) {
            self.run_until(MEND_MAX, |world| world.players.iter().all(|player| !player.says_open()));
        }
        // A better way may just be taking over, and the last goodbye to the server be on its way.
        let has_left =
            |world: &World| !world.plan.leaves || world.server.dead.signaling || world.server.sessions() == 0;
        self.run_until(LEAVE_MAX, |world| checks::agree(world) && has_left(world));
    }

    /// Both can send.
    pub fn is_linked(&self) -> bool {
        self.players.iter().all(|player| player.when(|news| *news == News::Open).is_some())
    }

    fn has_failed(&self) -> bool {
        self.players.iter().any(has_ended)
    }

    fn schedule(&mut self, after: impl Fn(At) -> Option<Duration>) {
        for (index, fault) in self.plan.faults.iter().enumerate() {
            if let Some(after) = after(fault.at) {
                self.due.insert((self.now + after, index), fault.what);
            }
        }
        self.happen();
    }

    /// What is due happens.
    fn happen(&mut self) {
        while let Some((&(at, index), &what)) = self.due.first_key_value() {
            if at > self.now {
                break;
            }
            self.due.remove(&(at, index));
            self.apply(what);
        }
        let now = self.now;
        for side in [HOST, GUEST] {
            if self.asleep[side].take_if(|until| *until <= now).is_some() {
                self.players[side].wake(now);
            }
        }
        let (over, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.restore).into_iter().partition(|(at, ..)| *at <= now);
        self.restore = rest;
        for (_, interface, access) in over {
            self.network.set_access(interface, access, now);
        }
    }

    fn apply(&mut self, what: What) {
        let now = self.now;
        match what {
            What::ServerDies => self.server.kill(now),
            What::StunDead => self.server.dead.stun = true,
            What::TurnDead => self.server.dead.turn = true,
            What::WrongPassword => self.server.gives_wrong_password = true,
            What::ExpiredCredential => self.server.gives_expired = true,
            What::Rebind(side) | What::OtherPort(side) => {
                let Some(router) = self.sites[side].routers.first().copied() else { return };
                self.network.rebind(router, &[], now);
                if matches!(what, What::OtherPort(_)) {
                    self.give_ports_away(router);
                }
            }
            What::Readdress(side) => self.readdress(side),
            What::UdpBlocked(side) => self.udp_blocked[side] = true,
            What::Asleep(side, lasting) => self.asleep[side] = Some(now + lasting),
            What::Move(side, kind) => self.move_to(side, kind),
            What::Blackout(side, lasting) => {
                let interface = self.own_interface(side);
                let access = self.network.access(interface);
                let silent = Link { loss: Chance::ALWAYS, ..access.up };
                self.network.set_access(interface, Access::both(silent), now);
                self.restore.push((now + lasting, interface, access));
            }
            What::MtuHole(side, mtu) => {
                let interface = self.own_interface(side);
                let mut access = self.network.access(interface);
                for link in [&mut access.up, &mut access.down] {
                    (link.mtu, link.blackhole) = (mtu, true);
                }
                self.network.set_access(interface, access, now);
            }
        }
    }

    fn move_to(&mut self, side: usize, kind: Kind) {
        let now = self.now;
        let access = self.plan.access[side];
        let site = self.network.add_site(self.internet, SiteConfig { access, ..kind.into() });
        let host = self.players[side].host;
        let old: Vec<InterfaceId> = self.network.interfaces(host).to_vec();
        let new = self.network.join(host, &site);
        for interface in old {
            self.network.set_up(interface, false, now);
            // Its address may be that of the new one, as private addresses often are.
            self.network.set_addresses(interface, &[], now);
        }
        let addresses = self.network.addresses(new).to_vec();
        self.sites[side] = site;
        self.players[side].set_addresses(addresses, now);
    }

    /// Another address of the network that it is in.
    fn readdress(&mut self, side: usize) {
        let (now, interface) = (self.now, self.own_interface(side));
        // None: one that is free, while the old one is still taken.
        self.network.set_addresses(interface, &[], now);
        let addresses = self.network.addresses(interface).to_vec();
        self.players[side].set_addresses(addresses, now);
    }

    /// Somebody else has the ports that players' sockets have here.
    fn give_ports_away(&mut self, router: RouterId) {
        let inside = self.network.addresses(self.network.inside(router)).iter().find(|ip| ip.is_ipv4());
        let Some(inside) = inside.copied() else { return };
        for port in PORTS {
            let at = SocketAddr::new(inside, port);
            // Where ports are not kept, they are others anyway.
            let _ = self.network.map_port(router, Protocol::Udp, at, port, MAPPED_FOR, self.now);
        }
    }

    fn own_interface(&self, side: usize) -> InterfaceId {
        let host: HostId = self.players[side].host;
        *self.network.interfaces(host).last().expect("a player's host has an interface")
    }

    /// Lets time pass until `is_done`, or for `limit` at most; whether it was done.
    pub fn run_until(&mut self, limit: Duration, mut is_done: impl FnMut(&World) -> bool) -> bool {
        let until = self.now + limit;
        let (mut last, mut steps) = (self.now, 0);
        loop {
            if is_done(self) {
                return true;
            }
            let Some(at) = self.next_time().filter(|at| *at <= until) else {
                self.now = until;
                return is_done(self);
            };
            steps = if at > last { 0 } else { steps + 1 };
            assert!(steps < STEPS_MAX, "seed {}: time stands still at {:?}", self.plan.seed, self.elapsed());
            last = self.now.max(at);
            self.step(last);
        }
    }

    /// Lets so much time pass.
    pub fn run_for(&mut self, time: Duration) {
        self.run_until(time, |_| false);
    }

    fn next_time(&mut self) -> Option<Instant> {
        let now = self.now;
        let asleep = self.asleep;
        let awake = self.players.iter_mut().zip(asleep).filter(|(_, asleep)| asleep.is_none());
        let players = awake.filter_map(|(player, _)| player.poll_timeout(now)).min();
        let times = [
            self.network.poll_timeout(),
            self.server.poll_timeout(now),
            players,
            asleep.into_iter().flatten().min(),
            self.due.first_key_value().map(|((at, _), _)| *at),
            self.restore.iter().map(|(at, ..)| *at).min(),
        ];
        times.into_iter().flatten().min()
    }

    fn step(&mut self, now: Instant) {
        self.now = now;
        self.network.handle_timeout(now);
        self.happen();
        self.deliver();
        if self.server.poll_timeout(now).is_some_and(|due| due <= now) {
            self.server.handle_timeout(now);
        }
        for (player, asleep) in self.players.iter_mut().zip(self.asleep) {
            if asleep.is_none() && player.poll_timeout(now).is_some_and(|due| due <= now) {
                player.handle_timeout(now);
            }
        }
        self.flush();
        self.look_for_freezes();
    }

    /// How long nothing has come by a link that both call open.
    fn look_for_freezes(&mut self) {
        let now = self.now;
        let is_open = self.asleep == [None; 2] && self.players.iter().all(Player::says_open);
        if !is_open {
            self.both_open = None;
            return;
        }
        let since = *self.both_open.get_or_insert(now);
        for side in [HOST, GUEST] {
            let other = &self.players[1 - side];
            let last = self.players[side].app().and_then(|app| app.last).unwrap_or(since);
            if other.app().is_some_and(App::is_playing) {
                let silence = now.saturating_duration_since(since.max(last));
                self.frozen[side] = self.frozen[side].max(silence);
            }
        }
    }

    /// Whether a packet between this player's host and its network is lost on the way.
    fn is_cut(&self, side: usize, packet: &Packet) -> bool {
        self.asleep[side].is_some() || self.udp_blocked[side] && matches!(packet.payload, Payload::Udp(_))
    }

    /// Hosts of one network hear each other's names.
    fn meet_neighbours(&mut self) {
        if !self.plan.together {
            return;
        }
        let mut neighbours = Neighbours::default();
        self.players.iter().for_each(|player| player.announce(&mut neighbours));
        self.players.iter_mut().for_each(|player| player.set_neighbours(&neighbours));
    }

    fn deliver(&mut self) {
        let now = self.now;
        while let Some(delivery) = self.network.poll_delivery() {
            if delivery.host == self.server.host {
                self.server.handle_packet(&delivery.packet, now);
                continue;
            }
            let side = self.players.iter().position(|player| player.host == delivery.host);
            if let Some(side) = side.filter(|side| !self.is_cut(*side, &delivery.packet)) {
                self.checks.arrived(side, &delivery.packet);
                self.players[side].handle_packet(&delivery.packet, now);
            }
        }
    }

    /// What everyone has to send goes out, and what arrives at once is taken.
    fn flush(&mut self) {
        let elapsed = self.elapsed();
        self.meet_neighbours();
        loop {
            let mut packets: Vec<(HostId, Packet)> = Vec::new();
            while let Some(packet) = self.server.poll_packet() {
                packets.push((self.server.host, packet));
            }
            for side in [HOST, GUEST] {
                while let Some(packet) = self.players[side].poll_packet() {
                    self.checks.left(side, &packet, elapsed);
                    if !self.is_cut(side, &packet) {
                        packets.push((self.players[side].host, packet));
                    }
                }
            }
            if packets.is_empty() {
                return;
            }
            for (host, packet) in packets {
                self.network.handle_packet(host, packet, self.now);
            }
            self.deliver();
        }
    }
}

/// Data flows.
pub fn is_well(player: &Player) -> bool {
    player.state() == Some(ConnectionState::Connected)
}

/// Nothing more comes of it.
pub fn has_ended(player: &Player) -> bool {
    let is_end = |news: &News| matches!(news, News::Refused(_) | News::Closed);
    let has_given_up = matches!(player.news().last(), Some((_, News::GaveUp(_))));
    let is_over = matches!(player.state(), Some(ConnectionState::Failed | ConnectionState::Closed));
    is_over || has_given_up || player.when(is_end).is_some()
}
