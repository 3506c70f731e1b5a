// One hostile peer of sixty-four: the other sixty-two links go on as if it were not there.

import { expect, test } from 'vitest'
import { BUFFER_BYTES_MAX, SLOW_MS } from './channel.js'
import { HALF_MESSAGES_LOBBY_MAX, HALF_MESSAGES_PEER_MAX, JSON_VALUES_MAX, MESSAGE_BYTES, PIECE_BYTES_MAX, VALUES_A_MESSAGE, WHOLE_MS } from './framing.js'
import { type Link } from './link.js'
import { CONTROL_COST } from './times.js'
import { COST_MAX, COST_PER_SECOND } from './lobby.js'
import { CANDIDATES_MAX, DESCRIPTIONS_MAX } from './signals.js'
import { Table } from './testing/table.js'
import type { ConnectOptions } from './types.js'
import { settled, type FakeConnection } from './testing/world.js'

const HOST = 'candidate:1 1 udp 2122260223 192.0.2.5 4000 typ host'
const HOSTILE = 'PEER0000'
const PIECE = new Uint8Array(1 + PIECE_BYTES_MAX)
PIECE[0] = 0x80

/** A lobby with 63 others, all linked; the first of them is hostile. */
async function crowd(options: Partial<ConnectOptions> = {}): Promise<{ table: Table; link: Link; connection: FakeConnection; others: Link[]; friends: FakeConnection[] }> {
  const table = await new Table(options).enter()
  for (let index = 0; index < 63; index++) {
    const peer = `PEER${String(index).padStart(4, '0')}`
    table.says({ type: 'arrived', member: { peer, me: {} } })
    table.says({ type: 'link', peer, role: 'answer', polite: false })
    await table.up()
  }
  const [link, ...others] = table.room.peers.values()
  const [connection, ...friends] = table.world.connections
  return { table, link: link!, connection: connection!, others, friends }
}

/** Each friend says something, and each is heard. */
function allAreHeard(table: Table, friends: FakeConnection[]): void {
  const before = table.log.length
  for (const friend of friends) friend.channels[1]!.onmessage?.({ data: new Uint8Array([1, 104, 105]).buffer })
  const heard = table.log.slice(before).map(([event, message]) => [event, (message as { data: unknown }).data])
  expect(heard).toEqual(friends.map(() => ['message', 'hi']))
}

test('floods of signals reach no browser, and no other link', async () => {
  const { table, link, connection, others, friends } = await crowd()
  const signal = (kind: string, data: unknown): void => table.says({ type: 'signal', from: HOSTILE, kind, data })
  for (let flood = 0; flood < 5_000; flood++) {
    signal('candidate', { candidate: HOST })
    signal('end-of-candidates', null)
    if (flood > 100) signal('description', { type: 'offer', sdp: `o=- 9 ${flood} IN\r\na=ice-ufrag:${flood}\r\n` })
  }
  for (let turn = 0; turn < 100; turn++) await settled()
  expect(connection.candidates.length).toBeLessThanOrEqual(CANDIDATES_MAX * (1 + DESCRIPTIONS_MAX))
  expect(connection.version).toBeLessThanOrEqual(DESCRIPTIONS_MAX)
  expect(link._waiting).toBe(0)
  expect(others.map((other) => other.state)).toEqual(others.map(() => 'open'))
  expect(friends.flatMap((friend) => friend.candidates)).toEqual([])
  allAreHeard(table, friends)
})

test('who floods the control channel loses its link, and the others keep theirs', async () => {
  const { table, link, connection, others, friends } = await crowd()
  const control = (message: unknown): void => {
    connection.channels[0]!.onmessage?.({ data: new Uint8Array([2, ...new TextEncoder().encode(JSON.stringify(message))]).buffer })
  }
  for (let second = 0; second < 3; second++) {
    for (let said = 0; said < 500; said++) control({ type: 'of a later version' })
    expect(link.state).toBe('open')
    table.world.pass(1_000)
  }
  for (let said = 0; said <= COST_MAX / CONTROL_COST; said++) control({ type: 'signal', kind: 'candidate', data: 7 })
  expect(link.state).toBe('closed')
  expect(others.map((other) => other.state)).toEqual(others.map(() => 'open'))
  allAreHeard(table, friends)
})

/** A message of JSON with so many values, on the reliable channel. */
const costly = (values: number): { data: ArrayBuffer } => ({ data: new Uint8Array([2, ...new TextEncoder().encode(`[${Array(values - 1).fill(1).join()}]`)]).buffer })

test('who sends JSON that takes the page its time loses the link after so much of it, and some of it costs nothing', async () => {
  const { table, link, connection, others, friends } = await crowd()
  const message = costly(JSON_VALUES_MAX)
  const say = (): void => connection.channels[1]!.onmessage?.(message)
  for (let second = 0; second < 20; second++) {
    for (let said = 0; said < 5; said++) say()
    table.world.pass(1_000)
  }
  expect(link.state).toBe('open')
  let said = 0
  for (; link.state === 'open'; said++) say()
  expect(said).toBeLessThanOrEqual((COST_MAX * VALUES_A_MESSAGE) / JSON_VALUES_MAX + 1)
  expect(others.map((other) => other.state)).toEqual(others.map(() => 'open'))
  allAreHeard(table, friends)
})

test('many who flood, each a little, lose their links, and whoever says little keeps the link', async () => {
  const { table, link, connection, others, friends } = await crowd()
  const piece = { data: new Uint8Array([0]).buffer }
  const [quiet, ...loud] = friends
  const flooders = [connection, ...loud]
  for (let ms = 0; ms < 5_000; ms += 10) {
    for (const flooder of flooders) for (let said = 0; said < COST_PER_SECOND / 100 / flooders.length + 40; said++) flooder.channels[1]!.onmessage?.(piece)
    quiet!.channels[1]!.onmessage?.(piece)
    table.world.pass(10)
  }
  expect([link.state, ...others.map((other) => other.state)].filter((state) => state === 'closed').length).toBeGreaterThan(0)
  allAreHeard(table, [quiet!])
})

test('halves of messages are kept up to a limit, for a minute, and those of others stay', async () => {
  const { table, link, connection, friends, others } = await crowd({ channels: { one: {}, two: {} } })
  for (const friend of friends) friend.channels[1]!.onmessage?.({ data: new Uint8Array([0x81, 104]).buffer })
  for (let flood = 0; flood < 250; flood++) {
    for (const channel of connection.channels) channel.onmessage?.({ data: PIECE.slice().buffer })
    expect(link._kept).toBeLessThanOrEqual(HALF_MESSAGES_PEER_MAX * MESSAGE_BYTES)
  }
  expect(others.every((other) => other._kept > 0)).toBe(true)
  for (const friend of friends) friend.channels[1]!.onmessage?.({ data: new Uint8Array([0x01, 105]).buffer })
  expect(table.log.slice(-62).map(([, message]) => (message as { data: unknown }).data)).toEqual(friends.map(() => 'hi'))
  table.world.pass(WHOLE_MS)
  expect(table.room._kept).toBe(0)
})

test('where all keep too much together, the one with the most loses it', async () => {
  const { table, link, connection, others, friends } = await crowd()
  friends[0]!.channels[1]!.onmessage?.({ data: new Uint8Array([0x81, 104]).buffer })
  // Many that are hostile: 63 times less than a message is still too much.
  for (const each of [connection, ...friends.slice(1)]) {
    const pieces = each === connection ? 200 : 100
    for (let sent = 0; sent < pieces; sent++) each.channels[1]!.onmessage?.({ data: PIECE.buffer })
    expect(table.room._kept).toBeLessThanOrEqual(HALF_MESSAGES_LOBBY_MAX * MESSAGE_BYTES)
  }
  expect(link._kept).toBe(0)
  expect(others[0]!._kept).toBeGreaterThan(0)
  friends[0]!.channels[1]!.onmessage?.({ data: new Uint8Array([0x01, 105]).buffer })
  expect((table.log.at(-1)![1] as { data: unknown }).data).toBe('hi')
})

test('giant JSON is not read', async () => {
  const { table, link, connection, friends } = await crowd()
  const before = table.log.length
  const giants = [`[${'{},'.repeat(300_000)}{}]`, '['.repeat(500_000) + ']'.repeat(500_000), `[${'0,'.repeat(500_000)}0]`]
  for (const text of giants) {
    const content = new TextEncoder().encode(text)
    for (let offset = 0; offset < content.length; offset += PIECE_BYTES_MAX) {
      const more = offset + PIECE_BYTES_MAX < content.length ? 0x80 : 0
      connection.channels[1]!.onmessage?.({ data: new Uint8Array([2 | more, ...content.subarray(offset, offset + PIECE_BYTES_MAX)]).buffer })
    }
  }
  expect([table.log.length - before, (await link.stats()).discarded, link._kept]).toEqual([0, giants.length, 0])
  allAreHeard(table, friends)
})

test('a peer that reads nothing holds up no message to all, and is named once it misses some', async () => {
  const { table, link, connection, friends } = await crowd()
  const got = friends.map(() => 0)
  const drain = (): void =>
    friends.forEach(({ channels }, index) => {
      const reliable = channels[1]!
      got[index]! += reliable.sent.splice(0).reduce((sum, piece) => sum + piece.length - 1, 0)
      reliable.drain()
    })
  const chunk = new Uint8Array(BUFFER_BYTES_MAX / 4)
  let missed: readonly unknown[] = []
  let rounds = 0
  let waits = 0
  for (; !missed.length && rounds < 200; rounds++) {
    const sent = table.room.all.send('reliable', chunk)
    drain()
    let done = false
    void sent.then(() => (done = true))
    await settled()
    if (!done) {
      waits++
      table.world.pass(SLOW_MS)
    }
    missed = await sent
  }
  expect([missed.length, missed[0] === link, waits]).toEqual([1, true, 1])
  // Everybody else got all of it.
  drain()
  expect(got).toEqual(friends.map(() => rounds * chunk.length))
  expect(connection.channels[1]!.sent.length).toBeLessThan(10)
  expect(link.state).toBe('open')
})

test('a message to all passes over who closes, and rejects for what is the fault of the sender', async () => {
  const { table, connection } = await crowd()
  connection.channels[1]!.readyState = 'closing'
  expect(await table.room.all.send('reliable', 'hi')).toEqual([])
  await expect(table.room.all.send('other', 'hi')).rejects.toMatchObject({ code: 'no-channel' })
  await expect(table.room.all.send('reliable', new Uint8Array(MESSAGE_BYTES + 1))).rejects.toMatchObject({ code: 'too-large' })
  await expect(table.room.all.send('reliable', [1n])).rejects.toMatchObject({ code: 'bad-value' })
})
