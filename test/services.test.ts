import { Redis } from 'ioredis'
import pg from 'pg'
import t from 'tap'

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
