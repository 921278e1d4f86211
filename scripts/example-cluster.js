// Starts examples/cluster on the PostgreSQL and the Redis that DATABASE_URL and REDIS_URL name, else on private ones, as the tests have them,
// which are gone when it stops.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { endWithProcess } from '../test/services/lifetime.js'
import { startPostgres } from '../test/services/postgres.js'
import { startRedis } from '../test/services/redis.js'

const env = {
  ...process.env,
  DATABASE_URL: process.env.DATABASE_URL || await addressOf(startPostgres, 'DATABASE_URL'),
  REDIS_URL: process.env.REDIS_URL || await addressOf(startRedis, 'REDIS_URL')
}
const child = spawn(process.execPath, ['examples/cluster/start.js'], { stdio: 'inherit', env })
const ended = once(child, 'exit')
endWithProcess({
  stop: async () => {
    child.kill()
    await ended
  },
  kill: () => child.kill('SIGKILL')
})
const [code] = await ended
process.exit(code ?? 1)

async function addressOf (start, variable) {
  try {
    return (await start()).url
  } catch (error) {
    console.error(`${error.message} Install it, or set ${variable}.`)
    process.exit(1)
  }
}
