// A session at the server: numbered frames over a socket that may be cut and come back.
//
//   opening ── welcome ──> up ── cut ──> waiting ── welcome ──> up …       any ── final close code, or too long ──> ended

import { TwocanError } from './errors.js'
import type { ErrorCode } from './errors.js'
import { encode } from './framing.js'
import type { Io, Socket } from './io/ports.js'
import type { Happening, Outgoing, Reply, ServerFrame, Welcome } from './wire.js'

/** From the beginning of a socket to its welcome. */
export const OPEN_MS = 10_000
/** From a request to its reply. */
export const REPLY_MS = 15_000
/** From one ping to the next. */
export const PING_MS = 15_000
/** From a ping to the end of patience with a silent socket. */
export const PONG_MS = 10_000
/** The same where there is reason to think that it is dead, besides two round trips. */
export const DOUBT_MS = 500
/** Sockets that failed in a row before the server is given up: about a minute. */
export const ATTEMPTS_MAX = 16
/** The same of a session with a seat in a lobby: about a quarter of an hour, longer than that waits. */
export const SEATED_ATTEMPTS_MAX = 240
/** First wait before a new socket; it doubles up to BACKOFF_MS_MAX, and is drawn from 50 to 100 % of that. */
export const BACKOFF_MS = 250
export const BACKOFF_MS_MAX = 5_000
/** Frames sent at once, and by the second: a little below what the server allows. */
export const BURST = 180
export const FRAMES_PER_SECOND = 18
/** A request's JSON: the 16,384 bytes of a frame, less 64 for its `id` and `ack`. The server ends a session that goes beyond. */
export const REQUEST_BYTES_MAX = 16_320
/** Frames received before they are acknowledged without being asked. */
export const ACK_EVERY = 64

/** Close code of ours: the page is closed or reloaded, or kept for the way back (Chromium keeps its socket open then). */
const UNLOADED = 4900
/** Close code: the session was resumed on another socket. */
const RESUMED = 4001
/** Close codes after which nothing is to come back to: done, not understood (two), too long, bad hello, resumed elsewhere. */
const FINAL = [1000, 1002, 1007, 1009, 4000, RESUMED]
/** Close codes that ask for patience: too many requests, full. */
const LATER = [4003, 4004]

export interface SessionHooks {
  /** Something came by itself. */
  _happening(frame: Happening): void
  /** A signal was not passed on. */
  _refused(signal: Outgoing): void
  _down(attempt: number, inMs: number): void
  /** A socket is back; `kept` is false where the server has forgotten us. */
  _up(kept: boolean): void
  _ended(code: number, reason: string): void
}

interface Pending {
  _resolve(reply: Reply): void
  _reject(error: TwocanError): void
  /** Stops its timer. */
  _stop(): void
  /** Means the same in a new session. */
  _portable: boolean
}

type Frame = Outgoing & { id: number }

export class Session {
  /** Our name; empty before the first welcome. */
  _peer = ''
  _ended = false
  /** The last socket has gone without a word. */
  _strays = false
  /** The server is about to close; there is nothing to come back to. */
  _done = false
  _attemptsMax = ATTEMPTS_MAX
  _socket: Socket | undefined
  _up = false
  /** It is asked whether it is there. */
  _doubted = false
  /** From hello to welcome, ms; at first half of what the socket took to open. */
  _rttMs = 0
  _helloAt = 0
  _secret: string | undefined
  _nextId = 1
  _seq = 0
  _acked = 0
  /** Frames that the server may not have handled yet; the first `_sent` of them went out on this socket. */
  _outbox: Frame[] = []
  _sent = 0
  _pending = new Map<number, Pending>()
  _tokens = BURST
  _tokensAt: number
  _attempt = 0
  /** Stop the timer of this name. */
  _timer?: (() => void) | undefined
  _pumping?: (() => void) | undefined
  /** Stops listening for another network. */
  _forget: () => void
  /** Settles `_open`. */
  _opened: (error?: TwocanError) => void = () => {}

  constructor(
    readonly _io: Io,
    readonly _url: string,
    readonly _app: string,
    readonly _hooks: SessionHooks,
  ) {
    this._tokensAt = _io._now()
    this._forget = _io._changes(() => this._doubt())
  }

  /** Opens the first socket. */
  _open(): Promise<void> {
    return new Promise((resolve, reject) => {
      this._opened = (error) => (error ? reject(error) : resolve())
      this._dial()
    })
  }

  /** Sends a request; `read` sees the reply at once, before any later frame. */
  _request<T>(frame: Outgoing, read: (reply: Reply) => T, portable = false): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this._ended) return reject(closed())
      if (encode(frame)[1].length > REQUEST_BYTES_MAX) {
        return reject(new TwocanError('bad-value', 'Too large.'))
      }
      let late = false
      this._pending.set(this._nextId, {
        _resolve: (reply) => {
          if (!late) resolve(read(reply))
          else if (reply.type === 'joined') this._note({ type: 'leave' })
        },
        _reject: reject,
        _portable: portable,
        _stop: this._io._after(REPLY_MS, () => {
          late = true
          reject(new TwocanError('timeout'))
        }),
      })
      this._note(frame)
    })
  }

  /** Sends a frame that has no reply. */
  _note(frame: Outgoing): void {
    if (this._ended) return
    this._outbox.push({ ...frame, id: this._nextId++ })
    this._pump()
  }

  _close(): void {
    this._end(1000, 'closed', 'closed')
  }

  /** The page goes: the server is not to wait for it as for a device that sleeps. */
  _unload(): void {
    this._socket?.close(UNLOADED)
  }

  _dial(): void {
    const { _app: app, _secret: session } = this
    // Where a session begins the socket's address says hello, and its welcome comes right behind the socket.
    const socket = this._io._socket(session ? this._url : `${this._url}?app=${encodeURIComponent(app)}`)
    this._socket = socket
    const mine = (): boolean => this._socket === socket
    this._helloAt = this._io._now()
    socket.onopen = () => {
      if (!session || !mine()) return
      this._helloAt = this._io._now()
      socket.send(JSON.stringify({ type: 'hello', id: 0, app, resume: { session, seq: this._seq } }))
    }
    socket.onmessage = (event: MessageEvent<string>) => {
      if (mine()) this._receive(JSON.parse(event.data) as ServerFrame | Welcome)
    }
    socket.onclose = (event) => {
      if (mine()) this._cut(event.code, event.reason)
    }
    this._patience(OPEN_MS)
  }

  /** Gives the socket up after `ms`, unless something comes. */
  _patience(ms: number): void {
    this._timer?.()
    this._timer = this._io._after(ms, () => {
      this._drop()
      this._cut(1006, 'silent')
    })
  }

  /** The network may be another one: a socket that does not answer soon is given up, and one that is waited for is opened at once. */
  _doubt(): void {
    if (this._up) {
      if (this._doubted) return
      this._doubted = true
      this._patience(DOUBT_MS + 2 * this._rttMs)
      this._note({ type: 'ping' })
    } else if (this._secret && !this._socket && !this._ended) this._dial()
  }

  _rest(): void {
    this._doubted = false
    this._timer?.()
    this._timer = this._io._after(PING_MS, () => {
      this._patience(PONG_MS)
      this._note({ type: 'ping' })
    })
  }

  _receive(frame: ServerFrame | Welcome): void {
    this._rest()
    if (frame.type === 'welcome') return this._welcome(frame)
    if (!this._secret) {
      // Our hello was refused; the server closes next.
      if (frame.type === 'error') this._opened(new TwocanError(frame.code, frame.message, frame.retry))
      return
    }
    if (frame.seq <= this._seq) return
    this._seq = frame.seq
    const { id } = frame
    if (id === undefined) this._hooks._happening(frame as Happening)
    else this._answer(id, frame as Reply)
    if (this._seq - this._acked >= ACK_EVERY) this._note({ type: 'ping' })
  }

  _answer(id: number, reply: Reply): void {
    const said = this._outbox.find((frame) => frame.id === id)
    this._handled(id)
    const pending = this._pending.get(id)
    if (!pending) return said?.to && reply.type === 'error' ? this._hooks._refused(said) : undefined
    this._pending.delete(id)
    pending._stop()
    if (reply.type === 'error') pending._reject(new TwocanError(reply.code, reply.message, reply.retry))
    else pending._resolve(reply)
  }

  _handled(id: number): void {
    const before = this._outbox.length
    this._outbox = this._outbox.filter((frame) => frame.id > id)
    this._sent = Math.max(0, this._sent - (before - this._outbox.length))
  }

  _welcome(frame: Welcome): void {
    const first = !this._secret
    this._rttMs = (this._io._now() - this._helloAt) / (first ? 2 : 1)
    this._up = true
    this._attempt = 0
    this._secret = frame.session
    this._peer = frame.peer
    if (!first && !frame.resumed) this._startOver()
    this._handled(frame.received)
    this._sent = 0
    if (first) this._opened()
    else this._hooks._up(frame.resumed)
    this._pump()
  }

  /** A new session in place of the old one: only what means the same there is asked again. */
  _startOver(): void {
    const old = new Map(this._outbox.map((frame) => [frame.id, frame]))
    const pending = [...this._pending]
    this._pending.clear()
    this._outbox = []
    this._seq = this._acked = 0
    this._nextId = 1
    for (const [id, each] of pending) {
      const frame = old.get(id)
      if (each._portable && frame) {
        this._pending.set(this._nextId, each)
        this._outbox.push({ ...frame, id: this._nextId++ })
      } else {
        each._stop()
        each._reject(new TwocanError('session-lost'))
      }
    }
  }

  /** Sends what waits, no faster than the server allows. */
  _pump(): void {
    const now = this._io._now()
    this._tokens = Math.min(BURST, this._tokens + ((now - this._tokensAt) / 1000) * FRAMES_PER_SECOND)
    this._tokensAt = now
    while (this._up && this._sent < this._outbox.length) {
      if (this._tokens < 1) {
        this._pumping ??= this._io._after(1000 / FRAMES_PER_SECOND, () => {
          this._pumping = undefined
          this._pump()
        })
        return
      }
      this._tokens--
      this._acked = this._seq
      this._socket!.send(JSON.stringify({ ...this._outbox[this._sent++], ack: this._seq }))
    }
  }

  _cut(code: number, reason: string): void {
    // One that was given up may get through after all, later than the one that took its place, and takes the session back.
    const final = !(this._strays && code === RESUMED) && FINAL.includes(code)
    this._strays = code === 1006
    this._up = false
    this._socket = undefined
    this._timer?.()
    if (this._done || final || !this._secret || this._attempt >= this._attemptsMax) {
      return this._end(code, reason, code === 4004 ? 'server-full' : 'unreachable')
    }
    const longest = LATER.includes(code) ? BACKOFF_MS_MAX : Math.min(BACKOFF_MS_MAX, BACKOFF_MS * 2 ** this._attempt)
    const wait = longest * (0.5 + this._io._random() / 2)
    this._timer = this._io._after(wait, () => this._dial())
    this._hooks._down(++this._attempt, wait)
  }

  /** Lets go of the socket without hearing from it again; 1000 says that we are not coming back. */
  _drop(code?: number): void {
    const socket = this._socket
    this._socket = undefined
    socket?.close(code)
  }

  _end(code: number, reason: string, error: ErrorCode): void {
    if (this._ended) return
    this._ended = true
    this._up = false
    this._forget()
    this._timer?.()
    this._pumping?.()
    this._drop(1000)
    const why = new TwocanError(error, reason || 'Out of reach, or other origin.')
    if (!this._secret) this._opened(why)
    for (const pending of this._pending.values()) {
      pending._stop()
      pending._reject(closed())
    }
    this._pending.clear()
    this._hooks._ended(code, reason)
  }
}

/** What rejects where no session or no lobby is left. */
export function closed(): TwocanError {
  return new TwocanError('closed')
}
