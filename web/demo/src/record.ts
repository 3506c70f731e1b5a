//! Everything that the network told this page, in order: `window.twocan.events`, for tests and for the curious.

import type { Lobby, Net } from 'twocan';
import { trace } from 'twocan/trace';
import type { Table } from './game/table.ts';

export interface RecordedEvent {
  /** Milliseconds since the page was opened. */
  at: number;
  from: 'net' | 'lobby' | 'page';
  type: string;
  detail: unknown[];
}

export interface Exposed {
  net: Net | undefined;
  lobby: Lobby | undefined;
  game: Table | undefined;
  events: RecordedEvent[];
}

declare global {
  interface Window {
    twocan: Exposed;
  }
}

const EVENTS_MAX = 5000;

export const exposed: Exposed = { net: undefined, lobby: undefined, game: undefined, events: [] };

export function record(from: RecordedEvent['from'], type: string, ...detail: unknown[]): void {
  exposed.events.push({ at: Math.round(performance.now()), from, type, detail });
  if (exposed.events.length > EVENTS_MAX) exposed.events.shift();
}

/** Records what a net says of itself. */
export function recordNet(net: Net): void {
  exposed.net = net;
  net.on('reconnecting', (...detail) => record('net', 'reconnecting', ...detail));
  net.on('resumed', (...detail) => record('net', 'resumed', ...detail));
  net.on('closed', (...detail) => record('net', 'closed', ...detail));
}

/** Records what a lobby says of itself; peers by their names alone. */
export function recordLobby(lobby: Lobby): void {
  exposed.lobby = lobby;
  lobby.on('peer', (peer) => record('lobby', 'peer', peer.id));
  lobby.on('fail', (failure) => record('lobby', 'fail', failure));
  lobby.on('arrive', (member) => record('lobby', 'arrive', member.peer));
  lobby.on('leave', (member, why) => record('lobby', 'leave', member.peer, why));
  lobby.on('owner', (peer) => record('lobby', 'owner', peer));
  lobby.on('removed', (why) => record('lobby', 'removed', why));
  lobby.on('sealed', (within) => record('lobby', 'sealed', within));
  lobby.on('unsealed', (missing) => record('lobby', 'unsealed', missing));
  lobby.on('complete', () => record('lobby', 'complete'));
  trace(lobby, (event) => {
    if (event.type !== 'rtt') record('lobby', 'trace', event);
  });
}
