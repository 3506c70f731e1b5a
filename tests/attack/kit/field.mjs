// The field of an attack: the server alone in 512 MiB, attackers with whole networks of addresses, and honest company that measures what it feels meanwhile.
//
//     attackers 80.81.0.0/16, 2a05:81::/32 ──┐                 ┌── server 80.80.0.10, 2a05:80::10, and an echo beside it
//     company   80.90.0.0/16 ────────────────┴── wan (bridge) ─┘
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { missing } from '../../kit/programs.mjs'
import { Server } from '../../kit/server.mjs'
import { World } from '../../kit/world.mjs'
import { Actor } from './actor.mjs'
import { bytes, felt, flag, secret, stateVariable, supports } from './contract.mjs'
import { Cgroup, mib, missingCgroup, resident } from './memory.mjs'

const echoPort = 7
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

export const skip = missing('namespaces') || missingCgroup()

export class Field {
  http = 8080
  turn = 3478
  #folder = mkdtempSync(join(tmpdir(), 'twocan-attack-'))

  static async open() {
    const field = new Field()
    field.world = new World()
    const { world } = field
    field.host = world.server.address
    field.host6 = world.server.address6
    // 10.9.0.0/16 for sources that are forged: a private network that the server has a way to.
    const [attackers, people] = [world.crowd('80.81.0.0/16', '2a05:81::/32', '10.9.0.0/16'), world.crowd('80.90.0.0/16')]
    field.second = world.secondAddress()
    field.attacker = await Actor.start(world, attackers, { nice: 19 })
    field.people = await Actor.start(world, people)
    field.echo = await Actor.start(world, world.server)
    await field.echo.run((kit, host, port) => kit.echo(host, port), field.host, echoPort)
    return field
  }

  /** Another process of attackers in the same place. */
  async another() { return Actor.start(this.world, this.attacker.place, { nice: 19 }) }

  /** What clients need to find the server. */
  get at() { return { host: this.host, port: this.http, turnPort: this.turn } }
  get at6() { return { host: this.host6, port: this.http, turnPort: this.turn } }

  /**
   * Starts the server with these arguments besides, in its cgroup; it is gone when `body` is done. The company is there where it is not declined.
   * What the company felt counts when it is felt three times, each with a server of its own: what an attack does it does again, a stumble of the machine is gone.
   */
  async with(options, body) {
    for (let left = 2; ; left--) {
      try {
        return await this.#once(options, body)
      } catch (error) {
        if (!(error instanceof Felt) || left === 0) throw error
        process.stderr.write(`felt, and tried again: ${error.message}\n`)
      }
    }
  }

  async #once({ args = [], env = {}, company = true, base = ['--public', '--turn-secret', secret] }, body) {
    const cgroup = Cgroup.make()
    const kept = mkdtempSync(join(this.#folder, 'state-'))
    const line = [...base, ...args]
    const server = await Server.start(line, {
      world: this.world, place: this.world.server, env: { [stateVariable]: kept, ...env }, adopt: (pid) => cgroup.adopt(pid),
    }).catch((error) => { cgroup.remove(); throw error })
    let gone = null
    server.exited.then((end) => { gone = end })
    const siege = new Siege(this, server, cgroup, () => gone)
    try {
      if (company) await siege.gather()
      await body(siege)
      siege.alive()
    } catch (error) {
      const memory = gone ? `the server is gone: ${JSON.stringify(gone)}` : 'the server runs'
      error.message += `\n(${memory}; its log ends: ${server.output.slice(-600)})`
      throw error
    } finally {
      await this.attacker.rest().catch(() => {})
      await this.people.run(async (kit) => { await kit.state.company?.leave(); kit.rest() }).catch(() => {})
      await server.stop('SIGKILL')
      cgroup.remove()
    }
  }

  close() {
    for (const actor of [this.attacker, this.people, this.echo]) actor?.close()
    this.world?.close()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

/** One server, and what is done to it. */
class Siege {
  constructor(field, server, cgroup, gone) {
    Object.assign(this, { field, server, cgroup, gone, attacker: field.attacker, people: field.people, at: field.at, at6: field.at6 })
  }

  alive() { assert.equal(this.gone(), null, 'the server has ended') }

  async gather() {
    await this.people.run(async (kit, at) => { kit.state.company = await kit.Company.gather(at) }, { ...this.at, echo: echoPort })
  }

  /** Runs `attack` while the company goes on; gives its figures, and what `attack` gave. At least `ms` long. */
  async beside(attack = () => {}, ms = 2_000) {
    await this.people.run((kit) => kit.state.company.begin())
    let given
    try {
      [given] = await Promise.all([attack(), sleep(ms)])
    } finally {
      this.during = await this.people.run((kit) => kit.state.company.end())
    }
    return { ...this.during, given }
  }

  /** A quiet phase, the attack, and what must hold after any: nobody felt it, and the server is alive and says so. */
  async under(context, attack, { ms = 2_000 } = {}) {
    this.quiet = await this.beside()
    const during = await this.beside(attack, ms)
    context.diagnostic(`quiet:  ${brief(this.quiet)}`)
    context.diagnostic(`attack: ${brief(during)}`)
    this.alive()
    await this.healthy()
    unhurt(this.quiet, during)
    return during.given
  }

  async healthy() {
    const { status } = await this.people.run((kit, at) => kit.http({ ...at, from: '80.90.250.1', path: '/healthz' }), this.at)
    assert.equal(status, 200, '/healthz')
  }

  /** What the server holds now: bytes resident, at its peak, and in the kernel for TCP. */
  memory() {
    const { now = NaN, peak = NaN } = resident(this.server.pid) ?? {}
    return { resident: now, peak, kernel: this.cgroup.kernel() }
  }

  /** Waits until memory is back where it was, within 8 MiB, at most `patience` ms; fails if it does not come back. */
  async back(context, before, patience = 10_000, left = bytes.left) {
    const end = Date.now() + patience
    let now
    do {
      await sleep(250)
      this.alive()
      now = this.memory()
    } while ((now.resident > before.resident + left || now.kernel > before.kernel + left) && Date.now() < end)
    context.diagnostic(`resident ${mib(before.resident)} → peak ${mib(now.peak)} → ${mib(now.resident)} MiB; kernel ${mib(before.kernel)} → ${mib(now.kernel)} MiB`)
    assert.ok(now.resident <= before.resident + left, `${mib(now.resident - before.resident)} MiB more resident than before, ${patience / 1000} s later`)
    assert.ok(now.kernel <= before.kernel + left, `${mib(now.kernel - before.kernel)} MiB more in the kernel than before, ${patience / 1000} s later`)
  }

  /** Looks at memory every 50 ms while `attack` runs; gives what it gave, and the most that was seen. */
  async watching(attack) {
    const most = { resident: 0, kernel: 0 }
    const look = setInterval(() => {
      const { resident: now, kernel } = this.memory()
      most.resident = Math.max(most.resident, now || 0)
      most.kernel = Math.max(most.kernel, kernel)
    }, 50)
    try { return { given: await attack(), most } } finally { clearInterval(look) }
  }

  /** The text of `/metrics`, wherever it is. */
  async metrics() {
    if (!supports(flag.metrics)) return (await this.people.run((kit, at) => kit.http({ ...at, path: '/metrics' }), this.at)).body
    return (await this.field.echo.run((kit) => kit.http({ host: '127.0.0.1', port: 9_100, path: '/metrics' }))).body
  }
}

/** Arguments that put `/metrics` where `metrics()` looks. */
export const withMetrics = supports(flag.metrics) ? [flag.metrics, '127.0.0.1:9100'] : []

const brief = ({ sent, lost, joins, passworded, pings, echoes, works, bindings, turnedAway, unanswered }) =>
  `relayed ${sent}, lost ${lost}; joins ${joins.count} in ${joins.median} ms, with password ${passworded.count} in ${passworded.median} ms; ` +
  `ping p95 ${pings.p95}, max ${pings.max} ms; binding p95 ${bindings.p95}, max ${bindings.max} ms; echo p95 ${echoes.p95} ms, hash ${works.median} ms; ` +
  `turned away ${turnedAway.length}, unanswered ${unanswered.length}`

/** The company was slowed by more than it may be: a time, which the machine may have taken. What is lost or refused is no such thing. */
export class Felt extends assert.AssertionError {
  constructor(message) { super({ message }) }
}

/**
 * Nobody of the company felt it. Medians for joins, for some of them meet a compiler on the same cores; what the machine itself does by now to a round trip is what an echo
 * beside the server takes, and to a hash what one beside the server takes: that is not laid to the server. A packet may be lost where one was lost in the quiet phase too.
 */
export function unhurt(quiet, during) {
  const machine = Math.max(0, during.echoes.p95 - quiet.echoes.p95)
  const slower = Math.max(1, during.works.median / quiet.works.median)
  assert.deepEqual(during.closed, [null, null, null], 'members of the company were closed')
  assert.deepEqual(during.turnedAway, [], 'turned away')
  assert.deepEqual(during.unanswered, [], 'unanswered')
  assert.ok(during.lost <= Math.ceil(quiet.lost * (during.sent / quiet.sent)), `${during.lost} of ${during.sent} relayed packets lost (quiet: ${quiet.lost} of ${quiet.sent})`)
  // A frame wakes the server's threads twice where the echo wakes once.
  const over = (name) => {
    const most = Math.max(quiet[name].p95, quiet.echoes.p95) + felt.ping + 2 * machine
    if (!(during[name].p95 <= most)) throw new Felt(`${name}: p95 ${during[name].p95} ms, at most ${most.toFixed(1)} (quiet ${quiet[name].p95}, echo ${quiet.echoes.p95} → ${during.echoes.p95})`)
  }
  over('pings')
  over('bindings')
  for (const name of ['joins', 'passworded']) {
    assert.ok(during[name].count > 0, `${name}: nobody came in`)
    const most = felt.join * quiet[name].median * (name === 'passworded' ? slower : 1) + felt.joinMs + 2 * machine
    if (!(during[name].median <= most)) throw new Felt(`${name}: median ${during[name].median} ms, at most ${most.toFixed(1)} (quiet ${quiet[name].median})`)
  }
}
