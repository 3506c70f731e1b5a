// The one error of the package, with a code that a program can match.

/** Codes that the server answers with; their meaning stands in docs/protocol.md 1.7. */
export type ServerCode =
  | 'bad-message'
  | 'bad-value'
  | 'not-found'
  | 'full'
  | 'locked'
  | 'sealed'
  | 'already-in-lobby'
  | 'not-in-lobby'
  | 'not-owner'
  | 'no-such-peer'
  | 'no-link'
  | 'alone'
  | 'kicked'
  | 'bad-ticket'
  | 'rate-limited'
  | 'too-many-lobbies'
  | 'shutting-down'

/** Codes that this side gives. */
export type LocalCode =
  /** This browser has no `RTCPeerConnection` or no `WebSocket`. */
  | 'no-webrtc'
  /** The address given to `connect` is not one. */
  | 'bad-url'
  /** No socket to the server could be opened. */
  | 'unreachable'
  /** The server, or this address's share of it, is full. */
  | 'server-full'
  /** The server did not answer in time. */
  | 'timeout'
  /** The session or the lobby was closed first. */
  | 'closed'
  /** The server no longer knows this session. */
  | 'session-lost'
  /** Some pair did not link in time, so the lobby is open again. */
  | 'unsealed'
  /** No channel of this name was declared. */
  | 'no-channel'
  /** The message is longer than the channel can carry. */
  | 'too-large'
  /** More waits to be sent than a channel holds: await `send`. */
  | 'backlog'
  /** The link is closed. */
  | 'link-closed'

export type ErrorCode = ServerCode | LocalCode

/** What rejects a promise of this package. */
export class TwocanError extends Error {
  override readonly name = 'TwocanError'

  constructor(
    /** For a program; stable. */
    readonly code: ErrorCode,
    /** For a person; where the code says it all, its words. */
    message = code.replace('-', ' '),
    /** Seconds after which to try again, with `rate-limited`. */
    readonly retry?: number,
  ) {
    super(message)
  }
}
