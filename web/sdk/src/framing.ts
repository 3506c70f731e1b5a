// Messages as pieces on a data channel (docs/protocol.md 2): one header byte, then content.
//
//   bit 7: more pieces follow    bits 0-1: 0 bytes, 1 UTF-8 text, 2 JSON    all others zero

import type { Received, Sendable } from './types.js'

/** Content bytes of one piece at most. */
export const PIECE_BYTES_MAX = 65_535
/** Content bytes of one message at most. */
export const MESSAGE_BYTES_MAX = 64 * 1024 * 1024

const BYTES = 0
const TEXT = 1
const JSON_VALUE = 2
const KIND = 3
const MORE = 0x80

/** A message as kind and content. Bytes are not copied. */
export function encode(data: Sendable): [kind: number, content: Uint8Array] {
  if (data instanceof ArrayBuffer) return [BYTES, new Uint8Array(data)]
  if (ArrayBuffer.isView(data)) return [BYTES, new Uint8Array(data.buffer, data.byteOffset, data.byteLength)]
  const text = typeof data === 'string'
  return [text ? TEXT : JSON_VALUE, new TextEncoder().encode(text ? data : (JSON.stringify(data) ?? 'null'))]
}

/** The piece that begins at `offset`. */
export function cut(kind: number, content: Uint8Array, offset: number, pieceMax: number): Uint8Array<ArrayBuffer> {
  const end = Math.min(content.length, offset + pieceMax)
  const piece = new Uint8Array(1 + end - offset)
  piece[0] = kind | (end < content.length ? MORE : 0)
  piece.set(content.subarray(offset, end), 1)
  return piece
}

/** Puts the pieces of one channel together again. */
export class Reassembler {
  /** Pieces and messages that could not be read. */
  _discarded = 0
  _buffer = new Uint8Array(0)
  _length = 0
  /** Kind of the message that is being put together; undefined between two messages. */
  _kind: number | undefined
  _spoiled = false

  /** `_joins`: this channel is ordered and reliable, so messages may have more than one piece. */
  constructor(readonly _joins: boolean) {}

  /** Takes one piece; returns a message in a box when that completes one. */
  _push(piece: Uint8Array): { data: Received } | undefined {
    const header = piece[0] ?? KIND
    const kind = header & KIND
    const more = !!(header & MORE)
    const bad = kind === KIND || !!(header & ~(KIND | MORE)) || (more && !this._joins)
    if (this._kind === undefined && (bad || !more)) return this._finish(kind, piece.slice(1), bad)

    if (!bad) this._kind ??= kind
    const length = this._length + piece.length - 1
    if (bad || kind !== this._kind || length > MESSAGE_BYTES_MAX) {
      this._spoiled = true
      this._buffer = new Uint8Array(0)
    }
    if (!this._spoiled) {
      if (length > this._buffer.length) {
        const grown = new Uint8Array(Math.min(MESSAGE_BYTES_MAX, Math.max(length, 2 * this._buffer.length)))
        grown.set(this._buffer.subarray(0, this._length))
        this._buffer = grown
      }
      this._buffer.set(piece.subarray(1), this._length)
      this._length = length
    }
    if (more) return
    const content = this._buffer.slice(0, this._length)
    const spoiled = this._spoiled
    this._buffer = new Uint8Array(0)
    this._length = 0
    this._kind = undefined
    this._spoiled = false
    return this._finish(kind, content, spoiled)
  }

  _finish(kind: number, content: Uint8Array, bad: boolean): { data: Received } | undefined {
    try {
      if (!bad) {
        if (kind === BYTES) return { data: content }
        const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content)
        return { data: kind === TEXT ? text : (JSON.parse(text) as Received) }
      }
    } catch {
      // Not UTF-8, or not JSON: counted like any other.
    }
    this._discarded++
    return
  }
}
