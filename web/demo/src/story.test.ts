//! The log's lines, and that every code has words of its own.

import { expect, it } from 'vitest';
import { lineOf } from './story.ts';
import { wordsForError, wordsForFailure } from './words.ts';

const host = { type: 'host' as const, protocol: 'udp', address: '192.0.2.7', port: 5000 };
const relay = { type: 'relay' as const, protocol: 'tcp', address: '2001:db8::1', port: 6000 };

it('says which pair was accepted', () => {
  const line = lineOf({ at: 5, type: 'pair', peer: 'X', id: '1', state: 'succeeded', pair: { local: host, remote: relay } }, 'Bob');
  expect(line).toEqual({ tone: 'good', text: 'Accepted: this way works', detail: 'host 192.0.2.7:5000 ↔ relay [2001:db8::1]:6000 tcp' });
});

it('shortens names that hide an address, and leaves out what the picture shows', () => {
  const hidden = { ...host, address: 'f3a19c02-aaaa-bbbb.local' };
  expect(lineOf({ at: 0, type: 'candidate', peer: 'X', side: 'remote', candidate: hidden }, 'Bob')?.detail).toBe('host f3a19c….local');
  expect(lineOf({ at: 0, type: 'rtt', peer: 'X', ms: 5 }, 'Bob')).toBeUndefined();
});

it('tells a socket closed after completion from one that broke', () => {
  expect(lineOf({ at: 0, type: 'server', state: 'closed', code: 1000 }, '')?.tone).toBe('server');
  expect(lineOf({ at: 0, type: 'server', state: 'closed', code: 1006 }, '')?.tone).toBe('bad');
});

it('has words for codes, a wait where the server names one, and something to say about the unknown', () => {
  expect(wordsForError({ code: 'full' }).what).toBe('All seats are taken.');
  expect(wordsForError({ code: 'rate-limited', retry: 12.2 }).todo).toBe('Wait 13 s and try again.');
  expect(wordsForError(new Error('odd')).why).toBe('odd');
  expect(wordsForFailure('checks-failed').code).toBe('checks-failed');
});
