// What a candidate line says (RFC 8839 5.1), as far as a panel needs it.

import type { CandidateInfo } from './trace.js'
import type { CandidateType } from './types.js'

/** Reads `candidate:1 1 udp 2122260223 192.0.2.1 54321 typ host …`; undefined where it is something else. */
export function readCandidate(line: string): CandidateInfo | undefined {
  const [, , protocol, , address, port, , type] = line.split(' ')
  if (!type) return
  return { type: type as CandidateType, protocol: protocol!.toLowerCase(), address: address!, port: Number(port) }
}
