// A WebSocket client on a bare socket, bound to any address of a crowd, that reads as fast as it is told to or not at all; and a lobby client on it.
import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'

/** A frame as a client sends it. The mask is zero: the payload stays readable, and the server does not mind. */
export function frame(payload, { opcode = 1, fin = true, masked = true, rsv = 0, length } = {}) {
  const body = Buffer.from(payload)
  const size = length ?? body.length
  const head = [(fin ? 0x80 : 0) | (rsv << 4) | opcode]
  const mask = masked ? 0x80 : 0
  if (size < 126) head.push(mask | size)
  else if (size < 65_536) head.push(mask | 126, size >> 8, size & 255)
  else {
    const long = Buffer.alloc(8)
    long.writeBigUInt64BE(BigInt(size))
    head.push(mask | 127, ...long)
  }
  return Buffer.concat([Buffer.from(head), Buffer.alloc(masked ? 4 : 0), body])
}

/** Connects and upgrades. The socket is paused; `rest` is what came behind the head. Fails with `status` where it is no upgrade. */
export function upgrade({ host, port, from, path = '/v1', protocol = 'twocan.v1', headers = {}, timeout = 10_000 }) {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, localAddress: from, noDelay: true })
    const fail = (why, status) => { clearTimeout(late); socket.destroy(); reject(Object.assign(new Error(`no upgrade: ${why}`), { status })) }
    const late = setTimeout(() => fail('late'), timeout)
    socket.once('error', (error) => fail(error.code))
    socket.once('close', () => fail('closed'))
    const name = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
    const lines = Object.entries({ Host: name, Upgrade: 'websocket', Connection: 'Upgrade', 'Sec-WebSocket-Version': 13,
      'Sec-WebSocket-Key': randomBytes(16).toString('base64'), ...(protocol && { 'Sec-WebSocket-Protocol': protocol }), ...headers })
    socket.write(Buffer.from(`GET ${path} HTTP/1.1\r\n${lines.map(([key, value]) => `${key}: ${value}\r\n`).join('')}\r\n`, 'latin1'))
    let text = Buffer.alloc(0)
    const hear = (chunk) => {
      text = Buffer.concat([text, chunk])
      const end = text.indexOf('\r\n\r\n')
      if (end < 0) return
      const status = Number(/^HTTP\/1\.1 (\d+)/.exec(text.toString('latin1', 0, 20))?.[1] ?? 0)
      if (status !== 101) return fail(`status ${status}`, status)
      clearTimeout(late)
      socket.pause()
      socket.removeAllListeners('data')
      socket.removeAllListeners('error')
      socket.removeAllListeners('close')
      socket.on('error', () => {})
      socket.left = text.subarray(end + 4)
      resolve(socket)
    }
    socket.on('data', hear)
  })
}

export class Client {
  #socket
  #options
  #buffer = Buffer.alloc(0)
  #parts = []
  #id = 0
  #acked = 0
  #waiting = new Map()
  #watchers = new Set()
  #timer
  seq = 0
  frames = []
  closed = null

  /** Connects, says hello and waits for `welcome`. `rate`: bytes a second that it reads from then on; 0: none. `resume`: an older client to come back as. */
  static async open(options) {
    const client = new Client()
    client.#options = { app: 'attack', ...options }
    client.#socket = await upgrade(options)
    const { app, resume } = client.#options
    client.#socket.on('close', () => client.#end(1006))
    client.#socket.on('end', () => client.#end(1006))
    client.#socket.on('data', (chunk) => client.#hear(chunk))
    client.#hear(client.#socket.left)
    client.#socket.resume()
    client.send({ type: 'hello', id: 0, app, ...(resume && { resume: { session: resume.session, seq: resume.seq } }) })
    const welcome = await client.until((each) => each.type === 'welcome', options.timeout ?? 10_000)
    if (!welcome) {
      client.destroy()
      throw new Error(`no welcome: ${client.closed}`)
    }
    Object.assign(client, { session: welcome.session, peer: welcome.peer, resumed: welcome.resumed })
    if (resume && welcome.resumed) client.#id = resume.id
    else if (!welcome.resumed) client.seq = 0
    if (options.rate !== undefined) client.read(options.rate)
    return client
  }

  get id() { return this.#id }

  /** From now on reads at most so many bytes a second. */
  read(rate) {
    clearInterval(this.#timer)
    const socket = this.#socket
    socket.pause()
    socket.removeAllListeners('data')
    if (!rate) return
    let due = 0
    this.#timer = setInterval(() => {
      due = Math.min(due + rate / 100, rate / 10)
      socket.read(0)
      while (due >= 1 && socket.readableLength > 0) {
        const chunk = socket.read(Math.min(Math.floor(due), socket.readableLength))
        if (!chunk) break
        due -= chunk.length
        this.#hear(chunk)
      }
    }, 10)
    // A reader by hand is in paused mode, where a listener keeps the buffer filled.
    socket.on('readable', () => {})
  }

  send(message) { return this.#socket.write(frame(JSON.stringify(message))) }
  write(bytes) { return this.#socket.write(bytes) }
  get backlog() { return this.#socket.writableLength }

  /** A request's reply, whatever it is; `{ type: 'closed' }` or `{ type: 'silence' }` where none comes. */
  ask(type, fields = {}, timeout = 10_000) {
    if (this.closed !== null) return Promise.resolve({ type: 'closed', code: this.closed })
    const id = this.note(type, fields)
    return new Promise((resolve) => {
      const late = setTimeout(() => done({ type: 'silence' }), timeout)
      const done = (reply) => { clearTimeout(late); this.#waiting.delete(id); resolve(reply) }
      this.#waiting.set(id, done)
    })
  }

  note(type, fields = {}) {
    const id = ++this.#id
    this.#acked = this.seq
    this.send({ type, id, ack: this.seq, ...fields })
    return id
  }

  /** The first frame, of those so far or to come, that `matches`; null after `timeout` or the end. */
  until(matches, timeout = 10_000) {
    const found = this.frames.find(matches)
    if (found || this.closed !== null) return Promise.resolve(found ?? null)
    return new Promise((resolve) => {
      const late = setTimeout(() => done(null), timeout)
      const done = (value) => { clearTimeout(late); this.#watchers.delete(watch); resolve(value) }
      const watch = (each) => { if (each === null || matches(each)) done(each) }
      this.#watchers.add(watch)
    })
  }

  /** Forgets frames of the past. */
  forget() { this.frames = [] }

  #hear(chunk) {
    if (chunk.length === 0) return
    this.#buffer = this.#buffer.length ? Buffer.concat([this.#buffer, chunk]) : chunk
    for (;;) {
      const buffer = this.#buffer
      if (buffer.length < 2) return
      let [size, start] = [buffer[1] & 0x7f, 2]
      if (size === 126) { if (buffer.length < 4) return; [size, start] = [buffer.readUInt16BE(2), 4] }
      else if (size === 127) { if (buffer.length < 10) return; [size, start] = [Number(buffer.readBigUInt64BE(2)), 10] }
      if (buffer.length < start + size) return
      this.#buffer = buffer.subarray(start + size)
      this.#take(buffer[0], buffer.subarray(start, start + size))
    }
  }

  #take(first, payload) {
    const opcode = first & 0x0f
    if (opcode === 8) {
      this.#socket.end(frame(payload, { opcode: 8 }))
      return this.#end(payload.length >= 2 ? payload.readUInt16BE(0) : 1005)
    }
    if (opcode === 9) return this.#socket.write(frame(payload, { opcode: 10 }))
    if (opcode > 2) return
    this.#parts.push(payload)
    if (!(first & 0x80)) return
    const message = JSON.parse(Buffer.concat(this.#parts).toString())
    this.#parts = []
    message.at = performance.now()
    if (message.type !== 'welcome' && message.seq > this.seq) this.seq = message.seq
    if (this.#options.keep !== false) this.frames.push(message)
    this.#waiting.get(message.id)?.(message)
    for (const watch of [...this.#watchers]) watch(message)
    this.heard?.(message)
    // As the SDK does.
    if (this.seq - this.#acked >= 64 && this.closed === null) this.note('ping')
  }

  #end(code) {
    if (this.closed !== null) return
    this.closed = code
    clearInterval(this.#timer)
    for (const done of [...this.#waiting.values()]) done({ type: 'closed', code })
    for (const watch of [...this.#watchers]) watch(null)
    this.heard?.(null)
    // What was ended goes out before it closes.
    this.#socket.destroySoon()
  }

  /** Closes as a page does that will not come back: the session ends. */
  leave(code = 1000) {
    const payload = Buffer.alloc(2)
    payload.writeUInt16BE(code)
    this.#socket.end(frame(payload, { opcode: 8 }))
    this.#end(code)
  }

  /** Cuts the connection: the session waits for it to come back. */
  cut() { this.#socket.resetAndDestroy(); this.#end(1006) }

  destroy() { clearInterval(this.#timer); this.#socket?.destroy() }
}
