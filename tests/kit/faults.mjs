// What happens to people in mid-game, done for real: two players behind the kernel's NATs, 80 ms apart, and one thing that goes wrong.
import { Internet } from './lab.mjs'
import { NativeGamer, PageGamer } from './gamer.mjs'
import { Stage } from './stage.mjs'
import { World } from './world.mjs'

/** From a player to the internet's middle, ms: two players are 80 ms apart and back, the server 40. */
export const DELAY_MS = 20
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const now = () => performance.timeOrigin + performance.now()

const forget = (...who) => ({ world }, lane, hit) => { for (const each of who) world.forget(each === 'hit' ? hit.place : lane.other(hit).place) }
const away = (ms) => async ({ world }, _, { place }) => {
  const unblock = world.blockAll(place)
  await wait(ms)
  unblock()
}
const asleep = (ms) => async (_, __, hit) => {
  hit.sleep()
  await wait(ms)
  hit.wake()
}

/**
 * What can happen, to one of two (`hit`): what is done, which gives what takes it back where it lasts; what a pause may be at most at p50 and p95, ms, between native peers and where a page is involved; and whether that counts from the end of what is done.
 * `direct`: so soon the link is to be direct again.
 */
export const FAULTS = {
  interface: { text: 'another interface, another network (Wi-Fi to mobile)', do: ({ world }, _, { place }) => { world.rehome(place) }, native: [500, 1_000], page: [3_000, 5_000], direct: 10_000 },
  address: { text: 'another address in the same network', do: ({ world }, _, { place }) => { world.move(place) }, native: [500, 1_000], page: [3_000, 5_000], direct: 10_000 },
  rebind: { text: 'the NAT forgets, and gives another port', do: forget('hit'), native: [1_500, 2_500], page: [3_000, 5_000], direct: 10_000 },
  'both-rebind': { text: 'both NATs forget', do: forget('hit', 'other'), native: [1_500, 1_500], page: [4_000, 4_000], direct: 10_000 },
  udp: { text: 'UDP is blocked in mid-game', do: ({ world }, _, { place }) => world.blockUdp(place), native: [3_000, 5_000], page: [3_000, 5_000] },
  'away-3': { text: 'no network for 3 s', do: away(3_000), native: [1_500, 1_500], page: [4_000, 4_000], fromEnd: true, direct: 10_000 },
  'away-10': { text: 'no network for 10 s', do: away(10_000), native: [1_500, 1_500], page: [4_000, 4_000], fromEnd: true, direct: 10_000 },
  'away-60': { text: 'no network for 60 s', do: away(60_000), native: [1_500, 1_500], page: [4_000, 4_000], fromEnd: true, direct: 10_000, mayEnd: true },
  server: { text: 'the server is killed', do: ({ stage }) => stage.kill(), native: [150, 300], page: [150, 300], alone: true },
  'server-back': { text: 'the server is killed, and back after 3 s', do: async ({ stage }) => {
    await stage.kill()
    await wait(3_000)
    await stage.revive()
  }, native: [150, 300], page: [150, 300], alone: true },
  'server-move': { text: 'the server is killed, and somebody moves', do: async ({ stage, world }, _, { place }) => {
    await stage.kill()
    world.rehome(place)
  }, native: [1_000, 5_000], page: [5_000, 10_000], alone: true },
}
/** A machine asleep, or a process stopped, for so many seconds. */
export const asleepFor = (seconds) => ({ text: `asleep for ${seconds} s`, do: asleep(seconds * 1_000), native: [5_000, 5_000], page: [5_000, 5_000], fromEnd: true, mayEnd: true })

export const PAIRS = ['native-native', 'native-chromium', 'chromium-native', 'chromium-chromium', 'native-firefox', 'firefox-native', 'firefox-firefox']

/** A server that faults can kill, in an internet with delay. */
export class Faulty extends Stage {
  static async open({ hosts = 48, delay_ms = DELAY_MS } = {}) {
    const stage = new Faulty(new World(await Internet.start(hosts, { delay_ms })))
    // Left open, the lab would keep the tests from ending.
    await stage.revive().catch(async (error) => { await stage.close(); throw error })
    return stage
  }

  async kill() {
    await this.server.stop('SIGKILL')
    this.server = undefined
  }

  async revive() { if (!this.server) await this.serve() }

  /** Two players of these kinds behind routers of these. */
  async lane(pair, nats = ['home', 'home']) {
    const players = await Promise.all(pair.split('-').map(async (kind, at) => {
      if (kind === 'native') return new NativeGamer(this, this.world.player(nats[at]))
      return new PageGamer(this, await this.player(kind, nats[at]))
    }))
    return new Lane(this, pair, players)
  }
}

/** Both sides know that it is over. */
const ended = (games) => games.every(({ state }) => ['failed', 'closed'].includes(state))

/** Two players, who meet and are watched again and again. */
class Lane {
  constructor(stage, pair, players) {
    Object.assign(this, { stage, pair, players })
  }

  get world() { return this.stage.world }
  other(player) { return this.players.find((each) => each !== player) }

  /** They meet; gives how they are linked, and how long after the joiner asked both were. */
  async meet() {
    const [host, joiner] = this.players
    const code = await host.enter()
    const asked = now()
    await joiner.enter(code)
    await Promise.all(this.players.map((player) => player.linked()))
    const took = now() - asked
    await wait(300)
    return { took, path: (await joiner.path()).path }
  }

  /** One game, with one fault in it. `hit` is 0 for the host, 1 for the joiner; `started`: both have left the server. */
  async run(fault, hit, started, { watch = 12_000 } = {}) {
    const { stage, world, players } = this
    await this.meet()
    if (started) await players[0].start()
    for (const player of players) await player.play()
    await wait(1_200)
    const begun = now()
    const undo = await fault.do({ stage, world }, this, players[hit])
    const since = fault.fromEnd ? now() : begun
    const limit = now() + watch
    let back = false
    // At least as long as it takes to notice.
    await wait(2_500)
    for (;;) {
      const games = await this.#games()
      const flows = games.every(({ last, after }) => now() - last < 400 && after(since + 50))
      if (flows && back) break
      back = flows
      if (now() > limit || (fault.mayEnd && ended(games))) break
      await wait(500)
    }
    const games = await this.#games()
    const result = {
      back,
      ended: ended(games),
      pauses: games.map((game) => Math.round(fault.fromEnd ? (game.after(since) ?? Infinity) - since : game.pause(begun))),
      states: games.map(({ states }) => states.map(([at, state]) => [Math.round(at - since), state])),
    }
    if (back) Object.assign(result, await this.#path(fault, since), { whole: await this.#whole() })
    for (const player of players) await player.leave()
    undo?.()
    await stage.revive()
    return result
  }

  #games() { return Promise.all(this.players.map((player) => player.game())) }

  /** By which way they play, and since when it is direct. */
  async #path({ direct }, since) {
    for (;;) {
      const paths = await Promise.all(this.players.map((player) => player.path()))
      const all = paths.every(({ path }) => path === 'direct')
      if (all || !direct || now() - since > direct) return { path: paths[0].path, directAfter: all ? Math.round(now() - since) : undefined }
      await wait(500)
    }
  }

  /** All that was said has arrived, once and in order. */
  async #whole() {
    const sent = await Promise.all(this.players.map((player) => player.rest()))
    const end = now() + 3_000
    for (;;) {
      const games = await this.#games()
      const all = games.every(({ count, whole }, at) => whole && count === sent[1 - at])
      if (all || now() > end) return all
      await wait(100)
    }
  }

  close() { for (const player of this.players) player.close() }
}
