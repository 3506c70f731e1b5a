// Two native peers across networks as they are: the best way that works is found, and found again when the network changes under them.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Peer, kinds, talk, together } from '../kit/peer.mjs'
import { missing } from '../kit/programs.mjs'
import { Stage } from '../kit/stage.mjs'

const us = process.env.INTEROP_US ?? 'native'
const [user, secret] = ['ann', 'secret-of-ann']
const skip = missing('namespaces', 'openssl') || kinds[us].lacks()

/** Makes two peers in these places, who meet; gives them to `work`. */
async function between(stage, places, settings, work, stacks = [us, us]) {
  const peers = await Promise.all(places.map((place, at) => Peer.start(stage, place, stacks[at], { ...settings, polite: at === 1 })))
  await together(peers, work)
}

describe('two native peers', { skip, concurrency: 2 }, () => {
  let stage

  before(async () => {
    stage = new Stage()
    await stage.serve(['--turn-user', `${user}:${secret}`])
  })
  after(() => stage?.close())

  /** Everything that a lobby's server would offer. */
  const settings = () => {
    const { address, address6 } = stage.world.server
    const relays = ['turn:play.test:3478?transport=udp', 'turn:play.test:3478?transport=tcp', 'turns:play.test:5349?transport=tcp']
    const servers = [{ urls: [`stun:${address}:3478`, `stun:[${address6}]:3478`] }, { urls: relays, username: user, credential: secret }]
    return { servers, policy: 'all' }
  }

  const worlds = [
    { name: 'two home routers: direct', nats: ['home', 'home'], way: 'direct' },
    { name: 'a symmetric NAT and a public address: direct', nats: ['symmetric', 'public'], way: 'direct' },
    { name: 'a public address and a symmetric NAT: direct', nats: ['public', 'symmetric'], way: 'direct' },
    { name: 'a symmetric NAT and a home router: relayed', nats: ['symmetric', 'home'], way: 'relayed' },
    { name: 'two symmetric NATs: relayed', nats: ['symmetric', 'symmetric'], way: 'relayed' },
    { name: 'two symmetric NATs with IPv6 beside them: direct', nats: ['symmetric', 'symmetric'], options: { ipv6: true }, way: 'direct' },
  ]
  for (const { name, nats, options, way } of worlds) {
    test(name, () => between(stage, nats.map((nat) => stage.world.player(nat, options)), settings(), async (one, other) => {
      await talk(one, other)
      // A better way may take over from the first one that worked.
      for (const peer of [one, other]) await peer.until(`the way is ${way}`, (events) => events.findLast((event) => 'path' in event)?.path === way)
    }))
  }

  test('UDP is blocked on one side: TCP to the relay remains', async () => {
    const places = ['home', 'home'].map((nat) => stage.world.player(nat))
    stage.world.blockUdp(places[0])
    await between(stage, places, settings(), async (one, other) => {
      await talk(one, other)
      // TLS may have been there first; TCP, which costs less, takes over.
      const end = Date.now() + 5_000
      let way
      do {
        const { local, protocol } = await one.stats()
        way = [local, protocol]
      } while (way[1] === 'tls' && Date.now() < end)
      assert.deepEqual(way, ['relay', 'tcp'])
    })
  })

  test('UDP is blocked on both sides: TCP to the relay remains', async () => {
    const places = ['home', 'home'].map((nat) => stage.world.player(nat))
    for (const place of places) stage.world.blockUdp(place)
    await between(stage, places, settings(), (one, other) => talk(one, other))
  })

  test('a network that goes away for a while costs a pause', async () => {
    const places = ['home', 'home'].map((nat) => stage.world.player(nat))
    await between(stage, places, settings(), async (one, other) => {
      await talk(one, other)
      const unblock = stage.world.blockUdp(places[1])
      await new Promise((resolve) => setTimeout(resolve, 3_000))
      unblock()
      await talk(one, other, 30_000)
    })
  })

  test('a machine that moves to another address goes on talking', async () => {
    const places = ['home', 'home'].map((nat) => stage.world.player(nat))
    await between(stage, places, settings(), async (one, other) => {
      await talk(one, other)
      stage.world.move(places[1])
      await talk(one, other, 30_000)
      await talk(other, one)
    })
  })

  test('a peer that is killed is noticed within 45 s', async () => {
    const places = ['home', 'home'].map((nat) => stage.world.player(nat))
    await between(stage, places, settings(), async (one, other) => {
      await talk(one, other)
      other.kill()
      await one.until('the loss', (events) => events.find(({ state }) => ['disconnected', 'failed', 'closed'].includes(state)), 45_000)
    })
  })
})

for (const transport of ['udp', 'tcp', 'tls']) {
  describe(`two native peers that know no way but a relay over ${transport.toUpperCase()}`, { skip }, () => {
    let stage
    const serve = () => stage.serve(['--turn-user', `${user}:${secret}`])

    before(async () => {
      stage = new Stage()
      await serve()
    })
    after(() => stage?.close())

    test('go on after the relay was killed and started anew', async () => {
      const url = transport === 'tls' ? 'turns:play.test:5349?transport=tcp' : `turn:play.test:3478?transport=${transport}`
      const settings = { servers: [{ urls: [url], username: user, credential: secret }], policy: 'relay' }
      const places = ['home', 'home'].map((nat) => stage.world.player(nat))
      await between(stage, places, settings, async (one, other) => {
        await talk(one, other)
        await stage.server.stop('SIGKILL')
        await serve()
        await talk(one, other, 60_000)
        for (const peer of [one, other]) assert.equal((await peer.stats()).protocol, transport)
      })
    })
  })
}

describe('where UDP is blocked and there is no relay', { skip }, () => {
  let stage

  before(async () => {
    stage = new Stage()
    await stage.serve()
  })
  after(() => stage?.close())

  for (const them of [us, 'webrtc-rs']) {
    for (const weOffer of [true, false]) {
      const name = `we connect to ${them === us ? 'another native peer' : them} over TCP (RFC 6544), ${weOffer ? 'we offer' : 'they offer'}`
      test(name, { skip: kinds[them].lacks() }, async () => {
        const places = [stage.world.player('home'), stage.world.player('public')]
        stage.world.blockUdp(places[0])
        const settings = { servers: [{ urls: [`stun:${stage.world.server.address}:3478`] }], policy: 'all', tcp: true }
        const inOrder = weOffer ? (pair) => pair : (pair) => pair.toReversed()
        await between(stage, inOrder(places), settings, async (one, other) => {
          await talk(one, other)
          const { local, remote, protocol } = await inOrder([one, other])[0].stats()
          assert.equal(protocol, 'tcp')
          for (const kind of [local, remote]) assert.match(kind, /^(host|prflx)$/)
        }, inOrder([us, them]))
      })
    }
  }
})
