// The story, for real: two browsers behind home routers, our server between them, and then not any more.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { missing } from '../kit/programs.mjs'
import { Stage, chat, comesTo, gameFlows, joinByCode, joinFromList, letGo, openLobby, stats } from '../kit/stage.mjs'

const skip = missing('namespaces', 'chromium', 'firefox-esr', 'certutil', 'openssl')

const entrances = {
  'by code': async (host, guest, url) => {
    await joinByCode(guest, url, await openLobby(host, url))
  },
  'with a password': async (host, guest, url) => {
    const code = await openLobby(host, url, { password: 'open sesame' })
    await joinByCode(guest, url, code, { password: 'open barley' })
    assert.equal(await guest.wait(() => document.querySelector('[data-test="error"]')?.dataset.code), 'not-found')
    await joinByCode(guest, url, code, { password: 'open sesame' })
  },
  'from the list': async (host, guest, url) => {
    await guest.goto(url)
    await joinFromList(guest, await openLobby(host, url, { isPublic: true }))
  },
}

for (const kinds of [['chromium', 'chromium'], ['firefox', 'firefox'], ['chromium', 'firefox']]) {
  describe(`${kinds[0]} and ${kinds[1]}, each behind a home router`, { skip }, () => {
    let stage, host, guest

    before(async () => {
      stage = new Stage()
      ;[host, guest] = await Promise.all(kinds.map((kind) => stage.player(kind, 'home')))
    })
    after(() => stage?.close())

    for (const [entrance, enter] of Object.entries(entrances)) {
      test(`meet ${entrance}, play directly, and outlive the server`, async () => {
        // Two who played before would wait for each other at the server: each sees the other's page go.
        await Promise.all([host, guest].map((player) => player.goto('about:blank')))
        const server = await stage.serve()
        await enter(host, guest, stage.url)
        await Promise.all([letGo(host), letGo(guest)])
        await stage.metric('twocan_lobbies', 0)
        await stage.metric('twocan_sessions', 0)
        for (const player of [host, guest]) await comesTo(async () => (await stats(player)).path, 'direct')
        await Promise.all([gameFlows(host), gameFlows(guest)])
        await server.stop('SIGKILL')
        await chat(host, guest, 'can you still hear me?')
        await chat(guest, host, 'loud and clear')
        await Promise.all([gameFlows(host), gameFlows(guest)])
      })
    }
  })
}
