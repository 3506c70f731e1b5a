// Our side of the server: a session while one is needed, and the lobby and the list that hang on it.

import { TwocanError } from './errors.js'
import { Emitter } from './emitter.js'
import type { Io } from './io/ports.js'
import type { LiveList } from './list.js'
import { keyOf, Room, type Kept } from './lobby.js'
import { Session } from './session.js'
import type {
  ConnectOptions,
  CreateOptions,
  JoinOptions,
  JsonObject,
  Lobby,
  ListPage,
  LobbyList,
  Net,
  NetEvents,
  QuickOptions,
} from './types.js'
import type { Joined, Outgoing, Reply } from './wire.js'

/** Codes after which there is no seat to come back to. */
const LOST = ['bad-ticket', 'kicked', 'full', 'locked', 'sealed']

export class Client extends Emitter<NetEvents> implements Net {
  peer = ''
  _session: Session | undefined
  /** The latest, which may not be open yet. */
  _dialed: Session | undefined
  _opening: Promise<Session> | undefined
  _room: Room | undefined
  _list: { _list: LiveList; _asks: ListPage & { filter: JsonObject } } | undefined

  constructor(
    readonly _io: Io,
    readonly _url: string,
    readonly _options: ConnectOptions,
  ) {
    super()
  }

  create(options: CreateOptions = {}): Promise<Lobby> {
    return this._enter({ type: 'create', ...options })
  }

  join(code: string, options: JoinOptions = {}): Promise<Lobby> {
    return this._enter({ type: 'join', code, ...options })
  }

  quick(filter: JsonObject = {}, options: QuickOptions = {}): Promise<Lobby> {
    return this._enter({ type: 'quick', filter, data: filter, ...options })
  }

  async rejoin(ticket?: string): Promise<Lobby | undefined> {
    const kept: Kept | undefined = ticket ? { ticket } : JSON.parse(this._io._storage?.getItem(keyOf(this._options)) ?? 'null')
    if (!kept) return
    try {
      return await this._enter({ type: 'return', ...kept })
    } catch (error) {
      if (ticket || !LOST.includes((error as TwocanError).code)) throw error
      this._io._storage!.removeItem(keyOf(this._options))
      return
    }
  }

  async lobbies(filter: JsonObject = {}, page: ListPage = {}): Promise<LobbyList> {
    // Not every page has a list.
    const list = import('./list.js').catch(() => {
      throw new TwocanError('unreachable', 'No list.')
    })
    const [{ LiveList }] = await Promise.all([list, this._ready()])
    this._list?._list._stop()
    const entry = {
      _asks: { filter, ...page },
      _list: new LiveList(() => {
        if (this._list !== entry) return
        this._list = undefined
        void this._session?._request({ type: 'unwatch' }, () => {}).catch(() => {})
      }),
    }
    this._list = entry
    await this._watch()
    return entry._list
  }

  close(): void {
    if (this._room?.state !== 'complete') void this._room?.leave()
    this._dialed?._close()
  }

  /** A session that is alive; opens one if there is none. */
  _ready(): Promise<Session> {
    if (this._session && !this._session._ended && !this._session._done) return Promise.resolve(this._session)
    return (this._opening ??= this._open().finally(() => {
      this._opening = undefined
    }))
  }

  async _open(): Promise<Session> {
    const session = new Session(this._io, this._url, this._options.app, {
      _happening: (frame) => {
        this._list?._list._happening(frame)
        if (this._room?._session === session) this._room._happening(frame)
      },
      _refused: (signal) => this._ours(session)?._refused(signal),
      _down: (attempt, inMs) => {
        this._ours(session)?._emit('server', 'reconnecting')
        this._emit('reconnecting', attempt, inMs)
      },
      _up: (kept) => {
        this.peer = session._peer
        this._ours(session)?._resumed(kept)
        if (!kept && this._list) void this._watch().catch(() => {})
        this._emit('resumed', kept)
      },
      _ended: (code, reason) => {
        // The list and the lobby may be those of a newer session.
        if (this._session !== session) return
        this._list?._list._stop()
        this._room?._sessionEnded(code)
        this._list = this._room = undefined
        this._emit('closed', code, reason)
      },
    })
    this._dialed = session
    await session._open()
    this._session = session
    this.peer = session._peer
    return session
  }

  _ours(session: Session): Room | undefined {
    return this._room?._session === session ? this._room : undefined
  }

  _watch(): Promise<void> {
    const { _list: list, _asks: asks } = this._list!
    return this._session!._request(
      { type: 'list', ...asks, watch: true },
      (reply: Reply) => {
        if (reply.type === 'lobbies') list._fill(reply.lobbies, reply.total)
      },
    )
  }

  async _enter(frame: Outgoing): Promise<Lobby> {
    const session = await this._ready()
    return session._request(
      { me: this._options.me, run: this._io._run, ...frame },
      (reply) => {
        // Entering ends the list.
        this._list?._list._stop()
        this._list = undefined
        return (this._room = new Room(session, reply as Joined, this._options, frame.ticket as string))
      },
      true,
    )
  }
}
