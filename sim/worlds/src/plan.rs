//! What a world is like: made by hand, or drawn from a seed.

use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore as _, SeedableRng as _};
use twocan_sim::{Access, Chance, Kind, Link};

use crate::player::{PlayerKind, Settings};

/// The player who opens the lobby.
pub const HOST: usize = 0;
/// The one who joins it, and offers.
pub const GUEST: usize = 1;

/// Something that happens to a world, and when: counted from the beginning, or from the moment at which both are linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// When.
    pub at: At,
    /// What.
    pub what: What,
}

/// See [`Fault`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// Before anything.
    Start,
    /// So long after the second player asked to join.
    Join(Duration),
    /// So long after both are linked.
    Linked(Duration),
}

/// See [`Fault`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The server's process is killed.
    ServerDies,
    /// Binding requests are not answered.
    StunDead,
    /// TURN is not answered.
    TurnDead,
    /// Credentials carry a wrong password.
    WrongPassword,
    /// Credentials have ended when they come.
    ExpiredCredential,
    /// This player's outermost NAT forgets its mappings.
    Rebind(usize),
    /// This player moves to a mobile network, which is of this kind: another interface, another address.
    Move(usize, Kind),
    /// Nothing passes this player's access link for so long.
    Blackout(usize, Duration),
    /// Datagrams longer than this vanish on this player's access link.
    MtuHole(usize, u16),
    /// This player's outermost NAT forgets its mappings, and has given away the ports that it would give again.
    OtherPort(usize),
    /// This player's host has another address in the same network.
    Readdress(usize),
    /// No UDP leaves this player's host or reaches it any more.
    UdpBlocked(usize),
    /// This player's machine stands still for so long: nothing in it runs, and what comes is lost.
    Asleep(usize, Duration),
}

/// What a world is like.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Decides on all that is random in it.
    pub seed: u64,
    /// What is between each player and the internet.
    pub kinds: [Kind; 2],
    /// They have IPv6 besides.
    pub ipv6: [bool; 2],
    /// Both are in the first one's network.
    pub together: bool,
    /// Their links to the internet.
    pub access: [Access; 2],
    /// How each is set up.
    pub settings: [Settings; 2],
    /// What happens.
    pub faults: Vec<Fault>,
    /// The server holds reflexive candidates until both sides have one.
    pub holds: bool,
    /// They leave the server once they are linked.
    pub leaves: bool,
    /// How long they play.
    pub play: Duration,
}

impl Plan {
    /// Two players in networks of these kinds, 25 ms from the internet's middle each; they leave the server and play for two seconds.
    pub fn new(seed: u64, kinds: [Kind; 2]) -> Plan {
        let access = Access::both(Link::delayed(Duration::from_micros(12_500)));
        Plan {
            seed,
            kinds,
            ipv6: [false; 2],
            together: false,
            access: [access; 2],
            settings: [Settings::default(), Settings::default()],
            faults: Vec::new(),
            holds: true,
            leaves: true,
            play: Duration::from_secs(2),
        }
    }

    /// The same with these players: who opens the lobby, and who joins it.
    #[must_use]
    pub fn with(mut self, players: [PlayerKind; 2]) -> Plan {
        for (settings, kind) in self.settings.iter_mut().zip(players) {
            settings.kind = kind;
        }
        self
    }

    /// A round trip between the two, jitter and queues aside.
    pub fn rtt(&self) -> Duration {
        self.access.iter().map(|access| access.up.delay + access.down.delay).sum()
    }

    /// What a seed draws: kinds, links, settings and now and then a fault.
    pub fn draw(seed: u64) -> Plan {
        let mut draw = Draw(ChaCha8Rng::seed_from_u64(seed));
        let kinds = [draw.kind(), draw.kind()];
        let mut plan = Plan::new(seed, kinds);
        plan.ipv6 = [draw.one_in(4), draw.one_in(4)];
        plan.together = draw.one_in(12);
        plan.access = [draw.access(), draw.access()];
        plan.leaves = !draw.one_in(4);
        // Long enough for things to settle: better ways are looked for during two seconds.
        plan.play = Duration::from_millis(3_000 + u64::from(draw.below(3_000)));
        for settings in &mut plan.settings {
            settings.tcp = draw.one_in(6);
            settings.rate = 5 + draw.below(40);
        }
        if draw.one_in(10) {
            plan.settings.iter_mut().for_each(|settings| settings.relay_only = true);
        }
        if draw.one_in(3) {
            plan.faults.push(draw.fault());
        }
        // What came to be drawn later is drawn last: earlier seeds stay what they were.
        if plan.faults.is_empty() && draw.one_in(4) {
            plan.faults.push(draw.later_fault());
        }
        for settings in &mut plan.settings {
            settings.kind = if draw.one_in(2) { PlayerKind::Page } else { PlayerKind::Native };
        }
        if draw.one_in(2) {
            plan.settings.iter_mut().for_each(|settings| settings.message_bytes = 24);
        }
        plan
    }
}

/// Draws from a seed.
struct Draw(ChaCha8Rng);

impl Draw {
    fn below(&mut self, end: u32) -> u32 {
        self.0.next_u32() % end.max(1)
    }

    fn one_in(&mut self, count: u32) -> bool {
        self.below(count) == 0
    }

    fn kind(&mut self) -> Kind {
        Kind::ALL[self.below(Kind::ALL.len() as u32) as usize]
    }

    fn side(&mut self) -> usize {
        self.below(2) as usize
    }

    fn ms(&mut self, from: u32, to: u32) -> Duration {
        Duration::from_millis(u64::from(from + self.below(to - from)))
    }

    fn access(&mut self) -> Access {
        let mut link = Link::delayed(self.ms(1, 75));
        if self.one_in(3) {
            link.jitter = self.ms(0, 20);
            link.jitter_reorders = self.one_in(2);
        }
        if self.one_in(3) {
            link.loss = Chance::percent(f64::from(self.below(80)) / 10.0);
        }
        if self.one_in(8) {
            link.duplication = Chance::percent(2.0);
        }
        if self.one_in(8) {
            link.corruption = Chance::percent(1.0);
        }
        if self.one_in(8) {
            link.rate_bps = Some(u64::from(500_000 + self.below(5_000_000)));
        }
        Access::both(link)
    }

    fn fault(&mut self) -> Fault {
        let side = self.side();
        let later = At::Linked(self.ms(0, 2_000));
        let (at, what) = match self.below(9) {
            0 => (At::Join(self.ms(0, 1_500)), What::ServerDies),
            1 => (later, What::ServerDies),
            2 => (At::Start, What::StunDead),
            3 => (At::Start, What::TurnDead),
            4 => (At::Start, What::WrongPassword),
            5 => (At::Start, What::ExpiredCredential),
            6 => (later, What::Rebind(side)),
            7 => {
                let kinds = [Kind::Home, Kind::Cgnat, Kind::CgnatSymmetric, Kind::Public];
                let kind = kinds[self.below(kinds.len() as u32) as usize];
                (later, What::Move(side, kind))
            }
            _ => (later, What::Blackout(side, self.ms(200, 10_000))),
        };
        Fault { at, what }
    }

    fn later_fault(&mut self) -> Fault {
        let side = self.side();
        let at = At::Linked(self.ms(0, 2_000));
        let what = match self.below(4) {
            0 => What::OtherPort(side),
            1 => What::Readdress(side),
            2 => What::UdpBlocked(side),
            _ => What::Asleep(side, self.ms(1_000, 20_000)),
        };
        Fault { at, what }
    }
}
