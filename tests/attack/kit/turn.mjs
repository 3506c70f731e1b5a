// A TURN client (RFC 8656) over UDP, TCP or TLS, from any address of a crowd: its requests can be right, and what it sends need not be.
import { randomBytes } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { attribute, longTermKey, message, method, number, part, read, readXorAddress, xorAddress } from './stun.mjs'

const frameSize = (bytes) => (bytes[0] >= 0x40 ? (4 + bytes.readUInt16BE(2) + 3) & ~3 : 20 + bytes.readUInt16BE(2))

export class Turn {
  #socket
  #options
  #waiting = new Map()
  #buffer = Buffer.alloc(0)
  #login = null
  ended = null
  relayed = null
  /** Told of data: `(bytes, channel number or peer)`. */
  heard = null
  received = { packets: 0, bytes: 0 }

  /** `over`: udp, tcp, tls. `login`: { username, credential }. `read: false`: after the requests it can be told to `pause`. */
  static async open({ over = 'udp', host, port = 3478, from, fromPort = 0, login = null }) {
    const turn = new Turn()
    turn.#options = { over, host, port }
    turn.#login = login
    const began = Date.now()
    if (over === 'udp') {
      const socket = createSocket({ type: host.includes(':') ? 'udp6' : 'udp4', recvBufferSize: 1 << 21 })
      socket.on('error', () => {}).on('message', (bytes) => turn.#hear(bytes))
      await new Promise((resolve, reject) => socket.once('error', reject).bind(fromPort, from, resolve))
      await new Promise((resolve) => socket.connect(port, host, resolve))
      turn.#socket = socket
    } else {
      const options = { host, port, localAddress: from, noDelay: true, rejectUnauthorized: false }
      const socket = over === 'tls' ? connectTls(options) : connect(options)
      socket.on('error', () => {}).on('data', (bytes) => turn.#stream(bytes))
      for (const end of ['close', 'end']) socket.on(end, () => { turn.ended ??= Date.now() - began })
      await new Promise((resolve) => { socket.once(over === 'tls' ? 'secureConnect' : 'connect', resolve); socket.once('close', resolve) })
      turn.#socket = socket
    }
    return turn
  }

  get localPort() { return this.#options.over === 'udp' ? this.#socket.address().port : this.#socket.localPort }

  write(bytes) {
    if (this.#options.over !== 'udp') return this.#socket.write(bytes)
    this.#socket.send(bytes, () => {})
    return true
  }

  pause() { this.#socket.pause() }

  #stream(bytes) {
    this.#buffer = this.#buffer.length ? Buffer.concat([this.#buffer, bytes]) : bytes
    while (this.#buffer.length >= 4 && this.#buffer.length >= frameSize(this.#buffer)) {
      const size = frameSize(this.#buffer)
      this.#hear(this.#buffer.subarray(0, size))
      this.#buffer = this.#buffer.subarray(size)
    }
  }

  #hear(bytes) {
    if (bytes[0] >= 0x40) return this.#data(bytes.subarray(4, 4 + bytes.readUInt16BE(2)), bytes.readUInt16BE(0))
    const answer = read(bytes)
    if (!answer) return
    if (answer.kind === 'indication') {
      const data = answer.attributes.get(attribute.data)
      if (data) this.#data(data, readXorAddress(answer.attributes.get(attribute.peer), Buffer.from(answer.id, 'hex')))
      return
    }
    answer.bytes = bytes.length
    this.#waiting.get(answer.id)?.(answer)
  }

  #data(bytes, from) {
    this.received.packets += 1
    this.received.bytes += bytes.length
    this.heard?.(bytes, from)
  }

  /** Sends a request as bytes and waits for what answers its id; sends it again over UDP. `code` 0: success; -1: silence. */
  exchange(id, bytes, { timeout = 3_000, again = 500 } = {}) {
    const key = id.toString('hex')
    return new Promise((resolve) => {
      const done = (answer) => { clearTimeout(late); clearInterval(more); this.#waiting.delete(key); resolve(answer) }
      const late = setTimeout(() => done({ code: -1, kind: 'silence', attributes: new Map() }), timeout)
      const more = this.#options.over === 'udp' && again ? setInterval(() => this.write(bytes), again) : null
      this.#waiting.set(key, done)
      this.write(bytes)
    })
  }

  /** One request; with a login, another where a nonce is wanted. `parts` is told the id, for XOR addresses. */
  async request(what, parts = () => [], options = {}) {
    for (let attempt = 0; ; attempt++) {
      const id = randomBytes(12)
      const proof = this.#login?.nonce && [part(attribute.username, this.#login.username), part(attribute.realm, this.#login.realm), part(attribute.nonce, this.#login.nonce)]
      const key = proof && this.#login.key
      const answer = await this.exchange(id, message(what, 'request', [...parts(id), ...(proof || [])], { id, key }), options)
      if (!this.#login || attempt === 2 || !(answer.code === 438 || (answer.code === 401 && !proof))) return answer
      const realm = (answer.attributes.get(attribute.realm) ?? Buffer.alloc(0)).toString()
      const { username, credential } = this.#login
      Object.assign(this.#login, { realm, nonce: Buffer.from(answer.attributes.get(attribute.nonce) ?? ''), key: longTermKey(username, realm, credential) })
    }
  }

  binding(options) { return this.request(method.binding, () => [], { again: 0, ...options }) }

  /** Allocates, and gives the answer's code; the relayed address is in `relayed`. */
  async allocate({ family, options } = {}) {
    const parts = [part(attribute.transport, [17, 0, 0, 0]), ...(family ? [part(attribute.family, [family, 0, 0, 0])] : [])]
    const answer = await this.request(method.allocate, () => parts, options)
    const relayed = answer.attributes.get(attribute.relayed)
    if (relayed) this.relayed = readXorAddress(relayed, Buffer.from(answer.id, 'hex'))
    return answer.code
  }

  async refresh(seconds = 600, options) { return (await this.request(method.refresh, () => [part(attribute.lifetime, number(seconds))], options)).code }
  async permit(peer, options) { return (await this.request(method.permission, (id) => [part(attribute.peer, xorAddress(peer, id))], options)).code }

  async bind(channel, peer, options) {
    const parts = (id) => [part(attribute.channel, [channel >> 8, channel & 255, 0, 0]), part(attribute.peer, xorAddress(peer, id))]
    return (await this.request(method.channel, parts, options)).code
  }

  /** A Send indication. */
  indicate(peer, bytes) {
    const id = randomBytes(12)
    return this.write(message(method.send, 'indication', [part(attribute.peer, xorAddress(peer, id)), part(attribute.data, bytes)], { id }))
  }

  /** ChannelData. */
  send(channel, bytes) { return this.write(channelData(channel, bytes, this.#options.over !== 'udp')) }

  close() { this.destroy() }
  destroy() { try { this.#options.over === 'udp' ? this.#socket.close() : this.#socket.destroy() } catch { /* closed */ } }
}

export function channelData(channel, bytes, padded = false) {
  const body = Buffer.from(bytes)
  const out = Buffer.alloc(4 + (padded ? (body.length + 3) & ~3 : body.length))
  out.writeUInt16BE(channel, 0)
  out.writeUInt16BE(body.length, 2)
  body.copy(out, 4)
  return out
}
