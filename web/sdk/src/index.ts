// The package's front door: `connect`, and the types of what it gives.

import { TwocanError } from './errors.js'
import { MESSAGE_BYTES, MESSAGE_BYTES_MAX, MESSAGE_BYTES_MIN } from './framing.js'
import { browserIo, socketUrl } from './io/browser.js'
import { BUILT_IN } from './link.js'
import { Client } from './net.js'
import type { ConnectOptions, Net } from './types.js'

export type * from './types.js'
export { TwocanError }
export type { ErrorCode, LocalCode, ServerCode } from './errors.js'

/**
 * Opens a session at the server.
 *
 * `url` is `wss://host` or `https://host/path` (the socket is at `/v1` below it), or empty for the server that this page came from.
 * Rejects with `no-webrtc` where the browser cannot, `bad-url`, `bad-value`, `unreachable` or `server-full`.
 */
export async function connect(url: string | URL | Location, options: ConnectOptions): Promise<Net> {
  const taken = BUILT_IN.find((name) => options.channels?.[name])
  if (taken) throw new TwocanError('bad-value', `${taken} is taken.`)
  const { maxMessage = MESSAGE_BYTES } = options
  if (!(maxMessage >= MESSAGE_BYTES_MIN && maxMessage <= MESSAGE_BYTES_MAX)) throw new TwocanError('bad-value', 'Bad maxMessage.')
  const client = new Client(browserIo(options), socketUrl(url), options)
  await client._ready()
  return client
}
