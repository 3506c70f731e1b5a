// A native player in a lobby: an example of the crate `twocan` (`host`, `echo`, `pong`) that tells events and takes actions, one JSON object a line.
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Teller, end } from './lines.mjs'

/** Where cargo puts them. */
export const examples = process.env.NATIVE_EXAMPLES ?? fileURLToPath(new URL('../../target/debug/examples', import.meta.url))

/** False where these examples are built, else what to say in `skip`. */
export function lacking(...names) {
  const absent = names.find((name) => !existsSync(`${examples}/${name}`))
  return absent ? `needs cargo build -p twocan --example ${absent}` : false
}

export class Native extends Teller {
  #child
  #tag = 0

  /** Starts an example in a place of the stage's world; it speaks to the stage's server. */
  static start(stage, place, name, flags) {
    const native = new Native(name)
    const more = name === 'pong' ? [] : ['--script', '--root', stage.certificate.ca]
    native.#child = stage.world.spawn(place, `${examples}/${name}`, ['--json', '--server', stage.url, ...more, ...flags])
    native.listen(native.#child)
    return native
  }

  /** Waits for an event of this name, and with these fields where some are given; those of the past count. */
  event(name, fields = {}, timeout = 20_000) {
    const like = (event) => event.event === name && Object.entries(fields).every(([key, value]) => event[key] === value)
    return this.until(`${name} ${JSON.stringify(fields)}`, (events) => events.find(like), timeout)
  }

  /** Does something; nobody waits for it. */
  say(action) { this.#child.stdin.write(`${JSON.stringify(action)}\n`) }

  /** Does something, and waits until it has succeeded. */
  async do(action, rest = {}) {
    const tag = ++this.#tag
    this.say({ do: action, ...rest, tag })
    const answer = await this.until(`${action} done`, (events) => events.find((event) => event.tag === tag && ['done', 'error'].includes(event.event)))
    if (answer.event === 'error') throw new Error(`${action}: ${answer.code}: ${answer.message}`)
  }

  /** What the link to the only peer says of itself. */
  async stats(peer) {
    const told = (events) => events.filter(({ event }) => event === 'stats')
    const before = told(this.events).length
    this.say({ do: 'stats', peer })
    return this.until('stats', (events) => told(events)[before])
  }

  /** Stops it as a crash does. */
  kill() { this.#child.kill('SIGKILL') }

  close() { return end(this.#child) }
}

/** SHA-256 of the message that an example sends for `"size": n`. */
export const sha256 = (size) => createHash('sha256').update(Uint8Array.from({ length: size }, (_, at) => at % 251)).digest('hex')
