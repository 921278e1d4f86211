import { availableParallelism } from 'node:os'
import { FST_ACCOUNTS_BUSY } from '../errors.ts'

/** Runs tasks a few at a time, in the order in which they came. */
export interface Queue {
  /** How many there are at this moment. */
  load (): { readonly running: number, readonly waiting: number }
  /** @throws {FST_ACCOUNTS_BUSY} when as many wait already as may */
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
  const waiting: Array<() => void> = []
  let running = 0

  const leave = () => {
    const next = waiting.shift()
    if (next === undefined) running--
    else next()
  }

  return {
    load: () => ({ running, waiting: waiting.length }),
    async run (task) {
      if (running >= concurrency) {
        if (waiting.length >= maxWaiting) throw new FST_ACCOUNTS_BUSY()
        // The one who leaves hands its place on, so nobody who comes later can overtake.
        await new Promise<void>(resolve => waiting.push(resolve))
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
