//! The game's two messages as bytes, as docs/demo-game.md draws them. Big-endian; lengths in 1/10,000 of the table's width.

import { type Phase, type World, newWorld } from './physics.ts';

export const KIND_STATE = 1;
export const KIND_INPUT = 2;
export const STATE_BYTES = 30;
export const INPUT_BYTES = 10;

const SCALE = 10_000;
const PHASES: readonly Phase[] = ['countdown', 'play', 'over'];

const REMATCH_0 = 1;
const REMATCH_1 = 2;
const AWAY_0 = 4;
const AWAY_1 = 8;
const RECEIVER_1 = 16;
const STATE_FLAGS = 31;

const INPUT_REMATCH = 1;
const INPUT_AWAY = 2;
const INPUT_FLAGS = 3;

/** What the owner's page tells. `ack` is the newest input (its `seq`) that went into this state. */
export interface StateMessage {
  ack: number;
  world: World;
}

/** What the other page tells: where it wants its can. `tick` is the newest state that it has seen. */
export interface InputMessage {
  seq: number;
  tick: number;
  target: number;
  rematch: boolean;
  away: boolean;
}

const fixed = (value: number): number => Math.max(-32_768, Math.min(32_767, Math.round(value * SCALE)));

export function encodeState(message: StateMessage): Uint8Array<ArrayBuffer> {
  const { world, ack } = message;
  const bytes = new Uint8Array(STATE_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, KIND_STATE);
  view.setUint8(1, PHASES.indexOf(world.phase));
  view.setUint32(2, world.tick);
  view.setUint16(6, ack);
  const lengths = [world.ball.x, world.ball.y, world.ball.vx, world.ball.vy, ...world.cans, ...world.targets];
  lengths.forEach((value, at) => view.setInt16(8 + 2 * at, fixed(value)));
  view.setUint8(24, world.score[0]);
  view.setUint8(25, world.score[1]);
  // A countdown and a hold never run at once: one byte serves both, and the phase says which it is.
  view.setUint8(26, world.phase === 'countdown' ? world.timer : world.hold);
  view.setUint8(27, world.hits);
  view.setUint8(28, world.twangs);
  view.setUint8(
    29,
    (world.rematch[0] ? REMATCH_0 : 0) |
      (world.rematch[1] ? REMATCH_1 : 0) |
      (world.away[0] ? AWAY_0 : 0) |
      (world.away[1] ? AWAY_1 : 0) |
      (world.receiver === 1 ? RECEIVER_1 : 0),
  );
  return bytes;
}

/** Undefined for anything that is not a state message. */
export function decodeState(bytes: Uint8Array): StateMessage | undefined {
  if (bytes.length !== STATE_BYTES || bytes[0] !== KIND_STATE) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const phase = PHASES[view.getUint8(1)];
  const flags = view.getUint8(29);
  if (phase === undefined || (flags & ~STATE_FLAGS) !== 0) return undefined;
  const length = (at: number): number => view.getInt16(8 + 2 * at) / SCALE;
  const wait = view.getUint8(26);
  const world = newWorld();
  world.tick = view.getUint32(2);
  world.phase = phase;
  world.timer = phase === 'countdown' ? wait : 0;
  world.hold = phase === 'countdown' ? 0 : wait;
  world.ball = { x: length(0), y: length(1), vx: length(2), vy: length(3) };
  world.cans = [length(4), length(5)];
  world.targets = [length(6), length(7)];
  world.score = [view.getUint8(24), view.getUint8(25)];
  world.hits = view.getUint8(27);
  world.twangs = view.getUint8(28);
  world.rematch = [(flags & REMATCH_0) !== 0, (flags & REMATCH_1) !== 0];
  world.away = [(flags & AWAY_0) !== 0, (flags & AWAY_1) !== 0];
  world.receiver = (flags & RECEIVER_1) !== 0 ? 1 : 0;
  return { ack: view.getUint16(6), world };
}

export function encodeInput(message: InputMessage): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(INPUT_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, KIND_INPUT);
  view.setUint8(1, (message.rematch ? INPUT_REMATCH : 0) | (message.away ? INPUT_AWAY : 0));
  view.setUint16(2, message.seq);
  view.setUint32(4, message.tick);
  view.setInt16(8, fixed(message.target));
  return bytes;
}

/** Undefined for anything that is not an input message. */
export function decodeInput(bytes: Uint8Array): InputMessage | undefined {
  if (bytes.length !== INPUT_BYTES || bytes[0] !== KIND_INPUT) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const flags = view.getUint8(1);
  if ((flags & ~INPUT_FLAGS) !== 0) return undefined;
  return {
    seq: view.getUint16(2),
    tick: view.getUint32(4),
    target: view.getInt16(8) / SCALE,
    rematch: (flags & INPUT_REMATCH) !== 0,
    away: (flags & INPUT_AWAY) !== 0,
  };
}

/** Whether `a` is after `b`, for numbers of 16 bits that start again from 0. */
export const isAfter16 = (a: number, b: number): boolean => a !== b && ((a - b) & 0xffff) < 0x8000;

/** Whether `a` is after `b`, for numbers of 32 bits that start again from 0. */
export const isAfter32 = (a: number, b: number): boolean => a !== b && (a - b) >>> 0 < 0x8000_0000;
