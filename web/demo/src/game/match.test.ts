//! Owner and guest over a pretend network of so many ticks' delay, with loss where a test wants it.

import { describe, expect, it } from 'vitest';
import { type InputMessage, type StateMessage, decodeInput, decodeState, encodeInput, encodeState } from './codec.ts';
import { Guest, LOOKAHEAD_TICKS_MAX, Owner, turned } from './match.ts';
import { newWorld } from './physics.ts';

interface Pair {
  owner: Owner;
  guest: Guest;
  /** One tick on both sides; `lose` drops what is sent in it. */
  tick(ownerWish: number, guestWish: number, lose?: boolean): void;
}

function pair(delayTicks: number): Pair {
  const owner = new Owner();
  const guest = new Guest();
  const up: { due: number; bytes: Uint8Array }[] = [];
  const down: { due: number; bytes: Uint8Array }[] = [];
  let now = 0;
  return {
    owner,
    guest,
    tick(ownerWish, guestWish, lose = false) {
      now += 1;
      while (up[0] && up[0].due <= now) owner.receive(decodeInput(up.shift()!.bytes) as InputMessage);
      while (down[0] && down[0].due <= now) guest.receive(decodeState(down.shift()!.bytes) as StateMessage);
      owner.tick(ownerWish);
      const input = guest.tick(guestWish);
      if (lose) return;
      down.push({ due: now + delayTicks, bytes: encodeState(owner.state()) });
      up.push({ due: now + delayTicks, bytes: encodeInput(input) });
    },
  };
}

describe('a match', () => {
  it('the guest sees its own can where it put it, at once', () => {
    const world = pair(6);
    for (let at = 0; at < 40; at += 1) world.tick(0.5, 0.5);
    for (let at = 0; at < 3; at += 1) world.tick(0.5, 0.6);
    expect(world.guest.shown().cans[1]).toBeCloseTo(0.6, 2);
    expect(world.owner.world.cans[1]).toBeCloseTo(0.5, 2);
  });

  it('what the guest sees of the button is what the owner finds when the guest’s input arrives', () => {
    const world = pair(4);
    const seen = new Map<number, number>();
    let compared = 0;
    for (let at = 0; at < 230; at += 1) {
      world.tick(0.5, 0.5);
      seen.set(world.guest.world.tick, world.guest.world.ball.x);
      const then = seen.get(world.owner.world.tick);
      if (world.owner.world.phase === 'play' && then !== undefined) {
        expect(then).toBeCloseTo(world.owner.world.ball.x, 2);
        compared += 1;
      }
    }
    expect(compared).toBeGreaterThan(20);
  });

  it('a guest that catches what it sees misses nothing, at a fifth of a second there and back and with loss', () => {
    const world = pair(6);
    for (let at = 0; at < 3600; at += 1) {
      world.tick(world.owner.world.ball.y, world.guest.shown().ball.y, at % 10 === 0);
    }
    expect(world.owner.world.hits).toBeGreaterThan(40);
    expect(world.owner.world.score).toEqual([0, 0]);
  });

  it('a lost message is made good by the next', () => {
    const world = pair(2);
    for (let at = 0; at < 400; at += 1) world.tick(0.5, 0.3, at % 3 === 0);
    expect(world.owner.world.cans[1]).toBeCloseTo(0.3, 2);
    expect(world.guest.world.score).toEqual(world.owner.world.score);
  });

  it('an old or repeated message changes nothing', () => {
    const owner = new Owner();
    owner.receive({ seq: 5, tick: 0, target: 0.7, rematch: false, away: false });
    owner.receive({ seq: 4, tick: 0, target: 0.2, rematch: false, away: false });
    expect(owner.world.targets[1]).toBeCloseTo(0.7);
    expect(owner.state().ack).toBe(5);
    const guest = new Guest();
    guest.receive({ ack: 0, world: { ...newWorld(), tick: 10, score: [2, 0] } });
    guest.receive({ ack: 0, world: { ...newWorld(), tick: 9, score: [1, 0] } });
    expect(guest.world.score).toEqual([2, 0]);
  });

  it('without news the guest stands still after half a second, and its memory does not grow', () => {
    const guest = new Guest();
    guest.receive({ ack: 0, world: { ...newWorld(), phase: 'play', timer: 0, ball: { x: 0.2, y: 0.5, vx: 0.9, vy: 0 }, tick: 1 } });
    for (let at = 0; at < LOOKAHEAD_TICKS_MAX; at += 1) guest.tick(0.5);
    const { x } = guest.world.ball;
    for (let at = 0; at < 100; at += 1) guest.tick(0.5);
    expect(guest.world.ball.x).toBe(x);
  });

  it('an answer to "once more?" counts only once it is over', () => {
    const owner = new Owner();
    owner.receive({ seq: 1, tick: 0, target: 0.5, rematch: true, away: false });
    expect(owner.world.rematch[1]).toBe(false);
    owner.world.phase = 'over';
    owner.receive({ seq: 2, tick: 0, target: 0.5, rematch: true, away: false });
    expect(owner.world.rematch[1]).toBe(true);
  });

  it('the table turned twice is the table', () => {
    const world = newWorld();
    world.ball = { x: 0.3, y: 0.2, vx: 1, vy: -0.5 };
    world.cans = [0.25, 0.75];
    world.score = [1, 2];
    const twice = turned(turned(world));
    expect(twice.score).toEqual(world.score);
    expect(twice.ball.x).toBeCloseTo(world.ball.x);
    expect(turned(world).cans).toEqual([0.25, 0.75]);
    expect(turned(world).score).toEqual([2, 1]);
  });
});
