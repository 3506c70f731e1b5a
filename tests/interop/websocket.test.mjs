// Autobahn's WebSocket cases against /v1. It is no echo server: what must be answered with an echo, it answers with the
// close that `docs/protocol.md` gives to whatever is no hello. Every other case must pass, and every case must end cleanly.
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { output } from '../kit/programs.mjs'
import { Server } from '../kit/server.mjs'
import { shim } from '../kit/shim.mjs'

const kosoku = process.env.KOSOKU ?? fileURLToPath(new URL('../../target/xtask/venv/bin/kosoku', import.meta.url))
const skip = !existsSync(kosoku) && 'needs kosoku (PyPI)'

const groups = {
  1: 'framing', 2: 'pings and pongs', 3: 'reserved bits', 4: 'opcodes', 5: 'fragmentation', 6: 'UTF-8',
  7: 'closing', 9: 'large messages', 10: 'a message in many pieces',
}

/** Whether a case sends a whole message, of which it would like an echo. (Those of group 9 do not list what they expect.) */
const wantsEcho = ({ expected }) => {
  const outcomes = Object.values(expected)
  return outcomes.length === 0 || outcomes.flat().some(([kind]) => kind === 'message')
}

/** Cases whose message is far over the limit: the socket is cut in its midst, and the close may be lost with the bytes that nobody reads. */
const large = ({ id }) => /^(1\.[12]\.[678]|9\.|10\.)/.test(id)

describe('Autobahn\'s cases', { skip }, () => {
  let server, entry, folder
  const cases = []

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'twocan-kosoku-'))
    server = await Server.start(['--http', '127.0.0.1:0', '--only', 'signaling'])
    const [, port] = await server.said(/http:\/\/127\.0\.0\.1:(\d+)/)
    entry = await shim(Number(port), '/v1', 'twocan.v1')
    // 12 and 13 are about compression, which the server does not offer.
    await output(kosoku, ['-x', '12.*', '-x', '13.*', '-o', folder, `ws://127.0.0.1:${entry.port}`], { timeout: 120_000 })
    for (const file of readdirSync(folder)) {
      if (/_case_[\d_]+\.json$/.test(file)) cases.push(JSON.parse(readFileSync(join(folder, file), 'utf8')))
    }
  })

  after(async () => {
    entry?.close()
    await server?.stop()
    if (folder) rmSync(folder, { recursive: true, force: true })
  })

  test('all of them ran', () => assert.ok(cases.length >= 300, `${cases.length} cases`))

  for (const [group, name] of Object.entries(groups)) {
    test(`${group}: ${name}`, (context) => {
      const own = cases.filter(({ id }) => id.split('.')[0] === group)
      assert.ok(own.length > 0)
      const passes = ({ behavior, behaviorClose }) =>
        ['OK', 'NON-STRICT', 'INFORMATIONAL'].includes(behavior) && ['OK', 'INFORMATIONAL'].includes(behaviorClose)
      // No hello, or too long to be one, or in too many pieces.
      const refused = (each) => wantsEcho(each) && ([4000, 1009].includes(each.remoteCloseCode) || (large(each) && [null, 4003].includes(each.remoteCloseCode)))
      const wrong = own.filter((each) => !passes(each) && !refused(each))
      context.diagnostic(`${own.filter(passes).length} pass, ${own.filter((each) => !passes(each)).length} are refused as no hello`)
      const words = wrong.map((each) => `${each.id}: ${each.behavior}, ${each.behaviorClose}: ${each.result} ${each.resultClose}`)
      assert.deepEqual(words, [])
    })
  }

  test('the server is well after all that', async () => {
    const [, url] = await server.said(/(http:\/\/127\.0\.0\.1:\d+)/)
    assert.equal((await fetch(`${url}/healthz`)).status, 200)
  })
})
