//! The picture in the panel: two tins, the server's pole behind them, and a thread for each pair of addresses that is tried.

import type { Path, PeerState } from 'twocan';
import type { PairInfo } from 'twocan/trace';
import { bird, lyingTin, pole, relayBox } from './art.ts';
import { setText, svg } from './dom.ts';

export type ThreadState = 'waiting' | 'tried' | 'succeeded' | 'failed';
export type ServerPicture = 'there' | 'lost' | 'gone';

const LEFT = 104;
const RIGHT = 376;
const MIDDLE = 240;
const HEIGHT = 176;
const BOX = 256;
const THREADS_MAX = 18;
/** Distance between neighbouring threads at their middle. */
const SPREAD = 15;

interface Thread {
  path: SVGPathElement;
  bend: number;
  relayed: boolean;
}

export class Picture {
  readonly element: SVGSVGElement;
  readonly #threads = new Map<string, Thread>();
  readonly #bundle = svg('g', { class: 'threads' });
  readonly #main = svg('g', { class: 'main-string' });
  readonly #pole: SVGGElement;
  readonly #wires: SVGPathElement;
  readonly #box: SVGGElement;
  readonly #them: SVGGElement;
  readonly #bird = svg('g', { class: 'picture-bird' }, bird());
  readonly #myName = svg('text', { class: 'picture-name', x: 27, y: 234 });
  readonly #theirName = svg('text', { class: 'picture-name', x: 453, y: 234, 'text-anchor': 'end' });
  #path: Path | undefined;

  constructor() {
    this.#pole = svg('g', { transform: `translate(${MIDDLE} 292)` }, pole(232));
    this.#wires = svg('path', { class: 'wires', d: `M62 146C104 102 148 80 206 72M418 146C376 102 332 80 274 72` });
    this.#box = svg('g', { class: 'picture-box', transform: `translate(${MIDDLE} ${BOX})` }, relayBox());
    this.#them = svg('g', { class: 'picture-them' }, lyingTin('theirs', 454, HEIGHT, 1, true));
    this.element = svg(
      'svg',
      { viewBox: '0 40 480 266', class: 'picture', role: 'img', 'aria-label': 'Two tins and what is between them', 'data-server': 'there', 'data-link': 'none' },
      svg('path', { class: 'ground', d: 'M0 292C90 282 180 290 250 287S410 281 480 290V306H0Z' }),
      svg('g', { class: 'server-picture' }, this.#wires, this.#pole),
      this.#bundle,
      this.#main,
      this.#box,
      this.#bird,
      lyingTin('mine', 26, HEIGHT, 1),
      this.#them,
      this.#myName,
      this.#theirName,
    );
    this.alone();
  }

  names(mine: string, theirs: string | undefined): void {
    setText(this.#myName, mine);
    setText(this.#theirName, theirs ?? '');
    this.element.dataset['them'] = theirs === undefined ? 'no' : 'yes';
  }

  /** Nobody has picked up the other tin: the string lies on the ground. */
  alone(): void {
    this.#threads.clear();
    this.#bundle.replaceChildren();
    this.#path = undefined;
    this.element.dataset['link'] = 'none';
    this.element.dataset['relay'] = 'no';
    delete this.element.dataset['path'];
    this.#string(`M${LEFT} ${HEIGHT}C150 ${HEIGHT + 6} 138 286 190 284S236 268 262 282S300 292 316 280`, false);
  }

  server(state: ServerPicture): void {
    this.element.dataset['server'] = state;
  }

  /** A pair of addresses, and what became of it. */
  pair(id: string, state: ThreadState, pair: PairInfo): void {
    if (this.#threads.size === 0 && this.#path === undefined) this.#main.replaceChildren();
    const thread = this.#threads.get(id) ?? this.#thread(id, pair);
    if (!thread) return;
    thread.path.setAttribute('class', `thread ${state}${thread.relayed ? ' relayed' : ''}`);
    thread.path.setAttribute('d', shape(thread, state));
  }

  /** This pair carries the conversation. */
  selected(path: Path): void {
    this.#path = path;
    this.element.dataset['path'] = path;
    this.#bird.setAttribute('transform', path === 'direct' ? `translate(${MIDDLE + 34} ${HEIGHT - 3})` : `translate(${MIDDLE} ${BOX - 17})`);
    if (path === 'relayed') this.element.dataset['relay'] = 'yes';
    this.#string(
      path === 'direct'
        ? `M${LEFT} ${HEIGHT}H${RIGHT}`
        : `M${LEFT} ${HEIGHT}L${MIDDLE - 26} ${BOX - 6}H${MIDDLE + 26}L${RIGHT} ${HEIGHT}`,
      true,
    );
  }

  state(state: PeerState): void {
    this.element.dataset['link'] = state;
    if (state === 'open' && this.#path) this.selected(this.#path);
    if (state === 'mending') this.#string(`M${LEFT} ${HEIGHT}C170 ${HEIGHT + 70} 310 ${HEIGHT + 70} ${RIGHT} ${HEIGHT}`, false);
    if (state === 'failed' || state === 'closed') {
      this.#string(`M${LEFT} ${HEIGHT}C150 ${HEIGHT} 168 220 178 268M${RIGHT} ${HEIGHT}C330 ${HEIGHT} 312 220 302 268`, false);
    }
  }

  #thread(id: string, pair: PairInfo): Thread | undefined {
    if (this.#threads.size >= THREADS_MAX) return undefined;
    const relayed = pair.local.type === 'relay' || pair.remote.type === 'relay';
    const same = [...this.#threads.values()].filter((thread) => thread.relayed === relayed).length;
    const bend = (same % 2 === 0 ? 1 : -1) * Math.ceil(same / 2) * SPREAD;
    const path = svg('path', { class: 'thread waiting' });
    const thread = { path, bend, relayed };
    this.#threads.set(id, thread);
    this.#bundle.append(path);
    if (relayed) this.element.dataset['relay'] = 'yes';
    return thread;
  }

  #string(d: string, taut: boolean): void {
    const travel = (className: string, keyPoints: string): SVGCircleElement =>
      svg(
        'circle',
        { class: `pulse ${className}`, r: 5 },
        svg('animateMotion', { dur: '1.6s', repeatCount: 'indefinite', path: d, keyPoints, keyTimes: '0;1', calcMode: 'linear' }),
      );
    const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
    this.#main.replaceChildren(
      svg('path', { class: `twine${taut ? ' taut' : ''}`, d }),
      svg('path', { class: 'twine-lay', d }),
      ...(taut && !calm ? [travel('there', '0;1'), travel('back', '1;0')] : []),
    );
  }
}

/** Where a thread runs: slack, straight through its own height, or torn. */
function shape({ bend, relayed }: Thread, state: ThreadState): string {
  const sag = state === 'succeeded' ? 0 : state === 'tried' ? 10 : 26;
  const middle = HEIGHT + bend + sag;
  if (state === 'failed') {
    return `M${LEFT} ${HEIGHT}Q160 ${HEIGHT + bend} ${196 + bend / 3} ${middle + 34}M${RIGHT} ${HEIGHT}Q320 ${HEIGHT + bend} ${286 - bend / 3} ${middle + 30}`;
  }
  if (relayed) {
    const y = BOX - 4 + bend / 8;
    return `M${LEFT} ${HEIGHT}Q${170} ${HEIGHT + 30 + bend + sag} ${MIDDLE - 30} ${y}M${MIDDLE + 30} ${y}Q${310} ${HEIGHT + 30 + bend + sag} ${RIGHT} ${HEIGHT}`;
  }
  return `M${LEFT} ${HEIGHT}Q${MIDDLE} ${HEIGHT + 2 * (bend + sag)} ${RIGHT} ${HEIGHT}`;
}
