// Who causes an overflow pays for it: a member whom others flood is not cut, and who is cut for his own slowness comes back without loss.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { word } from './kit/contract.mjs'
import { Field, skip } from './kit/field.mjs'

const mbit = 125_000

describe('what others send', { skip }, () => {
  let field, victims

  before(async () => {
    field = await Field.open()
    // What a send buffer has on a real path of 20 to 100 Mbit/s and 40 ms; on loopback it would grow to 4 MiB and hide the queue behind it.
    field.world.sysctl(field.world.server, 'net.ipv4.tcp_wmem=4096 16384 262144')
    field.world.sysctl(field.attacker.place, 'net.ipv4.tcp_rmem=4096 16384 65536')
    victims = await field.another()
  })
  after(() => { victims?.close(); field?.close() })

  /** An owner who reads at a rate, and what he lived through. */
  const open = (siege, rate, app = 'attack') => victims.run(async (kit, at, rate, app) => {
    kit.rest()
    kit.state.victim = await kit.enter({ ...at, app, from: '80.81.200.1' }, 'create', { size: 64 })
    kit.state.victim.read(rate)
    return { code: kit.state.victim.code, peer: kit.state.victim.peer }
  }, siege.at, rate, app)
  const lived = () => victims.run(async (kit) => {
    const { victim } = kit.state
    // A close comes behind what waits.
    victim.read(1e9)
    await victim.ask('ping')
    return { closed: victim.closed, frames: kit.tally(victim.frames.map(({ type }) => type)), deposed: victim.frames.some(({ type }) => type === 'owner'), signals: victim.frames.filter(({ type }) => type === 'signal').length }
  })

  /** Members who send signals of so many bytes to the owner as fast as they can; what they were told. */
  const flood = (siege, code, { members = 1, signals = 230, size = 16_000, stay = 3_000 } = {}) => siege.attacker.run(async (kit, at, code, members, signals, size, stay) => {
    const attackers = await kit.each(members, 8, async (n) => kit.enter({ ...at, from: kit.v4(n) }, 'join', { code }))
    const owner = attackers[0].reply.lobby.owner
    await Promise.all(attackers.map((each) => kit.linked(each, { peer: owner })))
    const data = 'x'.repeat(size)
    for (let n = 0; n < signals; n++) for (const each of attackers) each.note('signal', { to: owner, kind: 'description', data })
    await kit.sleep(stay)
    return attackers.map((each) => ({ closed: each.closed, refused: kit.tally(each.frames.filter(({ type }) => type === 'error').map(({ code }) => code)), left: each.frames.filter(({ type }) => type === 'left').length }))
  }, siege.at, code, members, signals, size, stay)

  const pays = (told) => {
    for (const { closed, refused } of told) {
      const named = Object.keys(refused).some((code) => word.refused.includes(code))
      assert.ok(named || word.refusedClose.includes(closed), `a sender was neither refused nor closed: ${JSON.stringify({ closed, refused })}`)
    }
  }

  for (const rate of [10, 50, 200]) {
    test(`230 signals of 16,000 bytes to an owner who reads ${rate} Mbit/s: the sender is refused, the owner stays`, (context) => field.with({}, async (siege) => {
      const { code } = await open(siege, rate * mbit)
      const told = await siege.under(context, () => flood(siege, code))
      const owner = await lived()
      context.diagnostic(`owner: ${JSON.stringify(owner)}; sender: ${JSON.stringify(told)}`)
      assert.deepEqual([owner.closed, owner.deposed], [null, false])
      pays(told)
    }))
  }

  test('four at once, each with 200 signals of 4,000 bytes, do not throw out an owner who reads 20 Mbit/s', (context) => field.with({}, async (siege) => {
    const { code } = await open(siege, 20 * mbit)
    const told = await siege.under(context, () => flood(siege, code, { members: 4, signals: 200, size: 4_000 }))
    const owner = await lived()
    context.diagnostic(`owner: ${JSON.stringify(owner)}; senders: ${JSON.stringify(told)}`)
    assert.deepEqual([owner.closed, owner.deposed], [null, false])
  }))

  test('a lobby of 63 who flood one that reads 1 Mbit/s does not throw it out', (context) => field.with({ company: false }, async (siege) => {
    const { code } = await open(siege, 1 * mbit)
    const told = await flood(siege, code, { members: 63, signals: 20, size: 16_000, stay: 4_000 })
    const owner = await lived()
    context.diagnostic(`owner: ${JSON.stringify(owner)}; senders closed: ${told.filter(({ closed }) => closed !== null).length}`)
    assert.deepEqual([owner.closed, owner.deposed], [null, false])
  }))

  /** A lobby of 41 attackers, fewer than fit because they all read on these two cores: who came in. The victim will be a guest there. */
  const hosted = (siege) => siege.attacker.run(async (kit, at) => {
    const me = { big: 'x'.repeat(480) }
    const owner = await kit.enter({ ...at, from: kit.v4(0) }, 'create', { size: 64, me, data: { big: 'y'.repeat(1_900) } })
    const guests = await kit.each(40, 8, (n) => kit.enter({ ...at, from: kit.v4(n + 1) }, 'join', { code: owner.code, me }))
    kit.state.hosted = { owner, guests }
    return { code: owner.code, guests: kit.tally(guests.map(({ reply }) => kit.outcome(reply))) }
  }, siege.at)
  const guest = (siege, code) => victims.run(async (kit, at, code) => {
    kit.rest()
    kit.state.victim = await kit.enter({ ...at, from: '80.81.200.1' }, 'join', { code })
    kit.state.victim.read(125_000)
    return kit.outcome(kit.state.victim.reply)
  }, siege.at, code)

  const doings = {
    'update, of 2 KB and everybody\'s own words': async (kit) => {
      const { owner } = kit.state.hosted
      for (let n = 0; n < 120; n++) {
        owner.note('update', { data: { n, big: 'z'.repeat(1_900) } })
        if (n % 20 === 19) await kit.sleep(250)
      }
      await kit.sleep(2_500)
      return kit.tally(owner.frames.map(({ type, code }) => code ?? type))
    },
    'seal and failed, which tell everybody who is missing': async (kit) => {
      const { owner, guests: [helper] } = kit.state.hosted
      let again = 120
      owner.heard = (message) => { if (message?.type === 'unsealed' && again-- > 0) owner.note('seal') }
      helper.heard = (message) => { if (message?.type === 'sealed') helper.note('failed', { peer: owner.peer, reason: 'timeout' }) }
      owner.note('seal')
      await kit.sleep(4_000)
      return kit.tally(owner.frames.map(({ type, code }) => code ?? type))
    },
    'linked and failed by everybody': async (kit) => {
      const { owner, guests } = kit.state.hosted
      for (let n = 0; n < 200; n++) for (const each of guests) each.note(n % 2 ? 'linked' : 'failed', n % 2 ? { peer: owner.peer, path: 'direct', local: 'host', remote: 'host', ms: 5 } : { peer: owner.peer, reason: 'timeout' })
      await kit.sleep(4_000)
      return kit.tally(guests.map(({ closed }) => closed))
    },
  }
  for (const [name, doing] of Object.entries(doings)) {
    test(`floods of ${name} cut no guest who reads 1 Mbit/s`, (context) => field.with({ company: false }, async (siege) => {
      const { code, guests } = await hosted(siege)
      assert.deepEqual(guests, { joined: 40 })
      assert.equal(await guest(siege, code), 'joined')
      const told = await siege.attacker.run(doing)
      const { closed, frames } = await lived()
      context.diagnostic(`told: ${JSON.stringify(told)}; guest closed: ${closed}, ${JSON.stringify(frames)}`)
      assert.equal(closed, null)
    }))
  }

  test('a hundred lobbies that change all the time cut nobody who watches the list at 1 Mbit/s', (context) => field.with({ company: false }, async (siege) => {
    await siege.attacker.run(async (kit, at) => {
      const data = { big: 'y'.repeat(1_900) }
      kit.state.owners = await kit.each(100, 8, (n) => kit.enter({ ...at, from: kit.v4(n) }, 'create', { public: true, data }))
    }, siege.at)
    await victims.run(async (kit, at) => {
      kit.rest()
      kit.state.victim = await kit.client({ ...at, from: '80.81.200.1' })
      kit.state.victim.note('list', { watch: true })
      kit.state.victim.read(125_000)
    }, siege.at)
    const told = await siege.attacker.run(async (kit) => {
      for (let n = 0; n < 25; n++) {
        for (const each of kit.state.owners) each.note('update', { data: { n, big: 'z'.repeat(1_900) } })
        await kit.sleep(260)
      }
      return kit.tally(kit.state.owners.flatMap(({ frames }) => frames.map(({ type, code }) => code ?? type)))
    })
    const { closed } = await lived()
    context.diagnostic(`owners: ${JSON.stringify(told)}; watcher closed: ${closed}`)
    assert.equal(closed, null)
  }))

  test('who is cut all the same comes back, and has lost nothing', (context) => field.with({ company: false }, async (siege) => {
    const { code } = await open(siege, 0)
    await flood(siege, code, { members: 8, signals: 100, size: 4_000, stay: 2_000 })
    const back = await victims.run(async (kit, at) => {
      const { victim } = kit.state
      const seq = victim.seq
      victim.cut()
      await kit.sleep(200)
      const again = await kit.client({ ...at, from: '80.81.200.1', resume: victim })
      await again.ask('ping')
      const numbers = again.frames.filter(({ type }) => type !== 'welcome').map((each) => each.seq)
      return { resumed: again.resumed, from: seq, numbers: numbers.length, gap: numbers.findIndex((each, n) => each !== seq + 1 + n) }
    }, siege.at)
    context.diagnostic(JSON.stringify(back))
    assert.ok(back.resumed, 'the session was not resumed')
    assert.equal(back.gap, -1, 'a frame is missing')
  }))
})
