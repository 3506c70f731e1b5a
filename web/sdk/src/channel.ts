// One data channel: messages in, messages out, and a queue that is felt by whoever sends.

import { TwocanError } from './errors.js'
import { cut, encode, MESSAGE_BYTES_MAX, Reassembler } from './framing.js'
import type { Received, Sendable } from './types.js'

/** What the browser may hold for a channel. */
export const BUFFER_BYTES_MAX = 256 * 1024
/** Sending goes on below this. */
export const BUFFER_BYTES_LOW = 64 * 1024
/** What waits in front of that; beyond, `send` rejects with `backlog`. */
export const BACKLOG_BYTES_MAX = 64 * 1024 * 1024

interface Job {
  _kind: number
  _content: Uint8Array
  _offset: number
  _resolve(): void
  _reject(error: TwocanError): void
}

export class Channel {
  _queue: Job[] = []
  _queued = 0
  _reassembler: Reassembler

  constructor(
    readonly _channel: RTCDataChannel,
    /** Content bytes of one piece at most, as the other side allows. */
    readonly _pieceMax: () => number,
    hooks: { _open(): void; _message(data: Received): void; _closed(): unknown },
  ) {
    const { ordered, maxRetransmits, maxPacketLifeTime } = _channel
    const reliable = maxRetransmits === null && maxPacketLifeTime === null
    this._reassembler = new Reassembler(ordered && reliable)
    this._reliable = reliable
    _channel.binaryType = 'arraybuffer'
    _channel.bufferedAmountLowThreshold = BUFFER_BYTES_LOW
    _channel.onbufferedamountlow = () => this._pump()
    _channel.onopen = () => {
      hooks._open()
      this._pump()
    }
    _channel.onmessage = (event: MessageEvent<ArrayBuffer | string>) => {
      // Text frames are not ours; they count as unreadable.
      const piece = typeof event.data === 'string' ? new Uint8Array(0) : new Uint8Array(event.data)
      const message = this._reassembler._push(piece)
      if (message) hooks._message(message.data)
    }
    _channel.onclose = () => {
      this._fail()
      hooks._closed()
    }
  }
  readonly _reliable: boolean

  _send(data: Sendable): Promise<void> {
    return new Promise((resolve, reject) => {
      const [kind, content] = encode(data)
      const tooLarge = content.length > (this._reassembler._joins ? MESSAGE_BYTES_MAX : this._pieceMax())
      if (tooLarge) return reject(new TwocanError('too-large', 'Too large.'))
      if (/^clos/.test(this._channel.readyState)) return reject(closed())
      if (this._reliable && this._queued && this._queued + content.length > BACKLOG_BYTES_MAX) {
        return reject(new TwocanError('backlog', 'Too much waits.'))
      }
      const job: Job = { _kind: kind, _content: content, _offset: 0, _resolve: resolve, _reject: reject }
      this._queue.push(job)
      this._queued += content.length
      this._pump()
      if (!this._queue.includes(job)) return
      // It waits: the caller may use its buffer again.
      job._content = content.slice()
      while (!this._reliable && this._queued > BUFFER_BYTES_MAX && this._queue.length > 1) this._shift()
    })
  }

  _pump(): void {
    const { _channel: channel } = this
    for (let job; (job = this._queue[0]) && channel.readyState === 'open'; ) {
      const piece = cut(job._kind, job._content, job._offset, this._pieceMax())
      if (channel.bufferedAmount && channel.bufferedAmount + piece.length > BUFFER_BYTES_MAX) return
      try {
        channel.send(piece)
      } catch {
        return this._fail()
      }
      job._offset += piece.length - 1
      if (job._offset >= job._content.length) this._shift()
    }
  }

  /** The first message has gone, or gives way. */
  _shift(): void {
    const job = this._queue.shift()!
    this._queued -= job._content.length
    job._resolve()
  }

  _fail(): void {
    for (const job of this._queue.splice(0)) job._reject(closed())
    this._queued = 0
  }
}

function closed(): TwocanError {
  return new TwocanError('link-closed', 'No longer linked.')
}
