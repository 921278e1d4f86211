// How many passwords this core can verify a second with nothing else to do: the most that any login can reach.
import { loadHasher } from '../../dist/lib/passwords/hasher.js'
import { hashesAtOnce } from '../../dist/lib/passwords/queue.js'

const hasher = await loadHasher({ memoryKiB: 19456, iterations: 2, parallelism: 1 })
const digest = await hasher.hash('violet harbor 92 lantern')

async function measure (milliseconds) {
  let count = 0
  const end = performance.now() + milliseconds
  const start = performance.now()
  await Promise.all(Array.from({ length: hashesAtOnce() }, async () => {
    while (performance.now() < end) {
      await hasher.verify(digest, 'violet harbor 92 lantern')
      count++
    }
  }))
  return count / (performance.now() - start) * 1000
}

process.on('message', async milliseconds => process.send({ perSecond: await measure(milliseconds) }))
process.on('disconnect', () => process.exit())
await measure(300)
process.send({ ready: true })
