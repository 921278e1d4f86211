import type { Kysely } from 'kysely'
import type { RevocationFeed, Storage, Stores } from '../../../types/storage.ts'
import { begin } from './alone.ts'
import type { Dialect } from './dialects.ts'
import { kyselyBasicUses } from './basic-uses.ts'
import { kyselyHostSessions } from './host-sessions.ts'
import { kyselyOneTimeTokens } from './one-time-tokens.ts'
import { kyselyOutbox } from './outbox.ts'
import { kyselyPersonalTokens } from './personal-tokens.ts'
import { repeat, repeating, type Repeat } from './repeat.ts'
import { kyselySessions } from './sessions.ts'
import type { Tables } from './tables.ts'
import { kyselyThrottles } from './throttles.ts'
import { kyselyUsers } from './users.ts'

type Kept = Required<Stores>

const storesOn = (db: Kysely<Tables>, dialect: Dialect): Kept => ({
  users: kyselyUsers(db, dialect),
  sessions: kyselySessions(db, dialect),
  personalTokens: kyselyPersonalTokens(db, dialect),
  oneTimeTokens: kyselyOneTimeTokens(db, dialect),
  throttles: kyselyThrottles(db, dialect),
  outbox: kyselyOutbox(db, dialect),
  basicUses: kyselyBasicUses(db, dialect),
  hostSessions: kyselyHostSessions(db, dialect)
})

/** The stores of one database, and how they work together. */
export function createStores (db: Kysely<Tables>, dialect: Dialect): Kept & Required<Pick<Storage, 'atomically'>> {
  // A busy SQLite file is free soon; a conflict in PostgreSQL that comes back is no accident.
  const options: Repeat = { isConflict: dialect.isConflict, ...(dialect.name === 'postgres' ? { attempts: 3 } : {}) }
  const own = Object.fromEntries(Object.entries(storesOn(db, dialect)).map(([name, store]) => [name, repeating(options, store)])) as unknown as Kept
  return {
    ...own,
    atomically: async (stores, work) => await repeat(options, async () => await begin(db, dialect).execute(async transaction => await work(enrol(stores, own, storesOn(transaction, dialect)))))
  }
}

/** A feed that knows which stores the triggers of its database cover. */
export function feedOf ({ users, sessions, personalTokens }: Stores, feed: RevocationFeed): RevocationFeed {
  return { ...feed, sees: store => store === users || store === sessions || store === personalTokens }
}

/** Of the given stores ours take part in the transaction, and those of others stay what they are. */
function enrol (given: Stores, own: Stores, inside: Stores): Stores {
  const names = Object.keys(given) as Array<keyof Stores>
  return Object.fromEntries(names.map(name => [name, given[name] === own[name] ? inside[name] : given[name]])) as unknown as Stores
}
