// Honest company beside an attack: two members whose packets are relayed, people who come and go, strangers who ping and ask STUN. It measures what they feel.
import { createSocket } from 'node:dgram'
import { Client } from './websocket.mjs'
import { Turn } from './turn.mjs'

const network = 90
const packetEvery = 20
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

export function summary(times) {
  const sorted = [...times].sort((left, right) => left - right)
  const at = (part) => (sorted.length ? Math.round(sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] * 10) / 10 : 0)
  return { count: sorted.length, median: at(0.5), p95: at(0.95), max: at(1) }
}

export class Company {
  #at
  #people = 0
  #timers = []
  #phase = null
  #stopped = false

  /** Everybody meets at `{ host, port, turnPort, echo }`; `echo` answers datagrams without being a server of ours. */
  static async gather(at) {
    const company = new Company()
    company.#at = at
    await company.#open()
    await company.#relay()
    company.#loops()
    return company
  }

  #address() { const n = ++this.#people; return `80.${network}.${1 + (n >> 8)}.${n & 255}` }
  async #person(options) { return Client.open({ ...this.#at, app: 'honest', from: this.#address(), ...options }) }

  /** Two lobbies: one of the two who relay, where others come in by code, and one with a password. */
  async #open() {
    const need = async (asked) => { const reply = await asked; if (reply.type !== 'joined') throw new Error(`company: ${JSON.stringify(reply)}`); return reply.lobby.code }
    this.ann = await this.#person()
    this.bob = await this.#person()
    this.code = await need(this.ann.ask('create', { size: 64 }))
    await need(this.bob.ask('join', { code: this.code }))
    this.keeper = await this.#person()
    this.locked = await need(this.keeper.ask('create', { size: 64, password: 'let me in' }))
    // Whoever is sent a signal sends it back.
    for (const host of [this.ann, this.keeper]) {
      host.heard = (message) => {
        if (message?.type === 'signal' && message.kind === 'candidate') host.note('signal', { to: message.from, kind: 'description', data: message.data })
        if (host.frames.length > 500) host.forget()
      }
    }
    this.pingers = [await this.#person(), await this.#person()]
  }

  /** Both allocate with their lobby's credentials and bind channels to each other. */
  async #relay() {
    const relays = []
    for (const member of [this.ann, this.bob]) {
      const ice = await member.until((each) => each.type === 'ice')
      const server = ice.servers.find(({ credential }) => credential)
      const turn = await Turn.open({ host: this.#at.host, port: this.#at.turnPort, from: this.#address(), login: { username: server.username, credential: server.credential } })
      const code = await turn.allocate()
      if (code !== 0) throw new Error(`company: allocate ${code}`)
      relays.push(turn)
    }
    const [left, right] = relays
    const channel = 0x4001
    for (const [turn, other] of [[left, right], [right, left]]) {
      const code = await turn.bind(channel, other.relayed)
      if (code !== 0) throw new Error(`company: bind ${code}`)
    }
    this.relays = { left, right, channel }
    for (const turn of relays) {
      turn.heard = (bytes) => {
        const phase = this.#phase?.number === bytes.readUInt32BE(0) ? this.#phase : null
        if (phase) { phase.arrived += 1; phase.travel.push(performance.now() - bytes.readDoubleBE(4)) }
      }
    }
  }

  #loops() {
    this.#every(packetEvery, () => {
      const phase = this.#phase
      if (!phase || phase.draining) return
      for (const turn of [this.relays.left, this.relays.right]) {
        const packet = Buffer.alloc(200)
        packet.writeUInt32BE(phase.number, 0)
        packet.writeDoubleBE(performance.now(), 4)
        turn.send(this.relays.channel, packet)
        phase.sent += 1
      }
    })
    let turn = 0
    this.#every(50, () => this.#ping(this.pingers[++turn % 2]))
    this.#every(50, () => this.#echo(false))
    this.#every(250, () => this.#echo(true))
    this.#bindings()
    this.#joins()
  }

  #every(ms, what) { this.#timers.push(setInterval(what, ms)) }

  async #ping(client) {
    const phase = this.#phase
    if (!phase || phase.draining) return
    const began = performance.now()
    const reply = await client.ask('ping', {}, 10_000)
    client.forget()
    if (reply.type === 'pong') phase.pings.push(performance.now() - began)
    else phase.unanswered.push(`ping: ${reply.type} ${reply.code ?? ''}`)
  }

  #echo(work) {
    const phase = this.#phase
    if (!phase || phase.draining) return
    this.echoes ??= createSocket('udp4').on('error', () => {})
      .on('message', (bytes) => this.#phase?.[bytes[8] ? 'works' : 'echoes'].push(performance.now() - bytes.readDoubleBE(0)))
    const packet = Buffer.alloc(9)
    packet.writeDoubleBE(performance.now())
    packet[8] = work ? 1 : 0
    this.echoes.send(packet, this.#at.echo, this.#at.host)
  }

  async #bindings() {
    const socket = await Turn.open({ host: this.#at.host, port: this.#at.turnPort, from: this.#address() })
    this.#every(50, async () => {
      const phase = this.#phase
      if (!phase || phase.draining) return
      const began = performance.now()
      const { code } = await socket.binding()
      if (code === 0) phase.bindings.push(performance.now() - began)
      else phase.unanswered.push(`binding: ${code}`)
    })
  }

  /** One after another they come in, exchange a signal and go. */
  async #joins() {
    for (let n = 0; !this.#stopped; n++) {
      const phase = this.#phase
      if (phase && !phase.draining) await this.#visit(n % 2 === 1, phase)
      await sleep(120)
    }
  }

  async #visit(password, phase) {
    const began = performance.now()
    let guest
    try {
      guest = await this.#person()
      const code = password ? this.locked : this.code
      const joined = await guest.ask('join', { code, ...(password && { password: 'let me in' }) })
      if (joined.type !== 'joined') return phase.turnedAway.push(`${password ? 'password' : 'code'}: ${joined.type} ${joined.code ?? ''}`)
      ;(password ? phase.passworded : phase.joins).push(performance.now() - began)
      const host = password ? this.keeper : this.ann
      if (!await guest.until((each) => each.type === 'link' && each.peer === host.peer)) return phase.turnedAway.push('no link')
      guest.note('signal', { to: host.peer, kind: 'candidate', class: 'host', data: { candidate: 'candidate:1 1 udp 1 80.90.0.1 9 typ host' } })
      if (!await guest.until((each) => each.type === 'signal' && each.from === host.peer, 5_000)) phase.turnedAway.push('no signal came back')
    } catch (error) {
      phase.turnedAway.push(String(error.message))
    } finally {
      guest?.leave()
    }
  }

  begin() {
    this.#phase = { number: (Math.random() * 2 ** 32) >>> 0, sent: 0, arrived: 0, travel: [], pings: [], echoes: [], works: [], bindings: [], joins: [], passworded: [], turnedAway: [], unanswered: [], began: Date.now() }
  }

  /** Ends a phase: what is under way may still come, for a second and a half. */
  async end() {
    const phase = this.#phase
    phase.draining = true
    await sleep(1_500)
    this.#phase = null
    const { sent, arrived, turnedAway, unanswered } = phase
    const figures = Object.fromEntries(['travel', 'pings', 'echoes', 'works', 'bindings', 'joins', 'passworded'].map((name) => [name, summary(phase[name])]))
    const closed = [this.ann, this.bob, this.keeper].map((member) => member.closed)
    return { seconds: (Date.now() - phase.began) / 1000, sent, lost: sent - arrived, turnedAway, unanswered, closed, ...figures }
  }

  async leave() {
    this.#stopped = true
    for (const timer of this.#timers) clearInterval(timer)
    for (const member of [this.ann, this.bob, this.keeper, ...this.pingers]) if (member.closed === null) member.leave()
    this.relays.left.close()
    this.relays.right.close()
    this.echoes?.close()
  }
}
