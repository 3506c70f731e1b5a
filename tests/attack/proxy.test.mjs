// Behind a proxy the addresses of strangers are what the proxy says: one that says nothing, or what cannot be read, is not taken for everybody at once, silently.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { secret, word } from './kit/contract.mjs'
import { Field, skip } from './kit/field.mjs'

// The attackers' first address stands for the proxy.
const proxy = '80.81.1.1'

describe('behind a proxy', { skip }, () => {
  let field

  before(async () => { field = await Field.open() })
  after(() => field?.close())

  const behind = (body) => field.with({ company: false, base: ['--public', '--turn-secret', secret, '--trusted-proxy', `${proxy}/32`] }, body)

  /** So many come through the proxy with these headers: what became of each. */
  const come = (siege, count, headers) => siege.attacker.run(async (kit, at, proxy, count, headers) => {
    const told = await kit.each(count, 16, async () => {
      try { return kit.outcome((await kit.enter({ ...at, from: proxy, headers }, 'quick', { size: 64 })).reply) } catch (error) { return `http ${error.status ?? error.message}` }
    })
    return kit.tally(told)
  }, siege.at, proxy, count, headers)

  test('people from a hundred addresses are a hundred, not one', (context) => behind(async (siege) => {
    const told = await siege.attacker.run(async (kit, at, proxy) => {
      const told = await kit.each(100, 16, async (n) => kit.outcome((await kit.enter({ ...at, from: proxy, headers: { 'X-Forwarded-For': `6.6.6.6, 80.81.50.${n + 1}` } }, 'quick', { size: 64 })).reply))
      return kit.tally(told.map((each) => each.error ?? each))
    }, siege.at, proxy)
    context.diagnostic(JSON.stringify(told))
    assert.deepEqual(told, { joined: 100 })
  }))

  const silences = {
    'no X-Forwarded-For': {},
    'an X-Forwarded-For that cannot be read': { 'X-Forwarded-For': '80.81.50.1, unknown' },
    'an empty X-Forwarded-For': { 'X-Forwarded-For': '' },
    'an X-Forwarded-For of junk': { 'X-Forwarded-For': 'ZZmarkZZ"\u00e9' },
  }
  for (const [name, headers] of Object.entries(silences)) {
    test(`${name}: refused, or said once in the log`, (context) => behind(async (siege) => {
      const length = siege.server.output.length
      const told = await come(siege, 20, headers)
      await new Promise((resolve) => setTimeout(resolve, 300))
      const log = siege.server.output.slice(length)
      const warned = log.split('\n').filter((line) => word.proxyTellsNothing.test(line)).length
      context.diagnostic(`${JSON.stringify(told)}; ${warned} line(s) of warning`)
      const refused = Object.keys(told).every((each) => /^http (4\d\d|no upgrade: (closed|ECONNRESET))/.test(each))
      assert.ok(refused || warned === 1, `neither refused nor warned once: ${JSON.stringify(told)}\n${log}`)
      assert.ok(!log.includes('ZZmarkZZ'))
    }))
  }

  test('who is no proxy is not believed', (context) => behind(async (siege) => {
    const told = await siege.attacker.run(async (kit, at) => {
      const told = await kit.each(700, 16, async (n) => {
        try { await kit.client({ ...at, from: '80.81.1.2', headers: { 'X-Forwarded-For': `80.81.51.${n + 1}` } }); return 'in' } catch { return 'refused' }
      })
      return kit.tally(told)
    }, siege.at)
    context.diagnostic(JSON.stringify(told))
    assert.ok(told.in <= 512, `${told.in} sessions from one address`)
  }))
})
