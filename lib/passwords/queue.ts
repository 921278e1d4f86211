import { availableParallelism } from 'node:os'
import { FST_ACCOUNTS_BUSY } from '../errors.ts'

/** Runs tasks a few at a time, in the order in which they came. */
export interface Queue {
  /** How many there are at this moment. */
  load (): { readonly running: number, readonly waiting: number }
  /** Refuse those that wait, and all that come: nobody is there any more to be told. */
  close (): void
  /** @throws {FST_ACCOUNTS_BUSY} when as many wait already as may, or it is closed */
  run<T> (task: () => Promise<T>): Promise<T>
}

/**
 * As many hashes at once as there are cores: more only take turns, and keep everything else waiting. One thread of
 * libuv's pool stays free for files and names whatever the number of cores.
 */
export function hashesAtOnce (cores = availableParallelism(), poolSize = Number(process.env.UV_THREADPOOL_SIZE) || 4): number {
  return Math.max(1, Math.min(cores, poolSize - 1))
}

export function createQueue (concurrency: number, maxWaiting: number): Queue {
  const waiting: Array<{ readonly enter: () => void, readonly refuse: (error: Error) => void }> = []
  let running = 0
  let isClosed = false

  const leave = () => {
    const next = waiting.shift()
    if (next === undefined) running--
    else next.enter()
  }

  return {
    load: () => ({ running, waiting: waiting.length }),
    close () {
      isClosed = true
      for (const { refuse } of waiting.splice(0)) refuse(new FST_ACCOUNTS_BUSY())
    },
    async run (task) {
      if (isClosed) throw new FST_ACCOUNTS_BUSY()
      if (running >= concurrency) {
        if (waiting.length >= maxWaiting) throw new FST_ACCOUNTS_BUSY()
        // The one who leaves hands its place on, so nobody who comes later can overtake.
        await new Promise<void>((resolve, reject) => waiting.push({ enter: resolve, refuse: reject }))
      } else {
        running++
      }
      try {
        return await task()
      } finally {
        leave()
      }
    }
  }
}
