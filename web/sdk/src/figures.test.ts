// Statistics as Chromium and Firefox give them.

import { expect, test } from 'vitest'
import { readReport } from './figures.js'

const candidates = [
  { id: 'L', type: 'local-candidate', candidateType: 'relay', protocol: 'udp', relayProtocol: 'tls', address: '10.0.0.1', port: 5 },
  { id: 'R', type: 'remote-candidate', candidateType: 'srflx', protocol: 'udp', address: '203.0.113.9', port: 6 },
  { id: 'H', type: 'local-candidate', candidateType: 'host', protocol: 'udp', port: 7 },
]
const pair = { type: 'candidate-pair', remoteCandidateId: 'R' }

test('Chromium: the transport names the selected pair', () => {
  const figures = readReport([
    ...candidates,
    { ...pair, id: 'P1', localCandidateId: 'L', state: 'succeeded', nominated: true, currentRoundTripTime: 0.0213 },
    { ...pair, id: 'P2', localCandidateId: 'H', state: 'in-progress' },
    { id: 'T', type: 'transport', selectedCandidatePairId: 'P1' },
    { id: 'D', type: 'data-channel', bytesSent: 10, bytesReceived: 2 },
    { id: 'E', type: 'data-channel', bytesSent: 5, bytesReceived: 1 },
  ])
  expect(figures._stats).toEqual({
    path: 'relayed', local: 'relay', remote: 'srflx', protocol: 'udp', relayProtocol: 'tls', rttMs: 21.3, bytesSent: 15, bytesReceived: 3,
  })
  expect(figures._pairs.map((each) => each._state)).toEqual(['succeeded', 'in-progress'])
})

test('Firefox: the pair says itself that it is selected', () => {
  const figures = readReport([
    ...candidates,
    { ...pair, id: 'P1', localCandidateId: 'L', state: 'succeeded', nominated: true, selected: false },
    { ...pair, id: 'P2', localCandidateId: 'H', state: 'succeeded', nominated: true, selected: true },
  ])
  expect(figures._stats.path).toBe('direct')
  expect(figures._stats.rttMs).toBeUndefined()
})

test('before a pair is selected there is no path', () => {
  expect(readReport(candidates)._stats).toEqual({ bytesSent: 0, bytesReceived: 0 })
})
