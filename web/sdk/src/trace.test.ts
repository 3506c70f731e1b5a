// What a panel hears of a lobby.

import { expect, test } from 'vitest'
import { BOB, Table } from './testing/table.js'
import { settled } from './testing/world.js'
import { LOOK_MS, LOOK_OPEN_MS, trace, type Trace } from './trace.js'

const HOST = 'candidate:1 1 udp 2122260223 192.0.2.1 5000 typ host'

async function traced(): Promise<{ table: Table; heard: Trace[]; stop: () => void }> {
  const table = await new Table().enter()
  const heard: Trace[] = []
  return { table, heard, stop: trace(table.room, (event) => heard.push(event)) }
}

test('a panel hears what happens, with its time', async () => {
  const { table, heard } = await traced()
  table.world.pass(40)
  await table.arrive('offer')
  table.connection.tells('icecandidate', { candidate: { candidate: HOST } })
  table.connection.tells('icecandidate', { candidate: null })
  await table.signal('candidate', { candidate: HOST })
  await table.signal('end-of-candidates', null)
  await table.up()
  const candidate = { type: 'host', protocol: 'udp', address: '192.0.2.1', port: 5000 }
  expect(heard).toMatchObject([
    { at: 40, type: 'link', peer: BOB, role: 'offer', polite: true },
    { type: 'description', side: 'local', kind: 'offer' },
    { type: 'candidate', side: 'local', candidate },
    { type: 'gathered', side: 'local' },
    { type: 'candidate', side: 'remote', candidate },
    { type: 'gathered', side: 'remote' },
    { type: 'description', side: 'remote', kind: 'answer' },
    { at: 40, type: 'open', ms: 0 },
    { at: 40, type: 'state', state: 'open' },
  ])
  await table.pass(LOOK_MS)
  expect(heard.slice(9)).toMatchObject([
    { at: 240, type: 'pair', state: 'succeeded', pair: { local: { type: 'host' }, remote: { type: 'relay' } } },
    { type: 'selected', path: 'relayed' },
  ])
})

test('an answer is told as ours where the offer was theirs', async () => {
  const { table, heard } = await traced()
  await table.arrive('answer')
  await table.signal('description', { type: 'offer', sdp: 'o=- 9 1 IN' })
  expect(heard).toMatchObject([{ type: 'link' }, { type: 'description', side: 'remote', kind: 'offer' }, { type: 'description', side: 'local', kind: 'answer' }])
})

test('what the server does, a restart and a failure are told', async () => {
  const { table, heard } = await traced()
  await (await (await table.arrive('offer')).up()).complete()
  table.connection.becomes('failed')
  await settled()
  await table.pass(120_000, 1_000)
  const told = heard.flatMap((event) => (event.type === 'server' || event.type === 'state' ? event.state : event.type === 'restart' ? event.via : event.type === 'fail' ? event.reason : []))
  expect([...new Set(told)]).toEqual(['open', 'sealed', 'complete', 'closed', 'mending', 'link', 'returning', 'failed', 'signaling-lost'])
})

test('two panels hear the same, and one that has gone hears nothing more', async () => {
  const { table, heard, stop } = await traced()
  const also: Trace[] = []
  trace(table.room, (event) => also.push(event))
  await table.arrive('offer')
  await table.signal('candidate', { candidate: HOST })
  expect(also).toEqual(heard)
  const before = heard.length
  stop()
  await table.signal('candidate', { candidate: HOST })
  await table.up()
  expect([heard.length, also.filter(({ type }) => type === 'candidate').length]).toEqual([before, 2])
})

test('a link that is there already is told of from there', async () => {
  const table = await (await (await new Table().enter()).arrive()).up()
  const heard: Trace[] = []
  trace(table.room, (event) => heard.push(event))
  await table.pass(LOOK_OPEN_MS)
  expect(heard.map(({ type }) => type)).toEqual(['link', 'pair', 'selected'])
})

test('a panel remembers the pairs that are there, and tells of each once', async () => {
  const { table, heard } = await traced()
  await (await table.arrive()).up()
  for (let round = 0; round < 20; round++) {
    table.connection.way = `${round}`
    await table.pass(LOOK_OPEN_MS, LOOK_OPEN_MS)
    await table.pass(LOOK_OPEN_MS, LOOK_OPEN_MS)
  }
  const ids = heard.flatMap((event) => (event.type === 'pair' ? [event.id] : []))
  expect(ids).toEqual(Array.from({ length: 20 }, (_, round) => `${round}`))
})
