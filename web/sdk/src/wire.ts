// Frames between this side and the server (docs/protocol.md 1).

import type { ServerCode } from './errors.js'
import type { JsonObject, LeftWhy, ListedLobby, Member, RemovedWhy } from './types.js'

/** A lobby as `joined` and `updated` tell it. */
export interface Snapshot {
  code: string
  public: boolean
  password: boolean
  locked: boolean
  sealed: boolean
  size: number
  owner: string
  data: JsonObject
  members: Member[]
}

export type SignalKind = 'description' | 'candidate' | 'end-of-candidates'

export interface Ice {
  servers: RTCIceServer[]
  /** Seconds. */
  expires: number
}

export interface Welcome {
  type: 'welcome'
  seq: number
  session: string
  peer: string
  resumed: boolean
  /** Our highest frame that the server has handled. */
  received: number
}

export interface Joined {
  type: 'joined'
  /** Our own name in the lobby. */
  peer: string
  lobby: Snapshot
  /** The way back to our seat; absent where a completed lobby is returned to, to which there is one already. */
  ticket?: string
}

/** What answers a request. */
export type Reply =
  | { type: 'ok' }
  | { type: 'pong' }
  | { type: 'error'; code: ServerCode; message: string; retry?: number }
  | Joined
  | { type: 'lobbies'; total: number; lobbies: ListedLobby[] }

/** What comes by itself. */
export type Happening =
  | { type: 'listed'; lobby: ListedLobby }
  | { type: 'unlisted'; code: string }
  | ({ type: 'ice' } & Ice)
  | { type: 'arrived'; member: Member }
  | { type: 'away'; peer: string }
  | { type: 'back' | 'member'; member: Member }
  | { type: 'link'; peer: string; role: 'offer' | 'answer'; polite: boolean; run?: number }
  | { type: 'signal'; from: string; kind: SignalKind; data: unknown }
  | { type: 'left'; peer: string; why: LeftWhy }
  | { type: 'owner'; peer: string }
  | { type: 'updated'; lobby: Snapshot }
  | { type: 'removed'; why: RemovedWhy }
  | { type: 'sealed'; within: number }
  | { type: 'unsealed'; missing: [string, string][] }
  | { type: 'complete'; ticket: string; ice: Ice }

/** A numbered frame from the server. */
export type ServerFrame = (Reply | Happening) & { seq: number; id?: number }

/** A frame of ours, before it is numbered. */
export type Outgoing = { type: string } & JsonObject

/** What the two say on the control channel (docs/protocol.md 2). */
export interface ControlMessage {
  type?: string
  /** A `ping` that is to be answered by the page itself. */
  reply?: boolean
  kind?: SignalKind
  data?: unknown
}
