// A program that tells events, one JSON object a line, and takes commands likewise: what was told so far, and waiting for more.
import { createInterface } from 'node:readline'

export class Teller {
  events = []
  #watchers = new Set()
  #name

  constructor(name) { this.#name = name }

  hear(event) {
    this.events.push(event)
    for (const look of [...this.#watchers]) look()
  }

  /** Hears a child's lines; its end is `{"gone": code}`. */
  listen(child) {
    createInterface({ input: child.stdout }).on('line', (line) => { if (line.startsWith('{')) this.hear(JSON.parse(line)) })
    child.stdin.on('error', () => {})
    child.once('exit', (code, signal) => this.hear({ gone: code ?? signal }))
  }

  /** Waits for an event that has `key`, with this value where one is given; those of the past count. */
  saw(key, value, timeout) {
    return this.until(`${key} ${value ?? ''}`, (events) => events.find((event) => key in event && (value === undefined || event[key] === value)), timeout)
  }

  /** Waits until `find` makes something of all events so far. */
  async until(what, find, timeout = 30_000) {
    const found = find(this.events)
    if (found) return found
    return new Promise((resolve, reject) => {
      const settle = (end, value) => { clearTimeout(late); this.#watchers.delete(look); end(value) }
      const late = setTimeout(() => settle(reject, this.#never(what)), timeout)
      const look = () => {
        const found = find(this.events)
        if (found) settle(resolve, found)
        else if ('gone' in this.events.at(-1)) settle(reject, this.#never(what))
      }
      this.#watchers.add(look)
    })
  }

  #never(what) {
    const brief = (event) => JSON.stringify(event).slice(0, 700)
    const few = [...new Set([...this.events.filter((event) => !('message' in event)).slice(-30), ...this.events.slice(-5)])]
    return new Error([`${this.#name} never saw: ${what}. Of ${this.events.length} events:`, ...few.map(brief)].join('\n'))
  }
}

/** Ends a child by ending its input, or by force if it takes longer than `patience` ms. */
export async function end(child, patience = 3_000) {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise((resolve) => child.once('exit', resolve))
  child.stdin.end()
  const late = setTimeout(() => child.kill('SIGKILL'), patience)
  await gone
  clearTimeout(late)
}
