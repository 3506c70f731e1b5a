//! The rules of the game, and nothing else: a table, a button that flies, two cans that catch it, a string between them.
//! Pure: no clock, no canvas, no network. The owner's page steps it; the other page steps it ahead of what it was told.

/** Ticks a second. Every page steps the world at this rate. */
export const TICK_HZ = 60;
export const TICK_S = 1 / TICK_HZ;

/** All lengths are in widths of the table: it is 1 wide and LENGTH long. Side 0 (the owner) stands at x = 0. */
export const LENGTH = 1.6;
export const BALL_RADIUS = 0.03;
/** Half of the can's face. */
export const CAN_HALF = 0.115;
/** Where the faces of the cans are: FACE_X for side 0, LENGTH - FACE_X for side 1. */
export const FACE_X = 0.15;

/** How fast a can may move, in widths a second. */
export const CAN_SPEED = 3.4;
const SPEED_SERVE = 0.85;
const SPEED_MAX = 2.7;
const SPEED_PER_HIT = 1.055;
const SPEED_PER_TWANG = 1.035;
/** Steepest flight away from a can, in radians from the string's direction. */
const ANGLE_MAX = 0.95;
/** How much of the can's own speed goes along with the button. */
const SPIN = 0.14;

export const WINNING_SCORE = 7;
/** Ticks of the first countdown (3, 2, 1), of the ones after a point, and of the one after a pause. */
export const COUNTDOWN_FIRST = 180;
export const COUNTDOWN_NEXT = 75;
export const COUNTDOWN_RESUME = 90;

export type Side = 0 | 1;
export type Phase = 'countdown' | 'play' | 'over';

export interface World {
  tick: number;
  phase: Phase;
  /** Ticks left of the countdown. */
  timer: number;
  /** Ticks for which everything stands still, after someone was away. */
  hold: number;
  ball: { x: number; y: number; vx: number; vy: number };
  /** Where each can is, and where its player wants it (the middle of the face, along the table's width). */
  cans: [number, number];
  targets: [number, number];
  score: [number, number];
  /** Who is served to next. */
  receiver: Side;
  /** Counters (modulo 256) of things worth a sound: the button met a can or a wall; it crossed the string. */
  hits: number;
  twangs: number;
  /** Who wants to play again, once it is over. */
  rematch: [boolean, boolean];
  /** Whose page is in the background: the game waits. */
  away: [boolean, boolean];
}

export function newWorld(): World {
  return {
    tick: 0,
    phase: 'countdown',
    timer: COUNTDOWN_FIRST,
    hold: 0,
    ball: { x: LENGTH / 2, y: 0.5, vx: 0, vy: 0 },
    cans: [0.5, 0.5],
    targets: [0.5, 0.5],
    score: [0, 0],
    receiver: 1,
    hits: 0,
    twangs: 0,
    rematch: [false, false],
    away: [false, false],
  };
}

export function cloneWorld(world: World): World {
  return {
    ...world,
    ball: { ...world.ball },
    cans: [...world.cans],
    targets: [...world.targets],
    score: [...world.score],
    rematch: [...world.rematch],
    away: [...world.away],
  };
}

export const clamp = (value: number, low: number, high: number): number => Math.min(high, Math.max(low, value));

/** Where a can can be: its face stays on the table. */
export const clampCan = (y: number): number => clamp(y, CAN_HALF, 1 - CAN_HALF);

/** The string's height over the table at `x`: a straight line from the middle of one face to the other's. */
export function stringAt(world: World, x: number): number {
  const along = (x - FACE_X) / (LENGTH - 2 * FACE_X);
  return world.cans[0] + (world.cans[1] - world.cans[0]) * along;
}

/** Says that a player's page went away or came back; coming back starts a short countdown. */
export function setAway(world: World, side: Side, away: boolean): void {
  if (world.away[side] === away) return;
  world.away[side] = away;
  if (!away && world.phase === 'play') world.hold = COUNTDOWN_RESUME;
}

/**
 * One tick. `decide` is true on the owner's page, which alone gives points and starts matches; a page that looks
 * ahead passes false, and lets the button fly on instead.
 */
export function step(world: World, decide: boolean): void {
  world.tick = (world.tick + 1) >>> 0;
  if (world.away[0] || world.away[1]) return;
  const before: [number, number] = [...world.cans];
  moveCan(world, 0);
  moveCan(world, 1);
  if (world.hold > 0) {
    world.hold -= 1;
    return;
  }
  if (world.phase === 'countdown') {
    world.timer -= 1;
    if (world.timer <= 0) serve(world);
  } else if (world.phase === 'play') {
    fly(world, before);
    if (decide) score(world);
  } else if (decide && world.rematch[0] && world.rematch[1]) {
    restart(world);
  }
}

function moveCan(world: World, side: Side): void {
  const reach = CAN_SPEED * TICK_S;
  const wanted = clampCan(world.targets[side]);
  world.cans[side] += clamp(wanted - world.cans[side], -reach, reach);
}

function serve(world: World): void {
  // The angle follows from where the receiver stands, so that nobody needs a die: a little away from its can.
  const lean = world.cans[world.receiver] > 0.5 ? -0.35 : 0.35;
  const direction = world.receiver === 0 ? -1 : 1;
  world.phase = 'play';
  world.timer = 0;
  world.ball = { x: LENGTH / 2, y: 0.5, vx: direction * SPEED_SERVE * Math.cos(lean), vy: SPEED_SERVE * Math.sin(lean) };
}

function fly(world: World, cansBefore: [number, number]): void {
  const ball = world.ball;
  const sideOfString = Math.sign(ball.y - stringAt(world, ball.x));
  const from = { x: ball.x, y: ball.y };
  ball.x += ball.vx * TICK_S;
  ball.y += ball.vy * TICK_S;
  if (ball.y < BALL_RADIUS || ball.y > 1 - BALL_RADIUS) {
    ball.y = ball.y < BALL_RADIUS ? 2 * BALL_RADIUS - ball.y : 2 * (1 - BALL_RADIUS) - ball.y;
    ball.vy = -ball.vy;
    world.hits = (world.hits + 1) & 0xff;
  }
  meetCan(world, ball.vx < 0 ? 0 : 1, from, cansBefore);
  const now = Math.sign(ball.y - stringAt(world, ball.x));
  const between = ball.x > FACE_X + 2 * BALL_RADIUS && ball.x < LENGTH - FACE_X - 2 * BALL_RADIUS;
  if (between && sideOfString !== 0 && now !== 0 && now !== sideOfString) {
    world.twangs = (world.twangs + 1) & 0xff;
    accelerate(world, SPEED_PER_TWANG);
  }
}

/** Bounces the button off the face of `side`'s can if it passed through it in this tick. */
function meetCan(world: World, side: Side, from: { x: number; y: number }, cansBefore: [number, number]): void {
  const ball = world.ball;
  const face = side === 0 ? FACE_X + BALL_RADIUS : LENGTH - FACE_X - BALL_RADIUS;
  const passed = side === 0 ? from.x >= face && ball.x < face : from.x <= face && ball.x > face;
  if (!passed) return;
  const part = (face - from.x) / (ball.x - from.x || 1);
  const y = from.y + (ball.y - from.y) * part;
  const offset = (y - world.cans[side]) / (CAN_HALF + BALL_RADIUS);
  if (Math.abs(offset) > 1) return;
  const canSpeed = (world.cans[side] - cansBefore[side]) / TICK_S;
  const speed = Math.min(SPEED_MAX, Math.hypot(ball.vx, ball.vy) * SPEED_PER_HIT);
  const angle = clamp(offset * ANGLE_MAX + canSpeed * SPIN, -ANGLE_MAX, ANGLE_MAX);
  ball.x = 2 * face - ball.x;
  ball.y = clamp(y, BALL_RADIUS, 1 - BALL_RADIUS);
  ball.vx = (side === 0 ? 1 : -1) * speed * Math.cos(angle);
  ball.vy = speed * Math.sin(angle);
  world.hits = (world.hits + 1) & 0xff;
}

function accelerate(world: World, factor: number): void {
  const speed = Math.hypot(world.ball.vx, world.ball.vy);
  const allowed = Math.min(speed * factor, SPEED_MAX) / speed;
  world.ball.vx *= allowed;
  world.ball.vy *= allowed;
}

function score(world: World): void {
  const loser: Side | undefined = world.ball.x < -BALL_RADIUS ? 0 : world.ball.x > LENGTH + BALL_RADIUS ? 1 : undefined;
  if (loser === undefined) return;
  const winner: Side = loser === 0 ? 1 : 0;
  world.score[winner] += 1;
  world.receiver = loser;
  world.ball = { x: LENGTH / 2, y: 0.5, vx: 0, vy: 0 };
  if (world.score[winner] >= WINNING_SCORE) {
    world.phase = 'over';
    world.rematch = [false, false];
  } else {
    world.phase = 'countdown';
    world.timer = COUNTDOWN_NEXT;
  }
}

function restart(world: World): void {
  world.score = [0, 0];
  world.rematch = [false, false];
  world.phase = 'countdown';
  world.timer = COUNTDOWN_FIRST;
  world.receiver = world.receiver === 0 ? 1 : 0;
}
