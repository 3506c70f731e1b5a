// Logs and metrics belong to the operator: whatever strangers say, however often they are refused, the log stays short and holds no word of theirs, and `/metrics` grows no series.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { bytes, long, share } from './kit/contract.mjs'
import { Field, skip, withMetrics } from './kit/field.mjs'

const mark = 'ZZmarkZZ'
const refusal = /^\S+ +WARN a page of this origin may not open the signaling socket; `--origin (https:\/\/[A-Za-z0-9.-]+|\?)` lets it in origin="\1"( left_out=\d+)?$/
/** A lobby's life: its application's name is letters, digits, `.`, `_` and `-`, and all else is the server's own word. */
const life = /^\S+ +INFO a lobby is gone code="?[0-9A-Z]+"? app="[A-Za-z0-9._-]{1,64}" why="[a-z-]+" seconds=\d+ entered=\d+ direct=\d+ relayed=\d+ failed="[a-z0-9 ,-]*"$/

describe('logs and metrics', { skip }, () => {
  let field

  before(async () => { field = await Field.open() })
  after(() => field?.close())

  const series = (text) => text.split('\n').filter((line) => line && !line.startsWith('#'))

  /** Runs an attack; its words are in neither, both stay small. */
  const quietly = (context, attack, more = {}) => field.with({ args: withMetrics, ...more }, async (siege) => {
    const before = series(await siege.metrics()).length
    const [length, began] = [siege.server.output.length, Date.now()]
    const told = await siege.under(context, () => siege.attacker.run(attack, siege.at, mark, long ? 20 : 1))
    const seconds = (Date.now() - began) / 1_000
    const all = siege.server.output.slice(length)
    // But two: which origin asked in vain, as `scheme://host` and no more, once in ten seconds; and the application of a lobby that is gone.
    const refusals = all.split('\n').filter((line) => refusal.test(line))
    assert.ok(refusals.length <= 1 + seconds / 10, `${refusals.length} lines of origins in ${seconds} s`)
    const log = all.split('\n').filter((line) => !refusal.test(line) && !life.test(line)).join('\n')
    assert.ok(all.length <= bytes.log * Math.max(seconds, 1) + 20_000, `${all.length} bytes of all log in ${seconds} s`)
    const lines = series(await siege.metrics())
    if (log) context.diagnostic(log.slice(0, 200))
    context.diagnostic(`${JSON.stringify(told)}; ${log.length} bytes of log in ${seconds.toFixed(1)} s; ${before} → ${lines.length} series`)
    assert.ok(before > 5, 'there are no metrics to look at')
    assert.ok(!log.includes(mark), `a stranger's word in the log: ${log.slice(0, 400)}`)
    assert.ok(!log.includes('80.81.'), `a stranger's address in the log: ${log.slice(0, 400)}`)
    assert.ok(log.length <= bytes.log * seconds, `${log.length} bytes of log in ${seconds} s`)
    assert.ok(!lines.some((line) => line.includes(mark)), 'a stranger\'s word in the metrics')
    assert.ok(lines.length <= Math.max(share.series, before), `${lines.length} series`)
  })

  test('junk in every place where a request has room for words', (context) => quietly(context, async (kit, at, mark, times) => {
    const junk = [mark, `${mark}"} 1\ninjected_total{x="`, `${mark}\u001b[31m`, `${mark}%0d%0a`, mark.repeat(200)]
    const clean = (word) => word.replace(/[\r\n\u001b]/g, '')
    const told = await kit.each(400 * times, 16, async (n) => {
      const word = junk[n % junk.length]
      const from = kit.v4(n % 200)
      const places = [
        () => kit.http({ ...at, from, path: `/${encodeURIComponent(word)}` }),
        () => kit.http({ ...at, from, path: `/?${clean(word).replaceAll(' ', '')}` }),
        () => kit.http({ ...at, from, headers: { Host: clean(word) } }),
        () => kit.http({ ...at, from, headers: { 'User-Agent': clean(word), Referer: clean(word), Cookie: clean(word) } }),
        () => kit.http({ ...at, from, method: clean(word).replace(/[^A-Za-z]/g, '') }),
        () => kit.http({ ...at, from, headers: { [clean(word).replace(/[^A-Za-z]/g, '').slice(0, 100)]: 'x' } }),
        () => kit.raw({ ...at, from, headers: { Origin: clean(word) } }),
        () => kit.raw({ ...at, from, headers: { Origin: `https://${mark}.example` } }),
        () => kit.raw({ ...at, from, protocol: clean(word).replace(/[^A-Za-z]/g, '') }),
        () => kit.raw({ ...at, from, path: `/v1?${clean(word).replaceAll(' ', '')}` }),
        () => kit.client({ ...at, from, app: word }),
        () => kit.client({ ...at, from, app: `${mark}.${n}` }),
      ]
      const made = await places[n % places.length]()
      made.destroy?.()
      return made.status ?? 'opened'
    })
    return kit.tally(told.map((each) => each.error?.slice(0, 40) ?? each))
  }))

  test('junk in lobbies, passwords, signals and tickets', (context) => quietly(context, async (kit, at, mark, times) => {
    const told = await kit.each(60 * times, 8, async (n) => {
      const one = await kit.enter({ ...at, app: `${mark}-${n}`, from: kit.v4(n % 200) }, 'create', { public: true, data: { [mark]: mark }, me: { name: `${mark}\n` } })
      const words = [await one.ask(mark), await one.ask('join', { code: mark, password: mark }), await one.ask('return', { ticket: mark }), await one.ask('kick', { peer: mark }), await one.ask('signal', { to: mark, kind: mark })]
      one.note('linked', { peer: one.peer, path: mark, local: mark, remote: mark, ms: 5 })
      one.note('failed', { peer: one.peer, reason: mark })
      await one.ask('ping')
      one.leave()
      return words.map(kit.outcome).join(' ')
    })
    return kit.tally(told.map((each) => each.error?.slice(0, 40) ?? each))
  }))

  test('refusals by the ten thousand: of frames', (context) => quietly(context, async (kit, at, mark, times) => {
    const told = await kit.each(60 * times, 30, async (n) => {
      const one = await kit.client({ ...at, from: kit.v4(n % 200), keep: false })
      for (let m = 0; m < 400 && one.closed === null; m++) one.note(['kick', 'seal', 'list', mark][m & 3], { peer: mark })
      await kit.sleep(500)
      return one.closed
    })
    return kit.tally(told)
  }))

  test('refusals by the ten thousand: of connections', (context) => quietly(context, async (kit, at, mark, times) => {
    // More at a time from one address than it may have, again and again.
    let refused = 0
    for (let round = 0; round < 8 * times; round++) {
      const told = await kit.each(700, 64, async () => kit.tcp({ ...at, from: kit.v4(1) }))
      await kit.sleep(100)
      refused += told.filter(({ ended }) => ended !== null).length
      for (const socket of told) { socket.destroy?.(); kit.drop(socket) }
    }
    return { refused }
  }))

  test('refusals by the ten thousand: of the relay', (context) => quietly(context, async (kit, at, mark, times) => {
    const { stun } = kit
    const key = stun.longTermKey(mark, mark, mark)
    const names = [mark, `${mark}\n`, '1790000000:lobby.x.y', `9999999999:${mark}`]
    let sent = 0
    for (let n = 0; n < 100 * times; n++) {
      const one = await kit.turn({ host: at.host, port: at.turnPort, from: kit.v4(n % 200) })
      for (let m = 0; m < 100; m++, sent++) {
        const name = names[m % names.length]
        one.write(stun.message([3, 4, 8, 9, 13][m % 5], 'request', [stun.part(stun.attribute.username, name), stun.part(stun.attribute.realm, mark), stun.part(stun.attribute.nonce, mark), stun.part(stun.attribute.software, mark)], { key }))
      }
      await kit.sleep(10)
      one.close()
      kit.drop(one)
    }
    return { sent }
  }))
})
