// One end of a connection over the W3C's RTCPeerConnection, driven by the lines of README.md. `connect` is one self-contained function: pages get its source.

/** Makes a connection; gives a function that takes commands. `tell` takes events. */
export function connect({ RTCPeerConnection, servers, policy, bundlePolicy, tell }) {
  const LOW = 256 * 1024
  const HIGH = 1024 * 1024
  const now = () => performance.timeOrigin + performance.now()
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
  const encoder = new TextEncoder()
  const table = Uint32Array.from({ length: 256 }, (_, byte) => {
    for (let bit = 0; bit < 8; bit++) byte = byte & 1 ? (byte >>> 1) ^ 0xedb88320 : byte >>> 1
    return byte
  })

  const crc32 = (bytes) => {
    let crc = -1
    for (const byte of bytes) crc = table[(crc ^ byte) & 255] ^ (crc >>> 8)
    return (crc ^ -1) >>> 0
  }

  const content = (kind, size, seed) => {
    const bytes = new Uint8Array(size)
    let x = seed >>> 0
    for (let at = 0; at < size; at++) {
      x = (Math.imul(x, 1664525) + 1013904223) >>> 0
      bytes[at] = kind === 'text' ? 97 + ((x >>> 24) % 26) : x >>> 24
    }
    return kind === 'text' ? new TextDecoder().decode(bytes) : bytes
  }

  const connection = new RTCPeerConnection({ iceServers: servers, iceTransportPolicy: policy, ...(bundlePolicy ? { bundlePolicy } : {}) })
  const channels = new Map()
  // What was asked of a channel is done in order, channel by channel.
  const queues = new Map()

  const adopt = (channel) => {
    const { label } = channel
    channels.set(label, channel)
    channel.binaryType = 'arraybuffer'
    channel.bufferedAmountLowThreshold = LOW
    const { ordered, maxRetransmits, maxPacketLifeTime, protocol } = channel
    const opened = () => tell({ open: label, ordered, maxRetransmits, maxPacketLifeTime, protocol })
    channel.onmessage = ({ data }) => {
      const at = now()
      const kind = typeof data === 'string' ? 'text' : 'binary'
      const bytes = kind === 'text' ? encoder.encode(data) : new Uint8Array(data)
      tell({ message: { label, kind, size: bytes.length, hash: crc32(bytes), at } })
    }
    channel.onclose = () => tell({ closed: label })
    if (channel.readyState === 'open') opened()
    else channel.onopen = opened
  }

  connection.ondatachannel = ({ channel }) => adopt(channel)
  // Some stacks tell candidates before the description that they belong to is known to be set.
  let held = []
  connection.onicecandidate = ({ candidate }) => {
    const json = candidate?.toJSON?.() ?? candidate
    const signal = json?.candidate ? json : { candidate: '' }
    if (held) held.push(signal)
    else tell({ signal })
  }
  connection.onconnectionstatechange = () => tell({ state: connection.connectionState })

  const describe = async (description) => {
    await connection.setLocalDescription(description)
    const { type, sdp } = connection.localDescription
    tell({ signal: { type, sdp } })
    for (const signal of held ?? []) tell({ signal })
    held = null
  }

  const send = async ({ label, kind, size, seed, count = 1, every = 0 }) => {
    const channel = channels.get(label)
    const at = []
    let next = now()
    for (let index = 0; index < count; index++) {
      if (every > 0) {
        const wait = next - now()
        if (wait > 0) await pause(wait)
        next += every
      }
      while (channel.bufferedAmount > HIGH) await pause(2)
      const message = content(kind, size, seed + index)
      at.push(now())
      channel.send(message)
    }
    tell({ sent: { label, seed, at } })
  }

  const stats = async () => {
    const report = await connection.getStats()
    const all = [...report.values()]
    const transport = all.find(({ type }) => type === 'transport')
    const pair = report.get(transport?.selectedCandidatePairId) ??
      all.find((each) => each.type === 'candidate-pair' && (each.selected || (each.nominated && each.state === 'succeeded')))
    const [local, remote] = [report.get(pair?.localCandidateId), report.get(pair?.remoteCandidateId)]
    return { local: local?.candidateType ?? null, remote: remote?.candidateType ?? null, protocol: local?.relayProtocol ?? local?.protocol ?? null }
  }

  const commands = {
    open: async ({ label, ordered, maxRetransmits, maxPacketLifeTime, negotiated, protocol }) => {
      const wanted = { ordered, maxRetransmits, maxPacketLifeTime, protocol, ...(negotiated === undefined ? {} : { negotiated: true, id: negotiated }) }
      adopt(connection.createDataChannel(label, Object.fromEntries(Object.entries(wanted).filter(([, value]) => value !== undefined))))
    },
    offer: async ({ iceRestart = false }) => describe(await connection.createOffer({ iceRestart })),
    // Sections of media, for which nothing is ever sent.
    media: async ({ kinds }) => kinds.forEach((kind) => connection.addTransceiver(kind)),
    'stop-media': async ({ index }) => connection.getTransceivers()[index].stop(),
    signal: async ({ signal }) => {
      if (!signal.type) {
        if (signal.candidate) await connection.addIceCandidate(signal)
        return
      }
      await connection.setRemoteDescription(signal)
      if (signal.type === 'offer') await describe(await connection.createAnswer())
    },
    send: async (command) => {
      const queue = (queues.get(command.label) ?? Promise.resolve()).then(() => send(command))
      queues.set(command.label, queue.catch(() => {}))
      await queue
    },
    stats: async () => tell({ stats: await stats() }),
    'close-channel': async ({ label }) => channels.get(label).close(),
    close: async () => connection.close(),
  }

  // Signals must not overtake each other: setRemoteDescription takes its time.
  let signals = Promise.resolve()
  return (command) => {
    const work = () => commands[command.do](command)
    const done = command.do === 'signal' ? (signals = signals.then(work)) : work()
    const failed = (error) => tell({ error: `${command.do}: ${error?.message ?? error}` })
    if (command.do === 'signal') signals = signals.catch(failed)
    else done.catch(failed)
  }
}
