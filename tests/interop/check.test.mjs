// `twocan check` behind each kind of NAT: what it says must be so. The server has two addresses; coturn's natdiscovery agrees.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { certify } from '../kit/certificate.mjs'
import { missing, output } from '../kit/programs.mjs'
import { Server, binary, environment } from '../kit/server.mjs'
import { World } from '../kit/world.mjs'

const [http, turn, turns, alternate] = [8080, 3478, 5349, 3479]
const url = `http://play.test:${http}`

/** Runs `twocan check` in a place, to its end. */
async function check(place, args, { env = {} } = {}) {
  const line = ['netns', 'exec', place.name, binary, 'check', ...args]
  return output('ip', line, { timeout: 30_000, env: { ...environment, ...env } })
}

/** The same, and what its JSON says. */
async function report(place, args = [url], options = {}) {
  const { code, text } = await check(place, ['--json', ...args], options)
  const said = JSON.parse(text)
  assert.equal(said.usable, code === 0, text)
  assert.ok(said.took_ms < 10_000, `it took ${said.took_ms} ms`)
  return said
}

/** By transport, those of IPv6 aside. */
const relays = (said) => Object.fromEntries(said.relays.filter(({ url }) => !url.includes('[')).map(({ transport, state }) => [transport, state]))

describe('twocan check', { skip: missing('namespaces', 'openssl') }, () => {
  let world, folder, certificate, server, second, trust

  const serve = (more) => Server.start(['--http', `${world.server.address}:${http}`, '--turn', `${world.server.address}:${turn}`,
    '--turns', `${world.server.address}:${turns}`, '--tls-cert', certificate.cert, '--tls-key', certificate.key, ...more],
  { world, place: world.server })
  const both = () => ['--turn', `[${world.server.address6}]:${turn}`,
    '--alternate', `${second.address}:${alternate}`, '--alternate', `[${second.address6}]:${alternate}`]

  before(async () => {
    world = new World()
    folder = mkdtempSync(join(tmpdir(), 'twocan-check-'))
    certificate = certify(folder)
    trust = { env: { SSL_CERT_FILE: certificate.ca } }
    second = world.secondAddress()
    server = await serve(both())
  })
  after(async () => {
    await server?.stop('SIGKILL')
    world?.close()
    if (folder) rmSync(folder, { recursive: true, force: true })
  })

  // Most of its time a check waits.
  describe('and a server with two addresses', { concurrency: 4 }, () => {
    test('on a public address nothing is translated, and everybody gets in', async () => {
      const place = world.player('public')
      const said = await report(place, [url], trust)
      for (const [family, own] of [['ipv4', place.address], ['ipv6', place.address6]]) {
        const network = said[family]
        assert.deepEqual([network.state, network.translated], ['answered', false])
        assert.ok(network.mapped.includes(own), network.mapped)
        assert.deepEqual([network.mapping, network.filtering], [{ is: 'endpoint-independent' }, { is: 'endpoint-independent' }])
        assert.deepEqual(network.allocation, { unknown: 'not-translated' })
      }
      assert.deepEqual(said.reach, { direct: 'everybody', relayed: true, relayed_over: 'udp' })
      assert.ok(said.relays.length >= 3 && said.relays.every(({ state }) => state === 'relays'), JSON.stringify(said.relays))
      assert.equal(said.server.state, 'reached')
      assert.ok(said.usable)
    })

    test('behind a home router the mapping is independent, and the filter is by port', async () => {
      const place = world.player('home')
      const said = await report(place, [url], trust)
      const { ipv4, ipv6, reach, usable } = said
      assert.deepEqual([ipv4.state, ipv4.translated, ipv6.state], ['answered', true, 'no-address'])
      assert.ok(ipv4.mapped.startsWith(`${place.address}:`), ipv4.mapped)
      assert.deepEqual(ipv4.mapping, { is: 'endpoint-independent' })
      assert.deepEqual(ipv4.filtering, { is: 'address-and-port-dependent' })
      assert.deepEqual(ipv4.allocation, { is: 'preserving' })
      assert.deepEqual(ipv4.hairpin, { is: false })
      assert.deepEqual(ipv4.lifetime, { is: { at_least_ms: 5000, less_than_ms: null } })
      assert.deepEqual([reach.direct, usable], ['most', true])
      assert.deepEqual(relays(said), { udp: 'relays', tcp: 'relays', tls: 'relays' })
      assert.ok(said.relays.filter(({ url }) => url.includes('[')).every(({ state }) => state === 'no-address'), 'no IPv6 here')
    })

    test('behind a home router with IPv6 the second family is seen as it is', async () => {
      const place = world.player('home', { ipv6: true })
      const { ipv4, ipv6 } = await report(place, [url], trust)
      assert.deepEqual([ipv4.translated, ipv6.state, ipv6.translated], [true, 'answered', false])
    })

    test('behind a symmetric NAT the mapping depends on address and port, which is random', async () => {
      const { ipv4, reach, usable } = await report(world.player('symmetric'), [url], trust)
      assert.deepEqual(ipv4.mapping, { is: 'address-and-port-dependent' })
      assert.deepEqual(ipv4.filtering, { is: 'address-and-port-dependent' })
      assert.deepEqual(ipv4.allocation, { is: 'random' })
      assert.deepEqual([reach.direct, usable], ['few', true])
    })

    test('where UDP is blocked, TCP and TLS relay', async () => {
      const place = world.player('home')
      world.blockUdp(place)
      const said = await report(place, [url], trust)
      assert.equal(said.ipv4.state, 'silent')
      assert.deepEqual(relays(said), { udp: 'unreachable', tcp: 'relays', tls: 'relays' })
      assert.deepEqual(said.reach, { direct: 'nobody', relayed: true, relayed_over: 'tcp' })
      assert.ok(said.usable)
      const { text } = await check(place, [url], trust)
      assert.match(text, /No UDP gets out of this network: everybody will be relayed, over TCP/)
    })

    test('through lost packets it tells the same', async () => {
      const place = world.player('home')
      const stop = world.lose(place, 5)
      const { ipv4 } = await report(place, [url], trust)
      stop()
      assert.deepEqual([ipv4.mapping, ipv4.filtering], [{ is: 'endpoint-independent' }, { is: 'address-and-port-dependent' }])
    })

    test('a certificate that nobody vouches for makes no relay over TLS', async () => {
      const said = await report(world.player('public'))
      assert.deepEqual(relays(said), { udp: 'relays', tcp: 'relays', tls: 'unreachable' })
    })

    test('a person reads a table and a sentence', async () => {
      const { code, text } = await check(world.player('home'), [url], trust)
      assert.equal(code, 0)
      assert.match(text, /^✓ Server +http:\/\/play\.test:8080, reached in/m)
      assert.match(text, /^✓ IPv4 +UDP is open; 192\.168\.\d+\.10 is seen as 80\.80\.0\.\d+/m)
      assert.match(text, /^– IPv6 +this machine has no IPv6 address/m)
      assert.match(text, /^✓ TURN, TLS +relays/m)
      assert.match(text, /\n\nPeople behind an ordinary home router will reach you directly; people on a mobile network will be relayed\.\n$/)
      assert.ok(!text.includes('\x1b'), 'no colours where nobody sees them')
    })

    test('a STUN server and a TURN server are checked without a Twocan server', async () => {
      const place = world.player('home')
      const stun = await report(place, ['--stun', `play.test:${turn}`])
      assert.deepEqual([stun.server, stun.relays, stun.ipv4.state, stun.usable], [null, [], 'answered', true])
      const wrong = await report(place, ['--turn', `turn:play.test:${turn}?transport=tcp`, '--username', 'ann', '--credential', 'wrong'])
      assert.deepEqual([wrong.relays[0].state, wrong.relays[0].code, wrong.usable], ['refuses', 401, false])
    })

    test('a router that opens ports is heard by all three protocols, and closes them again', { skip: missing('miniupnpd') }, async () => {
      const place = world.player('home')
      world.openPorts(place, folder)
      await new Promise((resolve) => setTimeout(resolve, 1_000))
      const { router } = await report(place, [url], trust)
      assert.equal(router.gateway, place.gateway)
      for (const protocol of ['pcp', 'nat_pmp', 'upnp']) assert.equal(router[protocol].state, 'opened', JSON.stringify(router))
      const { text } = await output('ip', ['netns', 'exec', place.name.replace(/p(\d+)$/, 'r$1'), 'nft', 'list', 'table', 'inet', 'miniupnpd'])
      assert.doesNotMatch(text, /dnat/, text)
    })

    test('coturn\'s natdiscovery comes to the same', { skip: missing('turnutils_natdiscovery') }, async () => {
      const discover = async (place, flag) => {
        const { text } = await output('ip', ['netns', 'exec', place.name, 'turnutils_natdiscovery', flag, '-p', String(turn), world.server.address], { timeout: 30_000 })
        return text
      }
      const [home, symmetric, open] = ['home', 'symmetric', 'public'].map((kind) => world.player(kind))
      const [homeMapping, homeFiltering, symmetricMapping, openFiltering] = await Promise.all([
        discover(home, '-m'), discover(home, '-f'), discover(symmetric, '-m'), discover(open, '-f')])
      assert.match(homeMapping, /NAT with Endpoint Independent Mapping!/)
      assert.match(homeFiltering, /NAT with Address and Port Dependent Filtering!/)
      assert.match(symmetricMapping, /NAT with Address and Port Dependent Mapping!/)
      assert.match(openFiltering, /NAT with Endpoint Independent Filtering!/)
    })
  })

  describe('and a server with one address', () => {
    before(async () => {
      await server.stop('SIGKILL')
      server = await serve([])
    })

    test('tells the ports, and that it cannot tell the rest', async () => {
      const { ipv4, reach, usable } = await report(world.player('home'), [url], trust)
      assert.deepEqual(ipv4.mapping, { unknown: 'one-address' })
      assert.deepEqual(ipv4.filtering, { unknown: 'one-address' })
      assert.deepEqual(ipv4.allocation, { is: 'preserving' })
      assert.deepEqual([reach.direct, reach.relayed, usable], ['unknown', true, true])
    })

    test('that names another server besides lets the two tell the mapping', async () => {
      const other = await Server.start(['--only', 'relay', '--turn', `${second.address}:${turn}`], { world, place: world.server })
      for (const [kind, mapping] of [['home', 'endpoint-independent'], ['symmetric', 'dependent']]) {
        const { ipv4 } = await report(world.player(kind), [url, '--stun', `${second.address}:${turn}`], trust)
        assert.deepEqual(ipv4.mapping, { is: mapping })
      }
      await other.stop('SIGKILL')
    })
  })

  describe('and a server that is gone', () => {
    before(() => server.stop('SIGKILL'))

    test('is said to be out of reach, with exit code 1', async () => {
      const said = await report(world.player('home'))
      assert.deepEqual(said.server, { url, state: 'failed', code: 'unreachable' })
      assert.equal(said.usable, false)
      const { code, text } = await check(world.player('public'), [url])
      assert.equal(code, 1)
      assert.match(text, /^✗ Server +no server answers at http:\/\/play\.test:8080/m)
    })
  })
})

describe('the command line of twocan check', () => {
  test('what cannot be checked has exit code 2', async () => {
    for (const args of [['--turn', 'turn:turn.example'], ['--stun', ''], ['--lifetime=5']]) {
      const { code, text } = await output(binary, ['check', ...args])
      assert.equal(code, 2, text)
    }
  })

  test('a reader who is gone is no error', async () => {
    const { code, text } = await output('sh', ['-c', `{ ${binary} check --json http://127.0.0.1:9; echo "code $?" >&2; } | true`])
    assert.equal(code, 0)
    assert.equal(text.trim(), 'code 1', text)
  })
})
