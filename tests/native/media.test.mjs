// Pages of others that have audio and video beside their data: ours takes part in the data, and the media stay inactive in the bundle.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Peer, kinds, meet, talk } from '../kit/peer.mjs'
import { missing } from '../kit/programs.mjs'
import { Stage } from '../kit/stage.mjs'

for (const browser of ['chromium', 'firefox']) {
  const skip = missing('namespaces', 'openssl') || kinds.native.lacks() || kinds[browser].lacks()

  describe(`ours and ${browser} with media`, { skip }, () => {
    let stage, place, player
    before(async () => {
      stage = new Stage()
      await stage.serve()
      player = await stage.player(browser, 'home')
      place = stage.world.player('home')
    })
    after(() => stage?.close())

    /** A page and one of ours, which ends with the test. */
    async function both(bundlePolicy, work) {
      const servers = [{ urls: [`stun:${stage.world.server.address}:3478`] }]
      const page = await Peer.inPage(player, { servers, policy: 'all', bundlePolicy })
      const ours = await Peer.start(stage, place, 'native', { servers, policy: 'all', polite: true })
      try {
        await work(page, ours)
        // Whoever is told of something that cannot be used says so; candidates may come when their generation is over.
        const late = /a generation that is over/
        for (const peer of [page, ours]) assert.deepEqual(peer.events.filter(({ error }) => error && !late.test(error)), [])
      } finally {
        await Promise.all([page, ours].map((peer) => peer.close()))
      }
    }

    /** Descriptions of a kind that a peer has made. */
    const described = (peer, type) => peer.events.filter(({ signal }) => signal?.type === type).map(({ signal }) => signal.sdp)
    const lines = (sdp, start) => sdp.split('\r\n').filter((line) => line.startsWith(start))

    for (const policy of ['max-bundle', 'balanced', 'max-compat']) {
      for (const media of [['audio', 'video'], ['audio'], ['video', 'video', 'audio']]) {
        test(`${policy}: ${media.join(', ')} before data`, () => both(policy, async (page, ours) => {
          page.do('media', { kinds: media })
          await meet([page, ours])
          await talk(page, ours)
          const [answer] = described(ours, 'answer')
          assert.equal(lines(answer, 'a=inactive').length, media.length)
        }))
      }
    }

    test('media after data, added, stopped, and ICE restarted by either side', () => both('max-bundle', async (page, ours) => {
      await meet([page, ours])
      await talk(page, ours)
      page.do('media', { kinds: ['audio', 'video'] })
      page.do('offer')
      await ours.until('a second answer', () => described(ours, 'answer').length === 2)
      await talk(page, ours)

      const again = async (from, to, command) => {
        const before = described(to, 'answer').length
        from.do('offer', command)
        await to.until('an answer', () => described(to, 'answer').length > before)
        await talk(page, ours)
        // Firefox fails where a restart follows another before that one is done, with media or without.
        await new Promise((resolve) => setTimeout(resolve, 1_000))
      }
      await again(ours, page)
      const [offer] = described(ours, 'offer')
      const media = (sdp) => lines(sdp, 'm=').map((line) => line.split(' ')[0])
      assert.deepEqual(media(offer), media(described(page, 'offer').at(-1)), 'the same sections in the same order')
      await again(page, ours, { iceRestart: true })
      page.do('stop-media', { index: 0 })
      await again(page, ours)
      await again(ours, page)
      await again(page, ours, { iceRestart: true })
    }))
  })
}
