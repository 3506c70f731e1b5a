// What the other side signals, as far as it is read: nothing odd, nothing long, and not too much of it.

import type { SignalKind } from './wire.js'

/** Descriptions taken from the other side within so long; each may come by two ways, more are passed over. */
export const DESCRIPTIONS_MAX = 20
export const DESCRIPTIONS_MS = 10_000
/** Characters of a description. */
export const SDP_LENGTH_MAX = 32 * 1024
/** Candidates taken from the other side for one generation (`ice-ufrag`) of its descriptions, those in them included; the end of them counts as one. */
export const CANDIDATES_MAX = 128
/** Sections of a description that are not the one for data channels: the answer to them is longer than the offer, and may be longer than a frame of the server's. */
const FOREIGN = /^m=([^a]|[^]*^m=|au)/m
/** Characters of a candidate. */
export const CANDIDATE_LENGTH_MAX = 1_024

/** Counts the signals of one link, by whichever way they come: says whether one is a signal, and within the limits. Its text is text then. */
export function gate(after: (ms: number, then: () => void) => unknown): (kind: SignalKind, data: unknown) => boolean {
  let descriptions = 0
  let candidates = 0
  let generation: string | undefined
  return (kind, data) => {
    const { type, sdp, candidate } = (data ?? {}) as Record<string, unknown>
    if (kind === 'description') {
      if (typeof sdp !== 'string' || sdp.length > SDP_LENGTH_MAX || FOREIGN.test(sdp) || (type !== 'offer' && type !== 'answer') || descriptions >= DESCRIPTIONS_MAX) return false
      descriptions++
      after(DESCRIPTIONS_MS, () => descriptions--)
      const ufrag = /ice-ufrag:(.*)/.exec(sdp)?.[1]
      if (ufrag !== generation) candidates = 0
      generation = ufrag
      candidates += sdp.split('a=candidate').length - 1
    } else if (kind === 'end-of-candidates' || (kind === 'candidate' && typeof candidate === 'string' && candidate.length <= CANDIDATE_LENGTH_MAX)) {
      candidates++
    } else {
      return false
    }
    return candidates <= CANDIDATES_MAX
  }
}
