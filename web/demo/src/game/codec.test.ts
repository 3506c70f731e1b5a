//! The two messages, byte for byte as docs/demo-game.md draws them.

import { describe, expect, it } from 'vitest';
import { INPUT_BYTES, STATE_BYTES, decodeInput, decodeState, encodeInput, encodeState, isAfter16, isAfter32 } from './codec.ts';
import { newWorld } from './physics.ts';

const hex = (bytes: Uint8Array): string => [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');

describe('the messages', () => {
  it('the state of the document is these bytes', () => {
    const world = newWorld();
    world.tick = 0x01020304;
    world.phase = 'play';
    world.timer = 0;
    world.hold = 5;
    world.ball = { x: 0.8, y: 0.5, vx: -0.85, vy: 0.2915 };
    world.cans = [0.25, 0.75];
    world.targets = [0.3, 0.7];
    world.score = [3, 6];
    world.hits = 200;
    world.twangs = 17;
    world.rematch = [true, false];
    world.away = [false, true];
    world.receiver = 1;
    expect(hex(encodeState({ ack: 0xbeef, world }))).toBe(
      '01 01 01 02 03 04 be ef 1f 40 13 88 de cc 0b 63 09 c4 1d 4c 0b b8 1b 58 03 06 05 c8 11 19',
    );
  });

  it('the input of the document is these bytes', () => {
    const bytes = encodeInput({ seq: 0x0102, tick: 0x01020304, target: 0.3, rematch: true, away: true });
    expect(hex(bytes)).toBe('02 03 01 02 01 02 03 04 0b b8');
  });

  it('what is encoded is decoded', () => {
    const world = { ...newWorld(), tick: 77, timer: 120, cans: [0.4, 0.6] as [number, number] };
    expect(decodeState(encodeState({ ack: 9, world }))).toEqual({ ack: 9, world });
    const input = { seq: 65_535, tick: 4_000_000_000, target: 0.1234, rematch: false, away: true };
    expect(decodeInput(encodeInput(input))).toEqual(input);
  });

  it('reads from the middle of a larger buffer', () => {
    const bytes = encodeInput({ seq: 1, tick: 2, target: 0.5, rematch: false, away: false });
    const larger = new Uint8Array(INPUT_BYTES + 7);
    larger.set(bytes, 5);
    expect(decodeInput(larger.subarray(5, 5 + INPUT_BYTES))?.seq).toBe(1);
  });

  it('anything else is no message', () => {
    const state = encodeState({ ack: 0, world: newWorld() });
    expect(decodeState(state.subarray(1))).toBeUndefined();
    expect(decodeState(new Uint8Array(STATE_BYTES))).toBeUndefined();
    expect(decodeState(state.map((byte, at) => (at === 1 ? 3 : byte)))).toBeUndefined();
    expect(decodeState(state.map((byte, at) => (at === 29 ? 0x20 : byte)))).toBeUndefined();
    expect(decodeInput(new Uint8Array(INPUT_BYTES))).toBeUndefined();
    expect(decodeInput(new Uint8Array(0))).toBeUndefined();
    const input = encodeInput({ seq: 1, tick: 2, target: 0.5, rematch: false, away: false });
    expect(decodeInput(input.map((byte, at) => (at === 1 ? 4 : byte)))).toBeUndefined();
  });

  it('lengths beyond the table are kept within sixteen bits', () => {
    const world = newWorld();
    world.ball = { x: 99, y: -99, vx: 0, vy: 0 };
    const decoded = decodeState(encodeState({ ack: 0, world }));
    expect(decoded?.world.ball).toEqual({ x: 3.2767, y: -3.2768, vx: 0, vy: 0 });
  });

  it('numbers that start again are still in order', () => {
    expect(isAfter16(1, 65_535)).toBe(true);
    expect(isAfter16(65_535, 1)).toBe(false);
    expect(isAfter16(5, 5)).toBe(false);
    expect(isAfter32(0, 4_294_967_295)).toBe(true);
    expect(isAfter32(4_294_967_295, 0)).toBe(false);
  });
});
