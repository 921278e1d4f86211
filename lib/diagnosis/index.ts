import type { AccountsFacts } from '../../types/diagnosis.ts'
import { examineCookies } from './cookies.ts'
import type { Finding } from './finding.ts'
import { examineKeys } from './keys.ts'
import { examineMail } from './mail.ts'
import { examineOutside, type OutsideFacts } from './outside.ts'
import { examineProxy } from './proxy.ts'
import { examineRedis } from './redis.ts'
import { examineSecrets } from './secrets.ts'
import { examineStorage } from './storage.ts'

/** Judge a configuration, and what its address answers if that was asked. */
export function examine (facts: AccountsFacts, outside: OutsideFacts | null): Finding[] {
  return [
    ...examineProxy(facts),
    ...examineCookies(facts),
    ...examineSecrets(facts),
    ...examineKeys(facts),
    ...examineStorage(facts),
    ...examineRedis(facts),
    ...examineMail(facts),
    ...(outside === null ? [] : examineOutside(facts, outside))
  ]
}
