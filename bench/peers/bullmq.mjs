// BullMQ: `push` or `consume`, the address of Redis, how many jobs, their payload.
import { createRequire } from 'node:module'

const require = createRequire(`${process.env.BENCH_PEERS}/`)
const { Queue, Worker } = require('bullmq')
const [step, url, count, payload] = process.argv.slice(2)
const n = Number(count)
const address = new URL(url)
const connection = { host: address.hostname, port: Number(address.port), maxRetriesPerRequest: null }

if (step === 'push') {
  const queue = new Queue('bench', { connection })
  await queue.waitUntilReady()
  const data = JSON.parse(payload)
  const some = Array.from({ length: 200 }, () => ({ name: 'j', data, opts: { removeOnComplete: true } }))
  const begun = performance.now()
  const calls = [0, 1, 2, 3].map(async first => {
    for (let i = first * 200; i < n; i += 800) await queue.addBulk(some)
  })
  await Promise.all(calls)
  console.log(JSON.stringify({ per_second: (n / (performance.now() - begun)) * 1000 }))
} else {
  let done = 0
  const worker = new Worker('bench', async () => {}, { connection, concurrency: 256, autorun: false })
  await worker.waitUntilReady()
  const begun = performance.now()
  worker.on('completed', () => {
    if (++done === n) {
      console.log(JSON.stringify({ per_second: (n / (performance.now() - begun)) * 1000 }))
      process.exit(0)
    }
  })
  await worker.run()
}
process.exit(0)
