// Safe as it comes: a weak secret is refused, one that nobody gave is made and kept, and what is risky in public is said or not offered.
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Server } from '../kit/server.mjs'
import { flag, secret, stateVariable, supports, word } from './kit/contract.mjs'
import { Field, skip } from './kit/field.mjs'

const local = ['--http', '127.0.0.1:0', '--turn', '127.0.0.1:0']

describe('a secret', () => {
  for (const [name, weak] of [['eight letters', 'abcdefgh'], ['31 characters', 'abcdefghijklmnopqrstuvwxyz01234']]) {
    test(`of ${name} is refused with a sentence`, async () => {
      const { code, output } = await Server.fails(['serve', ...local, '--turn-secret', weak])
      assert.ok(code === 1 || code === 2, output)
      assert.match(output, /turn-secret/)
      assert.match(output, /32|characters|128 bits|openssl/)
      assert.ok(!output.includes(weak), 'the secret is in the log')
    })
  }

  test('of 64 hexadecimal digits is taken', async () => {
    const server = await Server.start([...local, '--turn-secret', secret])
    await server.stop()
    assert.ok(!server.output.includes(secret))
  })
})

describe('a server that is started', { skip }, () => {
  let field, folder

  before(async () => {
    field = await Field.open()
    folder = mkdtempSync(join(tmpdir(), 'twocan-state-'))
  })
  after(() => {
    field?.close()
    if (folder) rmSync(folder, { recursive: true, force: true })
  })

  /** Completes a lobby of two, and gives a ticket, and the relay's credential for the time after. */
  const complete = (siege) => siege.attacker.run(async (kit, at) => {
    const owner = await kit.enter({ ...at, from: kit.v4(1) }, 'create', {})
    const guest = await kit.enter({ ...at, from: kit.v4(2) }, 'join', { code: owner.code })
    await kit.linked(owner, guest)
    await owner.ask('seal')
    for (const [one, other] of [[owner, guest], [guest, owner]]) one.note('linked', { peer: other.peer, path: 'direct', local: 'host', remote: 'host', ms: 5 })
    const { ticket, ice } = await owner.until(({ type }) => type === 'complete')
    const { username, credential } = ice.servers.find((each) => each.credential)
    return { ticket, login: { username, credential } }
  }, siege.at)
  const use = (siege, kept) => siege.attacker.run(async (kit, at, { ticket, login }) => {
    const back = await kit.enter({ ...at, from: kit.v4(1) }, 'return', { ticket })
    const relay = await kit.turn({ host: at.host, port: at.turnPort, from: kit.v4(1), login })
    return { back: kit.outcome(back.reply), allocated: await relay.allocate() }
  }, siege.at, kept)

  const ways = { [`${stateVariable} names`]: () => ({ env: { TWOCAN_STATE: undefined, [stateVariable]: join(folder, 'variable') } }), ...(supports(flag.state) && { [`${flag.state} names`]: () => ({ args: [flag.state, join(folder, 'flag')] }) }) }
  for (const [name, way] of Object.entries(ways)) {
    test(`keeps the secret that it made in the folder that ${name}, for itself: tickets and relay credentials outlive a restart`, (context) => {
      const options = { company: false, base: ['--public'], ...way() }
      let kept
      return field.with(options, async (siege) => { kept = await complete(siege) }).then(() => field.with(options, async (siege) => {
        const told = await use(siege, kept)
        context.diagnostic(JSON.stringify(told))
        assert.deepEqual(told, { back: 'joined', allocated: 0 })
        const state = options.env?.[stateVariable] ?? options.args[1]
        const files = readdirSync(state, { recursive: true }).map((file) => join(state, file)).filter((file) => statSync(file).isFile())
        assert.ok(files.length > 0, 'nothing is kept')
        for (const file of files) assert.equal((statSync(file).mode & 0o777).toString(8), '600', file)
      }))
    })
  }

  test('in public without HTTPS in front says so, once', () => field.with({ company: false }, async (siege) => {
    const lines = siege.server.output.split('\n').filter((line) => /WARN/.test(line) && word.plainHttp.test(line))
    assert.equal(lines.length, 1, siege.server.output)
  }))

  test('in public behind a trusted proxy has nothing to say', () => field.with({ company: false, args: ['--trusted-proxy', '80.81.1.1/32'] }, async (siege) => {
    // How many files may be open is this machine's doing.
    assert.doesNotMatch(siege.server.output.replace(/^.*WARN \d+ files may be open.*$/m, ''), /WARN/)
  }))

  test('in public keeps /metrics off the public listener, unless asked', () => field.with({ company: false }, async (siege) => {
    const told = await siege.attacker.run(async (kit, at) => [await kit.http({ ...at, from: kit.v4(1), path: '/metrics' }), await kit.http({ ...at, from: kit.v4(1), path: '/healthz' })].map(({ status, body }) => [status, body.includes('twocan_')]), siege.at)
    assert.deepEqual(told, [[404, false], [200, false]])
  }))

  test(`serves /metrics at ${flag.metrics} ADDR`, { skip: !supports(flag.metrics) && `needs a server with ${flag.metrics}` }, () => field.with({ company: false, args: [flag.metrics, '127.0.0.1:9100'] }, async (siege) => {
    assert.match(await siege.metrics(), /^twocan_lobbies /m)
  }))

  test('on loopback may have /metrics beside the page', async () => {
    const server = await Server.start([...local, '--turn-secret', secret])
    const [, url] = await server.said(/(http:\/\/127\.0\.0\.1:\d+)/)
    assert.match(await (await fetch(`${url}/metrics`)).text(), /^twocan_lobbies /m)
    await server.stop()
  })
})
