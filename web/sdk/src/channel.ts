// One data channel: messages in, messages out, and a queue that is felt by whoever sends.

import { TwocanError } from './errors.js'
import { cut, fits, KIND, Reassembler, type Encoded, type Keeper } from './framing.js'
import type { Received } from './types.js'

/** Bytes that the browser may hold for a channel. */
export const BUFFER_BYTES_MAX = 256 * 1024
/** Sending goes on below this. */
export const BUFFER_BYTES_LOW = 64 * 1024
/** Bytes that wait in front of that; beyond, `send` rejects with `backlog`. */
export const BACKLOG_BYTES_MAX = 64 * 1024 * 1024
/** A channel in which a message to all has waited so long, or up to twice that, is slow until nothing waits: sending to all does not wait for it. */
export const SLOW_MS = 10_000
/** Each time that a channel is slow it is waited for half as long as the last time, but so long. */
export const SLOW_MS_MIN = 625
/** Bytes that wait in a slow channel; beyond, it gets no message to all. */
export const SLOW_BYTES_MAX = 4 * 1024 * 1024
/** From the first piece of a message to its last, or it is given up: in good time before the other side does (`WHOLE_MS`). */
export const SEND_MS = 50_000

interface Job {
  _kind: number
  _content: Uint8Array
  _offset: number
  /** Whoever waits for it waits for others, too, and not for a slow channel. */
  _forAll: boolean
  _resolve(): void
  _reject(error: TwocanError): void
  /** It has more than one piece, and the first is out: stops its timer. */
  _begun?: (() => void) | undefined
}

/** What a channel needs of its link. */
export interface Line extends Keeper {
  /** Content bytes of one piece at most, as the other side allows. */
  _pieceMax(): number
  /** Bytes of messages that are begun and not at their end, over all channels: at most `maxMessage`, or one message. */
  _underway: number
  /** Something came: whether it is taken. */
  _hear(channel: Channel): boolean
  /** The link does not carry: what is sent waits here. */
  readonly _held: boolean
  /** One of them is out: other channels may begin theirs. */
  _ended(channel: Channel): void
}

export class Channel {
  _queue: Job[] = []
  _queued = 0
  _reassembler: Reassembler
  readonly _reliable: boolean
  _slow = false
  _patience = SLOW_MS
  _looking?: (() => void) | undefined

  constructor(
    readonly _channel: RTCDataChannel,
    readonly _line: Line,
    /** Content bytes of one message at most. */
    readonly _max: number,
    hooks: { _open(): void; _message(data: Received): void; _closed(): unknown },
  ) {
    const { ordered, maxRetransmits, maxPacketLifeTime } = _channel
    this._reliable = maxRetransmits === null && maxPacketLifeTime === null
    this._reassembler = new Reassembler(ordered && this._reliable, _max, _line)
    _channel.binaryType = 'arraybuffer'
    _channel.bufferedAmountLowThreshold = BUFFER_BYTES_LOW
    _channel.onbufferedamountlow = () => this._pump()
    _channel.onopen = () => {
      hooks._open()
      this._pump()
    }
    _channel.onmessage = (event: MessageEvent<ArrayBuffer | string>) => {
      if (!_line._hear(this)) return
      // Text frames are not ours; they count as unreadable.
      const message = this._reassembler._push(new Uint8Array(typeof event.data === 'string' ? [] : event.data))
      if (message) hooks._message(message.data)
    }
    _channel.onclose = () => {
      this._fail()
      hooks._closed()
    }
  }

  /** `forAll`: this goes to others, too, and does not wait for a slow channel. */
  _send([kind, content]: Encoded, forAll = false): Promise<void> {
    return new Promise((resolve, reject) => {
      const whole = this._reassembler._joins || content.length <= this._line._pieceMax()
      if (!whole || !fits(kind, content, this._max)) return reject(new TwocanError('too-large'))
      if (/^clos/.test(this._channel.readyState)) return reject(closed())
      const most = forAll && this._slow ? SLOW_BYTES_MAX : BACKLOG_BYTES_MAX
      if (this._reliable && this._queued && this._queued + content.length > most) {
        return reject(new TwocanError('backlog', 'Too much.'))
      }
      const job: Job = { _kind: kind, _content: content, _offset: 0, _forAll: forAll, _resolve: resolve, _reject: reject }
      this._queue.push(job)
      this._queued += content.length
      this._pump()
      if (!this._queue.includes(job)) return
      // It waits: the caller may use its buffer again.
      job._content = content.slice()
      // In place of the browser's buffer, which would have had room.
      if (this._line._held && this._queued <= BUFFER_BYTES_MAX) resolve()
      while (!this._reliable && this._queued > BUFFER_BYTES_MAX && this._queue.length > 1) this._shift()._resolve()
      if (forAll) this._look(job)
    })
  }

  _pump(): void {
    const { _channel: channel, _line: line } = this
    for (let job; (job = this._queue[0]) && channel.readyState === 'open' && !line._held; ) {
      const piece = cut(job._kind, job._content, job._offset, line._pieceMax())
      const { length } = job._content
      if (channel.bufferedAmount && channel.bufferedAmount + piece.length > BUFFER_BYTES_MAX) return
      if (!job._begun && length >= piece.length) {
        if (line._underway && line._underway + length > this._max) return
        line._underway += length
        job._begun = line._after(SEND_MS, () => this._giveUp())
      }
      try {
        channel.send(piece)
      } catch {
        return this._fail()
      }
      job._offset += piece.length - 1
      if (job._offset >= length) this._shift()._resolve()
    }
  }

  /** The first message was too long on its way: the other side drops it when it hears of its end. */
  _giveUp(): void {
    this._shift()._reject(new TwocanError('timeout'))
    try {
      this._channel.send(new Uint8Array([KIND]))
    } catch {
      // The channel is closed, and with it the message is gone there.
    }
    this._pump()
  }

  /** Takes the first message out. */
  _shift(): Job {
    const job = this._queue.shift()!
    this._queued -= job._content.length
    if (job._begun) {
      job._begun()
      this._line._underway -= job._content.length
      this._line._ended(this)
    }
    this._slow &&= !!this._queue.length
    return job
  }

  /** Looks after a while whether the channel is slow: whether this message to all waits still. */
  _look(job: Job): void {
    if (this._slow) return job._resolve()
    this._looking ??= this._line._after(this._patience, () => {
      this._looking = undefined
      this._slow = this._queue.includes(job)
      if (this._slow) this._patience = Math.max(this._patience / 2, SLOW_MS_MIN)
      for (const each of this._queue) if (each._forAll) this._look(each)
    })
  }

  /** What waits is not sent. */
  _clear(): void {
    while (this._queue.length) this._shift()._resolve()
  }

  /** Nothing is sent or received any more. */
  _fail(): void {
    while (this._queue.length) this._shift()._reject(closed())
    this._looking?.()
    this._reassembler._end()
  }
}

function closed(): TwocanError {
  return new TwocanError('link-closed')
}
