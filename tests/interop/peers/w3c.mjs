// A peer on one of the stacks that bring an RTCPeerConnection to Node: `w3c.mjs werift|node-datachannel SETTINGS`.
import { createInterface } from 'node:readline'
import { connect } from './connection.mjs'

const [kind, settings] = [process.argv[2], JSON.parse(process.argv[3])]
const { RTCPeerConnection } = await (kind === 'werift' ? import('werift') : import('node-datachannel/polyfill'))

const tell = (event) => process.stdout.write(`${JSON.stringify(event)}\n`)
const command = connect({ RTCPeerConnection, ...settings, tell })
tell({ ready: kind })
for await (const line of createInterface({ input: process.stdin })) command(JSON.parse(line))
process.exit(0)
