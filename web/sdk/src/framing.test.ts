// Messages cut into pieces and put together again.

import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { cut, encode, MESSAGE_BYTES_MAX, PIECE_BYTES_MAX, Reassembler } from './framing.js'
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

function through(data: Sendable, max?: number): unknown {
  const reassembler = new Reassembler(true)
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
  const reassembler = new Reassembler(true)
  expect(reassembler._push(new Uint8Array(bytes))).toBeUndefined()
  expect(reassembler._discarded).toBe(1)
  expect(reassembler._push(new Uint8Array([1, 65]))).toEqual({ data: 'A' })
})

test('a change of kind within a message spoils it up to its end, and no further', () => {
  const reassembler = new Reassembler(true)
  reassembler._push(new Uint8Array([0x80, 1]))
  reassembler._push(new Uint8Array([0x81, 65]))
  expect(reassembler._push(new Uint8Array([0x00, 2]))).toBeUndefined()
  expect(reassembler._discarded).toBe(1)
  expect(reassembler._push(new Uint8Array([0x00, 9]))).toEqual({ data: new Uint8Array([9]) })
})

test('a channel that may lose or reorder carries single pieces only', () => {
  const reassembler = new Reassembler(false)
  expect(reassembler._push(new Uint8Array([0x80, 1]))).toBeUndefined()
  expect(reassembler._discarded).toBe(1)
  expect(reassembler._push(new Uint8Array([0, 1]))).toEqual({ data: new Uint8Array([1]) })
})

test('a message of more than 64 MiB is dropped, and its memory with it', () => {
  const reassembler = new Reassembler(true)
  const piece = new Uint8Array(1 + PIECE_BYTES_MAX)
  piece[0] = 0x80
  for (let sent = 0; sent <= MESSAGE_BYTES_MAX; sent += PIECE_BYTES_MAX) reassembler._push(piece)
  expect(reassembler._buffer.length).toBe(0)
  expect(reassembler._push(new Uint8Array([0, 1]))).toBeUndefined()
  expect(reassembler._discarded).toBe(1)
  expect(reassembler._push(new Uint8Array([0, 1]))).toEqual({ data: new Uint8Array([1]) })
})

// The same file that the Rust crate's tests read.
interface Told { hex?: string; text?: string; json?: unknown }
const vectors = JSON.parse(readFileSync(new URL('../../../tests/vectors/framing.json', import.meta.url), 'utf8')) as {
  cut: { data: Told; max: number; pieces: string[] }[]
  join: { name: string; joins: boolean; pieces: string[]; messages: Told[]; discarded: number }[]
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
  const reassembler = new Reassembler(joins)
  const arrived = all.map((piece) => reassembler._push(unhex(piece))).filter((message) => message !== undefined)
  expect(arrived.map(({ data }) => told(data))).toEqual(messages)
  expect(reassembler._discarded).toBe(discarded)
})
