import type { Accounts } from '../../types/accounts.ts'
import type { AccountsHealth, StoreHealth } from '../../types/health.ts'
import type { RevocationFeed } from '../../types/storage.ts'
import { monotonic, now, pause } from '../clock.ts'
import { randomId } from '../random.ts'
import type { GuardedStorage } from '../storage.ts'

export interface HealthDependencies {
  readonly storage: Pick<GuardedStorage, 'users' | 'sessions' | 'outbox'>
  /** `null`: nothing tells of them. */
  readonly changes: Required<Pick<RevocationFeed, 'isCurrent' | 'age'>> | null
  /** What the parts of this process know by themselves. */
  readonly load: {
    passwords (): AccountsHealth['passwords']
    /** `null`: there is no mailer. */
    mail (): Omit<NonNullable<AccountsHealth['mail']>, 'waiting'> | null
    unwritten (): AccountsHealth['unwritten']
  }
}

/** However many ask, and however often: the stores are asked once in this time. */
const REMEMBERED_MS = 1000

/** A feed that nobody has asked for a while sleeps, and the question wakes it. */
const WAKING_MS = 250

const MOST_MAILS = 1000

/** RFC 6761, 6.4: nobody's address. A store of a host's takes any address, while of ids it may take those of its own form only. */
const NOBODY = 'nobody@health.invalid'

export function createHealth ({ storage, changes, load }: HealthDependencies): Accounts['health'] {
  let answer: Promise<AccountsHealth> | undefined
  let until = Infinity

  async function ask (): Promise<AccountsHealth> {
    const at = new Date(now())
    const mail = load.mail()
    const [users, sessions, feedHealth, waiting] = await Promise.all([
      time(async () => await storage.users.findByEmail(NOBODY)),
      time(async () => await storage.sessions.find(randomId())),
      changes === null ? null : examineFeed(changes),
      mail === null ? null : countMails(storage.outbox)
    ])
    return { ok: users.ok && sessions.ok, at, stores: { users, sessions }, feed: feedHealth, passwords: load.passwords(), mail: mail === null ? null : { waiting, ...mail }, unwritten: load.unwritten() }
  }

  return async () => {
    if (answer === undefined || monotonic() >= until) {
      until = Infinity
      answer = ask().finally(() => { until = monotonic() + REMEMBERED_MS })
    }
    return await answer
  }
}

/** The boundary of the storage keeps the time, and reports a failure. */
async function time (question: () => Promise<unknown>): Promise<StoreHealth> {
  const since = monotonic()
  const ok = await question().then(() => true, () => false)
  return { ok, ms: Math.round(monotonic() - since) }
}

async function examineFeed (changes: Required<Pick<RevocationFeed, 'isCurrent' | 'age'>>): Promise<AccountsHealth['feed']> {
  for (const end = monotonic() + WAKING_MS; !changes.isCurrent() && monotonic() < end;) await pause(10)
  const age = changes.age()
  return { current: changes.isCurrent(), age: age === null ? null : Math.round(age) }
}

async function countMails (outbox: GuardedStorage['outbox']): Promise<number | null> {
  return await outbox?.count?.(MOST_MAILS).catch(() => null) ?? null
}
