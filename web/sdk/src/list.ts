// The public lobbies, as the server keeps telling of them.

import { Emitter } from './emitter.js'
import type { ListedLobby, ListEvents, LobbyList } from './types.js'
import type { Happening } from './wire.js'

export class LiveList extends Emitter<ListEvents> implements LobbyList {
  /** The newest last, so that a change keeps its place. */
  _lobbies = new Map<string, ListedLobby>()
  _live = true
  total = 0

  constructor(readonly _unwatch: () => void) {
    super()
  }

  all(): ListedLobby[] {
    return [...this._lobbies.values()].reverse()
  }

  close(): void {
    if (this._live) this._unwatch()
    this._stop()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<ListedLobby[]> {
    let changed = true
    let wake = (): void => {}
    const stops = [
      this.on('change', () => {
        changed = true
        wake()
      }),
      this.on('close', () => wake()),
    ]
    try {
      while (changed || this._live) {
        if (changed) {
          changed = false
          yield this.all()
        } else {
          await new Promise<void>((resolve) => (wake = resolve))
        }
      }
    } finally {
      for (const stop of stops) stop()
    }
  }

  _fill(lobbies: ListedLobby[], total: number): void {
    this._lobbies = new Map(lobbies.map((lobby): [string, ListedLobby] => [lobby.code, lobby]).reverse())
    this.total = total
    this._emit('change', this.all())
  }

  _happening(frame: Happening): void {
    if (!this._live) return
    if (frame.type === 'listed') this._lobbies.set(frame.lobby.code, frame.lobby)
    else if (frame.type !== 'unlisted' || !this._lobbies.delete(frame.code)) return
    this._emit('change', this.all())
  }

  /** No more changes come. */
  _stop(): void {
    if (!this._live) return
    this._live = false
    this._emit('close')
  }
}
