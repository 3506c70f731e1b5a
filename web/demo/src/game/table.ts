//! The table on the page: canvas, keys, pointer and the sixty ticks a second that carry a match, for whichever role this page has.

import { announce, el, fill } from '../dom.ts';
import type { Sound } from '../sound.ts';
import { decodeInput, decodeState, encodeInput, encodeState } from './codec.ts';
import { Drawing, type Palette } from './draw.ts';
import { Guest, Owner, turned } from './match.ts';
import { TICK_HZ, TICK_S, WINNING_SCORE, type World, clamp, clampCan, cloneWorld, newWorld, setAway } from './physics.ts';

export type Role = 'owner' | 'guest' | 'watch';

export interface TableHooks {
  /** Sends to the other player (and, from the owner, to whoever watches). */
  send(bytes: Uint8Array): void;
  /** Own points first. */
  score(mine: number, theirs: number): void;
  /** How the other player is called. */
  theirName(): string;
}

/** How fast a held key moves the can, in widths of the table a second. */
const KEY_SPEED = 1.9;
/** After so much silence the match waits. */
const SILENCE_MS = 1500;
const TICKS_AT_ONCE_MAX = 6;
const KEYS: Record<string, -1 | 1> = { ArrowUp: -1, ArrowLeft: -1, KeyW: -1, KeyA: -1, ArrowDown: 1, ArrowRight: 1, KeyS: 1, KeyD: 1 };

export class Table {
  readonly element: HTMLElement;
  readonly counters = { sent: 0, received: 0 };
  readonly #canvas: HTMLCanvasElement;
  readonly #note: HTMLElement;
  readonly #drawing: Drawing;
  readonly #sound: Sound;
  readonly #hooks: TableHooks;
  readonly #stop = new AbortController();
  #palette: Palette;
  #role: Role | undefined;
  #owner: Owner | undefined;
  #guest: Guest | undefined;
  #held = new Set<string>();
  #aim = 0.5;
  #last = performance.now();
  #behind = 0;
  #frameAt = performance.now();
  #heardAt = 0;
  #timer: number;
  #frame = 0;
  #seen = { hits: 0, twangs: 0, mine: 0, theirs: 0, count: 0, rally: 0 };
  #noteKey = '';

  constructor(sound: Sound, hooks: TableHooks) {
    this.#sound = sound;
    this.#hooks = hooks;
    this.#canvas = el('canvas', {
      class: 'table',
      tabindex: 0,
      role: 'img',
      'data-test': 'game',
      'aria-label': 'The table. Move your can with the arrow keys, W and S, the mouse or a finger.',
    });
    this.#note = el('div', { class: 'table-note', hidden: true });
    this.element = el('div', { class: 'table-frame' }, this.#canvas, this.#note);
    this.#drawing = new Drawing(this.#canvas);
    this.#palette = readPalette();
    this.#listen();
    this.#timer = window.setInterval(() => this.#advance(), 1000 / TICK_HZ);
    this.#frame = requestAnimationFrame(this.#draw);
  }

  /** A match begins, in this role; what was before is forgotten. */
  begin(role: Role): void {
    this.#role = role;
    this.#owner = role === 'owner' ? new Owner() : undefined;
    this.#guest = role === 'owner' ? undefined : new Guest();
    this.#seen = { hits: 0, twangs: 0, mine: 0, theirs: 0, count: 0, rally: 0 };
    this.#heardAt = performance.now();
    this.#away(document.hidden);
    this.#hooks.score(0, 0);
    this.#canvas.focus({ preventScroll: true });
  }

  /** No match any more: the table stands still. */
  end(): void {
    this.#role = undefined;
    this.#owner = undefined;
    this.#guest = undefined;
    this.#say('');
  }

  get role(): Role | undefined {
    return this.#role;
  }

  /** Bytes from the channel `unreliable`. */
  receive(bytes: Uint8Array): void {
    if (this.#owner) {
      const input = decodeInput(bytes);
      if (!input) return;
      this.#owner.receive(input);
    } else if (this.#guest) {
      const state = decodeState(bytes);
      if (!state) return;
      this.#guest.receive(state);
    } else return;
    this.counters.received += 1;
    this.#heardAt = performance.now();
  }

  /** The world with the own side first, as it is drawn. */
  view(): World {
    if (this.#owner) return cloneWorld(this.#owner.world);
    if (!this.#guest) return { ...newWorld(), timer: 0 };
    return this.#role === 'guest' ? turned(this.#guest.shown()) : this.#guest.shown();
  }

  destroy(): void {
    this.#stop.abort();
    clearInterval(this.#timer);
    cancelAnimationFrame(this.#frame);
  }

  #advance(): void {
    const now = performance.now();
    this.#behind = Math.min(this.#behind + (now - this.#last) / 1000, TICKS_AT_ONCE_MAX * TICK_S);
    this.#last = now;
    while (this.#behind >= TICK_S) {
      this.#behind -= TICK_S;
      this.#tick(now);
    }
  }

  #tick(now: number): void {
    let turn = 0;
    for (const code of this.#held) turn += KEYS[code] ?? 0;
    this.#aim = clampCan(this.#aim + clamp(turn, -1, 1) * KEY_SPEED * TICK_S);
    const owner = this.#owner;
    const guest = this.#guest;
    if (owner) {
      if (now - this.#heardAt > SILENCE_MS) setAway(owner.world, 1, true);
      owner.tick(this.#aim);
      this.#send(encodeState(owner.state()));
    } else if (guest && this.#role === 'guest') {
      this.#send(encodeInput(guest.tick(1 - this.#aim)));
    } else guest?.follow();
  }

  #send(bytes: Uint8Array): void {
    this.counters.sent += 1;
    this.#hooks.send(bytes);
  }

  readonly #draw = (now: number): void => {
    this.#frame = requestAnimationFrame(this.#draw);
    this.#advance();
    const world = this.view();
    if (world.phase === 'play' && world.hold === 0 && !world.away[0] && !world.away[1]) {
      world.ball.x += world.ball.vx * this.#behind;
      world.ball.y += world.ball.vy * this.#behind;
    }
    this.#notice(world);
    this.#drawing.frame(world, this.#palette, Math.min((now - this.#frameAt) / 1000, 0.1));
    this.#frameAt = now;
  };

  /** Turns what changed since the last frame into sound, sparks and words. */
  #notice(world: World): void {
    if (!this.#role) return;
    const seen = this.#seen;
    if (newer(world.hits, seen.hits)) {
      seen.hits = world.hits;
      seen.rally += 1;
      this.#drawing.hit(world);
      this.#sound.tin(Math.hypot(world.ball.vx, world.ball.vy));
    }
    if (newer(world.twangs, seen.twangs)) {
      seen.twangs = world.twangs;
      this.#drawing.twang(world);
      this.#sound.pluck(seen.rally);
    }
    const count = world.phase === 'countdown' ? Math.ceil(world.timer / 60) : 0;
    if (count !== seen.count) this.#sound.tick(count === 0);
    seen.count = count;
    const [mine, theirs] = world.score;
    if (mine !== seen.mine || theirs !== seen.theirs) {
      if (mine + theirs > 0) {
        const mineWon = mine > seen.mine;
        this.#drawing.point(mineWon, this.#palette);
        this.#sound.point(mineWon);
        announce(`${mine} to ${theirs}`);
      }
      seen.mine = mine;
      seen.theirs = theirs;
      seen.rally = 0;
      this.#hooks.score(mine, theirs);
    }
    this.#explain(world);
  }

  #explain(world: World): void {
    const them = this.#hooks.theirName();
    const silent = performance.now() - this.#heardAt > SILENCE_MS;
    if (world.phase === 'over') this.#over(world, them);
    else if (silent) this.#say('quiet', `No word from ${them}`, 'The match waits until the string is tight again.');
    else if (world.away[1]) this.#say('away', `${them} looks elsewhere`, 'Their page is in the background. The match goes on when they are back.');
    else this.#say('');
  }

  #over(world: World, them: string): void {
    const watching = this.#role === 'watch';
    const won = world.score[0] >= WINNING_SCORE;
    const asked = world.rematch[0];
    const key = `over ${won} ${asked} ${world.rematch[1]}`;
    if (key === this.#noteKey) return;
    const again = el('button', { class: 'button primary', 'data-test': 'rematch', onclick: () => this.#again(), disabled: asked }, asked ? `Waiting for ${them} …` : 'Play again');
    this.#say(
      key,
      watching ? 'That was the match' : won ? 'You won!' : `${them} won`,
      world.rematch[1] && !asked ? `${them} wants to play again.` : won ? `${world.score[0]} to ${world.score[1]}. Well strung.` : `${world.score[0]} to ${world.score[1]}. Once more?`,
      watching ? undefined : again,
    );
  }

  #again(): void {
    if (this.#owner) this.#owner.world.rematch[0] = true;
    if (this.#guest) this.#guest.rematch = true;
  }

  #say(key: string, title = '', sentence = '', button?: HTMLElement): void {
    if (key === this.#noteKey) return;
    this.#noteKey = key;
    this.#note.hidden = key === '';
    fill(this.#note, title !== '' && el('strong', {}, title), sentence !== '' && el('p', {}, sentence), button);
    if (title !== '') announce(`${title}. ${sentence}`);
    if (button && (document.activeElement === this.#canvas || document.activeElement === document.body)) button.focus({ preventScroll: true });
    if (key === '' && this.#role) this.#canvas.focus({ preventScroll: true });
  }

  #away(hidden: boolean): void {
    this.#held.clear();
    if (this.#owner) setAway(this.#owner.world, 0, hidden);
    if (this.#guest) this.#guest.away = hidden;
    if (hidden && this.#role) this.#tick(performance.now());
  }

  #listen(): void {
    const signal = this.#stop.signal;
    const aim = (event: PointerEvent): void => {
      const box = this.#canvas.getBoundingClientRect();
      this.#aim = clampCan(this.#drawing.across(event.clientX - box.left, event.clientY - box.top));
    };
    this.#canvas.addEventListener('pointerdown', (event) => {
      this.#canvas.setPointerCapture(event.pointerId);
      this.#sound.wake();
      aim(event);
    }, { signal });
    this.#canvas.addEventListener('pointermove', aim, { signal });
    window.addEventListener('keydown', (event) => {
      if (!(event.code in KEYS) || typing(event.target) || event.ctrlKey || event.metaKey || event.altKey || !this.#role) return;
      event.preventDefault();
      this.#held.add(event.code);
    }, { signal });
    window.addEventListener('keyup', (event) => this.#held.delete(event.code), { signal });
    window.addEventListener('blur', () => this.#held.clear(), { signal });
    document.addEventListener('visibilitychange', () => this.#away(document.hidden), { signal });
    const dark = matchMedia('(prefers-color-scheme: dark)');
    dark.addEventListener('change', () => (this.#palette = readPalette()), { signal });
    const calm = matchMedia('(prefers-reduced-motion: reduce)');
    this.#drawing.calm = calm.matches;
    calm.addEventListener('change', () => (this.#drawing.calm = calm.matches), { signal });
  }
}

const newer = (now: number, then: number): boolean => now !== then && ((now - then) & 0xff) < 0x80;

/** Whether a key is meant for a text field or a button rather than for the game. */
function typing(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest('input, textarea, select, [contenteditable]') !== null;
}

function readPalette(): Palette {
  const style = getComputedStyle(document.documentElement);
  const color = (name: string): string => style.getPropertyValue(`--${name}`).trim() || '#888888';
  return {
    table: color('table'),
    stitch: color('stitch'),
    ink: color('ink'),
    string: color('string'),
    button: color('button'),
    buttonDark: color('button-dark'),
    mine: color('mine'),
    theirs: color('theirs'),
    tin: color('tin'),
    tinLight: color('tin-light'),
    tinDark: color('tin-dark'),
    paper: color('label-paper'),
    wood: color('wood'),
  };
}
