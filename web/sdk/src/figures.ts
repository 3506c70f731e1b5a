// What getStats says, read the same way from every browser.

import type { CandidateType, Path, PeerStats } from './types.js'

/** The members of the dictionaries of W3C webrtc-stats that are read here. */
export interface Row {
  id: string
  type: string
  state?: string
  nominated?: boolean
  selected?: boolean
  selectedCandidatePairId?: string
  localCandidateId?: string
  remoteCandidateId?: string
  candidateType?: CandidateType
  protocol?: string
  relayProtocol?: string
  address?: string
  ip?: string
  port?: number
  currentRoundTripTime?: number
  bytesSent?: number
  bytesReceived?: number
}

type PairStats = Omit<PeerStats, 'pathMs' | 'bytesSent' | 'bytesReceived' | 'discarded'> & { path: Path }

/** One pair of candidates. */
export interface Pair {
  _id: string
  /** As W3C webrtc-stats names it. */
  _state: string | undefined
  _selected: boolean
  _local: Row
  _remote: Row
  _stats: PairStats
}

export interface Figures {
  _pairs: Pair[]
  _selected: Pair | undefined
  /** Bytes that came by all pairs. */
  _received: number
  _stats: Omit<PeerStats, 'pathMs' | 'discarded'>
}

/** Any report that `forEach` walks. */
export interface Report {
  forEach(each: (row: unknown) => void): void
}

export function readReport(report: Report): Figures {
  const rows: Record<string, Row> = {}
  report.forEach((row) => {
    rows[(row as Row).id] = row as Row
  })
  const all = Object.values(rows)
  // Chromium says it in the transport.
  const chosen = all.find((row) => row.selectedCandidatePairId)?.selectedCandidatePairId

  const pairs: Pair[] = []
  const stats: Figures['_stats'] = { bytesSent: 0, bytesReceived: 0 }
  let received = 0
  for (const row of all) {
    const { state, bytesReceived = 0 } = row
    if (row.type === 'data-channel') {
      stats.bytesSent += row.bytesSent ?? 0
      stats.bytesReceived += bytesReceived
    }
    // Pairs alone have both.
    const local = rows[row.localCandidateId!]
    const remote = rows[row.remoteCandidateId!]
    if (!local || !remote) continue
    received += bytesReceived
    pairs.push({
      _id: row.id,
      _state: state,
      _selected: chosen ? row.id === chosen : (row.selected ?? (!!row.nominated && state === 'succeeded')),
      _local: local,
      _remote: remote,
      _stats: {
        path: local.candidateType === 'relay' || remote.candidateType === 'relay' ? 'relayed' : 'direct',
        local: local.candidateType,
        remote: remote.candidateType,
        protocol: local.protocol,
        relayProtocol: local.relayProtocol,
        rttMs: row.currentRoundTripTime && Math.round(row.currentRoundTripTime * 1e4) / 10,
      },
    })
  }

  const selected = pairs.find((pair) => pair._selected)
  return { _pairs: pairs, _selected: selected, _received: received, _stats: Object.assign(stats, selected?._stats) }
}
