// A link that begins anew, with another connection.

import { expect, test } from 'vitest'
import { ALONE_MS, ANEW_DOUBLINGS, ANEW_MS, BYE_MS, MEND_MS, RESTART_MS, SECOND_MS } from './times.js'
import { BOB, Table } from './testing/table.js'
import { settled } from './testing/world.js'

/** The connection's DTLS dies, and with it its channels. */
function dies(table: Table): void {
  table.connection.sctp = { maxMessageSize: 65_536, transport: { state: 'failed' } }
  for (const channel of table.connection.channels) channel.onclose?.()
}

test('a link whose DTLS dies begins anew once the server is there, and is another one', async () => {
  const table = await (await (await new Table().enter()).arrive('answer')).up()
  const { link, connection } = table
  await table.pass(5_000)
  dies(table)
  await settled()
  expect([link.state, table.world.connections.length]).toEqual(['mending', 1])
  // Whether the server is there is not known yet.
  table.replies({ type: 'pong' })
  await table.pass(SECOND_MS)
  const next = table.link
  expect([link.state, next === link, next.state, next.connectMs]).toEqual(['closed', false, 'connecting', undefined])
  expect(table.sent('signal').at(-1)).toMatchObject({ kind: 'description', data: { type: 'offer', anew: 1 } })
  // What belongs to the connection before is passed over.
  await table.signal('description', { type: 'answer', sdp: 'o=- 9 30 IN' })
  expect(table.connection.signalingState).toBe('have-local-offer')
  await table.signal('description', { type: 'answer', sdp: 'o=- 8 1 IN', offer: 1, anew: 1 })
  await table.up()
  table.world.pass(BYE_MS)
  expect([next.state, connection.closed, table.room.peers.get(BOB) === next]).toEqual(['open', true, true])
  expect(table.log.filter(([event]) => event === 'peer').map(([, peer]) => peer)).toEqual([link, next])
  expect(table.log.filter(([event]) => event === 'leave')).toEqual([])
  // From then on it is mended like any other.
  table.connection.becomes('failed')
  expect(next.state).toBe('mending')
})

test('after the server was left, a link whose DTLS dies comes back by ticket', async () => {
  const table = await (await (await (await new Table().enter()).arrive('answer')).up()).complete()
  dies(table)
  await settled()
  table.world.pass(ALONE_MS)
  table.seq = 0
  table.welcome()
  await settled()
  expect(table.sent('return')).toMatchObject([{ ticket: 'ticket' }])
  table.replies({ type: 'joined', lobby: { code: 'ED84', members: [] } })
  await table.pass(10_000, 500)
  expect([table.world.connections.length, table.link.state], 'nobody is there').toEqual([1, 'mending'])
  table.says({ type: 'link', peer: BOB, role: 'answer', polite: false })
  await settled()
  expect(table.sent('signal').at(-1)).toMatchObject({ to: BOB, kind: 'description', data: { type: 'offer', anew: 1 } })
})

test('a connection that does not come up in time gives way to the next, until mending is over', async () => {
  const table = await (await (await new Table().enter()).arrive('answer')).up()
  dies(table)
  table.replies({ type: 'pong' })
  for (let passed = 0; passed < MEND_MS + SECOND_MS; passed += 500) {
    table.world.pass(500)
    await settled()
    if (passed % 10_000 === 0) table.replies({ type: 'pong' })
  }
  expect(table.world.connections.length).toBeGreaterThan(MEND_MS / RESTART_MS / 2)
  expect(table.world.connections.length).toBeLessThan(MEND_MS / RESTART_MS + 4)
  expect([table.link.state, table.log.at(-1)?.[0]]).toEqual(['failed', 'fail'])
})

test('whoever hears that the other side begins anew closes its link, and answers with another', async () => {
  const table = await (await (await new Table().enter()).arrive('offer')).up()
  const { link } = table
  await table.pass(ANEW_MS)
  await table.signal('description', { type: 'offer', sdp: 'o=- 8 1 IN', anew: 3 })
  await settled()
  const next = table.link
  expect([link.state, next === link, next._generation, table.world.connections.length]).toEqual(['closed', false, 3, 2])
  expect(table.sent('signal').at(-1)).toMatchObject({ data: { type: 'answer', offer: 1, anew: 3 } })
  // It does not offer, nor is it anew for what is said again, or came late.
  for (const anew of [3, 2, undefined, 'x']) await table.signal('description', { type: 'offer', sdp: 'o=- 8 1 IN', anew })
  await table.pass(RESTART_MS + 1_000)
  expect([table.link === next, table.world.connections.length, table.connection.version]).toEqual([true, 2, 1])
})

test('a peer that begins anew without end costs a connection a second, and ever fewer', async () => {
  const table = await (await (await new Table().enter()).arrive('offer')).up()
  const connections: number[] = []
  let anew = 0
  for (let second = 0; second < 120; second++) {
    // Ten at once, and none of them before the link was a while old.
    for (let said = 0; said < 10; said++) await table.signal('description', { type: 'offer', sdp: `o=- ${++anew} 1 IN`, anew })
    await table.pass(1_000)
    connections.push(table.world.connections.length)
  }
  expect(connections[0]).toBe(1)
  expect(connections.at(-1)).toBeLessThan(120 / 2 ** (ANEW_DOUBLINGS - 2))
})

test('a second change of networks, before the link is up again, is no end either', async () => {
  const table = await (await (await new Table().enter()).arrive('offer')).up()
  await table.pass(ANEW_MS)
  await table.signal('description', { type: 'offer', sdp: 'o=- 8 1 IN', anew: 1 })
  await table.pass(2_000)
  const { link } = table
  dies(table)
  table.replies({ type: 'pong' })
  await table.pass(3_000)
  expect([link.state, table.link._generation, table.log.filter(([event]) => event === 'fail' || event === 'leave')]).toEqual(['closed', 2, []])
})

test('where the server lets go meanwhile, it is gone back to', async () => {
  const table = await (await (await new Table().enter()).arrive('offer')).up()
  await table.pass(ANEW_MS)
  await table.signal('description', { type: 'offer', sdp: 'o=- 8 1 IN', anew: 1 })
  await table.complete()
  const sockets = table.world.sockets.length
  await table.pass(RESTART_MS + 500, 500)
  expect([table.link.state, table.world.sockets.length]).toEqual(['connecting', sockets + 1])
})

test('whoever answered, and is asked to try again, begins anew', async () => {
  const table = await (await (await new Table().enter()).arrive('offer')).up()
  await table.pass(ANEW_MS)
  await table.signal('description', { type: 'offer', sdp: 'o=- 8 1 IN', anew: 1 })
  for (let passed = 0; passed < MEND_MS + 1_000; passed += 1_000) {
    table.world.pass(1_000)
    await settled()
    if (passed % 10_000 === 0) table.replies({ type: 'pong' })
  }
  expect(table.link.state).toBe('failed')
  table.link.retry()
  table.replies({ type: 'pong' })
  await table.pass(2_000)
  expect(table.link._generation).toBe(2)
})

test('what follows the first description of another connection belongs to it, however busy the one before is', async () => {
  const table = await (await (await new Table().enter()).arrive('offer')).up()
  await table.pass(ANEW_MS)
  table.connection.setRemoteDescription = () => new Promise(() => {})
  await table.signal('description', { type: 'offer', sdp: 'o=- 9 50 IN' })
  await table.signal('description', { type: 'offer', sdp: 'o=- 8 1 IN', anew: 1 })
  await table.signal('candidate', { candidate: 'candidate:1 1 udp 1 192.0.2.1 5 typ host' })
  expect([table.link._generation, table.connection.candidates.length]).toEqual([1, 1])
})
