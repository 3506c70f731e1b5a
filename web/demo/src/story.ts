//! What a trace event says to a person: one line of the panel's log.

import type { CandidateInfo, PairInfo, Trace } from 'twocan/trace';
import { kindOf, wordsForFailure } from './words.ts';

export type Tone = 'plain' | 'found' | 'tried' | 'good' | 'bad' | 'server';

export interface Line {
  tone: Tone;
  text: string;
  detail?: string;
}

function address({ address: host, port, protocol }: CandidateInfo): string {
  const over = protocol === 'udp' ? '' : ` ${protocol}`;
  if (host === '') return `(hidden)${over}`;
  if (host.endsWith('.local')) return `${host.slice(0, 6)}….local${over}`;
  return `${host.includes(':') ? `[${host}]` : host}${port ? `:${port}` : ''}${over}`;
}

const pairOf = (pair: PairInfo): string => `${pair.local.type} ${address(pair.local)} ↔ ${pair.remote.type} ${address(pair.remote)}`;

/** `theirs` is the other one's name. Undefined for events that the log leaves out (round trips have a line of their own). */
export function lineOf(event: Trace, theirs: string): Line | undefined {
  switch (event.type) {
    case 'link':
      return { tone: 'server', text: `The server introduces ${theirs}`, detail: event.role === 'offer' ? 'we make the offer' : 'they make the offer' };
    case 'description':
      return { tone: 'plain', text: event.side === 'local' ? `We sent our ${event.kind}` : `${theirs} sent an ${event.kind}` };
    case 'candidate':
      return {
        tone: 'found',
        text: event.side === 'local' ? `Found an address: ${kindOf(event.candidate.type)}` : `${theirs} has an address: ${kindOf(event.candidate.type)}`,
        detail: `${event.candidate.type} ${address(event.candidate)}`,
      };
    case 'candidate-error':
      return { tone: 'bad', text: `A server did not help: ${event.message || `error ${event.code}`}`, detail: event.url };
    case 'gathered':
      return { tone: 'plain', text: event.side === 'local' ? 'All our addresses are found' : `All of ${theirs}’s addresses are here` };
    case 'pair':
      if (event.state === 'waiting') return undefined;
      return {
        tone: event.state === 'succeeded' ? 'good' : event.state === 'failed' ? 'bad' : 'tried',
        text: event.state === 'succeeded' ? 'Accepted: this way works' : event.state === 'failed' ? 'Rejected: no way through here' : 'Trying a way',
        detail: pairOf(event.pair),
      };
    case 'selected':
      return { tone: 'good', text: event.path === 'direct' ? 'Chosen: a direct way' : 'Chosen: a way through the relay', detail: pairOf(event.pair) };
    case 'open':
      return { tone: 'good', text: `The string to ${theirs} is tight`, detail: `after ${Math.round(event.ms)} ms` };
    case 'rtt':
      return undefined;
    case 'state':
      if (event.state === 'mending') return { tone: 'bad', text: 'The string went slack; tying it again' };
      if (event.state === 'closed') return { tone: 'bad', text: `The string to ${theirs} was let go` };
      return undefined;
    case 'restart':
      return { tone: 'tried', text: 'New addresses are sought', detail: event.via === 'link' ? 'over the string itself' : 'over the server' };
    case 'fail':
      return { tone: 'bad', text: wordsForFailure(event.reason).what, detail: event.reason };
    case 'server':
      return serverLine(event.state, event.code);
  }
}

function serverLine(state: string, code: number | undefined): Line {
  switch (state) {
    case 'sealed':
      return { tone: 'server', text: 'The lobby is closed; the server counts the strings' };
    case 'unsealed':
      return { tone: 'bad', text: 'Some string is missing; the lobby is open again' };
    case 'complete':
      return { tone: 'server', text: 'The server lets go', detail: 'all strings are tight' };
    case 'reconnecting':
      return { tone: 'bad', text: 'The server is out of reach; trying again' };
    case 'resumed':
      return { tone: 'server', text: 'The server is back' };
    case 'returning':
      return { tone: 'server', text: 'Asking the server to tie us together again' };
    default:
      return code === 1000
        ? { tone: 'server', text: 'The socket is closed; the server has forgotten us', detail: 'code 1000' }
        : { tone: 'bad', text: 'The socket to the server is closed', ...(code === undefined ? {} : { detail: `code ${code}` }) };
  }
}
