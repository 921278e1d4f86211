import t from 'tap'
import { PASSWORD } from './support/app.ts'
import { createDatabase } from './support/command.ts'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'

t.test('basic usage lists who still uses HTTP Basic and where, the latest first, to people and programs', async t => {
  const { file, run, serve } = await createDatabase(t)
  t.match(await run(['basic', 'usage']), { code: 0, stdout: 'Nobody uses HTTP Basic.\n' })
  const { app } = await serve()
  const { id } = await app.accounts.users.create({ email: 'ada@example.com', password: PASSWORD })
  const storage = await sqliteStorage(file)
  t.teardown(async () => await storage.close())
  const at = (minute: number) => new Date(Date.UTC(2026, 5, 1, 12, minute))
  await storage.basicUses!.note([
    { userId: null, method: 'GET', route: '/reports', lastUsedAt: at(1), lastUsedAddress: null },
    { userId: id, method: 'POST', route: '/reports/:id', lastUsedAt: at(2), lastUsedAddress: '192.0.2.7' },
    { userId: 'deleted', method: 'GET', route: '/\u001b[2J', lastUsedAt: at(0), lastUsedAddress: '192.0.2.8' }
  ])
  const { stdout } = await run(['basic', 'usage'])
  t.equal(stdout, `\
WHO              METHOD  ROUTE         LAST                      FROM
ada@example.com  POST    /reports/:id  2026-06-01T12:02:00.000Z  192.0.2.7
(shared)         GET     /reports      2026-06-01T12:01:00.000Z
(deleted)        GET     /\ufffd[2J         2026-06-01T12:00:00.000Z  192.0.2.8
`)
  t.match(JSON.parse((await run(['basic', 'usage', '--json'])).stdout), [{ userId: id, user: { email: 'ada@example.com' } }, { userId: null, user: null }, { userId: 'deleted', user: null }])
})
