import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import pg from 'pg'
import { chromium } from 'playwright-core'
import t from 'tap'
import { freePort } from './services/free-port.js'
import { pause, realTime, until } from './support/postgres-server.ts'
import { databaseUrl } from './support/postgres.ts'
import { redisUrl } from './support/redis.ts'
import { ROOT } from './support/root.ts'
import { createBrowserFetch, type Fetch } from './support/site.ts'

const BOUND_MS = 1000
/** Processes that start, on a busy machine. */
const START_MS = 30_000
const STOP_MS = 10_000
const NAMES = ['1', '2', '3']
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']
const SHOTS = process.env.SCREENSHOTS

type Tap = Pick<typeof t, 'teardown'>

/** An empty database in the PostgreSQL of the tests: the example has its tables where anybody would have them. */
async function createDatabase (t: Tap): Promise<string> {
  const name = `cluster_${randomBytes(6).toString('hex')}`
  const client = new pg.Client({ connectionString: databaseUrl() })
  await client.connect()
  await client.query(`create database ${name}`)
  t.teardown(async () => {
    await client.query(`drop database ${name} with (force)`)
    await client.end()
  })
  return Object.assign(new URL(databaseUrl()), { pathname: `/${name}` }).href
}

interface Cluster {
  readonly url: string
  /** The processes of the nodes, by name. */
  readonly pids: Map<string, number>
  /** The exit code, and how many milliseconds it took. */
  stop (): Promise<{ readonly code: number | null, readonly ms: number }>
}

async function startCluster (t: Tap): Promise<Cluster> {
  const env = { ...process.env, NODE_OPTIONS: '', DATABASE_URL: await createDatabase(t), REDIS_URL: redisUrl(), PORT: String(await freePort()) }
  const child = spawn(process.execPath, [join(ROOT, 'examples/cluster/start.js')], { stdio: ['ignore', 'pipe', 'inherit'], env })
  const ended = once(child, 'exit') as Promise<[number | null]>
  const stop = async () => {
    const since = realTime()
    child.kill()
    const [code] = await ended
    return { code, ms: realTime() - since }
  }
  t.teardown(stop)
  const pids = new Map<string, number>()
  const url = await new Promise<string>((resolve, reject) => {
    ended.then(() => reject(new TypeError('the cluster did not start: is the package built?')))
    createInterface({ input: child.stdout }).on('line', line => {
      const [, name, pid] = /^Node (\d) is process (\d+)$/.exec(line) ?? []
      if (name !== undefined) pids.set(name, Number(pid))
      if (line.startsWith('Open ')) resolve(line.slice('Open '.length))
    })
  })
  return { url, pids, stop }
}

const cluster = await startCluster(t)
const { url, pids } = cluster

const isRunning = (pid: number) => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** Status by node, when each is asked past the turns of the proxy. */
async function askAll (send: Fetch): Promise<number[]> {
  return await Promise.all(NAMES.map(async name => (await send(`${url}/nodes/${name}/whoami`)).status))
}

t.test('three nodes behind a proxy: one session at all of them, ended at all of them, and one that is killed is missed by nobody', async t => {
  const guest = createBrowserFetch()
  t.equal((await guest(`${url}/whoami`)).status, 401)
  t.equal((await guest(`${url}/start`, { method: 'POST', headers: { 'x-forwarded-for': '203.0.113.9' } })).status, 200)
  const byTurns = async (count: number) => await Promise.all(Array.from({ length: count }, async () => {
    const answer = await guest(`${url}/whoami`)
    return `${answer.status} by ${answer.headers.get('served-by')}`
  }))
  t.strictSame((await byTurns(6)).sort(), NAMES.flatMap(name => [`200 by ${name}`, `200 by ${name}`]))
  t.strictSame(await askAll(guest), [200, 200, 200])
  const { sessions } = await (await guest(`${url}/auth/sessions`)).json() as { sessions: Array<{ address: string }> }
  t.strictSame(sessions.map(({ address }) => address), ['127.0.0.1'], 'whoever sends x-forwarded-for does not choose the address')
  t.match(await (await guest(`${url}/auth/health`)).json(), { ok: true, stores: { users: { ok: true }, sessions: { ok: true } }, feed: { current: true } })

  for (const path of ['/end', '/end-all']) {
    const elsewhere = createBrowserFetch()
    await elsewhere(`${url}/start`, { method: 'POST' })
    t.strictSame(await askAll(elsewhere), [200, 200, 200])
    const since = realTime()
    t.equal((await elsewhere(`${url}${path}`, { method: 'POST' })).status, 200)
    const ms = await until(async () => String(await askAll(elsewhere)) === '401,401,401', BOUND_MS)
    t.comment(`${path}: all had refused after ${ms.toFixed(0)} ms, ${(realTime() - since).toFixed(0)} ms after it was asked for`)
    t.strictSame(await askAll(guest), path === '/end' ? [200, 200, 200] : [401, 401, 401])
  }

  await guest(`${url}/start`, { method: 'POST' })
  process.kill(pids.get('2')!, 'SIGKILL')
  await until(async () => (await (await guest(`${url}/nodes/2/whoami`)).text()).includes('No such node is running'), BOUND_MS)
  t.strictSame([...new Set(await byTurns(8))].sort(), ['200 by 1', '200 by 3'])
  await until(async () => (await guest(`${url}/nodes/2/whoami`)).status === 200, START_MS)
  t.pass('it comes back, and knows who is signed in')
})

t.test('in a browser: every panel shows who is signed in, and after the click when its node refused', async t => {
  const executablePath = process.env.TEST_CHROMIUM
  if (executablePath === undefined) throw new TypeError('TEST_CHROMIUM is not set: run the tests with "npm test"')
  const browser = await chromium.launch({ executablePath, args: FLAGS })
  t.teardown(async () => { await browser.close() })
  const page = await browser.newPage({ viewport: { width: 1100, height: 700 } })
  const problems: string[] = []
  page.on('console', message => { if (message.type() === 'error' && !/status of (401|502)/.test(message.text())) problems.push(message.text()) })
  page.on('pageerror', error => problems.push(error.message))
  const panels = async (state: string) => await page.waitForFunction(([expected, count]) => (globalThis as unknown as { document: { querySelectorAll (selector: string): { length: number } } }).document.querySelectorAll(`section.${expected}`).length === count, [state, NAMES.length] as const, { timeout: START_MS })
  const shoot = async (name: string) => {
    if (SHOTS === undefined) return
    mkdirSync(SHOTS, { recursive: true })
    await page.screenshot({ path: `${SHOTS}/${name}.png` })
  }

  await page.goto(url)
  for (const [button, message] of [['#end', /^Node \d has ended this session, and said so after \d+ ms\.$/], ['#end-all', /^Node \d has ended all sessions of the guest/]] as const) {
    await page.click('#start')
    await panels('in')
    t.strictSame(await page.locator('.detail').allTextContents(), NAMES.map(() => 'as guest@example.com'))
    await page.waitForTimeout(500)
    await shoot(`cluster-in${button.slice(1)}`)
    await page.click(button)
    await panels('out')
    const figures = (await page.locator('.ms').allTextContents()).map(text => Number(/^(\d+) ms$/.exec(text)?.[1]))
    // With the way of the click.
    t.ok(figures.every(ms => ms > 0 && ms <= 2 * BOUND_MS), figures.join(', '))
    t.comment(`${button}: ${figures.join(', ')} ms from the click`)
    t.match(await page.textContent('#message'), message)
  }
  await page.emulateMedia({ colorScheme: 'dark' })
  process.kill(pids.get('3')!)
  await page.waitForSelector('section.gone')
  await shoot('cluster-out')
  t.strictSame(problems, [])
})

t.test('V-06 all of it ends when it is told to', async t => {
  const { code, ms } = await cluster.stop()
  t.equal(code, 0)
  t.ok(ms < STOP_MS, `${ms.toFixed(0)} ms`)
  t.notOk([...pids.values()].some(isRunning), 'no process is left')
})

t.test('what is missing is said in one sentence', async t => {
  for (const [env, sentence] of [[{}, 'DATABASE_URL is missing'], [{ DATABASE_URL: databaseUrl() }, 'REDIS_URL is missing']] as const) {
    const child = spawn(process.execPath, [join(ROOT, 'examples/cluster/start.js')], { env: { PATH: process.env.PATH, ...env } })
    let said = ''
    child.stderr.on('data', chunk => { said += String(chunk) })
    const [code] = await once(child, 'close') as [number]
    t.equal(code, 1)
    t.match(said, new RegExp(`^${sentence}: set it, for instance [^\\n]+\\n$`))
  }
})

t.test('the proxy passes a stream as it comes, and tells the node when its reader has gone', async t => {
  const { createProxy } = await import(join(ROOT, 'examples/cluster/proxy.js')) as { createProxy: (nodes: Map<string, number>) => Server }
  let isGone = false
  const node = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
    setTimeout(() => response.write('data: hello\n\n'), 50)
    response.on('close', () => { isGone = true })
  })
  const listen = async (server: Server) => {
    await once(server.listen(0, '127.0.0.1'), 'listening')
    t.teardown(() => { server.closeAllConnections(); server.close() })
    return (server.address() as AddressInfo).port
  }
  const proxy = await listen(createProxy(new Map([['1', await listen(node)]])))
  const reading = new AbortController()
  const answer = await fetch(`http://127.0.0.1:${proxy}/events`, { signal: reading.signal })
  const { value } = await answer.body!.getReader().read()
  t.equal(Buffer.from(value!).toString(), 'data: hello\n\n')
  reading.abort()
  await until(() => isGone, BOUND_MS)
  t.equal((await fetch(`http://127.0.0.1:${proxy}/nodes/2/whoami`)).status, 502)
  node.closeAllConnections()
  node.close()
  await pause(20)
  t.equal((await fetch(`http://127.0.0.1:${proxy}/`)).status, 502, 'and of a node that is not there any more')
})
