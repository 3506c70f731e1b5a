// What an actor has at hand: clients of both halves, addresses by the thousand, and a memory of what it holds open.
import { scrypt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { Client, frame, upgrade } from './websocket.mjs'
import * as stun from './stun.mjs'
import { Turn } from './turn.mjs'

export { Client, frame, upgrade } from './websocket.mjs'
export { stun }
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

/** Forgets what ends by itself. */
export const drop = (thing) => open.delete(thing)

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

/** Waits until the other side has ended a connection: ms from its beginning, or null. One that is not read learns of it only by writing: `byte`. */
export async function gone(socket, timeout, { byte = null, every = 100 } = {}) {
  const until = Date.now() + timeout
  while (socket.ended === null && Date.now() < until) {
    if (byte) socket.write(byte)
    await sleep(every)
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

/** Sends every datagram back, some after a hash of about 25 ms: what this machine does to a round trip and to work without a server of ours. */
export function echo(host, port) {
  const socket = createSocket('udp4')
  socket.on('message', (bytes, { address, port: to }) => {
    const answer = () => socket.send(bytes, to, address)
    if (bytes[8]) scrypt('password', 'salt', 16, { N: 8_192 }, answer)
    else answer()
  })
  return new Promise((resolve) => socket.bind(port, host, () => resolve(true)))
}

/** A UDP port that counts what comes, and sends each back while it is `answering`. */
export async function listener(host, port) {
  const socket = createSocket(host.includes(':') ? { type: 'udp6', ipv6Only: true, recvBufferSize: 1 << 22 } : { type: 'udp4', recvBufferSize: 1 << 22 })
  Object.assign(socket, { packets: 0, bytes: 0, answering: false, destroy: () => { try { socket.close() } catch { /* closed */ } } })
  socket.on('error', () => {}).on('message', (bytes, { address, port: to }) => {
    socket.packets += 1
    socket.bytes += bytes.length
    if (socket.answering) socket.send(bytes, to, address)
  })
  await new Promise((resolve, reject) => socket.once('error', reject).bind(port, host, resolve))
  return hold(socket)
}

/** Comes from the n-th of 256 addresses, asks once, goes: what it was told. */
export async function brief(at, n, how, fields) {
  const one = await enter({ ...at, from: v4(n % 256) }, how, fields)
  one.leave()
  drop(one)
  return outcome(one.reply)
}

/** A member allocates with its credential, uses all that a relay offers, and gives it back: the codes. */
export async function relays(at, n, over) {
  const from = v4(n % 256)
  const member = await enter({ ...at, from }, 'create', {})
  const proof = member.code && await login(member)
  const codes = [outcome(member.reply)]
  if (proof) {
    const one = await turn({ host: at.host, port: at.turnPort, from, over, login: proof })
    const peer = { address: from, port: 9 }
    codes.push(await one.allocate(), await one.permit(peer), await one.bind(0x4001, peer))
    one.indicate(peer, Buffer.alloc(1_000))
    one.send(0x4001, Buffer.alloc(1_000))
    codes.push(await one.refresh(0))
    one.close()
    drop(one)
  }
  member.leave()
  drop(member)
  return codes.join(' ')
}

/** Writes a text a byte a second, from its beginning again when it is through, until the other side ends it: ms, or null. */
export async function trickle(socket, text, seconds) {
  const all = Buffer.from(text, 'latin1')
  for (let n = 0; n < seconds && socket.ended === null; n++) {
    socket.write(all.subarray(n % all.length, (n % all.length) + 1))
    await gone(socket, 1_000)
  }
  return socket.ended
}

/** Asks the same every 20 s over TCP, and never more: when it was ended, ms, or null. */
export async function unproved(options, make, timeout) {
  const socket = await tcp(options)
  const until = Date.now() + timeout
  while (socket.ended === null && Date.now() < until) {
    socket.write(make(stun))
    await gone(socket, Math.min(20_000, until - Date.now()))
  }
  return socket.ended
}
