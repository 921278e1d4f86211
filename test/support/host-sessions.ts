import fastifyCookie from '@fastify/cookie'
import fastifySession, { type FastifySessionOptions } from '@fastify/session'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { postgresStorage, sqliteStorage } from '../../lib/adapters/kysely/index.ts'
import { sessionStore, type SessionStoreOptions } from '../../lib/adapters/fastify-session/index.ts'
import type { AccountsOptions, HostSessionOwner, Storage } from '../../types/index.ts'
import { databaseFile } from './app.ts'
import type { Client } from './client.ts'
import { databaseUrl, schemaName } from './postgres.ts'
import { createPeopleApp, type PeopleApp } from './people.ts'

declare module 'fastify' {
  interface Session { cart?: string[], seen?: string }
}

export const COOKIE = 'sessionId'
export const SESSION_SECRET = 'a secret of a test, which is long enough'

interface ShopOptions {
  readonly accounts?: Partial<AccountsOptions>
  readonly session?: Partial<FastifySessionOptions>
  readonly store?: SessionStoreOptions
  setup? (app: FastifyInstance): void | Promise<void>
}

/** What the shop knows of a visitor. */
export interface Visit { readonly cart: string[], readonly seen: string | null, readonly owner: HostSessionOwner | null }

/**
 * A shop with a cart in `request.session`: `GET /cart` is open and answers a visit, `POST /cart` puts something in,
 * `GET /orders` needs somebody who is signed in and answers a visit too, `POST /leave` signs out.
 */
export async function createShop (t: Test, { accounts = {}, session = {}, store = {}, setup }: ShopOptions = {}): Promise<PeopleApp> {
  return await createPeopleApp(t, accounts, async app => {
    await app.register(fastifyCookie)
    await app.register(fastifySession, { secret: SESSION_SECRET, cookie: { secure: false }, store: sessionStore(app, store), ...session })
    app.get('/cart', async ({ session }) => visit(session))
    app.post('/cart', async ({ session, body }) => {
      const { item } = body as { item: string }
      session.cart = [...session.cart ?? [], item]
      session.seen = item
      return visit(session)
    })
    app.get('/orders', { onRequest: app.authenticate }, async ({ session }) => visit(session))
    app.post('/leave', async (request, reply) => {
      await reply.signOut()
      return visit(request.session)
    })
    await setup?.(app)
  })
}

const visit = ({ cart = [], seen = null, accountSession = null }: { cart?: string[], seen?: string | null, accountSession?: HostSessionOwner | null }): Visit => ({ cart, seen, owner: accountSession })

export const visitOf = async (browser: Client, url = '/cart'): Promise<Visit> => (await browser.get(url)).json()

export const put = async (browser: Client, item: string): Promise<Visit> => (await browser.post('/cart', { item })).json()

/** What a thief, or who has planted a cookie, sees with it alone. */
export const seenBy = async (browser: Client, id: string | undefined): Promise<Visit> => (await browser.get('/cart', { cookie: `${COOKIE}=${id}` })).json()

/** Two storages on one database, as two processes have. */
export async function openTwo (t: Test): Promise<readonly [Storage, Storage]> {
  if (process.env.TEST_STORAGE === 'postgres') {
    const schema = schemaName(t)
    return [await postgresStorage(databaseUrl(), { schema }), await postgresStorage(databaseUrl(), { schema })]
  }
  const file = databaseFile(t)
  return [await sqliteStorage(file), await sqliteStorage(file)]
}
