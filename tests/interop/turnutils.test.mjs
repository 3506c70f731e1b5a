// coturn's own client and peer against our relay: every transport, both families, Send indications and ChannelData.
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { missing, output } from '../kit/programs.mjs'
import { Server } from '../kit/server.mjs'

const skip = missing('turnutils_uclient', 'turnutils_peer', 'turnutils_stunclient', 'openssl')
const [turn, turns, peerPort] = [34780, 34790, 34800]
const messages = 200
const clients = 4
const secret = 'shared 6f1ed002ab5595859014ebf0951522d9'

// Most of their time the clients wait.
describe('coturn\'s clients', { skip, concurrency: 8 }, () => {
  let server, folder
  const peers = []

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'twocan-turnutils-'))
    const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
      '-subj', '/CN=localhost', '-keyout', key, '-out', cert], { stdio: 'ignore' })
    server = await Server.start(['--http', '127.0.0.1:0', '--only', 'relay',
      '--turn', `127.0.0.1:${turn}`, '--turn', `[::1]:${turn}`, '--turns', `127.0.0.1:${turns}`, '--turns', `[::1]:${turns}`,
      '--tls-cert', cert, '--tls-key', key, '--turn-user', 'ann:secret-of-ann', '--turn-secret', secret,
      '--allow-peer', '127.0.0.1/32', '--allow-peer', '::1/128'])
    for (const address of ['127.0.0.1', '::1']) {
      peers.push(spawn('turnutils_peer', ['-L', address, '-p', String(peerPort)], { stdio: 'ignore' }))
    }
  })

  after(async () => {
    for (const peer of peers) peer.kill('SIGKILL')
    await server?.stop()
    if (folder) rmSync(folder, { recursive: true, force: true })
  })

  /** Runs uclient and checks that all came back. */
  async function nothingLost(flags, { host = '127.0.0.1', peer = host, port = turn, user = ['-u', 'ann', '-w', 'secret-of-ann'] } = {}) {
    const args = [...user, '-e', peer, '-r', String(peerPort), '-n', String(messages), '-m', String(clients), '-l', '170', '-c',
      ...flags, '-p', String(port), host]
    const { code, text } = await output('turnutils_uclient', args)
    const [, lost] = text.match(/Total lost packets (\d+)/) ?? []
    const [, sent, received] = [...text.matchAll(/tot_send_msgs=(\d+), tot_recv_msgs=(\d+)/g)].at(-1) ?? []
    assert.equal(code, 0, `turnutils_uclient ${args.join(' ')}\n${text.slice(-3000)}`)
    assert.equal(lost, '0', text.slice(-3000))
    assert.equal(Number(sent), messages * clients, text.slice(-3000))
    assert.equal(received, sent, text.slice(-3000))
  }

  const transports = [['UDP', [], turn], ['TCP', ['-t'], turn], ['TLS', ['-t', '-S'], turns]]
  const methods = [['ChannelData', []], ['Send and Data indications', ['-s']]]
  for (const [transport, flags, port] of transports) {
    for (const [method, more] of methods) {
      test(`IPv4 over ${transport}, ${method}: nothing is lost`, () => nothingLost([...flags, ...more], { port }))
      test(`IPv6 over ${transport}, ${method}: nothing is lost`, () => nothingLost([...flags, ...more, '-x'], { host: '::1', port }))
    }
  }

  test('an IPv4 client reaches an IPv6 peer', () => nothingLost(['-x'], { peer: '::1' }))

  test('between two allocations of one client nothing is lost', async () => {
    await nothingLost(['-y'])
  })

  test('time-limited credentials from the shared secret work', () => nothingLost(['-W', secret], { user: ['-u', 'ann'] }))

  test('a wrong password relays nothing', async () => {
    const args = ['-u', 'ann', '-w', 'wrong', '-e', '127.0.0.1', '-r', String(peerPort), '-n', '5', '-m', '1', '-c', '-p', String(turn), '127.0.0.1']
    const { text } = await output('turnutils_uclient', args, { timeout: 10_000 })
    assert.match(text, /Cannot complete Allocation/)
    assert.doesNotMatch(text, /tot_recv_msgs=[1-9]/)
  })

  for (const host of ['127.0.0.1', '::1']) {
    test(`turnutils_stunclient learns its address from ${host}`, async () => {
      const { text } = await output('turnutils_stunclient', ['-p', String(turn), host], { timeout: 10_000 })
      assert.match(text, new RegExp(`UDP reflexive addr: \\[?${host.replaceAll('.', '\\.')}\\]?:\\d+`))
    })
  }
})
