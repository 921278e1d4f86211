import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Test } from 'tap'

export interface Worker {
  readonly process: ChildProcess
  /** Have it do one of its duties; rejects with what it threw. */
  ask<Result> (name: string, input?: object): Promise<Result>
  /** What it says of its own accord. */
  on (id: string, listener: (result: never) => void): void
  kill (): Promise<void>
}

interface Message { readonly id: number | string, readonly result?: unknown, readonly error?: string }

/**
 * Start `test/workers/NAME.js`, which runs the built package, on a database file; it ends with the test.
 * The test runner's own loader, which it hands down in NODE_OPTIONS, stays behind.
 */
export async function startWorker (t: Test, name: string, file: string, secret: Buffer): Promise<Worker> {
  const child = spawn(process.execPath, [join(import.meta.dirname, '..', 'workers', `${name}.js`), file, secret.toString('base64url')], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, NODE_OPTIONS: '' }
  })
  const exited = once(child, 'exit')
  const kill = async () => {
    child.kill('SIGKILL')
    await exited
  }
  t.teardown(kill)

  const waiting = new Map<number | string, (message: Message) => void>()
  const listeners = new Map<string, (result: never) => void>()
  const ready = new Promise<void>((resolve, reject) => {
    waiting.set('ready', () => resolve())
    child.once('exit', status => reject(new TypeError(`${name} ended with ${status} before it was ready: is the package built?`)))
  })
  child.on('message', (message: Message) => {
    listeners.get(String(message.id))?.(message.result as never)
    waiting.get(message.id)?.(message)
    waiting.delete(message.id)
  })
  await ready
  let count = 0
  return {
    process: child,
    kill,
    on: (id, listener) => { listeners.set(id, listener) },
    async ask<Result> (duty: string, input = {}) {
      const id = ++count
      return await new Promise<Result>((resolve, reject) => {
        waiting.set(id, ({ result, error }) => {
          if (error === undefined) resolve(result as Result)
          else reject(new TypeError(error))
        })
        child.send({ id, name: duty, ...input })
      })
    }
  }
}
