// Every pair of networks for real: our native peer with itself and with browsers, and Chromium with itself, in the lab's internet, against
// what the virtual matrix of docs/nat.md says of the pair. `cargo xtask lab matrix --real` runs it, as root; it writes its part of docs/nat.md.
//
//   node tests/lab/matrix.mjs [--only home,cgnat,…]
import { readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Lab } from '../kit/lab.mjs'
import { Peer, meet } from '../kit/peer.mjs'
import { Stage } from '../kit/stage.mjs'

const page = fileURLToPath(new URL('../../docs/nat.md', import.meta.url))
const [BEGIN, END] = ['<!-- real -->', '<!-- end of real -->']

/** A round trip of 48 ms between two players, and nothing lost: the columns are to differ by the boxes alone. */
const road = { delay_ms: 12 }
/** So long two peers may take to meet, and so long they may then go on looking for a direct way, in ms. */
const [MEET_WITHIN, SETTLE_WITHIN] = [30_000, 3_000]
const together = 2 * cpus().length
/** Users of the relay, in turn: what one holds is bounded. */
const users = Array.from({ length: 64 }, (_, at) => `user-${at}`)
const secret = 'secret-of-all'
const programs = [['native', 'native'], ['native', 'chromium'], ['native', 'firefox'], ['chromium', 'chromium']]

const { values: { only } } = parseArgs({ options: { only: { type: 'string' } } })
const before = readFileSync(page, 'utf8')
const expected = virtual(before)
const kinds = only ? only.split(',') : [...expected.keys()]

/** What the virtual matrix says: of each kind the ways to all others, a letter each, the last for two in one network. */
function virtual(text) {
  const rows = [...text.matchAll(/^\| \d+ \| ([\w-]+) \|(.*)\|$/gm)]
  return new Map(rows.map(([, kind, cells]) => [kind, cells.split('|').map((cell) => cell.trim()[0].replace(/[TS]/, 'R'))]))
}

/** The letter that is wanted, whoever of the two opens. */
function wanted({ left, right, shared }) {
  if (shared) return [expected.get(left).at(-1)]
  const all = [...expected.keys()]
  return [expected.get(left)[all.indexOf(right)], expected.get(right)[all.indexOf(left)]]
}

const stage = new Stage(await Lab.start())
const { address, address6 } = stage.world.server
await stage.serve(['--turns', `${address}:443`, '--turns', `[${address6}]:443`, ...users.flatMap((user) => ['--turn-user', `${user}:${secret}`])])
const relays = ['turn:play.test:3478?transport=udp', 'turn:play.test:3478?transport=tcp', 'turns:play.test:443?transport=tcp']
const stuns = [`stun:${address}:3478`, `stun:[${address6}]:3478`]
let turn = 0
const settings = () => ({ servers: [{ urls: stuns }, { urls: relays, username: users[++turn % users.length], credential: secret }], policy: 'all' })

/** Who plays from where: one host a kind, side and program, made when it is first needed. */
const seats = new Map()
function seat(name, make) {
  if (!seats.has(name)) seats.set(name, make())
  return seats.get(name)
}
async function seated(program, kind, side, shared) {
  if (program === 'native') {
    const first = await seat(`native ${kind} left`, () => stage.world.player(kind, road))
    if (side === 'left') return { place: first, start: (more) => Peer.start(stage, first, 'native', { ...settings(), ...more }) }
    const place = await seat(`native ${kind} right ${shared}`, () => shared ? stage.world.neighbour(first) : stage.world.player(kind, road))
    return { place, start: (more) => Peer.start(stage, place, 'native', { ...settings(), ...more }) }
  }
  // Its page is an empty one: not every network lets it fetch ours.
  const player = await seat(`${program} ${kind} ${side}`, () => stage.player(program, kind, road))
  return { place: player.place, start: (more) => Peer.inPage(player, { ...settings(), ...more }) }
}

/** Lets two meet; gives the way they end with, and the ms until both could send. */
async function measure([one, other], { left, right, shared }) {
  const [first, second] = [await seated(one, left, 'left', false), await seated(other, right, 'right', shared)]
  const peers = [await first.start({}), await second.start({ polite: true })]
  try {
    const begun = performance.now()
    await meet(peers, MEET_WITHIN)
    const took = performance.now() - begun
    const end = Date.now() + SETTLE_WITHIN
    let told
    do {
      for (const [at, peer] of peers.entries()) peer.do('send', { label: 'first', kind: 'text', size: 100, seed: at })
      await new Promise((resolve) => setTimeout(resolve, 250))
      told = await stage.world.verdict(first.place, second.place)
    } while (told.verdict !== 'direct' && Date.now() < end)
    return { way: letter(told), took }
  } catch (error) {
    return { way: '✗', took: NaN, why: String(error).split('\n')[0] }
  } finally {
    await Promise.all(peers.map((peer) => peer.close().catch(() => {})))
  }
}

/** As the virtual matrix writes it. By which protocol the relay is reached is each one's own choice, and a browser's is not ours. */
const letter = ({ verdict }) => ({ direct: 'D', relayed: 'R' })[verdict] ?? '✗'

const pairs = kinds.flatMap((left, at) => kinds.slice(at).map((right) => ({ left, right, shared: false })))
const cells = [...pairs, ...kinds.filter((kind) => kind !== 'public').map((kind) => ({ left: kind, right: kind, shared: true }))]
const begun = Date.now()
const results = []
for (const [one, other] of programs) {
  // Two in one network: native peers alone. A browser of its own for each of these cells would say no more.
  const todo = cells.filter(({ shared }) => !shared || other === 'native').map((cell) => ({ one, other, cell }))
  const total = todo.length
  let done = 0
  const work = async () => {
    for (let next = todo.shift(); next; next = todo.shift()) {
      const got = await measure([one, other], next.cell)
      results.push({ ...next, ...got, fits: wanted(next.cell).includes(got.way) })
      process.stderr.write(`\r${one} and ${other}: ${++done} of ${total}, ${Math.round((Date.now() - begun) / 1000)} s   `)
    }
  }
  await Promise.all(Array.from({ length: together }, work))
  process.stderr.write('\n')
}
await stage.close()

const median = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1]
const ms = (numbers) => numbers.length === 0 ? '–' : `${Math.round(median(numbers))} (${Math.round(Math.min(...numbers))}–${Math.round(Math.max(...numbers))})`
const lines = [
  '| who with whom | pairs | direct | relayed | no way | as in virtual time | direct, ms | relayed, ms |',
  '|---|---:|---:|---:|---:|---:|---:|---:|',
]
for (const [one, other] of programs) {
  const mine = results.filter((result) => result.one === one && result.other === other)
  const count = (letters) => mine.filter(({ way }) => letters.includes(way)).length
  const times = (letters) => ms(mine.filter(({ way }) => letters.includes(way)).map(({ took }) => took))
  lines.push(`| ${one}, ${other} | ${mine.length} | ${count('D')} | ${count('R')} | ${count('✗')} | ${mine.filter(({ fits }) => fits).length} | ${times('D')} | ${times('R')} |`)
}
const odd = results.filter(({ fits }) => !fits)
if (odd.length > 0) {
  lines.push('', 'Where it differs:', '', '| who with whom | networks | virtual | for real |', '|---|---|---|---|')
  for (const { one, other, cell, way, why } of odd) {
    const networks = cell.shared ? `${cell.left}, both in the same` : `${cell.left}, ${cell.right}`
    lines.push(`| ${one}, ${other} | ${networks} | ${[...new Set(wanted(cell))].join(' or ')} | ${way}${why ? `: ${why}` : ''} |`)
  }
}
console.log(lines.join('\n'))
if (!only) {
  const [start, rest] = before.split(BEGIN)
  writeFileSync(page, `${start}${BEGIN}\n${lines.join('\n')}\n${END}${rest.split(END)[1]}`)
}
