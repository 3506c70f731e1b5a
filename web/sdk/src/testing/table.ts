// A lobby with one other member, Bob, and a server that is the test.

import { Client } from '../net.js'
import type { Room } from '../lobby.js'
import type { ConnectOptions } from '../types.js'
import { settled, World, type FakeConnection, type FakeSocket } from './world.js'

export const ME = 'AAAAAAAA'
export const BOB = 'BBBBBBBB'
export const SERVERS = [{ urls: ['stun:192.0.2.1'] }]

export class Table {
  readonly world = new World()
  readonly net: Client
  room!: Room
  log: unknown[][] = []
  seq = 0
  answered = 0

  constructor(options: Partial<ConnectOptions> = {}) {
    this.net = new Client(this.world, 'ws://x/v1', { app: 'chess', ...options })
  }

  get socket(): FakeSocket {
    return this.world.socket
  }

  get connection(): FakeConnection {
    return this.world.connections.at(-1)!
  }

  /** Frames sent on the present socket, of one type. */
  sent(type: string): Record<string, unknown>[] {
    return this.socket.sent.filter((frame) => frame.type === type)
  }

  says(frame: object): void {
    this.socket.says({ ...frame, seq: ++this.seq })
  }

  /** Answers the last frame of ours. */
  replies(frame: object): void {
    this.says({ ...frame, id: this.socket.sent.at(-1)!.id })
  }

  welcome(resumed = false, received = 0): void {
    this.socket.onopen?.()
    this.socket.says({ type: 'welcome', id: 0, seq: this.seq, session: resumed ? 'secret' : `secret${Math.random()}`, peer: ME, resumed, received })
  }

  /** Enters a lobby that belongs to `owner`. */
  async enter(owner = ME): Promise<this> {
    const create = this.net.create({ size: 2 })
    this.welcome()
    await settled()
    this.replies({
      type: 'joined',
      peer: ME,
      ticket: 'ticket-of-me',
      lobby: {
        code: 'ED84', public: false, password: false, locked: false, sealed: false, size: 2, owner, data: {},
        members: [{ peer: ME, me: {} }],
      },
    })
    this.room = (await create) as Room
    for (const event of ['peer', 'message', 'fail', 'arrive', 'leave', 'owner', 'update', 'removed', 'away', 'back', 'sealed', 'unsealed', 'complete'] as const) {
      this.room.on(event, (...args: unknown[]) => this.log.push([event, ...args]))
    }
    this.says({ type: 'ice', servers: SERVERS, expires: 3600 })
    return this
  }

  /** Lets Bob in, and his link begin. */
  async arrive(role: 'offer' | 'answer' = 'answer'): Promise<this> {
    this.says({ type: 'arrived', member: { peer: BOB, me: { name: 'Bob' } } })
    this.says({ type: 'link', peer: BOB, role, polite: role === 'offer' })
    await settled()
    return this
  }

  signal(kind: string, data: unknown): Promise<void> {
    this.says({ type: 'signal', from: BOB, kind, data })
    return settled()
  }

  /** Bob answers our last offer, over the server or over the link. */
  async answers(way: 'server' | 'link' = 'server'): Promise<void> {
    const data = { type: 'answer', sdp: `o=- 9 ${++this.answered} IN`, offer: this.connection.version }
    if (way === 'link') await this.bobSays({ type: 'signal', kind: 'description', data })
    else await this.signal('description', data)
    if (this.link.state === 'mending') await this.bobSays({ type: 'pong' })
  }

  /** Brings Bob's link up. */
  async up(): Promise<this> {
    if (this.connection.signalingState === 'have-local-offer') await this.answers()
    this.connection.becomes('connected')
    for (const channel of this.connection.channels) channel.open()
    await settled()
    return this
  }

  async complete(): Promise<this> {
    this.says({ type: 'sealed', within: 30 })
    this.says({ type: 'complete', ticket: 'ticket', ice: { servers: SERVERS, expires: 43200 } })
    this.socket.cut(1000)
    await settled()
    return this
  }

  /** Control messages that went to Bob over the link itself. */
  control(): Record<string, unknown>[] {
    return this.connection.channels[0]!.sent.map((piece) => JSON.parse(new TextDecoder().decode(piece.subarray(1))) as Record<string, unknown>)
  }

  /** The signals among them. */
  overLink(): Record<string, unknown>[] {
    return this.control().filter(({ type }) => type === 'signal')
  }

  /** So much time passes, in small steps. */
  async pass(ms: number, step = 50): Promise<void> {
    for (let passed = 0; passed < ms; passed += step) {
      this.world.pass(step)
      await settled()
    }
  }

  /** A control message from Bob. */
  bobSays(message: object): Promise<void> {
    const text = new TextEncoder().encode(JSON.stringify(message))
    this.connection.channels[0]!.onmessage?.({ data: new Uint8Array([2, ...text]).buffer })
    return settled()
  }

  get link() {
    return this.room.peers.get(BOB)!
  }
}
