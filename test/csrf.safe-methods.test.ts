import Database from 'better-sqlite3'
import type { RouteOptions } from 'fastify'
import t from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import { databaseFile } from './support/app.ts'
import { holdClock, MINUTE } from './support/clock.ts'
import { createHost } from './support/host.ts'

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE']

/** All that the database holds, but for when a session was last seen. */
function dump (file: string): string {
  const database = new Database(file, { readonly: true })
  try {
    const names = database.prepare("select name from sqlite_master where type = 'table' and name not like 'sqlite_%'").pluck().all() as string[]
    const rows = names.map(name => [name, database.prepare(`select * from "${name}"`).all() as object[]] as const)
    return JSON.stringify(rows, (key, value: unknown) => /last_seen|acknowledged/.test(key) ? undefined : value)
  } finally {
    database.close()
  }
}

async function start (t: Parameters<typeof createHost>[0]) {
  const file = databaseFile(t)
  const routes: RouteOptions[] = []
  const host = await createHost(t, {
    accounts: { storage: await sqliteStorage(file) },
    before (app) { app.addHook('onRoute', route => { routes.push(route) }) }
  })
  const known = new Map<string, Set<string>>()
  for (const { url, method } of routes) known.set(url, new Set([...known.get(url) ?? [], ...[method].flat()]))
  return { ...host, file, known }
}

t.test('X-05 no GET, HEAD or OPTIONS changes anything, on any route', async t => {
  const clock = holdClock(t)
  const { app, file, known, signedUp, client } = await start(t)
  const browser = await signedUp('ada@example.com')
  await app.accounts.users.update((await browser.get('/auth/me')).json().user.id, { roles: ['owner'] })
  const other = client()
  await other.post('/auth/login', { email: 'ada@example.com', password: 'violet harbor 92 lantern' })
  const ids = (await browser.get('/auth/sessions')).json().sessions.map(({ id }: { id: string }) => id) as string[]
  t.equal(ids.length, 2)
  clock.advance(5 * MINUTE)

  const before = dump(file)
  t.match(before, 'ada@example.com', 'there is something to change')
  let sent = 0
  for (const url of known.keys()) {
    for (const path of url.includes(':') ? ids.map(id => url.replace(/:\w+/, id)) : [url]) {
      for (const method of ['GET', 'HEAD', 'OPTIONS']) {
        for (const variant of [path, `${path}?_method=DELETE&method=POST`]) {
          for (const override of ['POST', 'DELETE', 'PATCH']) {
            const response = await browser.request(method, variant, undefined, { 'x-http-method-override': override, 'x-method-override': override, 'x-http-method': override })
            // A query that nobody asked for is refused where there is one at all.
            const accepted = url === '/auth/users' && variant !== path ? 400 : 200
            if (response.statusCode !== (known.get(url)!.has(method) ? accepted : 404) || response.headers['set-cookie'] !== undefined) t.fail(`${method} ${variant} answered ${response.statusCode}`)
            sent++
          }
        }
      }
    }
  }
  t.ok(sent > 100)
  t.equal(dump(file), before, 'not a row')
  t.equal((await browser.get('/auth/me')).statusCode, 200)
  t.equal((await other.get('/auth/me')).statusCode, 200)
  await browser.post('/auth/logout')
  t.not(dump(file), before, 'what a POST changes is seen')
})

t.test('I-11 what a route does not do is 404, TRACE is off everywhere', async t => {
  const { known, signedUp } = await start(t)
  const browser = await signedUp('ada@example.com')
  const expected: Readonly<Record<string, readonly string[]>> = {
    '/auth/register': ['POST'],
    '/auth/login': ['POST'],
    '/auth/refresh': ['POST'],
    '/auth/logout': ['POST'],
    '/auth/me': ['DELETE', 'GET', 'HEAD', 'PATCH'],
    '/auth/sessions': ['DELETE', 'GET', 'HEAD'],
    '/auth/sessions/:id': ['DELETE'],
    '/auth/password/change': ['POST']
  }
  for (const [url, methods] of Object.entries(expected)) t.strictSame([...known.get(url) ?? []].sort(), methods, url)
  for (const [url, methods] of known) {
    t.notOk(['PUT', 'OPTIONS', 'TRACE'].some(method => methods.has(method)), url)
    for (const method of METHODS.filter(method => !methods.has(method))) {
      const response = await browser.request(method, url.replace(/:\w+/, 'x'), undefined, { 'x-test': 'reflected?' })
      t.equal(response.statusCode, 404, `${method} ${url}`)
      t.notMatch(response.body, /reflected|accounts_access/, 'nothing of the request comes back')
    }
  }
  for (const path of ['/auth', '/auth/', '/auth/login/', '/auth//login', '/auth/Login', '/auth/login;x=1', '/auth/login%2f', '/auth/login%00', '/auth/%6cogin/x', '/auth/../auth/login/x', '/auth/session', '/auth/sessions/']) {
    t.ok([400, 404].includes((await browser.post(path, {})).statusCode), path)
  }
  t.equal((await browser.get('/auth/me')).statusCode, 200, 'the session is as it was')
})
