// The list of public lobbies, kept up to date.

import { expect, test } from 'vitest'
import { LiveList } from './list.js'
import type { ListedLobby } from './types.js'

const row = (code: string, members = 1): ListedLobby => ({ code, password: false, locked: false, size: 4, members, data: {} })
const codes = (list: ListedLobby[]): string[] => list.map((lobby) => lobby.code)

test('new lobbies come first, changed ones keep their place, closed ones go', () => {
  const list = new LiveList(() => {})
  const seen: string[][] = []
  list.on('change', (lobbies) => seen.push(codes(lobbies)))
  list._fill([row('BBBB'), row('AAAA')], 2)
  list._happening({ type: 'listed', lobby: row('CCCC') })
  list._happening({ type: 'listed', lobby: row('AAAA', 3) })
  list._happening({ type: 'unlisted', code: 'BBBB' })
  list._happening({ type: 'unlisted', code: 'ZZZZ' })
  expect(seen).toEqual([['BBBB', 'AAAA'], ['CCCC', 'BBBB', 'AAAA'], ['CCCC', 'BBBB', 'AAAA'], ['CCCC', 'AAAA']])
  expect(list.all()[1]!.members).toBe(3)
})

test('after close nothing changes, and the server is told once', () => {
  let told = 0
  const list = new LiveList(() => told++)
  list._fill([row('AAAA')], 1)
  list.close()
  list.close()
  list._happening({ type: 'listed', lobby: row('BBBB') })
  expect([told, codes(list.all())]).toEqual([1, ['AAAA']])
})

test('a loop over the list ends with it', async () => {
  const list = new LiveList(() => {})
  list._fill([row('AAAA')], 1)
  const seen: string[][] = []
  for await (const lobbies of list) {
    seen.push(codes(lobbies))
    if (seen.length === 1) list._happening({ type: 'listed', lobby: row('BBBB') })
    else list.close()
  }
  expect(seen).toEqual([['AAAA'], ['BBBB', 'AAAA']])
})
