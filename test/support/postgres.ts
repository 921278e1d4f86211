import { randomBytes } from 'node:crypto'
import pg from 'pg'
import type { Test } from 'tap'
import { postgresStorage, type PostgresOptions, type PostgresStorage } from '../../lib/adapters/kysely/index.ts'

/** The address of the PostgreSQL that the test run has started, or was given. */
export function databaseUrl (): string {
  const url = process.env.TEST_DATABASE_URL
  if (url === undefined || url === '') throw new TypeError('TEST_DATABASE_URL is not set: run the tests by "node test/run.js test/NAME.test.ts", or set it.')
  return url
}

/** The name of a schema that nobody else uses; it is dropped with the test. */
export function schemaName (t: Test): string {
  const schema = `test_${randomBytes(8).toString('hex')}`
  t.teardown(async () => { await query(`drop schema if exists ${schema} cascade`) })
  return schema
}

/** A storage in a schema of its own. */
export async function openPostgres (t: Test, options: PostgresOptions = {}): Promise<PostgresStorage> {
  const storage = await postgresStorage(databaseUrl(), { schema: schemaName(t), ...options })
  // A plugin that was refused at start closes nothing.
  t.teardown(async () => await storage.close())
  return storage
}

/** Run one statement as an outsider does at a prompt. */
export async function query<Row extends object> (text: string, values: readonly unknown[] = []): Promise<Row[]> {
  const client = new pg.Client(databaseUrl())
  await client.connect()
  try {
    return (await client.query<Row>(text, [...values])).rows
  } finally {
    await client.end()
  }
}
