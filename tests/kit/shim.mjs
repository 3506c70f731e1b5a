// Stands between a WebSocket client that cannot name a subprotocol and a server that asks for one: it adds the header to
// the request, takes the answer's away, and passes every later byte on as it is.
import { connect, createServer } from 'node:net'

/** Listens on a free port of loopback and leads to `port`, path `path`, with `protocol`. Gives its own port and a way to close it. */
export async function shim(port, path, protocol) {
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1')
    head(client, (text) => upstream.write(text), (lines) => {
      lines[0] = lines[0].replace(/^GET \S+/, `GET ${path}`)
      return [...lines.map((line) => (/^host:/i.test(line) ? `Host: 127.0.0.1:${port}` : line)), `Sec-WebSocket-Protocol: ${protocol}`]
    })
    head(upstream, (text) => client.write(text), (lines) => lines.filter((line) => !/^sec-websocket-protocol:/i.test(line)))
    for (const [one, other] of [[client, upstream], [upstream, client]]) {
      one.on('end', () => other.end()).on('error', () => other.destroy()).on('close', () => other.destroy())
    }
  })
  server.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  return { port: server.address().port, close: () => server.close() }
}

/** Rewrites the lines of an HTTP head; what follows it goes through untouched. */
function head(socket, write, rewrite) {
  let waiting = Buffer.alloc(0)
  socket.on('data', (bytes) => {
    if (waiting === null) return write(bytes)
    waiting = Buffer.concat([waiting, bytes])
    const end = waiting.indexOf('\r\n\r\n')
    if (end < 0) return
    write(`${rewrite(waiting.subarray(0, end).toString('latin1').split('\r\n')).join('\r\n')}\r\n\r\n`)
    if (waiting.length > end + 4) write(waiting.subarray(end + 4))
    waiting = null
  })
}
