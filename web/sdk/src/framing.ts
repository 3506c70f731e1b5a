// Messages as pieces on a data channel (docs/protocol.md 2): one header byte, then content.
//
//   bit 7: more pieces follow    bits 0-1: 0 bytes, 1 UTF-8 text, 2 JSON    all others zero

import type { Received, Sendable } from './types.js'

/** Content bytes of one piece at most. */
export const PIECE_BYTES_MAX = 65_535
/** Content bytes of one piece that every peer must take: its `max-message-size` is at least one more. */
export const PIECE_BYTES_MIN = 1_023
/** Content bytes of one message at most. */
export const MESSAGE_BYTES_MAX = 64 * 1024 * 1024

const BYTES = 0
const TEXT = 1
const JSON_VALUE = 2
const KIND = 3
const MORE = 0x80
const NOTHING = new Uint8Array(0)

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
  _buffer = NOTHING
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
    const more = header & MORE
    const content = piece.subarray(1)
    const length = this._length + content.length
    this._kind ??= kind
    this._spoiled ||=
      kind === KIND ||
      kind !== this._kind ||
      !!(header & ~(KIND | MORE)) ||
      (!!more && !this._joins) ||
      length > MESSAGE_BYTES_MAX
    if (!this._spoiled) {
      if (length > this._buffer.length) {
        const grown = new Uint8Array(Math.min(MESSAGE_BYTES_MAX, Math.max(length, 2 * this._length)))
        grown.set(this._buffer)
        this._buffer = grown
      }
      this._buffer.set(content, this._length)
      this._length = length
      if (more) return
    } else if (more && this._joins) {
      // Nothing is kept of it, and its end is waited for.
      this._buffer = NOTHING
      return
    }

    const { _buffer: buffer, _spoiled: spoiled } = this
    this._buffer = NOTHING
    this._length = 0
    this._kind = undefined
    this._spoiled = false
    try {
      if (!spoiled) {
        const whole = length < buffer.length ? buffer.slice(0, length) : buffer
        if (kind === BYTES) return { data: whole }
        const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(whole)
        return { data: kind === TEXT ? text : (JSON.parse(text) as Received) }
      }
    } catch {
      // Not UTF-8, or not JSON: counted like any other.
    }
    this._discarded++
    return
  }
}
