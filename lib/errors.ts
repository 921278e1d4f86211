import { createError } from '@fastify/error'
import { randomFraction } from './random.ts'

// One line an error: what a client should do stands in the table of docs/errors.md, which a test keeps in step with this one.
// Messages are fixed and reveal nothing; the reason travels in `cause`, the log and the hooks.

/** A stack trace costs more than the refusal itself, and the place of a refusal is its code. */
const refusal = (code: string, message: string, statusCode: number) => createError(code, message, statusCode, Error, false)

/** Says apart what its message says in one, for whoever knows the option by another name. */
function misfit (code: string, message: string) {
  const Misfit = createError<[string, string, { readonly cause: unknown }?]>(code, message, 500)
  return class FastifyError extends Misfit {
    readonly option: string
    readonly why: string
    constructor (option: string, why: string, ...rest: [{ readonly cause: unknown }?]) {
      super(option, why, ...rest)
      this.option = option
      this.why = why
    }
  }
}

/** Its only argument: whole seconds after which a further try is of use. They are not in the message. */
function limit (code: string, message: string) {
  const Refusal = refusal(code, message, 429)
  return class FastifyError extends Refusal {
    readonly retryAfter: number
    constructor (retryAfter: number) {
      super()
      this.retryAfter = retryAfter
    }

    /** What Fastify's own error handler sends as well, from a host's routes. */
    get headers () { return { 'retry-after': String(this.retryAfter) } }
  }
}

/** Not all at once: clients that were refused together should not come back together. */
const soon = () => ({ 'retry-after': String(1 + Math.floor(randomFraction() * 3)) })

function unavailable (code: string, message: string) {
  return class FastifyError extends refusal(code, message, 503) {
    /** What Fastify's own error handler sends as well, from a host's routes. */
    get headers () { return soon() }
  }
}

// Misconfiguration: thrown while registering.
export const FST_ACCOUNTS_OPTION_INVALID = misfit('FST_ACCOUNTS_OPTION_INVALID', 'Option "%s" %s')
export const FST_ACCOUNTS_ENVIRONMENT_INVALID = createError<[string]>('FST_ACCOUNTS_ENVIRONMENT_INVALID', 'Correct the environment:%s', 500)
export const FST_ACCOUNTS_POLICY_INVALID = createError<[string, string]>('FST_ACCOUNTS_POLICY_INVALID', '%s %s', 500)
export const FST_ACCOUNTS_GUARD_UNCALLED = createError<[string, string]>('FST_ACCOUNTS_GUARD_UNCALLED', 'Route "%s" uses app.%s itself as a hook: call it, it makes the hook', 500)
export const FST_ACCOUNTS_MIGRATION_PENDING = createError<[string, string]>('FST_ACCOUNTS_MIGRATION_PENDING', 'The database lacks migrations (%s): run "npx fastify-accounts migrate%s"', 500)
export const FST_ACCOUNTS_MIGRATION_FAILED = createError<[string, { readonly cause: unknown }]>('FST_ACCOUNTS_MIGRATION_FAILED', 'Migration failed: %s', 500)
export const FST_ACCOUNTS_STORAGE_UNOPENED = createError<[string, string, { readonly cause: unknown }]>('FST_ACCOUNTS_STORAGE_UNOPENED', 'Could not open %s: %s', 500)

// Who calls.
export const FST_ACCOUNTS_AUTHENTICATION_REQUIRED = refusal('FST_ACCOUNTS_AUTHENTICATION_REQUIRED', 'Authentication required', 401)
export const FST_ACCOUNTS_TOKEN_EXPIRED = refusal('FST_ACCOUNTS_TOKEN_EXPIRED', 'The token has expired', 401)
export const FST_ACCOUNTS_TOKEN_INVALID = refusal('FST_ACCOUNTS_TOKEN_INVALID', 'The token is invalid', 401)
export const FST_ACCOUNTS_COOKIE_DUPLICATE = refusal('FST_ACCOUNTS_COOKIE_DUPLICATE', 'A session cookie came twice', 401)
export const FST_ACCOUNTS_FRESH_LOGIN_REQUIRED = refusal('FST_ACCOUNTS_FRESH_LOGIN_REQUIRED', 'A recent login is required', 401)
export const FST_ACCOUNTS_CREDENTIALS_INVALID = refusal('FST_ACCOUNTS_CREDENTIALS_INVALID', 'Wrong name or password', 401)

export const FST_ACCOUNTS_BASIC_ENDED = refusal('FST_ACCOUNTS_BASIC_ENDED', 'HTTP Basic is not accepted any more: use a personal token', 401)
export const FST_ACCOUNTS_OWNER_PROOF_REFUSED = createError<[string]>('FST_ACCOUNTS_OWNER_PROOF_REFUSED', 'To claim this installation, send %s', 401, Error, false)
export const FST_ACCOUNTS_PERSONAL_TOKEN_REFUSED = refusal('FST_ACCOUNTS_PERSONAL_TOKEN_REFUSED', 'The personal token is refused', 401)

// What they may do.
export const FST_ACCOUNTS_FORBIDDEN = refusal('FST_ACCOUNTS_FORBIDDEN', 'Forbidden', 403)
export const FST_ACCOUNTS_BASIC_SHARED = refusal('FST_ACCOUNTS_BASIC_SHARED', 'These credentials are no account: come with the name and password of one', 403)
export const FST_ACCOUNTS_SCOPE_INSUFFICIENT = refusal('FST_ACCOUNTS_SCOPE_INSUFFICIENT', 'The scopes of the credential do not suffice', 403)
export const FST_ACCOUNTS_PASSWORD_WRONG = refusal('FST_ACCOUNTS_PASSWORD_WRONG', 'Wrong password', 403)
export const FST_ACCOUNTS_HOOK_REFUSED = refusal('FST_ACCOUNTS_HOOK_REFUSED', 'Refused', 403)
export const FST_ACCOUNTS_ORIGIN_REFUSED = refusal('FST_ACCOUNTS_ORIGIN_REFUSED', 'The request comes from another origin than that of appUrl', 403)
export const FST_ACCOUNTS_CSRF_TOKEN_INVALID = refusal('FST_ACCOUNTS_CSRF_TOKEN_INVALID', 'A valid accounts-csrf header is required', 403)
export const FST_ACCOUNTS_REGISTRATION_CLOSED = refusal('FST_ACCOUNTS_REGISTRATION_CLOSED', 'Registration is closed', 403)
export const FST_ACCOUNTS_USER_NOT_FOUND = refusal('FST_ACCOUNTS_USER_NOT_FOUND', 'No such user', 404)
export const FST_ACCOUNTS_SESSION_NOT_FOUND = refusal('FST_ACCOUNTS_SESSION_NOT_FOUND', 'No such session', 404)
export const FST_ACCOUNTS_PERSONAL_TOKEN_NOT_FOUND = refusal('FST_ACCOUNTS_PERSONAL_TOKEN_NOT_FOUND', 'No such personal token, or it has ended or been replaced', 404)

// What they sent.
export const FST_ACCOUNTS_INPUT_INVALID = createError<[string]>('FST_ACCOUNTS_INPUT_INVALID', '%s', 400, Error, false)
export const FST_ACCOUNTS_JSON_INVALID = refusal('FST_ACCOUNTS_JSON_INVALID', 'The body is not strict JSON', 400)
export const FST_ACCOUNTS_HEADER_DUPLICATE = createError<[string]>('FST_ACCOUNTS_HEADER_DUPLICATE', 'The %s header came twice', 400, Error, false)
export const FST_ACCOUNTS_CREDENTIALS_CONFLICT = refusal('FST_ACCOUNTS_CREDENTIALS_CONFLICT', 'The request carries two credentials: send one', 400)
export const FST_ACCOUNTS_BODY_TOO_LARGE = refusal('FST_ACCOUNTS_BODY_TOO_LARGE', 'The body is larger than 16 KiB', 413)
export const FST_ACCOUNTS_MEDIA_TYPE_UNSUPPORTED = createError<[string]>('FST_ACCOUNTS_MEDIA_TYPE_UNSUPPORTED', 'The body must be %s in UTF-8', 415, Error, false)
export const FST_ACCOUNTS_GRANT_UNSUPPORTED = refusal('FST_ACCOUNTS_GRANT_UNSUPPORTED', 'grant_type must be password or refresh_token', 400)
export const FST_ACCOUNTS_SCOPE_UNSUPPORTED = refusal('FST_ACCOUNTS_SCOPE_UNSUPPORTED', 'Sessions have no scopes: leave scope out, or use a personal token', 400)
export const FST_ACCOUNTS_REVOCATION_UNSUPPORTED = refusal('FST_ACCOUNTS_REVOCATION_UNSUPPORTED', 'A personal token is revoked by its owner', 400)
export const FST_ACCOUNTS_LAST_OWNER = refusal('FST_ACCOUNTS_LAST_OWNER', 'The last active owner must stay one', 409)
export const FST_ACCOUNTS_OWNER_EXISTS = refusal('FST_ACCOUNTS_OWNER_EXISTS', 'There is an owner already', 409)
export const FST_ACCOUNTS_USER_EXISTS = refusal('FST_ACCOUNTS_USER_EXISTS', 'An account with this id exists already', 409)
export const FST_ACCOUNTS_EMAIL_TAKEN = refusal('FST_ACCOUNTS_EMAIL_TAKEN', 'This e-mail address has an account already', 409)
export const FST_ACCOUNTS_USERNAME_TAKEN = refusal('FST_ACCOUNTS_USERNAME_TAKEN', 'This user name is taken', 409)
export const FST_ACCOUNTS_PERSONAL_TOKEN_LIMIT_REACHED = createError<[number]>('FST_ACCOUNTS_PERSONAL_TOKEN_LIMIT_REACHED', 'A user has at most %d live personal tokens', 409, Error, false)
export const FST_ACCOUNTS_LINK_INVALID = refusal('FST_ACCOUNTS_LINK_INVALID', 'The link is invalid, has expired, or was used already', 422)
export const FST_ACCOUNTS_EMAIL_INVALID = refusal('FST_ACCOUNTS_EMAIL_INVALID', 'Not a usable e-mail address', 422)
export const FST_ACCOUNTS_USERNAME_INVALID = refusal('FST_ACCOUNTS_USERNAME_INVALID', 'A user name has 3 to 32 characters: letters, digits, dot, hyphen, underscore; it starts with a letter or digit', 422)
export const FST_ACCOUNTS_NAME_INVALID = refusal('FST_ACCOUNTS_NAME_INVALID', 'A name has at most 200 characters and no control characters', 422)
export const FST_ACCOUNTS_ROLE_INVALID = refusal('FST_ACCOUNTS_ROLE_INVALID', 'A user has at most 32 different roles; each has 1 to 64 characters: small letters, digits, ".", "_", ":", "-"; it starts with a letter', 422)
export const FST_ACCOUNTS_PASSWORD_TOO_SHORT = createError<[number]>('FST_ACCOUNTS_PASSWORD_TOO_SHORT', 'The password must have at least %d characters', 422, Error, false)
export const FST_ACCOUNTS_PASSWORD_TOO_LONG = createError<[number]>('FST_ACCOUNTS_PASSWORD_TOO_LONG', 'The password must have at most %d bytes', 422, Error, false)
export const FST_ACCOUNTS_PASSWORD_ILL_FORMED = refusal('FST_ACCOUNTS_PASSWORD_ILL_FORMED', 'The password holds a NUL or broken Unicode', 422)
export const FST_ACCOUNTS_PASSWORD_COMMON = refusal('FST_ACCOUNTS_PASSWORD_COMMON', 'The password is too easy to guess: common, repeating, in sequence, or like your name or address', 422)
export const FST_ACCOUNTS_PERSONAL_TOKEN_FIELD_INVALID = createError<[string]>('FST_ACCOUNTS_PERSONAL_TOKEN_FIELD_INVALID', '%s', 422, Error, false)

// How often.
export const FST_ACCOUNTS_TOO_MANY_ATTEMPTS = limit('FST_ACCOUNTS_TOO_MANY_ATTEMPTS', 'Too many attempts, try again later')
export const FST_ACCOUNTS_RATE_LIMITED = limit('FST_ACCOUNTS_RATE_LIMITED', 'Too many requests, try again later')

// What we could not do.
export const FST_ACCOUNTS_MAIL_UNSUPPORTED = refusal('FST_ACCOUNTS_MAIL_UNSUPPORTED', 'There is no mailer', 501)
export const FST_ACCOUNTS_PERSONAL_TOKENS_OFF = refusal('FST_ACCOUNTS_PERSONAL_TOKENS_OFF', 'Personal tokens are switched off', 501)
export const FST_ACCOUNTS_BEARER_OFF = refusal('FST_ACCOUNTS_BEARER_OFF', 'Bearer tokens are switched off', 501)
export const FST_ACCOUNTS_BASIC_OFF = refusal('FST_ACCOUNTS_BASIC_OFF', 'HTTP Basic is switched off', 501)
export const FST_ACCOUNTS_OWNER_UNSUPPORTED = refusal('FST_ACCOUNTS_OWNER_UNSUPPORTED', 'The users store has no first owner', 501)
export const FST_ACCOUNTS_EMAIL_CONFIRMATION_UNSUPPORTED = refusal('FST_ACCOUNTS_EMAIL_CONFIRMATION_UNSUPPORTED', 'The users store can not verify addresses', 501)
export const FST_ACCOUNTS_LIST_UNSUPPORTED = refusal('FST_ACCOUNTS_LIST_UNSUPPORTED', 'The users store has no list', 501)
export const FST_ACCOUNTS_COOKIE_TOO_LARGE = createError<[string, number]>('FST_ACCOUNTS_COOKIE_TOO_LARGE', 'Cookie "%s" would have %d bytes; browsers drop more than 4096', 500)
export const FST_ACCOUNTS_CLAIMS_INVALID = createError<[string]>('FST_ACCOUNTS_CLAIMS_INVALID', 'Claims %s', 500)
export const FST_ACCOUNTS_HOST_SESSION_TOO_LARGE = createError<[number, number]>('FST_ACCOUNTS_HOST_SESSION_TOO_LARGE', 'The session of the host would have %d bytes; at most %d are kept', 500)
export const FST_ACCOUNTS_INTERNAL = createError('FST_ACCOUNTS_INTERNAL', 'Internal error', 500)
export const FST_ACCOUNTS_STORAGE_UNAVAILABLE = unavailable('FST_ACCOUNTS_STORAGE_UNAVAILABLE', 'The account storage is unavailable, try again later')
export const FST_ACCOUNTS_PASSWORD_UNVERIFIABLE = unavailable('FST_ACCOUNTS_PASSWORD_UNVERIFIABLE', 'This password can not be checked at the moment, try again later')
export const FST_ACCOUNTS_MAIL_FAILED = createError<[string]>('FST_ACCOUNTS_MAIL_FAILED', 'The mail could not be sent: %s', 503, Error, false)
export const FST_ACCOUNTS_BUSY = unavailable('FST_ACCOUNTS_BUSY', 'Too many logins at once, try again later')

/** What a 401 asks for (RFC 9110, 11.6.1): the session's cookie, a token (RFC 6750, 3), a name and password (RFC 7617, 2). */
export const CHALLENGE = 'Cookie realm="accounts"'
export const TOKEN_CHALLENGE = 'Bearer realm="accounts"'
export const BASIC_CHALLENGE = 'Basic realm="accounts", charset="UTF-8"'

/** RFC 6750, 3: `error` only when a token was presented. RFC 9470, 3: the step-up error. */
const CHALLENGES: Readonly<Record<string, string>> = {
  FST_ACCOUNTS_TOKEN_EXPIRED: `${CHALLENGE}, error="invalid_token", error_description="expired"`,
  FST_ACCOUNTS_TOKEN_INVALID: `${CHALLENGE}, error="invalid_token"`,
  FST_ACCOUNTS_PERSONAL_TOKEN_REFUSED: `${TOKEN_CHALLENGE}, error="invalid_token"`,
  FST_ACCOUNTS_COOKIE_DUPLICATE: `${CHALLENGE}, error="invalid_request"`,
  FST_ACCOUNTS_FRESH_LOGIN_REQUIRED: `${CHALLENGE}, error="insufficient_user_authentication"`
}

/** The headers that an error's answer must carry: `www-authenticate` on 401, `retry-after` (seconds) on 429 and 503. */
export function answerHeaders (error: { readonly code?: string, readonly statusCode?: number, readonly headers?: Record<string, string> }): Record<string, string> {
  if (error.statusCode === 401) return { 'www-authenticate': CHALLENGES[error.code ?? ''] ?? CHALLENGE }
  if (error.statusCode === 429) return { ...error.headers }
  if (error.statusCode === 503) return soon()
  return {}
}

/** Whether a thrown value is an error of this package's table (of whichever copy of it). */
export function isAccountsError (error: unknown): error is Error & { readonly code: string, readonly statusCode: number } {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && error.code.startsWith('FST_ACCOUNTS_')
}

/** The 4xx status with which a thrown value addresses the client; `null` for all that is none of the client's concern. */
export function clientStatus (thrown: unknown): number | null {
  try {
    const { statusCode } = thrown as { statusCode?: unknown }
    return thrown instanceof Error && typeof statusCode === 'number' && Number.isInteger(statusCode) && statusCode >= 400 && statusCode < 500 ? statusCode : null
  } catch {
    // Nothing to read, or a value that throws when it is read.
    return null
  }
}
