// Sending that is felt by whoever sends.

import { expect, test } from 'vitest'
import { BACKLOG_BYTES_MAX, BUFFER_BYTES_LOW, BUFFER_BYTES_MAX, Channel } from './channel.js'
import { FakeChannel, settled } from './testing/world.js'

function make(options: RTCDataChannelInit = {}, pieceMax = 65_535) {
  const fake = new FakeChannel('x', options)
  const got: unknown[] = []
  let closed = 0
  const channel = new Channel(fake as unknown as RTCDataChannel, () => pieceMax, {
    _open: () => {},
    _message: (data) => got.push(data),
    _closed: () => closed++,
  })
  return { fake, channel, got, closed: () => closed }
}

test('what is sent before the channel opens goes when it does', async () => {
  const { fake, channel } = make()
  const sent = channel._send('hi')
  expect(fake.sent).toEqual([])
  fake.open()
  await sent
  expect(fake.sent).toEqual([new Uint8Array([1, 104, 105])])
})

test('send waits while the buffer is at its watermark, and goes on below the low one', async () => {
  const { fake, channel } = make()
  fake.open()
  expect(fake.bufferedAmountLowThreshold).toBe(BUFFER_BYTES_LOW)
  let done = 0
  for (let index = 0; index < 6; index++) void channel._send(new Uint8Array(65_535)).then(() => done++)
  await settled()
  expect([done, fake.bufferedAmount]).toEqual([4, BUFFER_BYTES_MAX])
  fake.drain()
  await settled()
  expect(done).toBe(6)
})

test('bytes may be used again at once, even if they wait', async () => {
  const { fake, channel } = make()
  const bytes = new Uint8Array([5])
  const sent = channel._send(bytes)
  bytes[0] = 9
  fake.open()
  await sent
  expect(fake.sent[0]).toEqual(new Uint8Array([0, 5]))
})

test('a peer that takes less gets smaller pieces', async () => {
  const { fake, channel } = make({}, 10)
  fake.open()
  await channel._send(new Uint8Array(25))
  expect(fake.sent.map((piece) => piece.length)).toEqual([11, 11, 6])
})

test('an unreliable channel refuses more than one piece', async () => {
  const { fake, channel } = make({ ordered: false, maxRetransmits: 0 }, 10)
  fake.open()
  await channel._send(new Uint8Array(10))
  await expect(channel._send(new Uint8Array(11))).rejects.toMatchObject({ code: 'too-large' })
})

test('a message of more than 64 MiB is refused', async () => {
  await expect(make().channel._send(new Uint8Array(64 * 1024 * 1024 + 1))).rejects.toMatchObject({ code: 'too-large' })
})

test('more than 64 MiB of waiting messages are refused', async () => {
  const { channel } = make()
  void channel._send(new Uint8Array(BACKLOG_BYTES_MAX))
  await expect(channel._send('one more')).rejects.toMatchObject({ code: 'backlog' })
})

test('on an unreliable channel the oldest waiting messages give way', async () => {
  const { fake, channel } = make({ ordered: false, maxRetransmits: 0 })
  const sent = Array.from({ length: 6 }, (_, index) => channel._send(new Uint8Array(65_000).fill(index)))
  await Promise.all(sent.slice(0, 2))
  fake.open()
  expect(fake.sent.map((piece) => piece[1])).toEqual([2, 3, 4, 5])
})

test('a channel that closes rejects what waits and what comes', async () => {
  const { fake, channel, closed } = make()
  const waiting = channel._send('hi')
  fake.readyState = 'closed'
  fake.onclose?.()
  await expect(waiting).rejects.toMatchObject({ code: 'link-closed' })
  await expect(channel._send('hi')).rejects.toMatchObject({ code: 'link-closed' })
  expect(closed()).toBe(1)
})

test('what arrives is handed on, text frames are counted as unreadable', () => {
  const { fake, channel, got } = make()
  fake.onmessage?.({ data: new Uint8Array([2, 91, 93]).buffer })
  fake.onmessage?.({ data: 'text' })
  expect([got, channel._reassembler._discarded]).toEqual([[[]], 1])
})
