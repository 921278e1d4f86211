import type { AccountsFacts } from '../../types/diagnosis.ts'
import { finding, type Finding } from './finding.ts'

/** Less is what a busy machine and a slow answer make. */
const MAX_SKEW_MS = 5000

export function examineStorage ({ storage }: Pick<AccountsFacts, 'storage'>): Finding[] {
  if (storage.state === 'unchecked') return [finding('storage-unchecked', 'The storage was not checked: it does not tell how it is.')]
  if (storage.state === 'failed') return [finding('storage-failed', `The storage could not be checked: ${storage.reason}.`)]
  const { now, askedAt, answeredAt, missingMigrations, missingIndexes, missingTriggers, disabledTriggers = [] } = storage.answer
  const skew = Math.max(askedAt.getTime() - now.getTime(), now.getTime() - answeredAt.getTime())
  return [
    ...(skew <= MAX_SKEW_MS ? [] : [finding('clock-skew', `The clock of the database is ${Math.round(skew / 1000)} s ${now < askedAt ? 'behind' : 'ahead of'} the one here.`)]),
    ...missing('migrations-missing', 'migrations', 'the tables are those of an older release', missingMigrations),
    ...missing('indexes-missing', 'indexes', 'questions become slow, and what must be unique may not stay so', missingIndexes),
    ...missing('triggers-missing', 'triggers', DEAF, missingTriggers),
    ...(disabledTriggers.length === 0 ? [] : [finding('triggers-disabled', `Triggers of the database are switched off (${disabledTriggers.join(', ')}): ${DEAF}.`, disabledTriggers.map(enable).join(' '))])
  ]
}

/** What it means that a trigger does not fire. */
const DEAF = 'what one process revokes the others may go on believing'

/** The statement that mends it; of the name the last part is the trigger's own. */
function enable (name: string): string {
  const dot = name.lastIndexOf('.')
  return `alter table ${name.slice(0, dot)} enable trigger ${name.slice(dot + 1)};`
}

function missing (code: 'migrations-missing' | 'indexes-missing' | 'triggers-missing', things: string, consequence: string, names: readonly string[]): Finding[] {
  return names.length === 0 ? [] : [finding(code, `The database lacks ${things} (${names.join(', ')}): ${consequence}.`)]
}
