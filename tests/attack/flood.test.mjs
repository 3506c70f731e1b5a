// What costs a stranger six bytes, or thirty, costs the server more: frames of every kind and requests of every kind are metered, and nobody else feels them.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { after, before, describe, test } from 'node:test'
import { binary, environment } from '../kit/server.mjs'
import { long, word } from './kit/contract.mjs'
import { Field, skip } from './kit/field.mjs'

describe('floods', { skip }, () => {
  let field

  before(async () => { field = await Field.open() })
  after(() => field?.close())

  /** So many sockets of so many addresses, each of which sends what `make` gives 20 times a second for three seconds, whatever it is told. */
  const flood = (siege, { addresses, sockets, opcode, fin, count }) => siege.attacker.run(async (kit, at, addresses, sockets, opcode, fin, count) => {
    const frames = Buffer.concat(Array.from({ length: count }, () => kit.webSocketFrame('', { opcode, fin })))
    const all = await kit.each(sockets, 32, (n) => kit.client({ ...at, from: kit.v4(n % addresses), keep: false }))
    if (opcode === 0) for (const one of all) one.write(kit.webSocketFrame('', { opcode: 1, fin: false }))
    for (let tick = 0; tick < 60; tick++) {
      for (const one of all) if (one.closed === null) one.write(frames)
      await kit.sleep(50)
    }
    return kit.tally(all.map(({ closed, error }) => error ?? closed))
  }, siege.at, addresses, sockets, opcode, fin, count)

  for (const [name, opcode, fin] of [['pings', 9, true], ['pongs', 10, true], ['pieces of a message', 0, false]]) {
    test(`of empty ${name} on 150 sockets of one address: they are closed, and nobody feels it`, (context) => field.with({}, async (siege) => {
      const told = await siege.under(context, () => flood(siege, { addresses: 1, sockets: 150, opcode, fin, count: 50 }))
      context.diagnostic(JSON.stringify(told))
      assert.equal(told.null ?? 0, 0, 'some were let go on')
      assert.ok(word.refusedClose.some((code) => told[code] > 0), 'nobody was told why')
    }))
  }

  test('of pings that are just few enough, on 600 sockets of eight addresses', (context) => field.with({}, async (siege) => {
    const told = await siege.under(context, () => flood(siege, { addresses: 8, sockets: 600, opcode: 9, fin: true, count: 1 }))
    context.diagnostic(JSON.stringify(told))
    assert.deepEqual(told, { null: 600 })
  }))

  for (const [name, line, most] of [['a file', 'GET /twocan.js', 48 << 20], ...(long ? [['what is not there', 'GET /nothing', 4 << 20], ['a head', 'HEAD /', 4 << 20]] : [])]) {
    test(`of requests for ${name}, on 300 connections of one address`, (context) => field.with({}, async (siege) => {
      const told = await siege.under(context, () => siege.attacker.run(async (kit, at, line) => {
        const request = `${line} HTTP/1.1\r\nHost: ${at.host}\r\n\r\n`.repeat(40)
        const all = await kit.each(300, 32, () => kit.tcp({ ...at, from: kit.v4(3) }))
        for (let tick = 0; tick < 60; tick++) {
          for (const one of all) if (one.ended === null && one.writableLength === 0) one.write(request)
          await kit.sleep(50)
        }
        const bytes = all.reduce((sum, one) => sum + one.bytes, 0)
        // Who wants one page from elsewhere has it at once.
        const began = Date.now()
        const { status } = await kit.http({ ...at, from: kit.v4(4) })
        return { bytes, status, ms: Date.now() - began }
      }, siege.at, line))
      context.diagnostic(JSON.stringify(told))
      assert.ok(told.bytes <= most, `${told.bytes} bytes went out in three seconds`)
      assert.equal(told.status, 200)
      assert.ok(told.ms < 1_000, `${told.ms} ms`)
    }))
  }

  test('of visits: two hundred behind one address have the page within a minute', (context) => field.with({ company: false }, async (siege) => {
    const told = await siege.attacker.run(async (kit, at) => {
      const began = Date.now()
      const told = await kit.each(200, 100, async () => {
        const statuses = []
        for (const path of ['/', '/app.js', '/style.css', '/icon.svg', '/manifest.webmanifest', '/healthz']) statuses.push((await kit.http({ ...at, from: kit.v4(5), path, timeout: 20_000 })).status)
        return statuses.join(' ')
      })
      return { told: kit.tally(told), ms: Date.now() - began }
    }, siege.at)
    context.diagnostic(JSON.stringify(told))
    assert.deepEqual(told.told, { '200 200 200 200 200 200': 200 })
    assert.ok(told.ms < 60_000)
  }))
})

test('a server that may open few files says so, with the figure and how to allow it, and serves', async () => {
  const command = 'ulimit -n 1024; exec "$0" serve --http 127.0.0.1:0 --turn 127.0.0.1:0'
  const child = spawn('bash', ['-c', command, binary], { stdio: ['ignore', 'ignore', 'pipe'], env: { ...environment, NO_COLOR: '1' } })
  try {
    let log = ''
    for await (const part of child.stderr) {
      log += part
      if (/ready/.test(log)) break
    }
    assert.match(log, /1024 files may be open at once, and \d+ are wanted.*LimitNOFILE=\d+.*ulimit -n \d+/)
    assert.match(log, /ready/)
  } finally {
    child.kill('SIGKILL')
  }
})
