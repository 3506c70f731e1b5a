// One end of a connection without a lobby: a program of tests/interop/peers, or a page. Both take the same commands and tell the same events.
import { existsSync, readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { connect } from '../interop/peers/connection.mjs'
import { Teller, end } from './lines.mjs'
import { missing } from './programs.mjs'

const root = fileURLToPath(new URL('../../', import.meta.url))
const peers = `${root}tests/interop/peers`
const require = createRequire(import.meta.url)
const venv = process.env.PEERS_VENV ?? `${root}target/xtask/venv`
const programs = process.env.PEERS_BIN ?? `${peers}/target/debug`
const native = process.env.NATIVE_PEER ?? `${root}target/debug/examples/peer`

const file = (path, what) => !existsSync(path) && `needs ${what}`
/** Python's packages lie below the version of the language. */
const packaged = (name) => {
  const lib = `${venv}/lib`
  const found = existsSync(lib) && readdirSync(lib).some((version) => existsSync(`${lib}/${version}/site-packages/${name}`))
  return !found && `needs ${name} (PyPI)`
}
const installed = (name) => { try { require.resolve(name); return false } catch { return `needs ${name} (npm)` } }
const every = ['udp', 'tcp', 'tls']

/**
 * The stacks: how each is started, what it lacks here, over what it reaches a relay, where it can play from, the smallest and the largest
 * message that it can send, what it says wrongly of a channel that the other side opened, and how long, in ms, a few lost packets of a burst
 * may hold it up (webrtc-rs doubles its wait for each: 30 s and more between two of it through the same relay).
 */
export const kinds = {
  native: { command: [native], lacks: () => file(native, 'cargo build -p twocan --example peer'), relay: every },
  aiortc: { command: [`${venv}/bin/python`, `${peers}/aiortc_peer.py`], lacks: () => packaged('aiortc'), relay: every },
  werift: { command: [process.execPath, `${peers}/w3c.mjs`, 'werift'], lacks: () => installed('werift'), relay: every, sends: [1, Infinity], repeats: true },
  'node-datachannel': { command: [process.execPath, `${peers}/w3c.mjs`, 'node-datachannel'], lacks: () => installed('node-datachannel'), relay: ['udp'], mistells: ['ordered', 'maxRetransmits'] },
  'webrtc-rs': { command: [`${programs}/webrtc_rs`], lacks: () => file(`${programs}/webrtc_rs`, 'cargo build in tests/interop/peers'), relay: ['udp'], sends: [0, 65_536], mistells: ['maxRetransmits'], repeats: true, recovers: 90_000 },
  // It gathers nothing by itself, and its peer here knows host addresses alone.
  str0m: { command: [`${programs}/str0m`], lacks: () => file(`${programs}/str0m`, 'cargo build in tests/interop/peers'), relay: [], sends: [1, Infinity], nat: 'public' },
  chromium: { browser: true, lacks: () => missing('chromium'), relay: every },
  firefox: { browser: true, lacks: () => missing('firefox-esr', 'certutil'), relay: every },
}

export class Peer extends Teller {
  /** The largest message that this side takes, as its description says it. */
  messageMax = 65_536
  #write
  #end
  #child = null
  #other = null
  #unsent = []

  constructor(kind, write, end) {
    super(kind)
    this.kind = kind
    this.#write = write
    this.#end = end
  }

  /** Starts a program in a place. */
  static async start(stage, place, kind, settings) {
    const [program, ...args] = kinds[kind].command
    const ca = stage.certificate.ca
    const options = { env: { ...process.env, SSL_CERT_FILE: ca, NODE_EXTRA_CA_CERTS: ca } }
    const child = stage.world.spawn(place, program, [...args, JSON.stringify(settings)], options)
    const peer = new Peer(kind, (line) => child.stdin.write(line), () => end(child))
    peer.#child = child
    peer.listen(child)
    await peer.saw('ready')
    return peer
  }

  /** Makes a connection in a browser's page. */
  static async inPage(player, settings) {
    const id = await player.evaluate(`(settings) => {
      const connect = ${connect}
      const queue = []
      let wake = () => {}
      const tell = (event) => { queue.push(event); wake() }
      window.peers ??= []
      const command = connect({ RTCPeerConnection, ...settings, tell })
      const take = async () => {
        if (queue.length === 0) await new Promise((resolve) => { wake = resolve; setTimeout(resolve, 10000) })
        return queue.splice(0)
      }
      return window.peers.push({ command, take }) - 1
    }`, settings)
    let open = true
    const write = (line) => { player.evaluate((id, line) => window.peers[id].command(JSON.parse(line)), id, line).catch(() => {}) }
    const peer = new Peer(player.kind, write, async () => { open = false; peer.do('close') })
    const listen = async () => {
      while (open) for (const event of await player.evaluate((id) => window.peers[id].take(), id)) peer.hear(event)
    }
    listen().catch((error) => { if (open) peer.hear({ error: String(error) }) })
    return peer
  }

  do(command, rest = {}) { this.#write(`${JSON.stringify({ do: command, ...rest })}\n`) }

  hear(event) {
    if (event.signal) this.#pass(event.signal)
    super.hear(event)
  }

  /** Signals go to the other side as they come. */
  #pass(signal) {
    const max = signal.sdp?.match(/^a=max-message-size:(\d+)/m)
    if (max) this.messageMax = Number(max[1]) || Infinity
    if (this.#other) this.#other.do('signal', { signal })
    else this.#unsent.push(signal)
  }

  introduce(other) {
    this.#other = other
    for (const signal of this.#unsent.splice(0)) other.do('signal', { signal })
  }

  /** The smallest and the largest message that this side can send to that one. */
  sends(other) {
    const [least, most] = kinds[this.kind].sends ?? [0, Infinity]
    return [least, Math.min(other.messageMax, most)]
  }

  /** The messages that came on a channel. */
  messages(label) { return this.events.filter(({ message }) => message?.label === label).map(({ message }) => message) }

  async stats() {
    const told = (events) => events.filter((event) => 'stats' in event)
    const before = told(this.events).length
    this.do('stats')
    return this.until('stats', (events) => told(events)[before]?.stats)
  }

  /** Ends a program as a crash does. */
  kill() { this.#child.kill('SIGKILL') }

  close() { return this.#end() }
}

/** Lets two peers meet: the first offers. Both have a channel `first` at the end. */
export async function meet(peers, timeout = 30_000) {
  const [one, other] = peers
  one.introduce(other)
  other.introduce(one)
  one.do('open', { label: 'first' })
  one.do('offer')
  await Promise.all(peers.map((peer) => peer.saw('open', 'first', timeout)))
}

/** Lets two peers meet, gives them to `work`, and ends them. */
export async function together(peers, work) {
  try {
    await meet(peers)
    await work(...peers)
  } finally {
    await Promise.all(peers.map((peer) => peer.close()))
  }
}

let seed = 0
/** A message each way arrives. */
export async function talk(one, other, timeout = 15_000) {
  const peers = [one, other]
  const before = peers.map((peer) => peer.messages('first').length)
  for (const peer of peers) peer.do('send', { label: 'first', kind: 'text', size: 100, seed: ++seed })
  await Promise.all(peers.map((peer, at) => peer.until('a message', () => peer.messages('first').length > before[at], timeout)))
}
