import { randomBytes } from 'node:crypto'
import type { Database } from 'better-sqlite3'
import type { LightMyRequestResponse } from 'fastify'
import type { Test } from 'tap'
import { sqliteStorage } from '../../lib/adapters/kysely/index.ts'
import { createApp, databaseFile, type TestApp } from './app.ts'
import { connect } from './sqlite.ts'
import { tapStorage } from './tapped-storage.ts'
import { holdTimers } from './timers.ts'
import type { Jar } from './rotation-model.ts'

export const IDLE_MS = 30 * 86_400_000
export const END_MS = 100 * 86_400_000

/** Two servers on one file, a clock that moves only when it is told to, and a look into the tables. */
export interface World {
  readonly sql: Database
  readonly servers: TestApp[]
  now (): number
  advance (milliseconds: number): Promise<void>
  /** Stop a server and start it again; a crash takes away what it had not written yet. */
  restart (index: number, isCrash: boolean): Promise<void>
  send (index: number, method: 'GET' | 'POST' | 'DELETE', url: string, jar: Jar, payload?: object): Promise<Answer>
}

export interface Answer {
  readonly status: number
  readonly outcome: string | null
  /** The cookies that it sets; of two by one name a browser keeps the last. */
  readonly set: Jar
  readonly isClearing: boolean
}

export async function createWorld (t: Test): Promise<World> {
  const time = holdStill(t)
  const timers = holdTimers(t, { advance: time.advance, jump: time.advance })
  const file = databaseFile(t)
  const secret = randomBytes(32)
  const crashed = new Set<number>()
  const start = async (index: number) => await createApp(t, {
    secret,
    refreshTokenTtl: `${IDLE_MS / 86_400_000}d`,
    sessionTtl: `${END_MS / 86_400_000}d`,
    passwords: { blocklist: false },
    storage: tapStorage(await sqliteStorage(file), async (verb, _args, call) => verb === 'sessions.touch' && crashed.has(index) ? undefined : await call())
  })
  const servers = [await start(0), await start(1)]
  return {
    sql: connect(t, file),
    servers,
    now: Date.now,
    advance: timers.advance,
    async restart (index, isCrash) {
      if (isCrash) crashed.add(index)
      await servers[index]!.app.close()
      crashed.delete(index)
      servers[index] = await start(index)
    },
    async send (index, method, url, jar, payload) {
      const cookie = [['accounts_access', jar.access], ['accounts_refresh', jar.refresh]].filter(([, value]) => value !== undefined).map(([name, value]) => `${name}=${value}`).join('; ')
      return toAnswer(await servers[index]!.app.inject({ method, url, headers: cookie === '' ? {} : { cookie }, ...(payload === undefined ? {} : { payload }) }))
    }
  }
}

function toAnswer ({ statusCode, headers, cookies }: LightMyRequestResponse): Answer {
  const valueOf = (name: string) => cookies.findLast(cookie => cookie.name === name)?.value
  const [access, refresh] = [valueOf('accounts_access'), valueOf('accounts_refresh')]
  return {
    status: statusCode,
    outcome: typeof headers['accounts-refresh'] === 'string' ? headers['accounts-refresh'] : null,
    set: { ...(access ? { access } : {}), ...(refresh ? { refresh } : {}) },
    isClearing: access === '' || refresh === ''
  }
}

/** Clocks that stand still, so that what happens depends on nothing but what a run says. */
function holdStill (t: Test): { advance (milliseconds: number): void } {
  const { now } = Date
  let time = now()
  let monotonic = performance.now()
  Date.now = () => time
  performance.now = () => monotonic
  t.teardown(() => {
    Date.now = now
    delete (performance as { now?: unknown }).now
  })
  return {
    advance (milliseconds) {
      time += milliseconds
      monotonic += milliseconds
    }
  }
}
