//! Plays the demo page's game (docs/demo-game.md) in a terminal: against a page, or another terminal.
//!
//!     cargo run --example pong -- --create          then join its code in the page, or in another terminal
//!     cargo run --example pong -- --join ED84
//!
//! A plain game loop, 60 times a second, without `async`.

mod codec;
#[path = "../common/mod.rs"]
mod common;
mod screen;
mod world;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use serde_json::{Value, json};
use twocan::{Client, Data, Lobby, LobbyEvent, Peer, Request, block_on};

use codec::{Input, decode_input, decode_state, encode_input, encode_state, is_after16, is_after32};
use common::tell::{self, Teller};
use screen::Screen;
use world::{LENGTH, Phase, TICK_HZ, World, clamp_can};

/// With a server that does not let go in this time, the match begins all the same.
const PATIENCE: Duration = Duration::from_secs(8);
/// A guest that is silent for so long is away.
const SILENCE: Duration = Duration::from_millis(1_500);

/// The demo page's game, in a terminal
#[derive(Parser)]
struct Pong {
    #[command(flatten)]
    lobby: common::Flags,
    /// Play by itself
    #[arg(long)]
    auto: bool,
}

fn main() -> ExitCode {
    match play(Pong::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => common::failed(&*error),
    }
}

fn play(mut flags: Pong) -> Result<(), Box<dyn std::error::Error>> {
    let name = flags.lobby.me["name"].as_str().unwrap_or("native").to_owned();
    flags.lobby.size.get_or_insert(2);
    flags.lobby.data.get_or_insert_with(|| json!({"host":name,"game":"string"}));
    let net: Client = flags.lobby.connect()?.wait()?;
    let played = play_at(&net, flags);
    // The goodbyes go out, to the server and over the links.
    net.close().wait()?;
    played
}

fn play_at(net: &Client, flags: Pong) -> Result<(), Box<dyn std::error::Error>> {
    let mut lobby = block_on(flags.lobby.enter(net))?;
    let teller = Teller { json: true };
    if flags.lobby.json {
        teller.tell(tell::joined(&lobby));
    }
    let screen = if flags.lobby.json { None } else { Some(Screen::open()?) };
    let mut game = Game::new(&lobby, flags.auto);
    let mut next = Instant::now();
    while game.goes_on {
        let (before, phase) = (game.world.score, game.world.phase);
        while let Some(event) = lobby.poll() {
            if let (true, false) = (flags.lobby.json, matches!(event, LobbyEvent::Message { .. })) {
                teller.tell(tell::event(&lobby, &event));
            }
            game.happened(&lobby, event);
        }
        if let Some(screen) = &screen {
            game.goes_on &= screen.keys(&mut game.target, &mut game.rematch);
            if game.world.tick.is_multiple_of(2) || game.opponent.is_none() {
                screen.draw(&game.world, game.side, &game.note);
            }
        }
        game.tick(&lobby);
        if flags.lobby.json && (before, phase) != (game.world.score, game.world.phase) {
            let (points, phase) = (game.world.score, game.world.phase.word());
            teller.tell(json!({"event":"score","points":points,"side":game.side,"phase":phase}));
        }
        next += Duration::from_secs(1) / TICK_HZ;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    drop(screen);
    // Whatever the server says to that, we are gone.
    let _ = lobby.leave().wait();
    if !flags.lobby.json {
        let [owner, guest] = game.world.score;
        let _ = writeln!(std::io::stdout(), "{owner} : {guest}");
    }
    Ok(())
}

/// One end of a match.
struct Game {
    /// 0 for the owner, who decides; 1 for the guest, and for who watches.
    side: usize,
    world: World,
    target: f64,
    rematch: bool,
    auto: bool,
    goes_on: bool,
    /// For the line below the table.
    note: String,
    /// Whom we play against; for a guest, whoever owns the table.
    opponent: Option<Peer>,
    /// The owner's match begins then, if the server has not let go before.
    begins_at: Option<Instant>,
    playing: bool,
    /// The newest input: received, or sent.
    seq: u16,
    heard_at: Instant,
}

impl Game {
    fn new(lobby: &Lobby, auto: bool) -> Self {
        Self {
            side: usize::from(!lobby.is_owner()),
            world: World::default(),
            target: 0.5,
            rematch: false,
            auto,
            goes_on: true,
            note: format!("Join with {} at the server's page, or in another terminal.", lobby.code()),
            opponent: None,
            begins_at: None,
            playing: false,
            seq: 0,
            heard_at: Instant::now(),
        }
    }

    fn happened(&mut self, lobby: &Lobby, event: LobbyEvent) {
        match event {
            LobbyEvent::Peer(peer) if self.side == 0 => self.meet(lobby, peer),
            LobbyEvent::Peer(peer) if peer.id() == lobby.owner() => {
                self.note = format!("Against {}.", peer.me()["name"].as_str().unwrap_or("somebody"));
                self.opponent = Some(peer);
            }
            LobbyEvent::Complete => {
                self.note.push_str(" The server has let go.");
                self.playing |= self.side == 0;
            }
            LobbyEvent::Message { peer, data: Data::Bytes(bytes), .. } => self.received(&peer, &bytes),
            LobbyEvent::Message { data: Data::Json(said), .. } => self.told(lobby, &said),
            LobbyEvent::Fail(failure) => self.note = failure.message(),
            LobbyEvent::Leave(member, _)
                if self.opponent.as_ref().is_some_and(|opponent| opponent.id() == member.peer) =>
            {
                self.goes_on = false;
            }
            LobbyEvent::Removed(why) if self.opponent.is_none() => {
                self.note = format!("No longer at the server: {why:?}");
                self.goes_on = false;
            }
            _ => {}
        }
    }

    /// Somebody is linked with the owner.
    fn meet(&mut self, lobby: &Lobby, peer: Peer) {
        if self.opponent.is_none() {
            self.note = format!("Against {}.", peer.me()["name"].as_str().unwrap_or("somebody"));
            self.opponent = Some(peer);
            self.begins_at = Some(Instant::now() + PATIENCE);
            self.heard_at = Instant::now();
            if lobby.size() == 2 {
                // Its answer comes as an event.
                drop(lobby.start());
            } else {
                self.playing = true;
            }
        }
        if let Some(guest) = &self.opponent {
            lobby.all().try_send("reliable", json!({"type":"seats","guest":guest.id().as_str()}));
        }
    }

    fn told(&mut self, lobby: &Lobby, said: &Value) {
        match said["type"].as_str() {
            Some("seats") => self.playing = self.side == 1 && said["guest"] == lobby.me().as_str(),
            Some("chat") => {
                let text = said["text"].as_str().unwrap_or_default();
                self.note = text.chars().filter(|letter| !letter.is_control()).take(60).collect();
            }
            _ => {}
        }
    }

    fn received(&mut self, peer: &Peer, bytes: &[u8]) {
        if self.opponent.as_ref() != Some(peer) {
            return;
        }
        if self.side == 1 {
            match decode_state(bytes) {
                Some(world) if self.world.tick == 0 || is_after32(world.tick, self.world.tick) => {
                    self.world = world;
                }
                _ => {}
            }
        } else if let Some(input) = decode_input(bytes).filter(|input| is_after16(input.seq, self.seq)) {
            self.seq = input.seq;
            self.heard_at = Instant::now();
            self.world.targets[1] = clamp_can(input.target);
            self.world.rematch[1] |= input.rematch && self.world.phase == Phase::Over;
            self.world.set_away(1, input.away);
        }
    }

    fn tick(&mut self, lobby: &Lobby) {
        if self.auto {
            self.decide();
        }
        if self.side == 1 {
            let (true, Some(owner)) = (self.playing, &self.opponent) else { return };
            self.seq = self.seq.wrapping_add(1);
            let rematch = self.rematch && self.world.phase == Phase::Over;
            self.rematch &= self.world.phase == Phase::Over;
            let input =
                Input { seq: self.seq, tick: self.world.tick, target: self.target, rematch, away: false };
            // The next one follows at once.
            let _ = owner.try_send("unreliable", encode_input(input));
            return;
        }
        self.playing |= self.begins_at.is_some_and(|at| at <= Instant::now());
        if !self.playing {
            return;
        }
        if self.heard_at.elapsed() > SILENCE {
            self.world.set_away(1, true);
        }
        self.world.targets[0] = self.target;
        self.world.rematch[0] |= std::mem::take(&mut self.rematch) && self.world.phase == Phase::Over;
        self.world.step();
        lobby.all().try_send("unreliable", encode_state(&self.world, self.seq));
    }

    /// Plays by itself: goes where the button is, well enough to hit and not well enough to hit always.
    fn decide(&mut self) {
        let ball = self.world.ball;
        let comes = if self.side == 0 { ball.vx < 0.0 } else { ball.vx > 0.0 };
        let near = if self.side == 0 { ball.x < LENGTH / 2.0 } else { ball.x > LENGTH / 2.0 };
        let [zero, one] = self.world.score.map(u32::from);
        let mixed = (u32::from(self.world.hits) + 7 * zero + 13 * one).wrapping_mul(2_654_435_761) >> 16;
        let slip = (f64::from(mixed & 0xff) / 255.0 - 0.5) * 0.36;
        self.target = clamp_can(if comes && near { ball.y + slip } else { 0.5 + slip });
        self.rematch = self.world.phase == Phase::Over;
    }
}
