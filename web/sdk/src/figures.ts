// What getStats says, read the same way from every browser.

import type { CandidateInfo, CandidateType, PairInfo, Path, PeerStats } from './types.js'

/** The members of the dictionaries of W3C webrtc-stats that are read here. */
interface Row {
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
  _state: 'waiting' | 'tried' | 'succeeded' | 'failed'
  _selected: boolean
  /** Bytes that came by it. */
  _received: number
  _pair: PairInfo
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
  const rows = new Map<string, Row>()
  report.forEach((row) => rows.set((row as Row).id, row as Row))
  const all = [...rows.values()]
  const chosen = all.find((row) => row.type === 'transport' && row.selectedCandidatePairId)?.selectedCandidatePairId

  const pairs: Pair[] = []
  let received = 0
  for (const row of all) {
    const local = rows.get(row.localCandidateId ?? '')
    const remote = rows.get(row.remoteCandidateId ?? '')
    if (row.type !== 'candidate-pair' || !local || !remote) continue
    const state = row.state
    received += row.bytesReceived ?? 0
    pairs.push({
      _id: row.id,
      _received: row.bytesReceived ?? 0,
      _state: state === 'succeeded' || state === 'failed' ? state : state === 'in-progress' ? 'tried' : 'waiting',
      _selected: chosen ? row.id === chosen : (row.selected ?? (!!row.nominated && state === 'succeeded')),
      _pair: { local: candidate(local), remote: candidate(remote) },
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
  const stats = { bytesSent: 0, bytesReceived: 0, ...selected?._stats }
  for (const row of all) {
    if (row.type !== 'data-channel') continue
    stats.bytesSent += row.bytesSent ?? 0
    stats.bytesReceived += row.bytesReceived ?? 0
  }
  return { _pairs: pairs, _selected: selected, _received: received, _stats: stats }
}

function candidate(row: Row): CandidateInfo {
  return {
    type: row.candidateType!,
    protocol: row.protocol!,
    address: row.address ?? row.ip ?? '',
    port: row.port ?? 0,
  }
}
