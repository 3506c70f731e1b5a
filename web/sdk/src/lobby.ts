// A lobby: its members, the links to them, and the way out of the server.

import { TwocanError } from './errors.js'
import { Emitter } from './emitter.js'
import type { Io } from './io/ports.js'
import { encode, HALF_MESSAGES_LOBBY_MAX, MESSAGE_BYTES, type Encoded } from './framing.js'
import { Link, type Host } from './link.js'
import { closed, SEATED_ATTEMPTS_MAX, Session } from './session.js'
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
} from './types.js'
import { sentence } from './verdict.js'
import type { Happening, Ice, Joined, Outgoing, Snapshot } from './wire.js'

type Mutable = { -readonly [K in keyof Member]: Member[K] }

/** What all links may cost the page in a second, in messages as they come (or pieces of them): a browser puts them all in front of the page's own work, of which so many take a third. */
export const COST_PER_SECOND = 16_000
/** While it is more, what one link may cost: beyond, it is closed. */
export const COST_MAX = 20_000
/** Reloads of others that are followed, in one lobby. */
export const RUNS_MAX = 100
/** Messages that wait for a listener, bytes; and what one of JSON counts for in them. */
export const EARLY_BYTES_MAX = 4 * 1024 * 1024
const EARLY_COST = 1024
/** From one return to the server to the next, while a link is down and the other side is not back. */
export const RETURN_MS = 4_000
/** The same where nothing is mended, and somebody is waited for. */
export const LOOK_MS = 12_000

/** What outlives the page. */
export interface Kept {
  ticket: string
  /** Of a lobby that is opened again. */
  data?: JsonObject
  me?: JsonObject | undefined
}

/** Under which it is kept. */
export const keyOf = ({ app }: ConnectOptions): string => `twocan ${app}`

export class Room extends Emitter<LobbyEvents> implements Lobby, Host {
  code!: string
  owner!: string
  members: Mutable[] = []
  data!: JsonObject
  size!: number
  locked!: boolean
  public!: boolean
  password!: boolean
  state: LobbyState = 'open'
  readonly me: string
  readonly peers = new Map<string, Link>()
  readonly all = {
    send: (channel: string, data: Sendable): Promise<Link[]> => this._encode(data, async (message) => {
      const missed: Link[] = []
      const send = (link: Link): Promise<void> =>
        link._sendEncoded(channel, message, true).catch((error: TwocanError) => {
          if (error.code === 'backlog') missed.push(link)
          else if (error.code !== 'link-closed') throw error
        })
      const open = [...this.peers.values()].filter((link) => link.state === 'open' || link.state === 'mending')
      if (!open.length && !this._alone) {
        this._alone = true
        console.warn('twocan: all.send: nobody is linked')
      }
      await Promise.all(open.map(send))
      return missed
    }),
  }
  readonly _io: Io
  readonly _channels: Record<string, ChannelOptions>
  readonly _messageMax: number
  /** Bytes of half-received messages, over all links. */
  _kept = 0
  /** What links have cost beyond that, and when that was. */
  _cost = 0
  _costAt = 0
  /** Undefined once the server let go of us, and we of it. */
  _session: Session | undefined
  _url: string
  _ice: RTCIceServer[] = []
  ticket = ''
  _returning = false
  /** Messages that nobody has listened to yet, what they cost, and links of which nobody was told. */
  _early: [Link, Message][] = []
  /** It has been said that what is sent to all goes to nobody. */
  _alone = false
  _earlyBytes = 0
  _unmet: Link[] = []
  /** Whom we have had a link with, and how often another one took its place. */
  _linked = new Set<string>()
  _runs = 0
  /** Blobs that are read, and what waits behind them. */
  _reading: Promise<Encoded> | undefined
  /** Whoever waits for `start`. */
  _starting: ((error?: TwocanError) => void)[] = []
  _forget: () => void

  constructor(
    session: Session,
    joined: Joined,
    readonly _options: ConnectOptions,
    ticket: string,
  ) {
    super()
    this._io = session._io
    this._url = session._url
    this._session = session
    this.me = joined.peer
    this._channels = _options.channels ?? {}
    this._messageMax = _options.maxMessage ?? MESSAGE_BYTES
    session._attemptsMax = SEATED_ATTEMPTS_MAX
    this.ticket = ticket
    this._take(joined)
    if (!joined.ticket) {
      this.state = 'complete'
      this._returning = true
    }
    const all = [this._io._leaving(() => this._unload()), this._io._changes(() => this.peers.forEach((link) => link._doubt()))]
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

  setMe(me: JsonObject): Promise<void> {
    return this._ask({ type: 'me', me })
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
      case 'away':
        return this._presence(frame.peer, true)
      case 'back':
      case 'member': {
        const member = this._member(frame.member.peer)
        if (!member) return
        member.me = frame.member.me
        if (frame.type === 'back') return this._presence(member.peer, false)
        if (member.peer === this.me) this._keepTicket()
        return this._emit('member', member)
      }
      case 'link':
        return this._link(frame)
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
        if (frame.type === 'sealed') {
          this.state = 'sealed'
          return this._emit('sealed', frame.within)
        }
        this.state = 'open'
        if (this.isOwner) this._finish(new TwocanError('unsealed'))
        return this._emit('unsealed', frame.missing)
    }
  }

  _refused(signal: Outgoing): void {
    this.peers.get(signal.to as string)?._refused(signal)
  }

  /** The session has ended: as it should after `complete`, else it is lost with what it held. */
  _sessionEnded(code: number): void {
    this._emit('server', 'closed', code)
    if (this.state === 'complete') {
      this._session = undefined
      if (this._returning) {
        this._returning = false
        this._io._after((this._mending(true) ? RETURN_MS : LOOK_MS) * (1 + this._io._random()), () => this._return())
      }
    } else if (this.state !== 'gone') this._removed('session-lost')
  }

  /** We are out; after a kick without the links, else with those that are up. */
  _removed(why: RemovedWhy): void {
    if (this.state === 'gone') return
    this._end(why === 'session-lost' ? new TwocanError(why) : closed(), why !== 'kicked')
    for (const link of [...this.peers.values()]) {
      if (why === 'kicked') link.close()
      else if (link.state === 'connecting' && !link._pc.remoteDescription) link._fail()
    }
    this._emit('removed', why)
  }

  /** The server is there again, and so is the network: what is mended need not wait for the clock, where that is slow. */
  _resumed(kept: boolean): void {
    this._emit('server', 'resumed')
    if (!kept) {
      // Forgotten: our seat by ticket, or the lobby opened again.
      const { ticket, data, _io: io } = this
      const { me } = this._member(this.me)!
      this._session!._request({ type: 'return', ticket, data, me, run: io._run }, (reply) => this._take(reply as Joined), true).catch(() => this._removed('session-lost'))
    }
    if (this._io._stays) for (const link of this.peers.values()) if (link._mends) link._restart(true)
  }

  // What links ask of their lobby.

  /** What is sent behind a Blob waits until that is read. */
  async _encode<T>(data: Sendable, then: (message: Encoded) => Promise<T>): Promise<T> {
    const isBlob = data instanceof Blob
    if (!isBlob && !this._reading) return then(encode(data))
    const read = isBlob ? data.arrayBuffer().then(encode) : encode(typeof data === 'object' && data && ArrayBuffer.isView(data) ? structuredClone(data) : data)
    const turn = (this._reading = Promise.all([read, this._reading?.catch(() => {})]).then(([message]) => message))
    const message = await turn.finally(() => {
      if (this._reading === turn) this._reading = undefined
    })
    return then(message)
  }

  _keep(link: Link, bytes: number): boolean {
    this._kept += bytes
    if (this._kept <= HALF_MESSAGES_LOBBY_MAX * this._messageMax) return true
    const most = [...this.peers.values()].reduce((one, two) => (two._kept > one._kept ? two : one), link)
    if (most !== link) most._drop()
    return most !== link
  }

  _spend(link: Link, cost: number): boolean {
    const now = this._io._now()
    this._cost -= ((now - this._costAt) * COST_PER_SECOND) / 1000
    this._costAt = now
    if (this._cost <= 0) {
      this._cost = 0
      for (const each of this.peers.values()) each._spent = 0
    }
    this._cost += cost
    link._spent += cost
    if (link._spent <= COST_MAX) return true
    link._flood()
    return false
  }

  _configuration(): RTCConfiguration {
    return {
      iceServers: [...this._ice, ...(this._options.iceServers ?? [])],
      iceTransportPolicy: this._options.iceTransportPolicy ?? 'all',
    }
  }

  _opened(link: Link, first: boolean): void {
    if (first && this._listeners.peer) this._emit('peer', link)
    else if (first) this._unmet.push(link)
    if (this.state === 'complete') this._presence(link.id, false)
    // After a return the server completes once more, unless the others never missed us.
    if (this._returning) this._io._after(RETURN_MS, () => this._settle())
  }

  _anew(link: Link, generation: number, offers: boolean, crowded = false): Link {
    const next = new Link(this, link.id, link.me, offers, link._polite, link._run, generation)
    // What the other side may say is counted as before.
    next._gate = link._gate
    next._spent = link._spent
    next._crowded = crowded
    if (offers || link.state === 'connecting') next._ends = link._ends - this._io._now()
    this._begin(next)
    link._close()
    return next
  }

  _begin(link: Link): void {
    this.peers.set(link.id, link)
    link._start()
    this._emit('link', link)
  }

  /** Tells a message, or keeps it until somebody listens. */
  _message(link: Link, message: Message): void {
    if (this._listeners.message || link._listeners.message) {
      link._emit('message', message)
      return this._emit('message', message, link)
    }
    const bytes = (message.data as { length?: number } | null)?.length ?? EARLY_COST
    this._earlyBytes += bytes
    if (!this._early.length || this._earlyBytes <= EARLY_BYTES_MAX) this._early.push([link, message])
    else if (this._earlyBytes - bytes <= EARLY_BYTES_MAX) console.warn('twocan: messages are lost, for nobody listens to "message"')
  }

  override _catchUp(): void {
    if (this._listeners.peer) for (const link of this._unmet.splice(0)) if (this.peers.get(link.id) === link) this._emit('peer', link)
    this._earlyBytes = 0
    for (const [link, message] of this._early.splice(0)) this._message(link, message)
  }

  _failed(link: Link, reason: FailReason): void {
    this._emit('fail', { peer: link.id, reason, message: sentence(reason) })
    this._settle()
  }

  _closed(link: Link): void {
    if (this.peers.get(link.id) !== link) return
    this.peers.delete(link.id)
    // Once the server has let go, only the link itself tells.
    if (this.state === 'complete') this._left(link.id, this._member(link.id)?.away ? 'lost' : 'left')
    this._settle()
  }

  /** The other side's page is closed or reloaded, or it could not be reached for long: it may come back. */
  _away(link: Link): void {
    if (this.state === 'complete') this._presence(link.id, true)
  }

  /** Back to the server by ticket, for as long as some link is down. */
  _return(): void {
    if (this._returning || !this.ticket || this.state !== 'complete' || !this._mending()) return
    this._returning = true
    this._emit('server', 'returning')
    const session = new Session(this._io, this._url, this._options.app, {
      _happening: (frame) => this._happening(frame),
      _refused: (signal) => this._refused(signal),
      _down: () => {},
      _up: (kept) => {
        if (!kept) session._close()
      },
      _ended: (code) => this._sessionEnded(code),
    })
    session
      ._open()
      .then(() => session._request({ type: 'return', ticket: this.ticket, me: this._member(this.me)?.me, run: this._io._run }, () => void (this._session = session)))
      .then(() => this._settle())
      .catch((error: TwocanError) => {
        if (error.code === 'bad-ticket') this.ticket = ''
        session._close()
      })
  }

  _mending(only = false): boolean {
    return [...this.peers.values()].some((link) => link.state === 'mending' || link.state === 'connecting' || (!only && link._awaited))
  }

  /** Nothing is left to mend: whoever came back to the server for that leaves it again. */
  _settle(): void {
    if (this._returning && !this._mending()) this._session?._close()
  }

  _member(peer: string): Mutable | undefined {
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
    this._keepTicket()
  }

  /** We have a seat: the first time, or again. */
  _take({ lobby, ticket = this.ticket }: Joined): void {
    const before = this.members
    this.ticket = ticket
    this._apply(lobby)
    if (!before.length) {
      if (lobby.sealed) this.state = 'sealed'
      return
    }
    for (const member of before) if (!this._member(member.peer)) this._emit('leave', member, 'lost')
    for (const member of lobby.members) if (!before.some(({ peer }) => peer === member.peer)) this._emit('arrive', member)
    if (this.state === 'sealed') this._happening({ type: 'unsealed', missing: [] })
    this._emit('update')
  }

  _keepTicket(): void {
    const { ticket, data } = this
    const kept: Kept = { ticket, data, me: this._member(this.me)?.me }
    if (ticket) this._io._storage?.setItem(keyOf(this._options), JSON.stringify(kept))
  }

  /** The page is closed, or reloaded: with a way back it says that it may come, and without it leaves. */
  _unload(): void {
    if (!this._io._storage) return void this.leave()
    for (const link of this.peers.values()) link._utter({ type: 'away' })
    this._session?._unload()
  }

  _presence(peer: string, away: boolean): void {
    const member = this._member(peer)
    if (!member || !member.away === !away) return
    member.away = away
    this._emit(away ? 'away' : 'back', member)
  }

  _renew(ice: Ice): void {
    this._ice = ice.servers
    for (const link of this.peers.values()) link._configure()
  }

  _link({ peer, role, polite, run }: Happening & { type: 'link' }): void {
    const known = this.peers.get(peer)
    if (known && known._run === run) return known._relink()
    // Each run of another's page takes a connection of ours, of which a browser has 500.
    if (this._linked.has(peer) && ++this._runs > RUNS_MAX) return
    this._linked.add(peer)
    this._begin(new Link(this, peer, this._member(peer)?.me ?? {}, role === 'offer', polite, run))
    // Of a page that was reloaded nothing of the one before is left.
    known?._close()
  }

  _complete(ticket: string, ice: Ice): void {
    this.ticket = ticket
    this._keepTicket()
    this._renew(ice)
    for (const link of this.peers.values()) link._named = false
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
    this.ticket = ''
    this._io._storage?.removeItem(keyOf(this._options))
    if (!staying) this._forget()
    if (this._returning) this._session?._close()
    this._session = undefined
    this._finish(error)
  }
}
