// A pretend outside world for tests: a clock that is told, timers that obey it, sockets and connections that only write down.

import type { Connection, Io, Socket, TicketStorage } from '../io/ports.js'

/** A socket whose other end is the test. */
export class FakeSocket {
  onopen?: () => void
  onmessage?: (event: { data: string }) => void
  onclose?: (event: { code: number; reason: string }) => void
  sent: Record<string, unknown>[] = []
  closed: number | undefined

  send(text: string): void {
    this.sent.push(JSON.parse(text) as Record<string, unknown>)
  }

  /** 1005 is what the other end sees of a close without a code. */
  close(code = 1005): void {
    this.closed = code
  }

  /** A frame from the server. */
  says(frame: object): void {
    this.onmessage?.({ data: JSON.stringify(frame) })
  }

  cut(code = 1006): void {
    this.onclose?.({ code, reason: '' })
  }
}

/** A data channel whose buffer the test empties. */
export class FakeChannel {
  readyState = 'connecting'
  bufferedAmount = 0
  bufferedAmountLowThreshold = 0
  binaryType = ''
  onopen?: () => void
  onclose?: () => void
  onmessage?: (event: { data: unknown }) => void
  onbufferedamountlow?: () => void
  sent: Uint8Array[] = []
  ordered: boolean
  maxRetransmits: number | null
  maxPacketLifeTime: number | null

  constructor(
    readonly label = '',
    readonly options: RTCDataChannelInit = {},
  ) {
    this.ordered = options.ordered ?? true
    this.maxRetransmits = options.maxRetransmits ?? null
    this.maxPacketLifeTime = options.maxPacketLifeTime ?? null
  }

  send(piece: Uint8Array): void {
    this.sent.push(piece)
    this.bufferedAmount += piece.length
  }

  open(): void {
    this.readyState = 'open'
    this.onopen?.()
  }

  drain(): void {
    this.bufferedAmount = 0
    this.onbufferedamountlow?.()
  }
}

/** A connection that negotiates words instead of sessions. */
export class FakeConnection {
  connectionState = 'new'
  iceConnectionState = 'new'
  signalingState = 'stable'
  localDescription: { type: string; sdp: string } | null = null
  remoteDescription: { type: string; sdp: string } | null = null
  sctp: { maxMessageSize: number; transport?: { state: string } } | null = null
  heard: Record<string, ((event: object) => void)[]> = {}
  onicecandidate?: (event: { candidate: unknown }) => void
  onconnectionstatechange?: () => void
  onsignalingstatechange?: () => void
  onicecandidateerror?: (event: object) => void
  ondatachannel?: (event: { channel: { close(): void } }) => void
  channels: FakeChannel[] = []
  candidates: unknown[] = []
  restarts = 0
  version = 0
  /** Whether what is sent is acknowledged. */
  carries = true
  /** Names the selected pair. */
  way = 'P'
  received = 0
  closed = false

  constructor(public configuration: RTCConfiguration) {}

  createDataChannel(label: string, options: RTCDataChannelInit): FakeChannel {
    const channel = new FakeChannel(label, options)
    this.channels.push(channel)
    return channel
  }

  setLocalDescription(): Promise<void> {
    const type = this.signalingState === 'have-remote-offer' ? 'answer' : 'offer'
    this.localDescription = { type, sdp: `o=- 1 ${++this.version} IN` }
    this.#signals(type === 'offer' ? 'have-local-offer' : 'stable')
    return Promise.resolve()
  }

  setRemoteDescription(description: { type: string; sdp: string }): Promise<void> {
    if (description.sdp === 'bad') return Promise.reject(new Error('bad'))
    this.remoteDescription = description
    this.#signals(description.type === 'offer' ? 'have-remote-offer' : 'stable')
    return Promise.resolve()
  }

  #signals(state: string): void {
    this.signalingState = state
    this.onsignalingstatechange?.()
    this.tells('signalingstatechange', {})
  }

  addEventListener(name: string, then: (event: object) => void): void {
    ;(this.heard[name] ??= []).push(then)
  }

  removeEventListener(name: string, then: (event: object) => void): void {
    this.heard[name] = this.heard[name]!.filter((other) => other !== then)
  }

  tells(name: string, event: object): void {
    for (const then of this.heard[name] ?? []) then(event)
  }

  addIceCandidate(candidate: unknown): Promise<void> {
    this.candidates.push(candidate)
    return Promise.resolve()
  }

  getStats(): Promise<object[]> {
    return Promise.resolve([
      { id: 'L', type: 'local-candidate', candidateType: 'host', protocol: 'udp' },
      { id: 'R', type: 'remote-candidate', candidateType: 'relay', protocol: 'udp' },
      { id: this.way, type: 'candidate-pair', localCandidateId: 'L', remoteCandidateId: 'R', state: 'succeeded', nominated: true, bytesReceived: (this.received += Number(this.carries)) },
    ])
  }

  setConfiguration(configuration: RTCConfiguration): void {
    this.configuration = configuration
  }

  restartIce(): void {
    this.restarts++
  }

  close(): void {
    this.closed = true
  }

  becomes(state: string): void {
    this.connectionState = state
    this.onconnectionstatechange?.()
  }
}

export class World implements Io {
  now = 0
  _stays = false
  _counts = true
  _run = 1
  /** What `_storage` keeps. */
  kept = new Map<string, string>()
  _storage: TicketStorage | undefined = {
    getItem: (key) => this.kept.get(key) ?? null,
    setItem: (key, value) => void this.kept.set(key, value),
    removeItem: (key) => void this.kept.delete(key),
  }
  urls: string[] = []
  sockets: FakeSocket[] = []
  connections: FakeConnection[] = []
  leaving: (() => void)[] = []
  changing: (() => void)[] = []
  timers: { at: number; then: () => void }[] = []

  get socket(): FakeSocket {
    return this.sockets.at(-1)!
  }

  /** Lets time pass, timer by timer. */
  pass(ms: number): void {
    const end = this.now + ms
    for (;;) {
      const next = this.timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0]
      if (!next) break
      this.timers.splice(this.timers.indexOf(next), 1)
      this.now = Math.max(this.now, next.at)
      next.then()
    }
    this.now = end
  }

  _socket(url: string): Socket {
    this.urls.push(url)
    const socket = new FakeSocket()
    // What the address says.
    const app = new URL(url).searchParams.get('app')
    if (app) socket.sent.push({ type: 'hello', id: 0, app })
    this.sockets.push(socket)
    return this.socket as unknown as Socket
  }

  _connection(configuration: RTCConfiguration): Connection {
    const connection = new FakeConnection(configuration)
    this.connections.push(connection)
    return connection as unknown as Connection
  }

  _now(): number {
    return this.now
  }

  _after(ms: number, then: () => void): () => void {
    const timer = { at: this.now + ms, then }
    this.timers.push(timer)
    return () => {
      this.timers = this.timers.filter((other) => other !== timer)
    }
  }

  _random(): number {
    return 1
  }

  _changes(then: () => void): () => void {
    this.changing.push(then)
    return () => {
      this.changing = this.changing.filter((other) => other !== then)
    }
  }

  _leaving(then: () => void): () => void {
    this.leaving.push(then)
    return () => {
      this.leaving = this.leaving.filter((other) => other !== then)
    }
  }
}

/** Lets what was promised happen. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 30; turn++) await Promise.resolve()
}
