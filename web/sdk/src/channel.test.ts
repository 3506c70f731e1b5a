// Sending that is felt by whoever sends.

import { expect, test } from 'vitest'
import { BACKLOG_BYTES_MAX, BUFFER_BYTES_LOW, BUFFER_BYTES_MAX, Channel, SEND_MS, SLOW_BYTES_MAX, SLOW_MS, type Line } from './channel.js'
import { encode, JSON_DEPTH_MAX, JSON_VALUES_MAX, MESSAGE_BYTES, TEXT_BYTES_MAX } from './framing.js'
import { FakeChannel, settled, World } from './testing/world.js'
import type { Sendable } from './types.js'

/** A link with nothing but channels. */
function makeLine(pieceMax = 65_535): Line & { world: World; channels: Channel[]; _held: boolean } {
  const world = new World()
  const channels: Channel[] = []
  return {
    world,
    channels,
    _underway: 0,
    _hear: () => true,
    _held: false,
    _after: (ms, then) => world._after(ms, then),
    _keep: () => true,
    _spend: () => true,
    _pieceMax: () => pieceMax,
    _ended: (ended) => channels.filter((each) => each !== ended).forEach((each) => each._pump()),
  }
}

function make(options: RTCDataChannelInit = {}, pieceMax = 65_535, line = makeLine(pieceMax)) {
  const fake = new FakeChannel('x', options)
  const got: unknown[] = []
  let closed = 0
  const channel = new Channel(fake as unknown as RTCDataChannel, line, MESSAGE_BYTES, {
    _open: () => {},
    _message: (data) => got.push(data),
    _closed: () => closed++,
  })
  line.channels.push(channel)
  const send = (data: Sendable, forAll?: boolean): Promise<void> => channel._send(encode(data), forAll)
  return { fake, channel, send, got, world: line.world, closed: () => closed }
}

/** How a promise stands. */
async function state(promise: Promise<unknown>): Promise<'done' | 'refused' | 'waits'> {
  return Promise.race([promise.then(() => 'done' as const, () => 'refused' as const), settled().then(() => 'waits' as const)])
}

test('what is sent before the channel opens goes when it does', async () => {
  const { fake, send } = make()
  const sent = send('hi')
  expect(fake.sent).toEqual([])
  fake.open()
  await sent
  expect(fake.sent).toEqual([new Uint8Array([1, 104, 105])])
})

test('what is sent while the link does not carry is held, and refused no sooner than by the browser', async () => {
  const line = makeLine()
  line._held = true
  const { fake, channel, send } = make({}, 65_535, line)
  fake.open()
  const [first, second] = [send('a'), send(new Uint8Array(BUFFER_BYTES_MAX))]
  expect([await state(first), await state(second), fake.sent]).toEqual(['done', 'waits', []])
  line._held = false
  channel._pump()
  expect(fake.sent[0]).toEqual(new Uint8Array([1, 97]))
})

test('send waits while the buffer is at its watermark, and goes on below the low one', async () => {
  const { fake, send } = make()
  fake.open()
  expect(fake.bufferedAmountLowThreshold).toBe(BUFFER_BYTES_LOW)
  let done = 0
  for (let index = 0; index < 6; index++) void send(new Uint8Array(65_535)).then(() => done++)
  await settled()
  expect([done, fake.bufferedAmount]).toEqual([4, BUFFER_BYTES_MAX])
  fake.drain()
  await settled()
  expect(done).toBe(6)
})

test('bytes may be used again at once, even if they wait', async () => {
  const { fake, send } = make()
  const bytes = new Uint8Array([5])
  const sent = send(bytes)
  bytes[0] = 9
  fake.open()
  await sent
  expect(fake.sent[0]).toEqual(new Uint8Array([0, 5]))
})

test('a peer that takes less gets smaller pieces', async () => {
  const { fake, send } = make({}, 10)
  fake.open()
  await send(new Uint8Array(25))
  expect(fake.sent.map((piece) => piece.length)).toEqual([11, 11, 6])
})

test('an unreliable channel refuses more than one piece', async () => {
  const { fake, send } = make({ ordered: false, maxRetransmits: 0 }, 10)
  fake.open()
  await send(new Uint8Array(10))
  await expect(send(new Uint8Array(11))).rejects.toMatchObject({ code: 'too-large' })
})

test.each([
  ['bytes over the limit', () => new Uint8Array(MESSAGE_BYTES + 1)],
  ['text of more than 1 MiB', () => 'x'.repeat(TEXT_BYTES_MAX + 1)],
  ['text of more than 1 MiB as it goes out', () => 'é'.repeat(TEXT_BYTES_MAX / 2 + 1)],
  ['JSON of more than 1 MiB', () => ['x'.repeat(TEXT_BYTES_MAX)]],
  ['JSON of too many values', () => new Array(JSON_VALUES_MAX + 1).fill(0)],
  ['JSON of too many levels', () => nested(JSON_DEPTH_MAX + 1)],
])('%s is too large', async (_, data) => {
  await expect(make().send(data())).rejects.toMatchObject({ code: 'too-large' })
})

test('what is as large as it may be goes', async () => {
  for (const data of [new Uint8Array(MESSAGE_BYTES), 'x'.repeat(TEXT_BYTES_MAX), new Array(JSON_VALUES_MAX).fill(0), nested(JSON_DEPTH_MAX)]) {
    expect(await state(make().send(data))).toBe('waits')
  }
})

/** Arrays inside one another, so many. */
function nested(levels: number): unknown[] {
  return levels > 1 ? [nested(levels - 1)] : []
}

test('a backlog of 64 MiB is full', async () => {
  const { send } = make()
  const full = new Uint8Array(MESSAGE_BYTES)
  for (let queued = 0; queued < BACKLOG_BYTES_MAX; queued += full.length) void send(full)
  await expect(send('one more')).rejects.toMatchObject({ code: 'backlog' })
})

test('a message to all does not wait for a slow channel, which gets what fits', async () => {
  const { fake, send, world } = make()
  fake.open()
  const fill = new Uint8Array(BUFFER_BYTES_MAX)
  void send(fill)
  const own = send('own')
  const [first, second] = [send('first', true), send('second', true)]
  world.pass(SLOW_MS - 1)
  expect([await state(first), await state(second)]).toEqual(['waits', 'waits'])
  world.pass(1)
  expect([await state(first), await state(second), await state(own)]).toEqual(['done', 'done', 'waits'])
  const piece = new Uint8Array(64 * 1024)
  let queued = 0
  while ((await state(send(piece, true))) === 'done') queued += piece.length
  expect([queued > SLOW_BYTES_MAX - 2 * BUFFER_BYTES_MAX, queued <= SLOW_BYTES_MAX]).toEqual([true, true])
  await expect(send(piece, true)).rejects.toMatchObject({ code: 'backlog' })
  while (fake.bufferedAmount) fake.drain()
  expect(await state(own)).toBe('done')
  expect(await state(send(fill, true))).toBe('waits')
})

test('a channel that takes what waits is not slow', async () => {
  const { fake, send, world } = make()
  fake.open()
  for (let round = 0; round < 10; round++) {
    void send(new Uint8Array(BUFFER_BYTES_MAX))
    const sent = send('x', true)
    world.pass(SLOW_MS - 1)
    expect(await state(sent)).toBe('waits')
    while (fake.bufferedAmount) fake.drain()
    expect(await state(sent)).toBe('done')
  }
})

test('a message that is too long on its way is given up, and the other side told so', async () => {
  const { fake, send, world } = make()
  fake.open()
  const sent = send(new Uint8Array(10 * 65_535))
  const after = send('after')
  world.pass(SEND_MS - 1)
  expect([await state(sent), fake.sent.length]).toEqual(['waits', 4])
  world.pass(1)
  await expect(sent).rejects.toMatchObject({ code: 'timeout' })
  expect(fake.sent.at(-1)).toEqual(new Uint8Array([3]))
  fake.drain()
  await after
  expect(fake.sent.at(-1)![0]).toBe(1)
})

test('long messages of one link are underway together only as far as the other side keeps them', async () => {
  const line = makeLine()
  const [one, two, three] = [make({}, 0, line), make({}, 0, line), make({}, 0, line)]
  for (const each of [one, two, three]) each.fake.open()
  void one.send(new Uint8Array(MESSAGE_BYTES - 100_000))
  const [small, large] = [two.send(new Uint8Array(100_000)), three.send(new Uint8Array(100_000))]
  expect([await state(small), await state(large), two.fake.sent.length, three.fake.sent.length]).toEqual(['done', 'done', 2, 2])
  const waits = two.send(new Uint8Array(300_000))
  expect([await state(waits), two.fake.sent.length]).toEqual(['waits', 2])
  while (one.fake.bufferedAmount) one.fake.drain()
  two.fake.drain()
  expect([await state(waits), line._underway]).toEqual(['done', 0])
})

test('on an unreliable channel the oldest waiting messages give way', async () => {
  const { fake, send } = make({ ordered: false, maxRetransmits: 0 })
  const sent = Array.from({ length: 6 }, (_, index) => send(new Uint8Array(65_000).fill(index)))
  await Promise.all(sent.slice(0, 2))
  fake.open()
  expect(fake.sent.map((piece) => piece[1])).toEqual([2, 3, 4, 5])
})

test('a channel that closes rejects what waits and what comes', async () => {
  const { fake, send, closed } = make()
  const waiting = send('hi')
  fake.readyState = 'closed'
  fake.onclose?.()
  await expect(waiting).rejects.toMatchObject({ code: 'link-closed' })
  await expect(send('hi')).rejects.toMatchObject({ code: 'link-closed' })
  expect(closed()).toBe(1)
})

test('what arrives is handed on, text frames are counted as unreadable', () => {
  const { fake, channel, got } = make()
  fake.onmessage?.({ data: new Uint8Array([2, 91, 93]).buffer })
  fake.onmessage?.({ data: 'text' })
  expect([got, channel._reassembler._discarded]).toEqual([[[]], 1])
})
