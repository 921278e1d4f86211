/** Of a text that goes into a log, stack and all. */
const MAX_LENGTH = 4000

/** Of a secret that somebody has cut short, so much may be left: the rest is beyond guessing. */
const MAX_TRACE = 16

/**
 * Say what was thrown, whatever that is. Who throws may repeat what they were given, and logs must hold no secret of it.
 * @param secrets of letters, digits, `-` and `_`
 */
export function describeThrown (thrown: unknown, secrets: readonly string[]): string {
  return secrets.reduce((text, secret) => text.replace(new RegExp(`${secret.slice(0, MAX_TRACE)}[\\w-]*`, 'g'), '[secret]'), print(thrown)).slice(0, MAX_LENGTH)
}

function print (thrown: unknown): string {
  try {
    return thrown instanceof Error ? String(thrown.stack ?? thrown.message) : String(thrown)
  } catch {
    return 'it threw what can not be printed'
  }
}

/** Whether there is no point in another try, by the word of a mailer (types/mailer.ts). */
export function isPermanent (thrown: unknown): boolean {
  try {
    return (thrown as { permanent?: unknown } | null | undefined)?.permanent === true
  } catch {
    return false
  }
}
