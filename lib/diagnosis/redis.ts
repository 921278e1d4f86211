import type { AccountsFacts } from '../../types/diagnosis.ts'
import type { RedisInspection } from '../../types/storage.ts'
import { finding, type Finding } from './finding.ts'

/** A login asks it about five times, one after the other. */
const SLOW_MS = 50

/** The first that has all that the scripts and the feed need. */
const OLDEST = [6, 2] as const

export function examineRedis ({ redis }: Pick<AccountsFacts, 'redis'>): Finding[] {
  return redis.flatMap(({ stores, inspection }) => {
    const kept = stores.join(', ')
    if (inspection.state === 'failed') return [finding('redis-failed', `Redis, which keeps ${kept}, could not be asked: ${inspection.reason}.`)]
    return inspection.state === 'unchecked' ? [] : examineAnswer(inspection.answer, kept)
  })
}

function examineAnswer ({ ms, version, evictionPolicy, isPersistent }: RedisInspection, kept: string): Finding[] {
  return [
    ...(ms <= SLOW_MS ? [] : [finding('redis-slow', `Redis takes ${Math.round(ms)} ms to answer, and a login waits for several answers.`)]),
    ...(version === null || !isOld(version) ? [] : [finding('redis-old', `Redis is of version ${version}, which is older than ${OLDEST.join('.')}.`)]),
    ...(evictionPolicy === null || evictionPolicy === 'noeviction' ? [] : [finding('redis-evicts', `Redis may evict what accounts keep there (maxmemory-policy is ${evictionPolicy}): logins end early, and counted attempts are forgotten.`)]),
    ...(isPersistent === false ? [finding('redis-forgets', `Redis writes nothing to the disk, so a restart of it forgets ${kept}${kept.includes('sessions') ? ': it logs everybody out' : ''}.`)] : [])
  ]
}

function isOld (version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])
}
