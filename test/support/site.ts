import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { sqliteStorage } from '../../lib/adapters/kysely/index.ts'
import type { AccountsOptions } from '../../types/index.ts'
import { createApp } from './app.ts'
import { tapStorage } from './tapped-storage.ts'

export interface Site {
  readonly app: FastifyInstance
  readonly url: string
  /** Every request that has arrived, such as `POST /auth/refresh`. */
  readonly asked: string[]
  /** What came of each refresh token that was accepted. */
  readonly refreshed: string[]
  /** While it is so, no verb of the storage answers. */
  isDown: boolean
  /** How many requests arrived for this, such as `POST /auth/token`. */
  count (request: string): number
}

/** The plugin on a socket, with `GET /private` and `POST /private` guarded; `POST /echo` answers the body that it was sent. */
export async function openSite (t: Test, options: Partial<AccountsOptions> = {}, setup: (app: FastifyInstance) => void = () => {}): Promise<Site> {
  const asked: string[] = []
  const refreshed: string[] = []
  const storage = tapStorage(options.storage ?? await sqliteStorage(':memory:'), async (_verb, _args, call) => {
    if (site.isDown) throw new TypeError('connection refused')
    return await call()
  })
  const { app } = await createApp(t, { ...options, storage, hooks: { ...options.hooks, sessionRefreshed: ({ outcome }) => { refreshed.push(outcome) } } }, app => {
    app.addContentTypeParser('*', { parseAs: 'string' }, async (_request: unknown, body: string) => body)
    app.post('/echo', { onRequest: app.authenticate }, async request => ({ body: request.body }))
    setup(app)
  })
  app.server.on('request', ({ method, url }) => asked.push(`${method} ${url}`))
  await app.listen({ port: 0, host: '127.0.0.1' })
  const site: Site = { app, url: app.listeningOrigin, asked, refreshed, isDown: false, count: request => asked.filter(one => one === request).length }
  return site
}

export type Fetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>

/** The `fetch` of a browser: it keeps cookies by path and until they expire, and shows them to nobody. */
export function createBrowserFetch (send: Fetch = fetch): Fetch {
  const cookies = new Map<string, { readonly pair: string, readonly path: string, readonly endsAt: number }>()
  return async (input, init = {}) => {
    const { pathname } = new URL(input instanceof Request ? input.url : input)
    const sent = [...cookies.values()].filter(({ path, endsAt }) => pathname.startsWith(path) && Date.now() < endsAt)
    const headers = new Headers(init.headers)
    if (sent.length > 0) headers.set('cookie', sent.map(({ pair }) => pair).join('; '))
    const response = await send(input, { ...init, headers })
    for (const line of response.headers.getSetCookie()) {
      const pair = line.split(';', 1)[0]!
      const [, path = '/'] = /; Path=([^;]+)/i.exec(line) ?? []
      const [, maxAge = 'Infinity'] = /; Max-Age=(\d+)/i.exec(line) ?? []
      cookies.set(pair.split('=', 1)[0]!, { pair, path, endsAt: Date.now() + 1000 * Number(maxAge) })
    }
    return response
  }
}

/** Wrap a `fetch`, so that the answers to what `isLost` names get lost: the server has done it, nobody hears of it. */
export function loseAnswers (isLost: (address: string) => boolean, send: Fetch = fetch): Fetch {
  return async (input, init) => {
    const response = await send(input, init)
    if (!isLost(input instanceof Request ? input.url : String(input))) return response
    await response.body?.cancel()
    throw new TypeError('fetch failed')
  }
}
