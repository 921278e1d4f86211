import { equal } from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { formatPolicies } from 'fastify-accounts'
import { build } from './server.js'

test('who may do what is as it was agreed on', async t => {
  const app = await build({ secret: randomBytes(32) })
  t.after(() => app.close())
  await app.ready()
  equal(formatPolicies(app.accounts.policies()), await readFile(new URL('policies.txt', import.meta.url), 'utf8'))
})
