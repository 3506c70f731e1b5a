// Our side of the server: sessions as they are needed, the lobby and the list that hang on them.

import { expect, test, vi } from 'vitest'
import { Table } from './testing/table.js'
import { settled } from './testing/world.js'

test('what is asked goes out as the protocol says', async () => {
  const table = new Table({ me: { name: 'Ada' } })
  const ask = (): void => {
    void table.net.create({ public: true, size: 2, password: 'pw', data: { map: 'dust' } }).catch(() => {})
    void table.net.join('ed84', { password: 'pw', me: { name: 'Eve' } }).catch(() => {})
    void table.net.quick({ map: 'dust' }).catch(() => {})
  }
  ask()
  table.welcome()
  await settled()
  expect(table.world.sockets.length).toBe(1)
  expect(table.socket.sent.slice(1)).toEqual([
    { type: 'create', public: true, size: 2, password: 'pw', data: { map: 'dust' }, me: { name: 'Ada' }, run: 1, id: 1, ack: 0 },
    { type: 'join', code: 'ed84', password: 'pw', me: { name: 'Eve' }, run: 1, id: 2, ack: 0 },
    { type: 'quick', filter: { map: 'dust' }, data: { map: 'dust' }, me: { name: 'Ada' }, run: 1, id: 3, ack: 0 },
  ])
})

test('events right behind the reply are not missed', async () => {
  const table = await (await new Table().enter()).arrive()
  expect(table.room.members.length).toBe(2)
})

test('after a complete lobby the next call starts a new session', async () => {
  const table = await (await (await (await new Table().enter()).arrive()).up()).complete()
  const { room } = table
  table.seq = 0
  await table.enter()
  expect(table.world.sockets.length).toBe(2)
  expect([room.state, room.peers.size]).toEqual(['complete', 1])
  table.net.close()
  expect([table.room.state, room.state, [...room.peers.values()][0]!.state]).toEqual(['gone', 'complete', 'open'])
})

test('the list is live, and asked again by a new session', async () => {
  const table = new Table()
  const asked = table.net.lobbies({ map: 'dust' })
  table.welcome()
  await vi.dynamicImportSettled()
  expect(table.sent('list')).toMatchObject([{ filter: { map: 'dust' }, watch: true }])
  table.replies({ type: 'lobbies', total: 0, lobbies: [] })
  const list = await asked
  table.says({ type: 'listed', lobby: { code: 'K7PX', password: true, locked: false, size: 4, members: 1, data: {} } })
  expect(list.all().map((lobby) => lobby.code)).toEqual(['K7PX'])
  table.socket.cut()
  table.world.pass(5_000)
  table.seq = 0
  table.welcome()
  expect(table.sent('list').length).toBe(1)
  table.replies({ type: 'lobbies', total: 0, lobbies: [] })
  expect(list.all()).toEqual([])
  list.close()
  expect(table.sent('unwatch').length).toBe(1)
})

test('a list is asked for by pages, and again by the same', async () => {
  const table = new Table()
  const asked = table.net.lobbies({}, { sort: 'fullest', skip: 100 })
  table.welcome()
  await vi.dynamicImportSettled()
  expect(table.sent('list')).toMatchObject([{ filter: {}, sort: 'fullest', skip: 100, watch: true }])
  table.replies({ type: 'lobbies', total: 101, lobbies: [] })
  expect((await asked).total).toBe(101)
  table.socket.cut()
  table.world.pass(5_000)
  table.seq = 0
  table.welcome()
  expect(table.sent('list')).toMatchObject([{ sort: 'fullest', skip: 100 }])
})

test('a page whose host does not have the list says so', async () => {
  vi.doMock('./list.js', () => {
    throw new Error('404')
  })
  const asked = new Table().net.lobbies()
  await expect(asked).rejects.toMatchObject({ code: 'unreachable', message: 'No list.' })
  vi.doUnmock('./list.js')
})

test('entering a lobby ends the list', async () => {
  const table = new Table()
  const asked = table.net.lobbies()
  table.welcome()
  await vi.dynamicImportSettled()
  table.replies({ type: 'lobbies', total: 0, lobbies: [] })
  const list = await asked
  let ended = 0
  list.on('close', () => ended++)
  const joining = table.net.join('ED84')
  await settled()
  table.replies({ type: 'joined', lobby: { code: 'ED84', members: [] } })
  await joining
  list.close()
  expect([ended, table.sent('unwatch').length]).toEqual([1, 0])
})

test('the page is told of a server that goes and comes', async () => {
  const table = await new Table().enter()
  const heard: unknown[][] = []
  for (const event of ['reconnecting', 'resumed', 'closed'] as const) table.net.on(event, (...args: unknown[]) => heard.push([event, ...args]))
  table.socket.cut()
  table.world.pass(250)
  table.welcome(true, 1)
  table.net.close()
  expect(heard).toEqual([['reconnecting', 1, 250], ['resumed', true], ['closed', 1000, 'closed']])
})

test('a lobby may be made right after the last one is complete', async () => {
  const table = await (await (await new Table().enter()).arrive()).up()
  const first = table.socket
  table.says({ type: 'sealed', within: 30 })
  table.says({ type: 'complete', ticket: 'ticket', ice: { servers: [], expires: 1 } })
  const entering = table.enter()
  expect(table.world.sockets.length).toBe(2)
  await entering
  first.cut(1000)
  table.says({ type: 'arrived', member: { peer: 'CCCCCCCC', me: {} } })
  expect([table.room.state, table.room.members.length]).toEqual(['open', 2])
})

test('the end of the last session takes nothing from the next', async () => {
  const table = await (await (await new Table().enter()).arrive()).up()
  const { room } = table
  const old = room._session!
  table.says({ type: 'complete', ticket: 'ticket', ice: { servers: [], expires: 1 } })
  table.seq = 0
  await table.enter()
  old._close()
  expect([table.room.state, room.state]).toEqual(['open', 'complete'])
  table.says({ type: 'arrived', member: { peer: 'CCCCCCCC', me: {} } })
  expect(table.room.members.length).toBe(2)
})

test('closing while the first socket opens ends that', async () => {
  const table = new Table()
  const create = table.net.create()
  table.net.close()
  await expect(create).rejects.toMatchObject({ code: 'closed' })
  table.welcome()
  await settled()
  expect([table.socket.closed, table.socket.sent.filter((frame) => frame.type === 'create'), table.world.timers]).toEqual([1000, [], []])
})
