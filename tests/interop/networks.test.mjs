// The network of a server that is not as usual: no way to the Internet, an address that comes late, one that is not there, one that changes.
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { after, before, describe, test } from 'node:test'
import { missing, output } from '../kit/programs.mjs'
import { Server, binary, environment } from '../kit/server.mjs'

const [server, client] = ['s', 'c'].map((letter) => `tc${process.pid}${letter}`)
const ip = (...words) => execFileSync('ip', words.join(' ').split(' '))
const address = (verb, host) => ip('-n', server, 'addr', verb, `192.168.9.${host}/24 dev v`)
/** In the server's namespace. */
const world = { spawn: (_, file, args, options) => spawn('ip', ['netns', 'exec', server, file, ...args], options) }
const serve = (args) => Server.start(['--public', ...args], { world })

/** What `twocan check` says of the relay over UDP, and where that relays from. */
async function relay(host) {
  const { text } = await output('ip', ['netns', 'exec', client, binary, 'check', '--json', `http://192.168.9.${host}:8080`], { timeout: 30_000, env: environment })
  return JSON.parse(text).relays.find(({ transport, url }) => transport === 'udp' && !url.includes('['))?.state
}

describe('the network of a server', { skip: missing('namespaces') }, () => {
  let running
  before(() => {
    for (const name of [server, client]) {
      ip('netns', 'add', name)
      ip('-n', name, 'link set lo up')
    }
    ip('-n', server, 'link add v type veth peer name w netns', client)
    ip('-n', server, 'link set v up')
    ip('-n', client, 'link set w up')
    ip('-n', client, 'addr add 192.168.9.5/24 dev w')
    address('add', 1)
  })
  after(async () => {
    await running?.stop('SIGKILL')
    for (const name of [server, client]) ip('netns', 'del', name)
  })

  test('without a way to the Internet, its own address will do', async () => {
    running = await serve([])
    assert.match(running.output, /relayed candidates carry 192\.168\.9\.1/)
    assert.match(running.output, /the page is at http:\/\/192\.168\.9\.1:8080/)
    assert.equal(await relay(1), 'relays')
    await running.stop('SIGKILL')
  })

  test('an address that comes late is waited for', async () => {
    address('del', 1)
    const started = serve([])
    const early = await Promise.race([started.then(() => 'ready'), new Promise((resolve) => setTimeout(resolve, 1_500, 'waits'))])
    address('add', 1)
    running = await started
    assert.equal(early, 'waits')
    assert.match(running.output, /no address yet[^]*waiting for its network[^]*the network is there[^]*relayed candidates carry 192\.168\.9\.1/)
    await running.stop('SIGKILL')
  })

  test('an address that is named and not there is said, and what to do', async () => {
    const lines = [['--turn', '192.168.9.9:3478'], ['--http', '192.168.9.9:8080', '--turn', '127.0.0.1:0']]
    for (const line of lines) {
      const { code, text } = await output('ip', ['netns', 'exec', server, binary, 'serve', ...line], { timeout: 20_000, env: environment })
      assert.notEqual(code, 0)
      assert.match(text, /no address 192\.168\.9\.9.*start again once it is there/)
    }
  })

  test('an address that changes is followed', async () => {
    ip('-n', server, 'route add default via 192.168.9.254')
    running = await serve([])
    assert.equal(await relay(1), 'relays')
    address('del', 1)
    address('add', 77)
    await running.said(/relayed candidates carry 192\.168\.9\.77 from now on, no longer 192\.168\.9\.1/)
    assert.equal(await relay(77), 'relays')
    await running.stop('SIGKILL')
  })
})
