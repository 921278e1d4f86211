// npm run bench [-- --rounds 9 --seconds 2]: what a guard costs, and what logins do to everything else.
// Machines are noisy: all contenders run interleaved, and only ratios within one run mean anything.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { pinLoad } from './contender.js'
import { benchGuardedRoute } from './guarded-route.js'
import { benchLoginStorm } from './login-storm.js'
import { startPostgres } from '../test/services/postgres.js'
import { startRedis } from '../test/services/redis.js'

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '9' }, seconds: { type: 'string', default: '2' } } })
const folder = mkdtempSync(join(tmpdir(), 'accounts-bench-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
const [postgres, redis] = await Promise.all([startPostgres(), startRedis()])
const options = { rounds: Number(values.rounds), seconds: Number(values.seconds), folder, databaseUrl: postgres.url, redisUrl: redis.url }

execFileSync('npm', ['run', '--silent', 'build'], { stdio: 'inherit' })
pinLoad()
console.log('\nA guarded route')
console.table(await benchGuardedRoute(options))
console.log('\n64 clients log in at once')
console.table(await benchLoginStorm({ ...options, rounds: Math.min(options.rounds, 5) }))
await Promise.all([postgres.stop(), redis.stop()])
process.exit()
