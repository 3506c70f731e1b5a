//! What holds in every world: looked at packet by packet, and at its end.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use twocan_rtc::{Path, PathInfo};
use twocan_sim::packet::Payload;
use twocan_sim::{Chance, Drop, Link, Packet};

use crate::oracle::{Expected, expected, is_starved};
use crate::plan::{At, GUEST, HOST, Plan, What};
use crate::player::{News, Player, PlayerKind, Settings};
use crate::world::{World, has_ended};

/// Checks that one player may send: `Config::requests_max` times the pairs of a checklist, and as much again for consent and restarts.
const CHECKS_MAX: u32 = 4_000;

/// How long nothing may come by a link that both call open. SCTP of a page waits so long where UDP is blocked under it.
const FREEZE_MAX: Duration = Duration::from_secs(7);

/// What one player sent and got, as seen from outside.
#[derive(Debug, Default)]
struct Seen {
    /// Ways by which a Binding success came: own socket, other end.
    answered: BTreeSet<(SocketAddr, SocketAddr)>,
    /// Binding requests to others than the server.
    checks: u32,
    packets: u32,
    /// When the first check left that did not go to an address of a private network.
    first_check: Option<Duration>,
    /// DTLS that went where nothing had been answered.
    unvalidated: Vec<(SocketAddr, SocketAddr)>,
}

/// What is kept of a world's packets.
#[derive(Debug)]
pub struct Checks {
    server: Vec<IpAddr>,
    /// Sockets of a page are bound to no address: a pair goes on from another one.
    is_bound: [bool; 2],
    seen: [Seen; 2],
}

/// Something that should not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// In a word.
    pub what: &'static str,
    /// What exactly.
    pub details: String,
}

impl Checks {
    /// Nothing was seen yet.
    pub fn new(server: &crate::server::Server, plan: &Plan) -> Checks {
        let is_bound = plan.settings.each_ref().map(|settings| settings.kind == PlayerKind::Native);
        let server = server.first.into_iter().chain(server.second).collect();
        Checks { server, is_bound, seen: Default::default() }
    }

    /// A packet leaves a player.
    pub fn left(&mut self, side: usize, packet: &Packet, elapsed: Duration) {
        self.seen[side].packets += 1;
        let Payload::Udp(udp) = &packet.payload else { return };
        let own = self.own(side, SocketAddr::new(packet.source, udp.source));
        let way = (own, SocketAddr::new(packet.destination, udp.destination));
        let seen = &mut self.seen[side];
        let is_server =
            self.server.contains(&packet.destination) && udp.destination == crate::server::TURN_PORT;
        match *udp.data {
            [0, 1, ..] if !is_server => {
                seen.checks += 1;
                let is_private = matches!(packet.destination, IpAddr::V4(v4) if v4.is_private());
                if !is_private {
                    seen.first_check.get_or_insert(elapsed);
                }
            }
            // RFC 7983: DTLS.
            [20..=63, ..] if !seen.answered.contains(&way) => seen.unvalidated.push(way),
            _ => {}
        }
    }

    /// A packet reaches a player.
    pub fn arrived(&mut self, side: usize, packet: &Packet) {
        let Payload::Udp(udp) = &packet.payload else { return };
        if matches!(*udp.data, [1, 1, ..]) {
            let own = self.own(side, SocketAddr::new(packet.destination, udp.destination));
            self.seen[side].answered.insert((own, SocketAddr::new(packet.source, udp.source)));
        }
    }

    /// What names a socket of this player's.
    fn own(&self, side: usize, at: SocketAddr) -> SocketAddr {
        let any: IpAddr =
            if at.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        if self.is_bound[side] { at } else { SocketAddr::new(any, at.port()) }
    }

    /// Packets that a player sent.
    pub fn packets(&self, side: usize) -> u32 {
        self.seen[side].packets
    }

    /// When the first check left for an address that is not private, since the beginning.
    pub fn first_check(&self, side: usize) -> Option<Duration> {
        self.seen[side].first_check
    }

    /// Checks that a player sent past a relay.
    pub fn checks(&self, side: usize) -> u32 {
        self.seen[side].checks
    }
}

/// All that is wrong with a world that has been lived through.
pub fn findings(world: &World) -> Vec<Finding> {
    let mut found = Findings(Vec::new());
    for (side, player) in world.players.iter().enumerate() {
        found.of_packets(world, side, player);
        found.of_player(player);
    }
    found.of_outcome(world);
    found.of_data(world);
    found.of_server(world);
    found.0
}

struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, what: &'static str, details: impl Into<String>) {
        self.0.push(Finding { what, details: details.into() });
    }

    fn of_packets(&mut self, world: &World, side: usize, player: &Player) {
        let seen = &world.checks.seen[side];
        if let Some((from, to)) = seen.unvalidated.first() {
            let count = seen.unvalidated.len();
            self.add(
                "unvalidated",
                format!("{}: {count} of DTLS unasked, the first from {from} to {to}", player.name),
            );
        }
        if seen.checks > CHECKS_MAX {
            self.add("too-many-checks", format!("{}: {} checks", player.name, seen.checks));
        }
    }

    fn of_player(&mut self, player: &Player) {
        for (at, news) in player.news() {
            if let News::SignalRefused(why) = news {
                let is_late =
                    why.contains("generation") || why.contains("wrong time") || why.contains("closed");
                if !is_late {
                    self.add("signal-refused", format!("{} at {at:?}: {why}", player.name));
                }
            }
        }
    }

    /// Connected or failed with a reason, in time, by the way that ought to be.
    fn of_outcome(&mut self, world: &World) {
        let want = expected(&world.plan);
        // Whoever knew why once has been told; whoever was told of nobody waits for nobody.
        let has_failed = |player: &Player| {
            player.when(|news| matches!(news, News::Failed(..) | News::GaveUp(_))).is_some()
        };
        let is_alone = |player: &Player| !player.has_link() && world.server.dead.signaling;
        let is_settled = |player: &Player| {
            player.when(|news| *news == News::Open).is_some()
                || has_ended(player)
                || has_failed(player)
                || is_alone(player)
        };
        let is_refused = |player: &Player| player.when(|news| matches!(news, News::Refused(_))).is_some();
        if world.players.iter().any(is_refused) && want == Expected::Unknown {
            return;
        }
        if !world.players.iter().all(is_settled) {
            let states: Vec<_> = world.players.iter().map(|player| (player.name, player.state())).collect();
            return self.add("undecided", format!("{states:?}, expected {want:?}"));
        }
        if !world.is_linked() {
            match want {
                Expected::Unknown => {}
                Expected::Nothing(word) => self.of_reason(world, word),
                Expected::Direct | Expected::Relayed if hangs_on_lossy_streams(&world.plan) => {}
                // The direct path was missed, and there is no relay.
                Expected::Direct if is_by_chance(&world.plan) && is_without_turn(&world.plan) => {}
                Expected::Direct | Expected::Relayed => {
                    self.add("not-linked", format!("expected {want:?}: {}", reasons(world)));
                }
            }
            return;
        }
        if let Expected::Nothing(_) = want {
            self.add("oracle", "linked, although nothing ought to work");
        }
        self.of_path(world, want);
    }

    fn of_reason(&mut self, world: &World, word: Option<&'static str>) {
        let Some(word) = word else { return };
        let named = |player: &Player| {
            player.when(|news| matches!(news, News::Failed(reason, _) if *reason == word)).is_some()
        };
        if !world.players.iter().any(named) {
            self.add("wrong-reason", format!("expected {word}: {}", reasons(world)));
        }
    }

    fn of_path(&mut self, world: &World, want: Expected) {
        if world.players.iter().any(has_ended) {
            return;
        }
        let [Some(one), Some(two)] = world.players.each_ref().map(Player::path) else { return };
        let has_page = world.plan.settings.iter().any(|settings| settings.kind == PlayerKind::Page);
        // A pair that a browser has pruned is not asked again, also where the other side has come to it after a fault.
        let is_theirs = has_page && (is_by_chance(&world.plan) || has_moved(&world.plan));
        if !is_theirs && !agree(world) {
            self.add("disagree", format!("host: {one:?}, guest: {two:?}"));
        }
        if want == Expected::Direct
            && one.path == Path::Relayed
            && !has_moved(&world.plan)
            && !is_by_chance(&world.plan)
            && !world.players.iter().any(is_still_trying)
            && !is_restarting(world)
            && !has_just_changed(world)
        {
            self.add(
                "relayed",
                format!("a direct path exists: {:?} {:?}", world.plan.kinds, world.plan.ipv6),
            );
        }
        if want == Expected::Relayed
            && one.path == Path::Direct
            && !has_moved(&world.plan)
            && !uses_tcp(&world.plan)
        {
            let lucky = matches!(world.plan.kinds, [a, b] if a.traits().races || b.traits().races);
            if !lucky {
                self.add(
                    "oracle",
                    format!("direct, although only a relay ought to help: {:?}", world.plan.kinds),
                );
            }
        }
    }

    /// Nothing lost and nothing out of order on the reliable channel, unless the link was given up.
    fn of_data(&mut self, world: &World) {
        if !world.is_linked() {
            return;
        }
        let [Some(one), Some(two)] = world.players.each_ref().map(Player::app) else { return };
        for (from, to, name) in [(one, two, "host"), (two, one, "guest")] {
            if to.disorder > 0 {
                self.add("disorder", format!("{} of {name}'s messages", to.disorder));
            }
            let is_over = world.players.iter().any(has_ended);
            if !is_over && to.expected != from.sent {
                self.add("lost", format!("{} of {} of {name}'s messages came", to.expected, from.sent));
            }
        }
        if let Some(frozen) = world.frozen.iter().max().filter(|frozen| **frozen > FREEZE_MAX) {
            self.add("frozen", format!("both say open, and nothing came for {frozen:?}"));
        }
        if world.players.iter().any(has_ended) && world.players.iter().any(Player::says_open) {
            self.add(
                "one-sided",
                format!("one side is at the end, and the other calls the link open: {}", reasons(world)),
            );
        }
        let is_hopeless = expected_to_end(&world.plan) || is_starved(&world.plan);
        if world.players.iter().any(has_ended) && !is_hopeless {
            self.add("given-up", reasons(world));
        }
    }

    fn of_server(&mut self, world: &World) {
        let stats = world.server.relay_stats();
        let malformed = world.network.stats().dropped(Drop::Malformed);
        if malformed > 0 {
            self.add("malformed", format!("{malformed} packets"));
        }
        if stats.error(508) + stats.error(486) > 0 && !is_starved(&world.plan) {
            self.add("quota", "an ordinary pair reached a quota of the relay");
        }
        let is_there = !world.server.dead.signaling;
        if is_there && world.plan.leaves && world.is_linked() && world.plan.faults.is_empty() {
            let complete = |side: usize| world.players[side].when(|news| *news == News::Complete).is_some();
            if !(complete(HOST) && complete(GUEST))
                || world.server.lobbies() > 0
                || world.server.sessions() > 0
            {
                let (lobbies, sessions) = (world.server.lobbies(), world.server.sessions());
                self.add("not-left", format!("{lobbies} lobbies and {sessions} sessions are still there"));
            }
        }
    }
}

/// Whether both see the same ends relayed; kinds may differ where one side learned the other by its checks, and a page does not know of such an end what it is.
pub fn agree(world: &World) -> bool {
    let is_relayed = |kind| kind == twocan_ice::Kind::Relayed;
    let [Some(one), Some(two)] = world.players.each_ref().map(Player::path) else { return true };
    let sees = |side: usize, theirs: &PathInfo, own: &PathInfo| {
        let is_page = world.plan.settings[side].kind == PlayerKind::Page;
        let is_unknown = is_page && theirs.remote == twocan_ice::Kind::PeerReflexive;
        is_unknown || is_relayed(theirs.remote) == is_relayed(own.local)
    };
    sees(HOST, &one, &two) && sees(GUEST, &two, &one)
}

/// Whether chance may keep two from a direct path that exists: where signals come apart, a NAT may lose its mapping to who comes too early; where
/// packets are lost and STUN is dead, a relay reached by a stream may be the first, and does not say our address.
fn is_by_chance(plan: &Plan) -> bool {
    let races = plan.kinds.iter().any(|kind| kind.traits().races);
    let is_even = |access: &twocan_sim::Access| {
        let Link { loss, corruption, jitter, .. } = access.up;
        [loss, corruption] == [Chance::NEVER; 2] && jitter.is_zero()
    };
    let all_even = plan.access.iter().all(is_even);
    let stun_dead = plan.faults.iter().any(|fault| fault.what == What::StunDead);
    // A browser prunes a direct pair for a relayed one whose kind it has not heard yet, if a check comes before its candidate; and of a relay's answer it does
    // not take where that saw us.
    let is_page = |settings: &Settings| settings.kind == PlayerKind::Page;
    let [has_page, all_pages] = [plan.settings.iter().any(is_page), plan.settings.iter().all(is_page)];
    races && !(plan.holds && all_even) || stun_dead && (!all_even || has_page) || all_pages && !all_even
}

/// Whether a way past the relay is still under check: where packets are lost a world may end before that has an answer.
fn is_still_trying(player: &Player) -> bool {
    player.is_still_trying()
}

/// Whether a way has only just been lost for another: the search for a direct one begins then.
fn has_just_changed(world: &World) -> bool {
    let now = world.elapsed();
    world.players.iter().any(|player| {
        let mut changes = player.news().iter().rev().filter(|(_, news)| matches!(news, News::Path(_)));
        let last = changes.next();
        changes.next().is_some()
            && last.is_some_and(|(at, _)| now.saturating_sub(*at) < Duration::from_secs(1))
    })
}

/// Whether one side has begun ICE anew and the other has not heard of it yet.
fn is_restarting(world: &World) -> bool {
    let [one, two] = world.players.each_ref().map(Player::restarts);
    one != two
}

fn is_without_turn(plan: &Plan) -> bool {
    let takes_it_away = |what| matches!(what, What::TurnDead | What::WrongPassword | What::ExpiredCredential);
    plan.faults.iter().any(|fault| takes_it_away(fault.what))
}

/// Whether all hangs on a TCP connection whose first packets may be lost several times in a row: its retransmissions double from a second on.
fn hangs_on_lossy_streams(plan: &Plan) -> bool {
    let is_lossy = |access: &twocan_sim::Access| access.up.loss > Chance::percent(4.0);
    let hangs = |kind: &twocan_sim::Kind| !kind.traits().udp;
    plan.kinds.iter().zip(&plan.access).any(|(kind, access)| hangs(kind) && is_lossy(access))
}

fn has_moved(plan: &Plan) -> bool {
    plan.faults
        .iter()
        .any(|fault| !matches!(fault.at, At::Start | At::Join(_)) && fault.what != What::ServerDies)
}

fn uses_tcp(plan: &Plan) -> bool {
    plan.settings.iter().any(|settings| settings.tcp)
}

/// After this the two cannot find each other again: signals have no way.
fn expected_to_end(plan: &Plan) -> bool {
    let server_dies = plan.faults.iter().any(|fault| fault.what == What::ServerDies);
    let moves = plan.faults.iter().any(|fault| matches!(fault.what, What::Move(..)));
    server_dies || moves && plan.faults.iter().any(|fault| fault.what == What::TurnDead)
}

/// What each side says of its failure.
fn reasons(world: &World) -> String {
    let mut all: BTreeMap<&str, String> = BTreeMap::new();
    for player in &world.players {
        let failed = player.news().iter().rev().find_map(|(at, news)| match news {
            News::Failed(word, verdict) => {
                Some(format!("{word} at {at:?} ({})", verdict.as_deref().unwrap_or("no verdict")))
            }
            News::Refused(word) => Some(format!("refused: {word} at {at:?}")),
            _ => None,
        });
        all.insert(player.name, failed.unwrap_or_else(|| format!("{:?}", player.state())));
    }
    all.into_iter().map(|(name, text)| format!("{name}: {text}")).collect::<Vec<_>>().join("; ")
}
