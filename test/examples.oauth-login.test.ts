import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import t, { type Test } from 'tap'
import { databaseFile, OTHER_PASSWORD, PASSWORD } from './support/app.ts'
import { createClient, type Client } from './support/client.ts'
import { HOUR, holdClock } from './support/clock.ts'
import { startProvider, type OpenIdProvider } from './support/provider.js'
import type { Accounts } from '../types/index.ts'
import { ROOT } from './support/root.ts'

const APP_URL = 'http://localhost:3000'
const ADA = 'ada@example.com'

/** The example opens its file before it is told of another storage. */
const folder = mkdtempSync(join(tmpdir(), 'accounts-oauth-'))
process.chdir(folder)
t.teardown(() => { rmSync(folder, { recursive: true, force: true }) })

interface Site {
  readonly accounts: Accounts
  readonly provider: OpenIdProvider
  client (): Client
  /** Go to the provider as somebody and come back, with the browser's own cookies unless told otherwise. */
  signIn (browser: Client, subject: string | null): Promise<LightMyRequestResponse>
  connect (browser: Client, subject: string): Promise<LightMyRequestResponse>
}

async function start (t: Test): Promise<Site> {
  const provider = await startProvider(['login', 'connect'].map(purpose => `${APP_URL}/${purpose}/callback`))
  t.teardown(provider.close)
  const { build } = await import(join(ROOT, 'examples/oauth-login/server.js')) as { build: (options: object, provider: object, file: string) => Promise<FastifyInstance> }
  const { sqliteStorage } = await import(join(ROOT, 'dist/lib/adapters/kysely/index.js')) as { sqliteStorage: (file: string) => Promise<object> }
  const file = databaseFile(t)
  const app = await build({ secret: randomBytes(32), storage: await sqliteStorage(file), rateLimit: false, passwords: { argon2: { memoryKiB: 7168, iterations: 5 } } }, provider, file)
  await app.ready()
  t.teardown(async () => { await app.close() })
  const comeBack = async (browser: Client, location: string, subject: string | null) => await browser.get((await provider.visit(location, subject)).slice(APP_URL.length))
  return {
    accounts: app.accounts,
    provider,
    client: () => createClient(app),
    signIn: async (browser, subject) => await comeBack(browser, (await browser.get('/login')).headers.location!, subject),
    async connect (browser, subject) {
      const answer = await browser.post('/connect')
      if (answer.statusCode !== 200) return answer
      return await comeBack(browser, answer.json<{ location: string }>().location, subject)
    }
  }
}

const helloOf = async (browser: Client) => (await browser.get('/')).json<{ hello: string }>().hello

function checkRefused (t: Test, answer: LightMyRequestResponse, statusCode: number, words: RegExp): void {
  t.equal(answer.statusCode, statusCode)
  t.match(answer.headers['content-type'], /^text\/html/)
  t.match(answer.body, words)
  t.notOk(answer.cookies.some(({ name, value }) => name.startsWith('accounts_') && value !== ''), 'and nobody is signed in')
}

t.test('J-10 whoever comes from the provider gets an account, and the same one with another address there', async t => {
  const { accounts, provider, client, signIn } = await start(t)
  provider.people.set('1', { email: ADA, email_verified: true })
  const browser = client()
  const answer = await signIn(browser, '1')
  t.strictSame([answer.statusCode, answer.headers.location], [302, '/'])
  t.equal(await helloOf(browser), ADA)
  const user = (await accounts.users.findByEmail(ADA))!
  t.equal(user.emailVerified, true)
  t.strictSame((await accounts.users.export(user.id))!.hasPassword, false)

  provider.people.set('1', { email: 'countess@example.com', email_verified: false })
  const other = client()
  t.equal((await signIn(other, '1')).statusCode, 302)
  t.equal(await helloOf(other), ADA, 'the address here is the user\'s own affair')
  t.equal((await accounts.users.list()).users.length, 1)

  provider.people.set('2', { email: ADA, email_verified: true })
  checkRefused(t, await signIn(client(), '2'), 409, /There is an account/)
})

t.test('A-13 an address that the provider has not verified opens no account, and makes none', async t => {
  const { accounts, provider, client, signIn } = await start(t)
  await client().post('/auth/register', { email: ADA, password: PASSWORD })
  for (const [subject, email, verified] of [['1', ADA, false], ['2', ADA, 'true'], ['3', 'new@example.com', false]] as const) {
    provider.people.set(subject, { email, email_verified: verified })
    checkRefused(t, await signIn(client(), subject), 403, /has not verified your e-mail address/)
  }
  t.strictSame((await accounts.users.list()).users.map(({ email, emailVerified }) => [email, emailVerified]), [[ADA, false]])
})

t.test('A-13 a verified account is connected by its own login alone, and then the provider opens it', async t => {
  const { accounts, provider, client, signIn, connect } = await start(t)
  const clock = holdClock(t)
  await accounts.users.create({ email: ADA, password: PASSWORD, emailVerified: true })
  provider.people.set('1', { email: ADA, email_verified: true })
  checkRefused(t, await signIn(client(), '1'), 409, /Sign in to it with your password/)

  const browser = client()
  t.equal((await connect(browser, '1')).statusCode, 401, 'who is not signed in connects nothing')
  await browser.post('/auth/login', { email: ADA, password: PASSWORD })
  t.equal((await browser.post('/connect', undefined, { origin: 'https://evil.example' })).statusCode, 403, 'no other page begins it')
  clock.advance(HOUR / 2)
  t.equal((await connect(browser, '1')).statusCode, 401, 'nor a session of half an hour ago')
  await browser.post('/auth/login', { email: ADA, password: PASSWORD })
  t.equal((await connect(browser, '1')).statusCode, 302)
  t.equal((await connect(browser, '1')).statusCode, 302, 'twice does no harm')
  const elsewhere = client()
  t.equal((await signIn(elsewhere, '1')).statusCode, 302)
  t.equal(await helloOf(elsewhere), ADA)

  const eve = client()
  await eve.post('/auth/register', { email: 'eve@example.com', password: PASSWORD })
  checkRefused(t, await connect(eve, '1'), 409, /connected to another account/)
})

t.test('A-13 an attacker who had signed up with the address of another loses all that they set', async t => {
  const { accounts, provider, client, signIn, connect } = await start(t)
  const attacker = client()
  await attacker.post('/auth/register', { email: ADA, password: PASSWORD })
  const { token } = (await attacker.post('/auth/tokens', { name: 'A way back', context: 'server' })).json<{ token: string }>()
  provider.people.set('attacker', { email: 'attacker@example.com', email_verified: true })
  t.equal((await connect(attacker, 'attacker')).statusCode, 302)
  t.equal((await signIn(client(), 'attacker')).statusCode, 302)

  provider.people.set('ada', { email: ADA, email_verified: true })
  const ada = client()
  t.equal((await signIn(ada, 'ada')).statusCode, 302)
  t.equal(await helloOf(ada), ADA)
  t.equal(await helloOf(client()), 'stranger')
  t.equal((await attacker.get('/')).statusCode, 401, 'the session')
  t.equal((await client().get('/', { authorization: `Bearer ${token}` })).statusCode, 401, 'the token')
  t.equal((await client().post('/auth/login', { email: ADA, password: PASSWORD })).statusCode, 401, 'the password')
  const back = client()
  t.equal((await signIn(back, 'attacker')).statusCode, 302)
  t.equal(await helloOf(back), 'attacker@example.com', 'the login that they had connected')
  t.equal((await accounts.users.list()).users.length, 2)
})

t.test('another password ends the logins that were connected, and a deleted account leaves none behind', async t => {
  const { accounts, provider, client, signIn } = await start(t)
  provider.people.set('1', { email: ADA, email_verified: true })
  await signIn(client(), '1')
  const { id } = (await accounts.users.findByEmail(ADA))!
  await accounts.passwords.set(id, OTHER_PASSWORD)
  checkRefused(t, await signIn(client(), '1'), 409, /There is an account/)
  await accounts.users.delete(id)
  t.equal((await signIn(client(), '1')).statusCode, 302)
  t.not((await accounts.users.findByEmail(ADA))!.id, id)
  await accounts.users.delete((await accounts.users.findByEmail(ADA))!.id)
  t.equal((await signIn(client(), '1')).statusCode, 302, 'and so again')
})

t.test('login CSRF: what comes back without the state or the proof key of this browser signs nobody in', async t => {
  const { provider, client, signIn } = await start(t)
  provider.people.set('1', { email: ADA, email_verified: true })
  const attacker = client()
  const url = (await provider.visit((await attacker.get('/login')).headers.location!, '1')).slice(APP_URL.length)
  const victim = client()
  checkRefused(t, await victim.get(url), 400, /did not work/)
  await victim.get('/login')
  checkRefused(t, await victim.copy().get(url), 400, /did not work/)
  const planted = victim.copy()
  planted.cookies['login-state'] = attacker.cookies['login-state']!
  checkRefused(t, await planted.get(url), 400, /did not work/)
  checkRefused(t, await attacker.copy().get(url.replace(/state=[^&]+/, 'state=x')), 400, /did not work/)
  for (const path of ['/login/callback', '/login/callback?code=x', '/login/callback?state=', '/login/callback?code=a&code=b&state=x&state=y']) checkRefused(t, await client().get(path), 400, /did not work/)

  t.equal((await attacker.copy().get(url.replace('/login/', '/connect/'))).statusCode, 401, 'nor does it connect anything')
  t.equal((await attacker.get(url)).statusCode, 302, 'in the browser that began it, it does')
  checkRefused(t, await attacker.get(url), 400, /did not work/)
  checkRefused(t, await signIn(client(), null), 400, /did not work/)
})

t.test('a disabled account stays closed, whoever vouches for it', async t => {
  const { accounts, provider, client, signIn } = await start(t)
  provider.people.set('1', { email: ADA, email_verified: true })
  await signIn(client(), '1')
  const { id } = (await accounts.users.findByEmail(ADA))!
  await accounts.users.update(id, { disabled: true })
  checkRefused(t, await signIn(client(), '1'), 403, /This account is closed/)
  t.equal((await accounts.sessions.list(id)).length, 0)
})

t.test('a session is as fresh as the login at the provider', async t => {
  const { provider, client, signIn } = await start(t)
  const clock = holdClock(t)
  provider.people.set('1', { email: ADA, email_verified: true })
  const browser = client()
  t.equal((await signIn(browser, '1')).statusCode, 302)
  t.equal((await browser.post('/connect')).statusCode, 200)
  clock.advance(HOUR / 2)
  t.equal((await signIn(browser, '1')).statusCode, 302, 'the provider did not ask again')
  t.equal(await helloOf(browser), ADA)
  t.equal((await browser.post('/connect')).statusCode, 401)
})
