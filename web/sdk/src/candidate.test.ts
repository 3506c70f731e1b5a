// Candidate lines as browsers write them.

import { expect, test } from 'vitest'
import { readCandidate } from './candidate.js'

test('a candidate line is read', () => {
  const line = 'candidate:842163049 1 UDP 1677729535 203.0.113.9 46154 typ srflx raddr 0.0.0.0 rport 0 generation 0'
  expect(readCandidate(line)).toEqual({ type: 'srflx', protocol: 'udp', address: '203.0.113.9', port: 46154 })
})

test('an mDNS name is an address', () => {
  expect(readCandidate('candidate:1 1 udp 2122260223 170b412f.local 44686 typ host')?.address).toBe('170b412f.local')
})

test('the end of candidates is none', () => {
  expect(readCandidate('')).toBeUndefined()
})
