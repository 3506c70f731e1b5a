// From what was seen of a link to the word for it.

import { expect, test } from 'vitest'
import { sentence, verdict, type Evidence } from './verdict.js'

const plain: Evidence = {
  _left: false,
  _incompatible: false,
  _ice: false,
  _online: true,
  _local: new Set(['host']),
  _remote: 1,
  _turnError: 0,
  _relayOnly: false,
  _gaveUp: false,
}

test.each<[string, Partial<Evidence>, ReturnType<typeof verdict>]>([
  ['nothing in particular', {}, 'timeout'],
  ['ICE gave up', { _gaveUp: true }, 'checks-failed'],
  ['nothing gathered', { _local: new Set() }, 'no-candidates'],
  ['nothing received', { _remote: 0 }, 'no-remote-candidates'],
  ['nothing received, and the relay refused', { _remote: 0, _turnError: 401 }, 'no-remote-candidates'],
  ['the relay refused', { _turnError: 401, _gaveUp: true }, 'turn-rejected'],
  ['the relay was silent', { _turnError: 701, _gaveUp: true }, 'turn-unreachable'],
  ['one relay of two was silent', { _turnError: 701, _local: new Set(['host', 'relay']), _gaveUp: true }, 'checks-failed'],
  ['relay only, and refused', { _local: new Set(), _remote: 0, _relayOnly: true, _turnError: 401 }, 'turn-rejected'],
  ['a pair was found', { _ice: true }, 'dtls-failed'],
  ['the server was away', { _online: false, _remote: 0 }, 'signaling-lost'],
  ['a description did not fit', { _incompatible: true }, 'incompatible'],
  ['the other side left', { _left: true, _incompatible: true }, 'peer-left'],
])('%s', (_, seen, reason) => {
  expect(verdict({ ...plain, ...seen })).toBe(reason)
  expect(sentence(reason)).toMatch(/^[A-Z].*\.$/)
})
