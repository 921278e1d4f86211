import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { startPostgres } from './postgres.js'

/**
 * A schema of one's own, in the PostgreSQL that TEST_DATABASE_URL names or else in one that is started for it.
 * @returns {Promise<{ url: string, schema: string, remove: () => Promise<void> }>}
 */
export async function createDatabase () {
  const given = process.env.TEST_DATABASE_URL
  const { url, stop } = given ? { url: given, stop: async () => {} } : await startPostgres()
  const schema = `test_${randomBytes(8).toString('hex')}`
  const remove = async () => {
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    await client.query(`drop schema if exists ${schema} cascade`)
    await client.end()
    await stop()
  }
  return { url, schema, remove }
}
