// Waiting ends: a minute in which some never read, some trickle and some never prove themselves, all at once; each is ended within a named time, and the kernel holds little for them.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { certify } from '../kit/certificate.mjs'
import { missing } from '../kit/programs.mjs'
import { bytes, long, secret, slack, within } from './kit/contract.mjs'
import { Field, skip } from './kit/field.mjs'
import { connections, mib } from './kit/memory.mjs'

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const [turns, pages, readers, relays] = [5_349, long ? 150 : 40, 20, 40]

describe('waiting', { skip: skip || missing('openssl') }, () => {
  let field, folder, certificate

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'twocan-waiting-'))
    certificate = certify(folder)
    field = await Field.open()
    // A window that lets the server's congestion window, and with it its send buffer, grow to what they can be, before the reading stops.
    field.world.sysctl(field.attacker.place, 'net.ipv4.tcp_rmem=4096 2097152 33554432')
  })
  after(() => {
    field?.close()
    if (folder) rmSync(folder, { recursive: true, force: true })
  })

  /** Those who never read. Each kind has a network of its own, by which the server's kernel is asked for them. */
  const unread = {
    'pages that nobody reads': ['80.81.10.', within.notRead, async (kit, at, [pages]) => {
      await kit.each(pages, 16, async (n) => {
        const socket = await kit.tcp({ host: at.host, port: at.port, from: `80.81.10.${1 + (n % 4)}`, read: false })
        socket.write(`GET /app.js HTTP/1.1\r\nHost: ${at.host}:${at.port}\r\n\r\n`.repeat(60))
      })
    }],
    'WebSockets that do not read': ['80.81.11.', within.webSocketNotRead, async (kit, at, [, readers]) => {
      const data = { big: 'x'.repeat(1_900) }
      kit.state.listed = await kit.each(24, 8, (n) => kit.enter({ ...at, from: `80.81.13.${1 + n}` }, 'create', { public: true, data }))
      await kit.each(readers, 8, async (n) => {
        const one = await kit.client({ ...at, from: `80.81.11.${1 + n}`, rate: 0 })
        for (let m = 0; m < 38; m++) one.note('list', {})
      })
    }],
    'TURN over TCP that does not read what peers send': ['80.81.12.', within.notRead, async (kit, at, [, , relays]) => {
      const all = await kit.each(relays, 8, async (n) => {
        const from = `80.81.12.${1 + n}`
        const member = await kit.enter({ ...at, from }, 'create', {})
        const turn = await kit.turn({ host: at.host, port: at.turnPort, over: 'tcp', from, login: await kit.login(member) })
        await turn.allocate()
        const peer = await kit.listener(from, 5_300)
        await turn.permit({ address: from, port: 5_300 })
        turn.pause()
        // What is read would end its waiting: its lobby's socket goes, its relay stays.
        return { turn, peer }
      })
      for (let round = 0; round < 120; round++) {
        for (const { turn, peer } of all) if (turn?.relayed) for (let n = 0; n < 30; n++) peer.send(Buffer.alloc(1_200), turn.relayed.port, turn.relayed.address)
        await kit.sleep(50)
      }
    }],
  }

  /** Those who read, but say next to nothing: when each was ended, ms. */
  const slow = {
    'a byte a second of an HTTP head': [within.httpHead, async (kit, at) => kit.trickle(await kit.tcp({ ...at, from: '80.81.20.1' }), 'GET / HTTP/1.1\r\nHost: x\r\nX-Junk: ', 60)],
    'an HTTP connection that is kept alive and asks no more': [within.httpIdle, async (kit, at) => {
      const socket = await kit.tcp({ ...at, from: '80.81.20.2' })
      socket.write(`GET /healthz HTTP/1.1\r\nHost: ${at.host}\r\n\r\n`)
      return kit.gone(socket, 64_000)
    }],
    'an HTTP connection that says nothing': [within.httpHead, async (kit, at) => kit.gone(await kit.tcp({ ...at, from: '80.81.20.3' }), 64_000)],
    'a WebSocket without hello': [within.hello, async (kit, at) => {
      const began = Date.now()
      const socket = await kit.raw({ ...at, from: '80.81.20.4' })
      const ended = new Promise((resolve) => socket.on('end', resolve).on('close', resolve).resume())
      return await Promise.race([ended.then(() => true), kit.sleep(64_000)]) ? Date.now() - began : null
    }],
    'a byte a second of a WebSocket frame': [within.webSocketFrame, async (kit, at) => {
      const one = await kit.client({ ...at, from: '80.81.20.5' })
      const began = Date.now()
      const whole = kit.frame(JSON.stringify({ type: 'ping', id: 1, pad: 'x'.repeat(5_000) }))
      for (let n = 0; n < 64 && one.closed === null; n++) { one.write(whole.subarray(n, n + 1)); await kit.sleep(1_000) }
      return one.closed === null ? null : Date.now() - began
    }],
    'TURN over TCP that says nothing': [within.turnSilent, async (kit, at) => kit.gone(await kit.tcp({ host: at.host, port: at.turnPort, from: '80.81.20.6' }), 64_000)],
    'a byte a second of a STUN message over TCP': [within.turnFrame, async (kit, at) => kit.trickle(await kit.tcp({ host: at.host, port: at.turnPort, from: '80.81.20.7' }), kit.stun.message(1, 'request', [kit.stun.part(0x8099, Buffer.alloc(500))]).toString('latin1'), 64)],
    'TURN over TCP that asks a Binding every 20 s and proves nothing': [within.turnUnproved, async (kit, at) => kit.unproved({ host: at.host, port: at.turnPort, from: '80.81.20.8' }, (stun) => stun.message(1, 'request'), 64_000)],
    'TURN over TCP that asks an Allocate every 20 s and proves nothing': [within.turnUnproved, async (kit, at) => kit.unproved({ host: at.host, port: at.turnPort, from: '80.81.20.9' }, (stun) => stun.message(3, 'request'), 64_000)],
    'TLS that says nothing': [within.tls, async (kit, at, turns) => kit.gone(await kit.tcp({ host: at.host, port: turns, from: '80.81.20.10' }), 64_000)],
    'a byte a second of a TLS hello': [within.tls, async (kit, at, turns) => kit.trickle(await kit.tcp({ host: at.host, port: turns, from: '80.81.20.11' }), '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'.padEnd(70, 'x'), 64)],
  }

  test('a minute of it', { concurrency: true, timeout: 150_000 }, async (context) => field.with({
    base: ['--public', '--turn-secret', secret, '--turns', `${field.host}:${turns}`, '--tls-cert', certificate.cert, '--tls-key', certificate.key],
  }, async (siege) => {
    await siege.beside()
    const before = siege.memory()
    const minute = siege.watching(() => siege.under(context, () => sleep(68_000)))
    minute.catch(() => {})
    const parts = []
    for (const [name, [most, attack]] of Object.entries(slow)) {
      parts.push(context.test(`${name} is ended within ${most / 1_000} s`, async (part) => {
        const ended = await siege.attacker.run(attack, siege.at, turns)
        part.diagnostic(`ended after ${ended === null ? 'more than 64 s' : `${(ended / 1_000).toFixed(1)} s`}`)
        assert.ok(ended !== null && ended <= most + slack, String(ended))
      }))
    }
    for (const [name, [prefix, most, attack]] of Object.entries(unread)) {
      parts.push(context.test(`${name} are ended within ${most / 1_000} s`, async (part) => {
        const place = field.world.server
        await siege.attacker.run(attack, siege.at, [pages, readers, relays])
        const began = Date.now()
        let there = connections(place, prefix)
        const first = there
        // Of those who hold a lobby besides, its socket is read and may stay.
        const stay = prefix === '80.81.12.' ? relays : 0
        while (there > stay && Date.now() < began + most + slack) { await sleep(500); there = connections(place, prefix) }
        part.diagnostic(`${first} connections; after ${((Date.now() - began) / 1_000).toFixed(1)} s ${there} of them`)
        assert.ok(first > 0, 'they never were there')
        assert.ok(there <= stay, `${there} connections are still there`)
      }))
    }
    const felt = minute.then(({ most }) => most)
    parts.push(context.test('the kernel holds at most 64 MiB for them all', async (part) => {
      const most = await felt.catch(() => ({ kernel: NaN }))
      part.diagnostic(`${mib(most.kernel)} MiB at the most`)
      assert.ok(most.kernel <= bytes.kernel, `${mib(most.kernel)} MiB`)
    }))
    parts.push(context.test('at the end it holds nothing for them, though they are there still', async (part) => {
      await felt.catch(() => {})
      await siege.back(part, before, 5_000)
    }))
    await Promise.all(parts)
    await minute
  }))
})
