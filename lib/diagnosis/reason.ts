/** What went wrong at the bottom of it, in one line; drivers say "connection refused" by a code alone. */
export function reasonOf (error: unknown): string {
  const { message, code, cause } = (error ?? {}) as { message?: unknown, code?: unknown, cause?: unknown }
  if (cause !== undefined && cause !== null) return reasonOf(cause)
  return String(message || code || error).replace(/[\p{C}\p{Zl}\p{Zp}\s]+/gu, ' ').replace(/[. ]+$/, '').slice(0, 300)
}
