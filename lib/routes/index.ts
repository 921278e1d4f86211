import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Accounts } from '../../types/accounts.ts'
import type { Guard } from '../../types/fastify.ts'
import type { Policy } from '../../types/policy.ts'
import type { Administration } from '../accounts/administration.ts'
import type { Emails } from '../accounts/emails.ts'
import type { ChangePassword } from '../accounts/password.ts'
import type { Owner } from '../accounts/owner.ts'
import type { OwnerProof } from '../accounts/owner-proof.ts'
import type { Login } from '../accounts/login.ts'
import type { Recovery } from '../accounts/recovery.ts'
import type { Register } from '../accounts/register.ts'
import type { Users } from '../accounts/users.ts'
import { FST_ACCOUNTS_FORBIDDEN } from '../errors.ts'
import type { Hooks } from '../hooks.ts'
import type { PersonalTokenManagement } from '../personal-tokens/manage.ts'
import { parseJsonBody } from '../requests/json-body.ts'
import { isSafe, refuseDuplicates, type OriginGuard } from '../requests/origin.ts'
import type { LimitRate } from '../requests/rate-limit.ts'
import type { Cookies } from '../sessions/cookies.ts'
import type { Devices } from '../sessions/devices.ts'
import type { Leave } from '../sessions/leave.ts'
import type { ReadPresented, ReadSession } from '../sessions/presented.ts'
import type { Refresh } from '../sessions/rotation.ts'
import type { SignOut } from '../sessions/sign-out.ts'
import type { KeySet } from '../tokens/key-set.ts'
import { answerError, serialize } from './answers.ts'
import { addBasic } from './basic.ts'
import { addEmail } from './email.ts'
import { addHealth } from './health.ts'
import { addKeySet } from './key-set.ts'
import { addLogin } from './login.ts'
import { addLogout } from './logout.ts'
import { addMe } from './me.ts'
import { addOwner } from './owner.ts'
import { addPassword } from './password.ts'
import { addRefresh } from './refresh.ts'
import { addRegister } from './register.ts'
import { isSensitive, isUnlimited } from './route.ts'
import { addSessions } from './sessions.ts'
import { addToken } from './token.ts'
import { addTokens } from './tokens.ts'
import { addUsers } from './users.ts'

export interface RoutesDependencies {
  readonly accounts: Accounts
  readonly register: Register
  readonly login: Login
  readonly changePassword: ChangePassword
  readonly users: Users
  /** `null`: the users store has no list. */
  readonly administration: Administration | null
  /** `null`: there is no mailer. */
  readonly recovery: Recovery | null
  readonly emails: Emails | null
  /** `null`: they are switched off. */
  readonly personalTokens: PersonalTokenManagement | null
  /** `null`: the users store can't tell who is first. */
  readonly owner: Owner | null
  readonly ownerProof: OwnerProof
  /** Whether accounts come by HTTP Basic. */
  readonly hasBasicUsers: boolean
  readonly isPersonalToken: (token: string) => boolean
  /** Whether a request carries a personal token. */
  readonly carriesPersonalToken: (request: FastifyRequest) => boolean
  /** Whose login begins a session beside that of the cookies, if there are any; `null`: bearer tokens are switched off. */
  readonly bearer: { readonly login: Login, readonly readSession: ReadSession } | null
  readonly refresh: Refresh
  readonly signOut: SignOut
  readonly readPresented: ReadPresented
  readonly cookies: Cookies
  readonly devices: Devices
  readonly leave: Leave
  readonly hooks: Hooks
  readonly originGuard: OriginGuard
  /** `null`: requests are not counted. */
  readonly limitRate: LimitRate | null
  readonly guard: (policy?: Policy) => Guard
  /** Demands a session, by cookie or bearer token. */
  readonly guardSession: (policy?: Omit<Policy, 'via'>) => Guard
  readonly registrationOpen: boolean
  /** `null`: access tokens are signed with a secret. */
  readonly keySet: KeySet | null
  /** Whether there is a route that says how the server is. */
  readonly hasHealth: boolean
}

/** NIST SP 800-63B-4 wants 64 characters of password at least; the largest that is allowed fits well. */
export const BODY_LIMIT = 16 * 1024

/** Headers on which a decision of ours, or of a proxy before us, may rest. */
const SINGLE_HEADERS = ['authorization', 'host', 'origin', 'referer', 'content-type', 'content-length', 'sec-fetch-site', 'accounts-csrf']

/** All routes of the plugin, in a scope of their own: the host's parsers, validators and error handlers end at its door. */
export async function addRoutes (scope: FastifyInstance, dependencies: RoutesDependencies): Promise<void> {
  const { cookies, hooks, originGuard, limitRate, bearer, carriesPersonalToken } = dependencies
  const errorHandler = (error: unknown, request: FastifyRequest, reply: FastifyReply) => answerError(hooks, error, request, reply)
  scope.removeAllContentTypeParsers()
  scope.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: BODY_LIMIT }, async (request: FastifyRequest, body: Buffer) =>
    parseJsonBody(request.headers['content-type'], body))
  // Last of all: also what a hook of the host's has set on this route ends here.
  scope.addHook('onRoute', route => {
    Object.assign(route, { bodyLimit: BODY_LIMIT, attachValidation: false, errorHandler, validatorCompiler: () => () => true, serializerCompiler: () => serialize })
  })
  scope.addHook('onRequest', async (request, reply) => {
    reply.header('cache-control', 'no-store')
    // Before all else that costs something.
    if (!isUnlimited(request)) await limitRate?.(request, isSensitive(request))
    refuseDuplicates(request, SINGLE_HEADERS)
    // Without a guard of their own stand the routes that begin and end sessions: nothing of that is for a token.
    if (request.routeOptions.config.accounts === false && carriesPersonalToken(request)) throw new FST_ACCOUNTS_FORBIDDEN()
  })

  await scope.register(async browsers => {
    browsers.addHook('onRequest', async (request, reply) => {
      cookies.takeAccess(request, reply)
      cookies.takeRefresh(request, reply)
      // Also without a cookie: nobody may be logged in, or signed up, by another page (login CSRF).
      if (!isSafe(request)) originGuard.check(request)
    })
    addRegister(browsers, dependencies)
    addLogin(browsers, dependencies)
    addRefresh(browsers, dependencies)
    addLogout(browsers, dependencies)
    addMe(browsers, dependencies)
    addSessions(browsers, dependencies)
    addPassword(browsers, dependencies)
    addEmail(browsers, dependencies)
    addTokens(browsers, dependencies)
    addBasic(browsers, dependencies)
    addOwner(browsers, dependencies)
    addUsers(browsers, dependencies)
  })
  // Those look at no cookie, so a page of another origin can do no more there than any client.
  if (bearer !== null) await scope.register(async clients => addToken(clients, bearer, dependencies))
  addKeySet(scope, dependencies)
  addHealth(scope, dependencies)
}
