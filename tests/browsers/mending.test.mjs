// Things go wrong in the middle of it: the network goes away for a while, the server restarts, a page is closed.
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { missing } from '../kit/programs.mjs'
import { Stage, chat, gameFlows, joinByCode, letGo, openLobby, stats } from '../kit/stage.mjs'

const skip = missing('namespaces', 'chromium', 'openssl')
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

const room = (player) => player.evaluate(() => document.querySelector('.room')?.dataset.phase)
const peerState = {
  mending: () => [...window.twocan.lobby.peers.values()][0]?.state === 'mending',
  open: () => [...window.twocan.lobby.peers.values()][0]?.state === 'open',
}

describe('in the middle of it', { skip }, () => {
  let stage, host, guest

  before(async () => {
    stage = new Stage()
    ;[host, guest] = await Promise.all([stage.player('chromium', 'home'), stage.player('chromium', 'home')])
  })
  // Two who played would wait for each other at the next server: each sees the other's page go.
  beforeEach(() => Promise.all([host, guest].map((player) => player.goto('about:blank'))))
  after(() => stage?.close())

  /** Waits until a link was restarted `via` the server or the link itself, by whichever end noticed first. */
  const restarted = (via) => Promise.any([host, guest].map((player) => player.wait((via) => window.twocan.events.some(({ type, detail }) =>
    type === 'trace' && detail[0].type === 'restart' && detail[0].via === via), { args: [via], timeout: 60_000 })))

  test('a network that goes away for a while costs a pause, though the server is dead by then', async () => {
    await stage.serve()
    await joinByCode(guest, stage.url, await openLobby(host, stage.url))
    await Promise.all([letGo(host), letGo(guest)])
    await Promise.all([gameFlows(host), gameFlows(guest)])
    await stage.server.stop('SIGKILL')
    const unblock = stage.world.blockUdp(guest.place)
    await host.wait(peerState.mending)
    await pause(3_000)
    unblock()
    await restarted('link')
    for (const player of [host, guest]) await player.wait(peerState.open, { timeout: 60_000 })
    await chat(host, guest, 'there you are')
    await chat(guest, host, 'that was the tunnel')
    assert.ok((await stats(host)).path)
  })

  test('a socket that is cut comes back to its session, and what was asked meanwhile is done once', async () => {
    await stage.serve()
    const code = await openLobby(host, stage.url)
    const unblock = stage.world.blockTcp(host.place)
    await host.evaluate(() => { window.asked = window.twocan.lobby.update({ data: { ...window.twocan.lobby.data, asked: 'while cut' } }).then(() => true) })
    await host.wait(() => window.twocan.events.some(({ from, type }) => from === 'net' && type === 'reconnecting'))
    unblock()
    assert.equal(await host.evaluate(() => window.asked), true)
    await stage.metric('twocan_sessions_total{how="resumed"}', 1)
    await joinByCode(guest, stage.url, code)
    assert.equal(await guest.wait(() => window.twocan.lobby?.data.asked), 'while cut')
    await Promise.all([letGo(host), letGo(guest)])
    await stage.server.stop('SIGKILL')
  })

  test('a server that restarts while somebody waits is found again, and the two meet after all', async () => {
    await stage.serve()
    const code = await openLobby(host, stage.url)
    await stage.server.stop('SIGKILL')
    await host.wait(() => ['reconnecting', 'lost'].includes(document.querySelector('[data-test="server-state"]')?.dataset.state))
    await stage.serve()
    // The new server knows nothing of the lobby, and opens it again for who had it: the code that was told is good.
    await host.wait(() => window.twocan.events.some(({ from, type, detail }) => from === 'net' && type === 'resumed' && detail[0] === false), { timeout: 40_000 })
    await joinByCode(guest, stage.url, code)
    await Promise.all([letGo(host), letGo(guest)])
    await stage.server.stop('SIGKILL')
  })

  test('who closes the page in a lobby is gone from it at once', async () => {
    await stage.serve()
    const code = await openLobby(host, stage.url, { isPublic: true })
    await guest.goto(stage.url)
    await guest.wait((code) => document.querySelector(`[data-test="list-item"][data-code="${code}"]`) !== null, { args: [code] })
    await host.goto('about:blank')
    await guest.wait((code) => document.querySelector(`[data-test="list-item"][data-code="${code}"]`) === null, { args: [code], timeout: 5_000 })
    await stage.server.stop('SIGKILL')
  })

  test('a link that is followed leads into the lobby', async () => {
    await stage.serve()
    const code = await openLobby(host, stage.url)
    await guest.goto('about:blank')
    await guest.goto(`${stage.url}/#${code}`)
    await guest.wait(() => document.querySelector('[data-test="server-state"]')?.dataset.state === 'connected')
    await guest.click('[data-test="join"]')
    await Promise.all([letGo(host), letGo(guest)])
    assert.notEqual(await room(guest), 'alone')
    await stage.server.stop('SIGKILL')
  })
})

describe('a page in Firefox that changes networks', { skip: skip || missing('firefox-esr') }, () => {
  let stage, host, guest

  before(async () => {
    stage = new Stage()
    ;[host, guest] = await Promise.all([stage.player('firefox', 'home'), stage.player('chromium', 'home')])
  })
  after(() => stage?.close())

  test('plays on: its connection is dead, another one takes its place, and the match is the same', async () => {
    await stage.serve()
    await joinByCode(guest, stage.url, await openLobby(host, stage.url))
    await Promise.all([letGo(host), letGo(guest)])
    await Promise.all([gameFlows(host), gameFlows(guest)])
    stage.world.move(host.place)
    const again = () => window.twocan.events.filter(({ type }) => type === 'peer').length > 1
    await Promise.all([host, guest].map((player) => player.wait(again, { timeout: 30_000 })))
    await Promise.all([gameFlows(host), gameFlows(guest)])
    await chat(host, guest, 'new address')
    await chat(guest, host, 'same game')
    assert.deepEqual(await Promise.all([room(host), room(guest)]), ['playing', 'playing'])
    const left = (player) => player.evaluate(() => window.twocan.events.filter(({ type }) => type === 'leave').length)
    assert.deepEqual(await Promise.all([left(host), left(guest)]), [0, 0])
  })
})
