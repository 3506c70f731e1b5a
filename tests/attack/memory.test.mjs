// Memory is all memory: after a thousand of each kind of request the resident size and the kernel's TCP memory are back where they were, within 8 MiB.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { bytes, long } from './kit/contract.mjs'
import { Field, skip } from './kit/field.mjs'
import { mib } from './kit/memory.mjs'

const thousand = long ? 10_000 : 1_000

describe('memory', { skip }, () => {
  let field

  before(async () => { field = await Field.open() })
  after(() => field?.close())

  /** Lobbies with a password from so many addresses, as many at once as go; they are closed again. */
  const passwords = (siege, creates, addresses) => siege.attacker.run(async (kit, at, creates, addresses) => {
    const told = await kit.each(creates, 16, async (n) => {
      const one = await kit.enter({ ...at, from: kit.v4(n % addresses) }, 'create', { password: `secret ${n}` })
      const outcome = kit.outcome(one.reply)
      one.leave()
      kit.drop(one)
      return outcome
    })
    return kit.tally(told.map((each) => each.error ?? each))
  }, siege.at, creates, addresses)

  for (const [creates, addresses] of [[34, 1], [200, 50]]) {
    test(`${creates} lobbies with a password from ${addresses} address(es): no more than a few hashes' memory, and that comes back`, (context) => field.with({}, async (siege) => {
      await siege.beside()
      const before = siege.memory()
      const { most } = await siege.watching(() => siege.under(context, async () => context.diagnostic(JSON.stringify(await passwords(siege, creates, addresses)))))
      context.diagnostic(`at most ${mib(most.resident)} MiB resident`)
      await siege.back(context, before)
      // 19 MiB a hash, as many at once as there are processors.
      assert.ok(most.resident <= before.resident + 3 * 20 * 1024 * 1024, `${mib(most.resident)} MiB resident at the peak`)
    }))
  }

  test('joins with a password at codes that no lobby has leave nothing either', (context) => field.with({}, async (siege) => {
    await siege.beside()
    const before = siege.memory()
    await siege.under(context, async () => context.diagnostic(JSON.stringify(await siege.attacker.run(async (kit, at) => {
      const told = await kit.each(64, 16, async (n) => {
        const one = await kit.enter({ ...at, from: kit.v4(n) }, 'join', { code: '2345', password: 'x' })
        one.leave()
        kit.drop(one)
        return kit.outcome(one.reply)
      })
      return kit.tally(told)
    }, siege.at))))
    await siege.back(context, before)
  }))

  // Each is called with (kit, at, n) for n below a thousand, 16 at a time, and gives a word for what became of it. Addresses change, so that limits of one address do not end it early.
  const visits = {
    'create': async (kit, at, n) => kit.brief(at, n, 'create', { public: true, size: 64, data: { big: 'x'.repeat(1_900) }, me: { big: 'y'.repeat(480) } }),
    'join with a wrong code': async (kit, at, n) => kit.brief(at, n, 'join', { code: '2345' }),
    'join with an unreadable code': async (kit, at, n) => kit.brief(at, n, 'join', { code: '\u202e'.repeat(40) }),
    'quick': async (kit, at, n) => kit.brief(at, n, 'quick', { filter: { map: n % 50 }, size: 4 }),
    'list and watch': async (kit, at, n) => kit.brief(at, n, 'list', { watch: true, filter: { map: n } }),
    'return with junk': async (kit, at, n) => kit.brief(at, n, 'return', { ticket: 'x'.repeat(4_000) }),
    'hello with an unknown session to resume': async (kit, at, n) => {
      const one = await kit.client({ ...at, from: kit.v4(n % 256), resume: { session: 'z'.repeat(22), seq: 5, id: 0 } })
      one.leave()
      kit.drop(one)
      return String(one.resumed)
    },
    'sessions that are cut and come back': async (kit, at, n) => {
      const one = await kit.client({ ...at, from: kit.v4(n % 256) })
      one.cut()
      const again = await kit.client({ ...at, from: kit.v4(n % 256), resume: one })
      again.leave()
      kit.drop(one)
      kit.drop(again)
      return String(again.resumed)
    },
    'create, join, signal, update, kick': async (kit, at, n) => {
      const from = kit.v4(n % 256)
      const owner = await kit.enter({ ...at, from }, 'create', {})
      const guest = await kit.enter({ ...at, from }, 'join', { code: owner.code })
      await kit.linked(owner, guest)
      guest.note('signal', { to: owner.peer, kind: 'description', data: 'x'.repeat(10_000) })
      await owner.ask('update', { data: { n } })
      const kicked = await owner.ask('kick', { peer: guest.peer })
      for (const each of [owner, guest]) { each.leave(); kit.drop(each) }
      return kit.outcome(kicked)
    },
    'complete, and return with a valid ticket': async (kit, at, n) => {
      const from = kit.v4(n % 256)
      const owner = await kit.enter({ ...at, from }, 'create', {})
      const guest = await kit.enter({ ...at, from }, 'join', { code: owner.code })
      await kit.linked(owner, guest)
      await owner.ask('seal')
      for (const [one, other] of [[owner, guest], [guest, owner]]) one.note('linked', { peer: other.peer, path: 'direct', local: 'host', remote: 'host', ms: 5 })
      const done = await owner.until(({ type }) => type === 'complete')
      const back = await kit.enter({ ...at, from }, 'return', { ticket: done?.ticket })
      back.leave()
      for (const each of [owner, guest, back]) kit.drop(each)
      return kit.outcome(back.reply)
    },
    'malformed frames': async (kit, at, n) => {
      const socket = await kit.raw({ ...at, from: kit.v4(n % 256) })
      const junk = [Buffer.from('{"type":"hello"'), Buffer.alloc(2_000, 0xff), Buffer.from('['.repeat(8_000))][n % 3]
      socket.write(kit.frame(junk, [{}, { rsv: 7 }, { opcode: 2 }, { masked: false }, { fin: false }][n % 5]))
      await new Promise((resolve) => { socket.on('close', resolve).on('end', resolve).resume(); setTimeout(resolve, 200) })
      socket.destroy()
      kit.drop(socket)
      return 'sent'
    },
    'HTTP pages': async (kit, at, n) => String((await kit.http({ ...at, from: kit.v4(n % 256), path: ['/', '/app.js', '/healthz', `/${'x'.repeat(3_000)}`][n % 4] })).status),
    'Binding over UDP': async (kit, at, n) => {
      const one = await kit.turn({ host: at.host, port: at.turnPort, from: kit.v4(n) })
      const { code } = await one.binding({ timeout: 500 })
      one.close()
      kit.drop(one)
      return String(code)
    },
    'junk over UDP and TCP': async (kit, at, n) => {
      const one = await kit.turn({ host: at.host, port: at.turnPort, from: kit.v4(n), over: n % 2 ? 'tcp' : 'udp' })
      one.write(Buffer.alloc(n, n & 255))
      one.write(kit.stun.message(n & 15, 'request', [kit.stun.part(n & 0xffff, Buffer.alloc(n))]))
      await kit.sleep(5)
      one.close()
      kit.drop(one)
      return 'sent'
    },
    'allocate, permission, channel, data, refresh over UDP': (kit, at, n) => kit.relays(at, n, 'udp'),
    'allocate, permission, channel, data, refresh over TCP': (kit, at, n) => kit.relays(at, n, 'tcp'),
  }

  for (const [name, visit] of Object.entries(visits)) {
    test(`${thousand} times ${name}: nothing is left`, (context) => field.with({ company: false }, async (siege) => {
      const some = (count) => siege.attacker.run(async (kit, at, count, visit) => {
        const one = (0, eval)(`(${visit})`)
        const told = await kit.each(count, 16, (n) => one(kit, at, n))
        return kit.tally(told.map((each) => each.error?.slice(0, 80) ?? each))
      }, siege.at, count, String(visit))
      await some(64)
      const before = siege.memory()
      const { given, most } = await siege.watching(() => some(thousand))
      context.diagnostic(`${JSON.stringify(given)}; in the kernel at most ${mib(most.kernel)} MiB`)
      assert.ok(Object.keys(given).every((word) => !/(Reference|Type)Error/.test(word)), 'the attack itself is wrong')
      await siege.back(context, before)
      assert.ok(most.kernel <= bytes.kernel, `${mib(most.kernel)} MiB in the kernel`)
    }))
  }
})
