// A lock against guessing is no lock against entering: neighbours of those who mistype come in, a kick is a ban, and a lobby that returns has its owner.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { share, word } from './kit/contract.mjs'
import { Field, skip } from './kit/field.mjs'

describe('doors', { skip }, () => {
  let field, guests

  before(async () => {
    field = await Field.open()
    guests = await field.another()
  })
  after(() => { guests?.close(); field?.close() })

  /** Lobbies of somebody far away: their codes. `password` for each but the first. */
  const lobbies = (siege, count, password) => guests.run(async (kit, at, count, password) => {
    kit.rest()
    const owners = await kit.each(count, 4, (n) => kit.enter({ ...at, from: kit.v4(n, 81).replace('80.81.1.', '80.81.100.') }, 'create', { size: 64, ...(password && { password }) }))
    kit.state.owners = owners
    return owners.map(({ code, reply }) => code ?? reply)
  }, siege.at, count, password)

  // 64 sessions an address: they come and go, as pupils on one line do.
  const school = (siege, codes, { people, mistype, password, lasting }) => siege.attacker.run(async (kit, at, codes, people, mistype, password, lasting) => {
    const from = kit.v4(0)
    const wrong = () => Array.from({ length: 4 }, () => '23456789ABCDEFGH'[Math.floor(Math.random() * 16)]).join('')
    let on = true
    const pupils = kit.each(mistype, mistype, async () => {
      const told = []
      const one = await kit.client({ ...at, from })
      while (on && told.length < 120) {
        told.push(kit.outcome(await one.ask('join', { code: wrong(), ...(password && { password: 'wrong' }) })))
        await kit.sleep(150)
      }
      one.leave()
      return told
    })
    await kit.sleep(1_000)
    // They come within a quarter of a minute, not all in one second.
    const others = await kit.each(people - mistype, people, async (n) => {
      await kit.sleep(n * (12_000 / people))
      const began = Date.now()
      const one = await kit.enter({ ...at, from, timeout: 20_000 }, 'join', { code: codes[n % codes.length], ...(password && { password }) })
      const told = kit.outcome(one.reply)
      await kit.sleep(lasting)
      one.leave()
      return { told, ms: Date.now() - began - lasting }
    })
    on = false
    return { others: kit.tally(others.map(({ told, error }) => told ?? error)), mistyped: kit.tally((await pupils).flat()) }
  }, siege.at, codes, people, mistype, password, lasting)

  test('200 people behind one address, ten of whom mistype again and again: everybody else comes in', (context) => field.with({}, async (siege) => {
    const codes = await lobbies(siege, 4)
    const told = await siege.under(context, () => school(siege, codes, { people: 200, mistype: 10, lasting: 100 }))
    context.diagnostic(JSON.stringify(told))
    assert.deepEqual(told.others, { joined: 190 })
  }))

  test('WebSockets of one address that are refused, and neither read nor close, keep nobody else out', (context) => field.with({ company: false }, async (siege) => {
    const flood = siege.attacker.run(async (kit, { host, port }) => {
      const upgrade = `GET /v1?app=x HTTP/1.1\r\nHost: ${host}:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: twocan.v1\r\n\r\n`
      const from = kit.v4(0)
      let opened = 0
      const until = Date.now() + 6_000
      await kit.each(8, 8, async () => {
        while (Date.now() < until) {
          const socket = await kit.tcp({ host, port, from, read: false }).catch(() => undefined)
          socket?.write(upgrade)
          opened += Number(!!socket)
          await kit.sleep(4)
        }
      })
      return opened
    }, siege.at)
    const joins = await guests.run(async (kit, at) => {
      const told = []
      await kit.sleep(2_000)
      for (let n = 0; n < 30; n++) {
        const one = await kit.enter({ ...at, from: `80.81.110.${1 + n}`, timeout: 3_000 }, 'create', {}).catch((error) => ({ reply: error }))
        told.push(kit.outcome(one.reply))
        await kit.sleep(100)
      }
      return kit.tally(told)
    }, siege.at)
    context.diagnostic(JSON.stringify({ opened: await flood, joins }))
    assert.deepEqual(joins, { joined: 30 })
  }))

  test('the same where the lobbies have passwords', (context) => field.with({ company: false }, async (siege) => {
    const codes = await lobbies(siege, 4, 'sesame')
    const told = await school(siege, codes, { people: 200, mistype: 10, password: 'sesame', lasting: 100 })
    context.diagnostic(JSON.stringify(told))
    assert.deepEqual(told.others, { joined: 190 })
  }))

  test('who mistyped ten codes still enters with the right one', (context) => field.with({ company: false }, async (siege) => {
    const [code] = await lobbies(siege, 1)
    const told = await siege.attacker.run(async (kit, at, code) => {
      const one = await kit.client({ ...at, from: kit.v4(0) })
      const wrong = []
      for (let n = 0; n < 10; n++) wrong.push(kit.outcome(await one.ask('join', { code: `2222${n + 2}`.slice(-4) })))
      return { wrong: kit.tally(wrong), right: kit.outcome(await one.ask('join', { code })) }
    }, siege.at, code)
    context.diagnostic(JSON.stringify(told))
    assert.equal(told.right, 'joined')
  }))

  /** Strangers from so many addresses knock at one code, each so often, with this password or none. */
  const knock = (siege, code, { addresses, times, password, every = 20 }) => siege.attacker.run(async (kit, at, code, addresses, times, password, every) => {
    const told = await kit.each(addresses, 16, async (n) => {
      const one = await kit.client({ ...at, from: kit.v4(10 + n) })
      const own = []
      for (let m = 0; m < times; m++) {
        own.push(kit.outcome(await one.ask('join', { code, ...(password && { password: `${password}${n}.${m}` }) }, 20_000)))
        await kit.sleep(every)
      }
      return own
    })
    return kit.tally(told.flat())
  }, siege.at, code, addresses, times, password, every)

  const right = (siege, code, from = '80.81.120.1') => guests.run(async (kit, at, code, from) => {
    const began = performance.now()
    const one = await kit.enter({ ...at, from }, 'join', { code, password: 'sesame' })
    return { told: kit.outcome(one.reply), ms: Math.round(performance.now() - began), retry: one.reply.retry }
  }, siege.at, code, from)

  test('joins without a password at a lobby that has one do not lock it', (context) => field.with({}, async (siege) => {
    const [code] = await lobbies(siege, 1, 'sesame')
    const told = await siege.under(context, async () => {
      const knocked = await knock(siege, code, { addresses: 4, times: 10, every: 5 })
      return { knocked, friend: await right(siege, code) }
    })
    context.diagnostic(JSON.stringify(told))
    assert.equal(told.friend.told, 'joined')
  }))

  test('wrong passwords from forty addresses do not lock it either', (context) => field.with({ company: false }, async (siege) => {
    const [code] = await lobbies(siege, 1, 'sesame')
    const told = await knock(siege, code, { addresses: 40, times: 3, password: 'wrong' })
    const friend = await right(siege, code)
    context.diagnostic(JSON.stringify({ told, friend }))
    assert.equal(friend.told, 'joined')
    assert.ok(friend.ms < 2_000, `${friend.ms} ms`)
  }))

  test('while they go on knocking, who knows the password comes in at once', (context) => field.with({ company: false }, async (siege) => {
    const [code] = await lobbies(siege, 1, 'sesame')
    const knocking = knock(siege, code, { addresses: 40, times: 6, password: 'wrong', every: 400 })
    const entered = []
    for (let n = 0; n < 6; n++) {
      await new Promise((resolve) => setTimeout(resolve, 500))
      entered.push(await right(siege, code, `80.81.121.${n + 1}`))
    }
    context.diagnostic(JSON.stringify({ told: await knocking, entered }))
    assert.deepEqual(entered.map(({ told }) => told), Array(6).fill('joined'))
    assert.ok(entered.every(({ ms }) => ms < 3_000))
  }))

  test('an address cannot try more than so many passwords a minute, nor many addresses of one lobby', (context) => field.with({ company: false }, async (siege) => {
    const [first, second] = await lobbies(siege, 2, 'sesame')
    const one = await knock(siege, first, { addresses: 1, times: 150, password: 'wrong', every: 5 })
    const many = await knock(siege, second, { addresses: 64, times: 8, password: 'wrong', every: 5 })
    context.diagnostic(JSON.stringify({ one, many }))
    assert.ok((one['not-found'] ?? 0) <= share.guessesPerAddress, `${one['not-found']} passwords tried from one address`)
    assert.ok((many['not-found'] ?? 0) <= share.guessesPerLobby, `${many['not-found']} passwords of one lobby tried`)
  }))

  test('an address cannot try more than so many codes a minute', (context) => field.with({ company: false }, async (siege) => {
    const told = await siege.attacker.run(async (kit, at) => {
      const letters = '23456789ABCDEFGHJKMNPRSTVWXYZ'
      const all = await kit.each(8, 8, async (m) => {
        const one = await kit.client({ ...at, from: kit.v4(5) })
        const own = []
        for (let n = 0; n < 60; n++) own.push(kit.outcome(await one.ask('join', { code: `${letters[m]}${letters[n % 29]}${letters[(n * 7) % 29]}${letters[n >> 2]}` })))
        return own
      })
      return kit.tally(all.flat())
    }, siege.at)
    context.diagnostic(JSON.stringify(told))
    assert.ok(told['not-found'] <= share.guessesPerAddress, `${told['not-found']} codes tried`)
  }))

  test('a kick is a ban: neither the same session nor a new one from the same address comes back', (context) => field.with({ company: false }, async (siege) => {
    const [code] = await lobbies(siege, 1)
    const told = await siege.attacker.run(async (kit, at, code) => {
      const one = await kit.enter({ ...at, from: kit.v4(1) }, 'join', { code })
      kit.state.one = one
      return { joined: kit.outcome(one.reply), peer: one.peer }
    }, siege.at, code)
    assert.equal(told.joined, 'joined')
    const kicked = await guests.run(async (kit, peer) => kit.outcome(await kit.state.owners[0].ask('kick', { peer })), told.peer)
    assert.equal(kicked, 'ok')
    const again = await siege.attacker.run(async (kit, at, code) => {
      const same = kit.outcome(await kit.state.one.ask('join', { code }))
      const fresh = kit.outcome((await kit.enter({ ...at, from: kit.v4(1) }, 'join', { code })).reply)
      return { same, fresh }
    }, siege.at, code)
    const stranger = await guests.run(async (kit, at, code) => kit.outcome((await kit.enter({ ...at, from: '80.81.120.9' }, 'join', { code })).reply), siege.at, code)
    context.diagnostic(JSON.stringify({ again, stranger }))
    assert.equal(stranger, 'joined')
    assert.ok(word.barred.includes(again.same), `the same session: ${again.same}`)
    assert.ok(word.barred.includes(again.fresh), `a new session: ${again.fresh}`)
  }))

  test('in a lobby that returns who owned it is the owner, and a kick there takes nobody\'s completion credential', (context) => field.with({ company: false }, async (siege) => {
    const told = await siege.attacker.run(async (kit, at) => {
      const owner = await kit.enter({ ...at, from: kit.v4(1) }, 'create', {})
      const guest = await kit.enter({ ...at, from: kit.v4(2) }, 'join', { code: owner.code })
      await kit.linked(owner, guest)
      await owner.ask('seal')
      for (const [one, other] of [[owner, guest], [guest, owner]]) one.note('linked', { peer: other.peer, path: 'direct', local: 'host', remote: 'host', ms: 5 })
      const [completeOwner, completeGuest] = await Promise.all([owner, guest].map((each) => each.until(({ type }) => type === 'complete')))
      const credential = completeOwner.ice.servers.find((each) => each.credential)
      const relay = await kit.turn({ host: at.host, port: at.turnPort, from: kit.v4(1), login: { username: credential.username, credential: credential.credential } })
      const allocated = await relay.allocate()
      // The guest is the first to come back, and throws the owner out if it can.
      const first = await kit.enter({ ...at, from: kit.v4(2) }, 'return', { ticket: completeGuest.ticket })
      const second = await kit.enter({ ...at, from: kit.v4(1) }, 'return', { ticket: completeOwner.ticket })
      const kick = kit.outcome(await first.ask('kick', { peer: second.reply.peer }))
      await kit.sleep(500)
      return { allocated, owner: second.reply.lobby?.owner === owner.peer, kick, refreshed: await relay.refresh(600), second: kit.outcome(second.reply) }
    }, siege.at)
    context.diagnostic(JSON.stringify(told))
    assert.equal(told.allocated, 0)
    assert.equal(told.refreshed, 0, 'the owner\'s completion credential was taken back')
    assert.deepEqual([told.second, told.owner], ['joined', true], 'the owner of before does not own it')
    assert.notEqual(told.kick, 'ok')
  }))
})
