//! The panel: a picture of the string, its figures, where the server stands, and a log of what happened.

import type { Lobby, Path } from 'twocan';
import type { Trace } from 'twocan/trace';
import { announce, el, fill, setText, svg } from './dom.ts';
import { Picture, type ServerPicture } from './picture.ts';
import { type Line, lineOf } from './story.ts';

const LOG_LINES_MAX = 200;
const RTT_SAMPLES_MAX = 48;
const STATS_EVERY_MS = 1000;

/** `relays`: it has forgotten the lobby, and carries the packets. `forgotten`: it was restarted, or we were away for too long, and it knows this lobby no more. */
export type ServerState = 'connecting' | 'connected' | 'reconnecting' | 'let-go' | 'relays' | 'forgotten' | 'lost';

const SERVER_WORDS: Record<ServerState, string> = {
  connecting: 'Calling the server …',
  connected: 'The server is with you',
  reconnecting: 'The server is out of reach; trying again …',
  'let-go': 'The server has forgotten you',
  relays: 'The server has forgotten the lobby; its relay carries your string',
  forgotten: 'The server has lost this lobby',
  lost: 'The server is gone',
};

const SERVER_PICTURES: Record<ServerState, ServerPicture> = {
  connecting: 'there',
  connected: 'there',
  reconnecting: 'lost',
  'let-go': 'gone',
  relays: 'there',
  forgotten: 'gone',
  lost: 'lost',
};

/** What is known of one link. */
interface View {
  picture: Picture;
  found: number;
  tried: Set<string>;
  rejected: Set<string>;
  path: Path | undefined;
  ends: string;
  /** How long it goes that way, ms. */
  pathMs: number | undefined;
  openMs: number | undefined;
  rtts: number[];
  bytes: string;
}

export class Panel {
  readonly element: HTMLElement;
  /** The way and the round trip in a few words, for the button that opens the panel. */
  readonly status = el('span', { class: 'bar-status' }, 'The string');
  readonly #frame = el('div', { class: 'picture-frame' });
  readonly #caption = el('p', { class: 'caption', 'data-test': 'stage' });
  readonly #path = el('output', { class: 'figure-value', 'data-test': 'path' });
  readonly #ends = el('span', { class: 'figure-detail' });
  readonly #rtt = el('output', { class: 'figure-value', 'aria-live': 'off', 'data-test': 'rtt' });
  readonly #spark = svg('path', { class: 'spark' });
  readonly #time = el('output', { class: 'figure-value', 'aria-live': 'off', 'data-test': 'connect-ms' });
  readonly #bytes = el('output', { class: 'figure-value small', 'aria-live': 'off', 'data-test': 'bytes' });
  readonly #counts = el('span', { class: 'figure-detail' });
  readonly #server = el('p', { class: 'server-line', 'data-test': 'server-state' });
  readonly #log = el('ol', { class: 'log', 'data-test': 'log', tabindex: 0, 'aria-label': 'What happened, newest first' });
  readonly #lobby: Lobby;
  readonly #nameOf: (peer: string) => string;
  readonly #timer: number;
  /** By the other end's name; the empty one is nobody's. */
  readonly #views = new Map<string, View>();
  #shown = '';
  #state: ServerState = 'connected';

  constructor(lobby: Lobby, nameOf: (peer: string) => string) {
    this.#lobby = lobby;
    this.#nameOf = nameOf;
    this.element = el(
      'section',
      { class: 'panel card', 'aria-label': 'What happens on the string' },
      this.#frame,
      this.#caption,
      el(
        'dl',
        { class: 'figures' },
        figure('Way', this.#path, this.#ends),
        figure('Round trip', this.#rtt, svg('svg', { viewBox: '0 0 96 24', class: 'sparkline', 'aria-hidden': 'true', preserveAspectRatio: 'none' }, this.#spark)),
        figure('Tied in', this.#time, this.#counts),
        figure('Sent · received', this.#bytes),
      ),
      this.#server,
      el('h2', { class: 'log-title' }, 'What happened'),
      this.#log,
    );
    this.server('connected');
    this.caption('Nobody holds the other can yet.');
    this.show(undefined);
    this.#timer = window.setInterval(() => void this.#poll(), STATS_EVERY_MS);
  }

  destroy(): void {
    clearInterval(this.#timer);
  }

  caption(sentence: string): void {
    if (this.#caption.textContent === sentence) return;
    setText(this.#caption, sentence);
    announce(sentence);
  }

  server(state: ServerState): void {
    if (this.#state === 'relays' || (this.#state === 'let-go' && state !== 'relays')) return;
    this.#state = state;
    this.#server.dataset['state'] = state;
    setText(this.#server, SERVER_WORDS[state]);
    for (const view of this.#views.values()) view.picture.server(SERVER_PICTURES[state]);
  }

  /** Whose link the picture and the figures show. */
  show(peer: string | undefined): void {
    this.#shown = peer ?? '';
    const view = this.#view(this.#shown);
    if (this.#frame.firstChild !== view.picture.element) fill(this.#frame, view.picture.element);
    this.#render();
  }

  trace(event: Trace): void {
    const line = lineOf(event, 'peer' in event ? this.#nameOf(event.peer) : '');
    if (line) this.#write(event.at, line);
    if (!('peer' in event)) return;
    this.#note(this.#view(event.peer), event);
    if (this.#shown === '') this.show(event.peer);
    else if (this.#shown === event.peer) this.#render();
  }

  #view(peer: string): View {
    let view = this.#views.get(peer);
    if (!view) {
      const picture = new Picture();
      picture.server(SERVER_PICTURES[this.#state]);
      picture.names(this.#nameOf(this.#lobby.me), peer === '' ? undefined : this.#nameOf(peer));
      view = { picture, found: 0, tried: new Set(), rejected: new Set(), path: undefined, ends: '', pathMs: undefined, openMs: undefined, rtts: [], bytes: '–' };
      this.#views.set(peer, view);
    }
    return view;
  }

  #note(view: View, event: Extract<Trace, { peer: string }>): void {
    switch (event.type) {
      case 'candidate':
        view.found += 1;
        break;
      case 'pair':
        if (event.state !== 'waiting') view.tried.add(event.id);
        if (event.state === 'failed') view.rejected.add(event.id);
        view.picture.pair(event.id, event.state, event.pair);
        break;
      case 'selected':
        view.picture.selected(event.path);
        view.path = event.path;
        view.ends = `${event.pair.local.type} ↔ ${event.pair.remote.type}`;
        break;
      case 'open':
        view.openMs = event.ms;
        break;
      case 'rtt':
        if (view.rtts.length === 0) view.rtts.push(event.ms);
        break;
      case 'state':
        view.picture.state(event.state);
        // A string that is cut goes no way.
        if (event.state === 'closed' || event.state === 'failed') view.path = view.pathMs = undefined;
        break;
      case 'fail':
        view.picture.state('failed');
        break;
      default:
    }
  }

  #render(): void {
    const view = this.#view(this.#shown);
    const rtt = view.rtts.at(-1);
    if (view.path) this.#path.dataset['path'] = view.path;
    else delete this.#path.dataset['path'];
    setText(this.#path, view.path ?? '–');
    setText(this.#ends, view.path ? `${view.path === 'direct' ? 'nobody in between' : 'a box in between'}: ${view.ends}${view.pathMs === undefined ? '' : `, for ${duration(view.pathMs)}`}` : '');
    setText(this.#time, view.openMs === undefined ? '–' : `${Math.round(view.openMs)} ms`);
    setText(this.#rtt, rtt === undefined ? '–' : milliseconds(rtt));
    setText(this.#bytes, view.bytes);
    setText(this.#counts, view.found === 0 ? '' : `${view.found} found, ${view.tried.size} tried, ${view.rejected.size} rejected`);
    const high = Math.max(...view.rtts, 1) * 1.15;
    const step = 96 / (RTT_SAMPLES_MAX - 1);
    this.#spark.setAttribute('d', view.rtts.map((value, at) => `${at === 0 ? 'M' : 'L'}${(at * step).toFixed(1)} ${(23 - (value / high) * 21).toFixed(1)}`).join(''));
    setText(this.status, view.path === undefined && view.openMs !== undefined ? 'The string is cut' : view.path ? `${view.path}${rtt === undefined ? '' : ` · ${milliseconds(rtt)}`}` : 'The string');
  }

  async #poll(): Promise<void> {
    const peer = this.#lobby.peers.get(this.#shown);
    const view = this.#view(this.#shown);
    if (!peer || document.hidden) return;
    try {
      const stats = await peer.stats();
      if (stats.path && stats.local && stats.remote) {
        if (stats.path !== view.path) view.picture.selected(stats.path);
        view.path = stats.path;
        view.pathMs = stats.pathMs;
        view.ends = `${stats.local} ↔ ${stats.remote}${stats.relayProtocol ? ` (${stats.relayProtocol})` : ''}`;
      }
      if (stats.rttMs !== undefined && peer.state === 'open') {
        view.rtts.push(stats.rttMs);
        if (view.rtts.length > RTT_SAMPLES_MAX) view.rtts.shift();
      }
      view.bytes = `${bytes(stats.bytesSent)} · ${bytes(stats.bytesReceived)}`;
      this.#render();
    } catch {
      // The link is being closed: its last figures stay.
    }
  }

  #write(at: number, line: Line): void {
    // An outage tells the same again and again: once is enough.
    if (this.#log.firstElementChild?.getAttribute('data-text') === line.text && line.detail === undefined) return;
    this.#log.prepend(
      el(
        'li',
        { class: `log-line ${line.tone}`, 'data-text': line.text },
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
function milliseconds(ms: number): string {
  return ms < 1 ? '< 1 ms' : `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

/** A time as people read it. */
function duration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min`;
}

function bytes(count: number): string {
  if (count < 1000) return `${count} B`;
  if (count < 1_000_000) return `${(count / 1000).toFixed(count < 10_000 ? 1 : 0)} kB`;
  return `${(count / 1_000_000).toFixed(1)} MB`;
}
