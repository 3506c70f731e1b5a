// The npm package in two real browsers, as an application of its own uses it: nothing of the demo page takes part.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { missing } from '../kit/programs.mjs'
import { Stage } from '../kit/stage.mjs'

const skip = missing('namespaces', 'chromium', 'firefox-esr', 'certutil', 'openssl')

/** Opens a session on a player's page; `window.net` is it. */
async function join(player, url) {
  await player.goto(url)
  await player.evaluate(async () => {
    const { connect } = await import('/twocan.js')
    window.net?.close()
    window.net = await connect('', { app: 'sdk-test', channels: { files: {}, state: { ordered: false, maxRetransmits: 0 } } })
    window.heard = []
    window.enter = (lobby) => {
      window.lobby = lobby
      lobby.on('message', (message) => window.heard.push(message))
      return lobby.code
    }
  })
}

const linked = (player) => player.wait(() => [...window.lobby.peers.values()].filter((peer) => peer.state === 'open').length)

describe('the package in Chromium and Firefox', { skip }, () => {
  let stage, one, other

  before(async () => {
    stage = new Stage()
    await stage.serve()
    ;[one, other] = await Promise.all([stage.player('chromium', 'home'), stage.player('firefox', 'home')])
  })
  after(() => stage?.close())

  /** Both in one lobby, linked. */
  async function together(options = {}) {
    await Promise.all([join(one, stage.url), join(other, stage.url)])
    const code = await one.evaluate(async (options) => window.enter(await window.net.create(options)), options)
    await other.evaluate(async (code) => window.enter(await window.net.join(code)), code)
    await Promise.all([linked(one), linked(other)])
    return code
  }

  for (const [from, to] of [['one', 'other'], ['other', 'one']]) {
    test(`a message of five megabytes arrives whole on a channel of the application's own, ${from === 'one' ? 'there' : 'and back'}`, async () => {
      await together()
      const [sender, receiver] = from === 'one' ? [one, other] : [other, one]
      const sent = await sender.evaluate(async () => {
        const bytes = new Uint8Array(5_000_000)
        for (let at = 0; at < bytes.length; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536))
        await window.lobby.all.send('files', bytes)
        return bytes.reduce((sum, byte) => (sum * 31 + byte) >>> 0, 0)
      })
      const arrived = await receiver.wait(() => {
        const message = window.heard.find(({ channel }) => channel === 'files')
        return message && [message.data.length, message.data.reduce((sum, byte) => (sum * 31 + byte) >>> 0, 0)]
      })
      assert.deepEqual(arrived, [5_000_000, sent])
    })
  }

  test('send resolves when there is room again, and keeps the order', async () => {
    await together()
    const waited = await one.evaluate(async () => {
      let resolved = 0
      const all = Array.from({ length: 200 }, (_, index) =>
        window.lobby.all.send('reliable', new Uint8Array(60_000).fill(index)).then(() => { resolved++ }))
      await new Promise((resolve) => queueMicrotask(resolve))
      const atOnce = resolved
      await Promise.all(all)
      return [atOnce, resolved]
    })
    assert.ok(waited[0] < 20, `${waited[0]} of 200 sends found room at once`)
    assert.equal(waited[1], 200)
    const order = await other.wait(() => {
      const messages = window.heard.filter(({ channel }) => channel === 'reliable')
      return messages.length === 200 && messages.map(({ data }) => data[0])
    })
    assert.deepEqual(order, Array.from({ length: 200 }, (_, index) => index))
  })

  test('text, bytes and JSON arrive as what they were', async () => {
    await together()
    await one.evaluate(async () => {
      await window.lobby.all.send('reliable', 'grüß dich')
      await window.lobby.all.send('reliable', { deep: [1, null, 'two'] })
      await window.lobby.all.send('reliable', new Uint8Array(0))
      await window.lobby.all.send('reliable', '')
    })
    const heard = await other.wait(() => window.heard.length === 4 &&
      window.heard.map(({ data }) => (data instanceof Uint8Array ? ['bytes', ...data] : data)))
    assert.deepEqual(heard, ['grüß dich', { deep: [1, null, 'two'] }, ['bytes'], ''])
  })

  test('what is too large for an unreliable channel, or sent on none, is refused in a word', async () => {
    await together()
    const codes = await one.evaluate(() => Promise.all([
      window.lobby.all.send('state', new Uint8Array(300_000)),
      window.lobby.all.send('nothing', 'x'),
    ].map((sent) => sent.then(() => 'sent', (error) => error.code))))
    assert.deepEqual(codes, ['too-large', 'no-channel'])
  })

  test('the owner locks, changes the data, and shows somebody out', async () => {
    const code = await together({ public: true, data: { map: 'dust' } })
    await one.evaluate(async () => {
      await window.lobby.lock()
      await window.lobby.update({ data: { map: 'ice' } })
    })
    await other.wait(() => window.lobby.locked && window.lobby.data.map === 'ice')
    assert.equal(await other.evaluate(() => window.lobby.kick(window.lobby.owner).then(() => 'kicked', (error) => error.code)), 'not-owner')
    await other.evaluate(() => { window.lobby.on('removed', (why) => { window.why = why }) })
    const again = () => other.evaluate((code) => window.net.join(code).then((lobby) => { window.lobby = lobby; return 'in' }, (error) => error.code), code)
    await one.evaluate(() => window.lobby.kick([...window.lobby.peers.keys()][0], { ban: false }))
    assert.equal(await other.wait(() => window.why), 'kicked')
    assert.equal(await again(), 'locked')
    await one.evaluate(() => window.lobby.lock(false))
    assert.equal(await again(), 'in')
    await one.evaluate(() => window.lobby.kick([...window.lobby.peers.keys()][0]))
    await other.wait(() => window.lobby.state === 'gone')
    assert.equal(await again(), 'kicked')
  })

  test('the other entries of the package fit the core: the list, and what a panel hears', async () => {
    await Promise.all([join(one, stage.url), join(other, stage.url)])
    const code = await one.evaluate(async () => {
      const { trace } = await import('/trace.js')
      const lobby = await window.net.create({ public: true, data: { map: 'lava' } })
      window.traced = []
      trace(lobby, (event) => window.traced.push(event))
      return window.enter(lobby)
    })
    const listed = await other.evaluate(async () => {
      const list = await window.net.lobbies({ map: 'lava' })
      return list.all().map((lobby) => lobby.code)
    })
    assert.deepEqual(listed, [code])
    await other.evaluate(async (code) => window.enter(await window.net.join(code)), code)
    await one.wait(() => window.traced.some(({ type }) => type === 'selected'))
    const types = await one.evaluate(() => [...new Set(window.traced.map(({ type }) => type))].sort())
    for (const type of ['candidate', 'description', 'gathered', 'link', 'open', 'pair', 'selected', 'state']) assert.ok(types.includes(type), `${type} in ${types}`)
  })

  test('when the owner leaves, the other one owns the lobby', async () => {
    await together()
    assert.equal(await other.evaluate(() => window.lobby.isOwner), false)
    await one.evaluate(() => window.lobby.leave())
    await other.wait(() => window.lobby.isOwner)
  })

  test('a quick match brings two together who ask for the same', async () => {
    await Promise.all([join(one, stage.url), join(other, stage.url)])
    const quick = (player, map) => player.evaluate(async (map) => window.enter(await window.net.quick({ map })), map)
    assert.equal(await quick(one, 'snow'), await quick(other, 'snow'))
    await Promise.all([linked(one), linked(other)])
  })

  test('both leave the server with start, and open a new lobby with the same session object', async () => {
    await together()
    await Promise.all([one, other].map((player) => player.evaluate(() => window.lobby.start())))
    await one.evaluate(() => window.lobby.all.send('reliable', 'still here'))
    await other.wait(() => window.heard.some(({ data }) => data === 'still here'))
    assert.match(await one.evaluate(async () => (await window.net.create()).code), /^[2-9A-Z]{4,6}$/)
  })
})
