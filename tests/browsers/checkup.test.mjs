// "Will it work from here?": what the page says of a network, in both browsers, is so.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { missing } from '../kit/programs.mjs'
import { Stage } from '../kit/stage.mjs'

const skip = missing('namespaces', 'chromium', 'firefox-esr', 'certutil', 'openssl')

/** Opens the panel, and gives what it says: the state of each finding, and the sentence. */
async function checkup(player, url) {
  await player.goto(url)
  await player.wait(() => document.querySelector('[data-test="server-state"]')?.dataset.state === 'connected')
  await player.evaluate(() => { document.querySelector('[data-test="checkup"]').open = true })
  await player.wait(() => document.querySelectorAll('[data-test="findings"] .finding').length > 0)
  return player.evaluate(() => {
    const rows = [...document.querySelectorAll('[data-test="findings"] .finding')]
    const states = rows.map((row) => [row.dataset.test.replace('check-', ''), row.dataset.state])
    return { ...Object.fromEntries(states), meaning: document.querySelector('[data-test="meaning"]').textContent }
  })
}

for (const browser of ['chromium', 'firefox']) {
  describe(`${browser} looks`, { skip }, () => {
    let stage

    before(async () => {
      stage = new Stage()
      const { address } = stage.world.secondAddress()
      // A second STUN server is what it takes to tell a mapping in a browser.
      await stage.serve(['--turn', `${address}:3478`])
    })
    after(() => stage?.close())

    for (const { nat, mapping, meaning } of [
      { nat: 'home', mapping: 'good', meaning: /^Most people will reach you directly; the relay carries the rest/ },
      { nat: 'symmetric', mapping: 'bad', meaning: /so few will reach you directly; the relay carries the rest/ },
    ]) {
      test(`behind a ${nat} NAT: UDP is open, every relay answers, and the mapping is told`, async () => {
        const player = await stage.player(browser, nat)
        const said = await checkup(player, stage.url)
        assert.deepEqual({ udp: said.udp, mapping: said.mapping, ipv6: said.ipv6 }, { udp: 'good', mapping, ipv6: 'neither' })
        assert.deepEqual([said['relay-udp'], said['relay-tcp'], said['relay-tls']], ['good', 'good', 'good'])
        assert.match(said.meaning, meaning)
        await stage.metric('twocan_lobbies', 0)
        await player.close()
      })
    }

    test('where UDP is blocked: the relay remains, over TCP and TLS', async () => {
      const player = await stage.player(browser, 'home')
      stage.world.blockUdp(player.place)
      const said = await checkup(player, stage.url)
      assert.deepEqual([said.udp, said['relay-udp'], said['relay-tcp'], said['relay-tls']], ['bad', 'bad', 'good', 'good'])
      assert.match(said.meaning, /^Nothing but the web gets out of this network\. You will play through the relay/)
      await player.close()
    })
  })
}
