import type { Accounts, User } from '../../types/index.ts'
import type { Command } from './command.ts'
import { DATABASE_OPTIONS } from './storage.ts'
import { withAccounts } from './with-accounts.ts'

export const listUsers: Command = {
  usage: '[--search TEXT] [--json]',
  summary: 'list the users, the newest first',
  words: 0,
  options: [...DATABASE_OPTIONS, 'search', 'json'],
  async run (options) {
    const users = await withAccounts(options, async accounts => await findAll(accounts, options.search ?? ''))
    if (options.json === true) return JSON.stringify(users, null, 2)
    return users.length === 0 ? 'No users.' : toTable([HEADINGS, ...users.map(toCells)])
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
  [email, username ?? '', name ?? '', roles.join(' '), disabled ? 'disabled' : 'active', createdAt.toISOString().slice(0, 10), id].map(printable)

/** What somebody has called themselves must not steer the terminal, nor turn the line round. */
const printable = (text: string) => text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\uFFFD')

function toTable (rows: readonly string[][]): string {
  const widths = HEADINGS.map((_, column) => Math.max(...rows.map(row => row[column]!.length)))
  return rows.map(row => row.map((cell, column) => cell.padEnd(widths[column]!)).join('  ').trimEnd()).join('\n')
}
