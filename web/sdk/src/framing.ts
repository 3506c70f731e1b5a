// Messages as pieces on a data channel (docs/protocol.md 2): one header byte, then content.
//
//   bit 7: more pieces follow    bits 0-1: 0 bytes, 1 UTF-8 text, 2 JSON    all others zero

import { TwocanError } from './errors.js'
import type { Received, Sendable } from './types.js'

/** Content bytes of one piece at most. */
export const PIECE_BYTES_MAX = 65_535
/** Content bytes of one piece that every peer must take: its `max-message-size` is at least one more. */
export const PIECE_BYTES_MIN = 1_023
/** Content bytes of one message on the control channel at most, whatever its kind. */
export const CONTROL_BYTES_MAX = 64 * 1024
/** Content bytes of one message of text or JSON at most, or `maxMessage` where that is less. */
export const TEXT_BYTES_MAX = 1024 * 1024
/** Content bytes of one message of bytes at most, unless `maxMessage` says otherwise. */
export const MESSAGE_BYTES = 16 * 1024 * 1024
/** What `maxMessage` is at least, and at most. */
export const MESSAGE_BYTES_MIN = 1024
export const MESSAGE_BYTES_MAX = 64 * 1024 * 1024
/** Values in one JSON message at most: each `[`, `{` and `,` outside of a string begins one. */
export const JSON_VALUES_MAX = 65_536
/** Arrays and objects inside one another in a JSON message at most. */
export const JSON_DEPTH_MAX = 64
/** Half-received messages of one peer, over all its channels, at most: so many times `maxMessage`, bytes. */
export const HALF_MESSAGES_PEER_MAX = 2
/** Half-received messages of all peers of a lobby: so many times `maxMessage`. Beyond, the peer with the most loses them. */
export const HALF_MESSAGES_LOBBY_MAX = 8
/** How many values of JSON, and how many bytes of it or of text, are read in the time that another message takes. */
export const VALUES_A_MESSAGE = 32
export const BYTES_A_MESSAGE = 2_048
/** What a piece counts for beside its bytes, while the rest is waited for. */
export const PIECE_BYTES_COST = 512
/** From the first piece of a message to its last, at most. */
export const WHOLE_MS = 60_000

const BYTES = 0
const TEXT = 1
const JSON_VALUE = 2
/** The bits of the kind; as a kind, none: a piece that spoils its message. */
export const KIND = 3
const MORE = 0x80

// JSON's own bytes, with bit 5 set.
const QUOTE = 0x22
const COMMA = 0x2c
const OPENS = 0x7b
const BACKSLASH = 0x5c
const CLOSES = 0x7d

/** What JSON would change without a word: kinds of objects and values that come out as `{}`, `null`, or a list of numbers. */
const ODD = /^(Map|Set|Weak.*|Promise|.*Function|Symbol|BigInt|RegExp|Error|Blob|File|DataView|.*Buffer|.+Array)$/

/** A message as kind and content. */
export type Encoded = [kind: number, content: Uint8Array]

/** A message, ready to be cut. Bytes are not copied. */
export function encode(data: Sendable): Encoded {
  if (data instanceof ArrayBuffer) data = new Uint8Array(data)
  if (ArrayBuffer.isView(data)) return [BYTES, new Uint8Array(data.buffer, data.byteOffset, data.byteLength)]
  const text = typeof data === 'string'
  let odd = ''
  try {
    const json = text ? (data as string) : JSON.stringify(data, function (this: Record<string, unknown>, key, value: unknown) {
      const kind = Object.prototype.toString.call(this[key]).slice(8, -1)
      if (ODD.test(kind) || (typeof value === 'number' && !isFinite(value))) odd ||= `${kind} ${key}`
      return value
    })
    if (json !== undefined && !odd) return [text ? TEXT : JSON_VALUE, new TextEncoder().encode(json)]
  } catch {
    // A circle, a BigInt, or thousands of levels.
  }
  throw new TwocanError('bad-value', `Not JSON: ${odd || typeof data}`)
}

/** Whether a message is within its limits, where `maxMessage` is `max`. */
export function fits(kind: number, content: Uint8Array, max: number): boolean {
  return content.length <= longest(kind, max) && (kind !== JSON_VALUE || valuesIn(content) <= JSON_VALUES_MAX)
}

function longest(kind: number, max: number): number {
  return kind === BYTES ? max : Math.min(max, TEXT_BYTES_MAX)
}

/** How many values there are in JSON; more than any message may have where it has too many levels. Looks at each byte once, and keeps nothing. */
function valuesIn(json: Uint8Array): number {
  let values = 0
  let depth = 0
  let quoted = false
  for (let at = 0; at < json.length; at++) {
    // In this bit alone brackets differ from braces.
    const byte = json[at]! | 0x20
    if (byte === QUOTE) {
      quoted = !quoted
    } else if (quoted) {
      if (json[at] === BACKSLASH) at++
    } else {
      values += +(byte === OPENS || byte === COMMA)
      depth += +(byte === OPENS) - +(byte === CLOSES)
      if (depth > JSON_DEPTH_MAX) return Infinity
    }
  }
  return values
}

/** The piece that begins at `offset`. */
export function cut(kind: number, content: Uint8Array, offset: number, pieceMax: number): Uint8Array<ArrayBuffer> {
  const end = Math.min(content.length, offset + pieceMax)
  const piece = new Uint8Array(1 + end - offset)
  piece[0] = kind | (end < content.length ? MORE : 0)
  piece.set(content.subarray(offset, end), 1)
  return piece
}

/** What putting together asks of the link. */
export interface Keeper {
  /** Counts what it costs to read a message; false where it is too much. */
  _spend(cost: number): boolean
  /** Counts bytes that are kept for half-received messages, or no longer are; false where they are too many. */
  _keep(bytes: number): boolean
  _after(ms: number, then: () => void): () => void
}

/** Puts the pieces of one channel together again. */
export class Reassembler {
  /** Pieces and messages that could not be read, or were beyond a limit. */
  _discarded = 0
  _pieces: Uint8Array[] = []
  _length = 0
  /** Bytes for which the link counts what is here. */
  _kept = 0
  /** Kind of the message that is being put together; undefined between two messages. */
  _kind: number | undefined
  /** Nothing is kept of this message, and its end is waited for. */
  _spoiled = false
  _late?: (() => void) | undefined

  constructor(
    /** This channel is ordered and reliable, so messages may have more than one piece. */
    readonly _joins: boolean,
    /** Content bytes of one message at most: `maxMessage`. */
    readonly _max: number,
    readonly _keeper: Keeper,
  ) {}

  /** Takes one piece; returns a message in a box when that completes one. */
  _push(piece: Uint8Array): { data: Received } | undefined {
    const header = piece[0] ?? KIND
    const kind = header & KIND
    const more = header & MORE
    if (this._kind === undefined) {
      this._kind = kind
      if (more) this._late = this._keeper._after(WHOLE_MS, () => this._spoil())
    }
    if (
      this._spoiled ||
      kind === KIND ||
      kind !== this._kind ||
      header & ~(KIND | MORE) ||
      (more && !this._joins) ||
      this._length + piece.length - 1 > longest(kind, this._max) ||
      !this._keep(piece.length + PIECE_BYTES_COST)
    ) {
      this._spoil()
    } else {
      this._pieces.push(piece.subarray(1))
      this._length += piece.length - 1
    }
    if (more && this._joins) return

    const { _pieces: pieces, _spoiled: spoiled } = this
    const whole = new Uint8Array(this._length)
    this._end()
    if (spoiled) return
    let length = 0
    for (const each of pieces) {
      whole.set(each, length)
      length += each.length
    }
    try {
      if (kind === BYTES) return { data: whole }
      const values = kind === TEXT ? 0 : valuesIn(whole)
      if (values <= JSON_VALUES_MAX && this._keeper._spend(values / VALUES_A_MESSAGE + length / BYTES_A_MESSAGE)) {
        const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(whole)
        return { data: kind === TEXT ? text : (JSON.parse(text) as Received) }
      }
    } catch {
      // Not UTF-8, or not JSON: counted like any other.
    }
    this._discarded++
    return
  }

  _keep(bytes: number): boolean {
    this._kept += bytes
    return this._keeper._keep(bytes)
  }

  /** Drops what has come of this message, and counts it. */
  _spoil(): void {
    if (this._kind === undefined || this._spoiled) return
    this._discarded++
    this._spoiled = true
    this._forget()
  }

  /** The next piece begins a message. */
  _end(): void {
    this._late?.()
    this._late = this._kind = undefined
    this._spoiled = false
    this._forget()
  }

  _forget(): void {
    this._keep(-this._kept)
    this._pieces = []
    this._length = 0
  }
}
