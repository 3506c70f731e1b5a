// A session over sockets that are cut and come back.

import { expect, test } from 'vitest'
import { ACK_EVERY, ATTEMPTS_MAX, BACKOFF_MS, BURST, DOUBT_MS, FRAMES_PER_SECOND, OPEN_MS, PING_MS, PONG_MS, REPLY_MS, REQUEST_BYTES_MAX, Session } from './session.js'
import { settled, World } from './testing/world.js'

const welcome = { type: 'welcome', id: 0, seq: 0, session: 'secret', peer: 'AAAAAAAA', resumed: false, received: 0 }

async function make() {
  const world = new World()
  const log: unknown[][] = []
  const session = new Session(world, 'ws://x/v1', 'chess', {
    _happening: (frame) => log.push(['happening', frame.type]),
    _refused: (signal) => log.push(['refused', signal.to]),
    _down: (attempt, inMs) => log.push(['down', attempt, inMs]),
    _up: (kept) => log.push(['up', kept]),
    _ended: (code) => log.push(['ended', code]),
  })
  const opened = session._open()
  world.socket.onopen?.()
  return { world, log, session, opened }
}

async function ready() {
  const made = await make()
  made.world.socket.says(welcome)
  await made.opened
  return made
}

/** Cuts the socket and brings the next one up to its hello. */
function reconnect(world: World): void {
  world.socket.cut()
  world.pass(5_000)
  world.socket.onopen?.()
}

test('the address says hello, and carries the application', async () => {
  const { world, session } = await ready()
  expect(world.socket.sent).toEqual([{ type: 'hello', id: 0, app: 'chess' }])
  expect(session._peer).toBe('AAAAAAAA')
})

test('requests are numbered from 1, and each reply finds its own', async () => {
  const { world, session } = await ready()
  const first = session._request({ type: 'leave' }, (reply) => reply.type)
  const second = session._request({ type: 'kick', peer: 'B' }, (reply) => reply.type)
  expect(world.socket.sent.slice(1)).toEqual([
    { type: 'leave', id: 1, ack: 0 },
    { type: 'kick', peer: 'B', id: 2, ack: 0 },
  ])
  world.socket.says({ type: 'error', id: 1, seq: 1, code: 'not-in-lobby', message: 'no' })
  world.socket.says({ type: 'ok', id: 2, seq: 2 })
  await expect(first).rejects.toMatchObject({ code: 'not-in-lobby', message: 'no' })
  expect(await second).toBe('ok')
})

test('a secret never goes into an address', async () => {
  const { world } = await ready()
  reconnect(world)
  expect(world.urls).toEqual(['ws://x/v1?app=chess', 'ws://x/v1'])
})

test('after a cut the session is resumed, and only what was not handled is sent again', async () => {
  const { world, log, session } = await ready()
  for (const type of ['one', 'two', 'three']) session._note({ type })
  world.socket.says({ type: 'owner', peer: 'B', seq: 1 })
  reconnect(world)
  expect(world.socket.sent).toEqual([{ type: 'hello', id: 0, app: 'chess', resume: { session: 'secret', seq: 1 } }])
  session._note({ type: 'four' })
  world.socket.says({ ...welcome, seq: 2, resumed: true, received: 2 })
  expect(world.socket.sent.slice(1).map((frame) => [frame.type, frame.id])).toEqual([['three', 3], ['four', 4]])
  world.socket.says({ type: 'owner', peer: 'B', seq: 1 })
  world.socket.says({ type: 'owner', peer: 'C', seq: 2 })
  expect(log).toEqual([['happening', 'owner'], ['down', 1, 250], ['up', true], ['happening', 'owner']])
})

test('a new session in place of the old one is asked again only for what means the same there', async () => {
  const { world, log, session } = await ready()
  const create = session._request({ type: 'create' }, (reply) => reply.type, true)
  const kick = session._request({ type: 'kick' }, (reply) => reply.type)
  session._note({ type: 'signal' })
  reconnect(world)
  world.socket.says({ ...welcome, session: 'other', peer: 'BBBBBBBB' })
  await expect(kick).rejects.toMatchObject({ code: 'session-lost' })
  expect(world.socket.sent.slice(1).map((frame) => [frame.type, frame.id])).toEqual([['create', 1]])
  world.socket.says({ type: 'joined', id: 1, seq: 1, lobby: {} })
  expect([await create, log.at(-1)]).toEqual(['joined', ['up', false]])
})

test.each([1000, 1002, 1007, 1009, 4000, 4001])('close code %i is the end', async (code) => {
  const { world, log, session } = await ready()
  const waiting = session._request({ type: 'leave' }, () => {})
  world.socket.cut(code)
  await expect(waiting).rejects.toMatchObject({ code: 'closed' })
  expect([log, world.timers.length]).toEqual([[['ended', code]], 0])
})

test('a socket that was given up, and gets through after the one in its place, does not end the session; any other does', async () => {
  const { world, log } = await ready()
  for (const [before, ends] of [[1006, false], [4001, true]] as const) {
    world.socket.cut(before)
    world.pass(5_000)
    if (!ends) {
      world.socket.says({ type: 'welcome', id: 0, seq: 0, session: 'secret', peer: 'AAAAAAAA', resumed: true, received: 0 })
      world.socket.cut(4001)
    }
    expect(log.at(-1)?.[0]).toBe(ends ? 'ended' : 'down')
    world.pass(250)
  }
})

test('waits double up to five seconds, and end after enough of them', async () => {
  const { world, log } = await ready()
  while (log.at(-1)?.[0] !== 'ended') {
    world.socket.cut()
    world.pass(5_000)
  }
  const waits = log.filter((entry) => entry[0] === 'down').map((entry) => entry[2])
  expect(waits.slice(0, 7)).toEqual([250, 500, 1000, 2000, 4000, 5000, 5000])
  expect(waits.length).toBe(ATTEMPTS_MAX)
})

test.each([4003, 4004])('close code %i is given time', async (code) => {
  const { world, log } = await ready()
  world.socket.cut(code)
  expect(log).toEqual([['down', 1, 5_000]])
})

test.each([
  [1006, 'unreachable'],
  [4004, 'server-full'],
])('a first socket closed with %i rejects with %s', async (code, error) => {
  const { world, opened } = await make()
  world.socket.cut(code)
  await expect(opened).rejects.toMatchObject({ code: error })
})

test('a server that never says welcome is given up', async () => {
  const { world, opened } = await make()
  world.pass(OPEN_MS)
  await expect(opened).rejects.toMatchObject({ code: 'unreachable' })
  expect(world.socket.closed).toBe(1005)
})

test('a hello that is refused rejects with the reason', async () => {
  const { world, opened } = await make()
  world.socket.says({ type: 'error', id: 0, code: 'bad-value', message: 'app' })
  await expect(opened).rejects.toMatchObject({ code: 'bad-value' })
})

test('a silent socket is asked, then given up', async () => {
  const { world, log } = await ready()
  world.pass(PING_MS)
  expect(world.socket.sent.at(-1)).toMatchObject({ type: 'ping' })
  world.socket.says({ type: 'pong', id: 1, seq: 1 })
  world.pass(PING_MS + PONG_MS)
  // 1000 would be a goodbye, and end the seat that we come back for.
  expect([log, world.socket.closed]).toEqual([[['down', 1, 250]], 1005])
})

test('closing here is a goodbye', async () => {
  const { world, session } = await ready()
  session._close()
  expect(world.socket.closed).toBe(1000)
})

test('many frames received are acknowledged without being asked', async () => {
  const { world } = await ready()
  for (let seq = 1; seq <= ACK_EVERY; seq++) world.socket.says({ type: 'owner', peer: 'B', seq })
  expect(world.socket.sent.at(-1)).toEqual({ type: 'ping', id: 1, ack: ACK_EVERY })
})

test('frames go no faster than the server allows', async () => {
  const { world, session } = await ready()
  for (let index = 0; index < BURST + 50; index++) session._note({ type: 'signal' })
  expect(world.socket.sent.length - 1).toBe(BURST)
  world.pass(1_000)
  expect(world.socket.sent.length - 1 - BURST).toBeGreaterThanOrEqual(FRAMES_PER_SECOND - 2)
  expect(world.socket.sent.length - 1 - BURST).toBeLessThanOrEqual(FRAMES_PER_SECOND)
})

test('a reply that comes too late is not waited for, and its lobby is left', async () => {
  const { world, session } = await ready()
  const create = session._request({ type: 'create' }, () => 'lobby')
  for (let waited = 0; waited < REPLY_MS; waited += 5_000) {
    world.socket.says({ type: 'owner', peer: 'B', seq: 1 + waited })
    world.pass(5_000)
  }
  await expect(create).rejects.toMatchObject({ code: 'timeout' })
  world.socket.says({ type: 'joined', id: 1, seq: 99_999, lobby: {} })
  await settled()
  expect(world.socket.sent.at(-1)).toMatchObject({ type: 'leave' })
})

test('a request that no frame holds is refused here, and ends nothing', async () => {
  const { world, session } = await ready()
  // Two bytes a letter: it is bytes that count.
  const frame = (bytes: number) => ({ type: 'update', x: 'é'.repeat((bytes - '{"type":"update","x":""}'.length) / 2) })
  await expect(session._request(frame(REQUEST_BYTES_MAX + 2), () => {})).rejects.toMatchObject({ code: 'bad-value' })
  expect(world.socket.sent.length).toBe(1)
  session._nextId = session._seq = Number.MAX_SAFE_INTEGER - 1
  void session._request(frame(REQUEST_BYTES_MAX), () => {}).catch(() => {})
  expect(new TextEncoder().encode(JSON.stringify(world.socket.sent[1])).length).toBeLessThanOrEqual(16_384)
  expect(world.timers.length).toBe(2)
})

test('where the network may be another one, a socket that does not answer soon is given up', async () => {
  const { world, log } = await ready()
  world.changing.forEach((then) => then())
  expect(world.socket.sent.at(-1)).toMatchObject({ type: 'ping' })
  world.pass(DOUBT_MS - 1)
  expect(log).toEqual([])
  world.pass(1)
  expect(log).toEqual([['down', 1, BACKOFF_MS]])
  // And the next one need not be waited for, where it may be another one again.
  const before = world.sockets.length
  world.changing.forEach((then) => then())
  expect(world.sockets.length).toBe(before + 1)
  world.pass(BACKOFF_MS)
  expect(world.sockets.length, 'dialled once').toBe(before + 1)
})

test('one that answers is kept, and nobody listens after the end', async () => {
  const { world, log, session } = await ready()
  world.changing.forEach((then) => then())
  world.socket.says({ type: 'pong', seq: 1, id: world.socket.sent.at(-1)!.id })
  world.pass(DOUBT_MS)
  expect(log).toEqual([])
  session._close()
  expect(world.changing).toEqual([])
})

test('a signal that is refused is told of', async () => {
  const { world, log, session } = await ready()
  session._note({ type: 'signal', to: 'BBBBBBBB', kind: 'description', data: {} })
  session._note({ type: 'linked', peer: 'BBBBBBBB' })
  for (const [seq, id] of [[1, 1], [2, 2]]) world.socket.says({ type: 'error', code: 'no-link', message: '', seq, id })
  expect(log).toEqual([['refused', 'BBBBBBBB']])
})
