import fp from 'fastify-plugin'
import type { FastifyInstance } from 'fastify'
import type { AccountsOptions } from '../types/options.ts'
import type { Policy } from '../types/policy.ts'
import { createAttempts } from './accounts/attempts.ts'
import { createAccountDuties } from './accounts/duties.ts'
import { createServices } from './accounts/services.ts'
import { announceSetup } from './accounts/setup.ts'
import { createThrottle, noThrottle } from './accounts/throttle.ts'
import { createAuthorize } from './authorization/authorize.ts'
import { createGuards, inOrder } from './authorization/guard.ts'
import { protectRoutes } from './authorization/protect.ts'
import { closeWithServer } from './closing.ts'
import { createCredentials } from './credentials/credentials.ts'
import { decorate } from './decorators.ts'
import { createDiagnose } from './diagnosis/diagnose.ts'
import { createHealth } from './diagnosis/health.ts'
import { createHooks } from './hooks.ts'
import { createChanges } from './liveness/changes.ts'
import { createSignals } from './liveness/signals.ts'
import { startMail } from './mail/mail.ts'
import { resolveOptions } from './options/index.ts'
import { createOutages } from './outages.ts'
import { loadPasswords } from './passwords/load.ts'
import { createPersonalTokenDuties } from './personal-tokens/duties.ts'
import { createTokenEndings } from './personal-tokens/endings.ts'
import { addCachingHeaders } from './requests/caching.ts'
import { createCheckForm } from './requests/form.ts'
import { trustedProxies } from './requests/network.ts'
import { createOriginGuard } from './requests/origin.ts'
import { createRateLimit } from './requests/rate-limit.ts'
import { createSharedRateLimit } from './requests/shared-rate-limit.ts'
import { addRoutes } from './routes/index.ts'
import { createCookies } from './sessions/cookies.ts'
import { createDevices, noDevices } from './sessions/devices.ts'
import { createSessionDuties } from './sessions/duties.ts'
import { forgetEarlierSessions } from './sessions/earlier.ts'
import { startHousekeeping } from './sessions/housekeeping.ts'
import { createReadSession } from './sessions/presented.ts'
import { guardStorage } from './storage.ts'
import { createJwts, createKeyPairJwts } from './tokens/jwt.ts'
import { createKeySet } from './tokens/key-set.ts'
import { createOneTimeTokens } from './tokens/one-time.ts'
import { createTokens } from './tokens/tokens.ts'
import { warnOfSettings } from './warnings.ts'

/** Sessions and verified tokens that a process remembers at most; about 2 KiB each. */
const CAPACITY = 20_000

/** The composition root: what there is, and what each part is given. State lives here, so registrations don't meet. */
async function accountsPlugin (app: FastifyInstance, options: AccountsOptions): Promise<void> {
  const settings = resolveOptions(options)
  const { keys, keyPairs } = settings
  const trustProxy = trustedProxies(app)
  warnOfSettings(app, settings, trustProxy)

  const hooks = createHooks(app.log, settings.hooks)
  const guarded = guardStorage(settings.storage, createOutages(app.log, hooks.record))
  const storage = settings.expireSessionsOnRestart ? forgetEarlierSessions(guarded) : guarded

  const accessJwts = keyPairs === null ? await createJwts(app, keys.access, 'at+jwt', settings.tokenHeader) : createKeyPairJwts(keyPairs, 'at+jwt', settings.tokenHeader)
  const tokens = createTokens({ access: accessJwts, refresh: await createJwts(app, keys.refresh, 'rt+jwt') }, settings)
  const oneTimeTokens = createOneTimeTokens(keys.hash)

  const path = routesPath(app, settings.appPath, settings.prefix)
  const cookies = await createCookies(app, settings, path)
  const originGuard = createOriginGuard(settings.origin, settings.csrf, keys.hash)
  const limitShared = settings.rateLimit?.isShared === true ? createSharedRateLimit(settings.rateLimit, createAttempts(storage.throttles!), keys.hash[0]!) : null
  const limitRate = settings.rateLimit === null ? null : await createRateLimit(app, settings.rateLimit, limitShared)

  const devices = settings.throttle === null ? noDevices : createDevices(cookies, keys.hash)
  const throttle = settings.throttle === null ? noThrottle : createThrottle({ rule: settings.throttle, throttles: createAttempts(storage.throttles!), keys: keys.hash, devices, hooks })
  const passwords = await loadPasswords(settings.passwords, serviceWords(settings.origin), app.log)

  const mail = startMail({ settings: settings.mail, storage, oneTimeTokens, hooks, log: app.log })
  const { post } = mail
  const changes = createChanges({ storage, users: settings.storage.users, feed: settings.storage.feed, sessionFeed: settings.storage.sessions.feed, capacity: CAPACITY })
  const signals = createSignals(changes)
  const sessions = createSessionDuties({ settings, storage, tokens, cookies, changes, post, hooks }, keys.hash, CAPACITY)
  const { activity, liveness, signIn, signOut, leave, readPresented, hostSessions, refresh } = sessions
  const personal = settings.personalTokens === null ? null : createPersonalTokenDuties({ settings: settings.personalTokens, storage, changes, post, hooks }, keys.hash, CAPACITY)
  const tokenEndings = createTokenEndings(changes, hooks)
  const accountsDependencies = { settings, storage, passwords, changes, signIn, signOut, tokenEndings, readPresented, throttle, oneTimeTokens, post, hooks }
  const duties = createAccountDuties(accountsDependencies, { cookies, devices, originGuard, leave, limitRate, keys: keys.hash })
  const { basic, owner, ownerProof, passwordChanges } = duties

  const credentials = createCredentials({ settings, storage, tokens, cookies, originGuard, liveness, activity, refresh, changes, signals, personal, basic, hooks, capacity: CAPACITY })
  const guards = createGuards(inOrder(credentials.enabled, settings.credentialOrder), { scopes: settings.personalTokens?.scopes ?? null, isOrdered: settings.credentialOrder !== null }, hooks)
  const guard = (policy: Policy = {}) => guards.make(policy, 'Policy')
  const guardSession = (policy: Policy = {}) => guard({ ...policy, via: settings.bearer ? ['cookie', 'bearer'] : 'cookie' })
  const authorize = createAuthorize(hooks)
  const policies = protectRoutes(app, { guards, protect: settings.protect, makers: { guard, authorize } })

  const diagnose = createDiagnose({ settings, storage, known: { cookies: Object.values(cookies.facts), routesPath: settings.prefix === null ? null : path, isHttps: Boolean(app.initialConfig.https), trustProxy } })
  const unwritten = () => ({ sessions: activity.size(), personalTokens: personal?.uses.size() ?? 0, basicUses: basic?.uses.size() ?? 0 })
  const health = createHealth({ storage, changes: settings.storage.feed === undefined ? null : changes, load: { passwords: passwords.load, mail: mail.load, unwritten } })
  const personalTokens = personal?.management ?? null
  const accounts = createServices(accountsDependencies, { ...duties, cookies: cookies.facts, personalTokens, hostSessions, policies, diagnose, health })

  addCachingHeaders(app)
  decorate(app, settings, { accounts, guard, authorize, checkForm: createCheckForm(limitRate, originGuard), browser: duties.browser })

  if (settings.prefix !== null) {
    await app.register(async scope => await addRoutes(scope, {
      ...duties,
      ...credentials,
      accounts,
      changePassword: passwordChanges.change,
      personalTokens,
      refresh,
      signOut,
      leave,
      readPresented,
      cookies,
      devices,
      originGuard,
      limitRate,
      guard,
      guardSession,
      hooks,
      bearer: settings.bearer ? { login: duties.loginBeside, readSession: createReadSession(tokens) } : null,
      hasBasicUsers: basic !== null && basic.prove !== null,
      registrationOpen: settings.registration.open,
      keySet: keyPairs === null ? null : createKeySet(keyPairs),
      hasHealth: settings.hasHealthRoute
    }), { prefix: settings.prefix })
  }

  if (owner !== null && settings.prefix !== null) app.addHook('onReady', async () => { await announceSetup(owner, ownerProof, path, app.log) })
  const stopHousekeeping = startHousekeeping(storage, settings.mail === null ? null : personal?.sendNotices ?? null)
  const batches = [activity, personal?.uses, basic?.uses].filter(batch => batch !== undefined)
  closeWithServer(app, { signals, passwords, batches, mail, stop: [stopHousekeeping, changes.close], closeStorage: storage.close })
}

/** The path that a browser sees: a proxy may have taken the path of `appUrl` off. */
function routesPath (app: FastifyInstance, appPath: string, prefix: string | null): string {
  const path = `${app.prefix}${prefix ?? ''}`
  return (path.startsWith(`${appPath}/`) ? path : `${appPath}${path}`) || '/'
}

/** What the service calls itself is what its users think of first. */
const serviceWords = (origin: string) => [new URL(origin).hostname, ...new URL(origin).hostname.split('.')]

export default fp(accountsPlugin, { name: 'fastify-accounts', fastify: '5.x' })
