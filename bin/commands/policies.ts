import { formatPolicies } from '../../lib/authorization/format-policies.ts'
import type { Command } from './command.ts'
import { SERVER_FILE, withServer } from './load-server.ts'

export const policies: Command = {
  usage: 'FILE',
  summary: `print which route demands what; ${SERVER_FILE}`,
  words: 1,
  options: ['json'],
  isServerLoaded: () => true,
  run: async (_options, [file]) => await withServer(file, async ({ accounts }) => {
    const list = accounts.policies()
    return { text: formatPolicies(list).trimEnd(), json: list }
  })
}
