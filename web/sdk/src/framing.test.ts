// Messages cut into pieces and put together again.

import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { cut, encode, fits, JSON_DEPTH_MAX, MESSAGE_BYTES, PIECE_BYTES_COST, PIECE_BYTES_MAX, Reassembler, WHOLE_MS } from './framing.js'
import { World } from './testing/world.js'
import type { Sendable } from './types.js'

function pieces(data: Sendable, max = PIECE_BYTES_MAX): Uint8Array[] {
  const [kind, content] = encode(data)
  const all: Uint8Array[] = []
  let offset = 0
  do {
    const piece = cut(kind, content, offset, max)
    all.push(piece)
    offset += piece.length - 1
  } while (offset < content.length)
  return all
}

/** A reassembler, the world it lives in, and what its link counts. */
function make(joins = true, max = MESSAGE_BYTES, most = Infinity) {
  const world = new World()
  const kept = { now: 0, most: 0 }
  const reassembler = new Reassembler(joins, max, {
    _after: (ms, then) => world._after(ms, then),
    _spend: () => true,
    _keep: (bytes) => {
      kept.now += bytes
      kept.most = Math.max(kept.most, kept.now)
      return kept.now <= most
    },
  })
  return { world, kept, reassembler }
}

function through(data: Sendable, max?: number): unknown {
  const { reassembler } = make()
  const results = pieces(data, max).map((piece) => reassembler._push(piece))
  expect(results.slice(0, -1).every((result) => result === undefined)).toBe(true)
  return results.at(-1)?.data
}

test('text, bytes and JSON arrive as what they were', () => {
  expect(through('héllo')).toBe('héllo')
  expect(through('')).toBe('')
  expect(through(new Uint8Array([1, 2, 3]))).toEqual(new Uint8Array([1, 2, 3]))
  expect(through(new Uint8Array(0))).toEqual(new Uint8Array(0))
  expect(through(new Uint16Array([258]))).toEqual(new Uint8Array([2, 1]))
  expect(through(new Uint8Array([7, 8]).buffer)).toEqual(new Uint8Array([7, 8]))
  expect(through({ a: [1, null, 'é'] })).toEqual({ a: [1, null, 'é'] })
  expect(through(null)).toBe(null)
})

test('the header says the kind, and that more follows', () => {
  expect([...pieces('abc', 2).map((piece) => piece[0])]).toEqual([0x81, 0x01])
  expect(pieces(new Uint8Array(3))[0]![0]).toBe(0)
  expect(pieces({})[0]![0]).toBe(2)
})

test('a long message goes in pieces of 65,535 bytes, each one byte longer with its header', () => {
  expect(pieces(new Uint8Array(PIECE_BYTES_MAX)).length).toBe(1)
  expect(pieces(new Uint8Array(PIECE_BYTES_MAX + 1)).map((piece) => piece.length)).toEqual([65_536, 2])
  const long = new Uint8Array(300_001).map((_, index) => index * 7)
  expect(Buffer.compare(through(long) as Uint8Array, long)).toBe(0)
  expect(through('é'.repeat(100_000), 999)).toBe('é'.repeat(100_000))
})

test('bytes that arrive own their whole buffer', () => {
  const data = through(new Uint8Array(100_000).fill(3)) as Uint8Array
  expect([data.byteOffset, data.buffer.byteLength]).toEqual([0, 100_000])
})

test.each([
  ['an empty piece', []],
  ['a header with other bits', [0x04, 1]],
  ['kind 3', [3, 1]],
  ['text that is not UTF-8', [1, 0xff]],
  ['JSON that is none', [2, 0x7b]],
])('%s is dropped and counted, and the next message is read', (_, bytes) => {
  const { reassembler } = make()
  expect(reassembler._push(new Uint8Array(bytes))).toBeUndefined()
  expect(reassembler._discarded).toBe(1)
  expect(reassembler._push(new Uint8Array([1, 65]))).toEqual({ data: 'A' })
})

test('a change of kind within a message spoils it up to its end, and no further', () => {
  const { reassembler } = make()
  reassembler._push(new Uint8Array([0x80, 1]))
  reassembler._push(new Uint8Array([0x81, 65]))
  expect(reassembler._push(new Uint8Array([0x00, 2]))).toBeUndefined()
  expect(reassembler._discarded).toBe(1)
  expect(reassembler._push(new Uint8Array([0x00, 9]))).toEqual({ data: new Uint8Array([9]) })
})

test('a channel that may lose or reorder carries single pieces only', () => {
  const { reassembler } = make(false)
  expect(reassembler._push(new Uint8Array([0x80, 1]))).toBeUndefined()
  expect(reassembler._discarded).toBe(1)
  expect(reassembler._push(new Uint8Array([0, 1]))).toEqual({ data: new Uint8Array([1]) })
})

const MORE_BYTES = 0x80
const FULL = new Uint8Array(1 + PIECE_BYTES_MAX)
FULL[0] = MORE_BYTES

test('nothing is kept of a message that is too large, and the next is read', () => {
  const { reassembler, kept } = make(true, 1_000_000)
  for (let sent = 0; sent < 2_000_000; sent += PIECE_BYTES_MAX) reassembler._push(FULL)
  expect([kept.now, reassembler._pieces, reassembler._discarded]).toEqual([0, [], 1])
  expect(kept.most).toBeLessThan(1_000_000 + 20 * PIECE_BYTES_COST)
  expect(reassembler._push(new Uint8Array([0, 1]))).toBeUndefined()
  expect(reassembler._push(new Uint8Array([0, 1]))).toEqual({ data: new Uint8Array([1]) })
  expect([reassembler._discarded, kept.now]).toEqual([1, 0])
})

test('what is kept follows what has come, and each piece costs something', () => {
  const { reassembler, kept } = make()
  for (let count = 1; count <= 1000; count++) {
    reassembler._push(new Uint8Array([MORE_BYTES, 7]))
    expect(kept.now).toBe(count * (2 + PIECE_BYTES_COST))
  }
  expect(reassembler._push(new Uint8Array([0]))).toEqual({ data: new Uint8Array(1000).fill(7) })
  expect(kept.now).toBe(0)
})

test('where the link keeps too much a message is dropped, and the next is read', () => {
  const { reassembler, kept } = make(true, MESSAGE_BYTES, 100_000)
  reassembler._push(FULL)
  expect(kept.now).toBeGreaterThan(PIECE_BYTES_MAX)
  reassembler._push(FULL)
  expect([kept.now, reassembler._discarded]).toEqual([0, 1])
  reassembler._push(new Uint8Array([0]))
  expect(reassembler._push(new Uint8Array([1, 65]))).toEqual({ data: 'A' })
})

test('a message that is not whole after a minute is dropped, and the next has its own minute', () => {
  const { reassembler, kept, world } = make()
  reassembler._push(FULL)
  world.pass(WHOLE_MS - 1)
  expect(kept.now).toBeGreaterThan(0)
  world.pass(1)
  expect([kept.now, reassembler._discarded]).toEqual([0, 1])
  expect(reassembler._push(new Uint8Array([0, 1]))).toBeUndefined()
  reassembler._push(new Uint8Array([MORE_BYTES, 5]))
  world.pass(WHOLE_MS - 1)
  expect(reassembler._push(new Uint8Array([0, 6]))).toEqual({ data: new Uint8Array([5, 6]) })
  expect([reassembler._discarded, world.timers]).toEqual([1, []])
})

test.each([
  ['a circle', () => {
    const circle: unknown[] = []
    circle.push(circle)
    return circle
  }],
  ['ten thousand levels', () => {
    let deep: unknown[] = []
    for (let level = 0; level < 10_000; level++) deep = [deep]
    return deep
  }],
  ['a BigInt', () => [1n]],
])('%s is a bad value', (_, value) => {
  expect(() => encode(value())).toThrowError(expect.objectContaining({ code: 'bad-value' }))
})

test('names with a meaning in JavaScript are names like any other', () => {
  const data = through(JSON.parse('{"__proto__":{"evil":1},"constructor":1}') as object) as Record<string, unknown>
  expect([Object.getPrototypeOf(data), data.evil, Object.keys(data)]).toEqual([Object.prototype, undefined, ['__proto__', 'constructor']])
})

// The same file that the Rust crate's tests read.
interface Told { hex?: string; text?: string; json?: unknown }
const vectors = JSON.parse(readFileSync(new URL('../../../tests/vectors/framing.json', import.meta.url), 'utf8')) as {
  cut: { data: Told; max: number; pieces: string[] }[]
  join: { name: string; joins: boolean; pieces: string[]; messages: Told[]; discarded: number }[]
  limits: { name: string; kind: number; max: number; content: [text: string, times: number][]; fits: boolean }[]
}
const unhex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'))
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const told = (data: unknown): Told => (data instanceof Uint8Array ? { hex: hex(data) } : typeof data === 'string' ? { text: data } : { json: data })

test('the shared vectors of cutting hold', () => {
  for (const { data, max, pieces: expected } of vectors.cut) {
    const value = data.hex === undefined ? (data.text ?? data.json) : unhex(data.hex)
    expect(pieces(value as Sendable, max).map(hex)).toEqual(expected)
  }
})

test.each(vectors.join)('the shared vector holds: $name', ({ joins, pieces: all, messages, discarded }) => {
  const { reassembler } = make(joins)
  const arrived = all.map((piece) => reassembler._push(unhex(piece))).filter((message) => message !== undefined)
  expect(arrived.map(({ data }) => told(data))).toEqual(messages)
  expect(reassembler._discarded).toBe(discarded)
})

test.each(vectors.limits)('the shared vector of limits holds: $name', ({ kind, max, content, fits: expected }) => {
  const whole = new TextEncoder().encode(content.map(([text, times]) => text.repeat(times)).join(''))
  expect(fits(kind, whole, max)).toBe(expected)
  const { reassembler } = make(true, max)
  let arrived: unknown
  for (let offset = 0; offset < whole.length; offset += PIECE_BYTES_MAX) arrived = reassembler._push(cut(kind, whole, offset, PIECE_BYTES_MAX))
  expect([arrived !== undefined, reassembler._discarded]).toEqual([expected, expected ? 0 : 1])
  expect(reassembler._push(new Uint8Array([1, 65]))).toEqual({ data: 'A' })
})

test('a bar in a text is no escape', () => {
  const deep = encode(['|', '['.repeat(JSON_DEPTH_MAX + 1)])
  expect(fits(...deep, MESSAGE_BYTES)).toBe(true)
  const json = new TextEncoder().encode(`["|",${'['.repeat(JSON_DEPTH_MAX + 1)}${']'.repeat(JSON_DEPTH_MAX + 1)}]`)
  expect(fits(deep[0], json, MESSAGE_BYTES)).toBe(false)
  const escaped = new TextEncoder().encode(`["\\"[[[","\\\\",${'['.repeat(JSON_DEPTH_MAX + 1)}]`)
  expect(fits(deep[0], escaped, MESSAGE_BYTES)).toBe(false)
})
