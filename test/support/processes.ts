import type { Test } from 'tap'
import type { StorageAddress } from '../workers/open-storage.js'
import { startWorker as start, type Worker } from '../workers/start.js'

/** Start `test/workers/NAME.js`, which runs the built package, on a storage; it ends with the test. */
export async function startWorker (t: Test, name: string, address: StorageAddress, secret: Buffer): Promise<Worker> {
  const worker = await start(name, address, secret)
  t.teardown(worker.kill)
  return worker
}
