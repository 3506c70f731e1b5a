// A lobby: who is in it, and the way out of the server.

import { expect, test } from 'vitest'
import { ALONE_MS } from './times.js'
import { BOB, ME, Table } from './testing/table.js'
import { settled } from './testing/world.js'

test('members come and go, and the owner with them', async () => {
  const table = await (await new Table().enter(BOB)).arrive()
  expect(table.room.members.map((member) => member.peer)).toEqual([ME, BOB])
  expect(table.room.isOwner).toBe(false)
  table.says({ type: 'left', peer: BOB, why: 'left' })
  table.says({ type: 'owner', peer: ME })
  expect(table.room.members.map((member) => member.peer)).toEqual([ME])
  expect([table.room.isOwner, table.room.peers.size]).toEqual([true, 0])
  expect(table.log.map(([event]) => event)).toEqual(['arrive', 'fail', 'leave', 'owner'])
})

test('start seals, and resolves when the server lets go', async () => {
  const table = await (await (await new Table().enter()).arrive()).up()
  const start = table.room.start()
  expect(table.sent('seal').length).toBe(1)
  table.replies({ type: 'ok' })
  await table.complete()
  await start
  expect([table.room.state, table.link.state]).toEqual(['complete', 'open'])
  await table.room.start()
  expect(table.world.sockets.length).toBe(1)
})

test('start rejects where some pair does not link, and the lobby is open again', async () => {
  const table = await (await new Table().enter()).arrive()
  const start = table.room.start()
  table.replies({ type: 'ok' })
  await settled()
  table.says({ type: 'sealed', within: 30 })
  expect(table.room.state).toBe('sealed')
  table.says({ type: 'unsealed', missing: [[ME, BOB]] })
  await expect(start).rejects.toMatchObject({ code: 'unsealed' })
  expect([table.room.state, table.log.at(-1)]).toEqual(['open', ['unsealed', [[ME, BOB]]]])
})

test('start rejects with what the server says', async () => {
  const table = await new Table().enter()
  const start = table.room.start()
  table.replies({ type: 'error', code: 'alone', message: 'alone' })
  await expect(start).rejects.toMatchObject({ code: 'alone' })
})

test('a member that the server lost stays while its link is up', async () => {
  const table = await (await (await new Table().enter()).arrive()).up()
  table.says({ type: 'left', peer: BOB, why: 'lost' })
  expect(table.link.state).toBe('open')
  expect(table.log.at(-1)).toEqual(['leave', { peer: BOB, me: { name: 'Bob' } }, 'lost'])
})

test('a kick ends everything here', async () => {
  const table = await (await (await new Table().enter(BOB)).arrive()).up()
  table.says({ type: 'removed', why: 'kicked' })
  expect([table.room.state, table.room.peers.size, table.log.at(-1)]).toEqual(['gone', 0, ['removed', 'kicked']])
  await expect(table.room.lock()).rejects.toMatchObject({ code: 'closed' })
})

test('a server that forgot us, and refuses our seat, takes no link with it that is up', async () => {
  const table = await (await (await new Table().enter()).arrive()).up()
  const start = table.room.start()
  table.socket.cut()
  table.world.pass(5_000)
  table.seq = 0
  table.welcome(false)
  await expect(start).rejects.toMatchObject({ code: 'session-lost' })
  expect(table.socket.sent.at(-1)).toMatchObject({ type: 'return', ticket: 'ticket-of-me', data: {}, me: {}, run: 1 })
  table.replies({ type: 'error', code: 'bad-ticket', message: '' })
  await settled()
  expect([table.room.state, table.link.state, table.log.at(-1)]).toEqual(['gone', 'open', ['removed', 'session-lost']])
  void table.room.all.send('reliable', 'still')
  expect(table.connection.channels[1]!.sent.length).toBe(1)
})

test('a cut socket is nothing to the lobby', async () => {
  const table = await (await (await new Table().enter()).arrive()).up()
  table.socket.cut()
  table.world.pass(5_000)
  table.welcome(true, 2)
  expect([table.room.state, table.link.state]).toEqual(['open', 'open'])
})

test('leaving says goodbye to the server and to everyone', async () => {
  const table = await (await (await new Table().enter()).arrive()).up()
  const left = table.room.leave()
  expect([table.sent('leave').length, table.control(), table.room.state]).toEqual([1, [{ type: 'bye' }], 'gone'])
  table.replies({ type: 'ok' })
  await left
  expect(table.world.leaving).toEqual([])
})

test('leaving does not wait for a server that is gone', async () => {
  const table = await (await (await new Table().enter()).arrive()).up()
  table.socket.cut()
  await table.room.leave()
  expect([table.control(), table.room.state]).toEqual([[{ type: 'bye' }], 'gone'])
})

test('a page that goes away without a way back leaves', async () => {
  const table = await (await (await new Table().enter()).arrive()).up()
  table.world._storage = undefined
  table.world.leaving[0]!()
  expect([table.sent('leave').length, table.control()]).toEqual([1, [{ type: 'bye' }]])
})

test('messages of all links arrive in one place', async () => {
  const table = await (await (await new Table().enter()).arrive()).up()
  table.connection.channels[2]!.onmessage?.({ data: new Uint8Array([1, 104, 105]).buffer })
  expect(table.log.at(-1)).toEqual(['message', { channel: 'unreliable', data: 'hi' }, table.link])
})

test('a member that leaves the lobby of a return again leaves nobody', async () => {
  const table = await (await (await (await new Table().enter()).arrive('offer')).up()).complete()
  table.connection.becomes('failed')
  await settled()
  table.world.pass(ALONE_MS)
  table.seq = 0
  table.welcome()
  await settled()
  table.replies({ type: 'joined', lobby: { code: 'ED84', members: [] } })
  await settled()
  table.says({ type: 'link', peer: BOB, role: 'offer', polite: true })
  await settled()
  table.connection.becomes('connected')
  await table.answers()
  const { link } = table
  table.says({ type: 'left', peer: BOB, why: 'left' })
  expect([link.state, table.room.members.length, table.log.at(-1)![0]]).toEqual(['open', 2, 'complete'])
  table.says({ type: 'left', peer: BOB, why: 'kicked' })
  expect([link.state, table.room.members.length]).toEqual(['closed', 1])
})
