// Tables that strangers fill: visitors by the thousand make no packet dearer and no lobby less safe, and no household takes the relayed ports of all.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { long, share } from './kit/contract.mjs'
import { Field, skip } from './kit/field.mjs'
import { cpu } from './kit/memory.mjs'

describe('tables', { skip }, () => {
  let field, members

  before(async () => {
    field = await Field.open()
    members = await field.another()
  })
  after(() => { members?.close(); field?.close() })

  /** So many come and go in the attacker's open lobby, from so many addresses; what became of them. */
  const visit = (siege, visitors, addresses) => siege.attacker.run(async (kit, at, visitors, addresses) => {
    const { code } = kit.state.owner
    const head = ['GET /v1 HTTP/1.1', `Host: ${at.host}:${at.port}`, 'Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==', 'Sec-WebSocket-Protocol: twocan.v1', '', ''].join('\r\n')
    const told = await kit.each(visitors, 32, async (n) => {
      const socket = await kit.tcp({ host: at.host, port: at.port, from: kit.v4(n % addresses), read: false })
      // All of it in one go, as an attacker would; the answer to the join, or the end, is waited for.
      socket.write(Buffer.concat([Buffer.from(head), kit.frame(JSON.stringify({ type: 'hello', id: 0, app: 'attack' })), kit.frame(JSON.stringify({ type: 'join', id: 1, code }))]))
      let text = ''
      const word = await new Promise((resolve) => {
        const late = setTimeout(resolve, 5_000, 'silence')
        socket.on('data', (chunk) => {
          text += chunk.toString('latin1')
          // 4004 in a close frame: too many from this address.
          const [, said] = /"type":"(joined|error)"/.exec(text) ?? (/HTTP\/1\.1 [45]/.test(text) ? [0, 'http'] : text.includes('\x0f\xa4') ? [0, 'full'] : [])
          if (said) { clearTimeout(late); resolve(said) }
        }).on('close', () => { clearTimeout(late); resolve('closed') }).resume()
      })
      // A page that goes, so that its session goes too: cut, it would keep a seat for half a minute.
      socket.end(kit.frame(Buffer.from([3, 232]), { opcode: 8 }))
      await kit.gone(socket, 2_000, { every: 2 })
      socket.destroy()
      kit.drop(socket)
      return word
    })
    return kit.tally(told.map((each) => each.error ?? each))
  }, siege.at, visitors, addresses)

  /** The attacker's owner allocates and sends so many indications at a rate to addresses it has no permission for; CPU of the server for each, µs. */
  const indicate = async (siege, count, perSecond) => {
    const before = cpu(siege.server.pid)
    const sent = await siege.attacker.run(async (kit, at, count, perSecond) => {
      kit.state.relay ??= await (async () => {
        const one = await kit.turn({ host: at.host, port: at.turnPort, from: kit.v4(900), login: await kit.login(kit.state.owner) })
        await one.allocate()
        return one
      })()
      for (let sent = 0; sent < count;) {
        for (let n = 0; n < perSecond / 100; n++, sent++) kit.state.relay.indicate({ address: `80.90.${sent & 255}.77`, port: 9 }, Buffer.alloc(8))
        await kit.sleep(10)
      }
      await kit.sleep(200)
      return count
    }, siege.at, count, perSecond)
    return Math.round(10_000 * (cpu(siege.server.pid) - before) / sent) / 10
  }
  /** Somebody who stays in the attacker's lobby, for a credential. */
  const settle = (siege) => siege.attacker.run(async (kit, at) => {
    kit.state.owner = await kit.enter({ ...at, from: kit.v4(900) }, 'create', { size: 64 })
    return kit.outcome(kit.state.owner.reply)
  }, siege.at)

  const crowds = [[8_000, 1], [3_000, 100], ...(long ? [[20_000, 1], [60_000, 100]] : [])]
  for (const [visitors, addresses] of crowds) {
    test(`${visitors} visitors from ${addresses} address(es) make no packet dearer`, (context) => field.with({}, async (siege) => {
      assert.equal(await settle(siege), 'joined')
      const costBefore = await indicate(siege, 4_000, 4_000)
      const told = await siege.under(context, () => visit(siege, visitors, addresses))
      const costAfter = await indicate(siege, 4_000, 4_000)
      context.diagnostic(`visitors: ${JSON.stringify(told)}; a Send indication: ${costBefore} → ${costAfter} µs`)
      await siege.under(context, () => indicate(siege, 4_000, 2_000))
      assert.ok(costAfter <= 1.5 * costBefore + 3, `${costBefore} → ${costAfter} µs a packet`)
    }))
  }

  /** An innocent lobby: both allocate, A reaches B by address and by relayed address, B is kicked, and what B's credential is then good for. */
  const innocent = (siege) => members.run(async (kit, at) => {
    kit.rest()
    const relay = { host: at.host, port: at.turnPort }
    const a = await kit.enter({ ...at, from: '80.81.140.1' }, 'create', {})
    const b = await kit.enter({ ...at, from: '80.81.140.2' }, 'join', { code: a.code })
    const logins = [await kit.login(a), await kit.login(b)]
    const ra = await kit.turn({ ...relay, from: '80.81.140.1', login: logins[0] })
    const rb = await kit.turn({ ...relay, from: '80.81.140.2', login: logins[1] })
    const allocated = [await ra.allocate(), await rb.allocate()]
    const reaches = [await ra.permit({ address: '80.81.140.2', port: 7_000 }), rb.relayed ? await ra.permit(rb.relayed) : -2]
    await a.ask('kick', { peer: b.peer })
    await kit.sleep(500)
    const again = await kit.turn({ ...relay, from: '80.81.140.3', login: { username: logins[1].username, credential: logins[1].credential } })
    return { allocated, reaches, refresh: await rb.refresh(600), again: await again.allocate() }
  }, siege.at)
  const safe = { allocated: [0, 0], reaches: [0, 0], refresh: 401, again: 401 }
  const gone = ({ refresh, again, ...rest }) => ({ ...rest, refresh: [401, 437].includes(refresh) ? 401 : refresh, again })

  test('a lobby that has nothing to do with it is as safe after 3,000 visitors as before', (context) => field.with({ company: false }, async (siege) => {
    const before = await innocent(siege)
    await settle(siege)
    await visit(siege, long ? 100_000 : 3_000, 100)
    const after = await innocent(siege)
    context.diagnostic(JSON.stringify({ before, after }))
    assert.deepEqual(gone(before), safe)
    assert.deepEqual(gone(after), safe)
  }))

  /** A sender of somebody else's, who needs one port, once others have taken what they could. */
  const somebody = (siege) => members.run(async (kit, at) => {
    kit.rest()
    const one = await kit.enter({ ...at, from: '80.81.150.1' }, 'create', {})
    const turn = await kit.turn({ host: at.host, port: at.turnPort, from: '80.81.150.1', login: await kit.login(one) })
    return turn.allocate()
  }, siege.at)

  /** Sessions from so many addresses, each with a lobby credential, each allocating so often; how the answers were. */
  const hoard = (siege, addresses, { sessions = 1, each = 140 } = {}) => siege.attacker.run(async (kit, at, addresses, sessions, each) => {
    const v6 = addresses[0].includes(':')
    const codes = await kit.each(addresses.length * sessions, 8, async (n) => {
      const from = addresses[n % addresses.length]
      const member = await kit.enter({ ...at, from }, 'create', {})
      if (!member.code) return [kit.outcome(member.reply)]
      const login = await kit.login(member)
      const own = []
      for (let m = 0; m < each; m++) {
        const turn = await kit.turn({ host: at.host, port: at.turnPort, from, login })
        const code = await turn.allocate(v6 ? { family: 1 } : {})
        own.push(code)
        if (code !== 0) { turn.close(); kit.drop(turn); if (own.filter((one) => one !== 0).length >= 3) break }
      }
      return own
    })
    return kit.tally(codes.flat().map((one) => one?.error ?? one))
  }, addresses[0].includes(':') ? siege.at6 : siege.at, addresses, sessions, each)

  const household = (site, house, count) => Array.from({ length: count }, (_, n) => `2a05:81:${site.toString(16)}:${((house << 8) | n).toString(16)}::1`)
  const hoards = [
    ['one IPv4 address with 16 sessions', ['80.81.1.1'], { sessions: 16 }, share.portsPerHousehold],
    ['one /56 with nine /64s', household(1, 0, 9), { sessions: 2 }, share.portsPerHousehold],
    ['one /48 with 32 households', Array.from({ length: 32 }, (_, house) => household(2, house, 1)[0]), { sessions: 4 }, share.portsPerSite],
  ]
  for (const [name, addresses, options, most] of hoards) {
    test(`${name} has at most ${most} relayed ports, and somebody else still gets one`, (context) => field.with({}, async (siege) => {
      const told = await siege.under(context, () => hoard(siege, addresses, options))
      context.diagnostic(JSON.stringify(told))
      assert.equal(await somebody(siege), 0)
      assert.ok((told[0] ?? 0) > 0, 'it got none at all')
      assert.ok(told[0] <= most, `${told[0]} ports`)
    }))
  }

  test('one user has a few ports', (context) => field.with({ company: false }, async (siege) => {
    const told = await hoard(siege, ['80.81.1.1'])
    context.diagnostic(JSON.stringify(told))
    assert.ok(told[0] >= 4 && told[0] <= share.portsPerUser, `${told[0]} ports`)
  }))

  test('128 completion credentials of one household are one household too', (context) => field.with({ company: false, args: ['--relay-ports', '49152-51199'] }, async (siege) => {
    const told = await siege.attacker.run(async (kit, at) => {
      const completed = []
      for (let lobby = 0; lobby < 2; lobby++) {
        const from = (n) => kit.v6(3, 0, n % 9, 1 + lobby)
        // Where the sessions of the first lobby are counted for a while still.
        let owner = null
        for (let patience = 0; !owner && patience < 80; patience++) owner = await kit.enter({ ...at, from: from(0) }, 'create', { size: 64 }).catch(() => kit.sleep(100))
        const guests = await kit.each(63, 8, (n) => kit.enter({ ...at, from: from(n + 1) }, 'join', { code: owner.code }))
        const all = [owner, ...guests.filter(({ code }) => code)]
        await kit.sleep(500)
        await owner.ask('seal')
        for (const one of all) for (const other of all) if (one !== other) one.note('linked', { peer: other.peer, path: 'direct', local: 'host', remote: 'host', ms: 5 })
        const done = await Promise.all(all.map((one) => one.until(({ type }) => type === 'complete', 15_000)))
        completed.push(...done.filter(Boolean).map(({ ice }) => ice.servers.find((each) => each.credential)))
      }
      const codes = await kit.each(completed.length, 8, async (n) => {
        const own = []
        for (let m = 0; m < 40; m++) {
          const { username, credential } = completed[n]
          const turn = await kit.turn({ host: at.host, port: at.turnPort, from: kit.v6(3, 0, m % 9, 1), login: { username, credential } })
          own.push(await turn.allocate({ family: 1 }))
          if (own.filter((code) => code !== 0).length >= 3) break
        }
        return own
      })
      return { completed: completed.length, codes: kit.tally(codes.flat()) }
    }, siege.at6)
    const other = await somebody(siege)
    context.diagnostic(JSON.stringify({ ...told, other }))
    assert.ok(told.completed > 0)
    assert.equal(other, 0, 'somebody else gets none')
    assert.ok(told.codes[0] <= share.portsPerHousehold, `${told.codes[0]} ports`)
  }))

  test('two hundred addresses and a /48 that come and go in lobbies of 64 are felt by nobody', (context) => field.with({}, async (siege) => {
    const told = await siege.under(context, () => siege.attacker.run(async (kit, at, at6) => {
      const owners = await kit.each(12, 4, (n) => kit.enter({ ...at, from: kit.v4(3_000 + n) }, 'create', { size: 64 }))
      const from = (n) => (n % 3 ? { ...at, from: kit.v4(4_000 + (n % 200)) } : { ...at6, from: kit.v6(7, n % 200) })
      const crowd = (await kit.each(480, 16, (n) => kit.client(from(n)))).filter((one) => !one.error)
      const end = Date.now() + 6_000
      while (Date.now() < end) {
        for (const [n, one] of crowd.entries()) {
          if (one.closed !== null) continue
          one.note('join', { code: owners[n % 12].code })
          one.note('leave')
        }
        await kit.sleep(200)
      }
      return { there: crowd.length, closed: crowd.filter((one) => one.closed !== null).length }
    }, siege.at, siege.at6), { ms: 8_000 })
    context.diagnostic(JSON.stringify(told))
    assert.ok(told.there > 400, 'the crowd is not there')
  }))

  test('channels of many allocations fill no memory, and somebody else still gets some', (context) => field.with({ company: false, args: ['--memory', '64M'] }, async (siege) => {
    // An eighth of the usual memory has room for an eighth of the usual permissions and channels.
    const most = 262_144 / 8
    const told = await siege.attacker.run(async (kit, at) => {
      const bind = async (from, allocations, channels) => {
        const login = await kit.login(await kit.enter({ ...at, from }, 'create', {}))
        const own = []
        for (let each = 0; each < allocations; each++) {
          const turn = await kit.turn({ host: at.host, port: at.turnPort, from, login })
          if (await turn.allocate()) continue
          for (let channel = 0; channel < channels; channel++) own.push(await turn.bind(0x4000 + channel, { address: from, port: 1_000 + channel }))
        }
        return own
      }
      const crowd = await kit.each(24, 8, (n) => bind(kit.v4(5_000 + n), 8, 256))
      return { crowd: kit.tally(crowd.flatMap((one) => (one.error ? [one.error] : one))), somebody: await bind(kit.v4(6_000), 2, 4) }
    }, siege.at)
    context.diagnostic(JSON.stringify(told))
    assert.ok(told.crowd[0] > most / 4, 'there were not many')
    assert.ok(told.crowd[0] <= most, `${told.crowd[0]} channels`)
    assert.ok(told.crowd[508] > 0, 'all were to be had')
    assert.deepEqual(told.somebody, Array(8).fill(0))
  }))
})
