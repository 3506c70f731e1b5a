// STUN messages (RFC 8489) as bytes: made with or without integrity, and read. As small as the attacks need, and as wrong as they like.
import { createHash, createHmac, randomBytes } from 'node:crypto'

export const method = { binding: 1, allocate: 3, refresh: 4, send: 6, data: 7, permission: 8, channel: 9 }
const classes = { request: 0x000, indication: 0x010, success: 0x100, error: 0x110 }
export const attribute = {
  mapped: 0x0001, username: 0x0006, integrity: 0x0008, error: 0x0009, channel: 0x000c, lifetime: 0x000d, peer: 0x0012, data: 0x0013,
  realm: 0x0014, nonce: 0x0015, relayed: 0x0016, family: 0x0017, transport: 0x0019, xorMapped: 0x0020, software: 0x8022,
}
const cookie = 0x2112a442

export function part(type, value) {
  const body = Buffer.from(value)
  const out = Buffer.alloc(4 + ((body.length + 3) & ~3))
  out.writeUInt16BE(type, 0)
  out.writeUInt16BE(body.length, 2)
  body.copy(out, 4)
  return out
}

export function message(what, kind, parts = [], { key, id = randomBytes(12) } = {}) {
  const head = Buffer.alloc(20)
  head.writeUInt16BE(what | classes[kind], 0)
  head.writeUInt32BE(cookie, 4)
  id.copy(head, 8)
  const body = Buffer.concat(parts)
  if (!key) {
    head.writeUInt16BE(body.length, 2)
    return Buffer.concat([head, body])
  }
  head.writeUInt16BE(body.length + 24, 2)
  const tag = createHmac('sha1', key).update(head).update(body).digest()
  return Buffer.concat([head, body, part(attribute.integrity, tag)])
}

export const longTermKey = (username, realm, password) => createHash('md5').update(`${username}:${realm}:${password}`).digest()

/** A STUN message read, or null. Of a doubled attribute the first counts. */
export function read(bytes) {
  if (bytes.length < 20 || bytes[0] > 3 || bytes.readUInt32BE(4) !== cookie) return null
  const type = bytes.readUInt16BE(0)
  const kind = Object.keys(classes).find((each) => classes[each] === (type & 0x110))
  const attributes = new Map()
  for (let at = 20; at + 4 <= bytes.length;) {
    const [name, size] = [bytes.readUInt16BE(at), bytes.readUInt16BE(at + 2)]
    if (!attributes.has(name)) attributes.set(name, bytes.subarray(at + 4, at + 4 + size))
    at += 4 + ((size + 3) & ~3)
  }
  const error = attributes.get(attribute.error)
  return { method: type & ~0x110, kind, id: bytes.toString('hex', 8, 20), attributes, code: error ? error[2] * 100 + error[3] : 0 }
}

function bytesOf(address) {
  if (!address.includes(':')) return Buffer.from(address.split('.').map(Number))
  const [left, right] = address.split('::').map((half) => half.split(':').filter(Boolean))
  const groups = right ? [...left, ...Array(8 - left.length - right.length).fill('0'), ...right] : left
  return Buffer.from(groups.flatMap((group) => { const n = parseInt(group, 16); return [n >> 8, n & 255] }))
}

const zeroId = Buffer.alloc(12)
function mask(size, id) {
  const pad = Buffer.alloc(16)
  pad.writeUInt32BE(cookie, 0)
  id.copy(pad, 4)
  return pad.subarray(0, size)
}

/** The value of an XOR address, for a message of this id. */
export function xorAddress({ address, port }, id = zeroId) {
  const raw = bytesOf(address)
  const pad = mask(raw.length, id)
  const out = Buffer.alloc(4 + raw.length)
  out[1] = raw.length === 4 ? 1 : 2
  out.writeUInt16BE(port ^ (cookie >>> 16), 2)
  for (let at = 0; at < raw.length; at++) out[4 + at] = raw[at] ^ pad[at]
  return out
}

export function readXorAddress(value, id = zeroId) {
  const port = value.readUInt16BE(2) ^ (cookie >>> 16)
  const raw = Buffer.from(value.subarray(4))
  const pad = mask(raw.length, id)
  for (let at = 0; at < raw.length; at++) raw[at] ^= pad[at]
  if (raw.length === 4) return { address: raw.join('.'), port }
  const groups = Array.from({ length: 8 }, (_, n) => raw.readUInt16BE(2 * n).toString(16))
  return { address: groups.join(':'), port }
}

export function number(value, size = 4) {
  const out = Buffer.alloc(size)
  if (size === 2) out.writeUInt16BE(value)
  else out.writeUInt32BE(value >>> 0)
  return out
}
