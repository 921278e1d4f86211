import type { AccountsFacts } from '../../types/diagnosis.ts'
import { finding, type Finding } from './finding.ts'

export function examineKeys ({ keys: [signer, ...others] }: Pick<AccountsFacts, 'keys'>): Finding[] {
  if (signer === undefined || others.length === 0) return []
  return [finding('key-rotation', `${signer.kid} (${signer.algorithm}) signs access tokens, and ${others.map(({ kid, algorithm }) => `${kid} (${algorithm})`).join(', ')} ${others.length === 1 ? 'verifies' : 'verify'} them as well.`)]
}
