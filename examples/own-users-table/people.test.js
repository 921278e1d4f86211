import { test } from 'node:test'
import Database from 'better-sqlite3'
import { userContract } from 'fastify-accounts/testing'
import { peopleStore, SCHEMA } from './people.js'

for (const { title, run } of userContract) {
  test(title, async () => {
    const database = new Database(':memory:')
    database.exec(SCHEMA)
    await run({ users: peopleStore(database) })
  })
}
