// The link to one other member: perfect negotiation, trickle, mending, and its channels.
//
//   connecting ── first channel opens ──> open ── falters ──> mending ── connected ──> open
//       └───────── no way found ──> failed <── no way found ──┘            any ── close, bye ──> closed

import { Channel, type Line } from './channel.js'
import { TwocanError } from './errors.js'
import { Emitter } from './emitter.js'
import { readReport, type Figures } from './figures.js'
import { CONTROL_BYTES_MAX, cut, encode, HALF_MESSAGES_PEER_MAX, PIECE_BYTES_MAX, PIECE_BYTES_MIN, type Encoded } from './framing.js'
import type { Connection, Io } from './io/ports.js'
import { candidatesIn, candidateType, Gate, origin } from './signals.js'
import {
  ALONE_MS,
  ANEW_DOUBLINGS,
  ANEW_MS,
  ASK_MS,
  AWAY_MS,
  BEAT_MS,
  BEAT_MS_MAX,
  BYE_MS,
  CONNECT_MS,
  CONTROL_COST,
  CROWD,
  CROWD_MS,
  FALTER_MS,
  HOLD_MS,
  LOOK_BEAT_MS,
  MEND_MS,
  PROBES,
  PROBE_MS,
  RELAY_MS,
  RELOAD_MS,
  REPLY_MS,
  REPORT_MS,
  RESTART_MS,
  SECOND_MS,
  SILENCE_MS,
  STAYS_MS,
  STEPS_MAX,
  WITHIN_MS,
} from './times.js'
import type {
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
} from './types.js'
import { UNREACHABLE, verdict, type Evidence } from './verdict.js'
import type { ControlMessage, Outgoing, SignalKind } from './wire.js'

/** Channels that every link has, by id. */
export const BUILT_IN = ['twocan', 'reliable', 'unreliable']

/** What a link needs of its lobby. */
export interface Host {
  readonly _io: Io
  readonly _channels: Record<string, ChannelOptions>
  /** Content bytes of one message: the option `maxMessage`. */
  readonly _messageMax: number
  /** Counts bytes of half-received messages, over all links. Where they are too many, the link that keeps the most loses them: false if that is this one. */
  _keep(link: Link, bytes: number): boolean
  /** Counts what comes, over all links; false where this one has cost too much, and is closed. */
  _spend(link: Link, cost: number): boolean
  _configuration(): RTCConfiguration
  /** Has a value ready to be sent, in its turn. */
  _encode<T>(data: Sendable, then: (message: Encoded) => Promise<T>): Promise<T>
  /** The link begins anew, with a connection of its own: ours is dead, or theirs was. */
  _anew(link: Link, generation: number, offers: boolean, crowded?: boolean): Link
  /** Signals go over this, even if its socket is away for a moment; undefined after we left the server. */
  readonly _session: { readonly _up: boolean; readonly _doubted: boolean; _note(frame: Outgoing): void; _doubt(): void } | undefined
  /** The other side may come back: its page is closed or reloaded, or it could not be reached for long. */
  _away(link: Link): void
  /** Nothing may be left to mend, or to wait for. */
  _settle(): void
  /** The link needs the server again, which we have left. */
  _return(): void
  /** The link is up, or up again. */
  _opened(link: Link, first: boolean): void
  _message(link: Link, message: Message): void
  /** Somebody listens now, perhaps to what waits. */
  _catchUp(): void
  _failed(link: Link, reason: FailReason): void
  _closed(link: Link): void
}

/** An answer names the version (`o=`) of the offer that it answers: those of a link that was dead for a while come late, and in a row. */
interface Description extends RTCSessionDescriptionInit {
  offer?: number
  /** How often this link has begun anew: what belongs to a connection of before, or to a later one, does not fit. */
  anew?: number | undefined
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
  /** It has said that its page is closed or reloaded; it is waited for at the server. */
  _unloads = false
  _awaited = false
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
  /** What it has cost since all of them were last within what they may. */
  _spent = 0
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
  /** Relays alone are tried: all else came to nothing but ever more candidates. */
  _crowded = false
  _crowding?: (() => void) | undefined
  _beating?: (() => void) | undefined
  /** Where it would be restarted another connection takes its place: its DTLS is dead, or it is such a one and has not come up yet. */
  _replaces: boolean
  /** When `_deadline` is; before, for a connection that takes another one's place, in how long. */
  _ends = MEND_MS
  /** It is mended, or comes up anew: for longer, and by way of the server where that was left. */
  _mends = false
  _deadline?: (() => void) | undefined
  _restarting?: (() => void) | undefined

  constructor(
    readonly _host: Host,
    readonly id: string,
    readonly me: JsonObject,
    public _offers: boolean,
    readonly _polite: boolean,
    /** Which run of the other side's page it is with. */
    readonly _run: number | undefined,
    readonly _generation = 0,
  ) {
    super()
    this._began = _host._io._now()
    this._replaces = !!_generation
  }

  async send(channel: string, data: Sendable): Promise<void> {
    return this._host._encode(data, (message) => this._sendEncoded(channel, message))
  }

  async _sendEncoded(channel: string, message: Encoded, forAll?: boolean): Promise<void> {
    const found = this._byName.get(channel)
    if (!found) throw new TwocanError('no-channel')
    return found._send(message, forAll)
  }

  async stats(): Promise<PeerStats> {
    const discarded = this._all.reduce((sum, channel) => sum + channel._reassembler._discarded, this._discarded)
    const { _stats: stats } = await this._figures()
    return { ...stats, pathMs: stats.path && Math.round(this._host._io._now() - this._since), discarded }
  }

  retry(): void {
    if (this.state !== 'failed') return
    this._offers ||= this._replaces
    this._mend(true)
  }

  close(): void {
    // A goodbye, as far as that can be said.
    this._hold(false)
    if (this.state !== 'closed') this._control({ type: 'bye' })
    this._close()
  }

  /** Begins: makes the connection and its channels, and the offer if that is ours to make. */
  _start(): void {
    this._limit(this._replaces ? this._ends : CONNECT_MS)
    try {
      const pc = (this._pc = this._host._io._connection(this._configuration()))
      pc.onicecandidate = ({ candidate }) => this._gathered(candidate)
      pc.onicecandidateerror = (event) => {
        if (/^turn/.test(event.url) && (!this._turnError || event.errorCode !== UNREACHABLE)) this._turnError = event.errorCode
      }
      // Both sides declare their channels: one that is opened besides is nobody's.
      pc.ondatachannel = ({ channel }) => {
        channel.close()
        this._spend(CONTROL_COST)
      }
      pc.onconnectionstatechange = pc.onsignalingstatechange = () => this._watch()

      const options: Record<string, ChannelOptions> = { unreliable: { ordered: false, maxRetransmits: 0 }, ...this._host._channels }
      const names = [...BUILT_IN, ...Object.keys(this._host._channels).sort()]
      names.forEach((name, id) => {
        const max = id ? this._host._messageMax : CONTROL_BYTES_MAX
        const channel = new Channel(pc.createDataChannel(name, { ...options[name], negotiated: true, id }), this, max, {
          _open: () => this._opened(),
          _message: (data) => (id ? this._received(name, data) : this._controlled(data as ControlMessage | null)),
          _closed: () => this._cut(),
        })
        this._all.push(channel)
        if (id) this._byName.set(name, channel)
      })

      if (this._offers) this._offer()
      this._uncrowd()
      this._mends = this._replaces
      if (this._mends) this._again(RESTART_MS, RESTART_MS)
    } catch {
      // Servers or channels of the page's that this browser does not take.
      this._unfit()
    }
  }

  /** The server links us again: after it was left, or because someone came back. */
  _relink(): void {
    this._named = true
    if (this.state === 'open') void this._report(5)
    else if (this._replaces) this._restart()
    else this._mend(true)
  }

  /** A signal from the other side, over the server or over the link. */
  _signal(kind: SignalKind, data: unknown): void {
    if (this._waiting >= STEPS_MAX || !this._gate._admits(kind, data)) this._discarded++
    else this._take(kind, data)
  }

  _take(kind: SignalKind, data: unknown): void {
    if (kind === 'description') {
      const generation = +((data as Description).anew ?? 0)
      // Those that follow belong to it, too.
      if (generation > this._generation && this._ages(ANEW_MS / 2)) this._host._anew(this, generation, false)._take(kind, data)
      if (generation !== this._generation) return
    }
    this._step(async () => {
      if (kind === 'description') return this._described(data as Description)
      const candidate = kind === 'candidate' ? (data as RTCIceCandidateInit) : undefined
      await this._inTurn(candidateType(candidate?.candidate), () => {
        if (candidate) this._remote++
        // A candidate of an offer that was passed over does not fit, nor do all browsers take the end of them.
        return this._pc.addIceCandidate(candidate).catch(() => {})
      })
    })
  }

  /** A channel of a link that is up was closed: by the other side, or by the end of its page; else DTLS is dead, as in a Firefox whose address is gone, and the other side may be there. */
  _cut(): void {
    if (this.state === 'closed' || this._unloads) return
    if (this._pc.sctp?.transport?.state !== 'failed' || (this.connectMs === undefined && !this._generation)) return this._gone()
    this._replaces = this._offers = true
    this._mend(true)
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
    this._beating?.()
    this._become('closed')
    this._after(BYE_MS, () => this._pc?.close())
    for (const channel of this._all) channel._fail()
    this._emit('close')
    this._host._closed(this)
  }

  _configuration(): RTCConfiguration {
    const configuration = this._host._configuration()
    return this._crowded ? { ...configuration, iceTransportPolicy: 'relay' } : configuration
  }

  _configure(): void {
    try {
      this._pc.setConfiguration(this._configuration())
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
    this._send('description', { type, sdp, offer, anew: this._generation || undefined })
  }

  _gathered(candidate: RTCIceCandidate | null): void {
    if (!candidate) {
      this._inTurn(undefined, () => this._send('end-of-candidates', null))
      if (this.state === 'connecting' && !this._local.size && !this._replaces) this._fail()
      return
    }
    const type = candidateType(candidate.candidate)
    if (!type) return
    this._local.add(type)
    this._inTurn(type, () => this._send('candidate', candidate.toJSON(), type))
  }

  /** Tells or takes a candidate, or the end of them: a relayed one later, where this browser would stay with it. */
  _inTurn(type: string | undefined, then: () => unknown): unknown {
    const waits = this._host._io._stays && this._offers && this._local.has('host') && (type ?? 'relay') === 'relay'
    if (!waits) return then()
    this._after(RELAY_MS, () => this.state === 'closed' || then())
    return
  }

  /** Sends a signal: over the server where both are with it, else over the link itself; both ways while it is mended, for either may be cut. */
  _send(kind: SignalKind, data: unknown, type?: string): void {
    const signal: Outgoing = { type: 'signal', kind, data }
    const session = this._named ? this._host._session : undefined
    session?._note({ ...signal, to: this.id, class: type })
    // A server whose socket is away may never be back, while the link carries.
    if (!session?._up && this.state !== 'connecting' || this.state === 'mending') this._control(signal)
  }

  /** The server did not pass a signal on: the other side is not there. What went over the link as well is known there. */
  _refused({ kind, data }: Outgoing): void {
    this._named = false
    if (this.state !== 'connecting') this._control({ type: 'signal', kind, data })
  }

  /** Says something on the control channel, as far as that can be said. */
  _control(message: Outgoing): void {
    void this._all[0]!._send(encode(message)).catch(() => {})
  }

  _watch(): void {
    const { connectionState: now } = this._pc
    if (now === 'connected') {
      // The other side answers checks by what it knew before: until it has answered our offer the link is not what it was.
      if (this._pc.signalingState !== 'stable') {
        // Nobody else makes it anew, and theirs are passed over for it.
        if (this.state === 'open') this._restarting ??= this._after(RESTART_MS, () => this._mend(true))
      } else if (this.state === 'open') this._quiet()
      // A browser says so for seconds after the path is gone: what carries is what the other side has answered by.
      else if (this.state === 'connecting' || this._carries) this._opened()
    } else if (now === 'failed') {
      if (this.state === 'connecting' && !this._replaces) this._fail(true)
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
    }
    this._renewed = this._before = -WITHIN_MS
    if (this._crowded) {
      this._crowded = false
      this._configure()
    }
    this._replaces = this._awaited = this._unloads = false
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
      this._after(REPORT_MS, () => void this._report(tries - 1))
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

  /** Something came: it counts, whatever it says. */
  _hear(channel: Channel): boolean {
    this._came = true
    return this._spend(channel === this._all[0] ? CONTROL_COST : 1)
  }

  _spend(cost: number): boolean {
    return this._host._spend(this, cost)
  }

  /** It costs too much. Not a moment later: what has come already waits in the browser. */
  _flood(): void {
    this.close()
    this._pc.close()
  }

  /** Whether another connection may take the place of this one, where the first may after `ms`. */
  _ages(ms: number): boolean {
    return this._host._io._now() - this._began > ms * 2 ** Math.min(this._generation, ANEW_DOUBLINGS)
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
  _ping(reply = !(this._host._io._counts && this.state === 'open')): void {
    this._pinged = this._host._io._now()
    this._utter({ type: 'ping', reply: reply || undefined })
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
    this._incompatible = this._left = false
    this._turnError = 0
    this._become(this.connectMs === undefined ? 'connecting' : 'mending')
    this._mends = true
    this._carries = false
    this._hold(true)
    this._way = this._asked = undefined
    this._probes = 0
    this._listen()
    this._uncrowd()
    this._host._session?._doubt()
    this._limit(this.state === 'mending' ? MEND_MS : CONNECT_MS)
    const wait = SECOND_MS + 4 * this._rttMs
    // An offer of ours that went over the dead link must be made again, or theirs would be passed over for it.
    if (restart && (this._offers || this._pc.signalingState !== 'stable')) {
      this._again(wait, wait * 2.5)
      this._restart(true)
    } else this._again(RESTART_MS / 2, wait)
    // The link's own channels are given a moment before the ticket is used.
    const alone = (): void => {
      if (!this._mends) return
      if (this._host._session) this._after(ALONE_MS, alone)
      else this._host._return()
    }
    this._after(ALONE_MS, alone)
  }

  /**
   * Restarts ICE. Who is linked anew again and again says the offer that stands once more: the answers to those that it would make came too late, each. Firefox does not live through a restart within a restart.
   */
  _restart(first?: boolean): void {
    const { _io: io, _session: session } = this._host
    const now = io._now()
    // With the network of before its offer would be of no use; the server says when there is one.
    if (this._replaces) {
      if (!session) this._host._return()
      else if (session._up && !session._doubted && this._named && this._offers && this._ages(ANEW_MS)) this._host._anew(this, this._generation + 1, true)
      return
    }
    const stands = this._pc.signalingState !== 'stable'
    if (io._stays ? now - this._renewed < (first ? WITHIN_MS : STAYS_MS) : first && stands && now - this._before < WITHIN_MS) {
      if (stands) this._step(async () => this._describe())
      return
    }
    this._renew()
    this._pc.restartIce()
    this._offer()
  }

  /** Looks from time to time whether candidates come without end, and begins anew by relays alone: a restart would leave the checks of before to go on. */
  _uncrowd(): void {
    this._crowding?.()
    this._crowding = this._after(CROWD_MS, () => void this._figures().then(({ _pairs: pairs }) => {
      if (this.state !== 'connecting' && this.state !== 'mending') return
      const crowd = new Set(pairs.map(({ _remote: remote }) => remote).filter((remote) => remote.candidateType === 'prflx'))
      const { _session: session } = this._host
      if (this._offers && crowd.size >= CROWD && session?._up && this._named) this._host._anew(this, this._generation + 1, true, true)
      else this._uncrowd()
    }))
  }

  /** Restarts after so long, and then after `next` and ever longer. */
  _again(ms: number, next: number): void {
    this._restarting = this._after(ms, () => {
      this._again(Math.min(next, RESTART_MS), next * 2.5)
      this._restart()
    })
  }

  _renew(): void {
    this._before = this._renewed
    this._renewed = this._host._io._now()
  }

  _limit(ms: number): void {
    this._ends = this._host._io._now() + ms
    this._deadline = this._after(ms, () => this._fail())
  }

  /** Stops the timers of coming up and of mending. */
  _quiet(): void {
    this._deadline?.()
    this._restarting?.()
    this._deadline = this._restarting = undefined
    this._mends = false
  }

  _fail(gaveUp = false): void {
    this._quiet()
    this._online = !!this._host._session?._up
    this._relayOnly = this._configuration().iceTransportPolicy === 'relay'
    this._gaveUp = gaveUp
    // `connected` or `completed`.
    this._ice = /^co/.test(this._pc?.iceConnectionState)
    const reason = verdict(this)
    if (this.connectMs !== undefined && !this._left) {
      // Its device may sleep, or have no network.
      this._awaited = true
      this._after(AWAY_MS, () => {
        this._awaited = false
        this._host._settle()
      })
      this._host._away(this)
      if (!this._host._session) this._host._return()
    }
    this._become('failed')
    this._host._session?._note({ type: 'failed', peer: this.id, reason })
    this._host._failed(this, reason)
  }

  _become(state: PeerState): void {
    if (this.state === state) return
    this.state = state
    this._emit('state', state)
  }

  _controlled(message: ControlMessage | null): void {
    if (message?.type === 'bye') this._gone()
    else if (message?.type === 'away') this._unloading()
    else if (message?.reply) this._utter({ type: 'pong' })
    else if (message?.type === 'pong') this._answered()
    else if (message?.type === 'signal') {
      if (!this._host._session?._up && message.kind === 'description') this._suspect()
      this._signal(message.kind!, message.data)
    }
  }

  /** The other side's page is closed or reloaded: another run of it may be there in a moment. */
  _unloading(): void {
    this._unloads = true
    this._host._away(this)
    this._mend(false)
    this._deadline?.()
    this._deadline = this._after(RELOAD_MS, () => this._gone())
  }

  /** The other side restarts over the link: it may have lost the way that we still take, where a browser goes on for seconds. Our answer waits until that is known. */
  _suspect(): void {
    if (this.state !== 'open' || this._suspects) return
    this._suspects = true
    this._carries = false
    this._hold(true)
    this._ping(true)
    this._after(LOOK_BEAT_MS + 2 * this._rttMs, () => {
      this._suspects = false
      if (this.state !== 'open') return
      if (this._carries) this._hold(false)
      else this._mend(true)
    })
  }

  _received(channel: string, data: Received): void {
    this._host._message(this, { channel, data })
  }

  override _catchUp(): void {
    this._host._catchUp()
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
}
