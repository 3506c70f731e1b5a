// What an actor has at hand: clients of both halves, addresses by the thousand, and a memory of what it holds open.
import { createSocket } from 'node:dgram'
import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { Client, frame, upgrade } from './websocket.mjs'
import { Turn } from './turn.mjs'

export { Client, frame, upgrade } from './websocket.mjs'
export * as stun from './stun.mjs'
export { Turn } from './turn.mjs'
export { Company } from './company.mjs'

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** Lasts from one call of an actor to the next. */
export const state = {}
const open = new Set()

/** Remembers what has a `destroy`, for `rest`. */
export function hold(thing) {
  open.add(thing)
  return thing
}

export function rest() {
  for (const thing of open) thing.destroy()
  open.clear()
  for (const key of Object.keys(state)) delete state[key]
}

/** The n-th IPv4 address of a crowd 80.N.0.0/16. */
export const v4 = (n, network = 81) => `80.${network}.${1 + (n >> 8)}.${n & 255}`

/** An address in a household: the /48, the /56 in it, the /64 in that, the host. */
export const v6 = (site, household = 0, subnet = 0, host = 1, network = 81) =>
  `2a05:${network}:${site.toString(16)}:${((household << 8) | subnet).toString(16)}::${host.toString(16)}`

/** A lobby client that `rest` ends. */
export const client = async (options) => hold(await Client.open(options))

/** Opens a client and makes one request for a way in; `reply` is what came of it. */
export async function enter(options, how, fields = {}) {
  const one = await client(options)
  one.reply = await one.ask(how, fields, 20_000)
  one.code = one.reply.lobby?.code
  return one
}

/** Waits until two members may exchange signals. */
export const linked = (one, other) => one.until((each) => each.type === 'link' && each.peer === other.peer)

/** The relay's credentials that a member was given. */
export async function login(member) {
  const ice = await member.until((each) => each.type === 'ice')
  const { username, credential } = ice?.servers.find((each) => each.credential) ?? {}
  return username && { username, credential }
}

/** A TURN client that `rest` ends. */
export const turn = async (options) => hold(await Turn.open(options))

/** A TCP connection, its errors swallowed: `closed` is when it ended, ms after it began, or null. */
export function tcp({ host, port, from, tls = false, read = true }) {
  const began = Date.now()
  const options = { host, port, localAddress: from, noDelay: true }
  const socket = hold(tls ? connectTls({ ...options, rejectUnauthorized: false }) : connect(options))
  socket.ended = null
  socket.bytes = 0
  socket.on('error', () => {})
  socket.on('close', () => { socket.ended ??= Date.now() - began })
  socket.on('end', () => { socket.ended ??= Date.now() - began })
  if (read) socket.on('data', (chunk) => { socket.bytes += chunk.length })
  else socket.pause()
  return new Promise((resolve) => {
    socket.once(tls ? 'secureConnect' : 'connect', () => resolve(socket))
    socket.once('close', () => resolve(socket))
  })
}

/** When the other side ended a connection that is not read: only its kernel knows, so a byte is written until that fails. */
export async function gone(socket, timeout, byte = null) {
  const until = Date.now() + timeout
  while (socket.ended === null && Date.now() < until) {
    if (byte) socket.write(byte)
    await sleep(100)
  }
  return socket.ended
}

/** One HTTP request over a connection of its own, from an address: status and body. */
export async function http({ host, port, from, path = '/', method = 'GET', headers = {}, timeout = 10_000 }) {
  const socket = await tcp({ host, port, from, read: false })
  let text = ''
  const ended = new Promise((resolve) => { socket.once('close', resolve); socket.once('end', resolve); setTimeout(resolve, timeout).unref() })
  socket.setEncoding('latin1').on('data', (part) => { text += part }).resume()
  const lines = Object.entries({ Host: `${host}:${port}`, Connection: 'close', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.write(Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`, 'latin1'))
  await ended
  socket.destroy()
  open.delete(socket)
  const [, status] = /^HTTP\/1\.1 (\d+)/.exec(text) ?? []
  return { status: Number(status ?? 0), head: text.split('\r\n\r\n')[0], body: text.split('\r\n\r\n').slice(1).join('\r\n\r\n') }
}

/** A WebSocket that has said nothing yet. */
export async function raw(options) { return hold(await upgrade(options)) }

/** Calls `make(n)` for n below `count`, at most `width` at a time; gives what they gave. */
export async function each(count, width, make) {
  const results = new Array(count)
  let next = 0
  const work = async () => {
    while (next < count) {
      const n = next++
      try { results[n] = await make(n) } catch (error) { results[n] = { error: String(error) } }
    }
  }
  await Promise.all(Array.from({ length: Math.min(width, count) }, work))
  return results
}

/** How often each word was said. */
export function tally(words) {
  const counts = {}
  for (const each of words) counts[each] = (counts[each] ?? 0) + 1
  return counts
}

export const outcome = (reply) => (reply?.type === 'error' ? reply.code : reply?.type === 'closed' ? `closed ${reply.code}` : reply?.type ?? String(reply?.error))

export { frame as webSocketFrame }

/** Sends every datagram back: what this machine does to a round trip without a server of ours. */
export function echo(host, port) {
  const socket = createSocket('udp4')
  socket.on('message', (bytes, { address, port: to }) => socket.send(bytes, to, address))
  return new Promise((resolve) => socket.bind(port, host, () => resolve(true)))
}
