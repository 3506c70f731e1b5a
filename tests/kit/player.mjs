// A browser in a namespace, as the tests see it: each call is a line to agent.mjs over there.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const agent = fileURLToPath(new URL('agent.mjs', import.meta.url))

/** Right here, in place of a world. */
export const here = { spawn: (_, program, args) => spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] }) }

export class Player {
  #child
  #waiting = new Map()
  #next = 1

  /** Starts `kind` ('chromium' or 'firefox') in a place of the world. */
  static async start(world, place, kind, settings = {}) {
    const player = new Player()
    player.kind = kind
    player.#child = world.spawn(place, process.execPath, [agent, kind, JSON.stringify(settings)])
    const ready = new Promise((resolve, reject) => {
      player.#child.once('exit', (code) => {
        reject(new Error(`${kind} did not start (exit ${code})`))
        for (const { reject: fail } of player.#waiting.values()) fail(new Error(`${kind} is gone`))
      })
      createInterface({ input: player.#child.stdout }).on('line', (line) => {
        let message
        try { message = JSON.parse(line) } catch { return }
        if (message.ready) return resolve(message.ready)
        const waiting = player.#waiting.get(message.id)
        player.#waiting.delete(message.id)
        if (message.error) waiting?.reject(new Error(`${kind}: ${message.error}`))
        else waiting?.resolve(message.value)
      })
    })
    player.version = await ready
    return player
  }

  /** Of the process that drives the browser. */
  get pid() { return this.#child.pid }

  #call(command, rest = {}) {
    const id = this.#next++
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.#child.stdin.write(`${JSON.stringify({ id, command, ...rest })}\n`)
    })
  }

  goto(url) { return this.#call('goto', { url }) }
  /** Runs a function in the page; what it is given and gives back travels as JSON. */
  evaluate(code, ...args) { return this.#call('evaluate', { source: String(code), args }) }
  /** Waits until a function in the page says something true, and gives that back. */
  async wait(code, { timeout = 20_000, args = [] } = {}) {
    try {
      return await this.#call('wait', { source: String(code), args, timeout })
    } catch (error) {
      throw new Error(await this.#explain(error, code, args))
    }
  }

  /** What was waited for, and what the page looked like by then. */
  async #explain(error, code, args) {
    const picture = join(tmpdir(), `twocan-${this.kind}-${process.pid}.png`)
    await this.screenshot(picture).catch(() => {})
    const events = await this.evaluate(() => (window.twocan?.events ?? []).slice(-25).map((event) => JSON.stringify(event))).catch(() => [])
    const log = await this.log().catch(() => [])
    return [`${error.message}, waiting for ${code} ${JSON.stringify(args)}`, `page: ${picture}`, 'events:', ...events, 'console:', ...log.slice(-15)].join('\n')
  }

  click(selector) { return this.#call('click', { selector }) }
  type(selector, text) { return this.#call('type', { selector, text }) }
  key(name, action = 'press') { return this.#call('key', { name, action }) }
  viewport(width, height, more = {}) { return this.#call('viewport', { width, height, ...more }) }
  screenshot(path) { return this.#call('screenshot', { path }) }
  log() { return this.#call('log') }

  async close() {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const gone = new Promise((resolve) => this.#child.once('exit', resolve))
    this.#child.stdin.end(`${JSON.stringify({ command: 'close' })}\n`)
    const late = setTimeout(() => this.#child.kill('SIGKILL'), 5_000)
    await gone
    clearTimeout(late)
  }
}
