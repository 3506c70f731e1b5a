//! "Will it work from here?": opened by whoever wonders, it looks by itself and says what it saw.

import { announce, el, fill } from './dom.ts';
import type { TurnWay } from './options.ts';
import { type Seen, look, meaning } from './reach.ts';
import { record } from './record.ts';
import { wordsForError } from './words.ts';

/** How long the server may take to name its STUN and TURN servers. */
const NAMED_MS = 5000;
const WAY_WORDS: Record<TurnWay, string> = { udp: 'UDP', tcp: 'TCP', tls: 'TLS' };

type State = 'good' | 'bad' | 'neither';

export class Checkup {
  readonly element: HTMLDetailsElement;
  readonly #findings = el('dl', { class: 'findings', 'data-test': 'findings' });
  readonly #meaning = el('p', { class: 'meaning', 'data-test': 'meaning' });
  #busy = false;

  constructor() {
    this.element = el(
      'details',
      { class: 'card checkup', 'data-test': 'checkup', ontoggle: () => void this.#run() },
      el('summary', {}, 'Will it work from here?'),
      this.#findings,
      this.#meaning,
    );
  }

  async #run(): Promise<void> {
    if (!this.element.open || this.#busy) return;
    this.#busy = true;
    fill(this.#findings);
    this.#meaning.textContent = 'Looking …';
    try {
      const seat = await takeSeat();
      this.#show(await look(seat.servers).finally(seat.leave));
    } catch (error) {
      const { what, todo } = wordsForError(error);
      this.#meaning.textContent = `${what} ${todo}`;
    } finally {
      this.#busy = false;
    }
  }

  #show(seen: Seen): void {
    const mappings: Record<Seen['mapping'], [State, string]> = {
      independent: ['good', 'the same for everybody'],
      dependent: ['bad', 'another one for everybody you talk to'],
      unknown: ['neither', 'only two STUN servers could tell'],
    };
    const [mapped, mapping] = mappings[seen.mapping];
    fill(
      this.#findings,
      finding('device', seen.host ? 'good' : 'bad', 'This device', seen.host ? 'the browser offers an address of its own' : 'the browser offers no address of its own'),
      finding('udp', seen.udp ? 'good' : 'bad', 'UDP', seen.udp ? 'gets out, and an answer comes back' : 'no answer comes back'),
      finding('ipv6', seen.ipv6 ? 'good' : 'neither', 'IPv6', seen.ipv6 ? 'gets out, too' : 'not seen from outside'),
      finding('mapping', mapped, 'Outer port', mapping),
      ...seen.relays.map(({ way, answers }) => finding(`relay-${way}`, answers ? 'good' : 'bad', `Relay, ${WAY_WORDS[way]}`, answers ? 'gives us an address' : 'out of reach')),
    );
    this.#meaning.textContent = meaning(seen);
    announce(this.#meaning.textContent);
    record('page', 'checked', seen);
  }
}

function finding(test: string, state: State, name: string, what: string): HTMLElement {
  return el('div', { class: 'finding', 'data-test': `check-${test}`, 'data-state': state }, el('dt', {}, name), el('dd', {}, what));
}

/**
 * STUN and TURN servers, which the server names to members of lobbies: we open one that nobody sees, in a session of its own, since
 * the page's own has a list to watch and a lobby to enter. The credentials are good until we leave.
 */
function takeSeat(): Promise<{ servers: RTCIceServer[]; leave: () => void }> {
  const place = new URL('v1', location.href);
  place.protocol = place.protocol.replace('http', 'ws');
  place.hash = '';
  const socket = new WebSocket(place, 'twocan.v1');
  const leave = (): void => socket.close(1000);
  return new Promise((resolve, reject: (reason: { code: string }) => void) => {
    setTimeout(() => reject({ code: 'timeout' }), NAMED_MS);
    socket.onclose = () => reject({ code: 'unreachable' });
    socket.onopen = () => {
      socket.send('{"type":"hello","id":0,"app":"twocan-check"}');
      socket.send('{"type":"create","id":1,"size":2}');
    };
    socket.onmessage = ({ data }: MessageEvent<string>) => {
      const frame: unknown = JSON.parse(data);
      if (isError(frame)) reject(frame);
      if (isIce(frame)) resolve({ servers: frame.servers, leave });
    };
  });
}

const typeOf = (frame: unknown): unknown => (typeof frame === 'object' && frame !== null && 'type' in frame ? frame.type : undefined);
const isIce = (frame: unknown): frame is { servers: RTCIceServer[] } => typeOf(frame) === 'ice';
const isError = (frame: unknown): frame is { code: string } => typeOf(frame) === 'error';
