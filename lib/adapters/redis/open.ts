import { FST_ACCOUNTS_OPTION_INVALID, FST_ACCOUNTS_STORAGE_UNOPENED } from '../../errors.ts'
import { SERVER_OPTIONS } from './connection-options.ts'
import type { OwnClient } from './connection.ts'
import { withoutCommand } from './without-command.ts'

/** Open a client of our own, make something of it, and see that it gets an answer. */
export async function openClient<Result> (url: string, use: (client: OwnClient) => Result): Promise<Result> {
  if (!/^rediss?:\/\//.test(url) || !URL.canParse(url)) throw new FST_ACCOUNTS_OPTION_INVALID('url', 'must begin with redis:// or rediss://')
  const { Redis } = await import('ioredis')
  const client = new Redis(url, { ...SERVER_OPTIONS, lazyConnect: true })
  const result = use(client)
  // Why it was closed is told by an event alone.
  let reason: unknown
  client.on('error', error => { reason = error })
  try {
    await client.connect()
    await client.ping()
    return result
  } catch (error) {
    client.disconnect()
    const cause = withoutCommand(reason ?? error)
    throw new FST_ACCOUNTS_STORAGE_UNOPENED(`Redis at ${new URL(url).host}`, describe(cause), { cause })
  }
}

/** Where several addresses were tried the error itself says nothing. */
function describe (error: unknown): string {
  const { message, code } = error as { readonly message?: string, readonly code?: string }
  return String(message === undefined || message === '' ? code : message)
}
