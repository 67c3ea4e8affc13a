// ws: sockets at /ws/I; POST /all sends its body to each, POST /one/I to one, DELETE /all forgets those who have left.
import { createRequire } from 'node:module'
import http from 'node:http'

const require = createRequire(`${process.env.BENCH_PEERS}/`)
const { WebSocketServer } = require('ws')
const all = new Map()

const server = http.createServer((request, response) => {
  const parts = []
  request.on('data', part => parts.push(part))
  request.on('end', () => {
    const body = Buffer.concat(parts)
    if (request.method !== 'DELETE') {
      if (request.url === '/all') for (const socket of all.values()) socket.send(body, { binary: false })
      else all.get(request.url.slice('/one/'.length))?.send(body, { binary: false })
    }
    response.end()
  })
})
server.keepAliveTimeout = 600_000
const sockets = new WebSocketServer({ server, perMessageDeflate: false, clientTracking: false, handleProtocols: () => 'stentor.v1' })
sockets.on('connection', (socket, request) => {
  const i = request.url.slice('/ws/'.length)
  all.set(i, socket)
  socket.on('error', () => {})
  socket.on('close', () => { if (all.get(i) === socket) all.delete(i) })
})
server.listen(0, '127.0.0.1', 4096, () => console.log(`127.0.0.1:${server.address().port}`))
