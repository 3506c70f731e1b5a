// One link: negotiation, channels, mending, and the word for a failure.

import { expect, test, vi } from 'vitest'
import { ALONE_MS, BEAT_MS, BEAT_MS_MAX, BYE_MS, CONNECT_MS, CONTROL_COST, FALTER_MS, LOOK_BEAT_MS, MEND_MS, PROBES, PROBE_MS, RELAY_MS, REPLY_MS, RESTART_MS, SECOND_MS, SILENCE_MS, STEPS_MAX } from './times.js'
import { CONTROL_BYTES_MAX, PIECE_BYTES_MAX } from './framing.js'
import { COST_MAX, COST_PER_SECOND } from './lobby.js'
import { CANDIDATES_MAX, DESCRIPTIONS_MAX, DESCRIPTIONS_MS } from './signals.js'
import { BOB, SERVERS, Table } from './testing/table.js'
import { settled } from './testing/world.js'

const HOST = 'candidate:1 1 udp 2122260223 192.0.2.5 4000 typ host'
const RELAY = 'candidate:2 1 udp 41885439 198.51.100.7 5000 typ relay raddr 0.0.0.0 rport 0'

test('whoever has the role makes the offer, the other waits for it', async () => {
  const offers = await (await new Table().enter()).arrive('offer')
  expect(offers.sent('signal')).toMatchObject([{ to: BOB, kind: 'description', data: { type: 'offer' } }])
  const answers = await (await new Table().enter()).arrive('answer')
  expect(answers.sent('signal')).toEqual([])
  await answers.signal('description', { type: 'offer', sdp: 'o=- 9 1 IN' })
  expect(answers.sent('signal')).toMatchObject([{ kind: 'description', data: { type: 'answer' } }])
})

test('the connection uses the servers that were pushed, and those that are renewed', async () => {
  const table = await (await new Table({ iceTransportPolicy: 'relay', iceServers: [{ urls: 'stun:own' }] }).enter()).arrive()
  expect(table.connection.configuration).toEqual({ iceServers: [...SERVERS, { urls: 'stun:own' }], iceTransportPolicy: 'relay' })
  table.says({ type: 'ice', servers: [], expires: 3600 })
  expect(table.connection.configuration.iceServers).toEqual([{ urls: 'stun:own' }])
})

test('channels are negotiated by number, the own ones in the order of their names', async () => {
  const table = await (await new Table({ channels: { b: {}, a: { maxPacketLifeTime: 9 }, B: {} } }).enter()).arrive()
  expect(table.connection.channels.map((channel) => [channel.label, channel.options.id, channel.options.negotiated])).toEqual([
    ['twocan', 0, true], ['reliable', 1, true], ['unreliable', 2, true], ['B', 3, true], ['a', 4, true], ['b', 5, true],
  ])
  expect(table.connection.channels[2]!.options).toMatchObject({ ordered: false, maxRetransmits: 0 })
  await expect(table.link.send('twocan', 1)).rejects.toMatchObject({ code: 'no-channel' })
})

test('candidates trickle with their class, both ways', async () => {
  const table = await (await new Table().enter()).arrive()
  table.connection.onicecandidate?.({ candidate: { candidate: HOST, toJSON: () => ({ candidate: HOST }) } })
  table.connection.onicecandidate?.({ candidate: null })
  expect(table.sent('signal')).toMatchObject([
    { kind: 'candidate', class: 'host', data: { candidate: HOST } },
    { kind: 'end-of-candidates' },
  ])
  await table.signal('candidate', { candidate: HOST })
  await table.signal('end-of-candidates', null)
  expect(table.connection.candidates).toEqual([{ candidate: HOST }, undefined])
})

/** What Bob is told and what the browser takes, once a table has gathered and heard these. */
async function exchanged(table: Table, lines: string[]): Promise<[told: unknown[], taken: unknown[]]> {
  for (const candidate of lines) {
    table.connection.onicecandidate?.({ candidate: { candidate, toJSON: () => ({ candidate }) } })
    await table.signal('candidate', { candidate })
  }
  table.connection.onicecandidate?.({ candidate: null })
  await table.signal('end-of-candidates', null)
  return now(table)
}

function now(table: Table): [told: unknown[], taken: unknown[]] {
  return [table.sent('signal').map((frame) => frame.class ?? frame.kind), table.connection.candidates.map((each) => (each as RTCIceCandidateInit | undefined)?.candidate)]
}

test('where the browser would stay with a relay, relays come later, and the end behind them', async () => {
  const table = new Table()
  table.world._stays = true
  await (await table.enter()).arrive('offer')
  expect(await exchanged(table, [HOST, RELAY])).toEqual([['description', 'host'], [HOST]])
  table.world.pass(RELAY_MS - 1)
  expect(now(table)).toEqual([['description', 'host'], [HOST]])
  table.world.pass(1)
  expect(now(table)).toEqual([['description', 'host', 'relay', 'end-of-candidates'], [HOST, RELAY, undefined]])
})

test.each([
  ['another browser', false, 'offer', [HOST, RELAY]],
  ['one that does not decide', true, 'answer', [HOST, RELAY]],
  ['one that has nothing but relays', true, 'offer', [RELAY]],
] as const)('in %s relays come at once', async (_, stays, role, lines) => {
  const table = new Table()
  table.world._stays = stays
  await (await table.enter()).arrive(role)
  const [told, taken] = await exchanged(table, [...lines])
  expect(told.slice(-2)).toEqual(['relay', 'end-of-candidates'])
  expect(taken).toEqual([...lines, undefined])
})

test('a link that was closed meanwhile tells of no relay', async () => {
  const table = new Table()
  table.world._stays = true
  await (await table.enter()).arrive('offer')
  await exchanged(table, [HOST, RELAY])
  table.link.close()
  table.world.pass(RELAY_MS)
  expect(now(table)).toEqual([['description', 'host'], [HOST]])
})

test('when offers cross, the polite side yields and the other passes over', async () => {
  const polite = await (await new Table().enter()).arrive('offer')
  await polite.signal('description', { type: 'offer', sdp: 'o=- 9 1 IN' })
  expect(polite.sent('signal').at(-1)).toMatchObject({ data: { type: 'answer' } })
  const impolite = await (await (await new Table().enter()).arrive('answer')).up()
  impolite.link._restart()
  await settled()
  await impolite.signal('description', { type: 'offer', sdp: 'o=- 9 1 IN' })
  expect(impolite.sent('signal').map((frame) => (frame.data as { type: string }).type)).toEqual(['offer'])
})

test('an offer that was overtaken on its way is passed over', async () => {
  const table = await (await new Table().enter()).arrive('answer')
  await table.signal('description', { type: 'offer', sdp: 'o=- 9 5 IN' })
  await table.signal('description', { type: 'offer', sdp: 'o=- 9 4 IN' })
  expect(table.connection.remoteDescription?.sdp).toBe('o=- 9 5 IN')
})

test('candidates within a description count as those that follow it: the relay is to blame, not the other side', async () => {
  const failed = async (sdp: string): Promise<unknown> => {
    const table = await (await new Table().enter()).arrive('answer')
    table.link._local.add('host')
    table.link._turnError = 401
    await table.signal('description', { type: 'offer', sdp })
    for (let passed = 0; passed < CONNECT_MS; passed += 5_000) {
      table.says({ type: 'owner', peer: BOB })
      table.world.pass(5_000)
    }
    return (table.sent('failed').at(-1) as { reason?: string } | undefined)?.reason
  }
  expect(await failed('o=- 9 1 IN\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n')).toBe('turn-rejected')
  expect(await failed('o=- 9 1 IN\r\n')).toBe('no-remote-candidates')
})

test('the link is up with its first channel, and is told to the server once', async () => {
  const table = await (await new Table().enter()).arrive()
  table.world.pass(212)
  await table.up()
  expect(table.log.filter(([event]) => event === 'peer').length).toBe(1)
  expect(table.sent('linked')).toMatchObject([{ peer: BOB, path: 'relayed', local: 'host', remote: 'relay', ms: 212 }])
  expect([table.link.state, table.link.connectMs]).toEqual(['open', 212])
})

test('a link that does not come up in time fails, and says why', async () => {
  const table = await (await new Table().enter()).arrive()
  table.link._local.add('host')
  for (let passed = 0; passed < CONNECT_MS; passed += 5_000) {
    table.says({ type: 'owner', peer: BOB })
    table.world.pass(5_000)
  }
  expect(table.log.at(-1)).toMatchObject(['fail', { peer: BOB, reason: 'no-remote-candidates' }])
  expect(table.sent('failed')).toMatchObject([{ peer: BOB, reason: 'no-remote-candidates' }])
  table.link.retry()
  expect([table.link.state, table.connection.restarts]).toEqual(['connecting', 0])
  table.world.pass(RESTART_MS / 2)
  expect(table.connection.restarts).toBe(1)
})

test('a device without any address fails at once', async () => {
  const table = await (await new Table().enter()).arrive()
  table.connection.onicecandidate?.({ candidate: null })
  expect(table.log.at(-1)).toMatchObject(['fail', { reason: 'no-candidates' }])
})

test('a description that does not fit is incompatible', async () => {
  const table = await (await new Table().enter()).arrive()
  await table.signal('description', { type: 'offer', sdp: 'bad' })
  expect(table.log.at(-1)).toMatchObject(['fail', { reason: 'incompatible' }])
})

test('a moment of silence is waited out', async () => {
  const table = await (await (await new Table().enter()).arrive('offer')).up()
  table.connection.becomes('disconnected')
  table.world.pass(FALTER_MS - 1)
  table.connection.becomes('connected')
  table.world.pass(FALTER_MS)
  expect([table.link.state, table.connection.restarts]).toEqual(['open', 0])
})

test('a link that falters is restarted over the server, and told once more when it is back', async () => {
  const table = await (await (await new Table().enter()).arrive('offer')).up()
  table.connection.becomes('disconnected')
  // The server is asked at once whether it is there.
  table.replies({ type: 'pong' })
  table.world.pass(FALTER_MS)
  await settled()
  expect([table.link.state, table.connection.restarts]).toEqual(['mending', 1])
  expect(table.sent('signal').at(-1)).toMatchObject({ data: { type: 'offer' } })
  table.connection.becomes('connected')
  await table.answers()
  expect([table.link.state, table.sent('linked').length]).toEqual(['open', 2])
})

test('while our offer is unanswered the link is not open, whatever the browser says', async () => {
  const table = await (await (await (await new Table().enter()).arrive('offer')).up()).complete()
  table.connection.becomes('disconnected')
  table.world.pass(FALTER_MS)
  await settled()
  table.connection.becomes('connected')
  expect(table.link.state).toBe('mending')
  // Nobody answers: the server is asked for.
  const before = table.world.sockets.length
  table.world.pass(ALONE_MS)
  expect(table.world.sockets.length).toBe(before + 1)
  await table.answers('link')
  expect(table.link.state).toBe('open')
})

test('while a link is mended its signals go both ways, and over the link alone to whom the server does not link us with', async () => {
  const table = await (await (await new Table().enter()).arrive('offer')).up()
  const count = (): number[] => [table.sent('signal').length, table.overLink().length]
  const gathered = (): unknown => table.connection.onicecandidate?.({ candidate: { candidate: HOST, toJSON: () => ({ candidate: HOST }) } })
  gathered()
  await settled()
  expect(count()).toEqual([2, 0])
  table.connection.carries = false
  table.connection.becomes('failed')
  gathered()
  await table.pass(400)
  table.says({ type: 'ice', servers: SERVERS, expires: 3600 })
  const sent = count()
  expect(sent[1], 'nothing has come by it').toBe(0)
  await table.bobSays({ type: 'ping' })
  await table.pass(LOOK_BEAT_MS)
  expect([table.overLink(), table.control().at(-1)], 'the other way may be dead').toEqual([[], { type: 'ping', reply: true }])
  await table.bobSays({ type: 'pong' })
  await table.pass(350)
  expect(table.overLink(), 'those of the last description').toMatchObject([{ kind: 'description', data: { type: 'offer' } }])
  await table.answers()
  table.connection.becomes('connected')
  gathered()
  await settled()
  expect([table.link.state, ...count()]).toEqual(['open', sent[0]! + 1, 1])
  // The server says that he is not there.
  table.says({ type: 'error', code: 'no-link', message: '', id: table.sent('signal').at(-1)!.id })
  gathered()
  await settled()
  // The one that was refused, and the next.
  expect(count()).toEqual([sent[0]! + 1, 3])
  table.says({ type: 'link', peer: BOB, role: 'offer', polite: true })
  gathered()
  await settled()
  expect(count()).toEqual([sent[0]! + 2, 3])
})

test('a description that the server refuses goes over the link', async () => {
  const table = await (await (await new Table().enter()).arrive('answer')).up()
  await table.signal('description', { type: 'offer', sdp: 'o=- 9 1 IN' })
  const answer = table.sent('signal').at(-1)!
  expect(answer).toMatchObject({ data: { type: 'answer', offer: 1 } })
  table.says({ type: 'error', code: 'no-link', message: '', id: answer.id })
  await settled()
  expect(table.control()).toMatchObject([{ type: 'signal', kind: 'description', data: { type: 'answer', offer: 1 } }])
})

test('an answer that the server refuses when the link falters again goes over the link', async () => {
  const table = await (await (await new Table().enter()).arrive('answer')).up()
  await table.signal('description', { type: 'offer', sdp: 'o=- 9 1 IN' })
  const answer = table.sent('signal').at(-1)!
  table.connection.becomes('failed')
  table.says({ type: 'error', code: 'no-link', message: '', id: answer.id })
  await table.bobSays({ type: 'ping' })
  await table.pass(LOOK_BEAT_MS)
  await table.bobSays({ type: 'pong' })
  await table.pass(350)
  expect(table.overLink()).toMatchObject([{ kind: 'description', data: { type: 'answer', offer: 1 } }])
})

test('what the server refuses before a link is up does not wait for it', async () => {
  const table = await (await new Table().enter()).arrive('offer')
  table.says({ type: 'error', code: 'no-link', message: '', id: table.sent('signal').at(-1)!.id })
  await settled()
  expect([table.link._named, table.link._all[0]!._queue]).toEqual([false, []])
})

test('an open link whose own offer finds no answer is mended, for it passes over theirs', async () => {
  const table = await (await (await new Table().enter()).arrive('answer')).up()
  table.link._restart()
  await settled()
  const { version } = table.connection
  await table.pass(RESTART_MS - 100)
  await table.signal('description', { type: 'offer', sdp: 'o=- 9 70 IN' })
  expect([table.link.state, table.connection.version]).toEqual(['open', version])
  await table.pass(200)
  expect([table.link.state, table.connection.version]).toEqual(['mending', version + 1])
})

test('where the other side restarts over the link and answers by another way than ours, nothing is restarted for it', async () => {
  const table = await (await (await (await new Table().enter()).arrive('answer')).up()).complete()
  const { restarts } = table.connection
  table.connection.carries = false
  for (const answers of [true, false]) {
    await table.bobSays({ type: 'signal', kind: 'description', data: { type: 'offer', sdp: `o=- 9 ${answers ? 20 : 21} IN` } })
    expect(table.control().at(-1)).toMatchObject({ type: 'ping', reply: true })
    if (answers) await table.bobSays({ type: 'pong' })
    await table.pass(LOOK_BEAT_MS)
    expect([table.link.state, table.connection.restarts]).toEqual([answers ? 'open' : 'mending', restarts])
  }
})

test('an answer to an offer before ours is passed over, and an offer that came twice is answered twice as it was', async () => {
  const table = await (await (await new Table().enter()).arrive('offer')).up()
  const { version } = table.connection
  for (let restart = 0; restart < 2; restart++) table.link._restart()
  await settled()
  await table.signal('description', { type: 'answer', sdp: 'o=- 9 7 IN', offer: version + 1 })
  expect([table.connection.signalingState, table.connection.version]).toEqual(['have-local-offer', version + 2])
  await table.signal('description', { type: 'answer', sdp: 'o=- 9 8 IN', offer: version + 2 })
  expect([table.connection.signalingState, table.connection.remoteDescription?.sdp]).toEqual(['stable', 'o=- 9 8 IN'])
  const sent = table.sent('signal').length
  for (let copy = 0; copy < 2; copy++) await table.signal('description', { type: 'offer', sdp: 'o=- 9 9 IN' })
  const answers = table.sent('signal').slice(sent)
  expect(answers.map(({ data }) => data)).toEqual(Array(2).fill(answers[0]!.data))
  expect(answers[0]).toMatchObject({ data: { type: 'answer', offer: 9 } })
  // The one before is older than what is in force.
  await table.signal('description', { type: 'offer', sdp: 'o=- 9 8 IN' })
  expect(table.sent('signal').length).toBe(sent + 2)
})

test('a silent link that does not carry is mended before the browser says so', async () => {
  const table = await (await (await new Table().enter()).arrive('offer')).up()
  await table.bobSays({ type: 'ping' })
  await table.pass(BEAT_MS)
  expect(table.control(), 'something came').toEqual([])
  table.connection.carries = false
  await table.pass(BEAT_MS)
  expect([table.link.state, table.control(), table.sent('ping').length]).toEqual(['open', [{ type: 'ping' }], 0])
  await table.pass(LOOK_BEAT_MS)
  expect([table.link.state, table.sent('ping').length], 'the server is doubted too').toEqual(['open', 1])
  await table.pass(SILENCE_MS)
  expect([table.link.state, table.control().length], 'SCTP has room for more questions').toEqual(['mending', 1])
})

test('what the page sends is held while the link does not carry, and goes a few questions after it does', async () => {
  const table = await (await (await new Table().enter()).arrive('offer')).up()
  const reliable = table.connection.channels[1]!
  await table.bobSays({ type: 'ping' })
  await table.pass(BEAT_MS)
  table.connection.carries = false
  await table.pass(BEAT_MS + 2 * LOOK_BEAT_MS)
  await table.link.send('reliable', 'x')
  expect([table.link.state, reliable.sent.length]).toEqual(['open', 0])
  table.connection.carries = true
  await table.pass(2 * LOOK_BEAT_MS)
  expect([table.link.state, reliable.sent.length]).toEqual(['open', 1])

  table.connection.carries = false
  await table.pass(2 * BEAT_MS_MAX)
  await table.link.send('reliable', 'x')
  const asked = table.control().length
  expect([table.link.state, reliable.sent.length]).toEqual(['mending', 1])
  await table.bobSays({ type: 'pong' })
  await table.pass(LOOK_BEAT_MS + PROBE_MS)
  expect(reliable.sent.length).toBe(1)
  await table.pass(LOOK_BEAT_MS + PROBES * PROBE_MS)
  expect([reliable.sent.length, table.control().filter(({ type }) => type === 'ping').length - asked]).toEqual([2, PROBES])
})

test('what was held goes as soon as the questions are through where each is answered, and the next silence is noticed as soon as any', async () => {
  const table = await (await (await new Table().enter()).arrive('answer')).up()
  const reliable = table.connection.channels[1]!
  table.connection.carries = false
  await table.pass(SILENCE_MS + 4 * BEAT_MS)
  await table.link.send('reliable', 'x')
  expect([table.link.state, reliable.sent.length]).toEqual(['mending', 0])
  table.connection.carries = true
  for (let probe = 0; probe <= PROBES; probe++) {
    await table.bobSays({ type: 'pong' })
    await table.pass(PROBE_MS, PROBE_MS / 2)
  }
  await table.pass(LOOK_BEAT_MS)
  expect([table.link.state, reliable.sent.length]).toEqual(['open', 1])
  table.connection.carries = false
  const asked = table.control().length
  await table.pass(2 * BEAT_MS)
  expect(table.control().slice(asked)).toEqual([{ type: 'ping' }])
})

test('an offer that comes over the link is answered once the way there is known to be alive', async () => {
  for (const alive of [true, false]) {
    const table = await (await (await (await new Table().enter()).arrive('answer')).up()).complete()
    if (!alive) table.connection.carries = false
    await table.bobSays({ type: 'signal', kind: 'description', data: { type: 'offer', sdp: 'o=- 9 1 IN' } })
    expect(table.overLink(), 'SCTP has room for one packet if it is not').toEqual([])
    expect(table.control().at(-1)).toEqual({ type: 'ping', reply: true })
    if (alive) await table.bobSays({ type: 'pong' })
    await table.pass(LOOK_BEAT_MS)
    expect([table.link.state, table.overLink().length]).toEqual(alive ? ['open', 1] : ['mending', 0])
  }
})

test('an offer that comes over the link of a browser that does not count is answered once the other side has answered by it', async () => {
  for (const alive of [true, false]) {
    const table = await (await (await (await new Table().enter()).arrive('answer')).up()).complete()
    table.world._counts = false
    await table.bobSays({ type: 'signal', kind: 'description', data: { type: 'offer', sdp: 'o=- 9 1 IN' } })
    expect(table.control()).toEqual([{ type: 'ping', reply: true }])
    // What the statistics say meanwhile says nothing.
    table.connection.way = 'other'
    if (alive) await table.bobSays({ type: 'pong' })
    await table.pass(LOOK_BEAT_MS)
    expect([table.link.state, table.overLink().length]).toEqual(alive ? ['open', 1] : ['mending', 0])
  }
})

test('a link that is mended is asked again where the browser takes another way', async () => {
  const table = await (await (await new Table().enter()).arrive('offer')).up()
  table.connection.carries = false
  table.connection.becomes('failed')
  await table.pass(5 * LOOK_BEAT_MS)
  expect(table.control()).toEqual([])
  table.connection.way = 'other'
  await table.pass(2 * LOOK_BEAT_MS + PROBES * PROBE_MS)
  expect(table.control()).toEqual(Array(PROBES).fill({ type: 'ping', reply: true }))
})

test('a link that is mended is open once the other side answers by it, whatever the browser says', async () => {
  const table = await (await (await new Table().enter()).arrive('offer')).up()
  table.connection.carries = false
  table.connection.becomes('failed')
  await settled()
  await table.signal('description', { type: 'answer', sdp: 'o=- 9 9 IN', offer: table.connection.version })
  table.connection.becomes('connected')
  for (let beat = 0; beat < 2; beat++) {
    table.world.pass(BEAT_MS)
    await settled()
  }
  table.connection.carries = true
  await table.pass(BEAT_MS)
  expect([table.link.state, table.control()], 'what comes says nothing of the other way').toEqual(['mending', [{ type: 'ping', reply: true }]])
  await table.bobSays({ type: 'pong' })
  expect(table.link.state).toBe('open')
})

test('where statistics do not tell what is acknowledged, the other side is asked for an answer', async () => {
  const table = new Table()
  table.world._counts = false
  await (await (await table.enter()).arrive('offer')).up()
  await table.bobSays({ type: 'ping' })
  await table.pass(2 * BEAT_MS)
  expect([table.link.state, table.control()]).toEqual(['open', [{ type: 'ping', reply: true }]])
  await table.bobSays({ type: 'pong' })
  await table.pass(BEAT_MS)
  expect(table.link.state).toBe('open')
  await table.pass(2 * BEAT_MS + REPLY_MS)
  expect(table.link.state, 'whatever is counted').toBe('mending')
})

test('what comes says nothing of what goes: it is asked for all the same where statistics do not tell', async () => {
  for (const answers of [true, false]) {
    const table = new Table()
    table.world._counts = false
    await (await (await table.enter()).arrive('offer')).up()
    let asked = 0
    for (let beat = 0; beat < 12; beat++) {
      await table.bobSays({ type: 'ping' })
      await table.pass(BEAT_MS)
      const questions = table.control().filter(({ type }) => type === 'ping').length
      if (answers && questions > asked) await table.bobSays({ type: 'pong' })
      asked = questions
    }
    expect(table.link.state).toBe(answers ? 'open' : 'mending')
    if (!answers) continue
    expect(asked, 'and not more often than it is worth').toBeLessThan(5)
    // Nor more rarely.
    await table.pass(2 * BEAT_MS + LOOK_BEAT_MS)
    expect(table.control().filter(({ type }) => type === 'ping').length).toBeGreaterThan(asked)
  }
})

test('where the browser does not live through a restart within a restart, there is none for a while, and what was offered is said again', async () => {
  for (const [stays, ours] of [[true, false], [true, true], [false, false]] as const) {
    const table = await (await (await new Table().enter()).arrive('offer')).up()
    table.world._stays = stays
    if (!ours) await table.bobSays({ type: 'signal', kind: 'description', data: { type: 'offer', sdp: 'o=- 9 2 IN' } })
    await settled()
    const before = table.connection.restarts
    table.connection.carries = false
    table.connection.becomes('failed')
    await settled()
    expect([table.link.state, table.connection.restarts - before]).toEqual(['mending', stays && !ours ? 0 : 1])
    const described = vi.spyOn(table.link, '_describe')
    await table.pass(SECOND_MS + LOOK_BEAT_MS)
    expect(table.connection.restarts - before).toBe(stays ? Number(ours) : 2)
    expect(described).toHaveBeenCalledTimes(stays ? Number(ours) : 1)
    await table.pass(3 * RESTART_MS)
    expect(table.connection.restarts - before).toBeGreaterThan(1 - Number(stays && !ours))
  }
})

test('a page that is linked anew again and again says its offer again: the answers to new ones would come too late, each', async () => {
  const table = await (await (await new Table().enter()).arrive('offer')).up()
  table.connection.carries = false
  table.connection.becomes('failed')
  await settled()
  const before = table.connection.restarts
  for (let times = 0; times < 4; times++) {
    table.says({ type: 'link', peer: BOB, role: 'offer', polite: true })
    await settled()
  }
  expect(table.connection.restarts - before, 'the first was for what the browser knew of the network then').toBe(1)
  const offers = table.sent('signal').filter(({ kind }) => kind === 'description').slice(-4).map(({ data }) => data)
  expect(offers).toEqual(Array(4).fill(offers[0]))
})

test('a question that wants an answer has one, also while the link is mended', async () => {
  const table = await (await (await new Table().enter()).arrive('offer')).up()
  table.connection.carries = false
  table.connection.becomes('failed')
  await table.bobSays({ type: 'ping', reply: true })
  expect(table.control()).toEqual([{ type: 'pong' }])
})

test('a silent link that carries is asked less and less often, until the network changes', async () => {
  const table = await (await (await new Table().enter()).arrive('offer')).up()
  for (let second = 0; second < 60; second++) {
    table.world.pass(1_000)
    await settled()
  }
  expect(table.link.state).toBe('open')
  const asked = table.control().length
  expect(asked).toBeGreaterThan(60_000 / (BEAT_MS_MAX + BEAT_MS) - 3)
  expect(asked).toBeLessThan(60_000 / BEAT_MS_MAX + 5)
  table.world.changing.forEach((then) => then())
  await settled()
  expect(table.control().length).toBe(asked + 1)
})

test('a restart that finds nothing is made again, soon and then ever later', async () => {
  const table = await (await (await new Table().enter()).arrive('offer')).up()
  table.connection.becomes('failed')
  for (const [at, wait] of [0, SECOND_MS, SECOND_MS * 2.5, SECOND_MS * 2.5 ** 2, RESTART_MS, RESTART_MS].entries()) {
    table.world.pass(wait)
    expect(table.connection.restarts).toBe(at + 1)
  }
})

test('the statistics say since when the way is used', async () => {
  const table = await (await (await new Table().enter()).arrive('offer')).up()
  await table.pass(300)
  expect((await table.link.stats()).pathMs).toBe(300)
})

test('whoever answered restarts only if the other does not', async () => {
  const table = await (await (await new Table().enter()).arrive('answer')).up()
  table.connection.becomes('failed')
  expect([table.link.state, table.connection.restarts]).toEqual(['mending', 0])
  table.world.pass(RESTART_MS / 2)
  expect(table.connection.restarts).toBe(1)
})

test('after the server was left, a restart goes over the link, then over a return by ticket', async () => {
  const table = await (await (await (await new Table().enter()).arrive('offer')).up()).complete()
  await table.bobSays({ type: 'signal', kind: 'description', data: { type: 'answer', sdp: 'o=- 9 1 IN' } })
  const before = table.world.sockets.length
  table.connection.becomes('failed')
  await table.pass(ALONE_MS)
  expect(table.world.sockets.length).toBe(before + 1)
  table.seq = 0
  table.welcome()
  await settled()
  expect(table.sent('return')).toMatchObject([{ ticket: 'ticket' }])
  table.replies({ type: 'joined', lobby: { code: 'ED84', members: [] } })
  await settled()
  table.says({ type: 'link', peer: BOB, role: 'offer', polite: true })
  await settled()
  expect(table.sent('signal')).toMatchObject([{ to: BOB, data: { type: 'offer' } }])
  table.connection.becomes('connected')
  await table.answers()
  expect(table.sent('linked').length).toBe(1)
  table.says({ type: 'complete', ticket: 'newer', ice: { servers: [], expires: 1 } })
  table.socket.cut(1000)
  expect([table.room.state, table.link.state, table.log.filter(([event]) => event === 'complete').length]).toEqual(['complete', 'open', 1])
})

test('what cannot be mended fails in the end', async () => {
  const table = await (await (await (await new Table().enter()).arrive('offer')).up()).complete()
  table.connection.becomes('failed')
  table.world.pass(MEND_MS)
  expect(table.log.at(-1)).toMatchObject(['fail', { peer: BOB, reason: 'signaling-lost' }])
  expect(table.link.state).toBe('failed')
})

test('a goodbye closes the link without mending, and after the end it is a leave', async () => {
  const table = await (await (await (await new Table().enter()).arrive()).up()).complete()
  const { link } = table
  await table.bobSays({ type: 'bye' })
  expect([link.state, table.room.peers.size, table.log.at(-1)]).toEqual(['closed', 0, ['leave', { peer: BOB, me: { name: 'Bob' } }, 'left']])
})

test('we say goodbye ourselves, and close a moment later', async () => {
  const table = await (await (await new Table().enter()).arrive()).up()
  table.link.close()
  expect([table.control(), table.connection.closed]).toEqual([[{ type: 'bye' }], false])
  table.world.pass(BYE_MS)
  expect(table.connection.closed).toBe(true)
})

test.each([1, 1023])('a peer that takes messages of %i bytes alone is incompatible', async (maxMessageSize) => {
  const table = await (await new Table().enter()).arrive()
  const { link } = table
  table.connection.sctp = { maxMessageSize }
  await table.up()
  expect([link.state, table.log.at(-1)]).toMatchObject(['closed', ['fail', { reason: 'incompatible' }]])
})

test('pieces have 1,023 bytes of content at least, even if the other side takes less meanwhile', async () => {
  const table = await (await new Table().enter()).arrive()
  table.connection.sctp = { maxMessageSize: 1024 }
  await table.up()
  expect(table.link.state).toBe('open')
  table.connection.sctp = { maxMessageSize: 1 }
  await table.link.send('reliable', new Uint8Array(2000))
  expect(table.connection.channels[1]!.sent.map((piece) => piece.length)).toEqual([1024, 978])
})

test.each(['_connection', 'createDataChannel'] as const)('a browser that refuses what %s is given fails the link', async (place) => {
  const table = await new Table().enter()
  const refuse = (): never => {
    throw new TypeError('refused')
  }
  const real = table.world._connection.bind(table.world)
  table.world._connection = place === '_connection' ? refuse : (configuration) => Object.assign(real(configuration), { createDataChannel: refuse })
  await table.arrive()
  expect(table.log.slice(-1)).toMatchObject([['fail', { reason: 'incompatible' }]])
  expect(table.sent('failed')).toMatchObject([{ peer: BOB, reason: 'incompatible' }])
  table.world.pass(BYE_MS)
  expect([table.room.peers.size, table.connection?.closed ?? true]).toEqual([0, true])
})

test('servers that the browser refuses leave a link with those it has', async () => {
  const table = await (await (await new Table().enter()).arrive()).up()
  table.connection.setConfiguration = () => {
    throw new TypeError('refused')
  }
  await table.complete()
  expect([table.room.state, table.link.state]).toEqual(['complete', 'open'])
})

test('a flood of offers is answered twenty times, and again later', async () => {
  const table = await (await new Table().enter()).arrive()
  for (let version = 1; version <= 500; version++) await table.signal('description', { type: 'offer', sdp: `o=- 9 ${version} IN` })
  expect(table.sent('signal').length).toBe(DESCRIPTIONS_MAX)
  table.world.pass(DESCRIPTIONS_MS)
  await table.signal('description', { type: 'offer', sdp: 'o=- 9 501 IN' })
  expect(table.sent('signal').length).toBe(DESCRIPTIONS_MAX + 1)
})

test.each(['server', 'link'] as const)('a flood of candidates over the %s costs so many of them, and is counted', async (way) => {
  const table = await (await (await new Table().enter()).arrive()).up()
  const signal = (kind: string, data: unknown): void =>
    way === 'server' ? table.says({ type: 'signal', from: BOB, kind, data }) : void table.bobSays({ type: 'signal', kind, data })
  // Over the link itself, more in a second closes it.
  const floods = way === 'server' ? 10_000 : CONTROL_MAX / 2
  for (let flood = 0; flood < floods; flood++) signal(flood % 2 ? 'candidate' : 'end-of-candidates', { candidate: HOST })
  expect(table.link._waiting).toBe(CANDIDATES_MAX)
  await settled()
  for (let turn = 0; turn < 50; turn++) await settled()
  expect([table.connection.candidates.length, table.link._waiting]).toEqual([CANDIDATES_MAX, 0])
  expect((await table.link.stats()).discarded).toBe(floods - CANDIDATES_MAX)
})

test('candidates that wait for their turn are limited too', async () => {
  const table = new Table()
  table.world._stays = true
  await (await table.enter()).arrive('offer')
  table.connection.onicecandidate?.({ candidate: { candidate: HOST, toJSON: () => ({ candidate: HOST }) } })
  const timers = table.world.timers.length
  for (let flood = 0; flood < 1_000; flood++) await table.signal('candidate', { candidate: RELAY })
  expect(table.world.timers.length - timers).toBe(CANDIDATES_MAX)
})

test('where the browser does not come to an end with a description, what follows is limited', async () => {
  const table = await (await new Table().enter()).arrive()
  table.connection.setRemoteDescription = () => new Promise(() => {})
  for (let version = 1; version < 100; version++) {
    table.says({ type: 'signal', from: BOB, kind: 'description', data: { type: 'offer', sdp: `o=- 9 ${version} IN\r\na=ice-ufrag:${version}\r\n` } })
    for (let flood = 0; flood < 100; flood++) table.says({ type: 'signal', from: BOB, kind: 'candidate', data: { candidate: HOST } })
    table.world.pass(1_000)
  }
  expect(table.link._waiting).toBeLessThanOrEqual(STEPS_MAX)
})

test('a description that is none does no harm to a link that comes up', async () => {
  const table = await (await new Table().enter()).arrive()
  for (const data of [null, 7, [], { type: 'offer' }, { type: 'rollback', sdp: 'v=0' }]) await table.signal('description', data)
  expect([table.link.state, table.sent('signal')]).toEqual(['connecting', []])
})

test('on the control channel 64 KiB is the most, whatever the kind', async () => {
  const table = await (await (await new Table({ maxMessage: 64 * 1024 * 1024 }).enter()).arrive()).up()
  await table.bobSays({ type: 'bye', fill: 'x'.repeat(CONTROL_BYTES_MAX) })
  const [control] = table.connection.channels
  const piece = new Uint8Array(1 + PIECE_BYTES_MAX)
  piece[0] = 0x80
  for (let sent = 0; sent < 10; sent++) control!.onmessage?.({ data: piece.slice().buffer })
  expect([table.link.state, table.link._kept]).toEqual(['open', 0])
  expect((await table.link.stats()).discarded).toBe(2)
})

test('maxMessage says how long a message may be, both ways', async () => {
  const table = await (await (await new Table({ maxMessage: 2_000 }).enter()).arrive()).up()
  for (const bytes of [2_000, 2_001]) table.connection.channels[1]!.onmessage?.({ data: new Uint8Array(1 + bytes).buffer })
  expect(table.log.filter(([event]) => event === 'message').length).toBe(1)
  await table.link.send('reliable', new Uint8Array(2_000))
  await expect(table.link.send('reliable', new Uint8Array(2_001))).rejects.toMatchObject({ code: 'too-large' })
})

test('control messages and kinds that are none are passed over', async () => {
  const table = await (await (await new Table().enter()).arrive()).up()
  for (const message of [null, 5, 'bye', {}, { type: 'signal' }, { type: 'signal', kind: 'other' }, { type: 'signal', kind: 'candidate' }]) {
    await table.bobSays(message as object)
  }
  expect([table.link.state, table.connection.candidates]).toEqual(['open', []])
  await table.bobSays({ type: 'signal', kind: 'end-of-candidates' })
  expect(table.connection.candidates).toEqual([undefined])
})

/** Control messages that are taken at once. */
const CONTROL_MAX = COST_MAX / CONTROL_COST

test.each([
  ['what cannot be read', 1, new Uint8Array([3]), COST_MAX],
  ['empty messages', 1, new Uint8Array([0]), COST_MAX],
  ['what cannot be read on the control channel', 0, new Uint8Array([3]), CONTROL_MAX],
])('a flood of %s closes the link at once', async (_, channel, piece, most) => {
  const table = await (await (await new Table().enter()).arrive()).up()
  const { link } = table
  for (let sent = 0; sent < most; sent++) table.connection.channels[channel]!.onmessage?.({ data: piece.slice().buffer })
  expect(link.state).toBe('open')
  for (let sent = 0; sent < 2; sent++) table.connection.channels[channel]!.onmessage?.({ data: piece.slice().buffer })
  expect([link.state, table.connection.closed]).toEqual(['closed', true])
})

test('a peer that says much for long, and all that waited while the page stood still, is taken', async () => {
  const table = await (await (await new Table().enter()).arrive()).up()
  const burst = (count: number): void => {
    for (let sent = 0; sent < count; sent++) table.connection.channels[1]!.onmessage?.({ data: new Uint8Array([0]).buffer })
  }
  for (let second = 0; second < 20; second++) {
    burst(COST_PER_SECOND)
    table.world.pass(1_000)
    await settled()
  }
  table.world.now += 2_000
  burst(COST_MAX)
  expect(table.link.state).toBe('open')
})

test('a channel that the other side closes ends the link', async () => {
  const table = await (await (await new Table().enter()).arrive()).up()
  const { link } = table
  table.connection.channels[1]!.onclose?.()
  expect([link.state, table.room.peers.size]).toEqual(['closed', 0])
})

test('channels that are opened besides are counted', async () => {
  const table = await (await (await new Table().enter()).arrive()).up()
  const { link } = table
  let closed = 0
  for (let flood = 0; flood <= CONTROL_MAX; flood++) table.connection.ondatachannel?.({ channel: { close: () => closed++ } })
  expect([link.state, closed]).toEqual(['closed', CONTROL_MAX + 1])
})

test('where the socket to the server is away signals go over the link as well: it may never be back', async () => {
  const table = await (await (await new Table().enter()).arrive()).up()
  table.socket.cut()
  table.connection.channels[0]!.sent.length = 0
  await table.bobSays({ type: 'signal', kind: 'description', data: { type: 'offer', sdp: 'o=- 9 7 IN' } })
  await table.bobSays({ type: 'pong' })
  await table.pass(2_000)
  expect(table.overLink()).toMatchObject([{ kind: 'description', data: { type: 'answer', offer: 7 } }])
})
