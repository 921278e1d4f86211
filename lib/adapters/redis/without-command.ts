/**
 * An error of `ioredis`, without the command that it is about: nobody who logs it logs the password of the server, or whom it was about.
 */
export function withoutCommand (error: unknown): unknown {
  if (typeof error !== 'object' || error === null) return error
  const failed = error as { command?: unknown, lastNodeError?: unknown }
  delete failed.command
  withoutCommand(failed.lastNodeError)
  return error
}
