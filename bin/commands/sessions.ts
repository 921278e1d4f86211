import type { Command, Options } from './command.ts'
import { STORAGE_OPTIONS, type SessionsIn } from './storage.ts'
import { requireUser, withSessions } from './with-accounts.ts'

export const revokeSessions: Command = {
  usage: 'WHO',
  summary: 'end all sessions of a user',
  words: 1,
  options: [...STORAGE_OPTIONS, 'json'],
  run: async (options, [who]) => await withSessions(options, async (accounts, sessionsIn) => {
    const { id, email } = await requireUser(accounts, who)
    const count = await accounts.sessions.endAll(id)
    const { name, hint } = PLACES[sessionsIn]
    // The server may have them elsewhere.
    const doubt = count === 0 ? ` (${hint(options)})` : ''
    return { text: `Ended ${count} ${count === 1 ? 'session' : 'sessions'} of ${email} in ${name}${doubt}.`, json: { ended: count, sessionsIn } }
  })
}

/** Where sessions were looked for, and what decided that. */
const PLACES: Readonly<Record<SessionsIn, { readonly name: string, hint (options: Options): string }>> = {
  sqlite: { name: 'SQLite', hint: () => '--redis was not given' },
  postgres: { name: 'PostgreSQL', hint: () => '--redis was not given' },
  redis: { name: 'Redis', hint: ({ 'redis-prefix': prefix }) => prefix === undefined ? '--redis-prefix was not given' : `under --redis-prefix ${prefix}` }
}
