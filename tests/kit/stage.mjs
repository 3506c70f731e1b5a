// The story's stage: a world, our server in it, and what players do on the page, in the words of the story.
import assert from 'node:assert/strict'
import { createHash, X509Certificate } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { certify } from './certificate.mjs'
import { Player } from './player.mjs'
import { Server, get, metric } from './server.mjs'
import { World } from './world.mjs'

const [HTTP, TURN, TURNS] = [8080, 3478, 5349]

export class Stage {
  #folder = mkdtempSync(join(tmpdir(), 'twocan-stage-'))
  #players = []

  /** In a world of the kernel's routers, or in a lab. */
  constructor(world = new World()) {
    this.world = world
    this.url = `http://play.test:${HTTP}`
    this.certificate = certify(this.#folder)
    const spki = new X509Certificate(readFileSync(this.certificate.cert)).publicKey.export({ type: 'spki', format: 'der' })
    this.spki = createHash('sha256').update(spki).digest('base64')
  }

  /** Our server, as somebody would run it in public: both families, UDP, TCP and TLS. */
  async serve(more = []) {
    const { world, certificate } = this
    const { address, address6 } = world.server
    this.server = await Server.start(['--http', `${address}:${HTTP}`, '--metrics', `${address}:${HTTP}`, '--turn', `${address}:${TURN}`, '--turn', `[${address6}]:${TURN}`,
      '--turns', `${address}:${TURNS}`, '--tls-cert', certificate.cert, '--tls-key', certificate.key, ...more],
    { world, place: world.server })
    return this.server
  }

  /** A browser behind a NAT of the kind named. */
  async player(browser, nat, options) {
    const place = await this.world.player(nat, options)
    const player = await Player.start(this.world, place, browser, { ca: this.certificate.ca, spki: this.spki })
    player.place = place
    this.#players.push(player)
    return player
  }

  metrics() { return get(this.world.server, `${this.url}/metrics`) }

  /** Waits until a line of /metrics has this value. */
  metric(name, value, within = 5_000) {
    let text
    return comesTo(() => metric(text = this.metrics(), name), value, within, () => `${name}\n${text}`)
  }

  async close() {
    await Promise.all(this.#players.map((player) => player.close().catch(() => {})))
    await this.server?.stop('SIGKILL').catch(() => {})
    await this.world.close()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

const test = (name) => `[data-test="${name}"]`

/** Fills a field as a person would: what is in it goes first. */
async function fill(player, name, text) {
  await player.evaluate((selector) => {
    const field = document.querySelector(selector)
    field.value = ''
    field.dispatchEvent(new Event('input', { bubbles: true }))
  }, test(name))
  await player.type(test(name), text)
}

/** Opens a lobby on the page, and gives its code. */
export async function openLobby(player, url, { name = 'Ada', isPublic = false, password = '' } = {}) {
  await player.goto(url)
  await player.wait(() => document.querySelector('[data-test="server-state"]')?.dataset.state === 'connected')
  await fill(player, 'name', name)
  await player.evaluate((wanted) => {
    const box = document.querySelector('[data-test="public"]')
    if (box.checked !== wanted) box.click()
  }, isPublic)
  if (password) await fill(player, 'password', password)
  await player.click(test('create'))
  return player.wait(() => window.twocan.lobby?.code)
}

/** Enters a lobby by its code, with a password where one is given. */
export async function joinByCode(player, url, code, { name = 'Bob', password = '' } = {}) {
  await player.goto(url)
  await player.wait(() => document.querySelector('[data-test="server-state"]')?.dataset.state === 'connected')
  await fill(player, 'name', name)
  await fill(player, 'join-code', code)
  if (password) await fill(player, 'join-password', password)
  await player.click(test('join'))
}

/** Enters a lobby from the list, which shows it by itself. */
export async function joinFromList(player, code) {
  await player.wait((code) => {
    const row = document.querySelector(`[data-test="list-item"][data-code="${code}"]`)
    row?.click()
    return row !== null
  }, { args: [code] })
}

/** Both are linked, and the server has let go of both with 1000. */
export async function letGo(player) {
  await player.wait(() => window.twocan.lobby?.state === 'complete')
  await player.wait(() => window.twocan.events.some((event) => event.from === 'net' && event.type === 'closed' && event.detail[0] === 1000))
}

/** What is read becomes this, soon: whoever has found a way goes over to a better one. */
export async function comesTo(read, wanted, within = 15_000, explain = () => undefined) {
  const end = Date.now() + within
  for (;;) {
    const found = await read()
    if (isDeepStrictEqual(found, wanted)) return
    if (Date.now() > end) assert.deepEqual(found, wanted, explain())
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

/** What the link says of itself. */
export const stats = (player) => player.evaluate(async () => [...window.twocan.lobby.peers.values()][0].stats())

/** Counts what comes in on the game's channel from now on, and waits for `count` messages. */
export async function gameFlows(player, count = 30) {
  await player.evaluate(() => {
    window.gameMessages = 0
    window.twocan.lobby.on('message', (message) => { if (message.channel === 'unreliable') window.gameMessages++ })
  })
  await player.wait((count) => window.gameMessages >= count, { args: [count] })
}

/** Says something in the chat, and sees it arrive. */
export async function chat(from, to, text) {
  await from.type(test('chat-input'), text)
  await from.click(test('chat-send'))
  await to.wait((text) => document.querySelector('[data-test="chat-log"]').textContent.includes(text), { args: [text] })
}
