// The model's boxes against the kernel's: a probe with plain sockets measures both from inside, and they agree where they claim to be the same.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { describe, test } from 'node:test'
import { Lab } from '../kit/lab.mjs'
import { examples } from '../kit/native.mjs'
import { missing } from '../kit/programs.mjs'
import { World } from '../kit/world.mjs'

const probe = `${examples}/probe`
const skip = missing('namespaces', 'tun') || (!existsSync(probe) && 'needs cargo build -p twocan-lab --example probe')

const [independent, byAddress, byPort] = ['endpoint-independent', 'address-dependent', 'address-and-port-dependent']
const boxes = {
  home: { mapping: independent, filtering: byPort, allocation: 'preserving' },
  symmetric: { mapping: byPort, filtering: byPort, allocation: 'random' },
}
/** The kernel can make none of these. */
const others = {
  'full-cone': { mapping: independent, filtering: independent, allocation: 'preserving' },
  restricted: { mapping: independent, filtering: byAddress, allocation: 'preserving' },
  'adm-adf': { mapping: byAddress, filtering: byAddress, allocation: 'random' },
  'symmetric-sequential': { mapping: byPort, filtering: byPort, allocation: 'sequential' },
}

/** A helper in the middle at two addresses. */
async function help(world, addresses) {
  const child = world.spawn(world.server, probe, ['help-out', ...addresses])
  await new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', resolve)
    child.once('exit', () => reject(new Error('the helper ended')))
  })
}

const lines = async (child) => {
  let text = ''
  for await (const part of child.stdout) text += part
  return JSON.parse(text)
}

/** What a box of each kind does, by the probe. */
async function measure(world, kinds, addresses) {
  await help(world, addresses)
  const places = []
  for (const kind of kinds) places.push(await world.player(kind))
  return Promise.all(places.map((place) => lines(world.spawn(place, probe, ['measure', ...addresses]))))
}

/** Does something in a world that goes afterwards. */
async function inside(world, work) {
  try { return await work(world) } finally { await world.close() }
}

describe('the probe, from inside', { skip }, () => {
  const seen = (told) => Object.values(told).map((box) => ({ udp: true, nat: true, ...box }))

  test("finds the same behind the kernel's boxes and the model's", async () => {
    const kinds = Object.keys(boxes)
    const kernel = await inside(new World(), (world) => {
      const second = '80.80.0.11'
      execFileSync('ip', ['-n', world.server.name, 'addr', 'add', `${second}/24`, 'dev', 'eth0'])
      return measure(world, kinds, [world.server.address, second])
    })
    const model = await inside(await Lab.start(), (lab) => measure(lab, kinds, [lab.server.address, lab.server.second]))
    assert.deepEqual(kernel, seen(boxes))
    assert.deepEqual(model, kernel)
  })

  test("finds what the model's other boxes say they do", async () => {
    const found = await inside(await Lab.start(), (lab) => measure(lab, Object.keys(others), [lab.server.address, lab.server.second]))
    assert.deepEqual(found, seen(others))
  })
})
