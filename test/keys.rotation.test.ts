import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { AccountsKey, AccountsOptions, Storage } from '../types/index.ts'
import { createApp, PASSWORD, sharedStorage, type TestApp } from './support/app.ts'
import { createClient, type Client } from './support/client.ts'
import { holdClock, HOUR, MINUTE } from './support/clock.ts'
import { open } from './support/jwt-corpus.ts'

const ACCESS = 'accounts_access'
const REFRESH = 'accounts_refresh'
const OLD: AccountsKey = { kid: 'old', algorithm: 'ES256', privateKey: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey }
const pair = generateKeyPairSync('ed25519')
const NEW: AccountsKey = { kid: 'new', algorithm: 'EdDSA', privateKey: pair.privateKey }
const PUBLISHED: AccountsKey = { kid: 'new', algorithm: 'EdDSA', publicKey: pair.publicKey }
const keyOf = ({ cookies }: Pick<Client, 'cookies'>) => open(cookies[ACCESS]!).header.kid

/** Servers on one database, each of which can be replaced by one with other options. */
async function createFleet (t: Test, size: number, openStorage: () => Promise<Storage>, options: Partial<AccountsOptions>) {
  const secret = randomBytes(32)
  const start = async (options: Partial<AccountsOptions>) => await createApp(t, { secret, ...options, storage: await openStorage() })
  const nodes: TestApp[] = []
  for (let index = 0; index < size; index++) nodes.push(await start(options))
  return {
    nodes,
    any: () => nodes[Math.floor(Math.random() * nodes.length)]!.app,
    /** One after the other: the new one serves before the old one is gone. */
    async roll (options: Partial<AccountsOptions>, between: () => Promise<void> = async () => {}) {
      for (const [index, { app }] of nodes.entries()) {
        nodes[index] = await start(options)
        await between()
        await app.close()
      }
    }
  }
}

t.test('F-26 S-I19 keys are published, sign and are retired on four servers under load, and no request is refused', async t => {
  const clock = holdClock(t)
  const fleet = await createFleet(t, 4, sharedStorage(t), { keys: [OLD] })
  const counts = { requests: 0, refused: [] as string[], isOver: false }
  const signers = new Set<string>()
  const use = async (cookies: Record<string, string>) => {
    const { statusCode, body } = await createClient(fleet.any(), cookies).get('/private')
    counts.requests++
    if (statusCode !== 200) counts.refused.push(`${statusCode} ${body}`)
    if (cookies[ACCESS] !== undefined) signers.add(keyOf({ cookies }))
  }
  const browsers: Array<Record<string, string>> = []
  for (let index = 0; index < 4; index++) browsers.push((await fleet.nodes[0]!.signedUp(`user${index}@example.com`)).cookies)
  /** Clients of a moment that hold an access token and nothing to renew it with. */
  let bearers: Array<Record<string, string>> = []
  const handOut = async () => {
    const browser = createClient(fleet.any())
    await browser.post('/auth/login', { email: 'user0@example.com', password: PASSWORD })
    bearers.push({ [ACCESS]: browser.cookies[ACCESS]! })
  }
  const load = Array.from({ length: 8 }, async (_, index) => {
    while (!counts.isOver) {
      await use(browsers[index % browsers.length]!)
      if (bearers.length > 0) await use({ ...bearers[index % bearers.length]! })
      await sleep(3)
    }
  })
  const loadFor = async (requests: number) => {
    const goal = counts.requests + requests
    while (counts.requests < goal) await sleep(5)
  }
  const between = async () => { await handOut(); await loadFor(40) }

  await fleet.roll({ keys: [OLD, PUBLISHED] }, between)
  t.strictSame([...signers], ['old'], 'published: the old one signs')
  await fleet.roll({ keys: [NEW, OLD] }, between)
  await handOut()
  t.equal(keyOf({ cookies: bearers.at(-1)! }), 'new', 'the new one signs')
  // Every token that the old one signed ends, those of a browser that slept as well.
  bearers = []
  clock.advance(HOUR + MINUTE)
  await handOut()
  await fleet.roll({ keys: [NEW] }, between)
  await loadFor(100)
  counts.isOver = true
  await Promise.all(load)
  t.ok(counts.requests > 500, `${counts.requests} requests`)
  t.strictSame(counts.refused, [], 'none was refused')
  t.strictSame([...new Set(browsers.map(cookies => keyOf({ cookies })))], ['new'])
})

t.test('F-27 J-15 what a removed key signed is refused by each server from its restart on; browsers go on without a login', async t => {
  const fleet = await createFleet(t, 2, sharedStorage(t), { keys: [OLD, NEW] })
  const browser = await fleet.nodes[0]!.signedUp('ada@example.com')
  const grant = async (app: TestApp['app'], payload: object) => (await app.inject({ method: 'POST', url: '/auth/token', payload })).json<{ access_token: string, refresh_token: string }>()
  const bearer = await grant(fleet.nodes[0]!.app, { grant_type: 'password', username: 'ada@example.com', password: PASSWORD })
  const useBearer = async (app: TestApp['app'], token: string) => await app.inject({ url: '/private', headers: { authorization: `Bearer ${token}` } })
  t.equal((await useBearer(fleet.nodes[0]!.app, bearer.access_token)).statusCode, 200)
  const stolen = { cookie: `${ACCESS}=${browser.cookies[ACCESS]!}` }
  const [first, second] = fleet.nodes
  t.equal((await first!.client().get('/private', stolen)).statusCode, 200)
  await fleet.roll({ keys: [NEW] }, async () => {
    if (fleet.nodes[1] === second) t.equal((await second!.client().get('/private', stolen)).statusCode, 200, 'where it has not been removed yet it is good')
  })
  for (const { app, client } of fleet.nodes) {
    const { statusCode, headers, body } = await client().get('/private', stolen)
    t.match({ statusCode, headers, body }, { statusCode: 401, headers: { 'www-authenticate': /^Cookie|^Bearer/ }, body: /FST_ACCOUNTS_TOKEN_INVALID/ })
    t.equal((await app.inject('/auth/.well-known/jwks.json')).json().keys.length, 1)
  }
  const { app } = fleet.nodes[0]!
  t.match(await useBearer(app, bearer.access_token), { statusCode: 401, headers: { 'www-authenticate': /^Bearer .*error="invalid_token"/ } })
  t.equal((await useBearer(app, (await grant(app, { grant_type: 'refresh_token', refresh_token: bearer.refresh_token })).access_token)).statusCode, 200, 'a client without cookies refreshes at 401')
  const renewing = createClient(app, browser.cookies)
  t.equal((await renewing.get('/private')).statusCode, 200)
  t.equal(keyOf(renewing), 'new')
})

t.test('J-15 a server that moves from a secret to keys, and back, logs no browser out, and both kinds can run side by side', async t => {
  const clock = holdClock(t)
  const fleet = await createFleet(t, 2, sharedStorage(t), {})
  const browser = await fleet.nodes[0]!.signedUp('ada@example.com')
  const { [ACCESS]: before, [REFRESH]: refresh } = browser.cookies
  const statuses: number[] = []
  const visit = async (node: TestApp) => { statuses.push((await createClient(node.app, browser.cookies).get('/private')).statusCode) }
  const kinds = new Set<unknown>()
  await fleet.roll({ keys: [NEW] }, async () => {
    for (let turn = 0; turn < 12; turn++) {
      await visit(fleet.nodes[turn % 2]!)
      kinds.add(open(browser.cookies[ACCESS]!).header.alg)
      clock.advance(turn === 5 ? MINUTE : 1000)
    }
  })
  t.strictSame([...kinds].sort(), ['EdDSA', 'HS256'])
  t.not(browser.cookies[REFRESH], refresh, 'rotated meanwhile')
  t.equal((await fleet.nodes[0]!.client().get('/private', { cookie: `${ACCESS}=${before!}` })).statusCode, 401, 'a secret\'s token by itself is refused')
  await fleet.roll({})
  await visit(fleet.nodes[0]!)
  t.strictSame(new Set(statuses), new Set([200]))
  t.equal(open(browser.cookies[ACCESS]!).header.alg, 'HS256')
})
