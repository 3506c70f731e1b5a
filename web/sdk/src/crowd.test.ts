// Two NATs that answer each check from another port: candidates without end.

import { expect, test } from 'vitest'
import { BYE_MS, CROWD, CROWD_MS } from './times.js'
import { BOB, Table } from './testing/table.js'
import { settled } from './testing/world.js'

/** From now on the connection tells of so many peer-reflexive candidates, each paired with each own one. */
function crowd(table: Table, many: number): void {
  let received = 0
  table.connection.getStats = () => Promise.resolve([
    { id: 'L', type: 'local-candidate', candidateType: 'host' },
    { id: 'M', type: 'local-candidate', candidateType: 'relay' },
    ...Array.from({ length: many }, (_, at) => ({ id: `R${at}`, type: 'remote-candidate', candidateType: 'prflx' })),
    ...Array.from({ length: 2 * many }, (_, at) => ({ id: `P${at}`, type: 'candidate-pair', localCandidateId: 'LM'[at % 2], remoteCandidateId: `R${at >> 1}`, state: 'in-progress', bytesReceived: received++ })),
  ])
}

const policy = (table: Table): RTCIceTransportPolicy | undefined => table.connection.configuration.iceTransportPolicy

test('where candidates come with checks without end, whoever offers begins anew by relays alone, and looks for all ways once that is up', async () => {
  const table = await (await new Table().enter()).arrive('offer')
  const { link, connection } = table
  crowd(table, CROWD)
  await table.answers()
  await table.pass(CROWD_MS + BYE_MS)
  expect([link.state, connection.closed, table.link.state, policy(table)]).toEqual(['closed', true, 'connecting', 'relay'])
  expect(table.sent('signal').at(-1)).toMatchObject({ kind: 'description', data: { type: 'offer', anew: 1 } })
  // What the page is told meanwhile of new credentials keeps it so.
  table.says({ type: 'ice', servers: [{ urls: ['stun:192.0.2.2'] }], expires: 3600 })
  expect([table.connection.configuration.iceServers?.length, policy(table)]).toEqual([1, 'relay'])
  await table.signal('description', { type: 'answer', sdp: 'o=- 8 1 IN', offer: 1, anew: 1 })
  await table.up()
  expect([table.link.state, policy(table), table.room.peers.get(BOB) === table.link]).toEqual(['open', 'all', true])
  expect(table.log.filter(([event]) => event === 'peer').length).toBe(1)
})

test('a few of them, whoever answers, and a link that is up, are left alone', async () => {
  for (const [role, many, is] of [['offer', CROWD - 1, 'connecting'], ['answer', CROWD, 'connecting'], ['offer', CROWD, 'open']] as const) {
    const table = await (await new Table().enter()).arrive(role)
    crowd(table, many)
    if (role === 'offer') await table.answers()
    if (is === 'open') await table.up()
    await table.pass(3 * CROWD_MS)
    expect([table.world.connections.length, table.link.state], `${role}, ${many}, ${is}`).toEqual([1, is])
  }
})

test('they may come late, and while a link is mended', async () => {
  const late = await (await new Table().enter()).arrive('offer')
  await late.answers()
  await late.pass(2 * CROWD_MS)
  crowd(late, CROWD)
  await late.pass(CROWD_MS)
  expect([late.world.connections.length, policy(late)]).toEqual([2, 'relay'])

  const mended = await (await (await new Table().enter()).arrive('offer')).up()
  mended.connection.becomes('failed')
  await settled()
  mended.replies({ type: 'pong' })
  crowd(mended, CROWD)
  await mended.pass(CROWD_MS)
  expect([mended.world.connections.length, policy(mended)]).toEqual([2, 'relay'])
})

test('whoever answers one that begins anew waits no longer than for the first', async () => {
  const table = await (await new Table().enter()).arrive('answer')
  await table.signal('description', { type: 'offer', sdp: 'o=- 9 1 IN' })
  await table.pass(2_000)
  await table.signal('description', { type: 'offer', sdp: 'o=- 8 1 IN', anew: 1 })
  expect(table.world.connections.length).toBe(2)
  await table.pass(17_900, 100)
  expect(table.link.state).toBe('connecting')
  await table.pass(200)
  expect(table.link.state).toBe('failed')
})
