import { randomBytes } from 'node:crypto'
import { FST_ACCOUNTS_EMAIL_INVALID } from '../../lib/errors.ts'
import { closeStorage } from '../../lib/storage.ts'
import type { Accounts, Storage, User } from '../../types/index.ts'
import { failure, usageError, type Options } from './command.ts'
import { withServer } from './load-server.ts'
import { openAll, openDatabase, type SessionsIn } from './storage.ts'

/**
 * Do something through the plugin's own services, so that every rule and every event is that of the server: of the one
 * that `--app` names, or else of one with the default options on a database.
 */
export async function withAccounts<Result> (options: Options, work: (accounts: Accounts) => Promise<Result>): Promise<Result> {
  if (options.app === undefined) return await withStorage(await openDatabase(options), work)
  const { app: file, database, schema, 'table-prefix': tablePrefix } = options
  if ((database ?? schema ?? tablePrefix) !== undefined) throw usageError('--app brings its own database: leave --database, --schema and --table-prefix out.')
  return await withServer(file, async ({ accounts }) => await work(accounts))
}

/** The same on a database and what is kept beside it: for what ends sessions. */
export async function withSessions<Result> (options: Options, work: (accounts: Accounts, sessionsIn: SessionsIn) => Promise<Result>): Promise<Result> {
  const { storage, sessionsIn } = await openAll(options)
  return await withStorage(storage, async accounts => await work(accounts, sessionsIn))
}

async function withStorage<Result> (storage: Storage, work: (accounts: Accounts) => Promise<Result>): Promise<Result> {
  // Only now: the commands that need no server, and wrong calls, answer at once.
  const [{ default: Fastify }, { default: accounts }] = await Promise.all([import('fastify'), import('../../lib/index.ts')])
  const app = Fastify()
  try {
    // No session of this server leaves it, so its secret is nobody's.
    await app.register(accounts, { appUrl: 'http://localhost', secret: randomBytes(48), storage, routes: false })
    await app.ready()
    return await work(app.accounts)
  } finally {
    await app.close()
    await closeStorage(storage)
  }
}

/** The user whom an operator means: by id, which nobody can choose for themselves, else by address or user name. */
export async function requireUser ({ users }: Accounts, who: string): Promise<User> {
  const user = await users.find(who) ?? (who.includes('@') ? await findByEmail(users, who) : await users.findByUsername(who))
  if (user === null) throw failure(`There is no user ${JSON.stringify(who)}${await isNobodyThere(users) ? ', nor any other. Is this the right database? Users in a table of your own are not seen here.' : '.'}`)
  return user
}

/** As in a file that was made by this very start, since a path leads elsewhere from here. */
async function isNobodyThere (users: Accounts['users']): Promise<boolean> {
  // Not every store of a host's can list.
  return await users.list({ limit: 1 }).then(({ users: [first] }) => first === undefined, () => false)
}

/** What is no address is nobody's. */
async function findByEmail (users: Accounts['users'], email: string): Promise<User | null> {
  try {
    return await users.findByEmail(email)
  } catch (error) {
    if (error instanceof FST_ACCOUNTS_EMAIL_INVALID) return null
    throw error
  }
}
