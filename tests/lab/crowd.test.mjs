// Two NATs that map by destination and let anybody in: each of a browser's checks is answered from another port, which it checks before all else. Pages get out of that by relays alone.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { PageGamer } from '../kit/gamer.mjs'
import { Lab } from '../kit/lab.mjs'
import { missing } from '../kit/programs.mjs'
import { Stage } from '../kit/stage.mjs'

describe('in a crowd of candidates', { skip: missing('namespaces', 'tun', 'openssl', 'chromium'), timeout: 120_000 }, () => {
  let stage
  before(async () => {
    stage = new Stage(await Lab.start())
    await stage.serve()
  })
  after(() => stage?.close())

  test('two pages are relayed within some seconds, each time', async () => {
    const near = { delay_ms: 1, jitter_ms: 1 }
    const players = await Promise.all([0, 1].map(async () => new PageGamer(stage, await stage.player('chromium', 'apdm-eif', near))))
    const [host, guest] = players
    for (let run = 0; run < 3; run++) {
      const code = await host.enter()
      const asked = performance.now()
      await guest.enter(code)
      await Promise.all(players.map((player) => player.linked()))
      assert.ok(performance.now() - asked < 10_000, `${performance.now() - asked} ms`)
      assert.equal((await guest.path()).path, 'relayed')
      for (const player of players) await player.leave()
    }
  })
})
