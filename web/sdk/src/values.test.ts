// What can be sent, and what is refused rather than changed; what comes before anybody listens.

import { expect, test, vi } from 'vitest'
import { encode } from './framing.js'
import { EARLY_BYTES_MAX } from './lobby.js'
import { BOB, ME, Table } from './testing/table.js'
import { settled } from './testing/world.js'

const up = async (): Promise<Table> => (await (await new Table().enter()).arrive()).up()
const text = (piece: Uint8Array): string => new TextDecoder().decode(piece.subarray(1))

test.each<[string, unknown]>([
  ['a Map', new Map()], ['a Set', new Set()], ['NaN', NaN], ['Infinity', [1, { a: -Infinity }]], ['a function', () => 1], ['a function inside', { then: () => 1 }], ['a symbol', [Symbol('x')]],
  ['a BigInt', 1n], ['undefined', undefined], ['bytes inside', { b: new Uint8Array(2) }], ['a buffer inside', [new ArrayBuffer(1)]], ['floats inside', { f: new Float32Array(1) }],
  ['a Map inside', { players: new Map() }], ['a Blob inside', { file: new Blob([]) }], ['an error', { why: new Error('x') }], ['an expression', /x/], ['a promise', Promise.resolve(1)], ['a view inside', [new DataView(new ArrayBuffer(1))]],
])('%s is refused, for JSON would change it', (_, value) => {
  expect(() => encode(value as never)).toThrowError(expect.objectContaining({ code: 'bad-value' }))
})

test.each<[unknown, string]>([
  [{ a: undefined, b: [1, null, 'x', true] }, '{"b":[1,null,"x",true]}'],
  [new Date(0), '"1970-01-01T00:00:00.000Z"'],
  [{ at: new URL('http://x/') }, '{"at":"http://x/"}'],
  [null, 'null'],
  [Object.create(null), '{}'],
  [new (class Move { x = 1 })(), '{"x":1}'],
])('%o goes as JSON', (value, json) => {
  const [kind, content] = encode(value as never)
  expect([kind, new TextDecoder().decode(content)]).toEqual([2, json])
})

test('the types say so too', () => {
  // @ts-expect-error a Map is not sendable
  expect(() => encode(new Map())).toThrow()
  // @ts-expect-error nor is a function
  expect(() => encode(() => 1)).toThrow()
  interface Move { x: number }
  const move: Move = { x: 1 }
  encode(move)
})

test('a Blob goes as its bytes, and what is sent behind it comes behind it', async () => {
  const table = await up()
  const sent = table.connection.channels[1]!.sent
  const all = [table.link.send('reliable', new Blob(['first'])), table.link.send('reliable', 'second'), table.room.all.send('reliable', new Uint8Array([51]))]
  await Promise.all(all)
  await settled()
  expect(sent.map((piece) => [piece[0], text(piece)])).toEqual([[0, 'first'], [1, 'second'], [0, '3']])
  void table.link.send('reliable', 'at once')
  expect(text(sent.at(-1)!)).toBe('at once')
})

test('what a member says of itself can be changed, and is told to all', async () => {
  const table = await up()
  void table.room.setMe({ ready: true })
  expect(table.socket.sent.at(-1)).toMatchObject({ type: 'me', me: { ready: true } })
  const told: unknown[] = []
  table.room.on('member', (member) => told.push(member))
  for (const peer of [BOB, ME]) table.says({ type: 'member', member: { peer, me: { ready: true } } })
  expect(told).toEqual([{ peer: BOB, me: { ready: true } }, { peer: ME, me: { ready: true } }])
  expect(JSON.parse(table.world.kept.get('twocan chess')!)).toMatchObject({ me: { ready: true } })
})

/** A lobby that nobody listens to. */
async function unheard(): Promise<Table> {
  const table = await new Table().enter()
  table.room._listeners = {}
  return (await table.arrive()).up()
}
const says = (table: Table, words: string): void => table.connection.channels[1]!.onmessage?.({ data: new Uint8Array([1, ...new TextEncoder().encode(words)]).buffer })

test('peer and message wait for their first listener, in their order', async () => {
  const table = await unheard()
  says(table, 'one')
  says(table, 'two')
  const told: unknown[] = []
  table.room.on('peer', (peer) => told.push(['peer', peer.id]))
  table.room.on('message', ({ data }) => told.push(data))
  await settled()
  says(table, 'three')
  expect(told).toEqual([['peer', BOB], 'one', 'two', 'three'])
})

test('messages wait for a listener of their peer as well', async () => {
  const table = await unheard()
  says(table, 'one')
  const told: unknown[] = []
  table.room.on('peer', (peer) => peer.on('message', ({ data }) => told.push(data)))
  await settled()
  says(table, 'two')
  expect(told).toEqual(['one', 'two'])
})

test('what is sent to all where nobody is linked is said, once', async () => {
  const warned = vi.spyOn(console, 'warn').mockImplementation(() => {})
  const table = await new Table().enter()
  for (let count = 0; count < 3; count++) expect(await table.room.all.send('reliable', 'x')).toEqual([])
  expect(warned.mock.calls).toEqual([['twocan: all.send: nobody is linked']])
  warned.mockRestore()
})

test('what waits is bounded, and it is said once that more is lost', async () => {
  const warned = vi.spyOn(console, 'warn').mockImplementation(() => {})
  const table = await unheard()
  const long = 'x'.repeat(60_000)
  for (let count = 0; count < 100; count++) says(table, long)
  expect(table.room._early.length).toBe(Math.floor(EARLY_BYTES_MAX / long.length))
  expect(warned).toHaveBeenCalledTimes(1)
})
