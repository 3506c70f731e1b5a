// Programs of others that tests drive: found, run to their end, and named where they are missing.
import { spawn } from 'node:child_process'
import { accessSync, constants, existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { World } from './world.mjs'

/** False where all of these can be had, else what to say in `skip`: node prints it, and xtask counts it. */
export function missing(...needs) {
  for (const need of needs) {
    if (need === 'namespaces') {
      const lacks = World.available()
      if (lacks) return `needs ${lacks} (for network namespaces)`
    } else if (need === 'tun') {
      if (!existsSync('/dev/net/tun')) return 'needs /dev/net/tun (for the lab)'
    } else if (!onPath(need)) return `needs ${need}`
  }
  return false
}

function onPath(program) {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin']
  return folders.some((folder) => {
    try { accessSync(join(folder, program), constants.X_OK); return true } catch { return false }
  })
}

/** Runs a program to its end, at most `timeout` ms, and gives what it printed. */
export async function output(file, args, { timeout = 60_000, ...options } = {}) {
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout, ...options })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (part) => { text += part })
  const [code, signal] = await new Promise((resolve, reject) => {
    child.once('close', (...end) => resolve(end))
    child.once('error', reject)
  })
  return { code, signal, text }
}
