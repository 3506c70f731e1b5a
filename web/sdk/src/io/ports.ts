// What the rest asks of the outside world; browser.ts gives it, tests give another.

export type Connection = RTCPeerConnection
export type ConnectionClass = typeof RTCPeerConnection
export type Socket = WebSocket
export type SocketClass = typeof WebSocket

/** What keeps the way back to a seat, as `sessionStorage` does. */
export type TicketStorage = Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>

export interface Io {
  /** A socket to the server, about to open. */
  _socket(url: string): Socket
  _connection(configuration: RTCConfiguration): Connection
  /** Milliseconds on a clock that never goes back. */
  _now(): number
  /** Runs `then` after `ms`, unless the function returned is called first. */
  _after(ms: number, then: () => void): () => void
  /** Where this browser decides on the way, it stays with the first that works, be it a relay. */
  readonly _stays: boolean
  /** Its statistics count what is acknowledged, and not what ICE hears. */
  readonly _counts: boolean
  /** 0 to 1. */
  _random(): number
  /** Runs `then` when the network may be another one, unless the function returned is called first. */
  _changes(then: () => void): () => void
  /** Names this run of the page. */
  readonly _run: number
  /** Where the way back to a seat outlives the page; undefined: nowhere. */
  readonly _storage: TicketStorage | undefined
  /** Runs `then` when the page goes away, unless the function returned is called first. */
  _leaving(then: () => void): () => void
}
