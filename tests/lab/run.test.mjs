// `twocan lab run`: an app behind two networks, what its user sees, and that nothing is left behind.
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { describe, test } from 'node:test'
import { examples, lacking } from '../kit/native.mjs'
import { missing } from '../kit/programs.mjs'
import { binary, environment } from '../kit/server.mjs'

const skip = missing('namespaces', 'tun') || lacking('host')
const meet = [`${examples}/host`, '--quick', '--public', '--size', '2']

/** Starts it; `end` gives what it said and its exit code. */
function lab(args, [file, ...before] = []) {
  const line = [...before, ...(file ? [binary] : []), 'lab', 'run', ...args]
  const child = spawn(file ?? binary, line, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...environment, NO_COLOR: '1' } })
  const said = { out: '', err: '' }
  child.stdout.setEncoding('utf8').on('data', (text) => { said.out += text })
  child.stderr.setEncoding('utf8').on('data', (text) => { said.err += text })
  const end = new Promise((resolve) => child.once('close', (code) => resolve({ ...said, code })))
  return { child, said, end }
}

/** What a lab of this process would have left. */
function leftovers(pid) {
  const named = (folder, start) => (existsSync(folder) ? readdirSync(folder) : []).filter((name) => name.startsWith(start))
  return [...named('/run/netns', `twocan${pid}-`), ...named('/etc/netns', `twocan${pid}-`), ...named(tmpdir(), `twocan-lab-${pid}`)]
}

async function until(find, what) {
  const end = Date.now() + 15_000
  while (!find()) {
    if (Date.now() > end) throw new Error(`waited for ${what()}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

describe('twocan lab run', { skip, concurrency: 2 }, () => {
  for (const [left, right, says] of [
    ['home', 'cgnat', /^ {2}direct: /m],
    ['symmetric', 'home', /^ {2}relayed: left reaches the relay .*by UDP|^ {2}relayed: .* right by UDP/m],
    ['udp-blocked', 'udp-blocked', /^ {2}relayed: (both reach the relay|left reaches the relay by T[CL][PS], right) by T[CL][PS]$/m],
  ]) {
    test(`${left} and ${right}: it draws that they are ${/\w+: /.exec(says.source)[0].slice(0, -2)}`, async () => {
      const { child, said, end } = lab(['--left', left, '--right', right, '--delay', '20', '--', ...meet])
      // Both say which way they take; a better one may take over.
      await until(() => /left │ path/.test(said.out) && /right │ path/.test(said.out), () => said.out + said.err)
      await new Promise((resolve) => setTimeout(resolve, 2_000))
      child.kill('SIGINT')
      const { out, code } = await end
      assert.equal(code, 0, out)
      assert.match(out, says)
      assert.match(out, new RegExp(`\\[ ${left} 80\\.80\\.\\d+\\.\\d+ \\]══ internet ══\\[ ${right} 80\\.`))
      assert.deepEqual(leftovers(child.pid), [])
    })
  }

  test('commands are told their side and the server, and its exit code is that of the one that failed', async () => {
    const { child, end } = lab(['--left-cmd', 'echo $TWOCAN_SIDE of $TWOCAN_SERVER', '--right-cmd', 'echo oh >&2; exit 7'])
    const { out, code } = await end
    assert.match(out, /^ left │ left of http:\/\/play\.test:8080$/m)
    assert.match(out, /^right │ oh$/m)
    assert.match(out, /^ {2}nothing: /m)
    assert.equal(code, 7)
    assert.deepEqual(leftovers(child.pid), [])
  })

  test('twocan check, run in it, finds what the boxes are', async () => {
    const { out } = await lab(['--left', 'symmetric', '--right', 'full-cone', '--', binary, 'check', 'http://play.test:8080']).end
    const [left, right] = ['left', 'right'].map((side) => out.split('\n').filter((line) => line.trimStart().startsWith(`${side} │`)).join('\n'))
    assert.match(left, /mapping .*\(address-and-port-dependent\)\n.*filtering .*\(address-and-port-dependent\)/)
    assert.match(right, /mapping .*\(endpoint-independent\)\n.*filtering .*\(endpoint-independent\)/)
    for (const way of ['UDP', 'TCP', 'TLS']) assert.match(right, new RegExp(`✓ TURN, ${way} `))
  })

  test('behind home-pcp, twocan check opens ports by all three protocols, and behind home by none', async () => {
    const { out } = await lab(['--left', 'home-pcp', '--right', 'home', '--', binary, 'check', '--json', 'http://play.test:8080']).end
    const [left, right] = ['left', 'right'].map((side) => {
      const lines = out.split('\n').map((line) => line.trimStart()).filter((line) => line.startsWith(`${side} │ `))
      return JSON.parse(lines.map((line) => line.slice(side.length + 3)).join('\n')).router
    })
    for (const protocol of ['pcp', 'nat_pmp', 'upnp']) {
      assert.equal(left[protocol].state, 'opened', JSON.stringify(left))
      assert.notEqual(right[protocol].state, 'opened', JSON.stringify(right))
    }
  })

  test('what has no end is ended after the time that --for says, with all that it started', async () => {
    const { child, end } = lab(['--for', '0.5', '--', 'sh', '-c', 'sleep 4321 & sleep 4321'])
    const { code } = await end
    assert.equal(code, 0)
    assert.deepEqual(leftovers(child.pid), [])
    const left = execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' }).split('\n').filter((line) => line === 'sleep 4321')
    assert.deepEqual(left, [])
  })

  test('what a killed lab leaves behind, the next one takes away', async () => {
    const { child, said, end } = lab(['--', 'sh', '-c', 'echo here; sleep 100'])
    await until(() => /here/.test(said.out), () => said.out + said.err)
    child.kill('SIGKILL')
    await until(() => child.signalCode, () => 'its end')
    assert.notDeepEqual(leftovers(child.pid), [])
    await lab(['--', 'true']).end
    assert.deepEqual(leftovers(child.pid), [])
    await end
  })

  test('who is not root gets a lab in a user namespace', { skip: missing('setpriv', 'unshare') }, async () => {
    // Where /dev/net/tun is open to everybody, as it mostly is.
    const nobody = 'mount -t tmpfs dev /dev/net && mknod /dev/net/tun c 10 200 && chmod 666 /dev/net/tun && exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@"'
    const { end } = lab(['--', 'sh', '-c', 'id -u; grep play.test /etc/hosts'], ['unshare', '--mount', 'sh', '-c', nobody, 'sh'])
    const { out, err, code } = await end
    assert.equal(code, 0, out + err)
    assert.match(out, /^ left │ 80\.80\.0\.10 play\.test$/m)
  })

  test('a kind that there is not: the answer lists those that there are', async () => {
    const { err, code } = await lab(['--left', 'moon', '--', 'true']).end
    assert.equal(code, 2)
    assert.match(err, /there is no such kind of network; there are public, home, .*ipv6-only/)
  })
})
