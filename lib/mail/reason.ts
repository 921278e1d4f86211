/** Of a text that goes into a log, stack and all. */
const MAX_LENGTH = 4000

/** Say what was thrown, whatever that is. A host's function may repeat what it was given, and logs must hold no secret of it. */
export function describeThrown (thrown: unknown, secrets: readonly string[]): string {
  return secrets.reduce((text, secret) => text.replaceAll(secret, '[secret]'), print(thrown)).slice(0, MAX_LENGTH)
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
