// What the other side signals, as far as it is read: nothing odd, nothing long, and not too much of it.

import type { SignalKind } from './wire.js'

/** Descriptions taken from the other side within so long; each may come by two ways, more are passed over. */
export const DESCRIPTIONS_MAX = 20
export const DESCRIPTIONS_MS = 10_000
/** What an offer with another `ice-ufrag` counts for in them: it has the browser gather anew, and allocate at the relay. */
export const RESTART_COST = 3
/** Characters of a description. */
export const SDP_LENGTH_MAX = 32 * 1024
/** Candidates taken from the other side for one generation (`ice-ufrag`) of its descriptions, those in them included; the end of them counts as one. */
export const CANDIDATES_MAX = 128
/** Sections of a description that are not the one for data channels: the answer to them is longer than the offer, and may be longer than a frame of the server's. */
const FOREIGN = /^m=([^a]|[^]*^m=|au)/m
/** Characters of a candidate. */
export const CANDIDATE_LENGTH_MAX = 1_024

const GENERATION = /^a=ice-ufrag:.*/gm

/** Reads and counts the signals of one link, by whichever way they come. */
export class Gate {
  _descriptions = 0
  _candidates = 0
  /** That of the last offer. */
  _offered: string | undefined
  _generation: string | undefined

  constructor(readonly _after: (ms: number, then: () => void) => unknown) {}

  /** Whether it is a signal, and within the limits. Its text is text then. */
  _admits(kind: SignalKind, data: unknown): boolean {
    const { type, sdp, candidate } = (data ?? {}) as Record<string, unknown>
    if (kind === 'description') {
      if (typeof sdp !== 'string' || sdp.length > SDP_LENGTH_MAX || FOREIGN.test(sdp) || (type !== 'offer' && type !== 'answer')) return false
      // Of two, nobody knows which one the browser takes.
      const [generation, more] = sdp.match(GENERATION) ?? []
      const cost = type === 'answer' || generation === this._offered ? 1 : RESTART_COST
      if (this._descriptions + cost > DESCRIPTIONS_MAX) return false
      if (cost > 1) this._offered = generation
      this._descriptions += cost
      this._after(DESCRIPTIONS_MS, () => (this._descriptions -= cost))
      const own = candidatesIn(sdp)
      return (generation === this._generation ? (this._candidates += own) : own) <= CANDIDATES_MAX && !more
    }
    return (
      (kind === 'end-of-candidates' || (kind === 'candidate' && typeof candidate === 'string' && candidate.length <= CANDIDATE_LENGTH_MAX)) &&
      ++this._candidates <= CANDIDATES_MAX
    )
  }

  /** The browser has taken a description: the candidates that follow may be those of another generation. */
  _taken(sdp: string): void {
    const [generation] = sdp.match(GENERATION) ?? []
    if (generation === this._generation) return
    this._generation = generation
    this._candidates = candidatesIn(sdp)
  }
}

/** Candidates that a description names. */
export function candidatesIn(sdp: string): number {
  return sdp.split('a=candidate').length - 1
}

/** The `o=` line of a description, as session and version. */
export function origin({ sdp }: RTCSessionDescriptionInit): [string, number] {
  const [, session = '', version] = /^o=\S+ (\S+) (\d+)/m.exec(sdp!) ?? []
  return [session, Number(version ?? 0)]
}

/** `host`, `srflx`, `prflx` or `relay` (RFC 8839 5.1); undefined where the line is no candidate. */
export function candidateType(line = ''): string | undefined {
  return / typ (\S+)/.exec(line)?.[1]
}
