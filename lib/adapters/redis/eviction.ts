import type { Connection } from './connection.ts'
import { readField } from './info.ts'

/** Look once, when there is a connection, whether Redis may throw away what it was given; a server that doesn't tell is believed. */
export function warnOfEviction (): (connection: Connection) => void {
  let hasLooked = false
  return ({ askServers }) => {
    if (hasLooked) return
    hasLooked = true
    askServers('info', 'memory').then(answers => {
      const policy = answers.map(info => readField(info, 'maxmemory_policy')).find(policy => policy !== null && policy !== 'noeviction')
      if (policy !== undefined) process.emitWarning(`Redis may evict what accounts keep there (maxmemory-policy is ${policy}): logins end early, and counted attempts are forgotten; set it to noeviction`, { type: 'FastifyAccountsWarning' })
    }).catch(() => { hasLooked = false })
  }
}
