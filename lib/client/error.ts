import type * as errors from '../errors.ts'

/** A code of the package's own; hooks of the application may have others. */
export type AccountsErrorCode = Extract<keyof typeof errors, `FST_ACCOUNTS_${string}`> | (string & {})

interface Told {
  readonly statusCode: number
  readonly code: AccountsErrorCode | null
  readonly message: string
  readonly retryAfter?: number | null
}

/** What the server has refused, or could not do. A server that was not reached is what `fetch` throws, a `TypeError`. */
export class AccountsError extends Error {
  override readonly name = 'AccountsError'
  /** 401: sign in. 429 and 503: nothing has ended, try again after `retryAfter`. */
  readonly statusCode: number
  /** `null`: the answer was none of the package's, but a proxy's for instance. */
  readonly code: AccountsErrorCode | null
  /** In seconds; `null`: the answer does not say, or not to pages of another origin. */
  readonly retryAfter: number | null

  constructor ({ statusCode, code, message, retryAfter = null }: Told) {
    super(message)
    this.statusCode = statusCode
    this.code = code
    this.retryAfter = retryAfter
  }
}

/** Whether there is no session any more, by the word of the server: nothing less ends one here. */
export const isOver = (error: unknown): error is AccountsError => error instanceof AccountsError && error.statusCode === 401

/** What the body of an answer says, be it of Fastify's shape or of OAuth's (RFC 6749, 5.2). */
interface Refusal { readonly code?: unknown, readonly message?: unknown, readonly error?: unknown, readonly error_description?: unknown }

export async function toError (response: Response): Promise<AccountsError> {
  const { code, message, error, error_description: description } = await readRefusal(response)
  const after = response.headers.get('retry-after')
  return new AccountsError({
    // OAuth knows no 401 for a password or refresh token that is no good.
    statusCode: error === 'invalid_grant' ? 401 : response.status,
    code: textOf(code),
    message: textOf(message) ?? textOf(description) ?? `The server answered ${response.status}`,
    retryAfter: after !== null && /^\d+$/.test(after) ? Number(after) : null
  })
}

/** The code of a refusal, from a copy: the answer may still be read by whoever asked. */
export async function readCode (response: Response): Promise<string | null> {
  return response.headers.get('content-type')?.includes('json') === true ? textOf((await readRefusal(response.clone())).code) : null
}

const readRefusal = async (response: Response): Promise<Refusal> => Object(await response.json().catch(() => null)) as Refusal

const textOf = (value: unknown): string | null => typeof value === 'string' ? value : null
