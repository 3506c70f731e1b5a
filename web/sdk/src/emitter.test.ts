// Listeners come, go, and fail alone.

import { expect, test, vi } from 'vitest'
import { Emitter } from './emitter.js'

test('a listener hears until it is stopped', () => {
  const emitter = new Emitter<{ a: [number] }>()
  const heard: number[] = []
  const stop = emitter.on('a', (value) => heard.push(value))
  emitter._emit('a', 1)
  stop()
  emitter._emit('a', 2)
  expect(heard).toEqual([1])
})

test('one that throws stops nobody else, and is reported', () => {
  const reported: (() => void)[] = []
  vi.stubGlobal('queueMicrotask', (task: () => void) => reported.push(task))
  const emitter = new Emitter<{ a: [] }>()
  const heard: string[] = []
  emitter.on('a', () => {
    throw new Error('mine')
  })
  emitter.on('a', () => heard.push('second'))
  emitter._emit('a')
  vi.unstubAllGlobals()
  expect(heard).toEqual(['second'])
  expect(reported.at(-1)).toThrow('mine')
})
