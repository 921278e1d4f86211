import type { FastifyRequest } from 'fastify'
import type { LoginInput } from '../../types/accounts.ts'
import type { LoginFailure } from '../../types/hooks.ts'
import type { UserRecord } from '../../types/storage.ts'
import { FST_ACCOUNTS_CREDENTIALS_INVALID } from '../errors.ts'
import { toUser } from '../sessions/records.ts'
import type { Issued } from '../sessions/sign-in.ts'
import type { AccountsDependencies } from './dependencies.ts'
import { loginKey } from './identifiers.ts'

export type Login = (input: LoginInput, request: FastifyRequest | null) => Promise<Issued>

/** Check a password and begin a session. Every refusal looks alike and takes alike (ASVS 6.3.8). */
export function createLogin ({ settings, storage, passwords, throttle, hooks }: AccountsDependencies, begin: Begin): Login {
  const upgrading = new Set<string>()

  return async function login (input, request) {
    const user = await find(input)
    const report = (name: 'login.failed' | 'login.throttled', reason: LoginFailure) => {
      const identifier = 'email' in input ? input.email : input.username
      hooks.record(name, { ...(user === null ? {} : { userId: user.id }), reason, request })
      hooks.notify('loginFailed', { identifier, reason, request })
    }
    const failure = await throttle.guard(throttle.bucketOf('login', input, user, request), async () => {
      const isBarred = user !== null && whyBarred(user) !== null
      const fits = await passwords.verify(user?.passwordDigest ?? null, input.password, isBarred)
      return passwords.isUsable(input.password) ? judge(user, fits) : 'ill-formed'
    }, failure => failure === null, () => report('login.throttled', 'throttled'))
    if (failure !== null) {
      report('login.failed', failure)
      throw new FST_ACCOUNTS_CREDENTIALS_INVALID()
    }
    await hooks.before('beforeLogin', { user: toUser(user!), request })
    const issued = await begin(user!, request, input.remember ?? true)
    await upgrade(user!, input.password)
    hooks.record('login.succeeded', { userId: user!.id, sessionId: issued.session.id, request })
    await hooks.after('afterLogin', { user: issued.user, session: issued.session, request })
    return issued
  }

  /** A digest of another kind or other costs than today's is made anew while the password is known: once, and not at the price of the login. */
  async function upgrade ({ id, passwordDigest }: UserRecord, password: string): Promise<void> {
    const { upgradePassword } = storage.users
    if (passwordDigest === null || upgradePassword === undefined || upgrading.has(id) || !passwords.isOutdated(passwordDigest)) return
    upgrading.add(id)
    try {
      // Logins of one account may wait for each other: what this one has read may be what another has replaced since.
      if ((await storage.users.find(id))?.passwordDigest !== passwordDigest) return
      if (await upgradePassword(id, passwordDigest, await passwords.hash(password))) hooks.record('password.upgraded', { userId: id, request: null })
    } catch {
      // The storage's boundary has reported it, or the queue is full: the next login tries again. Or it is too long for bcrypt.
    } finally {
      upgrading.delete(id)
    }
  }

  /** The state counts only after the password: what is told apart must not be told to who does not know it. */
  function judge (user: UserRecord | null, fits: boolean): LoginFailure | null {
    if (user === null) return 'unknown-user'
    if (user.passwordDigest === null) return 'no-password'
    return fits ? whyBarred(user) : 'wrong-password'
  }

  function whyBarred ({ disabled, emailVerified }: UserRecord): LoginFailure | null {
    if (disabled) return 'disabled'
    return settings.registration.verifyEmail && !emailVerified ? 'unverified' : null
  }

  async function find (input: LoginInput): Promise<UserRecord | null> {
    const found = loginKey(input)
    if (found === null) return null
    return found.by === 'email' ? await storage.users.findByEmail(found.key) : await storage.users.findByUsername?.(found.key) ?? null
  }
}

export type Begin = (user: UserRecord, request: FastifyRequest | null, remember: boolean) => Promise<Issued>

/** Begin a session of a user who has proved who they are, in place of the one that the request presents. */
export function createBegin ({ storage, signIn, signOut, readPresented, hooks }: Pick<AccountsDependencies, 'storage' | 'signIn' | 'signOut' | 'readPresented' | 'hooks'>): Begin {
  return async function begin (user, request, remember) {
    await hooks.before('beforeSignIn', { user: toUser(user), request })
    const session = signIn.prepare(user, request, remember)
    // No transaction: if it stops half-way the browser still has the old session, and of racers the last must see all.
    const ended = await signIn.store(storage.sessions, session, readPresented(request))
    for (const { userId, sessionId, reason } of ended) signOut.announce(userId, [sessionId], reason, request)
    const issued = signIn.issue(user, session)
    await hooks.after('afterSignIn', { user: issued.user, session: issued.session, request })
    return issued
  }
}
