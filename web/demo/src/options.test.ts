//! Query parameters, and the filter of TURN servers.

import { expect, it } from 'vitest';
import { onlyWay, readOptions, wayOf } from './options.ts';

it('reads what tests ask for, and nothing else', () => {
  expect(readOptions('?ice=relay&turn=tls')).toEqual({ relayOnly: true, turn: 'tls' });
  expect(readOptions('?ice=all&turn=smoke')).toEqual({ relayOnly: false, turn: undefined });
});

it('knows how a TURN URL is reached', () => {
  expect(wayOf('turn:192.0.2.1:3478')).toBe('udp');
  expect(wayOf('turn:192.0.2.1:3478?transport=udp')).toBe('udp');
  expect(wayOf('turn:192.0.2.1:3478?transport=tcp')).toBe('tcp');
  expect(wayOf('turns:play.example:5349?transport=tcp')).toBe('tls');
  expect(wayOf('stun:192.0.2.1:3478')).toBeUndefined();
});

it('keeps one way, with its credentials', () => {
  const servers = [
    { urls: ['stun:192.0.2.1:3478'] },
    { urls: ['turn:192.0.2.1:3478?transport=udp', 'turn:192.0.2.1:3478?transport=tcp'], username: 'u', credential: 'c' },
    { urls: 'turns:192.0.2.1:5349', username: 'u', credential: 'c' },
  ];
  expect(onlyWay(servers, 'tcp')).toEqual([{ urls: ['turn:192.0.2.1:3478?transport=tcp'], username: 'u', credential: 'c' }]);
  expect(onlyWay(servers, 'tls')).toEqual([{ urls: ['turns:192.0.2.1:5349'], username: 'u', credential: 'c' }]);
});
