// How soon the joiner has the host's first message: two players 200 ms apart and back, the server 100, behind the kernel's home routers. By hand, as root, within two minutes.
//
//   node tests/lab/soon.mjs [--runs 6] [--pairs native-native,chromium-chromium,native-chromium]
import { parseArgs } from 'node:util'
import { Faulty } from '../kit/faults.mjs'
import { Native } from '../kit/native.mjs'

const { values } = parseArgs({ options: { runs: { type: 'string', default: '6' }, pairs: { type: 'string', default: 'native-native,chromium-chromium,native-chromium' } } })
const APP = 'soon'
const now = () => performance.now()
/** From a player to the internet's middle, ms. */
const DELAY_MS = 50

/** A host that says something to whoever is linked; gives its code, and what ends it. */
async function host({ stage, place, page }) {
  if (!page) {
    const native = Native.start(stage, place, 'host', ['--app', APP, '--size', '2', '--create'])
    void native.event('peer').then(() => native.say({ do: 'send', channel: 'reliable', json: 1 }), () => {})
    return { code: (await native.event('joined')).code, close: () => native.kill() }
  }
  await page.goto(`${stage.url}/twocan.js`)
  const code = await page.evaluate(async (app) => {
    const { connect } = await import('/twocan.js')
    const net = await connect('', { app })
    const lobby = window.lobby = await net.create({ size: 2 })
    lobby.on('peer', (peer) => peer.send('reliable', 1))
    return lobby.code
  }, APP)
  return { code, close: () => page.goto('about:blank') }
}

/** How long a joiner takes, ms: from the call of `connect` (cold, a program from its start), and from that of `join` (warm). */
async function join({ stage, place, page }, code, warm) {
  if (!page) {
    const begun = now()
    const native = Native.start(stage, place, 'host', ['--app', APP, '--join', code])
    await native.event('message')
    const took = now() - begun
    native.kill()
    return took
  }
  await page.goto(`${stage.url}/twocan.js`)
  const took = await page.evaluate(async (app, code, warm) => {
    const { connect } = await import('/twocan.js')
    let begun = performance.now()
    const net = await connect('', { app })
    if (warm) {
      await new Promise((resolve) => setTimeout(resolve, 1_000))
      begun = performance.now()
    }
    const lobby = window.lobby = await net.join(code)
    return new Promise((resolve) => lobby.on('message', () => resolve(performance.now() - begun)))
  }, APP, code, warm)
  await page.goto('about:blank')
  return took
}

const stage = await Faulty.open({ hosts: 12, delay_ms: DELAY_MS })
for (const pair of values.pairs.split(',')) {
  const players = await Promise.all(pair.split('-').map(async (kind) => {
    if (kind === 'native') return { stage, place: stage.world.player('home') }
    const page = await stage.player(kind, 'home')
    return { stage, place: page.place, page }
  }))
  for (const warm of players[1].page ? [false, true] : [false]) {
    const times = []
    for (let run = 0; run < Number(values.runs); run++) {
      const { code, close } = await host(players[0])
      // The host has gathered.
      await new Promise((resolve) => setTimeout(resolve, 1_500))
      times.push(Math.round(await join(players[1], code, warm)))
      await close()
    }
    times.sort((one, other) => one - other)
    console.log(`${pair}, ${warm ? 'warm' : 'cold'}: median ${times[times.length >> 1]} (${times[0]} to ${times.at(-1)}), ${times.length} runs`)
  }
}
await stage.close()
