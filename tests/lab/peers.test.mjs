// Real peers in the model's internet, with delay and loss: they find the best way that its boxes leave them.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Lab } from '../kit/lab.mjs'
import { Native, lacking } from '../kit/native.mjs'
import { Peer, kinds, talk, together } from '../kit/peer.mjs'
import { missing, output } from '../kit/programs.mjs'
import { Stage } from '../kit/stage.mjs'

const [user, secret] = ['ann', 'secret-of-ann']
const skip = missing('namespaces', 'tun', 'openssl') || kinds.native.lacks()
const slow = { delay_ms: 25, loss_percent: 2 }

/** Two peers meet and talk; then gives them to `work`. */
const talking = (peers, work) => together(peers, async () => {
  await talk(...peers)
  await work()
})

describe('in the lab', { skip, concurrency: 3 }, () => {
  let stage

  before(async () => {
    stage = new Stage(await Lab.start())
    const { address, address6 } = stage.world.server
    await stage.serve(['--turns', `${address}:443`, '--turns', `[${address6}]:443`, '--turn-user', `${user}:${secret}`])
  })
  after(() => stage?.close())

  /** Everything that a lobby's server would offer, and more. */
  const settings = () => {
    const { address } = stage.world.server
    const relays = ['turn:play.test:3478?transport=udp', 'turn:play.test:3478?transport=tcp', 'turns:play.test:443?transport=tcp']
    return { servers: [{ urls: [`stun:${address}:3478`] }, { urls: relays, username: user, credential: secret }], policy: 'all' }
  }

  /** The lab sees the same as the peers say, once they keep to their best way: a verdict with these fields. */
  async function sees(places, wanted, peers) {
    const end = Date.now() + 15_000
    for (;;) {
      const told = await stage.world.verdict(...places)
      const fits = Object.entries(wanted).every(([field, value]) => told[field] === value)
      if (fits) return
      if (Date.now() > end) assert.deepEqual(told, wanted)
      await talk(...peers)
    }
  }

  /** coturn's relay in a place, as its operator would run it. */
  async function relay(place) {
    const flags = ['-n', '--no-cli', '--lt-cred-mech', '--realm', 'play.test', '--user', `${user}:${secret}`, '--no-tls', '--no-dtls', '--log-file', 'stdout',
      '--listening-ip', place.address, '--relay-ip', place.address, '--pidfile', `/tmp/${place.name}-coturn.pid`]
    const child = stage.world.spawn(place, 'turnserver', flags, { stdio: 'ignore' })
    // It serves once it answers.
    for (let tries = 0; ; tries++) {
      const { text } = await output('ip', ['netns', 'exec', place.name, 'turnutils_stunclient', place.address], { timeout: 2_000 })
      if (text.includes('reflexive addr')) return child
      assert.ok(tries < 20 && child.exitCode === null, `turnserver does not answer: ${text}`)
    }
  }

  const direct = { verdict: 'direct' }
  const worlds = [
    { nats: ['home', 'home'], says: ['direct'], sees: direct },
    { nats: ['symmetric', 'public'], says: ['direct'], sees: direct },
    { nats: ['cgnat', 'double-nat'], says: ['direct'], sees: direct },
    // Either one's relay will do.
    { nats: ['symmetric', 'home'], says: ['relayed', 'udp'], sees: { verdict: 'relayed' } },
    // Who cannot speak UDP uses its own.
    { nats: ['udp-blocked', 'home'], says: ['relayed', 'tcp'], sees: { verdict: 'relayed', left: 'relayed-tcp' } },
    { nats: ['only-443', 'home'], says: ['relayed', 'tls'], sees: { verdict: 'relayed', left: 'relayed-tls' } },
  ]
  for (const { nats, says: [way, protocol], sees: wanted } of worlds) {
    test(`${nats.join(' and ')}: ${way}${protocol ? ` by ${protocol.toUpperCase()}` : ''}`, async () => {
      const places = await Promise.all(nats.map((nat) => stage.world.player(nat, slow)))
      const peers = await Promise.all(places.map((place, at) => Peer.start(stage, place, 'native', { ...settings(), polite: at === 1 })))
      await talking(peers, async () => {
        for (const peer of peers) await peer.until(`the way is ${way}`, (events) => events.findLast((event) => 'path' in event)?.path === way, 15_000)
        await sees(places, wanted, peers)
      })
    })
  }

  for (const kind of ['chromium', 'firefox']) {
    test(`${kind} behind a home router and a native peer on a phone: direct`, { skip: kinds[kind].lacks() }, async () => {
      const browser = await stage.player(kind, 'home', slow)
      const place = await stage.world.player('cgnat', slow)
      await browser.goto(stage.url)
      const peers = [await Peer.inPage(browser, settings()), await Peer.start(stage, place, 'native', { ...settings(), polite: true })]
      await talking(peers, () => sees([browser.place, place], direct, peers))
    })
  }

  // Nobody here wrote it, and it lives in the model's internet all the same.
  test('aiortc behind a home router and a native peer on a phone: direct', { skip: kinds.aiortc.lacks() }, async () => {
    const places = await Promise.all(['home', 'cgnat'].map((nat) => stage.world.player(nat, slow)))
    const peers = await Promise.all(['aiortc', 'native'].map((kind, at) => Peer.start(stage, places[at], kind, { ...settings(), polite: at === 1 })))
    await talking(peers, () => sees(places, direct, peers))
  })

  for (const transport of ['udp', 'tcp']) {
    test(`two behind symmetric NATs whose relay is coturn, over ${transport.toUpperCase()}`, { skip: missing('turnserver', 'turnutils_stunclient') }, async () => {
      const host = await stage.world.player('public', slow)
      const coturn = await relay(host)
      const servers = [{ urls: [`turn:${host.address}:3478?transport=${transport}`], username: user, credential: secret }]
      const places = await Promise.all(['symmetric', 'symmetric'].map((nat) => stage.world.player(nat, slow)))
      const peers = await Promise.all(places.map((place, at) => Peer.start(stage, place, 'native', { servers, policy: 'all', polite: at === 1 })))
      await talking(peers, async () => {
        for (const peer of peers) {
          const { local, protocol } = await peer.stats()
          if (local === 'relay') assert.equal(protocol, transport)
          assert.equal(peer.events.findLast((event) => 'path' in event)?.path, 'relayed')
        }
      })
      coturn.kill('SIGKILL')
    })
  }

  test('a cable that is pulled for a while costs a pause', async () => {
    const places = await Promise.all(['home', 'home'].map((nat) => stage.world.player(nat, slow)))
    const peers = await Promise.all(places.map((place, at) => Peer.start(stage, place, 'native', { ...settings(), polite: at === 1 })))
    await talking(peers, async () => {
      const { host } = places[1]
      await stage.world.do('cable', { host, plugged: false })
      await new Promise((resolve) => setTimeout(resolve, 2_000))
      await stage.world.do('cable', { host, plugged: true })
      await talk(...peers)
      const { dropped } = await stage.world.do('stats')
      assert.ok(dropped.some(({ why }) => why === 'the interface is down'), JSON.stringify(dropped))
    })
  })

  test('two in one home that hide their addresses find each other by multicast: direct', { skip: lacking('host') }, async () => {
    const first = await stage.world.player('home', slow)
    const places = [first, await stage.world.neighbour(first)]
    const flags = ['--size', '2', '--mdns']
    const one = Native.start(stage, places[0], 'host', ['--create', ...flags])
    const { code } = await one.event('joined')
    const other = Native.start(stage, places[1], 'host', ['--join', code, ...flags])
    const both = [one, other]
    await Promise.all(both.map((native) => native.event('path', { path: 'direct', local: 'host' })))
    await Promise.all(both.map((native) => native.close()))
    const { delivered } = await stage.world.do('stats')
    const hosts = places.map(({ host }) => host)
    assert.ok(delivered.some(({ from, to, way }) => way === 'multicast' && hosts.includes(from) && hosts.includes(to)))
  })
})
