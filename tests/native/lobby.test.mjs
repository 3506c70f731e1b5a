// The story with a native player: in a lobby with a browser's page, or with another native one, and without the server afterwards.
import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Native, lacking, sha256 } from '../kit/native.mjs'
import { missing } from '../kit/programs.mjs'
import { Stage, comesTo, joinByCode, letGo, openLobby } from '../kit/stage.mjs'

const needs = { native: [], chromium: ['chromium'], firefox: ['firefox-esr', 'certutil'] }
const pictures = fileURLToPath(new URL('../../target/pictures', import.meta.url))

/** A page of the package alone, with a channel of its own; `window.lobby` is its lobby. (The demo's page would have a session of its own.) */
async function openPage(player, url) {
  await player.goto(`${url}/healthz`)
  await player.evaluate(async () => {
    const { connect } = await import('/twocan.js')
    window.net?.close()
    window.net = await connect('', { app: 'native-test', channels: { files: {} } })
    window.heard = []
    window.enter = (lobby) => {
      window.lobby = lobby
      lobby.on('message', (message) => window.heard.push(message))
      return lobby.code
    }
  })
}

/** Either kind of player, in the words of the story. */
const ways = {
  native: {
    create: async (stage, place, options = {}) => {
      const native = Native.start(stage, place, 'host', ['--app', 'native-test', '--create', '--channel', 'files', '--size', '2', '--data', '{"map":"dust"}',
        ...(options.password ? ['--password', options.password] : []), ...(options.public ? ['--public'] : [])])
      return { player: native, code: (await native.event('joined')).code }
    },
    join: (stage, place, code, { password } = {}) =>
      Native.start(stage, place, 'host', ['--app', 'native-test', '--join', code, '--channel', 'files', ...(password ? ['--password', password] : [])]),
    quick: (stage, place) => Native.start(stage, place, 'host', ['--app', 'native-test', '--quick', '--channel', 'files', '--data', '{"map":"dust"}']),
    linked: (native) => native.event('peer'),
    path: async (native) => (await native.stats((await native.event('peer')).peer)).path,
    start: (native) => native.do('start'),
    complete: (native) => native.event('complete'),
    send: (native, channel, size) => native.do('send', { channel, size }),
    say: (native, text) => native.do('send', { channel: 'reliable', text }),
    heard: (native, channel, size) => native.event('message', { channel, kind: 'bytes', length: size, sha256: sha256(size) }),
    heardText: (native, text) => native.event('message', { channel: 'reliable', kind: 'text', data: text }),
  },
}
const page = {
  create: async (player, url, options) => {
    await openPage(player, url)
    return player.evaluate(async (options) => window.enter(await window.net.create({ size: 2, data: { map: 'dust' }, ...options })), options)
  },
  join: async (player, url, code, options) => {
    await openPage(player, url)
    return player.evaluate(async (code, options) => window.enter(await window.net.join(code, options)), code, options)
  },
  quick: async (player, url) => {
    await openPage(player, url)
    return player.evaluate(async () => window.enter(await window.net.quick({ map: 'dust' })))
  },
  linked: (player) => player.wait(() => [...window.lobby.peers.values()].filter((peer) => peer.state === 'open').length),
  path: (player) => player.evaluate(async () => (await [...window.lobby.peers.values()][0].stats()).path),
  start: (player) => player.evaluate(() => window.lobby.start()),
  complete: (player) => player.wait(() => window.lobby.state === 'complete'),
  send: (player, channel, size) => player.evaluate((channel, size) => window.lobby.all.send(channel, Uint8Array.from({ length: size }, (_, at) => at % 251)), channel, size),
  say: (player, text) => player.evaluate((text) => window.lobby.all.send('reliable', text), text),
  // The page is no secure context, and has no SHA-256: it looks at each byte.
  heard: (player, channel, size) => player.wait((channel, size) => window.heard.some((message) =>
    message.channel === channel && message.data.length === size && message.data instanceof Uint8Array && message.data.every((byte, at) => byte === at % 251)), { args: [channel, size] }),
  heardText: (player, text) => player.wait((text) => window.heard.some(({ data }) => data === text), { args: [text] }),
}

const sizes = [0, 1, 1_200, 65_535, 65_536, 262_144, 1_000_000]

for (const other of ['native', 'chromium', 'firefox']) {
  const skip = missing('namespaces', 'openssl', ...needs[other]) || lacking('host')

  describe(`a native player and ${other === 'native' ? 'another' : other}, each behind a home router`, { skip }, () => {
    let stage, browser, place, otherPlace

    before(async () => {
      stage = new Stage()
      place = stage.world.player('home')
      if (other === 'native') otherPlace = stage.world.player('home')
      else browser = await stage.player(other, 'home')
    })
    after(() => stage?.close())

    /** The other one: creates, joins, or is matched. */
    const theirs = async (verb, ...args) => {
      if (other !== 'native') return { player: browser, code: await page[verb](browser, stage.url, ...args) }
      const made = await ways.native[verb](stage, otherPlace, ...args)
      return made.player ? made : { player: made }
    }
    const they = other === 'native' ? ways.native : page

    /** What all entrances lead to: a direct link that outlives the server. */
    async function play(ours, their, owner) {
      await Promise.all([ways.native.linked(ours), they.linked(their)])
      for (const size of sizes) {
        await Promise.all([ways.native.send(ours, 'files', size), they.send(their, 'files', size)])
        await Promise.all([ways.native.heard(ours, 'files', size), they.heard(their, 'files', size)])
      }
      // A browser may pass through a relay on its way there.
      for (const path of [() => ways.native.path(ours), () => they.path(their)]) {
        if (other === 'native') assert.equal(await path(), 'direct')
        else await comesTo(path, 'direct')
      }
      await (owner === 'ours' ? ways.native.start(ours) : they.start(their))
      await Promise.all([ways.native.complete(ours), they.complete(their)])
      for (const name of ['twocan_lobbies', 'twocan_sessions']) await stage.metric(name, 0)
      await stage.server.stop('SIGKILL')
      await ways.native.say(ours, 'can you still hear me?')
      await they.heardText(their, 'can you still hear me?')
      await they.say(their, 'loud and clear')
      await ways.native.heardText(ours, 'loud and clear')
    }

    test('the native one hosts, the other joins by code', async () => {
      await stage.serve()
      const { player: ours, code } = await ways.native.create(stage, place)
      const { player } = await theirs('join', code)
      await play(ours, player, 'ours')
      await ours.close()
    })

    test('the other one hosts with a password, which the native one must know', async () => {
      await stage.serve()
      const { player, code } = await theirs('create', { password: 'open sesame' })
      const stranger = ways.native.join(stage, place, code, { password: 'open barley' })
      await stranger.event('error', { code: 'not-found' })
      const ours = ways.native.join(stage, place, code, { password: 'open sesame' })
      await play(ours, player, 'theirs')
      await ours.close()
    })

    test('the native one finds a lobby from the public list', async () => {
      await stage.serve()
      const { player } = await theirs('create', { public: true })
      const ours = ways.native.quick(stage, place)
      await play(ours, player, 'theirs')
      await ours.close()
    })
  })
}

describe('two native players who want relays only', { skip: missing('namespaces', 'openssl') || lacking('host') }, () => {
  let stage, places

  before(async () => {
    stage = new Stage()
    await stage.serve()
    places = ['home', 'home'].map((nat) => stage.world.player(nat))
  })
  after(() => stage?.close())

  for (const transport of ['udp', 'tcp', 'tls']) {
    test(`talk over ${transport.toUpperCase()} with what the lobby lends them`, async () => {
      const flags = ['--app', 'native-test', '--policy', 'relay', '--transport', transport]
      const host = Native.start(stage, places[0], 'host', [...flags, '--create'])
      const { code } = await host.event('joined')
      const guest = Native.start(stage, places[1], 'host', [...flags, '--join', code])
      for (const player of [host, guest]) {
        const { peer } = await player.event('peer')
        await player.do('send', { size: 100_000 })
        const { path, relayProtocol } = await player.stats(peer)
        assert.deepEqual([path, relayProtocol], ['relayed', transport])
      }
      for (const player of [host, guest]) await player.event('message', { kind: 'bytes', length: 100_000, sha256: sha256(100_000) })
      await Promise.all([host.close(), guest.close()])
    })
  }
})

describe('a terminal plays against the page', { skip: missing('namespaces', 'openssl', 'chromium') || lacking('pong') }, () => {
  let stage, browser, place

  before(async () => {
    stage = new Stage()
    place = stage.world.player('home')
    browser = await stage.player('chromium', 'home')
    mkdirSync(pictures, { recursive: true })
  })
  after(() => stage?.close())

  /** The match goes on: somebody scores, and the page's picture changes. */
  async function points(pong) {
    await pong.event('score', {}, 30_000)
    await browser.wait(() => /[1-9]/.test(document.querySelector('[data-test="score"]')?.textContent ?? ''), { timeout: 60_000 })
    await pong.until('a point', (events) => events.find(({ event, points }) => event === 'score' && Math.max(...points) > 0), 60_000)
  }

  for (const side of ['guest', 'owner']) {
    test(`as the ${side}, after the server has let go of both`, async () => {
      await stage.serve()
      let pong
      if (side === 'guest') {
        pong = Native.start(stage, place, 'pong', ['--auto', '--join', await openLobby(browser, stage.url)])
      } else {
        pong = Native.start(stage, place, 'pong', ['--auto', '--create'])
        await joinByCode(browser, stage.url, (await pong.event('joined')).code)
      }
      await letGo(browser)
      await stage.server.stop('SIGKILL')
      await points(pong)
      await browser.screenshot(`${pictures}/pong-${side}.png`)
      await pong.close()
    })
  }
})
