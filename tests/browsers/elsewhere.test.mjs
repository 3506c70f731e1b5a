// Minute one of a developer: a page that a development server of the same machine serves imports the SDK from our server, started with nothing but a port, and plays.
import assert from 'node:assert/strict'
import { createServer, request } from 'node:http'
import { after, before, describe, test } from 'node:test'
import { Player, here } from '../kit/player.mjs'
import { missing } from '../kit/programs.mjs'
import { Server } from '../kit/server.mjs'

const skip = missing('chromium', 'firefox-esr', 'certutil')

describe('a page of another server of this machine', { skip }, () => {
  let server, url, development, page
  const players = []

  before(async () => {
    server = await Server.start(['--http', '127.0.0.1:0', '--only', 'signaling'])
    url = /http:\/\/127\.0\.0\.1:\d+/.exec(server.output)[0]
    development = createServer((_, response) => response.setHeader('content-type', 'text/html').end('<!doctype html><title>game</title>'))
    await new Promise((resolve) => development.listen(0, '127.0.0.1', resolve))
    page = `http://localhost:${development.address().port}/`
  })
  after(async () => {
    await Promise.all(players.map((player) => player.close()))
    development?.close()
    await server?.stop()
  })

  for (const kind of ['chromium', 'firefox']) {
    test(`imports the SDK from ours and plays, in ${kind}`, async () => {
      const player = await Player.start(here, undefined, kind)
      players.push(player)
      await player.goto(page)
      const said = await player.evaluate(async (url) => {
        const { connect } = await import(`${url}/twocan.js`)
        const [one, two] = await Promise.all([1, 2].map(() => connect(url, { app: 'minute-one' })))
        const mine = await one.create({ public: true })
        const codes = (await two.lobbies()).all().map(({ code }) => code)
        const theirs = await two.join(mine.code)
        const heard = new Promise((resolve) => theirs.on('message', ({ data }) => resolve(data)))
        mine.on('peer', (peer) => peer.send('reliable', 'hello'))
        return [codes.includes(mine.code), await heard]
      }, url)
      assert.deepEqual(said, [true, 'hello'])
    })
  }

  test('a page of another host is refused, and the log says which setting lets it in', async () => {
    const headers = {
      origin: 'https://game.example', connection: 'Upgrade', upgrade: 'websocket',
      'sec-websocket-version': '13', 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==', 'sec-websocket-protocol': 'twocan.v1',
    }
    const status = await new Promise((resolve, reject) => request(`${url}/v1`, { headers }, ({ statusCode }) => resolve(statusCode)).on('error', reject).end())
    assert.equal(status, 403)
    await server.said(/--origin https:\/\/game\.example/)
  })
})
