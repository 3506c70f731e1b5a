// The suite itself: its company feels nothing where nobody attacks, and notices a server that stands still for a moment.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Felt, Field, skip, unhurt } from './kit/field.mjs'

describe('the company', { skip }, () => {
  let field

  before(async () => { field = await Field.open() })
  after(() => field?.close())

  test('feels nothing where nobody attacks', (context) => field.with({}, async (siege) => {
    assert.equal(await siege.under(context, () => 'given'), 'given')
  }))

  test('notices a server that stands still for half a second', (context) => field.with({}, async (siege) => {
    const quiet = await siege.beside()
    const during = await siege.beside(async () => {
      process.kill(siege.server.pid, 'SIGSTOP')
      await new Promise((resolve) => setTimeout(resolve, 500))
      process.kill(siege.server.pid, 'SIGCONT')
    })
    context.diagnostic(`ping p95 ${quiet.pings.p95} → ${during.pings.p95} ms; binding p95 ${quiet.bindings.p95} → ${during.bindings.p95} ms`)
    assert.throws(() => unhurt(quiet, during), Felt)
  }))

  test('is asked three times before a time is believed, and once about anything else', async () => {
    let times = 0
    await assert.rejects(field.with({ company: false }, () => { times++; throw new Felt('slow') }), Felt)
    assert.equal(times, 3)
    await assert.rejects(field.with({ company: false }, () => { times++; throw new Error('lost') }), /lost/)
    assert.equal(times, 4)
  })
})
