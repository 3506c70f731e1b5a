// The real binary, started in a place of the world or on loopback, and asked what it says over HTTP.
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** The release binary; `cargo xtask test` builds it before these tests run. */
export const binary = process.env.TWOCAN_BIN ?? `${root}target/release/twocan`
if (!existsSync(binary)) throw new Error(`${binary} is missing: cargo build --release`)

// What a server keeps is not kept where one of this machine's own would.
const state = mkdtempSync(join(tmpdir(), 'twocan-state-'))
process.on('exit', () => rmSync(state, { recursive: true, force: true }))
// The server takes every variable that begins so for a setting: those of whoever runs the tests are not for it.
const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('TWOCAN_')))
export const environment = { ...inherited, TWOCAN_STATE: state }

export class Server {
  #child
  output = ''

  /** Starts `twocan serve` with these arguments, in `place` of `world` or else right here, and waits until it serves. `adopt` is told its pid at once. */
  static async start(args, { world, place, env = {}, adopt } = {}) {
    const server = new Server()
    const options = { stdio: ['ignore', 'pipe', 'pipe'], env: { ...environment, ...env, NO_COLOR: '1' } }
    const line = ['serve', ...args]
    server.#child = world ? world.spawn(place, binary, line, options) : spawn(binary, line, options)
    adopt?.(server.#child.pid)
    server.exited = new Promise((resolve) => server.#child.once('exit', (code, signal) => resolve({ code, signal })))
    for (const stream of [server.#child.stdout, server.#child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => { server.output += text })
    }
    await server.said(/ready/i)
    return server
  }

  /** Runs it to its end: for what must not start. */
  static async fails(args, { env = {} } = {}) {
    const server = new Server()
    server.#child = spawn(binary, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...environment, ...env, NO_COLOR: '1' } })
    for (const stream of [server.#child.stdout, server.#child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => { server.output += text })
    }
    const late = setTimeout(() => server.#child.kill('SIGKILL'), 10_000)
    const [code, signal] = await new Promise((resolve) => server.#child.once('close', (...end) => resolve(end)))
    clearTimeout(late)
    return { code, signal, output: server.output }
  }

  get pid() { return this.#child.pid }

  /** Waits until its log matches. */
  async said(pattern, timeout = 15_000) {
    const end = Date.now() + timeout
    while (!pattern.test(this.output)) {
      const gone = await Promise.race([this.exited, new Promise((resolve) => setTimeout(resolve, 20))])
      if (gone && !pattern.test(this.output)) throw new Error(`the server ended (${JSON.stringify(gone)}):\n${this.output}`)
      if (Date.now() > end) throw new Error(`the server did not say ${pattern} within ${timeout} ms:\n${this.output}`)
    }
    return this.output.match(pattern)
  }

  async stop(signal = 'SIGTERM') {
    this.#child.kill(signal)
    return this.exited
  }
}

/** The value of one line of `/metrics`, labels included in the name; 0 where the line is missing. */
export function metric(text, name) {
  const line = text.split('\n').find((each) => each.startsWith(`${name} `))
  return line ? Number(line.slice(name.length + 1)) : 0
}

/** GET from inside a place: the namespace's addresses cannot be reached from outside. */
export function get(place, url) {
  return execFileSync('ip', ['netns', 'exec', place.name, process.execPath, '-e',
    `fetch(${JSON.stringify(url)}).then(r => r.text()).then(t => process.stdout.write(t))`], { encoding: 'utf8', timeout: 10_000 })
}
