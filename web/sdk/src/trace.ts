// What happens on the links of a lobby, as it happens: for a panel, and for whoever looks for what went wrong. An entry of its own, `twocan/trace`.

import { readCandidate } from './candidate.js'
import { readReport, type Row } from './figures.js'
import type { Connection } from './io/ports.js'
import type { Link } from './link.js'
import type { Room } from './lobby.js'
import type { CandidateType, FailReason, Lobby, Path, PeerState, ServerState, Unsubscribe } from './types.js'

/** Between two looks at the statistics, while a link comes up and when it is up. */
export const LOOK_MS = 200
export const LOOK_OPEN_MS = 2_000

/** A candidate, as a panel shows it. */
export interface CandidateInfo {
  type: CandidateType
  /** `udp` or `tcp`. */
  protocol: string
  /** IP address, or an mDNS name, or empty where the browser hides it. */
  address: string
  port: number
}

/** A pair of candidates, as a panel shows it. */
export interface PairInfo {
  local: CandidateInfo
  remote: CandidateInfo
}

/** What happened, with its time in milliseconds since `trace` was called. */
export type Trace = { at: number } & (
  | { type: 'link'; peer: string; role: 'offer' | 'answer'; polite: boolean }
  | { type: 'description'; peer: string; side: 'local' | 'remote'; kind: string }
  | { type: 'candidate'; peer: string; side: 'local' | 'remote'; candidate: CandidateInfo }
  | { type: 'candidate-error'; peer: string; url: string; code: number; message: string }
  | { type: 'gathered'; peer: string; side: 'local' | 'remote' }
  | { type: 'pair'; peer: string; id: string; state: 'waiting' | 'tried' | 'succeeded' | 'failed'; pair: PairInfo }
  | { type: 'selected'; peer: string; path: Path; pair: PairInfo }
  | { type: 'open'; peer: string; ms: number }
  | { type: 'rtt'; peer: string; ms: number }
  | { type: 'state'; peer: string; state: PeerState }
  | { type: 'restart'; peer: string; via: 'server' | 'link' }
  | { type: 'fail'; peer: string; reason: FailReason; message: string }
  | { type: 'server'; state: ServerState | 'sealed' | 'unsealed' | 'complete'; code?: number | undefined }
)

/** `Omit` would lose the variants of a union. */
type Untimed<T> = T extends unknown ? Omit<T, 'at' | 'peer'> : never
type LinkTrace = Untimed<Extract<Trace, { peer: string }>>

/** Tells `listener` what happens in `lobby` from now on, until the function returned is called. Meanwhile the statistics of each link are read every 2 s, and five times a second while it comes up. */
export function trace(lobby: Lobby, listener: (event: Trace) => void): Unsubscribe {
  const room = lobby as Room
  const began = room._io._now()
  const tell = (event: Untimed<Trace>): void => listener({ at: Math.round(room._io._now() - began), ...event } as Trace)
  const tracers = new Map<string, Tracer>()
  const begin = (link: Link): void => {
    tracers.get(link.id)?._stop()
    tracers.set(link.id, new Tracer(room, link, (event) => tell({ peer: link.id, ...event } as Trace)))
  }
  room.peers.forEach(begin)
  const stops = [
    room.on('link', (peer) => begin(peer as Link)),
    room.on('fail', ({ peer, ...failure }) => tracers.get(peer)?._tell({ type: 'fail', ...failure })),
    room.on('server', (state, code) => tell({ type: 'server', state, code })),
    ...(['sealed', 'unsealed', 'complete'] as const).map((state) => room.on(state, () => tell({ type: 'server', state }))),
  ]
  return () => {
    for (const stop of stops) stop()
    for (const tracer of tracers.values()) tracer._stop()
  }
}

/** Watches one link from outside: by the events of its connection, by the calls that have none, and by its statistics. */
class Tracer {
  _pairStates = new Map<string, string | undefined>()
  _selectedId = ''
  _signaling = 'stable'
  _opened: boolean
  _looking?: Unsubscribe
  _stops: (() => unknown)[] = []

  constructor(
    readonly _room: Room,
    readonly _link: Link,
    readonly _tell: (event: LinkTrace) => void,
  ) {
    const { _pc: pc, _offers: offers, _polite: polite } = _link
    _tell({ type: 'link', role: offers ? 'offer' : 'answer', polite })
    this._opened = _link.connectMs !== undefined
    this._stops.push(_link.on('state', (state) => this._state(state)))
    if (!pc || _link.state === 'closed') return
    this._on(pc, 'signalingstatechange', () => this._described())
    this._on(pc, 'icecandidate', ({ candidate }) => this._candidate('local', candidate?.candidate))
    this._on(pc, 'icecandidateerror', ({ url, errorCode: code, errorText: message }) => _tell({ type: 'candidate-error', url, code, message }))
    this._before(pc, 'addIceCandidate', (candidate) => this._candidate('remote', candidate?.candidate))
    this._before(pc, 'restartIce', () => _tell({ type: 'restart', via: _room._session ? 'server' : 'link' }))
    this._look()
  }

  _stop(): void {
    this._looking?.()
    for (const stop of this._stops) stop()
  }

  _on<K extends keyof RTCPeerConnectionEventMap>(pc: Connection, name: K, then: (event: RTCPeerConnectionEventMap[K]) => void): void {
    pc.addEventListener(name, then)
    this._stops.push(() => pc.removeEventListener(name, then))
  }

  /** Tells of a call before it is made. It stays in its place: another tracer may have come on top of it. */
  _before(pc: Connection, name: 'addIceCandidate' | 'restartIce', tell: (candidate?: RTCIceCandidateInit | null) => void): void {
    const call = pc[name] as (candidate?: RTCIceCandidateInit | null) => unknown
    let heard = true
    Object.assign(pc, {
      [name](candidate?: RTCIceCandidateInit | null): unknown {
        if (heard) tell(candidate)
        return call.call(pc, candidate)
      },
    })
    this._stops.push(() => (heard = false))
  }

  _state(state: PeerState): void {
    const { connectMs: ms } = this._link
    if (!this._opened && ms !== undefined) {
      this._opened = true
      this._tell({ type: 'open', ms })
    }
    this._tell({ type: 'state', state })
    if (state === 'closed') this._stop()
    else this._look()
  }

  /** A description was set: whose, the state before and after says. */
  _described(): void {
    const before = this._signaling
    this._signaling = this._link._pc.signalingState
    const [, side, kind] = /^have-(\w+)-(\w+)/.exec(this._signaling) ?? []
    if (kind) this._tell({ type: 'description', side: side as 'local' | 'remote', kind })
    else if (this._signaling === 'stable') this._tell({ type: 'description', side: before === 'have-local-offer' ? 'remote' : 'local', kind: 'answer' })
  }

  _candidate(side: 'local' | 'remote', line = ''): void {
    const candidate = readCandidate(line)
    this._tell(candidate ? { type: 'candidate', side, candidate } : { type: 'gathered', side })
  }

  _look(ms = LOOK_MS): void {
    this._looking?.()
    this._looking = this._room._io._after(ms, () => {
      const { state } = this._link
      if (state !== 'failed') this._look(state === 'open' ? LOOK_OPEN_MS : LOOK_MS)
      void this._link._figures().then((figures) => this._show(figures))
    })
  }

  _show({ _pairs: pairs, _selected: selected }: ReturnType<typeof readReport>): void {
    const before = this._pairStates
    this._pairStates = new Map(pairs.map(({ _id, _state }) => [_id, _state]))
    for (const each of pairs) {
      const { _id: id, _state: state } = each
      const shown = state === 'succeeded' || state === 'failed' ? state : state === 'in-progress' ? 'tried' : 'waiting'
      if (before.get(id) !== state) this._tell({ type: 'pair', id, state: shown, pair: pairOf(each) })
    }
    if (!selected) return
    if (selected._id !== this._selectedId) {
      this._selectedId = selected._id
      this._tell({ type: 'selected', path: selected._stats.path, pair: pairOf(selected) })
    }
    const { rttMs } = selected._stats
    if (rttMs !== undefined) this._tell({ type: 'rtt', ms: rttMs })
  }
}

function pairOf({ _local: local, _remote: remote }: { _local: Row; _remote: Row }): PairInfo {
  return { local: infoOf(local), remote: infoOf(remote) }
}

function infoOf(row: Row): CandidateInfo {
  return { type: row.candidateType!, protocol: row.protocol!, address: row.address ?? row.ip ?? '', port: row.port ?? 0 }
}
