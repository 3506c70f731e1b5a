// A player whose game is watched: twenty numbered messages a second each way on the reliable channel, and what the longest silence was. A page with nothing on it but the SDK, or a native peer.
import { execFileSync } from 'node:child_process'
import { Native } from './native.mjs'

/** Between two messages, ms. */
const EVERY = 50
const APP = 'faults'

/** One clock for all: that of the machine. */
const now = () => performance.timeOrigin + performance.now()

/** What a game was like, out of what arrived: `[when, number, sent when]`, and how many were sent. */
function read(got, begun) {
  return {
    /** The longest silence since then, ms: the one that goes on counts too. */
    pause(since, until = now()) {
      const times = [Math.max(begun, since - EVERY), ...got.map(([at]) => at).filter((at) => at > since), until]
      return Math.max(...times.map((at, i) => i ? at - times[i - 1] : 0))
    },
    /** When the first message arrived that was sent after `since`. */
    after: (since) => got.find(([, , sent]) => sent >= since)?.[0],
    /** Each number once, and in order, from the first. */
    whole: got.every(([, number], at) => number === at),
    last: got.at(-1)?.[0] ?? begun,
    count: got.length,
  }
}

/** Ends or goes on: everything that runs in a place, but the one that speaks with us. */
const signal = (name, place, spared) => {
  const pids = execFileSync('ip', ['netns', 'pids', place.name], { encoding: 'utf8' }).split('\n').filter((pid) => pid && Number(pid) !== spared)
  for (const pid of pids) try { process.kill(Number(pid), name) } catch { /* it ended */ }
}

export class PageGamer {
  constructor(stage, player) {
    this.stage = stage
    this.page = player
    this.place = player.place
  }

  /** Opens a lobby, or enters the one with this code; gives its code. */
  async enter(code) {
    // Whatever was before is gone with its page.
    await this.page.goto('about:blank')
    const there = () => this.page.goto(`${this.stage.url}/twocan.js`)
    // A browser that has moved may wait for a connection that it kept open at its address of before.
    await there().catch(there)
    return this.page.evaluate(async (app, code) => {
      const { connect } = await import('/twocan.js')
      window.net = await connect('', { app })
      window.lobby = await (code ? window.net.join(code) : window.net.create({ size: 2 }))
      return window.lobby.code
    }, APP, code)
  }

  linked() { return this.page.wait(() => [...window.lobby.peers.values()][0]?.state === 'open') }
  async start() { await this.page.evaluate(() => window.lobby.start().then(() => true)) }

  /** Plays from now on. */
  play() {
    return this.page.evaluate((every) => {
      const link = [...window.lobby.peers.values()][0]
      const now = () => performance.timeOrigin + performance.now()
      const game = window.game = { got: [], states: [], sent: 0, begun: now(), link }
      window.lobby.on('message', ({ data }) => game.got.push([now(), ...data]))
      const follow = (link) => link.on('state', (state) => game.link === link && game.states.push([now(), state]))
      follow(link)
      // A link that begins anew is another one.
      window.lobby.on('peer', (peer) => {
        game.link = peer
        game.states.push([now(), 'open'])
        follow(peer)
      })
      game.timer = setInterval(() => game.link.send('reliable', [game.sent++, now()]).catch(() => {}), every)
      return true
    }, EVERY)
  }

  /** Says nothing more; gives how many it has sent. */
  rest() { return this.page.evaluate(() => { clearInterval(window.game.timer); return window.game.sent }) }

  async game() {
    const { got, begun, state, states } = await this.page.evaluate(() => ({ ...window.game, link: 0, timer: 0, state: window.game.link.state }))
    return { ...read(got, begun), state, states }
  }

  path() { return this.page.evaluate(() => [...window.lobby.peers.values()][0].stats().then(({ path, protocol, relayProtocol }) => ({ path, protocol, relayProtocol }))) }
  sleep() { signal('SIGSTOP', this.place, this.page.pid) }
  wake() { signal('SIGCONT', this.place, this.page.pid) }
  async leave() { await this.page.goto('about:blank') }
  close() {}
}

export class NativeGamer {
  #timer
  #sent = 0

  constructor(stage, place) {
    this.stage = stage
    this.place = place
  }

  async enter(code) {
    this.native = Native.start(this.stage, this.place, 'host', ['--app', APP, '--size', '2', ...(code ? ['--join', code] : ['--create'])])
    this.got = []
    this.states = []
    const hear = this.native.hear.bind(this.native)
    this.native.hear = (event) => {
      if (event.event === 'message') this.got.push([now(), ...event.data])
      else if (event.event === 'state') this.states.push([now(), event.state])
      else if (event.event === 'peer') this.states.push([now(), 'open'])
      // Kept for the whole game, these would be thousands.
      if (event.event !== 'message' && !(event.event === 'done' && event.do === 'send')) hear(event)
    }
    return (await this.native.event('joined')).code
  }

  async linked() { await this.native.event('peer') }
  start() { return this.native.do('start') }

  play() {
    this.begun = now()
    this.#sent = 0
    this.#timer = setInterval(() => this.native.say({ do: 'send', channel: 'reliable', json: [this.#sent++, now()] }), EVERY)
  }

  rest() { clearInterval(this.#timer); return this.#sent }

  async game() { return { ...read(this.got, this.begun), state: this.states.at(-1)?.[1] ?? 'open', states: this.states } }

  async path() {
    const { peer } = await this.native.event('peer')
    const { path, protocol, relayProtocol } = await this.native.stats(peer)
    return { path, protocol, relayProtocol }
  }

  sleep() { signal('SIGSTOP', this.place) }
  wake() { signal('SIGCONT', this.place) }
  async leave() { clearInterval(this.#timer); this.native.kill() }
  close() { clearInterval(this.#timer); this.native?.kill() }
}
