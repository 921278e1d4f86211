import t from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import { createApp, openStorage, OTHER_PASSWORD, PASSWORD } from './support/app.ts'
import { createMailApp } from './support/mail.ts'

const VICTIM = 'victim@example.com'

t.test('A-13 whoever signed up with the address of another is out once its owner has proved it, whatever they had set', async t => {
  for (const revokeTokens of ['reset', 'always', 'never'] as const) {
    const changed: string[] = []
    const { app, client, signedUp } = await createApp(t, { passwords: { revokeTokens }, hooks: { passwordChanged: ({ user }) => { changed.push(user.id) } } })
    const attacker = await signedUp(VICTIM)
    const { token } = (await attacker.post('/auth/tokens', { name: 'A way back', context: 'server' })).json<{ token: string }>()
    const { user } = (await attacker.get('/auth/me')).json<{ user: { id: string } }>()
    const again = client()
    await again.post('/auth/login', { email: VICTIM, password: PASSWORD })

    t.match(await app.accounts.users.confirmEmail(user.id, VICTIM.toUpperCase()), { id: user.id, emailVerified: true })
    for (const browser of [attacker, again]) t.equal((await browser.get('/auth/me')).statusCode, 401, 'sessions')
    t.equal((await client().get('/private', { authorization: `Bearer ${token}` })).statusCode, 401, `personal tokens, ${revokeTokens}`)
    t.equal((await client().post('/auth/login', { email: VICTIM, password: PASSWORD })).statusCode, 401, 'password')
    t.strictSame(changed, [user.id], 'the host is told')
  }
})

t.test('A-13 of an address that is verified nothing changes', async t => {
  const { app, signedUp } = await createApp(t)
  const browser = await signedUp(VICTIM)
  const { user } = (await browser.get('/auth/me')).json<{ user: { id: string } }>()
  await app.accounts.users.confirmEmail(user.id, VICTIM)
  await app.accounts.passwords.set(user.id, OTHER_PASSWORD)
  t.equal((await browser.post('/auth/login', { email: VICTIM, password: OTHER_PASSWORD })).statusCode, 200)
  t.match(await app.accounts.users.confirmEmail(user.id, VICTIM), { emailVerified: true })
  t.equal((await browser.get('/auth/me')).statusCode, 200)
})

t.test('A-13 nobody else\'s address is confirmed, and nobody\'s account', async t => {
  const { app, signedUp } = await createApp(t)
  const browser = await signedUp(VICTIM)
  const { user } = (await browser.get('/auth/me')).json<{ user: { id: string } }>()
  t.equal(await app.accounts.users.confirmEmail(user.id, 'other@example.com'), null)
  for (const id of ['unknown', '', 'a\0b']) t.equal(await app.accounts.users.confirmEmail(id, VICTIM), null)
  await t.rejects(app.accounts.users.confirmEmail(user.id, 'no address'), { code: 'FST_ACCOUNTS_EMAIL_INVALID' })
  t.match((await browser.get('/auth/me')).json(), { user: { emailVerified: false } })
})

t.test('A-13 of racers one takes the account over, and none leaves it half-way', async t => {
  const { app, storage, signedUp } = await createApp(t)
  const browser = await signedUp(VICTIM)
  const { user } = (await browser.get('/auth/me')).json<{ user: { id: string } }>()
  const outcomes = await Promise.allSettled(Array.from({ length: 8 }, async () => await app.accounts.users.confirmEmail(user.id, VICTIM)))
  for (const outcome of outcomes) t.match(outcome.status === 'rejected' ? outcome.reason : outcome.value, outcome.status === 'rejected' ? { code: 'FST_ACCOUNTS_STORAGE_UNAVAILABLE' } : { emailVerified: true })
  t.match(await storage.users.find(user.id), { emailVerified: true, epoch: 1 })
})

t.test('A-13 A-14 links that were on their way are void, and the owner is told', async t => {
  const { app, client, takeMail, takeToken, takeAll } = await createMailApp(t, { registration: { verifyEmail: false } })
  const attacker = client()
  const { user } = (await attacker.post('/auth/register', { email: VICTIM, password: PASSWORD })).json<{ user: { id: string } }>()
  await attacker.post('/auth/email/change', { email: 'attacker@example.com', password: PASSWORD })
  const tokens = [(await takeAll()).flatMap(({ text }) => /token=([\w-]+)/.exec(text)?.[1] ?? [])].flat()
  t.equal(tokens.length, 1)
  await client().post('/auth/password/forgot', { email: VICTIM })
  tokens.push(await takeToken())

  await app.accounts.users.confirmEmail(user.id, VICTIM)
  t.match((await takeMail()).text, /password of your account .* was changed/)
  t.equal((await client().post('/auth/email/verify', { token: tokens[0] })).statusCode, 422)
  t.equal((await client().post('/auth/password/reset', { token: tokens[1], password: OTHER_PASSWORD })).statusCode, 422)
})

t.test('A-13 a reset by mail too ends the tokens of before the first proof, also with revokeTokens never', async t => {
  const { client, takeToken } = await createMailApp(t, { registration: { verifyEmail: false }, passwords: { revokeTokens: 'never' } })
  const attacker = client()
  await attacker.post('/auth/register', { email: VICTIM, password: PASSWORD })
  const make = async (browser: typeof attacker) => (await browser.post('/auth/tokens', { name: 'Script', context: 'server' })).json<{ token: string }>().token
  const planted = await make(attacker)
  const use = async (token: string) => (await client().get('/private', { authorization: `Bearer ${token}` })).statusCode
  t.equal(await use(planted), 200)
  const reset = async (password: string) => {
    await client().post('/auth/password/forgot', { email: VICTIM })
    let token = ''
    // Before the link may come what tells of the token, or of a password.
    while (token === '') token = await takeToken().catch(() => '')
    t.equal((await client().post('/auth/password/reset', { token, password })).statusCode, 204)
  }
  await reset(OTHER_PASSWORD)
  t.equal(await use(planted), 401)

  const owner = client()
  await owner.post('/auth/login', { email: VICTIM, password: OTHER_PASSWORD })
  const own = await make(owner)
  await reset(PASSWORD)
  t.equal(await use(own), 200, 'a token of the owner\'s own goes on, as the option says')
})

t.test('A-13 a users store of the host\'s own that can\'t verify says so', async t => {
  const { users: { confirmEmail, ...users }, ...stores } = process.env.TEST_STORAGE === 'postgres' ? await openStorage(t) : await sqliteStorage(':memory:')
  const { app } = await createApp(t, { storage: { ...stores, users } })
  await t.rejects(app.accounts.users.confirmEmail('id', VICTIM), { code: 'FST_ACCOUNTS_EMAIL_CONFIRMATION_UNSUPPORTED' })
})
