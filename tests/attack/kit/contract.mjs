// What the suite takes for granted of the server, in one place: flags, words, times and shares. A server that names them otherwise is met by a change here.
import { execFileSync } from 'node:child_process'
import { binary, environment } from '../../kit/server.mjs'

/** Flags that not every server has; `supports` says whether this one does. */
export const flag = {
  /** Where `/metrics` is, if not on the public listener. */
  metrics: '--metrics',
  /** The folder in which a secret is kept that nobody gave. */
  state: '--state',
}

/** The variable by which systemd names that folder. */
export const stateVariable = 'STATE_DIRECTORY'

const help = execFileSync(binary, ['serve', '--help'], { encoding: 'utf8', env: environment })

/** Whether `twocan serve --help` knows a flag. */
export const supports = (name) => help.includes(`${name} `)

/** A secret that must do. */
export const secret = 'c2b6c0a3f1e94d7a8f5e6b1d2c3a4f50c2b6c0a3f1e94d7a8f5e6b1d2c3a4f50'

export const word = {
  /** The sender of too much is told so, or its socket is closed with one of these. */
  refused: ['rate-limited'],
  refusedClose: [4003],
  /** Who was kicked and comes back. */
  barred: ['kicked', 'not-found', 'bad-ticket', 'rate-limited'],
  /** A log that says that HTTP is not HTTPS, and that a proxy tells no addresses. */
  plainHttp: /plain|https|tls|unencrypted/i,
  proxyTellsNothing: /x-forwarded-for/i,
}

/** Times within which waiting ends, ms. Each stands in docs/protocol.md or docs/operation.md; some slack for a busy machine is added where they are used. */
export const within = {
  /** Ten seconds for it to come, three for the close to be answered. */
  hello: 13_000,
  httpHead: 5_000,
  httpIdle: 30_000,
  notRead: 30_000,
  webSocketNotRead: 45_000,
  webSocketFrame: 60_000,
  turnSilent: 30_000,
  turnFrame: 10_000,
  turnUnproved: 60_000,
  tls: 10_000,
  /** After a kick, in a relay that is another process. */
  acrossHalves: 30_000,
}
export const slack = 3_000

const MiB = 1 << 20
export const bytes = {
  /** The server's memory, all of it. */
  limit: 512 * MiB,
  /** What may be left of an attack, resident and in the kernel. */
  left: 8 * MiB,
  /** What the kernel may hold for sockets during one. */
  kernel: 64 * MiB,
  /** What goes to a peer that has not answered, a second, and what may go at once. */
  trickle: 64 * 1024,
  trickleBurst: 192 * 1024,
  /** What the log may take in a second, at its default level. */
  log: 4 * 1024,
}

export const share = {
  /** Relayed ports of one user, of an IPv4 address or /56, of a /48. */
  portsPerUser: 192,
  portsPerHousehold: 768,
  portsPerSite: 1_536,
  /** Wrong passwords or codes a minute that are looked at, from one address. */
  guessesPerAddress: 60,
  /** Wrong passwords a minute that are looked at, for one lobby, from 64 addresses that try eight each. */
  guessesPerLobby: 320,
  /** Bytes of a 401 for a byte of what asked. */
  amplification: 5,
  realmBytes: 32,
  /** Answers a second to private sources that prove nothing, all together; twice as many at once. */
  answersPrivate: 10_000,
  /** Series that `/metrics` may have, whatever strangers say. */
  series: 400,
}

/** What the honest may feel of an attack: a stranger's ping, ms over quiet at p95; a join, times its quiet median, and ms beside. */
export const felt = { ping: 10, join: 2, joinMs: 20 }

/** Long variants: `TWOCAN_ATTACK=long`. */
export const long = process.env.TWOCAN_ATTACK === 'long'
