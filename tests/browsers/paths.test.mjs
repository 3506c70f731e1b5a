// A server below a path of somebody's site: behind a proxy that takes the path off, and behind one that leaves it in (`--base-path`).
import assert from 'node:assert/strict'
import { createServer, request } from 'node:http'
import { after, before, describe, test } from 'node:test'
import { Player, here } from '../kit/player.mjs'
import { missing } from '../kit/programs.mjs'
import { Server } from '../kit/server.mjs'
import { openLobby } from '../kit/stage.mjs'

const skip = missing('chromium')
const PATH = '/games/twocan'

/** A site that passes on what is below PATH, as nginx does with `location /games/twocan/`; `rewrite` says as what. */
async function site(port, rewrite) {
  const ask = ({ url, method, headers }) => request({ port, host: '127.0.0.1', method, path: rewrite(url), headers: { ...headers, 'x-forwarded-for': '192.0.2.7' } })
  const proxy = createServer((asked, answer) => {
    if (asked.url !== PATH && !asked.url.startsWith(`${PATH}/`)) return answer.writeHead(404).end('somebody else\'s')
    const passed = ask(asked)
    passed.on('response', (response) => { answer.writeHead(response.statusCode, response.headers); response.pipe(answer) })
    asked.pipe(passed)
  })
  proxy.on('upgrade', (asked, socket) => {
    if (!asked.url.startsWith(`${PATH}/`)) return socket.end('HTTP/1.1 404 Not Found\r\n\r\n')
    const passed = ask(asked).end()
    passed.on('upgrade', (response, other, first) => {
      const lines = Object.entries(response.headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')
      socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines}\r\n`)
      // The welcome may be there already.
      socket.write(first)
      other.pipe(socket).pipe(other)
      for (const each of [other, socket]) each.on('error', () => { other.destroy(); socket.destroy() })
    })
    passed.on('response', () => socket.destroy())
  })
  await new Promise((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  return proxy
}

const ways = [
  ['takes the path off', [], (url) => url.slice(PATH.length) || '/'],
  ['leaves the path in', ['--base-path', `${PATH}/`], (url) => url],
]
for (const [what, more, rewrite] of ways) {
  describe(`below a path, behind a proxy that ${what}`, { skip }, () => {
    let server, proxy, player, url
    before(async () => {
      server = await Server.start(['--http', '127.0.0.1:0', '--only', 'signaling', '--trusted-proxy', '127.0.0.1/32', ...more])
      proxy = await site(Number(/http:\/\/127\.0\.0\.1:(\d+)/.exec(server.output)[1]), rewrite)
      url = `http://localhost:${proxy.address().port}${PATH}`
      player = await Player.start(here, undefined, 'chromium')
    })
    after(async () => {
      await player?.close()
      proxy?.closeAllConnections()
      proxy?.close()
      await server?.stop()
    })

    test('the page plays', async () => {
      const code = await openLobby(player, `${url}/`)
      assert.match(code, /^[A-Z0-9]{4,}$/)
      assert.equal(await player.evaluate(() => location.pathname), `${PATH}/`)
    })

    test('the SDK is told the path, or is where the module came from', async () => {
      await player.goto(`${url}/list.js`)
      const said = await player.evaluate(async (url) => {
        const { connect } = await import(`${url}/twocan.js`)
        const nets = await Promise.all([url, `${url}/`, `${url}/v1`, ''].map((url) => connect(url, { app: 'paths' })))
        const lobby = await nets[0].create()
        let last
        for (const net of nets.slice(1)) last = await net.join(lobby.code)
        return last.members.length
      }, url)
      assert.equal(said, 4)
    })

    if (more.length) {
      test('without its last slash, the page is somewhere else', async () => {
        const { status, headers } = await fetch(url, { redirect: 'manual' })
        assert.deepEqual([status, headers.get('location')], [308, `${PATH}/`])
      })
    }
  })
}
