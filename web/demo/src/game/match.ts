//! The two ends of a match. `Owner` decides; `Guest` looks ahead of what it was told by as much as its own inputs are
//! on their way, so that what it sees is what the owner will find when they arrive. Pure: time comes in as ticks.

import { type InputMessage, type StateMessage, isAfter16, isAfter32 } from './codec.ts';
import { LENGTH, type World, clampCan, cloneWorld, newWorld, setAway, step } from './physics.ts';

/** Inputs that a guest keeps for looking ahead: half a second. With more in flight it stands still rather than guess. */
export const LOOKAHEAD_TICKS_MAX = 30;
/** How far a watcher moves ahead without news. */
const FOLLOW_TICKS_MAX = 10;
/** A correction larger than this (in widths) is shown at once, a smaller one smoothly. */
const SNAP = 0.35;
/** What is left of a correction after one tick. */
const BLEND = 0.84;

export class Owner {
  readonly world: World = newWorld();
  #ack = 0;
  #heard = false;

  /** One tick with the owner's own wish; the guest's is the newest that arrived. */
  tick(target: number): void {
    this.world.targets[0] = clampCan(target);
    step(this.world, true);
  }

  receive(input: InputMessage): void {
    if (this.#heard && !isAfter16(input.seq, this.#ack)) return;
    this.#heard = true;
    this.#ack = input.seq;
    this.world.targets[1] = clampCan(input.target);
    if (this.world.phase === 'over') this.world.rematch[1] ||= input.rematch;
    setAway(this.world, 1, input.away);
  }

  state(): StateMessage {
    return { ack: this.#ack, world: this.world };
  }
}

export class Guest {
  /** What to draw: the owner's last word, moved ahead. */
  world: World = newWorld();
  rematch = false;
  away = false;
  #base: World | undefined;
  #inputs: InputMessage[] = [];
  #seq = 0;
  #error = { x: 0, y: 0, can: 0 };
  #unheard = 0;

  /** Whether the owner has said anything yet. */
  get started(): boolean {
    return this.#base !== undefined;
  }

  /** One tick: remembers the wish, moves ahead, and gives the message to send. */
  tick(target: number): InputMessage {
    this.#seq = (this.#seq + 1) & 0xffff;
    const input: InputMessage = {
      seq: this.#seq,
      tick: this.#base?.tick ?? 0,
      target: clampCan(target),
      rematch: this.rematch && this.world.phase === 'over',
      away: this.away,
    };
    this.#inputs.push(input);
    if (this.#inputs.length > LOOKAHEAD_TICKS_MAX) this.#inputs.shift();
    else this.#advance(input);
    this.#error.x *= BLEND;
    this.#error.y *= BLEND;
    this.#error.can *= BLEND;
    return input;
  }

  /** One tick of somebody who only watches: moves ahead a little, so that a lost message does not show. */
  follow(): void {
    if (!this.#base || this.#unheard >= FOLLOW_TICKS_MAX) return;
    this.#unheard += 1;
    step(this.world, false);
  }

  receive(message: StateMessage): void {
    if (this.#base && !isAfter32(message.world.tick, this.#base.tick)) return;
    const shown = this.shown();
    const first = this.#base === undefined;
    this.#unheard = 0;
    this.#base = message.world;
    this.#inputs = this.#inputs.filter((input) => isAfter16(input.seq, message.ack));
    this.world = cloneWorld(message.world);
    for (const input of this.#inputs) this.#advance(input);
    if (this.world.phase !== 'over') this.rematch = false;
    this.#error = {
      x: shown.ball.x - this.world.ball.x,
      y: shown.ball.y - this.world.ball.y,
      can: shown.cans[0] - this.world.cans[0],
    };
    if (first || Math.hypot(this.#error.x, this.#error.y) > SNAP) this.#error = { x: 0, y: 0, can: 0 };
  }

  /** The world with corrections blended in: what the eye should see. */
  shown(): World {
    const world = cloneWorld(this.world);
    world.ball.x += this.#error.x;
    world.ball.y += this.#error.y;
    world.cans[0] += this.#error.can;
    return world;
  }

  #advance(input: InputMessage): void {
    this.world.targets[1] = input.target;
    step(this.world, false);
  }
}

/** The table seen from the other end: turned by half a circle, so that left and right hands stay what they are. */
export function turned(world: World): World {
  const { ball } = world;
  return {
    ...world,
    ball: { x: LENGTH - ball.x, y: 1 - ball.y, vx: -ball.vx, vy: -ball.vy },
    cans: [1 - world.cans[1], 1 - world.cans[0]],
    targets: [1 - world.targets[1], 1 - world.targets[0]],
    score: [world.score[1], world.score[0]],
    rematch: [world.rematch[1], world.rematch[0]],
    away: [world.away[1], world.away[0]],
    receiver: world.receiver === 0 ? 1 : 0,
  };
}
