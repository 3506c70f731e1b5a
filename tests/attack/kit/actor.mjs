// A process in a place of the world that runs functions of the tests there, with the attackers' tools: `actor.run((kit, n) => …, 7)`.
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const self = fileURLToPath(import.meta.url)

/** For one call, ms; the longest attacks take a minute. */
const patience = process.env.TWOCAN_ATTACK === 'long' ? 600_000 : 120_000

export class Actor {
  #child
  #waiting = new Map()
  #next = 1

  /** `nice` 19 for attackers: elsewhere they would have processors of their own. */
  static async start(world, place, { nice = 0 } = {}) {
    const actor = new Actor()
    actor.place = place
    actor.#child = world.spawn(place, 'nice', ['-n', String(nice), process.execPath, self])
    actor.#child.stdin.on('error', () => {})
    actor.#child.once('exit', () => {
      for (const { reject } of actor.#waiting.values()) reject(new Error('the actor is gone'))
      actor.#waiting.clear()
    })
    createInterface({ input: actor.#child.stdout }).on('line', (line) => {
      const { id, value, error } = JSON.parse(line)
      const waiting = actor.#waiting.get(id)
      actor.#waiting.delete(id)
      if (error) waiting?.reject(new Error(error))
      else waiting?.resolve(value)
    })
    await actor.run(() => true)
    return actor
  }

  /** Runs a function over there. It sees nothing from here but its arguments, which travel as JSON as its result does; `kit.state` lasts. */
  run(code, ...args) {
    const id = this.#next++
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => { this.#waiting.delete(id); reject(new Error(`not done within ${patience / 1_000} s: ${String(code).slice(0, 120)}`)) }, patience)
      const settle = (end) => (value) => { clearTimeout(late); end(value) }
      this.#waiting.set(id, { resolve: settle(resolve), reject: settle(reject) })
      this.#child.stdin.write(`${JSON.stringify({ id, source: String(code), args })}\n`)
    })
  }

  /** Closes all that it holds open. */
  rest() { return this.run((kit) => kit.rest()) }

  close() { this.#child.stdin.end() }
}

if (process.argv[1] === self) {
  const kit = await import('./tools.mjs')
  const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`)
  process.on('uncaughtException', (error) => process.stderr.write(`actor: ${error.stack}\n`))
  const lines = createInterface({ input: process.stdin })
  lines.on('line', async (line) => {
    const { id, source, args } = JSON.parse(line)
    try {
      tell({ id, value: (await (0, eval)(`(${source})`)(kit, ...args)) ?? null })
    } catch (error) {
      tell({ id, error: String(error?.stack ?? error) })
    }
  })
  lines.on('close', () => process.exit(0))
}
