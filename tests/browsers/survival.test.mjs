// What survives what: a reload, a crash, a sleep, a restart of the server, another network; while the lobby is open, sealed, and after `start()`.
// Sleeps of a minute and more are in arithmetic time: proto/lobby/tests/seats.rs. docs/guide.md has the table.
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { Native, lacking } from '../kit/native.mjs'
import { missing } from '../kit/programs.mjs'
import { Stage } from '../kit/stage.mjs'

const needs = { chromium: ['chromium'], firefox: ['firefox-esr', 'certutil'] }
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** Runs in the page: takes note of what its lobby tells. */
const enter = (lobby) => {
  window.lobby = lobby
  window.told = []
  for (const event of ['arrive', 'away', 'back', 'leave', 'peer', 'fail', 'removed', 'complete']) {
    lobby.on(event, (first, second) => window.told.push([event, ...(typeof second === 'string' ? [second] : [])].join(' ')))
  }
  window.heard = []
  lobby.on('message', ({ data }) => window.heard.push(data))
  return lobby.code
}

async function open(player, url) {
  await player.goto(`${url}/healthz`)
  await player.evaluate(async (enter) => {
    const { connect } = await import('/twocan.js')
    window.enter = eval(enter)
    window.net = await connect('', { app: 'survival', me: { name: 'x' } })
  }, `(${enter})`)
}
const create = async (player, url, options = { size: 2 }) => {
  await open(player, url)
  return player.evaluate(async (options) => window.enter(await window.net.create(options)), options)
}
const join = async (player, url, code, options = {}) => {
  await open(player, url)
  return player.evaluate(async (code, options) => window.enter(await window.net.join(code, options)), code, options)
}
const rejoin = async (player, url) => {
  await open(player, url)
  return player.evaluate(async () => {
    const lobby = await window.net.rejoin()
    return lobby && window.enter(lobby)
  })
}
const linked = (player) => player.wait(() => [...window.lobby.peers.values()].some((peer) => peer.state === 'open'), { timeout: 30_000 })
const told = (player) => player.evaluate(() => window.told.splice(0))
const me = (player) => player.evaluate(() => window.lobby.me)
async function start(owner, other) {
  await owner.evaluate(() => window.lobby.start())
  await other.wait(() => window.lobby.state === 'complete')
}
/** Both hear each other. */
async function talk(one, two) {
  const text = `n${Math.random()}`
  for (const [from, to] of [[one, two], [two, one]]) {
    await from.evaluate((text) => window.lobby.all.send('reliable', text), text)
    await to.wait((text) => window.heard.includes(text), { args: [text] })
  }
}

for (const kind of ['chromium', 'firefox']) {
  describe(`in ${kind}`, { skip: missing('namespaces', 'openssl', ...needs[kind]) }, () => {
    let stage, host, guest

    before(async () => {
      stage = new Stage()
      ;[host, guest] = await Promise.all([kind, 'chromium'].map((each) => stage.player(each, 'home')))
    })
    beforeEach(async () => {
      await Promise.all([host, guest].map((player) => player.goto('about:blank')))
      await stage.server?.stop('SIGKILL')
      await stage.serve()
    })
    after(() => stage?.close())

    test('a host who is alone reloads: the same lobby, under the same name, and whoever was invited gets in', async () => {
      const code = await create(host, stage.url, { size: 2, password: 'p' })
      const name = await me(host)
      assert.equal(await rejoin(host, stage.url), code)
      assert.deepEqual([await me(host), await host.evaluate(() => window.lobby.isOwner)], [name, true])
      await join(guest, stage.url, code, { password: 'p' })
      await Promise.all([host, guest].map(linked))
      await start(host, guest)
      await talk(host, guest)
    })

    test('a guest reloads while the lobby is open: away, back, and linked again', async () => {
      await join(guest, stage.url, await create(host, stage.url))
      await Promise.all([host, guest].map(linked))
      await told(host)
      const name = await me(guest)
      await rejoin(guest, stage.url)
      await Promise.all([host, guest].map(linked))
      assert.equal(await me(guest), name)
      await talk(host, guest)
      assert.deepEqual((await told(host)).sort(), ['away', 'back', 'peer'])
    })

    test('a host reloads while the lobby is sealed: it opens again, as it does for the others', async () => {
      const code = await create(host, stage.url, { size: 3 })
      await join(guest, stage.url, code)
      await Promise.all([host, guest].map(linked))
      // One who never links keeps it sealed, until that is given up.
      await guest.evaluate(async () => {
        const { connect } = await import('/twocan.js')
        const silent = class { createDataChannel() { return {} } setConfiguration() {} getStats() { return Promise.resolve(new Map()) } close() {} setLocalDescription() { return new Promise(() => {}) } }
        const net = await connect('', { app: 'survival', storage: null, RTCPeerConnection: silent })
        await net.join(window.lobby.code)
      })
      await host.evaluate(() => { window.lobby.start().catch(() => {}) })
      await guest.wait(() => window.lobby.state === 'sealed')
      assert.equal(await rejoin(host, stage.url), code)
      assert.equal(await host.evaluate(() => window.lobby.state), 'sealed')
      for (const player of [host, guest]) await player.wait(() => window.lobby.state === 'open', { timeout: 40_000 })
      await Promise.all([host, guest].map(linked))
      await talk(host, guest)
    })

    test('either reloads after the start: the others see away and back, and they play on', async () => {
      await join(guest, stage.url, await create(host, stage.url))
      await Promise.all([host, guest].map(linked))
      await start(host, guest)
      for (const [reloads, stays] of [[host, guest], [guest, host]]) {
        await told(stays)
        const name = await me(reloads)
        assert.ok(await rejoin(reloads, stage.url))
        await Promise.all([host, guest].map(linked))
        await stays.wait(() => window.told.includes('back'))
        assert.deepEqual([await me(reloads), await reloads.evaluate(() => window.lobby.state)], [name, 'complete'])
        await talk(host, guest)
        assert.deepEqual((await told(stays)).sort(), ['away', 'back', 'peer'])
      }
      // And both leave the server again.
      await stage.metric('twocan_sessions', 0, 15_000)
    })

    test('the server restarts: an open lobby is opened again, and of a completed one nothing is missed', async () => {
      const code = await create(host, stage.url)
      await stage.server.stop('SIGKILL')
      await pause(1_000)
      await stage.serve()
      await host.wait(() => window.net.peer && window.lobby.state === 'open')
      await pause(3_000)
      await join(guest, stage.url, code)
      await Promise.all([host, guest].map(linked))
      await start(host, guest)
      await stage.server.stop('SIGKILL')
      await talk(host, guest)
      await stage.serve()
      await rejoin(guest, stage.url)
      await Promise.all([host, guest].map(linked))
      await talk(host, guest)
    })

    test('the network goes for a while: the lobby and its code are the same', async () => {
      const code = await create(host, stage.url)
      const unblock = stage.world.blockTcp(host.place)
      await pause(12_000)
      unblock()
      await host.evaluate(() => window.dispatchEvent(new Event('online')))
      await join(guest, stage.url, code)
      await Promise.all([host, guest].map(linked))
      assert.deepEqual((await told(host)).filter((event) => event === 'removed'), [])
    })

    test('a page that is closed has left, after the time of a reload', async () => {
      await join(guest, stage.url, await create(host, stage.url))
      await Promise.all([host, guest].map(linked))
      await told(guest)
      await host.goto('about:blank')
      await guest.wait(() => window.told.some((event) => event.startsWith('leave')), { timeout: 30_000 })
      const events = await told(guest)
      assert.deepEqual(events.filter((event) => /^(away|leave)/.test(event)), ['away', 'leave lost'])
    })
  })
}

describe('in Rust', { skip: missing('namespaces', 'openssl') || lacking('host') }, () => {
  let stage, places

  before(async () => {
    stage = new Stage()
    places = await Promise.all([1, 2].map(() => stage.world.player('home')))
    await stage.serve()
  })
  after(() => stage?.close())

  test('a program that crashes has its seat again by its ticket, while the lobby is open and after the start', async () => {
    const host = Native.start(stage, places[0], 'host', ['--app', 'survival', '--create', '--size', '2'])
    const { code, me: name } = await host.event('joined')
    const guest = Native.start(stage, places[1], 'host', ['--app', 'survival', '--join', code])
    await Promise.all([host, guest].map((each) => each.event('peer')))
    let before = host
    for (const isComplete of [false, true]) {
      const told = guest.events.length
      const since = (name) => guest.until(`${name} again`, (events) => events.slice(told).find(({ event }) => event === name), 40_000)
      const ticket = before.events.findLast(({ event }) => event === 'ticket').ticket
      before.kill()
      const again = Native.start(stage, places[0], 'host', ['--app', 'survival', '--rejoin', ticket])
      const joined = await again.event('joined')
      assert.deepEqual([joined.code, joined.me], [code, name])
      await again.event('peer', {}, 40_000)
      await since('peer')
      assert.equal(guest.events.slice(told).some(({ event }) => event === 'leave'), false)
      await again.do('send', { channel: 'reliable', text: `still here ${isComplete}` })
      await guest.event('message', { data: `still here ${isComplete}` })
      if (!isComplete) {
        await again.do('start')
        await Promise.all([again, guest].map((each) => each.event('complete')))
      }
      before = again
    }
    await Promise.all([before, guest].map((each) => each.close()))
  })
})
