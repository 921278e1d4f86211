import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import t from 'tap'
import { PASSWORD } from './support/app.ts'
import { DAY } from './support/clock.ts'
import { createHttpBrowser, type Answer, type HttpBrowser } from './support/http-browser.ts'
import { pause, until } from './support/postgres-server.ts'
import { checkStopped, createPlace, DATABASE_NAMES, signUp, startStoppable } from './support/stopping.ts'
import { refreshOf } from './support/tokens.ts'
import { openStorage } from './workers/open-storage.js'

const ROUNDS = 2
const CLIENTS = 6

interface Work {
  acknowledged: number
  readonly strange: Answer[]
  readonly ended: Promise<void>
}

/** Ask again and again until the server is gone, or says that it goes. */
function goOn (ask: () => Promise<Answer>): Work {
  async function run (): Promise<void> {
    for (;;) {
      const answer = await ask().catch(() => null)
      if (answer === null || (answer.status === 503 && answer.headers.connection === 'close')) return
      if (answer.status === 200) work.acknowledged++
      else work.strange.push(answer)
    }
  }
  const work = { acknowledged: 0, strange: [] as Answer[], ended: Promise.resolve().then(run) }
  return work
}

for (const name of DATABASE_NAMES) {
  t.test(`V-06 F-34 ${name}: a server that is stopped while many refresh and log in finishes what it has begun, loses nothing, and everybody goes on at the next`, async t => {
    const place = await createPlace(t, name)
    const storage = await openStorage(place.address)
    t.teardown(async () => await storage.close?.())
    const browsers: HttpBrowser[] = []
    for (let round = 0; round < ROUNDS; round++) {
      // The clock of each runs fast: none begins before that of the one before has ended.
      const server = await startStoppable(t, place, { shift: round * DAY })
      for (const browser of browsers) t.equal((await browser.post(server.port, '/auth/refresh')).status, 200)
      while (browsers.length < CLIENTS) browsers.push(await signUp(t, server, `user${browsers.length}@example.com`))
      const sessions = new Set<string>()
      const working = [
        ...browsers.map(browser => goOn(async () => await browser.post(server.port, '/auth/refresh'))),
        ...browsers.slice(0, CLIENTS / 2).map((_browser, index) => goOn(async () => {
          const visitor = createHttpBrowser(t)
          const answer = await visitor.post(server.port, '/auth/login', { email: `user${index}@example.com`, password: PASSWORD })
          if (answer.status === 200) sessions.add(refreshOf(visitor).sid)
          visitor.close()
          return answer
        }))
      ]
      await until(() => working.every(({ acknowledged }) => acknowledged > 0))
      await pause(Math.random() * 50)
      const stopped = await server.stop()
      await Promise.all(working.map(async ({ ended }) => await ended))
      checkStopped(t, stopped, `round ${round}`)
      t.equal(stopped.answered, stopped.begun, 'what it has begun it has answered')
      t.strictSame(working.flatMap(({ strange }) => strange), [])
      t.comment(`gone after ${stopped.ms.toFixed(0)} ms; ${working.reduce((sum, { acknowledged }) => sum + acknowledged, 0)} answers`)

      for (const browser of browsers) {
        const { sid, gen } = refreshOf(browser)
        const { generation, revokedAt } = (await storage.sessions.find(sid))!
        t.ok(generation >= gen && revokedAt === null, `generation ${generation}, and the browser has ${gen}`)
      }
      for (const id of sessions) t.equal((await storage.sessions.find(id))?.revokedAt, null)
    }
  })

  t.test(`V-06 ${name}: connections that are kept open don't keep it, neither idle ones nor those whose answer comes late`, async t => {
    const server = await startStoppable(t, await createPlace(t, name))
    const idle = await signUp(t, server, 'idle@example.com')
    const late = [createHttpBrowser(t), createHttpBrowser(t)].map(async browser => await browser.get(server.port, '/slow'))
    await pause(200)
    const stopped = await server.stop()
    checkStopped(t, stopped, 'kept open')
    t.ok(stopped.ms < 3000)
    for (const answer of await Promise.all(late)) t.match(answer, { status: 200, body: 'done', headers: { connection: 'close' } })
    await t.rejects(idle.get(server.port, '/auth/me'), { code: 'ECONNREFUSED' })
  })
  t.test(`V-06 ${name}: who reads a late answer slowly gets all of it`, async t => {
    const server = await startStoppable(t, await createPlace(t, name))
    const answer = once(get({ host: '127.0.0.1', port: server.port, path: '/large' }), 'response')
    await pause(200)
    const stopping = server.stop()
    const [response] = await answer as [IncomingMessage]
    await pause(500)
    let bytes = 0
    for await (const chunk of response) bytes += (chunk as Buffer).length
    t.equal(bytes, Number(response.headers['content-length']))
    checkStopped(t, await stopping, 'a slow reader')
  })
}
