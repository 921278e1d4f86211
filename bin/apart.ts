import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { Writable } from 'node:stream'

/** Set in a process of its own that loads a server: the file descriptor that its answer goes to. */
const ANSWER = 'FASTIFY_ACCOUNTS_ANSWER'

/** A server prints whatever it likes. In a process of its own that goes to the error output, and the answer stands alone. */
export function runApart (): number {
  const { status, output } = spawnSync(process.execPath, [...process.execArgv, ...process.argv.slice(1)], { stdio: [0, 2, 2, 'pipe'], env: { ...process.env, [ANSWER]: '3' }, maxBuffer: Infinity })
  process.stdout.write(output?.[3] ?? '')
  return status ?? 1
}

/** In such a process: where the answer goes. Else null. */
export function openAnswer (): Writable | null {
  const descriptor = process.env[ANSWER]
  // It is nobody else's, and least of all a child's of the server.
  delete process.env[ANSWER]
  if (descriptor === undefined) return null
  return new Writable({
    write (text: Buffer, _encoding, done) {
      writeFileSync(Number(descriptor), text)
      done()
    }
  })
}
