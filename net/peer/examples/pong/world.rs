//! The rules of the demo's game (docs/demo-game.md), as web/demo/src/game/physics.ts has them.

/// Ticks a second.
pub const TICK_HZ: u32 = 60;
const TICK_S: f64 = 1.0 / 60.0;
pub const LENGTH: f64 = 1.6;
pub const BALL_RADIUS: f64 = 0.03;
pub const CAN_HALF: f64 = 0.115;
pub const FACE_X: f64 = 0.15;
const CAN_SPEED: f64 = 3.4;
const SPEED_SERVE: f64 = 0.85;
const SPEED_MAX: f64 = 2.7;
const SPEED_PER_HIT: f64 = 1.055;
const SPEED_PER_TWANG: f64 = 1.035;
const ANGLE_MAX: f64 = 0.95;
const SPIN: f64 = 0.14;
const WINNING_SCORE: u8 = 7;
const COUNTDOWN_FIRST: u8 = 180;
const COUNTDOWN_NEXT: u8 = 75;
const COUNTDOWN_RESUME: u8 = 90;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Countdown,
    Play,
    Over,
}

impl Phase {
    pub fn word(self) -> &'static str {
        match self {
            Phase::Countdown => "countdown",
            Phase::Play => "play",
            Phase::Over => "over",
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Ball {
    pub x: f64,
    pub y: f64,
    pub vx: f64,
    pub vy: f64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct World {
    pub tick: u32,
    pub phase: Phase,
    /// Ticks to wait: of the countdown, or in play after somebody was away.
    pub wait: u8,
    pub ball: Ball,
    /// Where each can is, and where its player wants it: the middle of its face.
    pub cans: [f64; 2],
    pub targets: [f64; 2],
    pub score: [u8; 2],
    /// Who is served to next.
    pub receiver: usize,
    pub hits: u8,
    pub twangs: u8,
    pub rematch: [bool; 2],
    pub away: [bool; 2],
}

impl Default for World {
    fn default() -> Self {
        Self {
            tick: 0,
            phase: Phase::Countdown,
            wait: COUNTDOWN_FIRST,
            ball: Ball { x: LENGTH / 2.0, y: 0.5, ..Ball::default() },
            cans: [0.5; 2],
            targets: [0.5; 2],
            score: [0; 2],
            receiver: 1,
            hits: 0,
            twangs: 0,
            rematch: [false; 2],
            away: [false; 2],
        }
    }
}

/// Where a can can be: its face stays on the table.
pub fn clamp_can(y: f64) -> f64 {
    y.clamp(CAN_HALF, 1.0 - CAN_HALF)
}

impl World {
    /// The string at `x`: a straight line from the middle of one face to the other's.
    pub fn string_at(&self, x: f64) -> f64 {
        let along = (x - FACE_X) / (LENGTH - 2.0 * FACE_X);
        self.cans[0] + (self.cans[1] - self.cans[0]) * along
    }

    /// A player went away, or came back: that starts a short countdown.
    pub fn set_away(&mut self, side: usize, away: bool) {
        if std::mem::replace(&mut self.away[side], away) && !away && self.phase == Phase::Play {
            self.wait = COUNTDOWN_RESUME;
        }
    }

    /// One tick, by the owner's will.
    pub fn step(&mut self) {
        self.tick = self.tick.wrapping_add(1);
        if self.away.contains(&true) {
            return;
        }
        let before = self.cans;
        for side in 0..2 {
            let reach = CAN_SPEED * TICK_S;
            self.cans[side] += (clamp_can(self.targets[side]) - self.cans[side]).clamp(-reach, reach);
        }
        match self.phase {
            Phase::Play if self.wait > 0 => self.wait -= 1,
            Phase::Countdown => {
                self.wait = self.wait.saturating_sub(1);
                if self.wait == 0 {
                    self.serve();
                }
            }
            Phase::Play => {
                self.fly(before);
                self.count();
            }
            Phase::Over if self.rematch == [true, true] => {
                self.score = [0; 2];
                self.rematch = [false; 2];
                (self.phase, self.wait) = (Phase::Countdown, COUNTDOWN_FIRST);
                self.receiver = 1 - self.receiver;
            }
            Phase::Over => {}
        }
    }

    fn serve(&mut self) {
        let lean: f64 = if self.cans[self.receiver] > 0.5 { -0.35 } else { 0.35 };
        let direction = if self.receiver == 0 { -1.0 } else { 1.0 };
        self.phase = Phase::Play;
        let (vx, vy) = (direction * SPEED_SERVE * lean.cos(), SPEED_SERVE * lean.sin());
        self.ball = Ball { x: LENGTH / 2.0, y: 0.5, vx, vy };
    }

    fn fly(&mut self, cans_before: [f64; 2]) {
        let side_of_string = |world: &Self| sign(world.ball.y - world.string_at(world.ball.x));
        let was = side_of_string(self);
        let from = self.ball;
        self.ball.x += self.ball.vx * TICK_S;
        self.ball.y += self.ball.vy * TICK_S;
        if !(BALL_RADIUS..=1.0 - BALL_RADIUS).contains(&self.ball.y) {
            let wall = if self.ball.y < BALL_RADIUS { BALL_RADIUS } else { 1.0 - BALL_RADIUS };
            self.ball.y = 2.0 * wall - self.ball.y;
            self.ball.vy = -self.ball.vy;
            self.hits = self.hits.wrapping_add(1);
        }
        self.meet_can(usize::from(self.ball.vx >= 0.0), from, cans_before);
        let now = side_of_string(self);
        let margin = FACE_X + 2.0 * BALL_RADIUS;
        if (margin..LENGTH - margin).contains(&self.ball.x) && was * now < 0.0 {
            self.twangs = self.twangs.wrapping_add(1);
            let speed = self.ball.vx.hypot(self.ball.vy);
            let factor = (speed * SPEED_PER_TWANG).min(SPEED_MAX) / speed;
            self.ball.vx *= factor;
            self.ball.vy *= factor;
        }
    }

    fn meet_can(&mut self, side: usize, from: Ball, cans_before: [f64; 2]) {
        let ball = &mut self.ball;
        let face = if side == 0 { FACE_X + BALL_RADIUS } else { LENGTH - FACE_X - BALL_RADIUS };
        let passed =
            if side == 0 { from.x >= face && ball.x < face } else { from.x <= face && ball.x > face };
        if !passed {
            return;
        }
        let y = from.y + (ball.y - from.y) * (face - from.x) / (ball.x - from.x);
        let offset = (y - self.cans[side]) / (CAN_HALF + BALL_RADIUS);
        if offset.abs() > 1.0 {
            return;
        }
        let can_speed = (self.cans[side] - cans_before[side]) / TICK_S;
        let speed = (ball.vx.hypot(ball.vy) * SPEED_PER_HIT).min(SPEED_MAX);
        let angle = (offset * ANGLE_MAX + can_speed * SPIN).clamp(-ANGLE_MAX, ANGLE_MAX);
        ball.x = 2.0 * face - ball.x;
        ball.y = y.clamp(BALL_RADIUS, 1.0 - BALL_RADIUS);
        ball.vx = if side == 0 { speed * angle.cos() } else { -speed * angle.cos() };
        ball.vy = speed * angle.sin();
        self.hits = self.hits.wrapping_add(1);
    }

    fn count(&mut self) {
        let loser = match self.ball.x {
            x if x < -BALL_RADIUS => 0,
            x if x > LENGTH + BALL_RADIUS => 1,
            _ => return,
        };
        self.score[1 - loser] += 1;
        self.receiver = loser;
        self.ball = Ball { x: LENGTH / 2.0, y: 0.5, ..Ball::default() };
        (self.phase, self.wait) = if self.score[1 - loser] >= WINNING_SCORE {
            self.rematch = [false; 2];
            (Phase::Over, 0)
        } else {
            (Phase::Countdown, COUNTDOWN_NEXT)
        };
    }
}

/// 0 for 0, unlike `signum`.
fn sign(value: f64) -> f64 {
    if value == 0.0 { 0.0 } else { value.signum() }
}
