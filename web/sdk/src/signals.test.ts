// Signals of a peer that means no good.

import { expect, test } from 'vitest'
import { CANDIDATE_LENGTH_MAX, CANDIDATES_MAX, DESCRIPTIONS_MAX, DESCRIPTIONS_MS, Gate, RESTART_COST, SDP_LENGTH_MAX } from './signals.js'
import { World } from './testing/world.js'
import type { SignalKind } from './wire.js'

function make() {
  const world = new World()
  const gate = new Gate((ms, then) => world._after(ms, then))
  const admits = (kind: SignalKind, data: unknown): boolean => gate._admits(kind, data)
  return { world, gate, admits, takes: (data: object) => [admits('description', data), gate._taken((data as { sdp: string }).sdp)][0] }
}

/** A description of this generation, with so many candidates in it. */
function offer(ufrag = 'one', candidates = 0): object {
  const lines = Array.from({ length: candidates }, (_, index) => `a=candidate:${index} 1 udp 1 192.0.2.1 9 typ host`)
  return { type: 'offer', sdp: ['v=0', 'o=- 9 1 IN IP4 0.0.0.0', `a=ice-ufrag:${ufrag}`, ...lines, ''].join('\r\n') }
}

const CANDIDATE = { candidate: 'candidate:1 1 udp 1 192.0.2.1 9 typ host' }

test.each<[string, SignalKind, unknown]>([
  ['a description that is nothing', 'description', null],
  ['a description without text', 'description', { type: 'offer' }],
  ['a description whose text is a list', 'description', { type: 'offer', sdp: ['v=0'] }],
  ['a rollback of our offer', 'description', { type: 'rollback', sdp: '' }],
  ['a type that is a list', 'description', { type: ['offer'], sdp: 'v=0' }],
  ['a description of more than 32 KiB', 'description', { type: 'offer', sdp: 'x'.repeat(SDP_LENGTH_MAX + 1) }],
  ['a description with a section for sound', 'description', { type: 'offer', sdp: 'v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n' }],
  ['a description with sections behind the one for data', 'description', { type: 'offer', sdp: 'v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nm=audio 0 UDP/TLS/RTP/SAVPF 0\r\n' }],
  ['a description with two sections for data', 'description', { type: 'offer', sdp: 'v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n' }],
  ['a description with too many candidates', 'description', offer('one', CANDIDATES_MAX + 1)],
  ['a candidate that is nothing', 'candidate', null],
  ['a candidate that is a number', 'candidate', 7],
  ['a candidate that is a list', 'candidate', []],
  ['a candidate whose text is a number', 'candidate', { candidate: 7 }],
  ['a candidate whose text is an object', 'candidate', { candidate: { length: 1 } }],
  ['a candidate of 60 KB', 'candidate', { candidate: 'x'.repeat(60_000) }],
  ['a candidate one character too long', 'candidate', { candidate: 'x'.repeat(CANDIDATE_LENGTH_MAX + 1) }],
  ['a kind that is none', 'constructor' as SignalKind, CANDIDATE],
  ['a kind that is a list', ['candidate'] as unknown as SignalKind, CANDIDATE],
])('%s is passed over', (_, kind, data) => {
  expect(make().admits(kind, data)).toBe(false)
})

test('what a browser says is taken', () => {
  const { admits } = make()
  expect([admits('description', offer('one', 10)), admits('candidate', CANDIDATE), admits('candidate', { candidate: '' }), admits('end-of-candidates', null)]).toEqual([
    true, true, true, true,
  ])
})

test('128 candidates of a generation are taken, with those in the description and the end of them', () => {
  const { admits, takes } = make()
  takes(offer('one', 124))
  const taken = [1, 2, 3, 4, 5].map(() => admits('candidate', CANDIDATE))
  expect(taken).toEqual([true, true, true, true, false])
  expect(admits('end-of-candidates', null)).toBe(false)
  takes(offer('one'))
  expect(admits('candidate', CANDIDATE)).toBe(false)
  takes(offer('two'))
  expect(admits('candidate', CANDIDATE)).toBe(true)
})

test('a generation is what the browser takes for one, and what it has taken', () => {
  const { admits, takes } = make()
  takes(offer('one', 128))
  const fake = (sdp: string) => ({ type: 'offer', sdp: (offer('one') as { sdp: string }).sdp.replace('o=', sdp) })
  // In another line; twice; and in a description that the browser refused.
  takes(fake('s=ice-ufrag:two\r\no='))
  expect(admits('candidate', CANDIDATE)).toBe(false)
  expect(admits('description', fake('a=ice-ufrag:two\r\no='))).toBe(false)
  expect(admits('description', offer('three'))).toBe(true)
  expect(admits('candidate', CANDIDATE)).toBe(false)
})

/** How many of a hundred are taken. */
const taken = (admit: (index: number) => boolean): number => Array.from({ length: 100 }, (_, index) => admit(index)).filter(Boolean).length

test('twenty descriptions are taken in ten seconds', () => {
  const { admits, world } = make()
  const all = (): number => taken(() => admits('description', { ...offer('one'), type: 'answer' }))
  expect(all()).toBe(DESCRIPTIONS_MAX)
  world.pass(DESCRIPTIONS_MS - 1)
  expect(all()).toBe(0)
  world.pass(1)
  expect(all()).toBe(DESCRIPTIONS_MAX)
})

test('offers that restart ICE count for more, and only the first time that they come', () => {
  const { admits, world } = make()
  expect(taken((index) => admits('description', offer(`${index}`)))).toBe(Math.floor(DESCRIPTIONS_MAX / RESTART_COST))
  world.pass(DESCRIPTIONS_MS)
  expect(taken(() => admits('description', offer('one')))).toBe(DESCRIPTIONS_MAX - RESTART_COST + 1)
  world.pass(DESCRIPTIONS_MS)
  // What a minute of mending takes: an offer every few seconds, by both ways, and the answers to ours.
  for (const [at, name] of [0, 1_300, 4_500, 8_000, 16_000, 24_000].entries()) {
    const restart = [offer(`mend ${at}`), offer(`mend ${at}`), { ...offer(`answer ${at}`), type: 'answer' }]
    for (const each of restart) expect(admits('description', each), `${name} ms`).toBe(true)
    world.pass([1_300, 3_200, 3_500, 8_000, 8_000, 0][at]!)
  }
})
