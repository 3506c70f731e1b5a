// A small internet in the lab: the model's boxes, with delay and loss, and a namespace for each host. It stands in for a `World`, but that its players come later.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { binary, environment } from './server.mjs'

export class Lab {
  #child
  #answers = []
  #children = new Set()

  /** Starts the one process that moves its packets. */
  static async start() {
    const lab = new Lab()
    lab.#child = spawn(binary, ['lab', 'up'], { stdio: ['pipe', 'pipe', 'inherit'], env: environment })
    lab.#child.stdin.on('error', () => {})
    const ready = lab.#next()
    lab.exited = new Promise((resolve) => lab.#child.once('exit', (code) => {
      for (const { reject } of lab.#answers.splice(0)) reject(new Error(`the lab is gone (exit ${code})`))
      resolve(code)
    }))
    createInterface({ input: lab.#child.stdout }).on('line', (line) => lab.#answers.shift()?.resolve(JSON.parse(line)))
    const { server: { name, host, addresses: [address, address6, second] } } = await ready
    lab.server = { name, host, address, address6, second }
    return lab
  }

  #next() { return new Promise((resolve, reject) => this.#answers.push({ resolve, reject })) }

  /** Does something, and gives its answer. They come in the order of the questions. */
  async do(action, rest = {}) {
    const answer = this.#next()
    this.#child.stdin.write(`${JSON.stringify({ do: action, ...rest })}\n`)
    const told = await answer
    if (told.error) throw new Error(`${action}: ${told.error}`)
    return told
  }

  /** A place to play from, behind boxes of the kind named (`twocan lab kinds`), under conditions: `delay_ms`, `loss_percent` … */
  async player(kind, options = {}) {
    const { place, external } = await this.do('place', { kind, ...options })
    return this.neighbour({ kind, place, external })
  }

  /** One more host in a player's network. */
  async neighbour({ kind, place, external }) {
    const { host, name, addresses } = await this.do('host', { place })
    return { kind, place, external, host, name, addresses, address: external[0] ?? addresses[0] }
  }

  /** How two of them talk: `{ verdict: 'direct' }`, or `relayed` with each one's way, or `nothing`. */
  verdict(left, right) { return this.do('verdict', { left: left.host, right: right.host }) }

  blockUdp({ place }) { return this.do('block', { place, protocol: 'udp' }) }
  unblock({ place }) { return this.do('unblock', { place }) }

  /** Starts a program in a place. It ends with the lab. */
  spawn(place, file, args, options = {}) {
    const child = spawn('ip', ['netns', 'exec', place.name, file, ...args], { stdio: ['pipe', 'pipe', 'inherit'], ...options })
    this.#children.add(child)
    child.once('exit', () => this.#children.delete(child))
    return child
  }

  /** Ends it, and gives all that it counted. */
  async close() {
    for (const child of this.#children) child.kill('SIGKILL')
    const end = this.#next()
    end.catch(() => {})
    this.#child.stdin.end()
    await this.exited
    return end
  }
}

/** A lab's internet that routers of the kernel stand in (`World`): public hosts, made beforehand. */
export class Internet {
  #lab
  #free = []

  /** `hosts` is how many routers and public players there can be; conditions as for a place. */
  static async start(hosts, conditions) {
    const internet = new Internet()
    internet.#lab = await Lab.start()
    internet.server = internet.#lab.server
    for (let at = 0; at < hosts; at++) internet.#free.push(await internet.#lab.player('public', conditions))
    return internet
  }

  /** One that nobody has had. */
  take() {
    const host = this.#free.shift()
    if (!host) throw new Error('this internet has no host left')
    return host
  }

  close() { return this.#lab.close() }
}
