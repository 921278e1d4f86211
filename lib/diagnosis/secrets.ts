import type { AccountsFacts } from '../../types/diagnosis.ts'
import { finding, type Finding } from './finding.ts'

export function examineSecrets ({ secrets: { most, shared, repeated } }: Pick<AccountsFacts, 'secrets'>): Finding[] {
  return [
    ...shared.map(([one, other]) => finding('secret-shared', `secrets.${one} and secrets.${other} hold the same secret: who learns one has the other, and to change one is to change both.`)),
    ...repeated.map(option => finding('secret-repeated', `${option} names one secret twice, so it was not changed.`)),
    ...(most > 1 ? [finding('secret-rotation', `Up to ${most} secrets of one purpose are in use.`)] : [])
  ]
}
