// The outside world, as a browser has it.

import { TwocanError } from '../errors.js'
import type { ConnectOptions } from '../types.js'
import type { Io } from './ports.js'

const SUBPROTOCOL = 'twocan.v1'

/** Throws `no-webrtc` where something is missing. */
export function browserIo(options: ConnectOptions): Io {
  const Socket = options.WebSocket ?? globalThis.WebSocket
  const Connection = options.RTCPeerConnection ?? globalThis.RTCPeerConnection
  if (!Socket || !Connection) throw new TwocanError('no-webrtc')
  return {
    _socket: (url) => new Socket(url, SUBPROTOCOL),
    _connection: (configuration) => new Connection(configuration),
    _now: () => performance.now(),
    _after(ms, then) {
      const timer = setTimeout(then, ms)
      return () => clearTimeout(timer)
    },
    _stays: /Firefox/.test(globalThis.navigator?.userAgent),
    _counts: /Safari/.test(globalThis.navigator?.userAgent),
    _random: Math.random,
    _run: Math.floor(Math.random() * 2 ** 32),
    _storage: storage(options),
    _leaving: (then) => on(globalThis, 'pagehide', then),
    _changes(then) {
      // A phone that wakes has none of these but the last.
      const page: Partial<typeof globalThis> = globalThis
      const all = [on(globalThis, 'online', then), on((page.navigator as { connection?: EventTarget } | undefined)?.connection, 'change', then), on(page.document, 'visibilitychange', then)]
      return () => all.forEach((stop) => stop())
    },
  }
}

function storage({ storage }: ConnectOptions): Io['_storage'] {
  try {
    return (storage === undefined ? globalThis.sessionStorage : storage) ?? undefined
  } catch {
    // A page that may keep nothing.
    return
  }
}

function on(target: EventTarget | undefined, name: string, then: () => void): () => void {
  target?.addEventListener?.(name, then)
  return () => target?.removeEventListener?.(name, then)
}

/** The socket's address: `/v1` below the given place; without one, where a server of this page's origin gave us this module, or at the origin itself. Throws `bad-url`. */
export function socketUrl(url: string | URL | Location, module = import.meta.url): string {
  try {
    const page = globalThis.location?.href
    const given = (url !== globalThis.location && String(url)) || (page && module.startsWith(new URL('/', page).href) && module.match(/(.*\/)twocan\.js$/)?.[1]) || '/'
    const address = new URL(given, page)
    address.protocol = address.protocol.replace('http', 'ws')
    if (!/^wss?:$/.test(address.protocol)) throw 0
    address.pathname = address.pathname.replace(/(\/v1)?\/*$/, '/v1')
    address.search = address.hash = ''
    return address.href
  } catch {
    throw new TwocanError('bad-url')
  }
}
