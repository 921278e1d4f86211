import type { Connection } from './connection.ts'

/** Look once, when there is a connection, whether Redis may throw away what it was given; a server that doesn't tell is believed. */
export function warnOfEviction (): (connection: Connection) => void {
  let hasLooked = false
  return ({ askServers }) => {
    if (hasLooked) return
    hasLooked = true
    askServers('info', 'memory').then(answers => {
      const policy = answers.map(readPolicy).find(policy => policy !== null && policy !== 'noeviction')
      if (policy !== undefined) process.emitWarning(`Redis may evict what accounts keep there (maxmemory-policy is ${policy}): logins end early, and counted attempts are forgotten; set it to noeviction`, { type: 'FastifyAccountsWarning' })
    }).catch(() => { hasLooked = false })
  }
}

const readPolicy = (info: unknown): string | null => /^maxmemory_policy:(\S+)/m.exec(String(info))?.[1] ?? null
