import fp from 'fastify-plugin'
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { AccountsOptions } from '../types/options.ts'
import type { Policy } from '../types/policy.ts'
import { createAdministration } from './accounts/administration.ts'
import { createAttempts } from './accounts/attempts.ts'
import { createBasicDuties, warnOfBasic } from './accounts/basic.ts'
import { createBasicUsage } from './accounts/basic-usage.ts'
import { createBrowser } from './accounts/browser.ts'
import { createConfirmEmail } from './accounts/confirm-email.ts'
import { createEmails } from './accounts/emails.ts'
import { createEnrol } from './accounts/enrol.ts'
import { createExport } from './accounts/export.ts'
import { createListUsers } from './accounts/list.ts'
import { createHandOver } from './accounts/hand-over.ts'
import { createImport } from './accounts/import.ts'
import { createBegin, createLogin } from './accounts/login.ts'
import { createPrepare } from './accounts/new-account.ts'
import { createOwner } from './accounts/owner.ts'
import { createOwnerProof } from './accounts/owner-proof.ts'
import { createPasswordChanges } from './accounts/password.ts'
import { createProof } from './accounts/proof.ts'
import { createRecovery } from './accounts/recovery.ts'
import { createRegister } from './accounts/register.ts'
import { announceSetup } from './accounts/setup.ts'
import { createServices } from './accounts/services.ts'
import { createThrottle, noThrottle } from './accounts/throttle.ts'
import { createUsers } from './accounts/users.ts'
import { createVouch } from './accounts/vouch.ts'
import { createAuthorize } from './authorization/authorize.ts'
import { createGuards, inOrder } from './authorization/guard.ts'
import { protectRoutes } from './authorization/protect.ts'
import { closeWithServer } from './closing.ts'
import { createAccessCookie } from './credentials/access-cookie.ts'
import { createBasic } from './credentials/basic.ts'
import { createBearer } from './credentials/bearer.ts'
import { createPersonalToken } from './credentials/personal-token.ts'
import { createDiagnose } from './diagnosis/diagnose.ts'
import { createHealth } from './diagnosis/health.ts'
import { FST_ACCOUNTS_BASIC_OFF, FST_ACCOUNTS_BEARER_OFF, FST_ACCOUNTS_PERSONAL_TOKENS_OFF } from './errors.ts'
import { createHooks } from './hooks.ts'
import { createChanges } from './liveness/changes.ts'
import { createSignals } from './liveness/signals.ts'
import { startMail } from './mail/mail.ts'
import { resolveOptions } from './options/index.ts'
import { loadPasswords } from './passwords/load.ts'
import { createPersonalTokenDuties } from './personal-tokens/duties.ts'
import { createTokenEndings } from './personal-tokens/endings.ts'
import { addCachingHeaders } from './requests/caching.ts'
import { trustedProxies } from './requests/network.ts'
import { createCheckForm } from './requests/form.ts'
import { createOriginGuard } from './requests/origin.ts'
import { createRateLimit } from './requests/rate-limit.ts'
import { createSharedRateLimit } from './requests/shared-rate-limit.ts'
import { warnOfSlowRequests } from './requests/slow.ts'
import { addRoutes } from './routes/index.ts'
import { createActivity } from './sessions/activity.ts'
import { createCollectClaims } from './sessions/claims.ts'
import { createCookies } from './sessions/cookies.ts'
import { createDevices, noDevices } from './sessions/devices.ts'
import { forgetEarlierSessions } from './sessions/earlier.ts'
import { createHostSessions } from './sessions/host-sessions.ts'
import { startHousekeeping } from './sessions/housekeeping.ts'
import { createLeave } from './sessions/leave.ts'
import { createLiveness } from './sessions/liveness.ts'
import { createReadPresented, createReadSession } from './sessions/presented.ts'
import { createRefresh, ROTATION_WINDOW } from './sessions/rotation.ts'
import { createSignIn } from './sessions/sign-in.ts'
import { createSignOut } from './sessions/sign-out.ts'
import { guardStorage } from './storage.ts'
import { createJwts, createKeyPairJwts } from './tokens/jwt.ts'
import { createKeySet } from './tokens/key-set.ts'
import { createOneTimeTokens } from './tokens/one-time.ts'
import { createTokens } from './tokens/tokens.ts'

/** Sessions and verified tokens that a process remembers at most; about 2 KiB each. */
const CAPACITY = 20_000

/** The composition root: what there is, and what each part is given. State lives here, so registrations don't meet. */
async function accountsPlugin (app: FastifyInstance, options: AccountsOptions): Promise<void> {
  const settings = resolveOptions(options)
  const { keys, keyPairs } = settings
  if (settings.cookies.insecure) app.log.warn('fastify-accounts: cookies.insecure is set: whoever can listen on the network can take over sessions')

  const trustProxy = trustedProxies(app)
  if (trustProxy === 'everybody') app.log.warn('fastify-accounts: trustProxy is true or trusts every address, so whoever sends x-forwarded-for chooses the address that limits are about: set it to the addresses of the proxy')
  warnOfSlowRequests(app)

  const hooks = createHooks(app.log, settings.hooks)
  const guarded = guardStorage(settings.storage, error => {
    app.log.error({ err: error }, 'the account storage failed')
    hooks.record('storage.failed', { request: null })
  })
  const storage = settings.expireSessionsOnRestart ? forgetEarlierSessions(guarded) : guarded

  const accessJwts = keyPairs === null ? await createJwts(app, keys.access, 'at+jwt', settings.tokenHeader) : createKeyPairJwts(keyPairs, 'at+jwt', settings.tokenHeader)
  const tokens = createTokens({ access: accessJwts, refresh: await createJwts(app, keys.refresh, 'rt+jwt') }, settings)
  const oneTimeTokens = createOneTimeTokens(keys.hash)
  const path = routesPath(app, settings.appPath, settings.prefix)
  const cookies = await createCookies(app, settings, path)
  const originGuard = createOriginGuard(settings.origin, settings.csrf, keys.hash)
  const devices = settings.throttle === null ? noDevices : createDevices(cookies, keys.hash)
  const throttle = settings.throttle === null ? noThrottle : createThrottle({ rule: settings.throttle, throttles: createAttempts(storage.throttles!), keys: keys.hash, devices, hooks })
  const passwords = await loadPasswords(settings.passwords, serviceWords(settings.origin), app.log)

  const mail = startMail({ settings: settings.mail, storage, oneTimeTokens, hooks, log: app.log })
  const { post } = mail
  const activity = createActivity(storage.sessions, ROTATION_WINDOW)
  const changes = createChanges({ storage, feed: settings.storage.feed, sessionFeed: settings.storage.sessions.feed, capacity: CAPACITY })
  const liveness = createLiveness(storage, changes, CAPACITY)
  const signals = createSignals(changes)
  const tokenEndings = createTokenEndings(changes, hooks)
  const personal = settings.personalTokens === null ? null : createPersonalTokenDuties({ settings: settings.personalTokens, storage, changes, post, hooks }, keys.hash, CAPACITY)
  const signIn = createSignIn(tokens, settings, createCollectClaims(hooks))
  const signOut = createSignOut(storage, changes, hooks)
  const leave = createLeave(cookies, hooks)
  const readPresented = createReadPresented(cookies, tokens)
  const hostSessions = createHostSessions({ storage, liveness, readPresented }, keys.hash)
  const refresh = createRefresh({ storage, tokens, activity, changes, signIn, post, hooks, settings })

  const dependencies = { settings, storage, passwords, changes, signIn, signOut, tokenEndings, readPresented, throttle, oneTimeTokens, post, hooks }
  const limitShared = settings.rateLimit?.isShared === true ? createSharedRateLimit(settings.rateLimit, createAttempts(storage.throttles!), keys.hash[0]!) : null
  const limitRate = settings.rateLimit === null ? null : await createRateLimit(app, settings.rateLimit, limitShared)
  const proof = createProof(dependencies)
  const basicDuties = settings.basic === null ? null : createBasicDuties(settings.basic, dependencies, proof, limitRate)
  const begin = createBegin(dependencies)
  const vouch = createVouch(dependencies, begin)
  const browser = createBrowser(dependencies, { vouch, cookies, devices, originGuard, leave })
  const prepare = createPrepare(dependencies)
  const enrol = createEnrol(dependencies)
  const register = createRegister(dependencies, prepare, enrol)
  const login = createLogin(dependencies, proof, begin)
  const loginBeside = createLogin(dependencies, proof, createBegin({ ...dependencies, readPresented: () => [] }))
  const owner = createOwner(dependencies, prepare, enrol)
  const ownerProof = createOwnerProof(basicDuties?.legacy ?? null, settings.basic?.sunset ?? null, keys.hash)
  const passwordChanges = createPasswordChanges(dependencies)
  const users = createUsers(dependencies, prepare)
  const listUsers = createListUsers(dependencies)
  const exportUser = createExport(dependencies)
  const importUser = createImport(dependencies)
  const handOver = createHandOver(dependencies)
  const confirmEmail = createConfirmEmail(dependencies, handOver)
  const recovery = settings.mail === null ? null : createRecovery(dependencies, handOver)
  const emails = settings.mail === null ? null : createEmails(dependencies)
  const administration = storage.users.list === undefined ? null : createAdministration(users, signOut)

  const personalTokens = personal?.management ?? null
  const transparent = settings.refresh === 'transparent' ? refresh : null
  const accessCookie = createAccessCookie({ cookies, tokens, liveness, activity, signals, hooks, originGuard, refresh: transparent, capacity: CAPACITY })
  const personalToken = personal === null ? null : createPersonalToken({ ...personal, storage, changes, signals, hooks, capacity: CAPACITY })
  const basic = basicDuties === null ? null : createBasic({ ...basicDuties, storage, changes, signals, originGuard, hooks, capacity: CAPACITY })
  const isPersonalToken = (token: string) => personal?.personalTokens.isMeant(token) === true
  const bearer = settings.bearer ? createBearer({ tokens, liveness, activity, signals, hooks, isPersonalToken, isFirst: settings.credentialOrder?.includes('bearer') === true, capacity: CAPACITY }) : null
  const credentials = inOrder([accessCookie, bearer, personalToken, basic].filter(credential => credential !== null), settings.credentialOrder)
  const guards = createGuards(credentials, { scopes: settings.personalTokens?.scopes ?? null, isOrdered: settings.credentialOrder !== null }, hooks)
  const guard = (policy: Policy = {}) => guards.make(policy, 'Policy')
  const guardSession = (policy: Policy = {}) => guard({ ...policy, via: bearer === null ? 'cookie' : ['cookie', 'bearer'] })
  const authorize = createAuthorize(hooks)
  const policies = protectRoutes(app, { guards, protect: settings.protect, makers: { guard, authorize } })
  const diagnose = createDiagnose({ settings, storage, known: { cookies: Object.values(cookies.facts), routesPath: settings.prefix === null ? null : path, isHttps: Boolean(app.initialConfig.https), trustProxy } })
  const unwritten = () => ({ sessions: activity.size(), personalTokens: personal?.uses.size() ?? 0, basicUses: basicDuties?.uses.size() ?? 0 })
  const health = createHealth({ storage, changes: settings.storage.feed === undefined ? null : changes, load: { passwords: passwords.load, mail: mail.load, unwritten } })
  const accounts = createServices(dependencies, { register, login, vouch, browser, cookies: cookies.facts, passwordChanges, users, confirmEmail, listUsers, exportUser, importUser, recovery, emails, personalTokens, owner, ownerProof, basicUsage: createBasicUsage(dependencies, basicDuties?.uses ?? null), hostSessions, policies, diagnose, health })

  addCachingHeaders(app)
  app.decorate('accounts', accounts)
  app.decorate('guard', guard)
  app.decorate('authenticate', guard())
  app.decorate('verifyAccessCookie', guard({ via: 'cookie' }))
  // Undefined it would be no hook, and the route open.
  app.decorate('verifyBearer', { getter: () => bearer === null ? refuse(FST_ACCOUNTS_BEARER_OFF) : guard({ via: 'bearer' }) })
  app.decorate('verifyPersonalToken', { getter: () => personal === null ? refuse(FST_ACCOUNTS_PERSONAL_TOKENS_OFF) : guard({ via: 'personal-token' }) })
  app.decorate('verifyBasic', { getter: () => basic === null ? refuse(FST_ACCOUNTS_BASIC_OFF) : guard({ via: 'basic' }) })
  app.decorate('authorize', authorize)
  app.decorate('checkForm', createCheckForm(limitRate, originGuard))
  app.decorateRequest('principal', null)
  app.decorateReply('signIn', async function (this: FastifyReply, user, options) { return await browser.signIn(this, user, options) })
  app.decorateReply('signOut', async function (this: FastifyReply) { await browser.signOut(this) })

  if (settings.prefix !== null) {
    const duties = { register, login, changePassword: passwordChanges.change, users, administration, recovery, emails, personalTokens, owner, ownerProof, refresh, signOut, leave }
    const requests = { readPresented, cookies, devices, originGuard, limitRate, guard, guardSession, isPersonalToken }
    await app.register(async scope => await addRoutes(scope, {
      ...duties,
      ...requests,
      accounts,
      hooks,
      bearer: bearer === null ? null : { login: loginBeside, readSession: createReadSession(tokens) },
      hasBasicUsers: basicDuties !== null && basicDuties.prove !== null,
      carriesPersonalToken: request => personalToken?.isPresent(request) === true,
      registrationOpen: settings.registration.open,
      keySet: keyPairs === null ? null : createKeySet(keyPairs),
      hasHealth: settings.hasHealthRoute
    }), { prefix: settings.prefix })
  }

  if (settings.basic !== null) warnOfBasic(settings.basic, settings.cookies.insecure, app.log)
  if (owner !== null && settings.prefix !== null) app.addHook('onReady', async () => { await announceSetup(owner, ownerProof, path, app.log) })
  const stopHousekeeping = startHousekeeping(storage, settings.mail === null ? null : personal?.sendNotices ?? null)
  const batches = [activity, personal?.uses, basicDuties?.uses].filter(batch => batch !== undefined)
  closeWithServer(app, { signals, passwords, batches, mail, stop: [stopHousekeeping, changes.close], closeStorage: storage.close })
}

/** The path that a browser sees: a proxy may have taken the path of `appUrl` off. */
function routesPath (app: FastifyInstance, appPath: string, prefix: string | null): string {
  const path = `${app.prefix}${prefix ?? ''}`
  return (path.startsWith(`${appPath}/`) ? path : `${appPath}${path}`) || '/'
}

function refuse (Refusal: new () => Error): never {
  throw new Refusal()
}

/** What the service calls itself is what its users think of first. */
const serviceWords = (origin: string) => [new URL(origin).hostname, ...new URL(origin).hostname.split('.')]

export default fp(accountsPlugin, { name: 'fastify-accounts', fastify: '5.x' })
