//! What a browser's addresses are taken to mean.

import { describe, expect, it } from 'vitest';
import { type Gathered, judge, meaning } from './reach.ts';

const STUN = ['stun:a.example:3478', 'stun:b.example:3478'];
const host = { type: 'host' as const, address: 'f3a19c02.local', port: 5000 };
const outer = (port: number, address = '198.51.100.7') => ({ type: 'srflx' as const, address, port });
const NONE: Gathered = { candidates: [], errors: [], complete: true };
const gathered = (candidates: Gathered['candidates'], rest: Partial<Gathered> = {}): Gathered => ({ candidates, errors: [], complete: true, ...rest });

describe('UDP', () => {
  it('gets out where a STUN server tells an address', () => {
    expect(judge(gathered([host, outer(5000)], { complete: false }), NONE, STUN).udp).toBe(true);
  });
  it('gets out where every server answered and nothing is translated', () => {
    expect(judge(gathered([host]), NONE, STUN).udp).toBe(true);
  });
  it('is blocked where no server answers, or none has in time', () => {
    expect(judge(gathered([host], { errors: STUN }), NONE, STUN).udp).toBe(false);
    expect(judge(gathered([host], { complete: false }), NONE, STUN).udp).toBe(false);
  });
  it('is unknown, so not promised, where there is no STUN server', () => {
    expect(judge(gathered([host]), NONE, []).udp).toBe(false);
  });
});

describe('the outer port', () => {
  it('is the same for everybody where two servers see one', () => {
    expect(judge(gathered([host, outer(5000)]), NONE, STUN).mapping).toBe('independent');
  });
  it('is another one for everybody where two servers see two', () => {
    expect(judge(gathered([host, outer(5000), outer(61234)]), NONE, STUN).mapping).toBe('dependent');
  });
  it('cannot be told by one server, or where the other did not answer', () => {
    expect(judge(gathered([host, outer(5000)]), NONE, STUN.slice(1)).mapping).toBe('unknown');
    expect(judge(gathered([host, outer(5000)], { errors: STUN.slice(1) }), NONE, STUN).mapping).toBe('unknown');
  });
  it('cannot be told with the help of a server of IPv6', () => {
    expect(judge(gathered([host, outer(5000)]), NONE, ['stun:198.51.100.1:3478', 'stun:[2001:db8::1]:3478']).mapping).toBe('unknown');
  });
  it('of another family is no other port', () => {
    const seen = judge(gathered([host, outer(5000), outer(5001, '2001:db8::7')]), NONE, STUN);
    expect(seen).toMatchObject({ mapping: 'independent', ipv6: true });
  });
});

it('says what to expect, and whether a relay is there for the rest', () => {
  const relays = [{ way: 'tcp' as const, answers: true }];
  expect(meaning({ udp: true, mapping: 'independent', relays })).toMatch(/^Most people will reach you directly; the relay/);
  expect(meaning({ udp: true, mapping: 'dependent', relays: [] })).toMatch(/few will reach you directly; and there is no relay/);
  expect(meaning({ udp: false, mapping: 'unknown', relays })).toMatch(/through the relay/);
  expect(meaning({ udp: false, mapping: 'unknown', relays: [] })).toMatch(/Try another one/);
});
