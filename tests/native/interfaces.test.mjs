// Machines with more interfaces than a connection has sockets: the one that leads to the other side is among those used, however the others are named.
import { after, before, describe, test } from 'node:test'
import { Peer, kinds, talk, together } from '../kit/peer.mjs'
import { missing } from '../kit/programs.mjs'
import { Stage } from '../kit/stage.mjs'

const skip = missing('namespaces', 'openssl') || kinds.native.lacks()

describe('many interfaces', { skip, concurrency: 2 }, () => {
  let stage
  before(() => { stage = new Stage() })
  after(() => stage?.close())

  for (const [others, count, name] of [['wg', 12, 'en0'], ['tailscale', 20, 'en0'], ['br-', 12, 'en0'], ['ens4.10', 12, 'zz0'], ['en', 20, 'wg0']]) {
    for (const weOffer of [true, false]) {
      test(`${count} named ${others}, beside ${name}, ${weOffer ? 'offer' : 'answer'}`, async () => {
        const { world } = stage
        const [ours, theirs, elsewhere] = [world.alone(), world.alone(), world.alone()]
        for (let n = 0; n < count; n++) world.cable(`${others}${n}`, [ours, `172.${17 + n}.0.1/16`], [elsewhere, `172.${17 + n}.0.2/16`])
        world.cable(name, [ours, '10.1.0.2/24'], [theirs, '10.1.0.1/24'])
        const peers = await Promise.all([ours, theirs].map((place, at) => Peer.start(stage, place, 'native', { servers: [], policy: 'all', polite: at === 1 })))
        await together(weOffer ? peers : peers.reverse(), (one, other) => talk(one, other))
      })
    }
  }
})
