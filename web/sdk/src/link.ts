// The link to one other member: perfect negotiation, trickle, mending, and its channels.
//
//   connecting ── first channel opens ──> open ── falters ──> mending ── connected ──> open
//       └───────── no way found ──> failed <── no way found ──┘            any ── close, bye ──> closed

import { readCandidate } from './candidate.js'
import { Channel, type Line } from './channel.js'
import { TwocanError } from './errors.js'
import { Emitter } from './emitter.js'
import { readReport, type Figures } from './figures.js'
import { CONTROL_BYTES_MAX, cut, encode, HALF_MESSAGES_PEER_MAX, PIECE_BYTES_MAX, PIECE_BYTES_MIN, type Encoded } from './framing.js'
import type { Connection, Io } from './io/ports.js'
import { candidatesIn, Gate } from './signals.js'
import type {
  CandidateInfo,
  ChannelOptions,
  FailReason,
  JsonObject,
  Message,
  Peer,
  PeerEvents,
  PeerState,
  PeerStats,
  Received,
  Sendable,
  Trace,
} from './types.js'
import { sentence, UNREACHABLE, verdict, type Evidence } from './verdict.js'
import type { Outgoing, SignalKind } from './wire.js'

/** From the beginning to the first open channel. */
export const CONNECT_MS = 20_000
/** Of silence before a link that is up is asked whether it carries, and between two such questions. */
export const BEAT_MS = 250
/** The same where nobody says anything for long: it doubles up to this. */
export const BEAT_MS_MAX = 3_000
/** For what comes of the questions, besides two round trips: the other side's SCTP acknowledges within 200 ms, and one that is lost is not all. */
export const SILENCE_MS = 500
/** The same where the other side's page has to answer, which may be busy. */
export const REPLY_MS = 1_000
/**
 * Of that, until what the page sends is held. SCTP's timer doubles with each try (0.4, 1.2, 2.8, 6 s), and lets one packet out at a time. While that is not full, a question goes out at once: the first tells a
 * browser that does not nominate of the other way, and three acknowledgements tell SCTP what is missing.
 */
export const HOLD_MS = 100
/** Between two looks at a link that was asked, or is mended. */
export const LOOK_BEAT_MS = 100
/** Questions after each change of the browser's way, and once the link carries again, and how far apart: each has an acknowledgement of its own. */
export const PROBES = 4
/** From one question to the next where something comes while the link is mended, and no answer. */
export const ASK_MS = 500
export const PROBE_MS = 50
/** From when the browser hears nothing to when a link that was up is mended. */
export const FALTER_MS = 2_000
/** From the first sign of trouble to the end of mending. */
export const MEND_MS = 90_000
/** From the first restart to the second, besides four round trips: a browser learns of its networks a second or two late, and the first may have come before that. */
export const SECOND_MS = 1_000
/** Between two restarts while a link is mended, which come ever later up to this; whoever answered begins half of this later. */
export const RESTART_MS = 8_000
/** For a restart to bring a way, before another one takes its place where the server links us again. */
export const WITHIN_MS = 3_000
/** The same by the clock alone, in a browser that does not live through a restart within a restart: there the server says when the network is back. */
export const STAYS_MS = 15_000
/** What the restart over the link itself is given, before the ticket is used. */
export const ALONE_MS = 200
/** For relayed candidates to wait in a browser that stays with the first way that works, where it decides. */
export const RELAY_MS = 400
/** Steps of negotiation that wait for those before them; a signal that would be one more is passed over. */
export const STEPS_MAX = 256
/** From the goodbye to the end of the connection. */
export const BYE_MS = 100
/** Control messages, and channels opened besides, taken in a second; the link is closed at more. */
export const CONTROL_MAX = 500
/** Messages, or pieces of them, taken of one peer in a second, and at once; the link is closed at more, for a browser puts them all in front of the page's own work. */
export const PIECES_PER_SECOND = 10_000
export const PIECES_BURST = 20_000
/** Between two looks at the statistics, while a link comes up and when it is up. */
export const LOOK_MS = 200
export const LOOK_OPEN_MS = 2_000

/** Channels that every link has, by id. */
export const BUILT_IN = ['twocan', 'reliable', 'unreliable']

/** `Omit` and friends would lose the variants of a union. */
type Untimed<T> = T extends unknown ? Omit<T, 'at' | 'peer'> : never
export type LinkTrace = Untimed<Extract<Trace, { peer: string }>>

/** What a link needs of its lobby. */
export interface Host {
  readonly _io: Io
  readonly _channels: Record<string, ChannelOptions>
  /** Content bytes of one message: the option `maxMessage`. */
  readonly _messageMax: number
  /** Counts bytes of half-received messages, over all links. Where they are too many, the link that keeps the most loses them: false if that is this one. */
  _keep(link: Link, bytes: number): boolean
  _configuration(): RTCConfiguration
  /** Signals go over this, even if its socket is away for a moment; undefined after we left the server. */
  readonly _session: { readonly _up: boolean; _note(frame: Outgoing): void; _doubt(): void } | undefined
  /** The link needs the server again, which we have left. */
  _return(): void
  _tracing(): boolean
  _trace(link: Link, event: LinkTrace): void
  /** The link is up, or up again. */
  _opened(link: Link, first: boolean): void
  _message(link: Link, message: Message): void
  _failed(link: Link, reason: FailReason): void
  _closed(link: Link): void
}

/** An answer names the version (`o=`) of the offer that it answers: those of a link that was dead for a while come late, and in a row. */
interface Description extends RTCSessionDescriptionInit {
  offer?: number
}

interface ControlMessage {
  type?: string
  /** A `ping` that is to be answered by the page itself. */
  reply?: boolean
  kind?: SignalKind
  data?: unknown
}

export class Link extends Emitter<PeerEvents> implements Peer, Evidence, Line {
  state: PeerState = 'connecting'
  connectMs: number | undefined
  /** Undefined where the browser refuses it. */
  _pc!: Connection
  /** In the order of their ids; the control channel first. */
  _all: Channel[] = []
  _byName = new Map<string, Channel>()
  _began: number
  /** Negotiation steps, one after another. */
  _steps = Promise.resolve()
  _waiting = 0
  _gate = new Gate((ms, then) => this._after(ms, then))
  /** Signals that were passed over. */
  _discarded = 0
  /** Bytes of half-received messages. */
  _kept = 0
  _underway = 0
  _ice = false
  _left = false
  _incompatible = false
  _local = new Set<string>()
  _remote = 0
  _turnError = 0
  _online?: boolean
  _relayOnly?: boolean
  _gaveUp?: boolean
  /** `o=` line of the last description applied, as session and version. */
  _origin: [string, number] = ['', -1]
  /** The server links us with the other side in the session we have there: signals over it arrive. */
  _named = true
  /** Control messages within this second. */
  _said = 0
  /** Pieces that have not been forgotten yet, and when that was. */
  _pieces = 0
  _piecesAt = 0
  _pairStates = new Map<string, string>()
  _selectedId = ''
  /** Answers that came, by count. */
  _answers = 0
  /** Something came since the last beat; the other side answered since the link is mended. */
  _came = false
  _carries = false
  _beatMs = BEAT_MS
  /** What had come, and when, when it was first asked whether the link carries. */
  _asked: [received: number, at: number] | undefined
  /** When the browser took to the way that it takes. */
  _since = 0
  /** The last round trip that the browser told of, ms. */
  _rttMs = 0
  /** It does not carry: what the page sends waits in its channels. */
  _held = false
  /** The way that the browser takes while the link is mended, and how often it is still to be asked there. */
  _way: string | undefined
  _probes = 0
  /** When a restart began, ours or theirs, that has not brought us together yet. */
  _renewed = -WITHIN_MS
  /** The same of the one before. */
  _before = -WITHIN_MS
  /** It is looked whether the other side's offer came by another way than ours. */
  _suspects = false
  /** When it was last asked. */
  _pinged = 0
  _beating?: (() => void) | undefined
  _deadline?: (() => void) | undefined
  _restarting?: (() => void) | undefined
  _looking?: (() => void) | undefined

  constructor(
    readonly _host: Host,
    readonly id: string,
    readonly me: JsonObject,
    readonly _offers: boolean,
    readonly _polite: boolean,
  ) {
    super()
    this._began = _host._io._now()
  }

  async send(channel: string, data: Sendable): Promise<void> {
    return this._sendEncoded(channel, encode(data))
  }

  async _sendEncoded(channel: string, message: Encoded, forAll?: boolean): Promise<void> {
    const found = this._byName.get(channel)
    if (!found) throw new TwocanError('no-channel', 'No such channel.')
    return found._send(message, forAll)
  }

  async stats(): Promise<PeerStats> {
    const discarded = this._all.reduce((sum, channel) => sum + channel._reassembler._discarded, this._discarded)
    const { _stats: stats } = await this._figures()
    return { ...stats, pathMs: stats.path && Math.round(this._host._io._now() - this._since), discarded }
  }

  retry(): void {
    if (this.state === 'failed') this._mend(true)
  }

  close(): void {
    // A goodbye, as far as that can be said.
    this._hold(false)
    if (this.state !== 'closed') this._control({ type: 'bye' })
    this._close()
  }

  /** Begins: makes the connection and its channels, and the offer if that is ours to make. */
  _start(): void {
    this._limit(CONNECT_MS)
    try {
      const pc = (this._pc = this._host._io._connection(this._host._configuration()))
      pc.onicecandidate = ({ candidate }) => this._gathered(candidate)
      pc.onicecandidateerror = (event) => {
        if (/^turn/.test(event.url) && (!this._turnError || event.errorCode !== UNREACHABLE)) this._turnError = event.errorCode
        this._trace({ type: 'candidate-error', url: event.url, code: event.errorCode, message: event.errorText })
      }
      // Both sides declare their channels: one that is opened besides is nobody's.
      pc.ondatachannel = ({ channel }) => {
        channel.close()
        this._count()
      }
      pc.onconnectionstatechange = pc.oniceconnectionstatechange = pc.onsignalingstatechange = () => this._watch()

      const options: Record<string, ChannelOptions> = { unreliable: { ordered: false, maxRetransmits: 0 }, ...this._host._channels }
      const names = [...BUILT_IN, ...Object.keys(this._host._channels).sort()]
      names.forEach((name, id) => {
        const max = id ? this._host._messageMax : CONTROL_BYTES_MAX
        const channel = new Channel(pc.createDataChannel(name, { ...options[name], negotiated: true, id }), this, max, {
          _open: () => this._opened(),
          _message: (data) => (id ? this._received(name, data) : this._controlled(data as ControlMessage | null)),
          // Only the other side, or an end of its page, closes a channel of a link that is up.
          _closed: () => this._gone(),
        })
        this._all.push(channel)
        if (id) this._byName.set(name, channel)
      })

      this._look()
      if (this._offers) this._offer()
    } catch {
      // Servers or channels of the page's that this browser does not take.
      this._unfit()
    }
  }

  /** The server links us again: after it was left, or because someone came back. */
  _relink(): void {
    this._named = true
    if (this.state === 'open') void this._report(5)
    else this._mend(true)
  }

  /** A signal from the other side, over the server or over the link. */
  _signal(kind: SignalKind, data: unknown): void {
    if (this._waiting >= STEPS_MAX || !this._gate._admits(kind, data)) {
      this._discarded++
      return
    }
    this._step(async () => {
      if (kind === 'description') return this._described(data as Description)
      const candidate = kind === 'candidate' ? (data as RTCIceCandidateInit) : undefined
      const info = readCandidate(candidate?.candidate ?? '')
      await this._inTurn(info, () => {
        if (info) {
          this._remote++
          this._trace({ type: 'candidate', side: 'remote', candidate: info })
        } else {
          this._trace({ type: 'gathered', side: 'remote' })
        }
        // A candidate of an offer that was passed over does not fit, nor do all browsers take the end of them.
        return this._pc.addIceCandidate(candidate).catch(() => {})
      })
    })
  }

  /** The other side is gone for good, and said so, or the server did. */
  _gone(): void {
    if (this.state === 'closed') return
    this._left = true
    if (this.state === 'connecting' || this.state === 'mending') this._fail()
    this._close()
  }

  _after(ms: number, then: () => void): () => void {
    return this._host._io._after(ms, then)
  }

  _close(): void {
    if (this.state === 'closed') return
    this._quiet()
    this._looking?.()
    this._beating?.()
    this._become('closed')
    this._after(BYE_MS, () => this._pc?.close())
    for (const channel of this._all) channel._fail()
    this._emit('close')
    this._host._closed(this)
  }

  _configure(): void {
    try {
      this._pc.setConfiguration(this._host._configuration())
    } catch {
      // It keeps the servers that it has.
    }
  }

  _step(step: () => Promise<void>): void {
    this._waiting++
    this._steps = this._steps.then(() => {
      this._waiting--
      if (this.state !== 'closed') return step()
      return
    }).catch(() => {
      if (this.state === 'closed') return
      this._incompatible = true
      if (this.state === 'connecting') this._fail()
    })
  }

  /** This link can never work. */
  _unfit(): void {
    this._incompatible = true
    this._fail()
    this._close()
  }

  _offer(): void {
    this._step(async () => {
      await this._pc.setLocalDescription()
      this._describe()
    })
  }

  async _described(description: Description): Promise<void> {
    const pc = this._pc
    const offer = description.type === 'offer'
    const [session, version] = origin(description)
    // One that was overtaken on its way, by another over a faster one: as it is, or by the next. Or an answer to an offer before ours. Whoever says an offer again has no answer.
    if (session === this._origin[0] && version <= this._origin[1]) {
      if (offer && version === this._origin[1] && pc.localDescription?.type === 'answer') this._describe(version)
      return
    }
    if (offer ? !this._polite && pc.signalingState !== 'stable' : pc.signalingState !== 'have-local-offer') return
    if (!offer && description.offer && description.offer !== origin(pc.localDescription!)[1]) return
    this._origin = [session, version]
    this._trace({ type: 'description', side: 'remote', kind: description.type })
    if (this.state === 'failed') this._mend(false)
    await pc.setRemoteDescription(description)
    this._gate._taken(description.sdp!)
    this._remote += candidatesIn(description.sdp!)
    if (!offer) return
    this._renew()
    await pc.setLocalDescription()
    this._describe(version)
  }

  /** Sends our own description; an answer says to which offer. */
  _describe(offer?: number): void {
    const { type, sdp } = this._pc.localDescription!
    // What waits in the link belongs to the description before.
    if (this._held) this._all[0]!._clear()
    this._trace({ type: 'description', side: 'local', kind: type })
    this._send('description', { type, sdp, offer })
  }

  _gathered(candidate: RTCIceCandidate | null): void {
    if (!candidate) {
      this._trace({ type: 'gathered', side: 'local' })
      this._inTurn(undefined, () => this._send('end-of-candidates', null))
      if (this.state === 'connecting' && !this._local.size) this._fail()
      return
    }
    const info = readCandidate(candidate.candidate)
    if (!info) return
    this._local.add(info.type)
    this._trace({ type: 'candidate', side: 'local', candidate: info })
    this._inTurn(info, () => this._send('candidate', candidate.toJSON(), info.type))
  }

  /** Tells or takes a candidate, or the end of them: a relayed one later, where this browser would stay with it. */
  _inTurn(info: CandidateInfo | undefined, then: () => unknown): unknown {
    const waits = this._host._io._stays && this._offers && this._local.has('host') && (info?.type ?? 'relay') === 'relay'
    if (!waits) return then()
    this._after(RELAY_MS, () => this.state === 'closed' || then())
    return
  }

  /** Sends a signal: over the server where both are with it, else over the link itself; both ways while it is mended, for either may be cut. */
  _send(kind: SignalKind, data: unknown, type?: string): void {
    const signal: Outgoing = { type: 'signal', kind, data }
    const session = this._named ? this._host._session : undefined
    session?._note({ ...signal, to: this.id, class: type })
    if (!session || this.state === 'mending') this._control(signal)
  }

  /** The server did not pass a signal on: the other side is not there. */
  _refused({ kind, data }: Outgoing): void {
    this._named = false
    if (kind === 'description' && this.state === 'open') this._control({ type: 'signal', kind, data })
  }

  /** Says something on the control channel, as far as that can be said. */
  _control(message: Outgoing): void {
    void this._all[0]!._send(encode(message)).catch(() => {})
  }

  _watch(): void {
    const { connectionState: now, iceConnectionState: ice } = this._pc
    if (ice === 'connected' || ice === 'completed') this._ice = true
    if (now === 'connected') {
      // The other side answers checks by what it knew before: until it has answered our offer the link is not what it was.
      if (this._pc.signalingState !== 'stable') return
      if (this.state === 'open') this._quiet()
      // A browser says so for seconds after the path is gone: what carries is what the other side has answered by.
      else if (this.state === 'connecting' || this._carries) this._opened()
    } else if (now === 'failed') {
      if (this.state === 'connecting') this._fail(true)
      else if (this.state === 'open') this._mend(true)
    } else if (now === 'disconnected' && this.state === 'open') {
      this._restarting ??= this._after(FALTER_MS, () => this._mend(true))
    }
  }

  /** A channel opened, or the connection came back. */
  _opened(): void {
    if (this.state === 'open' || this.state === 'closed' || !this._all.some((each) => each._channel.readyState === 'open')) return
    if (this._pc.sctp && this._pc.sctp.maxMessageSize <= PIECE_BYTES_MIN) return this._unfit()
    const first = this.connectMs === undefined
    this._quiet()
    if (first) {
      const came = (): void => {
        this._since = this._host._io._now()
      }
      came()
      const ice = this._pc.sctp?.transport?.iceTransport
      if (ice) ice.onselectedcandidatepairchange = came
      this.connectMs = Math.round(this._host._io._now() - this._began)
      this._trace({ type: 'open', ms: this.connectMs })
    }
    this._renewed = this._before = -WITHIN_MS
    this._become('open')
    this._beatMs = BEAT_MS
    this._asked = undefined
    this._listen()
    this._host._opened(this, first)
    void this._report(5)
  }

  /** Tells the server by which way we are linked. */
  async _report(tries: number): Promise<void> {
    if (!this._host._session) return
    const selected = (await this._figures())._selected
    if (!selected && tries) {
      this._after(LOOK_MS / 2, () => void this._report(tries - 1))
    } else if (this.state === 'open' && this._host._session) {
      const { path, local, remote } = selected?._stats ?? {}
      this._host._session._note({
        type: 'linked',
        peer: this.id,
        path: path ?? 'direct',
        local: local ?? 'host',
        remote: remote ?? 'host',
        ms: this.connectMs,
      })
    }
  }

  /** The other side's page has heard us: the link carries both ways, where what comes says so of one alone. */
  _answered(): void {
    this._answers++
    if (this._carries) return
    this._carries = true
    this._probes = PROBES
    this._watch()
  }

  /** Something came. */
  _hear(channel?: Channel): boolean {
    this._came = true
    return !channel || this._count(channel)
  }

  /** Counts what comes, whatever it says: each costs the page its time. False where it is too much, and the link is closed. */
  _count(channel?: Channel): boolean {
    const now = this._host._io._now()
    this._pieces = Math.max(0, this._pieces - ((now - this._piecesAt) * PIECES_PER_SECOND) / 1000) + 1
    this._piecesAt = now
    if (!channel || channel === this._all[0]) {
      if (!this._said++) this._after(1_000, () => (this._said = 0))
    }
    if (this._said <= CONTROL_MAX && this._pieces <= PIECES_BURST) return true
    // Not a moment later: what has come already waits in the browser.
    this.close()
    this._pc.close()
    return false
  }

  /** Looks after a while whether anything comes. */
  _listen(): void {
    this._beating?.()
    const ms = this._probes ? PROBE_MS : this._asked || this._held || this.state === 'mending' ? LOOK_BEAT_MS : this._beatMs
    this._beating = this._after(ms, () => this._beat())
  }

  /**
   * Asks a silent link whether it carries. A browser says so after five to seven seconds; but whatever is sent is acknowledged by the other side's SCTP at once, also where
   * its page is busy, and that is seen in the statistics.
   */
  _beat(): void {
    const came = this._came
    this._came = false
    const { _io: io } = this._host
    const counts = io._counts
    // What comes says nothing of what goes: where that is not counted, it is asked for all the same.
    const enough = counts || (!this._asked && io._now() - this._pinged < REPLY_MS)
    if (came && enough && this.state === 'open' && !this._held) {
      this._asked = undefined
      this._beatMs = BEAT_MS
      return this._listen()
    }
    void this._figures().then(({ _received: bytes, _selected: selected }) => {
      const now = io._now()
      const received = counts ? bytes : this._answers
      const open = this.state === 'open'
      if (!open && this.state !== 'mending') return
      this._rttMs = selected?._stats.rttMs ?? this._rttMs
      const [before, at] = (this._asked ??= [received, now])
      const silentMs = now - at - 2 * this._rttMs
      const heard = (came && (counts || !open)) || before !== received
      if (!open) {
        const way = selected?._state === 'succeeded' ? selected._id : ''
        if (way && way !== this._way && this._way !== undefined) this._probes = PROBES
        else if (heard && !this._carries && now - this._pinged >= ASK_MS) this._probes ||= 1
        this._way = way
        this._asked = [received, now]
        if (this._carries && !this._probes) this._hold(false)
      } else if (heard) {
        this._asked = undefined
        if (!this._held && !came) this._beatMs = Math.min(this._beatMs * 2, BEAT_MS_MAX)
        if (!this._probes && !this._suspects) this._hold(false)
      } else {
        if (silentMs >= (counts ? SILENCE_MS : REPLY_MS)) return this._mend(true)
        // It may be the network that is gone, and with it the socket to the server.
        if (silentMs > 0) this._host._session?._doubt()
        if (silentMs > (came ? ASK_MS : HOLD_MS)) this._hold(true)
        if (at === now) this._probes = 1
      }
      if (this._probes) {
        this._probes--
        this._ping()
      }
      this._listen()
    })
  }

  /** Keeps back what the page sends, or lets it go. */
  _hold(held: boolean): void {
    this._held = held
    for (const channel of this._all) channel._pump()
  }

  /** Asks whether the link carries: by what is acknowledged, or by an answer where that cannot be seen. */
  _ping(): void {
    const { _io: io } = this._host
    this._pinged = io._now()
    this._utter({ type: 'ping', reply: !(io._counts && this.state === 'open') || undefined })
  }

  /** Says something at once, whatever is held. */
  _utter(message: Outgoing): void {
    try {
      this._all[0]!._channel.send(cut(...encode(message), 0, PIECE_BYTES_MIN))
    } catch {
      // It is not open.
    }
  }

  /** The network may be another one. */
  _doubt(): void {
    if (this.state !== 'open') return
    this._came = false
    this._asked = undefined
    this._beatMs = BEAT_MS
    this._beat()
  }

  /** The link falters, or is tried once more. */
  _mend(restart: boolean): void {
    this._quiet()
    this._ice = this._incompatible = this._left = false
    this._turnError = 0
    this._become(this.connectMs === undefined ? 'connecting' : 'mending')
    this._carries = false
    this._hold(true)
    this._way = this._asked = undefined
    this._probes = 0
    this._listen()
    this._host._session?._doubt()
    this._limit(this.state === 'mending' ? MEND_MS : CONNECT_MS)
    this._look()
    let wait = SECOND_MS + 4 * this._rttMs
    const again = (first?: boolean): void => {
      this._restart(first)
      this._restarting = this._after(wait, () => again())
      wait = Math.min(wait * 2.5, RESTART_MS)
    }
    // An offer of ours that went over the dead link must be made again, or theirs would be passed over for it.
    if (restart && (this._offers || this._pc.signalingState !== 'stable')) again(true)
    else this._restarting = this._after(RESTART_MS / 2, () => again())
    // The link's own channels are given a moment before the ticket is used.
    const alone = (): void => {
      if (this.state !== 'mending') return
      if (this._host._session) this._after(ALONE_MS, alone)
      else this._host._return()
    }
    this._after(ALONE_MS, alone)
  }

  /**
   * Restarts ICE. Who is linked anew again and again says the offer that stands once more: the answers to those that it would make came too late, each. Firefox does not live through a restart within a restart.
   */
  _restart(first?: boolean): void {
    const { _io: io } = this._host
    const now = io._now()
    const stands = this._pc.signalingState !== 'stable'
    if (io._stays ? now - this._renewed < (first ? WITHIN_MS : STAYS_MS) : first && stands && now - this._before < WITHIN_MS) {
      if (stands) this._step(async () => this._describe())
      return
    }
    this._renew()
    this._trace({ type: 'restart', via: this._host._session ? 'server' : 'link' })
    this._pc.restartIce()
    this._offer()
  }

  _renew(): void {
    this._before = this._renewed
    this._renewed = this._host._io._now()
  }

  _limit(ms: number): void {
    this._deadline = this._after(ms, () => this._fail())
  }

  /** Stops the timers of coming up and of mending. */
  _quiet(): void {
    this._deadline?.()
    this._restarting?.()
    this._deadline = this._restarting = undefined
  }

  _fail(gaveUp = false): void {
    this._quiet()
    this._online = !!this._host._session?._up
    this._relayOnly = this._host._configuration().iceTransportPolicy === 'relay'
    this._gaveUp = gaveUp
    const reason = verdict(this)
    this._become('failed')
    this._trace({ type: 'fail', reason, message: sentence(reason) })
    this._host._session?._note({ type: 'failed', peer: this.id, reason })
    this._host._failed(this, reason)
  }

  _become(state: PeerState): void {
    if (this.state === state) return
    this.state = state
    this._trace({ type: 'state', state })
    this._emit('state', state)
  }

  _controlled(message: ControlMessage | null): void {
    if (message?.type === 'bye') this._gone()
    else if (message?.reply) this._utter({ type: 'pong' })
    else if (message?.type === 'pong') this._answered()
    else if (message?.type === 'signal') {
      if (!this._host._session && message.kind === 'description') this._suspect()
      this._signal(message.kind!, message.data)
    }
  }

  /** The other side restarts over the link: it may have lost the way that we still take, where a browser goes on for seconds. Our answer waits until that is known. */
  _suspect(): void {
    if (this.state !== 'open') return
    this._suspects = true
    this._carries = false
    this._hold(true)
    void this._figures().then(({ _selected: before }) => {
      this._ping()
      this._after(LOOK_BEAT_MS + 2 * this._rttMs, () => void this._figures().then(({ _selected: after }) => {
        const idle = this._host._io._counts ? before?._id === after?._id && before?._received === after?._received : !this._carries
        this._suspects = false
        if (this.state !== 'open') return
        if (idle) this._mend(true)
        else this._hold(false)
      }))
    })
  }

  _received(channel: string, data: Received): void {
    this._emit('message', { channel, data })
    this._host._message(this, { channel, data })
  }

  _pieceMax(): number {
    return Math.max(PIECE_BYTES_MIN, Math.min(PIECE_BYTES_MAX, (this._pc.sctp?.maxMessageSize ?? PIECE_BYTES_MAX + 1) - 1))
  }

  _keep(bytes: number): boolean {
    this._kept += bytes
    return this._host._keep(this, bytes) && this._kept <= HALF_MESSAGES_PEER_MAX * this._host._messageMax
  }

  /** Drops what has come of messages that are not whole. */
  _drop(): void {
    for (const channel of this._all) channel._reassembler._spoil()
  }

  _ended(ended: Channel): void {
    for (const channel of this._all) if (channel !== ended) channel._pump()
  }

  async _figures(): Promise<Figures> {
    return readReport(await this._pc.getStats())
  }

  /** Looks at the statistics for a panel, as long as there is one. */
  _look(): void {
    this._looking?.()
    const open = this.state === 'open'
    this._looking = this._after(open ? LOOK_OPEN_MS : LOOK_MS, () => {
      if (this.state !== 'failed') this._look()
      if (this._host._tracing()) void this._figures().then((figures) => this._show(figures))
    })
  }

  _show(figures: Figures): void {
    const before = this._pairStates
    this._pairStates = new Map(figures._pairs.map(({ _id, _state }) => [_id, _state]))
    for (const { _id: id, _state: state, _pair: pair } of figures._pairs) {
      if (before.get(id) !== state) this._trace({ type: 'pair', id, state, pair })
    }
    const selected = figures._selected
    if (!selected) return
    if (selected._id !== this._selectedId) {
      this._selectedId = selected._id
      this._trace({ type: 'selected', path: selected._stats.path, pair: selected._pair })
    }
    const { rttMs } = selected._stats
    if (rttMs !== undefined) this._trace({ type: 'rtt', ms: rttMs })
  }

  _trace(event: LinkTrace): void {
    this._host._trace(this, event)
  }
}

/** The `o=` line of a description, as session and version. */
function origin({ sdp }: RTCSessionDescriptionInit): [string, number] {
  const [, session = '', version] = /^o=\S+ (\S+) (\d+)/m.exec(sdp!) ?? []
  return [session, Number(version ?? 0)]
}
