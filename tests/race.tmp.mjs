import { Stage, joinByCode, openLobby, comesTo } from './kit/stage.mjs'
import { Lab } from './kit/lab.mjs'
import { Native } from './kit/native.mjs'
const pause = (ms) => new Promise((r) => setTimeout(r, ms))
const [kind = 'linux-race', delay = '40', runs = '8'] = process.argv.slice(2)
const stage = new Stage(await Lab.start())
const road = { delay_ms: Number(delay) / 2 }
try {
  await stage.serve()
  const page = await stage.player('chromium', kind, road)
  const place = await stage.world.player(kind, road)
  for (const hosts of ['native', 'page']) {
    const paths = {}; const took = []
    for (let run = 0; run < Number(runs); run++) {
      let native
      if (hosts === 'native') {
        native = Native.start(stage, place, 'host', ['--app', 'twocan-demo', '--create', '--size', '2'])
        const opened = await native.until('opened', (events) => events.find((e) => e.code && e.event !== 'error'))
        await joinByCode(page, stage.url, opened.code)
      } else {
        const code = await openLobby(page, stage.url)
        native = Native.start(stage, place, 'host', ['--app', 'twocan-demo', '--join', code])
      }
      await page.wait(() => [...(window.twocan.lobby?.peers.values() ?? [])][0]?.state === 'open', { timeout: 20000 }).catch(() => {})
      const ms = await page.evaluate(() => [...window.twocan.lobby.peers.values()][0]?.connectMs)
      await pause(2500)
      const path = await page.evaluate(async () => (await [...window.twocan.lobby.peers.values()][0]?.stats())?.path)
      paths[path] = (paths[path] ?? 0) + 1; took.push(ms)
      native.kill(); await page.goto('about:blank'); await pause(300)
    }
    console.log(process.env.NATIVE_EXAMPLES, kind, `${delay} ms one way`, `${hosts} hosts`, JSON.stringify(paths), took.sort((a, b) => a - b).join(' '))
  }
} finally { await stage.close() }
