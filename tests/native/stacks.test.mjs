// Our native peer and peers that nobody here wrote: every stack, every way, both roles. Signals go by hand; the lobby takes no part.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { hash } from '../kit/content.mjs'
import { Peer, kinds } from '../kit/peer.mjs'
import { missing } from '../kit/programs.mjs'
import { Stage } from '../kit/stage.mjs'

/** Whom all others meet: ours. Any other kind tries the tests themselves. */
const us = process.env.INTEROP_US ?? 'native'
const others = process.env.INTEROP_THEM?.split(',') ?? Object.keys(kinds)
const [user, secret] = ['ann', 'secret-of-ann']

const sizes = [0, 1, 1_199, 1_200, 16_384, 65_535, 65_536, 65_537, 262_144]

const servers = ({ world }, way) => {
  const host = world.server.address
  const relay = {
    udp: `turn:${host}:3478?transport=udp`, tcp: `turn:${host}:3478?transport=tcp`,
    // A certificate is for a name.
    tls: 'turns:play.test:5349?transport=tcp',
  }[way]
  return [{ urls: [`stun:${host}:3478`] }, ...(relay ? [{ urls: [relay], username: user, credential: secret }] : [])]
}
const settings = (stage, way) => ({ servers: servers(stage, way), policy: way === 'direct' ? 'all' : 'relay' })

/** Sends messages of all sizes that the receiver takes, text and binary; they arrive whole, and in order if `ordered`. */
async function exchange(from, to, label, { ordered = true } = {}) {
  const seen = to.messages(label).length
  const [least, most] = from.sends(to)
  const all = sizes.filter((size) => size >= least && size <= most)
    .flatMap((size, index) => ['text', 'binary'].map((kind) => ({ kind, size, seed: 1_000 * index + size })))
  for (const each of all) from.do('send', { label, ...each })
  const came = () => to.messages(label).slice(seen)
  await to.until(`${all.length} messages`, () => came().length >= all.length, kinds[from.kind].recovers).catch(() => {})
  const sent = all.map(({ kind, size, seed }) => `${kind} ${size} ${hash(kind, size, seed)}`)
  const received = came().map(({ kind, size, hash }) => `${kind} ${size} ${hash}`)
  if (ordered) assert.deepEqual(received, sent)
  else assert.deepEqual(received.toSorted(), sent.toSorted())
}

/** Two peers that know of each other, the first of whom offers with a channel `first`. */
async function meet(offerer, answerer) {
  offerer.introduce(answerer)
  answerer.introduce(offerer)
  offerer.do('open', { label: 'first' })
  offerer.do('offer')
  await Promise.all([offerer, answerer].map((peer) => peer.saw('open', 'first')))
}

/** Opens a channel from one side, and waits until both have it; the other side knows its parameters, as far as its stack tells them. */
async function open(from, to, label, options = {}) {
  from.do('open', { label, ...options })
  const [, heard] = await Promise.all([from, to].map((peer) => peer.saw('open', label)))
  const told = Object.entries(options).filter(([name]) => !kinds[to.kind].mistells?.includes(name))
  for (const [name, value] of told) assert.equal(heard[name], value, `${to.kind} says of ${label}: ${JSON.stringify(heard)}`)
}

/** Channels are closed by either side; then one side closes the connection, and the other learns of it at once. */
async function ends(ours, theirs, weClose) {
  for (const [label, closes] of [['first', ours], ['unordered', theirs]]) {
    closes.do('close-channel', { label })
    await Promise.all([ours, theirs].map((peer) => peer.saw('closed', label)))
  }
  const [closes, learns] = weClose ? [ours, theirs] : [theirs, ours]
  closes.do('close')
  await learns.until('the end', (events) => events.find(({ closed, state }) => closed === 'lossy' || ['closed', 'failed', 'disconnected'].includes(state)))
}

/** The channels of a kind of their own: their parameters arrive, and so does what is sent. */
async function channels(ours, theirs) {
  await open(theirs, ours, 'unordered', { ordered: false })
  await Promise.all([exchange(ours, theirs, 'unordered', { ordered: false }), exchange(theirs, ours, 'unordered', { ordered: false })])
  await open(ours, theirs, 'lossy', { ordered: false, maxRetransmits: 0, protocol: 'game' })
}

/** A channel on which both had agreed before is open on both sides, and carries messages. */
async function agreed(ours, theirs) {
  await Promise.all([ours, theirs].map((peer) => peer.saw('open', 'agreed')))
  await Promise.all([exchange(ours, theirs, 'agreed'), exchange(theirs, ours, 'agreed')])
}

/** Sends small messages at a game's pace for two seconds, and gives how long each took that arrived, in milliseconds, sorted. */
async function pace(from, to, label) {
  const [count, size, seed] = [200, 200, 7]
  from.do('send', { label, kind: 'binary', size, seed, count, every: 10 })
  const { at } = await from.until('the sends', (events) => events.find(({ sent }) => sent?.label === label)?.sent)
  await new Promise((resolve) => setTimeout(resolve, 1_500))
  const came = new Map(to.messages(label).map((message) => [message.hash, message.at]))
  const took = at.map((at, index) => came.get(hash('binary', size, seed + index)) - at).filter((ms) => !Number.isNaN(ms))
  return took.sort((one, other) => one - other)
}

/** Who takes part in a test, made in the places of its stage and gone after it. */
async function withPeers(stage, places, players, wanted, work) {
  const peers = await Promise.all(wanted.map(({ kind, way, place }) => (kinds[kind].browser
    ? Peer.inPage(players[kind], settings(stage, way))
    : Peer.start(stage, places[place], kind, { ...settings(stage, way), polite: place === 'theirs' }))))
  try {
    await work(...peers)
  } catch (error) {
    // What a peer could not do is often why.
    const said = peers.flatMap(({ kind, events }) => events.filter((event) => 'error' in event).map((event) => `${kind}: ${event.error}`))
    throw said.length > 0 ? new Error(said.join('\n'), { cause: error }) : error
  } finally {
    await Promise.all(peers.map((peer) => peer.close()))
  }
}

for (const them of others) {
  const skip = missing('namespaces', 'openssl') || kinds[us].lacks() || kinds[them].lacks()

  describe(`${us} and ${them}`, { skip, concurrency: 2 }, () => {
    let stage
    const [places, players] = [{}, {}]

    before(async () => {
      stage = new Stage()
      await stage.serve(['--turn-user', `${user}:${secret}`])
      for (const [place, kind] of [['ours', us], ['theirs', them]]) {
        const nat = kinds[kind].nat ?? 'home'
        if (kinds[kind].browser) players[kind] = await stage.player(kind, nat)
        else places[place] = stage.world.player(nat)
      }
      places.lossy = stage.world.player('home')
    })
    after(() => stage?.close())

    for (const way of ['direct', 'udp', 'tcp', 'tls']) {
      const both = way === 'direct' || kinds[them].relay.includes(way)
      const name = way === 'direct' ? 'direct' : `relayed over ${way.toUpperCase()}${both ? '' : ` on our side, ${them} directly`}`
      for (const weOffer of [true, false]) {
        test(`${name}, ${weOffer ? 'we offer' : 'they offer'}`, () =>
          withPeers(stage, places, players, [{ kind: us, way, place: 'ours' }, { kind: them, way: both ? way : 'direct', place: 'theirs' }],
            async (ours, theirs) => {
              // Some stacks answer otherwise when they have no channel of their own yet.
              if (!weOffer) for (const peer of [ours, theirs]) peer.do('open', { label: 'agreed', negotiated: 100 })
              await (weOffer ? meet(ours, theirs) : meet(theirs, ours))
              await Promise.all([exchange(ours, theirs, 'first'), exchange(theirs, ours, 'first')])
              const { local, remote, protocol } = await ours.stats()
              if (way !== 'direct') assert.deepEqual([local, protocol], ['relay', way])
              else for (const kind of [local, remote]) assert.match(kind, /^(host|srflx|prflx)$/)
              await channels(ours, theirs)
              if (!weOffer) await agreed(ours, theirs)
              await ends(ours, theirs, weOffer)
            }))
      }
    }

    // A lost packet costs its messages, never the time of those behind it.
    test('an unreliable channel under 10 % loss keeps its latency', (context) =>
      withPeers(stage, places, players, [{ kind: us, way: 'direct', place: 'lossy' }, { kind: them, way: 'direct', place: 'theirs' }], async (ours, theirs) => {
        await meet(ours, theirs)
        await open(ours, theirs, 'lossy', { ordered: false, maxRetransmits: 0 })
        const restore = stage.world.lose(places.lossy, 10)
        const both = await Promise.all([pace(ours, theirs, 'lossy'), pace(theirs, ours, 'lossy')])
        const figures = both.map((took, at) => {
          const [median, slow] = [0.5, 0.95].map((part) => took[Math.floor(took.length * part)])
          const words = `${took.length} of 200 arrived; half within ${median?.toFixed(1)} ms, 95 % within ${slow?.toFixed(1)} ms`
          context.diagnostic(`${at === 0 ? 'ours to theirs' : 'theirs to ours'}: ${words}`)
          return { arrived: took.length, median, slow }
        })
        for (const { arrived, median, slow } of kinds[them].repeats ? figures.slice(0, 1) : figures) {
          assert.ok(arrived >= 140 && arrived < 200, `${arrived} of 200 arrived`)
          assert.ok(median < 50 && slow < 500, `half within ${median} ms, 95 % within ${slow} ms`)
        }
        restore()
      }))
  })
}
