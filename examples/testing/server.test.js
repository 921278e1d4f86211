import { equal, match } from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, test } from 'node:test'
import { sqliteStorage } from 'fastify-accounts/kysely'
import { authAs, createMailbox, holdClock, linkOf, tokenOf } from 'fastify-accounts/testing'
import { build } from './server.js'

const mailbox = createMailbox()
const app = await build({ secret: randomBytes(32), storage: await sqliteStorage(':memory:'), mailer: mailbox, rateLimit: false })
after(() => app.close())

test('editors publish, readers do not', async () => {
  const publish = async headers => await app.inject({ method: 'POST', url: '/articles', headers, payload: { title: 'Tests' } })
  equal((await publish({})).statusCode, 401)
  equal((await publish(await authAs(app, { email: 'ray@example.com' }))).statusCode, 403)
  equal((await publish(await authAs(app, { email: 'eve@example.com', roles: ['editor'] }))).statusCode, 201)
})

test('whoever deletes all of it has to have given their password a moment ago', async t => {
  const clock = holdClock()
  t.after(() => clock.release())
  const headers = await authAs(app, { email: 'eve@example.com', roles: ['editor'] })
  clock.advance('6m')
  equal((await app.inject({ method: 'DELETE', url: '/articles', headers })).statusCode, 401)
})

test('a forgotten password is set anew by the link in a mail', async () => {
  await app.accounts.users.create({ email: 'ada@example.com', emailVerified: true })
  await app.inject({ method: 'POST', url: '/auth/password/forgot', payload: { email: 'ada@example.com' } })
  const mail = await mailbox.next({ to: 'ada@example.com', kind: 'reset-password' })
  match(linkOf(mail), /^http:\/\/localhost:3000\/reset-password\?/)
  const payload = { token: tokenOf(mail), password: 'violet harbor 92 lantern' }
  equal((await app.inject({ method: 'POST', url: '/auth/password/reset', payload })).statusCode, 204)
})
