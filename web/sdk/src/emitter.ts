// Typed events: who listens, and telling them.

import type { Unsubscribe } from './types.js'

export class Emitter<E extends { [K in keyof E]: unknown[] }> {
  _listeners: { [K in keyof E]?: Set<(...args: E[K]) => void> } = {}

  on<K extends keyof E>(event: K, listener: (...args: E[K]) => void): Unsubscribe {
    const set = (this._listeners[event] ??= new Set())
    set.add(listener)
    queueMicrotask(() => this._catchUp())
    return () => {
      set.delete(listener)
    }
  }

  /** Somebody listens now, perhaps to what waits. */
  _catchUp(): void {}

  /** Tells each listener; one that throws is reported as uncaught, and stops nobody else. */
  _emit<K extends keyof E>(event: K, ...args: E[K]): void {
    for (const listener of [...(this._listeners[event] ?? [])]) {
      try {
        listener(...args)
      } catch (error) {
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }
}
