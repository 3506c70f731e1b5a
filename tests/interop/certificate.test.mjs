// A certificate that is renewed while the server runs, as every sixty days it is.
import assert from 'node:assert/strict'
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { connect } from 'node:tls'
import { certify } from '../kit/certificate.mjs'
import { missing } from '../kit/programs.mjs'
import { Server } from '../kit/server.mjs'

const skip = missing('openssl')
const PORT = 15_349

/** The serial number of the certificate that the server shows. */
const serial = () => new Promise((resolve, reject) => {
  const socket = connect({ host: '127.0.0.1', port: PORT, rejectUnauthorized: false }, () => {
    resolve(socket.getPeerCertificate().serialNumber)
    socket.end()
  }).on('error', reject)
})

describe('a certificate', { skip }, () => {
  const folders = [1, 2].map(() => mkdtempSync(join(tmpdir(), 'twocan-renewed-')))
  after(() => folders.forEach((folder) => rmSync(folder, { recursive: true, force: true })))

  test('is read anew on SIGHUP; one that cannot be used changes nothing, and nothing ends', async () => {
    const [first, second] = folders.map((folder) => certify(folder))
    const server = await Server.start(['--http', '127.0.0.1:0', '--turn', '127.0.0.1:0', '--turns', `127.0.0.1:${PORT}`, '--tls-cert', first.cert, '--tls-key', first.key])
    try {
      const before = await serial()
      const held = connect({ host: '127.0.0.1', port: PORT, rejectUnauthorized: false })
      await new Promise((resolve) => held.once('secureConnect', resolve))
      writeFileSync(first.cert, 'half a certifi')
      process.kill(server.pid, 'SIGHUP')
      await server.said(/certificate of before is kept.*no certificate in PEM form/)
      assert.equal(await serial(), before)
      copyFileSync(second.cert, first.cert)
      process.kill(server.pid, 'SIGHUP')
      await server.said(/certificate of before is kept.*do not fit/)
      assert.equal(await serial(), before)
      copyFileSync(second.key, first.key)
      process.kill(server.pid, 'SIGHUP')
      await server.said(/certificate was read anew/)
      assert.notEqual(await serial(), before)
      assert.equal(held.destroyed, false, 'who was connected stays so')
      held.destroy()
    } finally {
      await server.stop()
    }
  })

  test('where there is none, SIGHUP is a line in the log', async () => {
    const server = await Server.start(['--http', '127.0.0.1:0', '--only', 'signaling'])
    try {
      process.kill(server.pid, 'SIGHUP')
      await server.said(/SIGHUP: there is no certificate/)
    } finally {
      await server.stop()
    }
  })
})
