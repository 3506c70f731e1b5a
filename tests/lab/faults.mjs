// What real people go through in mid-game, and how long each side hears nothing: native peers, Chromium and Firefox behind the kernel's NATs, 80 ms apart. `cargo xtask lab faults` runs it, as root, within an
// hour; it writes all that it measured to target/faults.json, and with --write its part of docs/nat.md. With --add, what that file holds counts too.
//
//   node tests/lab/faults.mjs [--runs 20] [--pairs native-native,…] [--faults interface,…,asleep,race] [--asleep 600,3600] [--together 4] [--add] [--write]
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { FAULTS, Faulty, PAIRS, asleepFor } from '../kit/faults.mjs'

const { values } = parseArgs({ options: {
  runs: { type: 'string', default: '20' },
  pairs: { type: 'string', default: PAIRS.join() },
  faults: { type: 'string', default: [...Object.keys(FAULTS), 'asleep', 'race'].join() },
  asleep: { type: 'string', default: Array.from({ length: 60 }, (_, at) => at + 1).join() },
  together: { type: 'string', default: '4' },
  add: { type: 'boolean', default: false },
  write: { type: 'boolean', default: false },
} })
const [runs, together] = [Number(values.runs), Number(values.together)]
const pairs = values.pairs.split(',')
const faults = values.faults.split(',')
const page = fileURLToPath(new URL('../../docs/nat.md', import.meta.url))
const raw = fileURLToPath(new URL('../../target/faults.json', import.meta.url))
const [BEGIN, END] = ['<!-- faults -->', '<!-- end of faults -->']

const begun = Date.now()
const { results, races } = values.add ? JSON.parse(readFileSync(raw, 'utf8')) : { results: [], races: [] }
const save = () => writeFileSync(raw, JSON.stringify({ results, races }))
const say = (text) => process.stderr.write(`\r${text}, ${Math.round((Date.now() - begun) / 1000)} s   `)

/** Who is hit, and when: either side, while the lobby is open and after both have left the server. */
const situations = [0, 1].flatMap((hit) => [false, true].map((started) => ({ hit, started })))

/** The runs of one pair: those that leave the server alone, and those that do not. */
function runsOf() {
  const all = faults.filter((name) => FAULTS[name]).flatMap((name) => situations.flatMap((situation) =>
    Array.from({ length: runs }, () => ({ name, fault: FAULTS[name], ...situation }))))
  if (faults.includes('asleep')) {
    for (const hit of [0, 1]) for (const seconds of values.asleep.split(',').map(Number)) all.push({ name: 'asleep', fault: asleepFor(seconds), hit, started: seconds % 2 === 0, seconds })
  }
  return [all.filter(({ fault }) => !fault.alone), all.filter(({ fault }) => fault.alone)]
}

/** Does `todo` with so many lanes at once. */
async function work(lanes, todo, pair) {
  const total = todo.length
  let done = 0
  await Promise.all(lanes.map(async (lane) => {
    for (let next = todo.shift(); next; next = todo.shift()) {
      const { fault, hit, started, name, seconds } = next
      const result = await lane.run(fault, hit, started).catch((error) => ({ error: String(error).split('\n')[0] }))
      results.push({ pair, name, hit, started, seconds, ...result })
      say(`${pair}: ${++done} of ${total}`)
    }
  }))
}

for (const pair of pairs) {
  const [shared, alone] = runsOf()
  if (shared.length + alone.length === 0) continue
  const stage = await Faulty.open({ hosts: together * 4 + 4 })
  const lanes = await Promise.all(Array.from({ length: Math.min(together, shared.length || 1) }, () => stage.lane(pair)))
  await work(lanes, shared, pair)
  await work(lanes.slice(0, 1), alone, pair)
  for (const lane of lanes) lane.close()
  await stage.close()
  process.stderr.write('\n')
  save()
}

/** Linux routers that drop nothing, on either side or both: who reaches whom directly. */
if (faults.includes('race')) {
  for (const oneWay of [20, 40, 120]) {
    const stage = await Faulty.open({ hosts: 16, delay_ms: oneWay / 2 })
    for (const pair of pairs.filter((each) => each.includes('native') && !each.includes('firefox'))) {
      for (const nats of [['linux', 'linux'], ['linux', 'home'], ['home', 'linux']]) {
        const lane = await stage.lane(pair, nats)
        const met = []
        for (let run = 0; run < runs; run++) {
          met.push(await lane.meet().catch((error) => ({ path: String(error).split('\n')[0] })))
          for (const player of lane.players) await player.leave()
          say(`${pair}, ${nats}, ${oneWay} ms: ${run + 1} of ${runs}`)
        }
        lane.close()
        races.push({ pair, nats: nats.join(', '), oneWay, met })
      }
    }
    await stage.close()
  }
  process.stderr.write('\n')
}
save()

const at = (numbers, share) => numbers.toSorted((a, b) => a - b)[Math.min(numbers.length - 1, Math.floor(share * numbers.length))]
const figure = (numbers) => numbers.length === 0 ? '–' : `${at(numbers, 0.5)} / ${at(numbers, 0.95)}`
/** Which pairs, whoever of the two is the host. */
const COLUMNS = [['native', 'native'], ['native', 'chromium'], ['chromium', 'chromium'], ['native', 'firefox'], ['firefox', 'firefox'], ['chromium', 'firefox']]
  .map((kinds) => [kinds.map((kind) => kind.replace(/^[cf]/, (letter) => letter.toUpperCase())).join(', '), new Set([kinds.join('-'), kinds.toReversed().join('-')])])
  .filter(([, those]) => results.some(({ pair }) => those.has(pair)))

/** One cell: how many came back, the pause at either side, and what was not as it should be. */
function cell(mine, fault) {
  if (mine.length === 0) return '–'
  const good = mine.filter(({ back }) => back)
  const [p50, p95] = mine[0].pair === 'native-native' ? fault.native : fault.page
  const pauses = good.flatMap(({ pauses }) => pauses)
  const missed = pauses.length > 0 && (at(pauses, 0.5) > p50 || at(pauses, 0.95) > p95)
  const notes = [
    good.length < mine.length && `${good.length} of ${mine.length} back`,
    mine.some(({ ended, back }) => ended && !back) && `${mine.filter(({ ended, back }) => ended && !back).length} ended at both sides`,
    good.some(({ whole }) => !whole) && `${good.filter(({ whole }) => !whole).length} not whole`,
    fault.direct && good.some(({ path }) => path !== 'direct') && `${good.filter(({ path }) => path !== 'direct').length} relayed`,
  ].filter(Boolean)
  return `${missed ? '**' : ''}${figure(pauses)}${missed ? '**' : ''}${notes.length ? ` (${notes.join(', ')})` : ''}`
}

const names = [...Object.keys(FAULTS), 'asleep'].filter((each) => results.some(({ name }) => name === each))
const lines = [
  `Runs: ${results.length} with a fault, of them back: ${results.filter(({ back }) => back).length}; ${results.filter(({ error }) => error).length} could not be made.`,
  '',
  `| what happens to one of two | while | ${COLUMNS.map(([name]) => name).join(' | ')} | goal native; page |`,
  `|---|---|${'---|'.repeat(COLUMNS.length + 1)}`,
]
for (const name of names) {
  for (const started of [false, true]) {
    const mine = results.filter((result) => result.name === name && result.started === started && !result.error)
    if (mine.length === 0) continue
    const fault = FAULTS[name] ?? { ...asleepFor(0), text: 'asleep for 1 to 60 s' }
    const cells = COLUMNS.map(([, who]) => cell(mine.filter(({ pair }) => who.has(pair)), fault))
    lines.push(`| ${fault.text} | ${started ? 'the server was left' : 'the lobby is open'} | ${cells.join(' | ')} | ${fault.native.join(' / ')}; ${fault.page.join(' / ')} |`)
  }
}
if (races.length > 0) {
  lines.push('', `| routers | one way, ms | ${[...new Set(races.map(({ pair }) => pair))].join(' | ')} |`, `|---|---|${'---|'.repeat(new Set(races.map(({ pair }) => pair)).size)}`)
  for (const key of [...new Set(races.map(({ nats, oneWay }) => `${nats} | ${oneWay}`))]) {
    const mine = races.filter(({ nats, oneWay }) => `${nats} | ${oneWay}` === key)
    lines.push(`| ${key} | ${mine.map(({ met }) => `${met.filter(({ path }) => path === 'direct').length} of ${met.length} direct, ${at(met.map(({ took }) => Math.round(took ?? Infinity)), 0.5)} ms`).join(' | ')} |`)
  }
}
const table = lines.join('\n')
console.log(table)
if (values.write) {
  const before = readFileSync(page, 'utf8')
  const [start, rest] = before.split(BEGIN)
  writeFileSync(page, `${start}${BEGIN}\n${table}\n${END}${rest.split(END)[1]}`)
}
process.exit(0)
