// Only src/io may touch sockets, connections, clocks, timers and chance.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { expect, test } from 'vitest'

const BANNED = new Set(
  'WebSocket RTCPeerConnection Date performance setTimeout setInterval requestAnimationFrame globalThis window document navigator location Math.random crypto'.split(' '),
)
const root = import.meta.dirname

/** Banned names that are used as values or types, not as the name of a member. */
function offences(text: string): string[] {
  const found: string[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isPropertyAccessExpression(node) && BANNED.has(node.getText())) found.push(node.getText())
    if (ts.isIdentifier(node) && BANNED.has(node.text)) {
      const { parent } = node
      const member =
        (ts.isPropertyAccessExpression(parent) && parent.name === node) || ts.isPropertySignature(parent) || ts.isPropertyAssignment(parent)
      // `Location` as a type is fine; `location` is not.
      if (!member) found.push(node.text)
    }
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile('x.ts', text, ts.ScriptTarget.ES2022, true))
  return found
}

const sources = readdirSync(root).filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))

test.each(sources)('%s leaves the outside world to io', (file) => {
  expect(offences(readFileSync(join(root, file), 'utf8'))).toEqual([])
})

test.each(sources)('%s says what it is in its first line', (file) => {
  expect(readFileSync(join(root, file), 'utf8')).toMatch(/^\/\/ \S/)
})

test.each(sources)('%s has at most 800 lines and no any', (file) => {
  const text = readFileSync(join(root, file), 'utf8')
  expect(text.split('\n').length).toBeLessThanOrEqual(800)
  expect(text).not.toMatch(/\bas any\b|: any\b|<any>/)
})

test('an offence is seen', () => {
  expect(offences('const x = new WebSocket("")')).toEqual(['WebSocket'])
  expect(offences('let y = Math.random() + Date.now()')).toEqual(['Math.random', 'Date'])
  expect(offences('interface A { WebSocket?: string }')).toEqual([])
})
