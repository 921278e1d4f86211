import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import cookie from '@fastify/cookie'
import oauth2 from '@fastify/oauth2'
import Fastify from 'fastify'
import accounts, { html } from 'fastify-accounts'
import { sqliteStorage } from 'fastify-accounts/kysely'
import { openIdentities } from './identities.js'

const appUrl = 'http://localhost:3000'
const isHttps = appUrl.startsWith('https:')

const fromEnvironment = () => ({ issuer: process.env.OIDC_ISSUER, client: { id: process.env.OIDC_CLIENT_ID, secret: process.env.OIDC_CLIENT_SECRET } })

export async function build (options, { issuer, client } = fromEnvironment(), file = 'accounts.db') {
  const app = Fastify()
  const identities = openIdentities(file)
  app.addHook('onClose', async () => { identities.close() })

  await app.register(cookie)
  await app.register(accounts, {
    appUrl,
    secret: process.env.ACCOUNTS_SECRET,
    storage: await sqliteStorage(file),
    // Whoever knew the old password may have connected a login of theirs.
    hooks: { passwordChanged: ({ user }) => identities.removeOf(user.id) },
    ...options
  })

  // With the account goes what led to it.
  const forget = ({ name, userId }) => { if (name === 'account.deleted') identities.removeOf(userId) }
  subscribe('fastify-accounts', forget)
  app.addHook('onClose', async () => { unsubscribe('fastify-accounts', forget) })

  // One for signing in, one for connecting a login to an account: what was begun as the one can't end as the other.
  for (const purpose of ['login', 'connect']) {
    await app.register(oauth2, {
      name: `${purpose}Provider`,
      discovery: { issuer },
      credentials: { client },
      scope: ['openid', 'email'],
      pkce: 'S256',
      // So long that it asks for nothing but to be told when they signed in there (OpenID Connect Core, 2: auth_time).
      callbackUriParams: { max_age: 365 * 24 * 3600 },
      callbackUri: `${appUrl}/${purpose}/callback`,
      // The state, which ties the answer to the browser that asked. Under a name with __Host- no other site can set it.
      redirectStateCookieName: `${isHttps ? '__Host-' : ''}${purpose}-state`,
      verifierCookieName: `${isHttps ? '__Host-' : ''}${purpose}-verifier`,
      cookie: { path: '/', httpOnly: true, secure: isHttps, sameSite: 'lax', maxAge: 600 }
    })
  }

  app.get('/login', async (request, reply) => reply.redirect(await app.loginProvider.generateAuthorizationUri(request, reply)))

  app.get('/login/callback', async (request, reply) => {
    const person = await readPerson(app.loginProvider, request, reply)
    const user = await accountOf(person, request)
    if (user.disabled) refuse(403, 'This account is closed.')
    // It may be days ago that they proved who they are, and policies with `fresh` go by that.
    await reply.signIn(user, { authenticatedAt: person.authenticatedAt })
    return reply.redirect('/')
  })

  /** The account of somebody who has signed in at the provider; a new one where there is none. */
  async function accountOf (person, request) {
    const { users } = app.accounts
    const knownId = identities.find(person)
    const known = knownId && await users.find(knownId)
    if (known) return known
    if (knownId) identities.removeOf(knownId)

    // From here on all rests on the address.
    if (!person.isEmailVerified) refuse(403, 'The provider has not verified your e-mail address. Verify it there, then come back.')
    const found = await users.findByEmail(person.email)
    if (found?.emailVerified) refuse(409, 'There is an account with your e-mail address. Sign in to it with your password, then connect this login.')

    // Nobody has proved the address before: whoever signed up with it loses what they set.
    const user = found === null
      ? await users.create({ email: person.email, emailVerified: true }, { request })
      : await users.confirmEmail(found.id, person.email, { request })
    if (user === null || !identities.add(person, user.id)) refuse(409, 'Something has changed meanwhile. Please try again.')
    return user
  }

  // A POST, so that no other page can begin this, and a recent login, so that nobody does at a screen left open.
  app.post('/connect', { onRequest: app.guard({ via: 'cookie', fresh: '15m' }) }, async (request, reply) => ({ location: await app.connectProvider.generateAuthorizationUri(request, reply) }))

  app.get('/connect/callback', { onRequest: app.guard({ via: 'cookie', fresh: '15m' }) }, async (request, reply) => {
    // By the login here, whatever the address is there.
    const person = await readPerson(app.connectProvider, request, reply)
    if (!identities.add(person, request.principal.user.id)) refuse(409, 'This login is connected to another account.')
    return reply.redirect('/')
  })

  /** Whom the provider says it is, after state and PKCE were checked. */
  async function readPerson (provider, request, reply) {
    try {
      const { token } = await provider.getAccessTokenFromAuthorizationCodeFlow(request, reply)
      // From the provider itself, over TLS: nobody else can have signed it (OpenID Connect Core, 3.1.3.7).
      const { sub: subject, auth_time: time = 0 } = JSON.parse(Buffer.from(token.id_token.split('.')[1], 'base64url'))
      const { sub, email, email_verified: isVerified } = await provider.userinfo(token)
      if (typeof subject !== 'string' || sub !== subject) throw new Error('the provider does not say who it is')
      return { issuer, subject, email, isEmailVerified: isVerified === true, authenticatedAt: new Date(time * 1000) }
    } catch (error) {
      request.log.info(`no login by the provider: ${error.message}`)
    }
    refuse(400, 'That did not work. Please try again.')
  }

  // People come to these pages by a redirect, so they are told in words.
  app.setErrorHandler((error, request, reply) => {
    if (!(error instanceof Refusal)) return reply.send(error)
    return reply.code(error.statusCode).type('text/html; charset=utf-8').send(String(html`<!doctype html><title>Sign in</title><p>${error.message}</p><p><a href="/">Back</a></p>`))
  })

  app.get('/', { onRequest: app.guard({ optional: true }) }, async ({ principal }) => ({ hello: principal?.user.email ?? 'stranger' }))
  return app
}

class Refusal extends Error {
  constructor (statusCode, message) {
    super(message)
    this.statusCode = statusCode
  }
}

function refuse (statusCode, message) {
  throw new Refusal(statusCode, message)
}

if (process.argv[1] === import.meta.filename) await (await build()).listen({ port: 3000 })
