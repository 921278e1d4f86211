import { isAccountsError } from '../errors.ts'
import { finding, type Finding } from './finding.ts'

/** What it means that a server did not start; `null`: it is nothing of ours. */
export function examineRefusal (error: unknown): Finding | null {
  if (!isAccountsError(error)) return null
  const { code, message } = error
  return finding(code === 'FST_ACCOUNTS_MIGRATION_PENDING' ? 'migrations-missing' : 'start-refused', `The server does not start: ${message}.`)
}
