// The binary's manners: what it says when it cannot start, and how it ends.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Client } from '../attack/kit/websocket.mjs'
import { Server } from '../kit/server.mjs'

const local = ['--http', '127.0.0.1:0', '--turn', '127.0.0.1:0']

/** It ends with one line that matches, and a non-zero code. */
async function refuses(args, pattern, { code = 1, env } = {}) {
  const end = await Server.fails(args, { env })
  assert.equal(end.code, code, end.output)
  assert.match(end.output, pattern)
  if (code === 1) assert.equal(end.output.trim().split('\n').length, 1, `one sentence:\n${end.output}`)
}

describe('what cannot start says why', () => {
  let folder, taken, port
  const file = (name, text) => { const path = join(folder, name); writeFileSync(path, text); return path }

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'twocan-cli-'))
    taken = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => taken.once('listening', resolve))
    port = taken.address().port
  })
  after(() => { taken.close(); rmSync(folder, { recursive: true, force: true }) })

  test('an unknown flag', () => refuses(['serve', '--htpp', '1'], /unexpected argument '--htpp'/, { code: 2 }))
  test('a value of the wrong shape', () => refuses(['serve', '--relay-ports', '9-5'], /not a range of ports/, { code: 2 }))
  test('a taken HTTP port', () => refuses(['serve', '--http', `127.0.0.1:${port}`, '--turn', '127.0.0.1:0'], new RegExp(`port ${port} is already taken`)))
  test('a taken TURN port', () => refuses(['serve', '--http', '127.0.0.1:0', '--turn', `127.0.0.1:${port}`], new RegExp(`port ${port} is already taken`)))
  test('an address of another machine', () => refuses(['serve', '--http', '127.0.0.1:0', '--turn', '192.0.2.1:3478'], /no address 192\.0\.2\.1/))
  test('a second address that shares the first one\'s IP address', () =>
    refuses(['serve', '--http', '127.0.0.1:0', '--turn', '127.0.0.1:34791', '--alternate', '127.0.0.1:34792'], /--alternate 127\.0\.0\.1:34792: it needs another IP address/))
  test('a second address that shares the first one\'s port', () =>
    refuses(['serve', '--http', '127.0.0.1:0', '--turn', '127.0.0.1:34791', '--alternate', '127.0.0.2:34791'], /--alternate 127\.0\.0\.2:34791: it needs another port/))
  test('a second address of a family that has no first one', () => refuses(['serve', ...local, '--alternate', '[::1]:34792'], /--alternate \[::1\]:34792: .*address family/))
  test('a second address of another machine', () => refuses(['serve', ...local, '--alternate', '192.0.2.1:34792'], /no address 192\.0\.2\.1/))
  test('TURN over TLS without a certificate', () => refuses(['serve', ...local, '--turns', '127.0.0.1:0'], /--tls-cert/))
  test('a certificate that cannot be read', () =>
    refuses(['serve', ...local, '--turns', '127.0.0.1:0', '--tls-cert', join(folder, 'none.pem'), '--tls-key', join(folder, 'none.pem')], /cannot read the certificate .*none\.pem/))
  test('a certificate that is none', () =>
    refuses(['serve', ...local, '--turns', '127.0.0.1:0', '--tls-cert', file('a.pem', 'hello'), '--tls-key', file('b.pem', 'hello')], /holds no certificate/))
  test('a malformed CIDR', () => refuses(['serve', ...local, '--deny-peer', '10.0.0.0/33'], /--deny-peer.*10\.0\.0\.0\/33/))
  test('a CIDR with bits beyond its prefix', () => refuses(['serve', ...local, '--allow-peer', '10.0.0.1/8'], /--allow-peer.*10\.0\.0\.1\/8/))
  test('an origin that is none', () => refuses(['serve', ...local, '--origin', 'play.example'], /--origin.*play\.example/, { code: 2 }))
  test('a file with an unknown key', () =>
    refuses(['serve', '--config', file('bad.toml', 'realm = "x"\nhtpp = "1"\n')], /bad\.toml, line 2: unknown field `htpp`/))
  test('a file that is not there', () => refuses(['serve', '--config', join(folder, 'none.toml')], /cannot read .*none\.toml/))
  test('a variable that means nothing', () => refuses(['serve', ...local], /TWOCAN_HTPP/, { env: { TWOCAN_HTPP: '1' } }))
  test('a level of logging that is none', () => refuses(['serve', ...local], /TWOCAN_LOG=verbose.*debug/, { env: { TWOCAN_LOG: 'verbose' } }))
})

describe('a running server', () => {
  test('says in its log where the page is, and serves it', async () => {
    const server = await Server.start(local)
    const [, url] = await server.said(/(http:\/\/127\.0\.0\.1:\d+)/)
    const page = await fetch(url)
    assert.equal(page.status, 200)
    assert.match(page.headers.get('content-security-policy'), /default-src 'self'/)
    assert.match(await page.text(), /<title>.*Twocan/i)
    assert.equal((await fetch(`${url}/healthz`)).status, 200)
    assert.match(await (await fetch(`${url}/metrics`)).text(), /^twocan_lobbies /m)
    assert.equal((await fetch(`${url}/nothing-here`)).status, 404)
    await server.stop()
  })

  for (const signal of ['SIGINT', 'SIGTERM']) {
    test(`ends cleanly on ${signal}`, async () => {
      const server = await Server.start(local)
      assert.deepEqual(await server.stop(signal), { code: 0, signal: null })
    })
  }

  test('takes its settings from the environment', async () => {
    const server = await Server.start([], { env: { TWOCAN_HTTP: '127.0.0.1:0', TWOCAN_TURN: '127.0.0.1:0', TWOCAN_REALM: 'north' } })
    await server.stop()
  })

  test('has the limits that it is told, by flag, by variable and by file', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'twocan-cli-'))
    const path = join(folder, 'twocan.toml')
    writeFileSync(path, '[limits]\nlobbies-per-household = 1\n')
    const ways = [[['--limit', 'lobbies-per-household=1']], [[], { env: { TWOCAN_LIMIT: 'sessions=2000,lobbies-per-household=1' } }], [['--config', path]]]
    for (const [more, options] of ways) {
      const server = await Server.start([...local, ...more], options)
      const [, host, port] = await server.said(/http:\/\/([0-9.]+):(\d+)/)
      const [ada, bob] = await Promise.all(['ada', 'bob'].map(() => Client.open({ host, port: Number(port), app: 'chess' })))
      assert.equal((await ada.ask('create')).type, 'joined')
      assert.equal((await bob.ask('create')).code, 'too-many-lobbies', JSON.stringify(more))
      for (const one of [ada, bob]) one.destroy()
      await server.stop()
    }
    rmSync(folder, { recursive: true, force: true })
  })

  test('prints its settings as a file that it takes', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'twocan-cli-'))
    const secret = 'only-the-operator-knows-this-0123456789'
    const printed = await Server.fails(['serve', ...local, '--turn-secret', secret, '--limit', 'sessions=5000', '--print-config'])
    assert.equal(printed.code, 0, printed.output)
    assert.match(printed.output, /^sessions = 5000 #/m)
    assert.doesNotMatch(printed.output, /only-the-operator/)
    const path = join(folder, 'twocan.toml')
    writeFileSync(path, printed.output)
    const good = await Server.fails(['serve', '--config', path, '--check-config'])
    assert.deepEqual([good.code, good.output], [0, 'the settings are good\n'])
    const again = await Server.fails(['serve', '--config', path, '--print-config'])
    assert.equal(again.output, printed.output.replace(/^# turn-secret.*\n/m, ''))
    rmSync(folder, { recursive: true, force: true })
  })

  test('says what is wrong with its settings without a start', async () => {
    for (const [args, why] of [
      [['--tls-cert', '/none.pem'], /--tls-cert/], [['--deny-peer', '10.0.0.0/33'], /10\.0\.0\.0\/33/], [['--limit', 'lobbies-per-household=9999999'], /more than the 2560/],
    ]) {
      const { code, output } = await Server.fails(['serve', ...local, ...args, '--check-config'])
      assert.equal(code, 1, output)
      assert.match(output, why)
    }
  })

  for (const format of ['text', 'json']) {
    test(`has a line for each lobby's life in its log, as ${format}`, async () => {
      const server = await Server.start([...local, '--log-format', format])
      const [, host, port] = await server.said(/http:\/\/([0-9.]+):(\d+)/)
      const [ada, bob] = await Promise.all(['ada', 'bob'].map(() => Client.open({ host, port: Number(port), app: 'chess' })))
      const { lobby: { code } } = await ada.ask('create')
      await bob.ask('join', { code })
      ada.note('failed', { peer: bob.peer, reason: 'timeout' })
      for (const [one, other] of [[ada, bob], [bob, ada]]) {
        one.note('linked', { peer: other.peer, path: 'relayed', local: 'relay', remote: 'host', ms: 5 })
        await one.ask('ping')
      }
      for (const one of [ada, bob]) await one.ask('leave')
      await server.said(/a lobby is gone/)
      const line = server.output.split('\n').find((line) => line.includes('a lobby is gone'))
      const fields = format === 'json' ? JSON.parse(line) : Object.fromEntries([...line.matchAll(/(\w+)=("[^"]*"|\S+)/g)].map(([, name, value]) => [name, value.startsWith('"') ? JSON.parse(value) : /^\d+$/.test(value) ? Number(value) : value]))
      const { app, why, entered, direct, relayed, failed } = fields
      assert.deepEqual({ code: fields.code, app, why, entered, direct, relayed, failed }, { code, app: 'chess', why: 'empty', entered: 2, direct: 0, relayed: 1, failed: '1 timeout' })
      for (const one of [ada, bob]) one.destroy()
      await server.stop()
    })
  }

  test('runs the relay alone, with no page', async () => {
    const server = await Server.start(['--only', 'relay', '--turn', '127.0.0.1:0'])
    assert.doesNotMatch(server.output, /http:\/\//)
    await server.stop()
  })

  test('runs signaling alone, with no relay', async () => {
    const server = await Server.start(['--only', 'signaling', '--http', '127.0.0.1:0'])
    assert.doesNotMatch(server.output, /TURN/)
    await server.stop()
  })
})
