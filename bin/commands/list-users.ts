import type { Accounts, User } from '../../types/index.ts'
import type { Command } from './command.ts'
import { toTable } from './printable.ts'
import { DATABASE_OPTIONS } from './storage.ts'
import { withAccounts } from './with-accounts.ts'

export const listUsers: Command = {
  usage: '[--search TEXT]',
  summary: 'list the users, the newest first',
  words: 0,
  options: [...DATABASE_OPTIONS, 'search', 'json'],
  async run (options) {
    const users = await withAccounts(options, async accounts => await findAll(accounts, options.search ?? ''))
    return { text: users.length === 0 ? 'No users.' : toTable(HEADINGS, users.map(toCells)), json: users }
  }
}

async function findAll ({ users }: Accounts, search: string): Promise<User[]> {
  const found: User[] = []
  let cursor: string | null = null
  do {
    const page = await users.list({ search, cursor, limit: 100 })
    found.push(...page.users)
    cursor = page.next
  } while (cursor !== null)
  return found
}

const HEADINGS = ['ADDRESS', 'USER NAME', 'NAME', 'ROLES', 'STATE', 'CREATED', 'ID']

const toCells = ({ email, username, name, roles, disabled, createdAt, id }: User): string[] =>
  [email, username ?? '', name ?? '', roles.join(' '), disabled ? 'disabled' : 'active', createdAt.toISOString().slice(0, 10), id]
