// A memory cgroup for the server, v1 or v2, and what it holds by now: resident, and in the kernel's TCP buffers.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { bytes } from './contract.mjs'

let count = 0

/** Where memory cgroups are mounted: `{ root, version, own }`, `own` being the path of this process below it. */
function mounted() {
  const mounts = readFileSync('/proc/mounts', 'utf8').split('\n').map((line) => line.split(' '))
  const own = readFileSync('/proc/self/cgroup', 'utf8').split('\n').map((line) => line.split(':'))
  const v1 = mounts.find(([, , kind, options]) => kind === 'cgroup' && options.split(',').includes('memory'))
  if (v1) return { version: 1, root: v1[1], own: own.find(([, names]) => names?.split(',').includes('memory'))?.[2] ?? '/' }
  const v2 = mounts.find(([, , kind]) => kind === 'cgroup2')
  return v2 && { version: 2, root: v2[1], own: own.find(([id]) => id === '0')?.[2] ?? '/' }
}

export class Cgroup {
  /** One of its own below this process's, or beside it, or below the root; null where none can be had. */
  static make(limit = bytes.limit) {
    const at = mounted()
    if (!at) return null
    const parents = [at.own, dirname(at.own), '/'].filter((each, index, all) => all.indexOf(each) === index)
    for (const parent of parents) {
      const folder = join(at.root, parent, `twocan-attack-${process.pid}-${++count}`)
      try {
        mkdirSync(folder)
      } catch { continue }
      const cgroup = new Cgroup(folder, at.version)
      if (cgroup.#limit(join(at.root, parent), limit)) return cgroup
      cgroup.remove()
    }
    return null
  }

  constructor(folder, version) {
    this.folder = folder
    this.version = version
  }

  #limit(parent, limit) {
    try {
      if (this.version === 1) {
        writeFileSync(join(this.folder, 'memory.limit_in_bytes'), String(limit))
        // Only where it has a limit is the memory of sockets counted; this one is out of reach.
        writeFileSync(join(this.folder, 'memory.kmem.tcp.limit_in_bytes'), String(64 * 2 ** 30))
      } else {
        if (!existsSync(join(this.folder, 'memory.max'))) writeFileSync(join(parent, 'cgroup.subtree_control'), '+memory')
        writeFileSync(join(this.folder, 'memory.max'), String(limit))
      }
      return true
    } catch { return false }
  }

  adopt(pid) { writeFileSync(join(this.folder, 'cgroup.procs'), String(pid)) }

  /** Bytes that the kernel holds for its TCP sockets. */
  kernel() {
    if (this.version === 1) return Number(readFileSync(join(this.folder, 'memory.kmem.tcp.usage_in_bytes'), 'utf8'))
    return Number(/^sock (\d+)$/m.exec(readFileSync(join(this.folder, 'memory.stat'), 'utf8'))?.[1] ?? 0)
  }

  /** Removes it, once its process has gone. */
  remove() { try { rmdirSync(this.folder) } catch { /* somebody is still in it, or it is gone */ } }
}

/** False where a cgroup can be had, else what to say in `skip`. */
export function missingCgroup() {
  const probe = process.getuid?.() === 0 ? Cgroup.make() : null
  probe?.remove()
  return probe ? false : 'needs a memory cgroup'
}

/** Bytes resident now, and at most so far, of a process; null once it is gone. */
export function resident(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/status`, 'utf8')
    const field = (name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)[1]) * 1024
    return { now: field('VmRSS'), peak: field('VmHWM') }
  } catch { return null }
}

/** Milliseconds of processor time that a process has used, in all its threads. */
export function cpu(pid) {
  const threads = readdirSync(`/proc/${pid}/task`)
  return threads.reduce((sum, thread) => sum + Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]) / 1e6, 0)
}

/** TCP connections that a place's kernel still holds data for, from addresses that begin so: not those that are ended and wait for the other side's end only. */
export function connections(place, prefix) {
  const text = execFileSync('ip', ['netns', 'exec', place.name, 'ss', '-Htan'], { encoding: 'utf8', maxBuffer: 1 << 26 })
  return text.split('\n').filter((line) => {
    const [state, , , , peer] = line.trim().split(/\s+/)
    return peer?.replace('[::ffff:', '').startsWith(prefix) && !['TIME-WAIT', 'FIN-WAIT-2', 'LISTEN'].includes(state)
  }).length
}

export const mib = (amount) => Math.round(amount / 104_857.6) / 10
