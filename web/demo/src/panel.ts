//! The panel: a picture of the string, its figures, where the server stands, and a log of what happened.

import type { Lobby, Peer, Trace } from 'twocan';
import { announce, el, fill, setText, svg } from './dom.ts';
import { Picture } from './picture.ts';
import { lineOf } from './story.ts';

const LOG_LINES_MAX = 200;
const RTT_SAMPLES_MAX = 48;
const STATS_EVERY_MS = 1000;

export type ServerState = 'connecting' | 'connected' | 'reconnecting' | 'let-go' | 'lost';

const SERVER_WORDS: Record<ServerState, string> = {
  connecting: 'Calling the server …',
  connected: 'The server is with you',
  reconnecting: 'The server is out of reach; trying again …',
  'let-go': 'The server has forgotten you',
  lost: 'The server is gone',
};

export class Panel {
  readonly element: HTMLElement;
  readonly #picture = new Picture();
  readonly #caption = el('p', { class: 'caption', 'data-test': 'stage' });
  readonly #path = el('output', { class: 'figure-value', 'data-test': 'path' }, '–');
  readonly #pathDetail = el('span', { class: 'figure-detail' });
  readonly #rtt = el('output', { class: 'figure-value', 'data-test': 'rtt' }, '–');
  readonly #spark = svg('path', { class: 'spark' });
  readonly #time = el('output', { class: 'figure-value', 'data-test': 'connect-ms' }, '–');
  readonly #bytes = el('output', { class: 'figure-value small', 'data-test': 'bytes' }, '–');
  readonly #counts = el('span', { class: 'figure-detail' });
  readonly #server = el('p', { class: 'server-line', 'data-test': 'server-state' });
  readonly #log = el('ol', { class: 'log', 'data-test': 'log', tabindex: 0, 'aria-label': 'What happened, newest first' });
  readonly #lobby: Lobby;
  readonly #nameOf: (peer: string) => string;
  readonly #watch: { timer: number };
  #rtts: number[] = [];
  #tally = { found: 0, tried: new Set<string>(), good: new Set<string>(), bad: new Set<string>() };
  #shown: string | undefined;
  #left = false;

  constructor(lobby: Lobby, nameOf: (peer: string) => string) {
    this.#lobby = lobby;
    this.#nameOf = nameOf;
    this.element = el(
      'section',
      { class: 'panel card', 'aria-label': 'What happens on the string' },
      el('div', { class: 'picture-frame' }, this.#picture.element),
      this.#caption,
      el(
        'dl',
        { class: 'figures' },
        figure('Way', this.#path, this.#pathDetail),
        figure('Round trip', this.#rtt, svg('svg', { viewBox: '0 0 96 24', class: 'sparkline', 'aria-hidden': 'true', preserveAspectRatio: 'none' }, this.#spark)),
        figure('Tied in', this.#time, this.#counts),
        figure('Sent · received', this.#bytes),
      ),
      this.#server,
      el('h3', { class: 'log-title' }, 'What happened'),
      this.#log,
    );
    this.server('connected');
    this.caption('Nobody holds the other can yet.');
    this.#picture.names(this.#nameOf(lobby.me), undefined);
    this.#watch = { timer: window.setInterval(() => void this.#poll(), STATS_EVERY_MS) };
  }

  destroy(): void {
    clearInterval(this.#watch.timer);
  }

  caption(sentence: string): void {
    if (this.#caption.textContent === sentence) return;
    setText(this.#caption, sentence);
    announce(sentence);
  }

  server(state: ServerState): void {
    if (this.#left && state !== 'let-go') return;
    this.#left = state === 'let-go';
    this.#server.dataset['state'] = state;
    setText(this.#server, SERVER_WORDS[state]);
    this.#picture.server(state === 'let-go' ? 'gone' : state === 'lost' || state === 'reconnecting' ? 'lost' : 'there');
  }

  /** Whom the picture shows: the first who comes, or whoever is chosen. */
  show(peer: string | undefined): void {
    if (peer === this.#shown) return;
    this.#shown = peer;
    this.#rtts = [];
    this.#tally = { found: 0, tried: new Set(), good: new Set(), bad: new Set() };
    this.#picture.alone();
    this.#picture.names(this.#nameOf(this.#lobby.me), peer === undefined ? undefined : this.#nameOf(peer));
    for (const output of [this.#path, this.#rtt, this.#time, this.#bytes]) setText(output, '–');
    this.#spark.removeAttribute('d');
  }

  trace(event: Trace): void {
    if ('peer' in event && this.#shown === undefined) this.show(event.peer);
    const line = lineOf(event, 'peer' in event ? this.#nameOf(event.peer) : '');
    if (line) this.#write(event.at, line);
    if (!('peer' in event) || event.peer !== this.#shown) return;
    switch (event.type) {
      case 'candidate':
        this.#tally.found += 1;
        break;
      case 'pair':
        this.#count(event.id, event.state);
        this.#picture.pair(event.id, event.state, event.pair);
        break;
      case 'selected':
        this.#picture.selected(event.path);
        this.#way(event.path, event.pair.local.type, event.pair.remote.type);
        break;
      case 'open':
        setText(this.#time, `${Math.round(event.ms)} ms`);
        break;
      case 'rtt':
        this.#round(event.ms);
        break;
      case 'state':
        this.#picture.state(event.state);
        break;
      case 'fail':
        this.#picture.state('failed');
        break;
      default:
    }
    setText(this.#counts, `${this.#tally.found} found, ${this.#tally.tried.size} tried, ${this.#tally.bad.size} rejected`);
  }

  #count(id: string, state: string): void {
    const { tried, good, bad } = this.#tally;
    if (state !== 'waiting') tried.add(id);
    if (state === 'succeeded') good.add(id);
    if (state === 'failed') bad.add(id);
  }

  #way(path: 'direct' | 'relayed', local: string, remote: string): void {
    this.#path.dataset['path'] = path;
    setText(this.#path, path);
    setText(this.#pathDetail, path === 'direct' ? `nobody in between: ${local} ↔ ${remote}` : `a box in between: ${local} ↔ ${remote}`);
  }

  #round(ms: number): void {
    this.#rtts.push(ms);
    if (this.#rtts.length > RTT_SAMPLES_MAX) this.#rtts.shift();
    setText(this.#rtt, milliseconds(ms));
    const high = Math.max(...this.#rtts, 1) * 1.15;
    const step = 96 / (RTT_SAMPLES_MAX - 1);
    this.#spark.setAttribute('d', this.#rtts.map((value, at) => `${at === 0 ? 'M' : 'L'}${(at * step).toFixed(1)} ${(23 - (value / high) * 21).toFixed(1)}`).join(''));
  }

  async #poll(): Promise<void> {
    const peer: Peer | undefined = this.#shown === undefined ? undefined : this.#lobby.peers.get(this.#shown);
    if (!peer || document.hidden) return;
    try {
      const stats = await peer.stats();
      if (stats.path && stats.local && stats.remote) this.#way(stats.path, stats.local, stats.remote);
      setText(this.#bytes, `${bytes(stats.bytesSent)} · ${bytes(stats.bytesReceived)}`);
    } catch {
      // The link is being closed: its last figures stay.
    }
  }

  #write(at: number, line: { tone: string; text: string; detail?: string }): void {
    this.#log.prepend(
      el(
        'li',
        { class: `log-line ${line.tone}` },
        el('span', { class: 'log-time' }, `${(at / 1000).toFixed(2)} s`),
        el('span', { class: 'log-text' }, line.text, line.detail !== undefined && el('small', {}, line.detail)),
      ),
    );
    while (this.#log.childElementCount > LOG_LINES_MAX) this.#log.lastElementChild?.remove();
  }
}

function figure(name: string, value: Element, detail?: Element): HTMLElement {
  const dd = el('dd', {}, value);
  const group = el('div', { class: 'figure' }, el('dt', {}, name), dd);
  if (detail) fill(dd, value, detail);
  return group;
}

/** A round trip as people read it. */
export function milliseconds(ms: number): string {
  return ms < 1 ? '< 1 ms' : `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

function bytes(count: number): string {
  if (count < 1000) return `${count} B`;
  if (count < 1_000_000) return `${(count / 1000).toFixed(count < 10_000 ? 1 : 0)} kB`;
  return `${(count / 1_000_000).toFixed(1)} MB`;
}
