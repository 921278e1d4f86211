import cookie from '@fastify/cookie'
import session from '@fastify/session'
import Fastify from 'fastify'
import accounts from 'fastify-accounts'
import { sessionStore } from 'fastify-accounts/fastify-session'
import { sqliteStorage } from 'fastify-accounts/kysely'

const appUrl = 'http://localhost:3000'
const isHttps = appUrl.startsWith('https:')

export async function build (options, { secret = process.env.SESSION_SECRET } = {}) {
  const app = Fastify()
  await app.register(cookie)
  await app.register(accounts, {
    appUrl,
    secret: process.env.ACCOUNTS_SECRET,
    storage: await sqliteStorage('accounts.db'),
    ...options
  })

  // After the accounts, before the routes.
  await app.register(session, {
    secret,
    store: sessionStore(app, { keep: ['cart'] }),
    saveUninitialized: false,
    cookieName: isHttps ? '__Host-shop' : 'shop',
    cookie: { secure: isHttps, httpOnly: true, sameSite: 'lax', path: '/', maxAge: 7 * 24 * 3600 * 1000 }
  })

  // Anybody fills a cart, and still has it after signing in; after signing out it is gone.
  app.get('/cart', async request => request.session.cart ?? [])
  app.post('/cart', async request => {
    request.session.cart = [...request.session.cart ?? [], request.body.item]
    return request.session.cart
  })
  app.post('/order', { onRequest: app.authenticate }, async request => {
    const { cart = [] } = request.session
    request.session.cart = []
    return { ordered: cart, by: request.principal.user.email }
  })
  return app
}
