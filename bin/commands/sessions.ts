import type { Command } from './command.ts'
import { STORAGE_OPTIONS } from './storage.ts'
import { requireUser, withSessions } from './with-accounts.ts'

export const revokeSessions: Command = {
  usage: 'WHO',
  summary: 'end all sessions of a user',
  words: 1,
  options: [...STORAGE_OPTIONS, 'json'],
  run: async (options, [who]) => await withSessions(options, async accounts => {
    const { id, email } = await requireUser(accounts, who)
    const count = await accounts.sessions.endAll(id)
    return { text: `Ended ${count} ${count === 1 ? 'session' : 'sessions'} of ${email}.`, json: { ended: count } }
  })
}
