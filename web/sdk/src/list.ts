// The public lobbies, as the server keeps telling of them.

import { Emitter } from './emitter.js'
import type { ListedLobby, ListEvents, LobbyList } from './types.js'
import type { Happening } from './wire.js'

export class LiveList extends Emitter<ListEvents> implements LobbyList {
  _lobbies: ListedLobby[] = []
  _live = true
  total = 0

  constructor(readonly _unwatch: () => void) {
    super()
  }

  all(): ListedLobby[] {
    return [...this._lobbies]
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
    this._lobbies = lobbies
    this.total = total
    this._emit('change', this.all())
  }

  _happening(frame: Happening): void {
    if (!this._live) return
    if (frame.type === 'listed') {
      const { lobby } = frame
      const index = this._lobbies.findIndex((other) => other.code === lobby.code)
      if (index < 0) this._lobbies.unshift(lobby)
      else this._lobbies[index] = lobby
    } else if (frame.type === 'unlisted') {
      this._lobbies = this._lobbies.filter((other) => other.code !== frame.code)
    } else {
      return
    }
    this._emit('change', this.all())
  }

  /** No more changes come. */
  _stop(): void {
    if (!this._live) return
    this._live = false
    this._emit('close')
  }
}
