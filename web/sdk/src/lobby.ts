// A lobby: its members, the links to them, and the way out of the server.

import { TwocanError } from './errors.js'
import { Emitter } from './emitter.js'
import type { Io } from './io/ports.js'
import { encode, HALF_MESSAGES_LOBBY_MAX, MESSAGE_BYTES } from './framing.js'
import { Link, type Host, type LinkTrace } from './link.js'
import { closed, FORGOTTEN, Session } from './session.js'
import type {
  ChannelOptions,
  ConnectOptions,
  FailReason,
  JsonObject,
  LeftWhy,
  Lobby,
  LobbyEvents,
  LobbyState,
  Member,
  Message,
  Peer,
  RemovedWhy,
  Sendable,
  Trace,
} from './types.js'
import { sentence } from './verdict.js'
import type { Happening, Ice, Outgoing, Snapshot } from './wire.js'

/** From one return to the server to the next, while a link is down and the other side is not back. */
export const RETURN_MS = 4_000

type ServerState = Extract<Trace, { type: 'server' }>['state']

export class Room extends Emitter<LobbyEvents> implements Lobby, Host {
  code!: string
  owner!: string
  members: Member[] = []
  data!: JsonObject
  size!: number
  locked!: boolean
  public!: boolean
  password!: boolean
  state: LobbyState = 'open'
  readonly me: string
  readonly peers = new Map<string, Link>()
  readonly all = {
    send: async (channel: string, data: Sendable): Promise<Link[]> => {
      const message = encode(data)
      const missed: Link[] = []
      const send = (link: Link): Promise<void> =>
        link._sendEncoded(channel, message, true).catch((error: TwocanError) => {
          if (error.code === 'backlog') missed.push(link)
          else if (error.code !== 'link-closed') throw error
        })
      const open = [...this.peers.values()].filter((link) => link.state === 'open' || link.state === 'mending')
      await Promise.all(open.map(send))
      return missed
    },
  }
  readonly _io: Io
  readonly _channels: Record<string, ChannelOptions>
  readonly _messageMax: number
  /** Bytes of half-received messages, over all links. */
  _kept = 0
  /** Undefined once the server let go of us, and we of it. */
  _session: Session | undefined
  _url: string
  _began: number
  _ice: RTCIceServer[] = []
  _ticket = ''
  _returning = false
  /** Whoever waits for `start`. */
  _starting: ((error?: TwocanError) => void)[] = []
  _forget: () => void

  constructor(
    session: Session,
    snapshot: Snapshot,
    readonly _options: ConnectOptions,
  ) {
    super()
    this._io = session._io
    this._url = session._url
    this._session = session
    this.me = session._peer
    this._channels = _options.channels ?? {}
    this._messageMax = _options.maxMessage ?? MESSAGE_BYTES
    this._began = this._io._now()
    this._apply(snapshot)
    const all = [this._io._leaving(() => void this.leave()), this._io._changes(() => this.peers.forEach((link) => link._doubt()))]
    this._forget = () => all.forEach((stop) => stop())
  }

  get isOwner(): boolean {
    return this.owner === this.me
  }

  async start(): Promise<void> {
    if (this.state === 'complete') return
    if (this.state === 'gone') throw closed()
    const done = new Promise<void>((resolve, reject) => this._starting.push((error) => (error ? reject(error) : resolve())))
    done.catch(() => {})
    if (this.isOwner && this.state === 'open') await this._ask({ type: 'seal' })
    return done
  }

  async leave(): Promise<void> {
    const up = this._session?._up
    const left = this._ask({ type: 'leave' }).catch(() => {})
    this._end(closed())
    for (const link of [...this.peers.values()]) link.close()
    // A server that is not there hears of it when it is back.
    if (up) await left
  }

  kick(peer: string | Peer, options?: { ban?: boolean }): Promise<void> {
    return this._ask({ type: 'kick', peer: typeof peer === 'string' ? peer : peer.id, ...options })
  }

  lock(locked = true): Promise<void> {
    return this._ask({ type: 'update', locked })
  }

  update(change: { data?: JsonObject; public?: boolean }): Promise<void> {
    return this._ask({ type: 'update', ...change })
  }

  /** Something happened at the server. */
  _happening(frame: Happening): void {
    switch (frame.type) {
      case 'ice':
        return this._renew(frame)
      case 'arrived':
        if (this._member(frame.member.peer)) return
        this.members = [...this.members, frame.member]
        return this._emit('arrive', frame.member)
      case 'link':
        return this._link(frame.peer, frame.role, frame.polite)
      case 'signal':
        return this.peers.get(frame.from)?._signal(frame.kind, frame.data)
      case 'left': {
        const link = this.peers.get(frame.peer)
        if (link) link._named = false
        // In a lobby that we returned to, whoever is done with mending leaves; the links stay.
        if (this.state === 'complete' && frame.why !== 'kicked') return
        // A member that the server lost may well be there still.
        if (frame.why !== 'lost' || link?.state !== 'open') link?._gone()
        return this._left(frame.peer, frame.why)
      }
      case 'owner':
        this.owner = frame.peer
        return this._emit('owner', frame.peer)
      case 'updated':
        this._apply(frame.lobby)
        return this._emit('update')
      case 'removed':
        return this._removed(frame.why)
      case 'complete':
        return this._complete(frame.ticket, frame.ice)
      case 'sealed':
      case 'unsealed':
        // A lobby that we returned to stays what it was for those in it.
        if (this.state === 'complete') return
        this._serverTrace(frame.type)
        if (frame.type === 'sealed') {
          this.state = 'sealed'
          return this._emit('sealed', frame.within)
        }
        this.state = 'open'
        if (this.isOwner) this._finish(new TwocanError('unsealed', 'Not all were linked.'))
        return this._emit('unsealed', frame.missing)
    }
  }

  _refused(signal: Outgoing): void {
    this.peers.get(signal.to as string)?._refused(signal)
  }

  /** The session has ended: as it should after `complete`, else it is lost with what it held. */
  _sessionEnded(code: number): void {
    this._serverTrace('closed', code)
    if (this.state === 'complete') this._session = undefined
    else if (this.state !== 'gone') this._removed('session-lost')
  }

  /** We are out; after a kick without the links, else with those that are up. */
  _removed(why: RemovedWhy): void {
    if (this.state === 'gone') return
    this._end(why === 'session-lost' ? new TwocanError(why, FORGOTTEN) : closed(), why !== 'kicked')
    for (const link of [...this.peers.values()]) {
      if (why === 'kicked') link.close()
      else if (link.state === 'connecting' && !link._pc.remoteDescription) link._fail()
    }
    this._emit('removed', why)
  }

  /** The server is there again, and so is the network: what is mended need not wait for the clock, where that is slow. */
  _resumed(): void {
    this._serverTrace('resumed')
    if (this._io._stays) for (const link of this.peers.values()) if (link.state === 'mending') link._restart(true)
  }

  _serverTrace(state: ServerState, code?: number): void {
    this._emit('trace', { at: this._at(), type: 'server', state, code })
  }

  // What links ask of their lobby.

  _keep(link: Link, bytes: number): boolean {
    this._kept += bytes
    if (this._kept <= HALF_MESSAGES_LOBBY_MAX * this._messageMax) return true
    const most = [...this.peers.values()].reduce((one, two) => (two._kept > one._kept ? two : one), link)
    if (most !== link) most._drop()
    return most !== link
  }

  _configuration(): RTCConfiguration {
    return {
      iceServers: [...this._ice, ...(this._options.iceServers ?? [])],
      iceTransportPolicy: this._options.iceTransportPolicy ?? 'all',
    }
  }

  _tracing(): boolean {
    return this._heard('trace')
  }

  _trace(link: Link, event: LinkTrace): void {
    this._emit('trace', { at: this._at(), peer: link.id, ...event } as Trace)
  }

  _opened(link: Link, first: boolean): void {
    if (first) this._emit('peer', link)
    // After a return the server completes once more, unless the others never missed us.
    if (this._returning) this._io._after(RETURN_MS, () => this._settle())
  }

  _message(link: Link, message: Message): void {
    this._emit('message', message, link)
  }

  _failed(link: Link, reason: FailReason): void {
    this._emit('fail', { peer: link.id, reason, message: sentence(reason) })
    this._settle()
  }

  _closed(link: Link): void {
    this.peers.delete(link.id)
    // Once the server has let go, only the link itself tells.
    if (this.state === 'complete') this._left(link.id, 'left')
    this._settle()
  }

  /** Back to the server by ticket, for as long as some link is down. */
  _return(): void {
    if (this._returning || !this._ticket || !this._mending()) return
    this._returning = true
    this._serverTrace('returning')
    const session = new Session(this._io, this._url, this._options.app, {
      _happening: (frame) => this._happening(frame),
      _refused: (signal) => this._refused(signal),
      _down: () => {},
      _up: (kept) => {
        if (!kept) session._close()
      },
      _ended: (code) => {
        this._serverTrace('closed', code)
        if (this._session === session) this._session = undefined
        this._returning = false
        this._io._after(RETURN_MS * (1 + this._io._random()), () => this._return())
      },
    })
    session
      ._open()
      .then(() => session._request({ type: 'return', ticket: this._ticket }, () => void (this._session = session)))
      .then(() => this._settle())
      .catch((error: TwocanError) => {
        if (error.code === 'bad-ticket') this._ticket = ''
        session._close()
      })
  }

  _mending(): boolean {
    return [...this.peers.values()].some((link) => link.state === 'mending' || link.state === 'connecting')
  }

  /** Nothing is left to mend: whoever came back to the server for that leaves it again. */
  _settle(): void {
    if (this._returning && !this._mending()) this._session?._close()
  }

  _at(): number {
    return Math.round(this._io._now() - this._began)
  }

  _member(peer: string): Member | undefined {
    return this.members.find((member) => member.peer === peer)
  }

  _left(peer: string, why: LeftWhy): void {
    const member = this._member(peer)
    if (!member) return
    this.members = this.members.filter((other) => other !== member)
    this._emit('leave', member, why)
  }

  _ask(frame: Outgoing): Promise<void> {
    return this._session ? this._session._request(frame, () => {}) : Promise.reject(closed())
  }

  _apply(snapshot: Snapshot): void {
    const { sealed: _sealed, ...rest } = snapshot
    Object.assign(this, rest)
  }

  _renew(ice: Ice): void {
    this._ice = ice.servers
    for (const link of this.peers.values()) link._configure()
  }

  _link(peer: string, role: 'offer' | 'answer', polite: boolean): void {
    const known = this.peers.get(peer)
    if (known) return known._relink()
    const link = new Link(this, peer, this._member(peer)?.me ?? {}, role === 'offer', polite)
    this.peers.set(peer, link)
    link._trace({ type: 'link', role, polite })
    link._start()
  }

  _complete(ticket: string, ice: Ice): void {
    this._ticket = ticket
    this._renew(ice)
    for (const link of this.peers.values()) link._named = false
    this._serverTrace('complete')
    // The server closes the socket next; nothing more is said to it.
    if (this._session) this._session._done = true
    this._session = undefined
    if (this._returning) return
    this.state = 'complete'
    this._emit('complete')
    this._finish()
  }

  _finish(error?: TwocanError): void {
    for (const each of this._starting.splice(0)) each(error)
  }

  _end(error: TwocanError, staying = false): void {
    this.state = 'gone'
    this._ticket = ''
    if (!staying) this._forget()
    if (this._returning) this._session?._close()
    this._session = undefined
    this._finish(error)
  }
}
