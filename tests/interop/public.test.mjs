// `--public` on a machine of the Internet: everything on both families, reached from another machine.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { missing, output } from '../kit/programs.mjs'
import { Server, get } from '../kit/server.mjs'
import { World } from '../kit/world.mjs'

const skip = missing('namespaces', 'turnutils_stunclient')

describe('a public server', { skip }, () => {
  let world, server, elsewhere

  before(async () => {
    world = new World()
    elsewhere = world.player('public')
    server = await Server.start(['--public'], { world, place: world.server })
  })
  after(async () => {
    await server?.stop()
    world?.close()
  })

  test('serves the page on IPv4 and IPv6', () => {
    for (const host of [world.server.address, `[${world.server.address6}]`]) {
      assert.match(get(elsewhere, `http://${host}:8080/`), /<title>.*Twocan/i)
    }
  })

  test('answers STUN on IPv4 and IPv6', async () => {
    for (const [host, own] of [[world.server.address, elsewhere.address], [world.server.address6, elsewhere.address6]]) {
      const { text } = await output('ip', ['netns', 'exec', elsewhere.name, 'turnutils_stunclient', host], { timeout: 10_000 })
      assert.ok(text.includes(`UDP reflexive addr: ${own}`) || text.includes(`UDP reflexive addr: [${own}]`), text)
    }
  })

  test('finds the addresses to advertise by itself', () => {
    assert.match(server.output, new RegExp(`relayed candidates carry ${world.server.address} and ${world.server.address6}`))
  })
})
