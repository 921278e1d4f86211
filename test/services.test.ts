import { Redis } from 'ioredis'
import pg from 'pg'
import t from 'tap'
import { startTcpProxy } from './services/tcp-proxy.js'
import { holdClock, HOUR } from './support/clock.ts'

function serviceUrl (name: string): string {
  const url = process.env[name]
  if (!url) {
    throw new Error(`${name} is not set: run the tests by "node test/run.js test/services.test.ts", or set it.`)
  }
  return url
}

t.test('PostgreSQL answers', async (t) => {
  const client = new pg.Client({ connectionString: serviceUrl('TEST_DATABASE_URL') })
  await client.connect()
  t.teardown(() => client.end())
  const { rows } = await client.query('select version()')
  t.match(rows[0].version, /^PostgreSQL \d+/)
})

t.test('Redis answers', async (t) => {
  const redis = new Redis(serviceUrl('TEST_REDIS_URL'))
  t.teardown(() => redis.disconnect())
  t.equal(await redis.ping(), 'PONG')
})

t.test('a network has a clock of its own: what was said at an hour that a test had advanced to does not hold up the rest', async t => {
  const proxy = await startTcpProxy(serviceUrl('TEST_REDIS_URL'))
  const redis = new Redis(proxy.url, { commandTimeout: 2000 })
  t.teardown(async () => {
    redis.disconnect()
    await proxy.close()
  })
  const clock = holdClock(t)
  clock.advance(HOUR)
  t.equal(await redis.ping(), 'PONG')
  clock.advance(-HOUR)
  t.equal(await redis.ping(), 'PONG')
})
