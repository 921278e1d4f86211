import type { BasicUse } from '../../types/index.ts'
import type { Command } from './command.ts'
import { toTable } from './printable.ts'
import { DATABASE_OPTIONS } from './storage.ts'
import { withAccounts } from './with-accounts.ts'

export const basicUsage: Command = {
  usage: '',
  summary: 'list who still uses HTTP Basic and where, the latest first',
  words: 0,
  options: [...DATABASE_OPTIONS, 'json'],
  async run (options) {
    const uses = await withAccounts(options, async accounts => await accounts.basicUsage())
    return { text: uses.length === 0 ? 'Nobody uses HTTP Basic.' : toTable(HEADINGS, uses.map(toCells)), json: uses }
  }
}

const HEADINGS = ['WHO', 'METHOD', 'ROUTE', 'LAST', 'FROM']

const toCells = ({ userId, user, method, route, lastUsedAt, lastUsedAddress }: BasicUse): string[] =>
  [userId === null ? '(shared)' : user?.email ?? '(deleted)', method, route, lastUsedAt.toISOString(), lastUsedAddress ?? '']
