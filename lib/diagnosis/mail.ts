import type { AccountsFacts } from '../../types/diagnosis.ts'
import { finding, type Finding } from './finding.ts'

/** To have no mailer is a choice, and the log of the server speaks of it. */
export function examineMail ({ mailer }: Pick<AccountsFacts, 'mailer'>): Finding[] {
  if (mailer === null || mailer.state === 'answered') return []
  if (mailer.state === 'unchecked') return [finding('mail-unchecked', 'The mailer was not checked: it does not tell how it is.')]
  return [finding('mail-failed', `No mail can be sent: ${mailer.reason}.`)]
}
