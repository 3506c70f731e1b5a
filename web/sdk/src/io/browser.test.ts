// The outside world as a browser has it: addresses, and what is missing.

import { afterEach, expect, test, vi } from 'vitest'
import { connect } from '../index.js'
import { browserIo, socketUrl } from './browser.js'

afterEach(() => vi.unstubAllGlobals())

test.each([
  ['wss://play.example', 'wss://play.example/v1'],
  ['https://play.example/?x#y', 'wss://play.example/v1'],
  ['https://play.example/twocan', 'wss://play.example/twocan/v1'],
  ['https://play.example/a/twocan//?x#y', 'wss://play.example/a/twocan/v1'],
  ['wss://play.example/twocan/v1/', 'wss://play.example/twocan/v1'],
  ['http://127.0.0.1:8080', 'ws://127.0.0.1:8080/v1'],
  ['wss://play.example/twocan/v1', 'wss://play.example/twocan/v1'],
])('%s leads to %s', (url, socket) => {
  expect(socketUrl(url)).toBe(socket)
})

test('an empty address is the server of the page', () => {
  vi.stubGlobal('location', { href: 'https://play.example/game?lobby=ED84#x' })
  expect(socketUrl('')).toBe('wss://play.example/v1')
  expect(socketUrl(globalThis.location)).toBe('wss://play.example/v1')
  expect(socketUrl('/twocan')).toBe('wss://play.example/twocan/v1')
})

test('where that server gave us this module, below a path perhaps, it is beside it', () => {
  vi.stubGlobal('location', { href: 'https://play.example/game/' })
  for (const [module, socket] of [
    ['https://play.example/twocan.js', 'wss://play.example/v1'],
    ['https://play.example/tools/twocan/twocan.js', 'wss://play.example/tools/twocan/v1'],
    // In a bundle of the page's, or from somebody else.
    ['https://play.example/assets/index-x.js', 'wss://play.example/v1'],
    ['https://packages.example/twocan/dist/twocan.js', 'wss://play.example/v1'],
  ] as const) expect(socketUrl('', module), module).toBe(socket)
})

test.each(['ftp://play.example', 'play.example', 'http://'])('%s is no address', (url) => {
  expect(() => socketUrl(url)).toThrowError(expect.objectContaining({ code: 'bad-url' }))
})

test('a browser without WebRTC, or without WebSocket, says so', async () => {
  vi.stubGlobal('RTCPeerConnection', undefined)
  vi.stubGlobal('WebSocket', class {})
  await expect(connect('wss://play.example', { app: 'x' })).rejects.toMatchObject({ code: 'no-webrtc' })
  vi.stubGlobal('RTCPeerConnection', class {})
  vi.stubGlobal('WebSocket', undefined)
  expect(() => browserIo({ app: 'x' })).toThrowError(expect.objectContaining({ code: 'no-webrtc' }))
})

test('a channel of a name that every link has is refused', async () => {
  await expect(connect('wss://play.example', { app: 'x', channels: { reliable: {} } })).rejects.toMatchObject({ code: 'bad-value' })
})

test.each([0, 1_023, 64 * 1024 * 1024 + 1, NaN])('maxMessage: %s is refused', async (maxMessage) => {
  await expect(connect('wss://play.example', { app: 'x', maxMessage })).rejects.toMatchObject({ code: 'bad-value' })
})

test('the socket asks for our subprotocol', () => {
  const asked: unknown[][] = []
  class Socket {
    constructor(...args: unknown[]) {
      asked.push(args)
    }
  }
  const io = browserIo({ app: 'x', WebSocket: Socket as never, RTCPeerConnection: class {} as never })
  io._socket('ws://x/v1')
  expect(asked).toEqual([['ws://x/v1', 'twocan.v1']])
})

test.each([
  ['Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0', true],
  ['Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36', false],
])('%s: does it stay with the first way? %s', (userAgent, stays) => {
  vi.stubGlobal('navigator', { userAgent })
  expect(browserIo({ app: 'x', WebSocket: class {} as never, RTCPeerConnection: class {} as never })._stays).toBe(stays)
})
