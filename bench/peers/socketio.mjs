// socket.io: sockets by WebSocket alone, named by ?i=; POST /all sends its body to each, POST /one/I to one.
import { createRequire } from 'node:module'
import http from 'node:http'

const require = createRequire(`${process.env.BENCH_PEERS}/`)
const { Server } = require('socket.io')

const server = http.createServer((request, response) => {
  if (request.url.startsWith('/socket.io/')) return
  const parts = []
  request.on('data', part => parts.push(part))
  request.on('end', () => {
    const text = Buffer.concat(parts).toString()
    if (request.method !== 'DELETE') {
      if (request.url === '/all') io.emit('m', text)
      else io.to(`one-${request.url.slice('/one/'.length)}`).emit('m', text)
    }
    response.end()
  })
})
server.keepAliveTimeout = 600_000
// No pings while it is measured: who is counted is told nothing else.
const io = new Server(server, { transports: ['websocket'], perMessageDeflate: false, pingInterval: 3_600_000, serveClient: false })
io.on('connection', socket => socket.join(`one-${socket.handshake.query.i}`))
server.listen(0, '127.0.0.1', 4096, () => console.log(`127.0.0.1:${server.address().port}`))
