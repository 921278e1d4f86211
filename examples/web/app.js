import { join } from 'node:path'
import cookie from '@fastify/cookie'
import formbody from '@fastify/formbody'
import helmet from '@fastify/helmet'
import files from '@fastify/static'
import swagger from '@fastify/swagger'
import view from '@fastify/view'
import { Eta } from 'eta'
import Fastify from 'fastify'
import accounts, { securitySchemes } from 'fastify-accounts'
import { answerErrors } from './errors.js'
import { addFlash } from './flash.js'
import { formats } from './formats.js'
import { createMailbox } from './mailbox.js'
import { changeEmail } from './pages/change-email.js'
import { changePassword } from './pages/change-password.js'
import { deleteAccount } from './pages/delete-account.js'
import { forgottenPassword } from './pages/forgotten-password.js'
import { home } from './pages/home.js'
import { login } from './pages/login.js'
import { mails } from './pages/mails.js'
import { owner } from './pages/owner.js'
import { profile } from './pages/profile.js'
import { register } from './pages/register.js'
import { sessions } from './pages/sessions.js'
import { tokens } from './pages/tokens.js'
import { users } from './pages/users.js'
import { verifyEmail } from './pages/verify-email.js'

const PAGES = [home, register, verifyEmail, login, forgottenPassword, profile, changePassword, changeEmail, deleteAccount, sessions, tokens, owner, users]

const APP_NAME = 'Harbor'

/** Nothing but files of our own, no script or style inside of a page, and no page inside of another. */
const CONTENT_SECURITY_POLICY = {
  useDefaults: false,
  directives: {
    defaultSrc: ["'none'"],
    scriptSrc: ["'self'"],
    styleSrc: ["'self'"],
    imgSrc: ["'self'"],
    formAction: ["'self'"],
    frameAncestors: ["'none'"],
    baseUri: ["'none'"],
    requireTrustedTypesFor: ["'script'"]
  }
}

export async function build (options, { logger = false } = {}) {
  const app = Fastify({ logger })
  const mailbox = createMailbox()

  await app.register(helmet, {
    contentSecurityPolicy: CONTENT_SECURITY_POLICY,
    // Under `no-referrer`, which is helmet's own, browsers send forms as of the origin `null`, and those are refused.
    referrerPolicy: { policy: 'same-origin' },
    strictTransportSecurity: options.appUrl.startsWith('https:')
  })
  await app.register(swagger, { openapi: { info: { title: APP_NAME, version: '1.0.0' }, components: { securitySchemes } }, hideUntagged: true })
  await app.register(cookie)
  await app.register(accounts, {
    // nodemailerMailer of `fastify-accounts/nodemailer`, in an application that is to send mail.
    mailer: mailbox,
    mail: { appName: APP_NAME },
    ...options
  })

  await app.register(files, { root: join(import.meta.dirname, 'public'), prefix: '/public/' })
  app.get('/openapi.json', async () => app.swagger())
  // What a personal token can ask, and a browser too.
  app.get('/api/hello', { onRequest: app.authenticate, schema: { tags: ['api'], summary: 'Who calls' } }, async ({ principal }) => ({ hello: principal.user.name ?? principal.user.email, via: principal.via }))

  await app.register(async site => {
    await site.register(formbody, { bodyLimit: 16 * 1024 })
    await site.register(view, {
      engine: { eta: new Eta() },
      root: join(import.meta.dirname, 'views'),
      viewExt: 'eta',
      production: process.env.NODE_ENV === 'production',
      defaultContext: { ...formats, appName: APP_NAME, appUrl: options.appUrl, hasMails: isDevelopment(), minLength: options.passwords?.minLength ?? 15, problem: null, values: {} }
    })
    addFlash(site)
    answerErrors(site, options.appUrl)
    // The back button shows nobody what was private.
    site.addHook('onRequest', async (_request, reply) => { reply.header('cache-control', 'no-store') })
    // Who is signed in, and what has just been done, for the frame around every page.
    site.addHook('preHandler', async (request, reply) => {
      reply.locals = { user: request.principal?.user ?? null, path: request.url.split('?', 1)[0], flash: reply.takeFlash() }
    })
    for (const page of PAGES) await site.register(page)
    if (isDevelopment()) await site.register(mails, { mailbox })
  })

  return app
}

/** Whoever reads these mails gets into any account. */
const isDevelopment = () => process.env.NODE_ENV !== 'production'
