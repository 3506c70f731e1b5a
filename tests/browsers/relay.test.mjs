// Relayed only where nothing else works, or where the page asks for it: over UDP, TCP and TLS, through our TURN server.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { missing } from '../kit/programs.mjs'
import { Stage, chat, comesTo, gameFlows, joinByCode, letGo, openLobby, stats } from '../kit/stage.mjs'

const skip = missing('namespaces', 'chromium', 'firefox-esr', 'certutil', 'openssl')

/** The story, on pages with these parameters; gives both ends' figures. */
async function meet(stage, host, guest, query = '') {
  // Two who played before would wait for each other at the server: each sees the other's page go.
  await Promise.all([host, guest].map((player) => player.goto('about:blank')))
  await stage.serve()
  const url = `${stage.url}/${query}`
  await joinByCode(guest, url, await openLobby(host, url))
  await Promise.all([letGo(host), letGo(guest)])
  await Promise.all([gameFlows(host), gameFlows(guest)])
  await chat(host, guest, 'through the box in the middle')
  const both = await Promise.all([stats(host), stats(guest)])
  await stage.metric('twocan_lobbies', 0)
  // It would wait for the allocations.
  await stage.server.stop('SIGKILL')
  return both
}

for (const kinds of [['chromium', 'chromium'], ['firefox', 'firefox'], ['chromium', 'firefox']]) {
  describe(`${kinds[0]} and ${kinds[1]}, relay only`, { skip }, () => {
    let stage, host, guest

    before(async () => {
      stage = new Stage()
      ;[host, guest] = await Promise.all(kinds.map((kind) => stage.player(kind, 'home')))
    })
    after(() => stage?.close())

    for (const transport of ['udp', 'tcp', 'tls']) {
      test(`over ${transport.toUpperCase()}`, async () => {
        for (const figures of await meet(stage, host, guest, `?ice=relay&turn=${transport}`)) {
          assert.equal(figures.path, 'relayed')
          // Firefox does not say by which transport it speaks to its relay; the page gave it no other.
          if (figures.relayProtocol) assert.equal(figures.relayProtocol, transport)
        }
      })
    }
  })
}

describe('the best path that works', { skip }, () => {
  let stage

  before(() => { stage = new Stage() })
  after(() => stage?.close())

  const worlds = [
    { name: 'a symmetric NAT towards a public address is still direct', nats: ['symmetric', 'public'], path: 'direct' },
    { name: 'two symmetric NATs are relayed', nats: ['symmetric', 'symmetric'], path: 'relayed' },
  ]
  for (const { name, nats, path } of worlds) {
    test(name, async () => {
      const [host, guest] = await Promise.all(nats.map((nat) => stage.player('chromium', nat)))
      const both = await meet(stage, host, guest)
      // Chromium may pass through a relay on its way to what is direct, never the other way round.
      if (path === 'direct') for (const player of [host, guest]) await comesTo(async () => (await stats(player)).path, path)
      else for (const figures of both) assert.equal(figures.path, path)
      await Promise.all([host.close(), guest.close()])
    })
  }

  test('where UDP is blocked, TCP to the relay remains', async () => {
    const [host, guest] = await Promise.all([stage.player('chromium', 'home'), stage.player('chromium', 'home')])
    stage.world.blockUdp(host.place)
    const [ours] = await meet(stage, host, guest)
    assert.equal(ours.path, 'relayed')
    await Promise.all([host.close(), guest.close()])
  })
})
