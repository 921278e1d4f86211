import { fork } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { spawnSync } from 'node:child_process'

/** Servers run on the first core, the load on the others, where the system can pin a process. */
const canPin = availableParallelism() > 1 && spawnSync('taskset', ['--version']).status === 0
const flags = ['--expose-gc']
const pinned = canPin ? { execPath: 'taskset', execArgv: ['-c', '0', process.execPath, ...flags] } : { execArgv: flags }

/** Keep this process, and what it starts from now on, off the servers' core. */
export function pinLoad () {
  if (canPin) spawnSync('taskset', ['-a', '-c', '-p', `1-${availableParallelism() - 1}`, String(process.pid)])
}

/** Start a script of `servers/`; its first message is in `hello`, and `ask` sends one and waits for the answer. */
export async function start (script, env = {}) {
  const child = fork(new URL(`servers/${script}`, import.meta.url).pathname, { ...pinned, env: { ...process.env, NODE_ENV: 'production', ...env } })
  const [hello] = await once(child, 'message')
  return {
    hello,
    async ask (message) {
      const answer = once(child, 'message')
      child.send(message)
      return (await answer)[0]
    },
    stop: () => child.disconnect()
  }
}

export const median = numbers => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)]
export const quantile = (numbers, share) => numbers.toSorted((a, b) => a - b)[Math.min(numbers.length - 1, Math.floor(numbers.length * share))]
