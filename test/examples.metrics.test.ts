import { AsyncLocalStorage } from 'node:async_hooks'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { context, metrics, ROOT_CONTEXT, trace, type Attributes, type Context, type ContextManager, type Meter, type Span } from '@opentelemetry/api'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { PASSWORD } from './support/app.ts'
import { createClient } from './support/client.ts'
import { holdClock, MINUTE, SECOND } from './support/clock.ts'
import { ROOT } from './support/root.ts'

/** The example opens its file before it is told of another storage. */
const folder = mkdtempSync(join(tmpdir(), 'accounts-metrics-'))
process.chdir(folder)
t.teardown(() => { rmSync(folder, { recursive: true, force: true }) })

async function start (t: Test): Promise<FastifyInstance> {
  const { build } = await import(join(ROOT, 'examples/metrics/server.js')) as { build: (options: object) => Promise<FastifyInstance> }
  const { sqliteStorage } = await import(join(ROOT, 'dist/lib/adapters/kysely/index.js')) as { sqliteStorage: (file: string) => Promise<object> }
  const app = await build({ secret: randomBytes(32), storage: await sqliteStorage(':memory:'), rateLimit: false, throttle: false, passwords: { argon2: { memoryKiB: 7168, iterations: 5 } } })
  t.teardown(async () => { await app.close() })
  await app.listen({ port: 0, host: '127.0.0.1' })
  return app
}

/** Series to values, of a real scrape. */
async function scrape (app: FastifyInstance): Promise<Map<string, number>> {
  const response = await fetch(`${app.listeningOrigin}/metrics`)
  if (response.status !== 200 || !response.headers.get('content-type')!.startsWith('text/plain')) throw new TypeError(`the scrape answered ${response.status}`)
  const lines = (await response.text()).split('\n').filter(line => line !== '' && !line.startsWith('#'))
  return new Map(lines.map(line => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]))
}

const event = (name: string, reason = '') => `accounts_events_total{name="${name}",reason="${reason}"}`

t.test('Prometheus: decisions are counted by name and reason, with what health() says, and there are no more series with more users', async t => {
  const clock = holdClock(t)
  const app = await start(t)
  const login = async (email: string, password: string) => {
    const browser = createClient(app)
    return { browser, status: (await browser.post('/auth/login', { email, password })).statusCode }
  }
  const registered = (await createClient(app).post('/auth/register', { email: 'ada@example.com', password: PASSWORD })).json<{ user: { id: string } }>()
  const { browser } = await login('ada@example.com', PASSWORD)
  await login('ada@example.com', 'not her password')
  await login('nobody@example.com', PASSWORD)
  const thief = browser.copy()
  for (let rotation = 0; rotation < 2; rotation++) {
    clock.advance(MINUTE)
    t.equal((await browser.post('/auth/refresh')).statusCode, 200)
  }
  clock.advance(MINUTE)
  t.equal((await thief.post('/auth/refresh')).statusCode, 401)

  const series = await scrape(app)
  for (const [name, reason, count] of [
    ['account.registered', '', 1], ['login.succeeded', '', 1], ['login.failed', 'wrong-password', 1], ['login.failed', 'unknown-user', 1],
    ['session.rotated', '', 2], ['session.reused', '', 1], ['session.revoked', 'reused', 1]
  ] as const) t.equal(series.get(event(name, reason)), count, `${name} ${reason}`)
  for (const [name, value] of [['ok', 1], ['stores_users_ok', 1], ['stores_sessions_ok', 1], ['feed_current', 1], ['passwords_running', 0], ['passwords_waiting', 0], ['unwritten_personal_tokens', 0]] as const) t.equal(series.get(`accounts_${name}`), value, name)
  t.equal(series.get('accounts_mail_waiting'), undefined, 'there is no mailer')
  t.notMatch([...series.keys()].join('\n'), new RegExp(`@|127\\.0\\.0\\.1|${registered.user.id}`))

  for (let user = 0; user < 5; user++) {
    await createClient(app).post('/auth/register', { email: `user${user}@example.com`, password: PASSWORD })
    for (const password of [PASSWORD, 'not a password']) await login(`user${user}@example.com`, password)
  }
  clock.advance(2 * SECOND)
  const more = await scrape(app)
  t.equal(more.get(event('login.succeeded')), 6)
  t.strictSame([...more.keys()].sort(), [...series.keys()].sort())
})

t.test('OpenTelemetry: decisions are counted, stand in the span of their request, and health() is observed', async t => {
  const recorded = recordTelemetry(t)
  const app = await start(t)
  await recorded.inSpan('sign-up', async () => await createClient(app).post('/auth/register', { email: 'ada@example.com', password: PASSWORD }))
  await recorded.inSpan('login', async () => await createClient(app).post('/auth/login', { email: 'ada@example.com', password: 'not her password' }))
  t.strictSame(recorded.spans, {
    'sign-up': [{ 'accounts.event': 'account.registered' }],
    login: [{ 'accounts.event': 'login.failed', 'accounts.reason': 'wrong-password' }]
  })
  t.strictSame(recorded.counts, Object.values(recorded.spans).flat())
  t.strictSame(await recorded.observe(), [
    ['accounts.store.up', 1, { 'accounts.store': 'users' }], ['accounts.store.up', 1, { 'accounts.store': 'sessions' }], ['accounts.passwords.waiting', 0, undefined]
  ])
  await app.close()
  t.strictSame(await recorded.observe(), [], 'nothing is left of it when the server has closed')
})

type Observe = (result: { observe (instrument: string, value: number, attributes?: Attributes): void }) => Promise<void>

/** What an SDK would collect. */
function recordTelemetry (t: Test) {
  const counts: Attributes[] = []
  const spans: Record<string, Attributes[]> = {}
  const callbacks = new Set<Observe>()
  const contexts = new AsyncLocalStorage<Context>()
  const manager: Omit<ContextManager, 'bind' | 'enable'> = {
    active: () => contexts.getStore() ?? ROOT_CONTEXT,
    with: (active, run, self, ...args) => contexts.run(active, () => run.apply(self, args)),
    disable () { return this as ContextManager }
  }
  const meter = {
    createCounter: () => ({ add: (_count: number, attributes: Attributes) => { counts.push(attributes) } }),
    createObservableGauge: (name: string) => name,
    addBatchObservableCallback: (callback: Observe) => { callbacks.add(callback) },
    removeBatchObservableCallback: (callback: Observe) => { callbacks.delete(callback) }
  }
  context.setGlobalContextManager(manager as ContextManager)
  metrics.setGlobalMeterProvider({ getMeter: () => meter as unknown as Meter })
  t.teardown(() => {
    context.disable()
    metrics.disable()
  })
  return {
    counts,
    spans,
    async inSpan (name: string, run: () => Promise<unknown>) {
      const events: Attributes[] = spans[name] = []
      const span = { addEvent: (_name: string, attributes: Attributes) => { events.push(attributes) } } as unknown as Span
      await context.with(trace.setSpan(ROOT_CONTEXT, span), run)
    },
    async observe () {
      const observed: unknown[] = []
      for (const callback of callbacks) await callback({ observe: (...observation) => { observed.push([observation[0], observation[1], observation[2]]) } })
      return observed
    }
  }
}
