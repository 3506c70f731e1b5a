// What a relay credential reaches: a trickle until a peer has answered, nothing after a member is gone, and never the relay's own host.
// And that those who have none hold up nobody's packets.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { missing } from '../kit/programs.mjs'
import { Server } from '../kit/server.mjs'
import { bytes, secret, share, within } from './kit/contract.mjs'
import { Field, skip } from './kit/field.mjs'

describe('the relay', { skip }, () => {
  let field, members

  before(async () => {
    field = await Field.open()
    members = await field.another()
  })
  after(() => { members?.close(); field?.close() })

  /** A lobby of two, from addresses of their own; the victim has a port besides, which never sent anything. `state.relays`: the victim's, the sender's. */
  const pair = (siege, { victimOwns = true } = {}) => members.run(async (kit, at, victimOwns) => {
    kit.rest()
    const from = ['80.81.130.1', '80.81.130.2']
    const [first, second] = victimOwns ? from : [...from].reverse()
    const owner = await kit.enter({ ...at, from: first }, 'create', {})
    const guest = await kit.enter({ ...at, from: second }, 'join', { code: owner.code })
    const both = victimOwns ? [owner, guest] : [guest, owner]
    const relays = []
    for (const [n, member] of both.entries()) {
      const turn = await kit.turn({ host: at.host, port: at.turnPort, from: from[n], login: await kit.login(member) })
      await turn.allocate()
      relays.push(turn)
    }
    Object.assign(kit.state, { both, relays, victim: await kit.listener(from[0], 5_300) })
    return null
  }, siege.at, victimOwns)

  /** The sender sends as fast as 16 MB/s to the victim's port for `ms`; what arrived there. Where it is `answering`, the victim answers each. */
  const cannon = (ms, { how = 'channel', answering = false } = {}) => members.run(async (kit, ms, how, answering) => {
    const { victim, relays: [, right] } = kit.state
    const peer = { address: '80.81.130.1', port: 5_300 }
    victim.answering = answering
    const code = how === 'channel' ? await right.bind(0x4001, peer) : await right.permit(peer)
    if (code !== 0) return { code, packets: 0, bytes: 0, sent: 0 }
    if (answering) { right.send(0x4001, 'hello'); await kit.sleep(300) }
    Object.assign(victim, { packets: 0, bytes: 0 })
    const packet = Buffer.alloc(1_200)
    const until = Date.now() + ms
    let sent = 0
    while (Date.now() < until) {
      for (let n = 0; n < 60; n++) { how === 'channel' ? right.send(0x4001, packet) : right.indicate(peer, packet); sent += packet.length }
      await kit.sleep(4)
    }
    await kit.sleep(300)
    return { code, packets: victim.packets, bytes: victim.bytes, sent }
  }, ms, how, answering)

  for (const how of ['channel', 'indication']) {
    test(`a member's address that has not answered gets a trickle, by ${how}`, (context) => field.with({}, async (siege) => {
      await pair(siege)
      const { code, bytes: arrived, sent } = await siege.under(context, () => cannon(2_000, { how }))
      context.diagnostic(`${code}: ${arrived} of ${sent} bytes arrived in 2 s`)
      assert.ok(arrived <= bytes.trickleBurst + 2 * bytes.trickle, `${arrived} bytes in 2 s`)
    }))
  }

  test('one that has answered gets all that it is sent', (context) => field.with({ company: false }, async (siege) => {
    await pair(siege)
    const { bytes: arrived, sent } = await cannon(1_000, { answering: true })
    context.diagnostic(`${arrived} of ${sent} bytes arrived in 1 s`)
    assert.ok(arrived >= Math.min(0.9 * sent, 1_500_000), `${arrived} of ${sent} bytes`)
  }))

  /** The sender has permissions and channels to the victim's relayed address and to its port; then `end`, then what still gets through. */
  const afterwards = (siege, end) => members.run(async (kit, end) => {
    const { both, relays: [left, right], victim } = kit.state
    victim.answering = true
    await left.bind(0x4001, right.relayed)
    const bound = [await right.bind(0x4001, { address: '80.81.130.1', port: 5_300 }), await right.bind(0x4002, left.relayed)]
    const count = async () => {
      await kit.sleep(200)
      victim.packets = left.received.packets = 0
      for (let n = 0; n < 20; n++) {
        right.send(0x4001, 'channel')
        right.send(0x4002, 'channel')
        right.indicate({ address: '80.81.130.1', port: 5_300 }, Buffer.from('indication'))
        right.indicate(left.relayed, Buffer.from('indication'))
        await kit.sleep(5)
      }
      await kit.sleep(300)
      return { toPort: victim.packets, toRelayed: left.received.packets }
    }
    const before = await count()
    await (0, eval)(`(${end})`)(...both)
    await kit.sleep(500)
    const codes = [await right.refresh(600), await left.refresh(600)]
    return { bound, before, after: await count(), codes }
  }, String(end))

  const ends = [
    ['the member who sends is kicked', (victim, sender) => victim.ask('kick', { peer: sender.peer }), true],
    ['the member who sends leaves', (victim, sender) => sender.ask('leave'), true],
    ['the member who is sent to leaves', (victim) => victim.ask('leave'), true],
    ['the member who is sent to closes the page', (victim) => victim.leave(1001), true],
    ['the member who is sent to is kicked', (victim, sender) => sender.ask('kick', { peer: victim.peer }), false],
  ]
  for (const [name, end, victimOwns] of ends) {
    test(`after ${name} nothing goes there any more`, (context) => field.with({ company: false }, async (siege) => {
      await pair(siege, { victimOwns })
      const told = await afterwards(siege, end)
      context.diagnostic(JSON.stringify(told))
      assert.deepEqual(told.bound, [0, 0])
      assert.ok(told.before.toPort >= 30 && told.before.toRelayed >= 30, 'it did not flow before')
      assert.deepEqual(told.after, { toPort: 0, toRelayed: 0 })
    }))
  }

  test('across halves with one secret, who is kicked is out within half a minute', (context) => field.with({
    company: false, base: ['--only', 'signaling', '--public', '--turn-secret', secret, '--external-ip', '80.80.0.10'],
  }, async (siege) => {
    const relay = await Server.start(['--only', 'relay', '--public', '--turn-secret', secret], { world: field.world, place: field.world.server })
    try {
      await pair(siege)
      const told = await members.run(async (kit, at, patience) => {
        const { both: [owner, guest], relays: [left, right] } = kit.state
        const flows = async () => {
          left.received.packets = 0
          for (let n = 0; n < 10; n++) { right.send(0x4002, 'x'); await kit.sleep(10) }
          await kit.sleep(200)
          return left.received.packets
        }
        await left.bind(0x4001, right.relayed)
        const bound = await right.bind(0x4002, left.relayed)
        const before = await flows()
        const login = await kit.login(guest)
        await owner.ask('kick', { peer: guest.peer })
        const began = Date.now()
        while (Date.now() < began + patience && await flows() > 0) await kit.sleep(500)
        const seconds = (Date.now() - began) / 1_000
        const fresh = await kit.turn({ host: at.host, port: at.turnPort, from: '80.81.131.1', login })
        return { bound, before, seconds, after: await flows(), refresh: await right.refresh(600), elsewhere: await fresh.allocate(), reaches: await fresh.permit(left.relayed) }
      }, siege.at, within.acrossHalves)
      context.diagnostic(JSON.stringify(told))
      assert.ok(told.before > 0)
      assert.equal(told.after, 0, 'it still flows')
      assert.notEqual(told.refresh, 0)
      assert.ok(told.elsewhere !== 0 || told.reaches !== 0, 'the credential allocates elsewhere and reaches the owner')
    } finally {
      await relay.stop('SIGKILL')
    }
  }))

  test('nobody reaches the relay\'s own host by any of its addresses, but for relayed ports', (context) => field.with({
    company: false, args: ['--turn-user', 'ann:secret-of-ann', '--external-ip', '80.80.0.10', '--external-ip', '2a05:80::10'],
  }, async (siege) => {
    await field.echo.run(async (kit) => {
      for (const host of ['0.0.0.0', '::']) (await kit.listener(host, 21_777)).answering = true
    })
    await pair(siege)
    const told = await members.run(async (kit, at, addresses) => {
      const { both: [, guest], relays: [left] } = kit.state
      const logins = { operator: { username: 'ann', credential: 'secret-of-ann' }, member: await kit.login(guest) }
      const reached = []
      let relayed = null
      for (const [who, login] of Object.entries(logins)) {
        for (const family of [1, 2]) {
          const turn = await kit.turn({ host: at.host, port: at.turnPort, from: '80.81.130.2', login: { ...login } })
          const allocated = await turn.allocate({ family })
          if (allocated !== 0) reached.push(`${who}: allocate ${allocated}`)
          for (const address of addresses.filter((each) => each.includes(':') === (family === 2))) {
            for (const [port, bytes] of [[21_777, Buffer.from('hello')], [3_478, kit.stun.message(1, 'request')]]) {
              turn.received.packets = 0
              const code = await turn.permit({ address, port })
              turn.indicate({ address, port }, bytes)
              await kit.sleep(120)
              if (turn.received.packets > 0) reached.push(`${who} ${address}:${port} (permission ${code})`)
            }
          }
          if (who === 'member' && family === 1) relayed = await turn.permit(left.relayed)
          turn.close()
        }
      }
      return { reached, relayed }
    }, siege.at, [field.host, field.second.address, '80.80.0.255', '127.0.0.1', '0.0.0.0', field.host6, field.second.address6, '::1', '::'])
    context.diagnostic(JSON.stringify(told))
    assert.deepEqual(told.reached, [])
    assert.equal(told.relayed, 0, 'a member\'s relayed address')
  }))

  test('messages of 65 KB over UDP from who has proved nothing are dropped', (context) => field.with({}, async (siege) => {
    const told = await siege.under(context, () => siege.attacker.run(async (kit, at) => {
      const one = await kit.turn({ host: at.host, port: at.turnPort, from: kit.v4(1) })
      const id = Buffer.alloc(12, 7)
      const big = kit.stun.message(1, 'request', Array.from({ length: 16_200 }, () => Buffer.from([0x80, 0x99, 0, 0])), { id })
      const fits = await one.exchange(Buffer.alloc(12, 8), kit.stun.message(1, 'request', [kit.stun.part(0x8099, Buffer.alloc(1_000))], { id: Buffer.alloc(12, 8) }))
      const answer = await one.exchange(id, big, { timeout: 1_000 })
      for (let n = 0; n < 3_000; n++) { one.write(big); if (n % 20 === 0) await kit.sleep(10) }
      return { fits: fits.code, code: answer.code }
    }, siege.at))
    context.diagnostic(JSON.stringify(told))
    assert.deepEqual(told, { fits: 0, code: -1 })
  }))

  for (const realm of ['twocan', 'r'.repeat(32)]) {
    test(`a refusal has at most five times the bytes of what asked, with a realm of ${realm.length}`, (context) => field.with({ company: false, args: ['--realm', realm] }, async (siege) => {
      const told = await siege.attacker.run(async (kit, at) => {
        const one = await kit.turn({ host: at.host, port: at.turnPort, from: kit.v4(1) })
        const asked = { bare: [], transport: [kit.stun.part(kit.stun.attribute.transport, [17, 0, 0, 0])] }
        const factors = {}
        for (const [name, parts] of Object.entries(asked)) {
          for (const method of ['allocate', 'refresh', 'permission', 'channel']) {
            const id = Buffer.from(name.padEnd(8, '-') + method).subarray(0, 12)
            const request = kit.stun.message(kit.stun.method[method], 'request', parts, { id })
            const answer = await one.exchange(id, request, { timeout: 1_000, again: 0 })
            factors[`${name} ${method}`] = [answer.code, answer.bytes ?? 0, Math.round(10 * (answer.bytes ?? 0) / request.length) / 10]
          }
        }
        return factors
      }, siege.at)
      context.diagnostic(JSON.stringify(told))
      for (const [name, [, , factor]] of Object.entries(told)) assert.ok(factor <= share.amplification, `${name}: × ${factor}`)
    }))
  }

  for (const realm of ['r'.repeat(33), '€'.repeat(11)]) {
    test(`a realm of ${Buffer.byteLength(realm)} bytes is refused`, async () => {
      const { code, output } = await Server.fails(['serve', '--http', '127.0.0.1:0', '--turn', '127.0.0.1:0', '--realm', realm, '--turn-secret', secret])
      assert.equal(code, 1, output)
      assert.match(output, /realm/i)
    })
  }

  test('a flood from forged private sources is metered', (context) => field.with({}, async (siege) => {
    const told = await siege.under(context, () => siege.attacker.run(async (kit, at) => {
      // Sources of a private network that is routed here: what the server would answer to them is counted.
      const sockets = await kit.each(64, 16, (n) => kit.listener(`10.9.${n >> 5}.${1 + n}`, 7_000 + n))
      const request = kit.stun.message(3, 'request', [kit.stun.part(kit.stun.attribute.transport, [17, 0, 0, 0])])
      let sent = 0
      const began = Date.now()
      while (Date.now() < began + 2_000) {
        for (const socket of sockets) { socket.send(request, at.turnPort, at.host); sent += 1 }
        await kit.sleep(1)
      }
      await kit.sleep(300)
      return { sent, seconds: (Date.now() - began) / 1_000, answered: sockets.reduce((sum, { packets }) => sum + packets, 0) }
    }, siege.at))
    context.diagnostic(JSON.stringify(told))
    assert.ok(told.sent > 10_000, `only ${told.sent} sent`)
    assert.ok(told.answered <= (2 + told.seconds) * share.answersPrivate, `${told.answered} of ${told.sent} answered`)
  }))

  /** The first message of a TLS handshake, as anybody can record and send it again. */
  const recordedHello = () => new Promise((resolve) => {
    const server = createServer((socket) => socket.on('error', () => {}).once('data', (bytes) => { socket.destroy(); server.close(); resolve(bytes) }))
    server.listen(0, '127.0.0.1', () => connectTls({ host: '127.0.0.1', port: server.address().port }).on('error', () => {}))
  })

  test('a recorded hello on 400 connections of one address at once, reset at the first answer', { skip: missing('openssl') }, async (context) => {
    const folder = mkdtempSync(join(tmpdir(), 'twocan-hello-'))
    const [key, certificate, turns] = [join(folder, 'key.pem'), join(folder, 'certificate.pem'), 5_349]
    try {
      // RSA: the sender computes nothing, the server a millisecond for each.
      execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=play.test', '-keyout', key, '-out', certificate], { stdio: 'ignore' })
      const hello = (await recordedHello()).toString('base64')
      await field.with({ args: ['--turns', `${field.host}:${turns}`, '--tls-cert', certificate, '--tls-key', key] }, async (siege) => {
        const told = await siege.under(context, () => siege.attacker.run(async (kit, at, hello) => {
          const [bytes, end] = [Buffer.from(hello, 'base64'), Date.now() + 4_000]
          let answered = 0
          await Promise.all(Array.from({ length: 400 }, async () => {
            while (Date.now() < end) {
              const socket = await kit.tcp({ host: at.host, port: at.turns, from: kit.v4(200) })
              socket.write(bytes)
              while (socket.bytes === 0 && socket.ended === null && Date.now() < end) await kit.sleep(1)
              answered += Math.sign(socket.bytes)
              socket.resetAndDestroy()
            }
          }))
          const other = await kit.tcp({ host: at.host, port: at.turns, from: kit.v4(201), tls: true })
          return { answered, other: other.ended }
        }, { ...siege.at, turns }, hello))
        context.diagnostic(JSON.stringify(told))
        assert.ok(told.answered > 0, 'none was answered')
        assert.equal(told.other, null, 'another address finds no TLS')
      })
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
