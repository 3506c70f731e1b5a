// A lobby belongs to people: what outlives the page, who is away and back, and what becomes of the links.

import { expect, test } from 'vitest'
import { AWAY_MS, MEND_MS, RELOAD_MS } from './times.js'
import { RUNS_MAX, type Room } from './lobby.js'
import { BOB, ME, SERVERS, Table } from './testing/table.js'
import { settled } from './testing/world.js'

const up = async (): Promise<Table> => (await (await new Table().enter()).arrive()).up()
const kept = (table: Table): unknown => JSON.parse(table.world.kept.get('twocan chess') ?? 'null')
const joined = (fields: object = {}): object => ({
  type: 'joined',
  peer: ME,
  lobby: {
    code: 'ED84', public: false, password: false, locked: false, sealed: false, size: 2, owner: BOB, data: { map: 'dust' },
    members: [{ peer: BOB, me: {} }, { peer: ME, me: {} }],
  },
  ...fields,
})

test('the way back is kept while there is a seat, and the newest of them', async () => {
  const table = await up()
  expect(kept(table)).toEqual({ ticket: 'ticket-of-me', data: {}, me: {} })
  table.says({ type: 'updated', lobby: { code: 'ED84', owner: ME, data: { map: 'ice' }, members: table.room.members } })
  expect(kept(table)).toMatchObject({ data: { map: 'ice' } })
  await table.complete()
  expect(kept(table)).toMatchObject({ ticket: table.room.ticket })
  expect(table.room.ticket).not.toBe('ticket-of-me')
  void table.room.leave()
  expect([kept(table), table.room.ticket]).toEqual([null, ''])
})

test('a page that goes away says so, and does not leave', async () => {
  const table = await up()
  table.world.leaving[0]!()
  expect([table.sent('leave').length, table.control()]).toEqual([0, [{ type: 'away' }]])
  expect(kept(table)).not.toBeNull()
})

test('a page that is reloaded has its seat again, and is linked by the server', async () => {
  const table = new Table()
  table.world.kept.set('twocan chess', JSON.stringify({ ticket: 'kept', data: { map: 'dust' } }))
  const asked = table.net.rejoin()
  table.welcome()
  await settled()
  expect(table.socket.sent.at(-1)).toMatchObject({ type: 'return', ticket: 'kept', data: { map: 'dust' }, run: 1 })
  table.replies(joined({ ticket: 'next' }))
  const room = (await asked) as Room
  expect([room.state, room.me, room.owner, room.members.length, kept(table)]).toEqual(['open', ME, BOB, 2, { ticket: 'next', data: { map: 'dust' }, me: {} }])
  table.says({ type: 'ice', servers: SERVERS, expires: 60 })
  table.says({ type: 'link', peer: BOB, role: 'answer', polite: false, run: 9 })
  expect([...room.peers.keys()]).toEqual([BOB])
})

test('where nothing is kept nothing is asked', async () => {
  const table = new Table()
  expect(await table.net.rejoin()).toBeUndefined()
  expect(table.world.sockets.length).toBe(0)
})

test.each(['bad-ticket', 'kicked', 'full', 'locked', 'sealed'])('where the seat is gone (%s) there is nothing to come back to, and it is forgotten', async (code) => {
  const table = new Table()
  table.world.kept.set('twocan chess', '{"ticket":"kept"}')
  const asked = table.net.rejoin()
  table.welcome()
  await settled()
  table.replies({ type: 'error', code, message: '' })
  expect([await asked, kept(table)]).toEqual([undefined, null])
})

test('what may be had another time is kept, and a ticket of the program is refused with the word of the server', async () => {
  for (const [ticket, code] of [[undefined, 'rate-limited'], ['mine', 'bad-ticket']] as const) {
    const table = new Table()
    table.world.kept.set('twocan chess', '{"ticket":"kept"}')
    const asked = table.net.rejoin(ticket)
    table.welcome()
    await settled()
    table.replies({ type: 'error', code, message: '' })
    await expect(asked).rejects.toMatchObject({ code })
    expect(kept(table)).toEqual({ ticket: 'kept' })
  }
})

test('a server that has forgotten us gives us our seat again, and the lobby goes on', async () => {
  const table = await up()
  table.socket.cut()
  table.world.pass(5_000)
  table.seq = 0
  table.welcome(false)
  table.replies(joined({ ticket: 'next', lobby: { ...(joined() as { lobby: object }).lobby, members: [{ peer: ME, me: {} }, { peer: 'CCCCCCCC', me: {} }] } }))
  await settled()
  expect([table.room.state, table.link.state, table.room.ticket]).toEqual(['open', 'open', 'next'])
  expect(table.log.slice(-3)).toEqual([['leave', { peer: BOB, me: { name: 'Bob' } }, 'lost'], ['arrive', { peer: 'CCCCCCCC', me: {} }], ['update']])
})

test('away and back are told once each, with what the member says of itself now', async () => {
  const table = await up()
  table.log = []
  for (const _ of [1, 2]) table.says({ type: 'away', peer: BOB })
  table.says({ type: 'back', member: { peer: BOB, me: { name: 'Bert' } } })
  expect(table.log.map(([event]) => event)).toEqual(['away', 'back'])
  expect(table.room.members[1]).toEqual({ peer: BOB, me: { name: 'Bert' }, away: false })
})

test('another run of the other page has another link, and the one before is closed without a word of leaving', async () => {
  const table = await up()
  const before = table.link
  table.log = []
  table.says({ type: 'link', peer: BOB, role: 'offer', polite: true, run: 2 })
  expect([before.state, table.link === before, table.link.state]).toEqual(['closed', false, 'connecting'])
  // The same run again: that link is meant.
  const second = table.link
  table.says({ type: 'link', peer: BOB, role: 'offer', polite: true, run: 2 })
  expect(table.link).toBe(second)
  expect(table.log.some(([event]) => event === 'leave')).toBe(false)
})

test('after the start a page that is reloaded is away, is waited for at the server, and is back', async () => {
  const table = await (await up()).complete()
  table.log = []
  await table.bobSays({ type: 'away' })
  // As the end of its page does.
  table.connection.channels[0]!.onclose?.()
  expect([table.link.state, table.log.map(([event]) => event)]).toEqual(['mending', ['away']])
  table.world.pass(1_000)
  table.seq = 0
  table.welcome()
  await settled()
  expect(table.socket.sent.at(-1)).toMatchObject({ type: 'return', run: 1 })
  table.replies(joined())
  await settled()
  table.says({ type: 'ice', servers: SERVERS, expires: 60 })
  table.says({ type: 'link', peer: BOB, role: 'answer', polite: false, run: 3 })
  await table.up()
  expect(table.log.map(([event]) => event).filter((event) => event !== 'state')).toEqual(['away', 'peer', 'back'])
})

test('after the start a page that is closed and does not come back has left', async () => {
  const table = await (await up()).complete()
  await table.bobSays({ type: 'away' })
  table.world.pass(RELOAD_MS)
  expect(table.log.at(-1)).toMatchObject(['leave', { peer: BOB }, 'lost'])
  expect(table.room.peers.size).toBe(0)
})

test('after the start one that could not be reached is waited for', async () => {
  const table = await (await up()).complete()
  table.connection.becomes('failed')
  table.world.pass(MEND_MS + 1_000)
  expect([table.link.state, table.room.members[1]!.away, table.room._mending()]).toEqual(['failed', true, true])
  table.world.pass(AWAY_MS)
  expect(table.room._mending()).toBe(false)
})

test('a completed lobby is returned to by another run of the page', async () => {
  const table = new Table()
  table.world.kept.set('twocan chess', '{"ticket":"of the end"}')
  const asked = table.net.rejoin()
  table.welcome()
  await settled()
  table.replies(joined({ lobby: { ...(joined() as { lobby: object }).lobby, members: [{ peer: ME, me: {} }] } }))
  const room = (await asked) as Room
  table.room = room
  expect([room.state, room.ticket, kept(table)]).toEqual(['complete', 'of the end', { ticket: 'of the end', data: { map: 'dust' }, me: {} }])
  table.says({ type: 'ice', servers: SERVERS, expires: 60 })
  table.says({ type: 'arrived', member: { peer: BOB, me: {} } })
  table.says({ type: 'link', peer: BOB, role: 'answer', polite: false, run: 9 })
  expect(room.members.length).toBe(2)
  table.says({ type: 'complete', ticket: 'newer', ice: { servers: SERVERS, expires: 60 } })
  expect([room.state, room.ticket]).toEqual(['complete', 'newer'])
})

test('who reloads without end is let go of, before the browser has no more connections', async () => {
  const table = await up()
  for (let run = 2; run < 2 * RUNS_MAX; run++) table.says({ type: 'link', peer: BOB, role: 'offer', polite: true, run })
  // Nor where each is closed before the next.
  for (let run = 0; run < 50; run++) {
    table.link?._gone()
    table.says({ type: 'link', peer: BOB, role: 'offer', polite: true, run })
  }
  expect(table.world.connections.length).toBe(1 + RUNS_MAX)
})

test('a page that said it goes, and is there all the same, is there', async () => {
  const table = await (await up()).complete()
  await table.bobSays({ type: 'away' })
  table.link._opened()
  expect([table.link.state, table.room.members[1]!.away]).toEqual(['open', false])
  table.connection.channels[0]!.onclose?.()
  expect(table.room.peers.size).toBe(0)
})
