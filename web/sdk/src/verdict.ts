// Why a link failed, from what was seen of it.

import type { FailReason } from './types.js'

/** What was seen of a link that failed. */
export interface Evidence {
  /** The other side said that it leaves. */
  _left: boolean
  /** A description could not be applied. */
  _incompatible: boolean
  /** A pair was found, so what failed came after ICE. */
  _ice: boolean
  /** The server could be reached when it failed. */
  _online?: boolean
  /** Candidates gathered, by type. */
  _local: ReadonlySet<string>
  /** Candidates received. */
  _remote: number
  /** Code of the last `icecandidateerror` of a TURN server, one that answered if any did; 0 without. */
  _turnError: number
  /** Only relayed candidates are wanted. */
  _relayOnly?: boolean
  /** ICE gave up by itself, before our time ran out. */
  _gaveUp?: boolean
}

/** 701: no answer from the server (W3C webrtc, RTCPeerConnectionIceErrorEvent). All others are STUN error codes. */
export const UNREACHABLE = 701

const SENTENCES: Record<FailReason, string> = {
  'no-candidates': 'No address here.',
  'no-remote-candidates': 'No address there.',
  'turn-rejected': 'No direct way, and the relay refused.',
  'turn-unreachable': 'No direct way, and the relay is out of reach.',
  'checks-failed': 'No way worked.',
  timeout: 'No way in time.',
  'dtls-failed': 'No secure way.',
  'peer-left': 'The other side left.',
  'signaling-lost': 'No server.',
  incompatible: 'Incompatible.',
}

export function verdict(seen: Evidence): FailReason {
  if (seen._left) return 'peer-left'
  if (seen._incompatible) return 'incompatible'
  if (seen._ice) return 'dtls-failed'
  if (!seen._online) return 'signaling-lost'
  const relayMissing = seen._turnError && !seen._local.has('relay')
  if (relayMissing && (seen._remote > 0 || seen._relayOnly)) {
    return seen._turnError === UNREACHABLE ? 'turn-unreachable' : 'turn-rejected'
  }
  if (!seen._local.size) return 'no-candidates'
  if (!seen._remote) return 'no-remote-candidates'
  return seen._gaveUp ? 'checks-failed' : 'timeout'
}

/** The reason for a person. */
export function sentence(reason: FailReason): string {
  return SENTENCES[reason]
}
